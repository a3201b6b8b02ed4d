"""The hand-derived gradients, one file per family. An operation in a file here is in the catalogue; there is no list."""

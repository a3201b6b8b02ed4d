"""The hand-derived gradients, one file per family. There is no list: an operation in a file here is listed."""

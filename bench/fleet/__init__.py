"""A run over many machines."""

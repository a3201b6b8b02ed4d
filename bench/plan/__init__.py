"""Which cells are measured, and the constants of the measurement."""

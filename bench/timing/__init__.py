"""One process that measures: timing, memory, roofs, and the gate before each time."""

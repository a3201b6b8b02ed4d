"""What the array API standard lacks: blocks, elimination, recurrences, scattering."""

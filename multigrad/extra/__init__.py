"""What the array API standard lacks: blocks, elimination, recurrences, scattering, and hooks into each of them."""

"""The floating-point formats, and the verdict on a number."""

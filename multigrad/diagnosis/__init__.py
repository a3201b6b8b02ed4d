"""Which mistake a wrong gradient has, and where it stands."""

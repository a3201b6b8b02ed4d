"""``python -m multigrad.bench.cli``."""

from . import main

main()

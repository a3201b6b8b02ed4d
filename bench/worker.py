"""The path by which every version starts a worker, also of another commit: see :mod:`multigrad.bench.timing.worker`."""

from .timing.worker import measure, measure_memory

__all__ = ["measure", "measure_memory"]

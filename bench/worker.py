"""The path by which every version starts a worker, also of another commit: see :mod:`multigrad.bench.timing.worker`."""

from .timing.worker import measure_memory, time_cells

__all__ = ["measure", "measure_memory"]

measure = time_cells

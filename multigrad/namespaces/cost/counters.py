"""What has been counted so far: the counters in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Counters:
    """The fields of :class:`~multigrad.namespaces.cost.Cost` that grow, and the dtype of new arrays."""

    dtype: str
    flops: float = 0.0
    streamed_bytes: float = 0.0
    product_flops: float = 0.0
    transcendentals: float = 0.0


_COUNTERS: ContextVar[Counters] = ContextVar("cost_tally")


@contextmanager
def counting(dtype: str = "float32") -> Iterator[Counters]:
    """Count what the functions of this namespace cost; new floating-point arrays are of that dtype."""
    counters = Counters(dtype)
    token = _COUNTERS.set(counters)
    try:
        yield counters
    finally:
        _COUNTERS.reset(token)


def current() -> Counters:
    """Return the counters in force.

    Raises:
        RuntimeError: no ``with counting(…)`` is open.
    """
    counters = _COUNTERS.get(None)
    if counters is None:
        raise RuntimeError("nothing is being counted; wrap the computation in `with cost.counting(dtype):`")
    return counters

"""The sizes of an operation that are small enough for ball arithmetic."""

from __future__ import annotations

from .operation import Operation
from .signature import default_sizes

SMALL_ENTRIES = 600
"""Sizes with at most so many input entries are checked by default: their truth is found in milliseconds."""


def small_sizes(op: Operation) -> list[str]:
    """Return the names of the sizes that are small enough for ball arithmetic; the smallest at least.

    Of sizes that nobody named there are two at most: the third is a larger one of the same kind.
    """
    small = [name for name, size in op.sizes.items() if op.signature.entries(size) <= SMALL_ENTRIES]
    most = 2 if op.sizes == default_sizes(op.signature) else len(small)
    return small[:most] or [next(iter(op.sizes))]

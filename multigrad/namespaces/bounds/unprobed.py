"""What no probe tells the accumulation of: it is bounded as if everything were kept in the format itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...extra.blocks import block_length
from ..shared import textbook
from .arrays import Parts
from .model import Context, context, current

HALF_BYTES = 2
"""Bytes of a number of which sums may be kept in a wider format."""


def _own(arithmetic: Context) -> Context:
    u = arithmetic.u
    return replace(arithmetic, sum_u=u, product_u=max(u, arithmetic.product_u))


def einsum(subscripts: str, /, *operands: Any) -> Any:
    """Sums of products over letters; NumPy adds up halves in a half where the letters stand in another order."""
    with context(_own(current())):
        return textbook.FUNCTIONS["einsum"](Parts.namespace, subscripts, *operands)


def in_blocks(
    function: Callable[..., tuple[Any, ...]],
    arrays: Sequence[Any],
    *,
    axis: int,
    sums: int,
    elements: int,
    fused: bool,
) -> tuple[Any, ...]:
    """Run a function of many rows, which a backend may run a few rows at a time.

    The sums of several blocks are added up as they were stored; see :func:`multigrad.extra.blocks.in_blocks`.
    """
    count = arrays[0].shape[axis]
    length = block_length(count, HALF_BYTES, max(a.size for a in arrays) * HALF_BYTES, elements)
    if not sums or count <= length:
        return function(*arrays)
    with context(_own(current())):
        return function(*arrays)

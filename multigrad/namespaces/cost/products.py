"""Products of matrices and vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..shared import textbook
from .arrays import FLOATS, Array, computed, dtype_of, kept, shape_of
from .counters import current


def matmul(a: Any, b: Any, /) -> Array:
    """2mnk operations."""
    (left, right), k = (shape_of(a), shape_of(b)), shape_of(a)[-1]
    if k != right[-2 if len(right) > 1 else 0]:
        raise ValueError(f"shapes {left} and {right} do not fit in a matrix product")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), *rows, *columns)
    return _product(shape, (a, b), k)


def _product(shape: Sequence[int], operands: Sequence[Any], k: int) -> Array:
    flops = 2.0 * math.prod(shape) * k
    result = computed(shape, dtype_of(*operands), operands, flops)
    current().product_flops += flops if result.dtype in FLOATS else 0.0
    return result


def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Array:
    """2 operations for each pair."""
    full = np.broadcast_shapes(shape_of(a), shape_of(b))
    return computed(kept(full, axis, False), dtype_of(a, b), (a, b), 2.0 * math.prod(full))


def tensordot(a: Any, b: Any, /, *, axes: Any = 2) -> Array:
    """2mnk operations."""
    left, right = shape_of(a), shape_of(b)
    if isinstance(axes, int):
        axes = (range(len(left) - axes, len(left)), range(axes))
    first, second = (
        {i % n for i in ([x] if isinstance(x, int) else x)} for x, n in zip(axes, (len(left), len(right)), strict=True)
    )
    shape = [n for i, n in enumerate(left) if i not in first] + [n for i, n in enumerate(right) if i not in second]
    return _product(shape, (a, b), math.prod(left[i] for i in first))


def einsum(subscripts: str, /, *operands: Any) -> Array:
    """2 operations for each term of the sum over all letters."""
    terms, result, sizes = textbook.letters(subscripts, operands)
    shape = [sizes[letter] for letter in result]
    summed = math.prod(n for letter, n in sizes.items() if letter not in result)
    if len(terms) > 1:
        return _product(shape, operands, summed)
    return computed(shape, dtype_of(*operands), operands, math.prod(shape) * summed)

# ruff: noqa: A001  the names are the standard's
"""Sums, means and extrema over axes, running sums, sorting and searching."""

from __future__ import annotations

import builtins
import math
from typing import Any

from .arrays import Array, computed, dtype_of, kept, shape_of
from .shapes import concat


def _reduction(name: str, per_input: float = 1.0, per_output: float = 0.0, dtype: str | None = None) -> Any:
    def function(x: Any, /, *, axis: Any = None, keepdims: bool = False, **_: Any) -> Array:
        shape = kept(shape_of(x), axis, keepdims)
        kind = dtype or ("int64" if name in ("sum", "prod") and dtype_of(x) == "bool" else dtype_of(x))
        flops = per_input * math.prod(shape_of(x)) + per_output * math.prod(shape)
        return computed(shape, kind, (x,), flops)

    function.__doc__ = f"As ``{name}`` in the standard: {per_input:g} operations for each element."
    return function


# fmt: off
sum, prod       = _reduction("sum"), _reduction("prod")
mean            = _reduction("mean", 1.0, 1.0)
var             = _reduction("var", 4.0, 2.0)  # the mean, its subtraction, a square, a sum
std             = _reduction("std", 4.0, 3.0)
max, min        = _reduction("max"), _reduction("min")
argmax, argmin  = _reduction("argmax", dtype="int64"), _reduction("argmin", dtype="int64")
any, all        = _reduction("any", 0.0, dtype="bool"), _reduction("all", 0.0, dtype="bool")
count_nonzero   = _reduction("count_nonzero", dtype="int64")
# fmt: on


def _along(name: str, dtype: str | None = None) -> Any:
    def function(x: Any, /, *, axis: int | None = None, include_initial: bool = False, **_: Any) -> Array:
        shape, chosen = list(shape_of(x)), -1 if axis is None else axis
        length = shape[chosen] if shape else 1
        # Sorting compares n·log₂ n times.
        weight = math.log2(builtins.max(length, 2)) if "sort" in name else 1.0
        flops = weight * math.prod(shape)
        if include_initial:
            shape[chosen] += 1
        return computed(shape, dtype or dtype_of(x), (x,), flops)

    function.__doc__ = f"As ``{name}`` in the standard."
    return function


cumulative_sum, cumulative_prod = _along("cumulative_sum"), _along("cumulative_prod")
sort, argsort = _along("sort"), _along("argsort", "int64")


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Array:
    """Each entry is compared log₂ n times."""
    given = (x1, x2) if sorter is None else (x1, x2, sorter)
    return computed(shape_of(x2), "int64", given, math.log2(math.prod(shape_of(x1)) + 1) * math.prod(shape_of(x2)))


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours."""
    pieces = [p for p in (prepend, x, append) if p is not None]
    x = concat(pieces, axis=axis) if len(pieces) > 1 else x
    for _ in range(n):
        shape = list(x.shape)
        shape[axis] -= 1
        x = computed(shape, x.dtype, (x,), math.prod(shape))
    return x  # type: ignore[no-any-return]

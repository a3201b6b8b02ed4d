# ruff: noqa: A001  the names are the standard's
"""Sums, means and extrema over axes."""

from __future__ import annotations

import math
from typing import Any

from .arrays import Array, computed, dtype_of, kept, shape_of


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

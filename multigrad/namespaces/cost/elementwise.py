# ruff: noqa: A001  the names are the standard's
"""Functions of each element: arithmetic, comparisons, elementary functions, choosing."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..shared import textbook
from .arrays import FLOATS, Array, computed, dtype_of, shape_of
from .counters import current


def _elementwise(name: str, flops: float = 1.0, dtype: str | None = None, *, elementary: bool = False) -> Any:
    def function(*operands: Any, **_: Any) -> Array:
        shape = np.broadcast_shapes(*(shape_of(o) for o in operands))
        kind = dtype or dtype_of(*operands)
        if (elementary or name == "divide") and kind not in FLOATS:
            kind = current().dtype
        result = computed(shape, kind, operands, flops * math.prod(shape))
        current().transcendentals += result.size if elementary else 0
        return result

    function.__doc__ = f"As ``{name}`` in the standard: {flops:g} operations for each element."
    return function


def _arithmetic(*names: str) -> list[Any]:
    return [_elementwise(n) for n in names]


def _questions(*names: str, flops: float = 1.0) -> list[Any]:
    return [_elementwise(n, flops, "bool") for n in names]


def _calls(*names: str) -> list[Any]:
    return [_elementwise(n, elementary=True) for n in names]


# fmt: off
add, subtract, multiply, divide          = _arithmetic("add", "subtract", "multiply", "divide")
floor_divide, remainder                  = _arithmetic("floor_divide", "remainder")
maximum, minimum, abs, square            = _arithmetic("maximum", "minimum", "abs", "square")
negative, reciprocal, sign, copysign     = _arithmetic("negative", "reciprocal", "sign", "copysign")
floor, ceil, round, trunc                = _arithmetic("floor", "ceil", "round", "trunc")
less, less_equal, equal                  = _questions("less", "less_equal", "equal")
greater, greater_equal, not_equal        = _questions("greater", "greater_equal", "not_equal")
isnan, isinf, isfinite, signbit          = _questions("isnan", "isinf", "isfinite", "signbit")
logical_and, logical_or                  = _questions("logical_and", "logical_or", flops=0.0)
logical_xor, logical_not                 = _questions("logical_xor", "logical_not", flops=0.0)
bitwise_and, bitwise_or                  = _arithmetic("bitwise_and", "bitwise_or")
bitwise_xor, bitwise_invert              = _arithmetic("bitwise_xor", "bitwise_invert")
bitwise_left_shift, bitwise_right_shift  = _arithmetic("bitwise_left_shift", "bitwise_right_shift")
exp, expm1, log, log1p, log2, log10      = _calls("exp", "expm1", "log", "log1p", "log2", "log10")
sin, cos, tan, asin, acos, atan          = _calls("sin", "cos", "tan", "asin", "acos", "atan")
sinh, cosh, tanh, asinh, acosh, atanh    = _calls("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
sqrt, atan2, hypot, logaddexp            = _calls("sqrt", "atan2", "hypot", "logaddexp")
(_general_power,)                        = _calls("pow")
erf, erfc, erfinv                        = _calls("erf", "erfc", "erfinv")
lgamma, gamma, digamma, trigamma         = _calls("lgamma", "gamma", "digamma", "trigamma")
i0e, i1e                                 = _calls("i0e", "i1e")
(hurwitz_zeta,)                          = _calls("hurwitz_zeta")
# fmt: on
globals().update(zip(textbook.SPECIAL, _calls(*textbook.SPECIAL), strict=True))


def positive(x: Any, /) -> Any:
    """X itself."""
    return x


conj = real = positive


def pow(a: Any, b: Any, /) -> Array:
    """A whole power by repeated squaring; any other is one elementary function."""
    if not isinstance(b, int | float) or not float(b).is_integer() or builtins.abs(b) > 64:
        result: Array = _general_power(a, b)
        return result
    n = builtins.abs(int(b))
    products = max(n.bit_length() + n.bit_count() - 2, 0) + (b < 0)
    return computed(shape_of(a), dtype_of(a), (a,), products * math.prod(shape_of(a)))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """One comparison for each limit."""
    limits = [o for o in (min, max) if o is not None]
    shape = np.broadcast_shapes(*(shape_of(o) for o in (x, *limits)))
    return computed(shape, dtype_of(x, *limits), (x, *limits), len(limits) * math.prod(shape))


def where(condition: Any, a: Any, b: Any, /) -> Array:
    """Choosing costs memory traffic only."""
    shape = np.broadcast_shapes(*(shape_of(o) for o in (condition, a, b)))
    return computed(shape, dtype_of(a, b), (condition, a, b), 0.0)

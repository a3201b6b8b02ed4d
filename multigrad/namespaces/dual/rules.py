"""The derivatives of the elementary functions: one rule a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import exact
from .kinks import nowhere, nowhere_zero

_f = exact.FUNCTIONS


def _away(x: Any) -> Any:
    """The derivative of |x|, of which there is none at 0."""
    return nowhere("abs", np.equal(x.elements, 0), _f["sign"](x))


def _not_zero(n: Any) -> Any:
    """An exponent with 1 in the place of 0: x⁰ is constant, also at 0."""
    return n if isinstance(n, int) else _f["where"](np.equal(exact.lift(n).elements, 0).astype(bool), 1, n)


UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "negative": lambda x, y: -1,
    "positive": lambda x, y: 1,
    "square": lambda x, y: 2 * x,
    "reciprocal": lambda x, y: -y * y,
    "exp": lambda x, y: y,
    "expm1": lambda x, y: y + 1,
    "log": lambda x, y: 1 / x,
    "log1p": lambda x, y: 1 / (1 + x),
    "log2": lambda x, y: 1 / (x * _f["log"](2)),
    "log10": lambda x, y: 1 / (x * _f["log"](10)),
    "sqrt": lambda x, y: nowhere("sqrt", np.equal(x.elements, 0), 1 / (2 * y)),
    "sin": lambda x, y: _f["cos"](x),
    "cos": lambda x, y: -_f["sin"](x),
    "tan": lambda x, y: 1 + y * y,
    "asin": lambda x, y: 1 / _f["sqrt"](1 - x * x),
    "acos": lambda x, y: -1 / _f["sqrt"](1 - x * x),
    "atan": lambda x, y: 1 / (1 + x * x),
    "sinh": lambda x, y: _f["cosh"](x),
    "cosh": lambda x, y: _f["sinh"](x),
    "tanh": lambda x, y: 1 - y * y,
    "asinh": lambda x, y: 1 / _f["sqrt"](1 + x * x),
    "acosh": lambda x, y: 1 / (_f["sqrt"](x - 1) * _f["sqrt"](x + 1)),
    "atanh": lambda x, y: 1 / (1 - x * x),
    "erf": lambda x, y: 2 / _f["sqrt"](_f["acos"](-1)) * _f["exp"](-x * x),
    "erfc": lambda x, y: -2 / _f["sqrt"](_f["acos"](-1)) * _f["exp"](-x * x),
    "erfinv": lambda x, y: _f["sqrt"](_f["acos"](-1)) / 2 * _f["exp"](y * y),
    "gamma": lambda x, y: y * _f["digamma"](x),
    "lgamma": lambda x, y: _f["digamma"](x),
    "digamma": lambda x, y: _f["trigamma"](x),
    "trigamma": lambda x, y: -2 * exact.hurwitz_zeta(3, x),
    "i0e": lambda x, y: _f["i1e"](x) - _away(x) * y,
    "i1e": lambda x, y: (_f["i0e"](x) + exact.i2e(x)) / 2 - _away(x) * y,
    "sign": lambda x, y: nowhere_zero("sign", x, 0 * x),
    "floor": lambda x, y: nowhere_zero("floor", x - y, 0 * x),
    "ceil": lambda x, y: nowhere_zero("ceil", x - y, 0 * x),
    "trunc": lambda x, y: nowhere_zero("trunc", _f["where"](_f["equal"](y, 0), 1, x - y), 0 * x),
    "round": lambda x, y: nowhere_zero("round", _f["abs"](x - y) - 0.5, 0 * x),
}
"""The derivative of y = f(x), from x and y; None where y is constant."""

BINARY: dict[str, tuple[Callable[[Any, Any, Any], Any], Callable[[Any, Any, Any], Any]]] = {
    "add": (lambda a, b, y: 1, lambda a, b, y: 1),
    "subtract": (lambda a, b, y: 1, lambda a, b, y: -1),
    "multiply": (lambda a, b, y: b, lambda a, b, y: a),
    "divide": (lambda a, b, y: 1 / b, lambda a, b, y: -y / b),
    "pow": (lambda a, b, y: exact.lift(b) * a ** (_not_zero(b) - 1), lambda a, b, y: y * _f["log"](a)),
    "atan2": (lambda a, b, y: b / (a * a + b * b), lambda a, b, y: -a / (a * a + b * b)),
}
"""The derivatives of y = f(a, b) by a and by b, from a, b and y."""

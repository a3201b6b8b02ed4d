"""The pullbacks of the functions that act entry by entry: one rule a line.

They are written for floating point: a quotient where there is one, no difference that cancels. `dual` has rules of its
own, written for balls; the tests hold one table against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arrays import Value


def constant(xp: Any, x: Value, number: float) -> Value:
    """Return a number as an array without dimensions, of the dtype of x and where x is."""
    # While JAX traces, an array is nowhere yet, and has no device to tell.
    return xp.asarray(number, dtype=x.dtype, device=getattr(x, "device", None))


def _root_of_pi(xp: Any, x: Value) -> Value:
    return xp.sqrt(xp.acos(constant(xp, x, -1.0)))


def _power(xp: Any, a: Value, n: Any) -> Value:
    """Return the factor of the derivative, a to the power n − 1."""
    if isinstance(n, int):
        return a if n == 2 else a ** (n - 1)
    # As arrays: a difference of Python's floats rounds, which `exact` would see. x⁰ is constant, also at 0.
    n = xp.full_like(a, n) if isinstance(n, float) else n
    return a ** (xp.where(n == 0, xp.ones_like(n), n) - 1)


def _logarithm(xp: Any, a: Any, y: Value) -> Value:
    return xp.log(constant(xp, y, a) if isinstance(a, int | float) else a)


def _chosen(xp: Any, g: Value, won: Any, lost: Any) -> Value:
    """Give the cotangent to what was chosen; between equals, half to each."""
    return xp.where(won, g, xp.where(lost, 0, g / 2))


UNARY: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "negative": lambda xp, g, x, y: -g,
    "positive": lambda xp, g, x, y: g,
    "real": lambda xp, g, x, y: g,
    "conj": lambda xp, g, x, y: g,
    "abs": lambda xp, g, x, y: g * xp.sign(x),
    "square": lambda xp, g, x, y: 2 * g * x,
    "reciprocal": lambda xp, g, x, y: -g * y * y,
    "exp": lambda xp, g, x, y: g * y,
    "expm1": lambda xp, g, x, y: g * (y + 1),
    "log": lambda xp, g, x, y: g / x,
    "log1p": lambda xp, g, x, y: g / (1 + x),
    "log2": lambda xp, g, x, y: g / (x * xp.log(constant(xp, x, 2.0))),
    "log10": lambda xp, g, x, y: g / (x * xp.log(constant(xp, x, 10.0))),
    "sqrt": lambda xp, g, x, y: g / (2 * y),
    "sin": lambda xp, g, x, y: g * xp.cos(x),
    "cos": lambda xp, g, x, y: -g * xp.sin(x),
    "tan": lambda xp, g, x, y: g * (1 + y * y),
    "asin": lambda xp, g, x, y: g / xp.sqrt((1 - x) * (1 + x)),
    "acos": lambda xp, g, x, y: -g / xp.sqrt((1 - x) * (1 + x)),
    "atan": lambda xp, g, x, y: g / (1 + x * x),
    "sinh": lambda xp, g, x, y: g * xp.cosh(x),
    "cosh": lambda xp, g, x, y: g * xp.sinh(x),
    "tanh": lambda xp, g, x, y: g * (1 - y * y),
    "asinh": lambda xp, g, x, y: g / xp.sqrt(1 + x * x),
    "acosh": lambda xp, g, x, y: g / (xp.sqrt(x - 1) * xp.sqrt(x + 1)),
    "atanh": lambda xp, g, x, y: g / ((1 - x) * (1 + x)),
    "erf": lambda xp, g, x, y: g * 2 / _root_of_pi(xp, x) * xp.exp(-x * x),
    "erfc": lambda xp, g, x, y: g * -2 / _root_of_pi(xp, x) * xp.exp(-x * x),
    "erfinv": lambda xp, g, x, y: g * _root_of_pi(xp, x) / 2 * xp.exp(y * y),
    "gamma": lambda xp, g, x, y: g * y * xp.digamma(x),
    "lgamma": lambda xp, g, x, y: g * xp.digamma(x),
    "digamma": lambda xp, g, x, y: g * xp.trigamma(x),
    "trigamma": lambda xp, g, x, y: -2 * g * xp.hurwitz_zeta(3, x),
    "i0e": lambda xp, g, x, y: g * (xp.i1e(x) - xp.sign(x) * y),
    "i1e": lambda xp, g, x, y: g * (xp.i0e(x) - xp.where(x == 0, 0.5, y / xp.where(x == 0, 1, x)) - xp.sign(x) * y),
}
"""The cotangent of x, from that of y = f(x)."""

BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (lambda xp, g, a, b, y: g, lambda xp, g, a, b, y: g),
    "subtract": (lambda xp, g, a, b, y: g, lambda xp, g, a, b, y: -g),
    "multiply": (lambda xp, g, a, b, y: g * b, lambda xp, g, a, b, y: g * a),
    "divide": (lambda xp, g, a, b, y: g / b, lambda xp, g, a, b, y: -g * y / b),
    "pow": (lambda xp, g, a, b, y: g * b * _power(xp, a, b), lambda xp, g, a, b, y: g * y * _logarithm(xp, a, y)),
    "remainder": (lambda xp, g, a, b, y: g, lambda xp, g, a, b, y: -g * xp.floor(a / b)),
    "atan2": (
        lambda xp, g, a, b, y: g * b / (a * a + b * b),
        lambda xp, g, a, b, y: -g * a / (a * a + b * b),
    ),
    "hypot": (lambda xp, g, a, b, y: g * (a / y), lambda xp, g, a, b, y: g * (b / y)),
    "logaddexp": (lambda xp, g, a, b, y: g * xp.exp(a - y), lambda xp, g, a, b, y: g * xp.exp(b - y)),
    "maximum": (
        lambda xp, g, a, b, y: _chosen(xp, g, a > b, a < b),
        lambda xp, g, a, b, y: _chosen(xp, g, a < b, a > b),
    ),
    "minimum": (
        lambda xp, g, a, b, y: _chosen(xp, g, a < b, a > b),
        lambda xp, g, a, b, y: _chosen(xp, g, a > b, a < b),
    ),
}
"""The cotangents of a and of b, from that of y = f(a, b); before they are summed over what was broadcast."""

STEPS = ("sign", "floor", "ceil", "trunc", "round", "floor_divide")
"""Functions whose derivative is 0, their jumps included."""

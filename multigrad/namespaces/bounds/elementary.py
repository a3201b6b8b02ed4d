# ruff: noqa: A001  the names are the standard's
"""Elementary and special functions: how far an error of the argument moves each, and powers.

``moved(v, y, r)`` is how far an error r moves the result y = f(v). Both v and the point where f is evaluated lie within
2r of the exact argument's neighbour, so slopes are taken over v ± 2r.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import exact
from .arithmetic import divide, multiply
from .arrays import Array, Error, as_array, plus, times
from .model import Floats, current
from .rules import bounded, elementwise, only_whole_numbers, rounding
from .ulps import SPECIAL_ULPS

Moved = Callable[[Floats, Floats, Floats], Any]


def _elementary(name: str, function: Callable[[Floats], Floats], moved: Moved, *, signed: bool = True) -> Any:
    def elementary(x: Any, /) -> Array:
        A = as_array(x)
        value = function(A.value)

        def propagate(r: Error) -> Error:
            return r if isinstance(r, float) else moved(A.value, value, r)

        return elementwise([A], value, propagate, ulps=current().ulps(name), signed=signed)

    elementary.__doc__ = f"As NumPy's ``{function.__name__}``."
    return elementary


def _far(v: Floats, r: Floats) -> Any:
    return np.abs(v) + 2.0 * r


def _near(v: Floats, r: Floats) -> Any:
    return np.maximum(np.abs(v) - 2.0 * r, 0.0)


def _over(r: Floats, low: Any) -> Any:
    return np.where(low > 0, r / low, np.where(r > 0, np.inf, 0.0))


def _of_exp(v: Floats, y: Floats, r: Floats) -> Any:
    # No two powers of e are further apart than the larger one: where a mask has put −10³⁸, both are 0.
    return np.fmin(y * np.exp(r) * np.expm1(r), np.exp(v + 2.0 * r))


# fmt: off
exp   = _elementary("exp",   np.exp,     _of_exp, signed=False)
expm1 = _elementary("expm1", np.expm1,   lambda v, y, r: np.exp(v + r) * np.expm1(r))
log   = _elementary("log",   np.log,     lambda v, y, r: _over(r, v - 2.0 * r))
log2  = _elementary("log2",  np.log2,    lambda v, y, r: _over(r, v - 2.0 * r) / math.log(2.0))
log10 = _elementary("log10", np.log10,   lambda v, y, r: _over(r, v - 2.0 * r) / math.log(10.0))
log1p = _elementary("log1p", np.log1p,   lambda v, y, r: _over(r, 1.0 + v - 2.0 * r))
sin   = _elementary("sin",   np.sin,     lambda v, y, r: r * np.minimum(1.0, np.abs(np.cos(v)) + 2.0 * r))
cos   = _elementary("cos",   np.cos,     lambda v, y, r: r * np.minimum(1.0, np.abs(np.sin(v)) + 2.0 * r))
tan   = _elementary("tan",   np.tan,     lambda v, y, r: _over(r, np.maximum(np.abs(np.cos(v)) - 2.0 * r, 0.0) ** 2))
sinh  = _elementary("sinh",  np.sinh,    lambda v, y, r: r * np.cosh(_far(v, r)))
cosh  = _elementary("cosh",  np.cosh,    lambda v, y, r: r * np.sinh(_far(v, r)), signed=False)
tanh  = _elementary("tanh",  np.tanh,    lambda v, y, r: r / np.cosh(_near(v, r)) ** 2)
asin  = _elementary("asin",  np.arcsin,  lambda v, y, r: _over(r, np.sqrt(np.maximum(1.0 - _far(v, r) ** 2, 0.0))))
acos  = _elementary("acos",  np.arccos,  lambda v, y, r: _over(r, np.sqrt(np.maximum(1.0 - _far(v, r) ** 2, 0.0))))
atan  = _elementary("atan",  np.arctan,  lambda v, y, r: r / (1.0 + _near(v, r) ** 2))
asinh = _elementary("asinh", np.arcsinh, lambda v, y, r: r / np.sqrt(1.0 + _near(v, r) ** 2))
acosh = _elementary("acosh", np.arccosh, lambda v, y, r: _over(r, np.sqrt(np.maximum(v - 2.0 * r, 1.0) ** 2 - 1.0)))
atanh = _elementary("atanh", np.arctanh, lambda v, y, r: _over(r, 1.0 - _far(v, r) ** 2))
# fmt: on


def _special(name: str, moved: Moved, scale: float = 0.0) -> Any:
    """A function that the standard lacks; near its zeros libraries are as far off as where it is ``scale``."""

    def special(x: Any, /) -> Array:
        A = as_array(x)
        value = _evaluated(name, A.value)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            shift = errors[0] if isinstance(errors[0], float) else moved(A.value, value, errors[0])
            return rounding(value, shift, SPECIAL_ULPS) + 2.0 * SPECIAL_ULPS * current().u * scale

        return bounded([A], value, rule, rounds=True)

    special.__doc__ = f"As SciPy's or torch's ``{name}``."
    return special


TINY = 1e-300
"""Where a quotient by x stands for its limit at 0."""


def _evaluated(name: str, x: Floats) -> Floats:
    return np.asarray(exact.midpoints(exact.FUNCTIONS[name](x)))


def _larger_end(name: str, v: Floats, r: Floats) -> Floats:
    return np.maximum(*(np.abs(_evaluated(name, end)) for end in (v - 2.0 * r, v + 2.0 * r)))


def _slope(name: str) -> Moved:
    """The slope times r, between poles at 0, −1, −2, …: the larger of those at the ends of the interval."""

    def moved(v: Floats, y: Floats, r: Floats) -> Any:
        between = (v - 2.0 * r > 0) | (np.ceil(v - 2.0 * r) > np.floor(v + 2.0 * r))
        slope = _larger_end(name, np.where(between, v, 1.0), np.where(between, r, 0.0))
        return np.where(between, slope * r, np.where(r > 0, np.inf, 0.0))

    return moved


def _bell(v: Floats, y: Floats, r: Floats) -> Any:
    return r * (2.0 / math.sqrt(math.pi)) * np.exp(-(_near(v, r) ** 2))


def _of_gamma(v: Floats, y: Floats, r: Floats) -> Any:
    return _slope("digamma")(v, y, r) * _larger_end("gamma", v, r)


def _of_i0e(v: Floats, y: Floats, r: Floats) -> Any:
    # |i0e′| = i0e − i1e falls with |x|.
    near = _near(v, r)
    return r * (_evaluated("i0e", near) - _evaluated("i1e", near))


def _of_i1e(v: Floats, y: Floats, r: Floats) -> Any:
    # i1e′ = i0e − i1e − i1e / x is a difference of two functions that fall with |x|.
    near = np.maximum(_near(v, r), TINY)
    first = _evaluated("i1e", near)
    return r * np.maximum(_evaluated("i0e", near) - first, first / near)


def _of_erfinv(v: Floats, y: Floats, r: Floats) -> Any:
    far = _far(v, r)
    end = _evaluated("erfinv", np.where(far < 1, far, 0.0))
    return np.where(far < 1, r * (0.5 * math.sqrt(math.pi)) * np.exp(end * end), np.where(r > 0, np.inf, 0.0))


erf, erfc = _special("erf", _bell), _special("erfc", _bell)
lgamma, gamma = _special("lgamma", _slope("digamma"), scale=1.0), _special("gamma", _of_gamma)
digamma = _special("digamma", _slope("trigamma"), scale=1.0)
i0e, i1e = _special("i0e", _of_i0e), _special("i1e", _of_i1e)
erfinv = _special("erfinv", _of_erfinv)


def hurwitz_zeta(s: int, x: Any, /) -> Array:
    """Σ (x + k)⁻ˢ over k ≥ 0, for positive arguments: its slope falls."""
    A = as_array(x)
    value = np.asarray(exact.midpoints(exact.hurwitz_zeta(s, A.value)))

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        r = np.asarray(errors[0])
        low = A.value - 2.0 * r
        slope = s * np.asarray(exact.midpoints(exact.hurwitz_zeta(s + 1, np.where(low > 0, low, 1.0))))
        return rounding(value, np.where(low > 0, slope * r, np.where(r > 0, np.inf, 0.0)), SPECIAL_ULPS)

    return bounded([A], value, rule, rounds=True)


def trigamma(x: Any, /) -> Array:
    """The derivative of the digamma function."""
    return hurwitz_zeta(2, x)


def sqrt(x: Any, /) -> Array:
    """|√x̂ − √x| = |x̂ − x|/(√x̂ + √x); infinite where an evaluation may find a negative number."""
    A = as_array(x)

    def moved(r: Error) -> Error:
        if isinstance(r, float):
            return r
        low, lower = np.maximum(A.value - r, 0.0), np.maximum(A.value - 2.0 * r, 0.0)
        slope = np.where(lower > 0, r / (np.sqrt(low) + np.sqrt(lower)), np.inf)
        # |√a − √b| ≤ √|a − b| holds down to zero, for numbers that cannot be negative.
        return np.minimum(slope, np.where(A.nonnegative | (lower > 0) | (r == 0), np.sqrt(r), np.inf))

    return elementwise([A], np.sqrt(A.value), moved, ulps=current().ulps("sqrt"), signed=False)


def pow(a: Any, b: Any, /) -> Any:
    """Powers: by products for a small whole exponent, else as exp(b·log a)."""
    if only_whole_numbers(a, b):
        return np.power(a, b)
    if isinstance(b, int | float) and float(b).is_integer() and abs(b) <= 64:
        return _whole_power(as_array(a), int(b))
    A, B = as_array(a), as_array(b)
    value = A.value**B.value

    size = np.abs(A.value)

    def moved(x: Error, y: Error) -> Error:
        low = size - times(2.0, x)
        shift = np.where(low > 0, np.asarray(x) / low, np.where((value == 0) & (np.asarray(x) == 0), 0.0, np.inf))
        exponent = plus(np.abs(B.value) * shift, times(np.abs(np.log(size)), y), times(3.0, times(shift, y)))
        moving = np.abs(value) * np.exp(exponent) * np.expm1(exponent)
        known = np.asarray(y) == 0
        # Around 0 no two powers are further apart than twice the largest.
        whole = known & (B.value >= 0) & (np.rint(B.value) == B.value)
        moving = np.where(whole & (low <= 0), 2.0 * (size + times(2.0, x)) ** B.value, moving)
        # 1 whatever the base, and 0 whatever the positive exponent; a negative base has whole exponents alone.
        still = (known & (B.value == 0)) | ((A.value == 0) & (np.asarray(x) == 0) & (B.value > 0))
        return np.where(still, 0.0, np.where((A.value < 0) & ~known, np.inf, moving))

    return elementwise([A, B], value, moved, ulps=current().ulps("pow"), signed=not A.nonnegative)


def _whole_power(A: Array, n: int) -> Any:
    if n == 0:
        return as_array(np.ones(A.shape))
    if n < 0:
        return divide(1, _whole_power(A, -n))
    if n <= 2:
        return A if n == 1 else multiply(A, A)

    def moved(r: Error) -> Error:
        return r if isinstance(r, float) else n * _far(A.value, r) ** (n - 1) * r

    ulps = max(0.5 * (n - 1), current().ulps("pow"))
    signed = bool(n % 2) and not A.nonnegative
    return elementwise([A], A.value**n, moved, ulps=ulps, exact=True, signed=signed)


def atan2(a: Any, b: Any, /) -> Array:
    """The slope is at most 1/r; a whole turn where the cut may be crossed."""
    A, B = as_array(a), as_array(b)

    def moved(x: Error, y: Error) -> Error:
        x, y = np.asarray(x), np.asarray(y)
        low = np.hypot(_near(A.value, x), _near(B.value, y))
        cut = (np.abs(A.value) <= 2.0 * x) & (x > 0) & (B.value - 2.0 * y <= 0)
        slope = _over(_far(A.value, x) * y + _far(B.value, y) * x, low**2)
        return np.where(cut, 2.0 * np.pi, np.minimum(slope, 2.0 * np.pi))

    return elementwise([A, B], np.arctan2(A.value, B.value), moved, ulps=current().ulps("atan2"))


def hypot(a: Any, b: Any, /) -> Array:
    """√(a² + b²), whose slope is at most 1 in each argument."""
    A, B = as_array(a), as_array(b)
    return elementwise([A, B], np.hypot(A.value, B.value), plus, ulps=current().ulps("hypot"), signed=False)


def logaddexp(a: Any, b: Any, /) -> Array:
    """log(eᵃ + eᵇ), which moves no further than the larger error; computed as max(a, b) + log1p(e^−|a−b|)."""
    A, B = as_array(a), as_array(b)
    value = np.logaddexp(A.value, B.value)
    ulps = current().ulps("logaddexp")

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        moved = np.maximum(errors[0], errors[1])
        # The sum may cancel, so its parts are what is rounded.
        parts = np.abs(np.maximum(A.value, B.value)) + 1.0
        return rounding(value, moved, ulps) + 2.0 * ulps * current().u * (parts + 2.0 * moved)

    return bounded([A, B], value, rule)

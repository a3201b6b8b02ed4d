"""Functions of single balls, where Arb's own need an extension: to the edge of a domain, over a pole, around zero."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from flint import arb, fmpq

ANYTHING = arb(0, "inf")
"""Some number, of which nothing is known."""


def hull(*ends: arb) -> arb:
    """The smallest ball around exact numbers."""
    return functools.reduce(arb.union, ends) if all(e.is_finite() for e in ends) else ANYTHING


def quotient(a: Any, b: Any) -> Any:
    """The quotient. By a ball that holds zero and other numbers it is anything; by zero itself it has no value."""
    ratio = a / b
    if isinstance(ratio, arb) and ratio.is_nan() and not (a.is_nan() or b.is_nan() or b.is_exact()):
        return ANYTHING
    return ratio


def _monotone(
    function: Callable[[arb], arb], low: float = -math.inf, high: float = math.inf, **ends: float
) -> Callable[[arb], arb]:
    """Extend a monotone function of balls to those that reach over the edge of its domain.

    Arb has NaN for them. Where the number itself lies beyond the edge, more precision shows it; until then it is one of
    those inside.

    Args:
        function: the function of Arb.
        low: where its domain begins.
        high: where it ends.
        ends: its values there, ``at_low`` and ``at_high``, where they are infinite.
    """

    def at(x: arb) -> arb:
        if x == low and "at_low" in ends:
            return arb(ends["at_low"])
        return arb(ends["at_high"]) if x == high and "at_high" in ends else function(x)

    def apply(x: arb) -> arb:
        result = function(x)
        if not result.is_nan() or x.is_nan():
            return at(x) if x.is_exact() else result
        first, last = max(x.lower(), arb(low)), min(x.upper(), arb(high))
        if first > last:
            return result
        return at(x) if x.is_exact() else hull(at(first), at(last))

    return apply


def with_poles(function: Callable[[arb], arb]) -> Callable[[arb], arb]:
    """Extend a function of balls to those that may hold a pole, where Arb has NaN."""

    def apply(x: arb) -> arb:
        result = function(x)
        return ANYTHING if result.is_nan() and x.is_finite() and not x.is_exact() else result

    return apply


def _lgamma(x: arb) -> arb:
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


_MOST_FACTORS = 1000
"""A whole number that a ball may have and still be taken for a number of factors, or of summands."""


def zeta(s: int, x: arb) -> arb:
    """Σ (x + k)⁻ˢ over k ≥ 0; Arb has it for positive x, and what comes before is added."""
    below = (-x).ceil().unique_fmpz()
    count = 0 if below is None else max(0, int(below))
    if count > _MOST_FACTORS:
        return arb("nan")
    return sum((1 / (x + k) ** s for k in range(count)), arb(s).zeta(x + count))


def scaled_bessel(n: int, x: arb) -> arb:
    """Iₙ(x) exp(−|x|)."""
    return x.bessel_i(n) * (-abs(x)).exp()


_log = _monotone(arb.log, 0, at_low=-math.inf)

ELEMENTARY: dict[str, Callable[[arb], arb]] = {
    "exp": arb.exp,
    "expm1": arb.expm1,
    "log": _log,
    "log1p": _monotone(arb.log1p, -1, at_low=-math.inf),
    "log2": lambda x: _log(x) / arb.const_log2(),
    "log10": lambda x: _log(x) / arb.const_log10(),
    "sqrt": _monotone(arb.sqrt, 0),
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": with_poles(arb.tan),
    "asin": _monotone(arb.asin, -1, 1),
    "acos": _monotone(arb.acos, -1, 1),
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": _monotone(arb.asinh),
    "acosh": _monotone(arb.acosh, 1),
    "atanh": _monotone(arb.atanh, -1, 1, at_low=-math.inf, at_high=math.inf),
    # The standard lacks these; torch and SciPy have them.
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erfinv": _monotone(arb.erfinv, -1, 1, at_low=-math.inf, at_high=math.inf),
    "i0e": lambda x: scaled_bessel(0, x),
    "i1e": lambda x: scaled_bessel(1, x),
    "gamma": with_poles(arb.gamma),
    "lgamma": with_poles(_lgamma),
    "digamma": with_poles(arb.digamma),
    "trigamma": with_poles(lambda x: zeta(2, x)),
}
"""Functions of one ball."""


def whole_power(base: Any, n: int) -> Any:
    """A power with an exponent n ≥ 0; Arb has NaN for one of a ball around zero."""
    result = base**n
    if isinstance(result, fmpq) or not result.is_nan() or base.is_nan():
        return result
    low, high = base.lower(), base.upper()
    return hull(low**n, high**n) if n % 2 else hull(arb(0), max(-low, high) ** n)


def power(base: arb, exponent: arb) -> Any:
    """A power with any exponent, whole ones included."""
    n = exponent.unique_fmpz() if exponent.is_integer() else None
    if n is not None and abs(n) <= _MOST_FACTORS:
        result = whole_power(base, abs(int(n)))
        return quotient(arb(1), result) if n < 0 else result
    result = base**exponent
    if not result.is_nan() or base.is_nan() or exponent.is_nan() or (base.is_exact() and exponent.is_exact()):
        return result
    if exponent > 0 and base.upper() >= 0:
        return hull(arb(0), base.upper() ** exponent.lower(), base.upper() ** exponent.upper())
    return result if base < 0 and exponent.is_exact() else ANYTHING


def _half_to_even(x: arb) -> arb:
    low = x.floor()
    half = low + arb(0.5)
    if x < half:
        return low
    if x > half or (x == half and not (low / 2).is_integer()):
        return low + 1
    return low if x == half else arb(0, 1)


ROUNDINGS: dict[str, Callable[[arb], arb]] = {
    "floor": arb.floor,
    "ceil": arb.ceil,
    "trunc": lambda x: x.floor() if x >= 0 else x.ceil() if x <= 0 else arb(0, 1),
    "round": _half_to_even,
}
"""Functions that jump from one whole number to the next; a ball that no whole number is alone in is undecided."""

QUESTIONS: dict[str, Callable[[Any], bool]] = {
    "isnan": lambda x: isinstance(x, arb) and x.is_nan(),
    "isfinite": lambda x: isinstance(x, fmpq) or x.is_finite(),
    "isinf": lambda x: isinstance(x, arb) and not x.is_finite() and not x.is_nan(),
}
"""What may be asked of a ball or a fraction."""

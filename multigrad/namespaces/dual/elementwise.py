"""Functions that act entry by entry: the rules of the elementary functions, comparisons, the larger of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..exact import ExactArray, Kink
from ..shared.operators import COMPARISONS
from .arrays import DualArray, aligned, lift
from .kinks import poisoned, unlike
from .rules import BINARY, UNARY
from .table import FUNCTIONS, VALUED, valued


def _scaled(factor: Any, tangent: ExactArray) -> Any:
    if factor is None:
        return None
    if isinstance(factor, int):
        return tangent if factor == 1 else -tangent
    return factor * tangent


def _unary(name: str) -> Callable[[Any], Any]:
    function, derivative = VALUED[name], UNARY[name]

    def apply(x: Any, /) -> Any:
        if not isinstance(x, DualArray):
            return function(x)
        y = function(x.value)
        return DualArray(y, None if x.tangent is None else _scaled(derivative(x.value, y), x.tangent))

    return apply


def _binary(name: str) -> Callable[[Any, Any], Any]:
    function: Callable[..., Any] = VALUED[name]
    derivatives = BINARY[name]

    def apply(x1: Any, x2: Any, /) -> Any:
        if not isinstance(x1, DualArray) and not isinstance(x2, DualArray):
            return function(x1, x2)
        # A rule must not divide or subtract Python's floats: they round. Integer exponents alone stay what they are.
        a, b = (x if isinstance(x, int) and name == "pow" else lift(x).value for x in (x1, x2))
        y = function(a, b)
        parts = [
            _scaled(derivative(a, b, y), aligned(x.tangent, y.ndim))
            for derivative, x in zip(derivatives, (x1, x2), strict=True)
            if isinstance(x, DualArray) and x.tangent is not None
        ]
        if not parts:
            return DualArray(y)
        total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return DualArray(y, VALUED["broadcast_to"](total, (total.shape[0], *y.shape)))

    return apply


FUNCTIONS |= {name: _unary(name) for name in UNARY} | {name: _binary(name) for name in BINARY}

FUNCTIONS["true_divide"] = FUNCTIONS["divide"]
FUNCTIONS["conj"] = FUNCTIONS["real"] = FUNCTIONS["positive"]
_power = FUNCTIONS["pow"]


@valued
def hurwitz_zeta(s: int, x: Any, /) -> Any:
    """Σ (x + k)⁻ˢ over k ≥ 0, whose derivative is −s Σ (x + k)⁻ˢ⁻¹."""
    tangent = None if x.tangent is None else -s * VALUED["hurwitz_zeta"](s + 1, x.value) * x.tangent
    return DualArray(VALUED["hurwitz_zeta"](s, x.value), tangent)


@valued
def pow_(x1: Any, x2: Any, /) -> Any:
    """x₁ to the power x₂; x⁰ is constant, also at 0."""
    if isinstance(x2, int | float | np.number) and x2 == 0:
        return DualArray(VALUED["pow"](x1.value, 0))
    return _power(x1, int(x2) if isinstance(x2, float | np.integer) and float(x2).is_integer() else x2)


def _compared(name: str) -> Callable[[Any, Any], Any]:
    def compare(x1: Any, x2: Any, /) -> Any:
        first, second = (x.value if isinstance(x, DualArray) else x for x in (x1, x2))
        if any(isinstance(x, DualArray) and x.tangent is not None for x in (x1, x2)):
            # What moves alike stays equal, such as the distance of a point from itself and 0.
            ties = unlike(lift(x1), lift(x2))
            if ties.any():
                raise Kink(f"{name} compares equal values in {int(ties.sum())} of {ties.size} entries: a kink")
        return VALUED[name](first, second)

    return compare


FUNCTIONS |= {name: _compared(name) for name in COMPARISONS}


STEPS = ("floor", "ceil", "trunc", "round", "sign")


def _step(name: str) -> Callable[[Any], Any]:
    function, derivative = VALUED[name], UNARY[name]

    def apply(x: Any, /) -> Any:
        y = function(x.value)
        slope = derivative(x.value, y)
        if slope is None:
            return DualArray(y)
        # What stands at a jump and does not move stays there, such as what was clipped to a whole number.
        moving = unlike(x, DualArray(x.value))
        jumps = np.asarray(VALUED["isnan"](slope), dtype=bool) & moving
        return poisoned(name, jumps, DualArray(y, 0 * x.tangent)) if jumps.any() else DualArray(y)

    return apply


for _name in STEPS:
    valued(_step(_name), _name)


def _extreme(name: str, better: str) -> Callable[..., Any]:
    def apply(x1: Any, x2: Any, /) -> Any:
        a, b = lift(x1), lift(x2)
        result = FUNCTIONS["where"](VALUED[better](a.value, b.value), a, b)
        return poisoned(name, unlike(a, b), result)

    return apply


valued(_extreme("maximum", "greater_equal"), "maximum")
valued(_extreme("minimum", "less_equal"), "minimum")


@valued
def abs_(x: Any, /) -> Any:
    """The larger of x and −x; 0 has a tangent of NaN, unless it does not move."""
    negative = FUNCTIONS["negative"](x)
    result = FUNCTIONS["where"](VALUED["greater_equal"](x.value, 0), x, negative)
    return poisoned("abs", unlike(x, negative), result)

"""Functions that act entry by entry: arithmetic, elementary functions, comparisons, roundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from ..shared.operators import COMPARISONS, LOGICAL, WHOLE_ONLY, Operators
from ..shared.unsupported import Unsupported
from . import degrees
from .arrays import ExactArray, array, lift, unmoved, whole
from .balls import ELEMENTARY, QUESTIONS, ROUNDINGS, power, quotient, scaled_bessel, whole_power, with_poles, zeta
from .context import Undecided, refuse_fractions
from .degrees import CONSTANT, Degree, count_branch
from .table import FUNCTIONS, integral, public


def _binary(ufunc: Any, combined: Callable[[Degree, Degree], Degree]) -> Callable[[Any, Any], ExactArray]:
    def operate(x1: Any, x2: Any, /) -> ExactArray:
        a, b = lift(x1), lift(x2)
        return array(ufunc(a.elements, b.elements), combined(a.degree, b.degree))

    return operate


integral(_binary(np.add, degrees.added), "add")
integral(_binary(np.subtract, degrees.added), "subtract")
integral(_binary(np.multiply, degrees.multiplied), "multiply")
FUNCTIONS["divide"] = FUNCTIONS["true_divide"] = _binary(np.frompyfunc(quotient, 2, 1), degrees.divided)


@integral
def negative(x: Any, /) -> ExactArray:
    """−x."""
    x = lift(x)
    return array(np.negative(x.elements), x.degree)


FUNCTIONS["conj"] = FUNCTIONS["real"] = integral(lift, "positive")


@integral
def square(x: Any, /) -> ExactArray:
    """x²."""
    x = lift(x)
    return array(np.multiply(x.elements, x.elements), degrees.multiplied(x.degree, x.degree))


@public
def reciprocal(x: Any, /) -> Any:
    """1 / x."""
    return FUNCTIONS["divide"](1, x)


def _elementary(name: str, of_one: Callable[[arb], arb]) -> Callable[[Any], ExactArray]:
    ufunc = np.frompyfunc(of_one, 1, 1)

    def apply(x: Any, /) -> ExactArray:
        refuse_fractions(name)
        return array(ufunc(lift(x).elements), None)

    return apply


FUNCTIONS |= {name: _elementary(name, of_one) for name, of_one in ELEMENTARY.items()}


@public
def atan2(x1: Any, x2: Any, /) -> ExactArray:
    """The angle of the point (x₂, x₁)."""
    refuse_fractions("atan2")
    return array(np.frompyfunc(arb.atan2, 2, 1)(lift(x1).elements, lift(x2).elements), None)


@integral
def pow_(x1: Any, x2: Any, /) -> Any:
    """x₁ to the power x₂; an integer exponent takes any base."""
    base = lift(x1)
    if isinstance(x2, float) and x2.is_integer():
        x2 = int(x2)
    if isinstance(x2, int | np.integer):
        n, inverted = abs(int(x2)), x2 < 0
        degree: Degree = None if base.degree is None else (base.degree[0] * n, base.degree[1] * n)
        result = array(np.frompyfunc(lambda b: whole_power(b, n), 1, 1)(base.elements), degree)
        return reciprocal(result) if inverted else result
    refuse_fractions("pow")
    return array(np.frompyfunc(power, 2, 1)(base.elements, lift(x2).elements), None)


@integral
def abs_(x: Any, /) -> ExactArray:
    """|x|: a ball around 0 needs no decision, since |x| is continuous."""
    x = lift(x)
    count_branch(x.degree)
    return array(np.absolute(x.elements), x.degree)


def _compared(name: str) -> Callable[[Any, Any], Any]:
    _, true, false = COMPARISONS[name]
    of_itself = name in ("less_equal", "greater_equal", "equal")

    def compare(x1: Any, x2: Any, /) -> Any:
        first, second = unmoved(x1), unmoved(x2)
        count_branch(first.degree, second.degree)
        a, b = np.broadcast_arrays(first.elements, second.elements)
        yes, no = np.asarray(true(a, b), dtype=bool), np.asarray(false(a, b), dtype=bool)
        open_ = ~(yes | no)
        if open_.any():
            same = np.asarray(np.frompyfunc(lambda x, y: x is y and not x.is_nan(), 2, 1)(a, b), dtype=bool)
            if (open_ & ~same).any():
                raise Undecided(f"{name} is undecided for {int((open_ & ~same).sum())} of {open_.size} entries")
            yes = np.where(open_, of_itself, yes)
        return whole(yes)

    return compare


for _name in COMPARISONS:
    integral(_compared(_name), _name)


def _extreme(better: str, enclosed: Callable[[arb, arb], arb]) -> Callable[[Any, Any], Any]:
    ufunc = np.frompyfunc(enclosed, 2, 1)

    def apply(x1: Any, x2: Any, /) -> Any:
        """The larger or the smaller one; balls that overlap need no decision, since it is continuous."""
        x1, x2 = lift(x1), lift(x2)
        try:
            return FUNCTIONS["where"](FUNCTIONS[better](x1, x2), x1, x2)
        except Undecided:
            return array(ufunc(x1.elements, x2.elements), degrees.added(x1.degree, x2.degree))

    return apply


integral(_extreme("greater_equal", arb.max), "maximum")
integral(_extreme("less_equal", arb.min), "minimum")


@integral
def sign(x: Any, /) -> ExactArray:
    """−1, 0 or 1."""
    x = lift(x)
    above, below = FUNCTIONS["greater"](x, 0), FUNCTIONS["less"](x, 0)
    return lift(np.asarray(above, dtype=int) - np.asarray(below, dtype=int))


def _rounded(name: str, nearest: Callable[[Any], Any]) -> Callable[[Any], ExactArray]:
    def of_one(x: Any) -> Any:
        if x.is_nan() or (x.is_exact() and not x.is_finite()):
            return x
        result = nearest(x).unique_fmpz()
        if result is None:
            raise Undecided(f"{name} is undecided")
        return arb(result)

    def apply(x: Any, /) -> ExactArray:
        x = lift(x)
        refuse_fractions(name)
        count_branch(x.degree)
        return array(np.frompyfunc(of_one, 1, 1)(x.elements), CONSTANT)

    return apply


for _name, _nearest in ROUNDINGS.items():
    integral(_rounded(_name, _nearest), _name)


def _asked(name: str, question: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def of_one(x: Any) -> bool:
        if name != "isnan" and isinstance(x, arb) and not (x.is_finite() or x.is_nan() or x.rad().is_finite()):
            raise Undecided(f"{name} is undecided")
        return question(x)

    return lambda x, /: whole(np.asarray(np.frompyfunc(of_one, 1, 1)(lift(x).elements), dtype=bool))


for _name, _question in QUESTIONS.items():
    integral(_asked(_name, _question), _name)


def condition(x: Any) -> np.ndarray:
    """Return truth values; real numbers are true where they are not 0."""
    return np.asarray(FUNCTIONS["not_equal"](x, 0) if isinstance(x, Operators) else x)


def _logical(name: str) -> Callable[..., Any]:
    return lambda *xs: whole(getattr(np, name)(*(condition(x) for x in xs)))


FUNCTIONS |= {name: _logical(name) for name in LOGICAL}


def _whole_only(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def apply(*xs: Any, **options: Any) -> Any:
        if any(isinstance(x, Operators) for x in xs):
            raise Unsupported(f"xp.{name}", "it takes integers and conditions alone")
        result = function(*xs, **options)
        return type(result)(*map(whole, result)) if hasattr(result, "_fields") else whole(result)

    return apply


FUNCTIONS |= {name: _whole_only(name) for name in WHOLE_ONLY}


@public
def hurwitz_zeta(s: int, x: Any, /) -> ExactArray:
    """Σ (x + k)⁻ˢ over k ≥ 0: the derivatives of the digamma function."""
    refuse_fractions("hurwitz_zeta")
    return array(np.frompyfunc(with_poles(lambda v: zeta(s, v)), 1, 1)(lift(x).elements), None)


def i2e(x: Any) -> ExactArray:
    """I₂(x) exp(−|x|), which the derivative of I₁(x) exp(−|x|) has."""
    return array(np.frompyfunc(lambda v: scaled_bessel(2, v), 1, 1)(lift(x).elements), None)

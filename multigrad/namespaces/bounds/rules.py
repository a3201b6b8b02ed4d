"""The rules that all bounded functions share: rounding, sums in any order, matrix products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...verdict.formats import Format
from .arrays import Array, Choice, Error, Parts, error_or_zero, is_ours, nothing, plus, times, up
from .model import Context, Floats, current, gamma, probable_gamma


@dataclass(frozen=True)
class Unit:
    """How roundings add up: in the worst case, or as they usually do."""

    arithmetic: Context
    worst: bool
    """Whether this is the worst case."""

    def steps(self, k: Any, u: float | None = None) -> Any:
        """Return the coefficient of k roundings one after the other; k is a number or an array of them."""
        u = self.arithmetic.u if u is None else u
        if np.ndim(k) > 0:
            return np.reshape([self.steps(float(n), u) for n in np.ravel(k)], np.shape(k))
        return gamma(k, u) if self.worst else probable_gamma(k, u, self.arithmetic.confidence)

    def sums(self, k: Any, reach: Any, value: Floats, moved: Error, kept: float) -> Any:
        """Bound the error of sums with k additions each, k a number or an array, kept in a unit roundoff.

        In a finer unit than the format's, what remains is the one rounding with which a sum is stored; a sum of one
        term has none.

        Args:
            k: how many additions.
            reach: sums of the magnitudes.
            value: the sums of the float64 evaluation.
            moved: how far errors of the terms move them.
            kept: the unit roundoff.
        """
        u = self.arithmetic.u
        inside = self.steps(k, kept) * reach
        if kept >= u:
            return inside
        return inside + np.where(np.asarray(k) > 0, u * plus(np.abs(value), times(2.0, plus(moved, inside))), 0.0)

    def products(self, k: int, reach: Any, value: Floats, moved: Error, kept: float) -> Any:
        """Bound the error of inner products of length k; the parameters are those of :meth:`sums`.

        With operands rounded to a coarser unit (TF32) each product has an error of 2p + p², and tensor cores may
        truncate where they add, which doubles the unit.
        """
        u, p = self.arithmetic.u, self.arithmetic.product_u
        if p > u:
            inside = self.steps(k, 2 * u)
            return float(inside + (2 * p + p * p) * (1 + inside)) * reach
        return self.sums(k, reach, value, moved, kept)


class Rule(Protocol):
    """Bounds a result's error by its operands' errors; called for the worst case, then for the probable one."""

    def __call__(self, errors: Sequence[Error], unit: Unit, /) -> Any:
        """Return the error: an array that broadcasts to the result, or the float 0.0."""


Infinite = Callable[[Floats, int], Any]
"""Finds where an infinite result is exact, given the value and which part of the operands to look at."""


def bounded(
    operands: Sequence[Array],
    value: Any,
    rule: Rule,
    *,
    rounds: bool = False,
    differ: bool = False,
    integral: bool = False,
    nonnegative: bool = False,
    infinite: Infinite | None = None,
) -> Array:
    """Make the result of a function from its value and the rule for its error.

    Args:
        operands: the arguments whose errors the rule takes, in that order.
        value: the result of the float64 evaluation.
        rule: bounds the error.
        rounds: whether the result is computed rather than selected, so that it may overflow.
        differ: whether the rule itself tells the worst case from the probable one.
        integral: whether the result is exact and whole.
        nonnegative: whether no evaluation can give a negative result.
        infinite: finds the infinite results that are exact.
    """
    value = np.asarray(value, dtype=np.float64)
    arithmetic = current()
    worst = _shaped(
        value, rule([error_or_zero(a.worst) for a in operands], Unit(arithmetic, True)), rounds, infinite, 1
    )
    if not differ and all(a.worst is a.probable for a in operands):
        probable = worst
    else:
        errors = [error_or_zero(a.probable) for a in operands]
        probable = _shaped(value, rule(errors, Unit(arithmetic, False)), rounds, infinite, 2)
        probable = np.asarray(np.minimum(probable, worst))
    return Array(value, worst, probable, integral=integral, nonnegative=nonnegative)


def _shaped(value: Floats, computed: Any, rounds: bool, infinite: Infinite | None, part: int) -> Floats:
    """Give the error the value's shape, and make it infinite where nothing can be said."""
    if isinstance(computed, float) and computed == 0.0:
        return nothing(value.shape)
    error: Floats = np.asarray(computed, dtype=np.float64)
    if error.shape != value.shape:
        error = np.broadcast_to(error, value.shape)
    if not rounds:
        lost = np.isnan(error)
        return np.asarray(np.where(lost, np.inf, error)) if lost.any() else error
    reach = np.abs(value) + 2.0 * error
    if np.max(reach, initial=0.0) <= current().overflow:
        return error
    error = np.where(reach <= current().overflow, error, np.inf)
    return error if infinite is None else np.asarray(np.where(infinite(value, part), 0.0, error))


def rounding(value: Floats, moved: Error, ulps: float) -> Any:
    """Return the error of a result that is off by so many ulps, after its arguments' errors have moved it.

    |f(â)| ≤ |v| + 2·moved; one ulp is at most 2u of the result.
    """
    arithmetic = current()
    relative = 2.0 * ulps * arithmetic.u
    return up(plus(relative * np.abs(value), times(1.0 + 2.0 * relative, moved)) + arithmetic.underflow)


def elementwise(
    operands: Sequence[Array],
    value: Any,
    moved: Callable[..., Error],
    *,
    ulps: float,
    exact: bool = False,
    signed: bool = True,
    infinite: Infinite | None = None,
) -> Array:
    """Make the result of an elementwise function.

    Args:
        operands: the arguments.
        value: the result of the float64 evaluation.
        moved: takes one error for each argument and bounds how far they move the result.
        ulps: the error of the function itself; half an ulp if it is correctly rounded.
        exact: whether whole numbers in give whole numbers out.
        signed: whether a result may be negative.
        infinite: finds the infinite results that are exact.
    """
    value = np.asarray(value, dtype=np.float64)
    if exact and all(a.integral for a in operands) and np.max(np.abs(value), initial=0.0) <= current().exact_below():
        return Array(value, *(nothing(value.shape),) * 2, integral=True, nonnegative=not signed)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        return rounding(value, moved(*errors), ulps)

    return bounded(operands, value, rule, rounds=True, nonnegative=not signed, infinite=infinite)


def count_reduced(shape: tuple[int, ...], axis: Any) -> int:
    """Return how many elements a reduction over these axes takes together."""
    if axis is None:
        return math.prod(shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    return math.prod(shape[a] for a in axes)


def accumulated(A: Array, value: Any, add_up: Callable[[Floats], Any], count: Any, kept: float | None = None) -> Array:
    """Make sums of elements in any order: |ŝ − s| ≤ ΣE_i + γ_{n−1} Σ|x̂_i| (Higham 2002, eq. 4.4).

    Args:
        A: the terms.
        value: their sums.
        add_up: the sum, as a function of NumPy arrays.
        count: how many terms each sum has: a number, or an array that broadcasts to the sums.
        kept: the unit roundoff in which the sums are kept; None is the format's.
    """
    value = np.asarray(value, dtype=np.float64)
    longest = int(np.max(count, initial=0))
    sizes = add_up(np.abs(A.value))
    kept = current().u if kept is None else kept
    if A.integral and whole(value, sizes, kept):
        return Array(value, *(nothing(value.shape),) * 2, integral=True, nonnegative=A.nonnegative)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        moved = errors[0] if isinstance(errors[0], float) else add_up(errors[0])
        reach = plus(sizes, times(2.0, moved))
        rounded = unit.sums(np.maximum(count - 1, 0), reach, value, moved, kept)
        error = plus(rounded, moved, count * current().underflow)
        return within(reach, up(error, 2 * longest), kept)

    return bounded([A], value, rule, rounds=True, differ=longest > 1, nonnegative=A.nonnegative)


def added_up(A: Array, *, axis: Any = None, keepdims: bool = False, kept: float | None = None) -> Array:
    """Make sums along axes, in any order, kept in a unit roundoff; None is the format's."""
    return accumulated(
        A,
        np.sum(A.value, axis=axis, keepdims=keepdims),
        lambda p: np.sum(p, axis=axis, keepdims=keepdims),
        count_reduced(A.shape, axis),
        kept,
    )


def whole(value: Floats, sizes: Any, kept: float) -> bool:
    """Tell whether sums of whole numbers are exact, in any order, and stay so where they are stored."""
    arithmetic = current()
    inside = np.max(sizes, initial=0.0) <= min(1.0 / kept, arithmetic.kept_below(kept))
    return bool(inside and np.max(np.abs(value), initial=0.0) <= arithmetic.exact_below())


def within(reach: Any, error: Any, kept: float | None = None) -> Any:
    """Make the error infinite where an intermediate result, kept in a unit roundoff, may overflow."""
    # In some order a partial sum is as large as the sum of the magnitudes.
    limit = current().overflow if kept is None else current().kept_below(kept)
    return error if np.max(reach, initial=0.0) <= limit else np.where(reach <= limit, error, np.inf)


def stored(A: Array, form: Format, *, endless: bool = False) -> Array:
    """Round every element once to a format, which may be coarser than the one that was computed in.

    Args:
        A: the array.
        form: the format.
        endless: whether to take the format for one that neither overflows nor underflows.
    """
    underflow, overflow = (0.0, np.inf) if endless else (form.underflow, form.overflow)
    exact = Context.of(form.name).representable(A.value)
    if A.integral and exact.all():
        return A

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        reach = plus(np.abs(A.value), times(2.0, errors[0]))
        rounded = plus(errors[0], form.unit_roundoff * reach + underflow)
        error = np.where(exact & (np.asarray(errors[0]) == 0), 0.0, up(rounded))
        # An infinity that is given is exactly that.
        given = np.isinf(A.value) & (np.asarray(errors[0]) == 0)
        return np.where((reach <= overflow) | given, error, np.inf)

    return bounded([A], A.value, rule, nonnegative=A.nonnegative)


def added(A: Array, B: Array, value: Any, *, signed: bool = True, infinite: Infinite | None = None) -> Array:
    """Make a sum or a difference. Errors add up.

    To add to a matrix product is one routine (BLAS's ``gemm``), which may begin with the other summand: every further
    addition then rounds a number that holds it, so that a product of k terms adds γ_k times its size.
    """

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        x, y = errors
        begun = [
            times(unit.steps(one.terms, one.kept), plus(np.abs(other.value), times(2.0, error))) if one.terms else 0.0
            for one, other, error in ((A, B, y), (B, A, x))
        ]
        return rounding(value, plus(x, y, *begun), 0.5)

    if (A.terms or B.terms) and not (A.integral and B.integral):
        return bounded([A, B], value, rule, rounds=True, differ=True, nonnegative=not signed, infinite=infinite)
    return elementwise([A, B], value, plus, ulps=0.5, exact=True, infinite=infinite, signed=signed)


def only_whole_numbers(*operands: Any) -> bool:
    """Whether all operands are integers or booleans of NumPy or Python, so that NumPy computes."""
    return not any(is_ours(o) or np.asarray(o).dtype.kind == "f" for o in operands)


def of_whole_numbers(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leave integers to NumPy; of indices that depend on data the result is one, as undecided as they are."""

    def decorate(of_reals: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(of_reals)
        def chosen(*operands: Any) -> Any:
            if only_whole_numbers(*operands):
                return function(*operands)
            if not only_whole_numbers(*(o.value if isinstance(o, Choice) else o for o in operands)):
                return of_reals(*operands)
            value = np.asarray(function(*(o.value if isinstance(o, Choice) else o for o in operands)))
            loose = [o.undecided for o in operands if isinstance(o, Choice)]
            return Choice(value, np.broadcast_to(np.logical_or.reduce(np.broadcast_arrays(*loose)), value.shape))

        return chosen

    return decorate


def both_nonnegative(a: Array, b: Array) -> bool:
    """Whether no evaluation of either gives a negative element."""
    return a.nonnegative and b.nonnegative


def exactly_infinite(*operands: Array, nonzero: bool = False) -> Callable[[Floats, int], Any]:
    """Find where a result is infinite because an operand is exactly so, as a mask of −∞ makes it.

    Args:
        operands: the arguments.
        nonzero: whether an operand that may be zero undoes it, as in a product.
    """

    def find(value: Floats, part: int) -> Any:
        errors = [a.parts()[part] for a in operands]
        given = [np.isinf(a.value) & (r == 0) for a, r in zip(operands, errors, strict=True)]
        finite = [
            np.isfinite(r) & np.isfinite(a.value) & ((not nonzero) | (np.abs(a.value) > 2 * r)) | g
            for a, r, g in zip(operands, errors, given, strict=True)
        ]
        return (
            np.isinf(value)
            & np.logical_or.reduce(np.broadcast_arrays(*given))
            & np.logical_and.reduce(np.broadcast_arrays(*finite))
        )

    return find


def rearranged(function: Callable[[Any], Any], x: Any) -> Any:
    """Apply a NumPy function that only moves elements about, to an array of ours or of NumPy's."""
    return x.map(function) if isinstance(x, Parts) else function(np.asarray(x))

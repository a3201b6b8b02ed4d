# ruff: noqa: A001  the names are the standard's
"""Sums, products, means and extrema along axes, and products of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arithmetic import divide
from .arrays import Array, Choice, Condition, Error, as_array, is_ours, plus, times, up
from .conditions import not_equal
from .creation import ones, zeros
from .elementary import sqrt
from .model import Floats, current
from .rules import accumulated, added_up, bounded, count_reduced, within
from .shapes import concat, take


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """|ŝ − s| ≤ ΣE_i + γ_n Σ|x_i|, in any order."""
    if not is_ours(x):
        return np.sum(x, axis=axis, keepdims=keepdims)
    A = as_array(x)
    return added_up(A, axis=axis, keepdims=keepdims, kept=current().kept_in(current().sum_u, x.size))


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over the number of elements."""
    A = as_array(x)
    return divide(sum(A, axis=axis, keepdims=keepdims), _rounded(count_reduced(A.shape, axis)))


def _rounded(count: float) -> Array:
    # A count above the integers of the format is rounded; frameworks may multiply by its reciprocal.
    return as_array(np.float64(count))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The mean squared deviation from the mean.

    The error of the mean enters to first order, which covers one-pass and updating algorithms as well (Chan, Golub &
    LeVeque 1983, Table 1: a relative error of nκu, κ² = 1 + mean²/variance).
    """
    A = as_array(x)
    count = count_reduced(A.shape, axis)
    deviation = A - divide(added_up(A, axis=axis, keepdims=True), _rounded(count))
    total = added_up(deviation * deviation, axis=axis, keepdims=keepdims)
    return divide(total, _rounded(count - correction))


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The root of the variance."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """∏|x̂_i|·(1 + γ_n) − ∏|x_i|, grouped so that it does not cancel; in any order (Higham 2002, Lemma 3.1)."""
    if not is_ours(x):
        return np.prod(x, axis=axis, keepdims=keepdims)
    A, count = as_array(x), count_reduced(x.shape, axis)

    def multiplied(p: Any) -> Any:
        return np.prod(p, axis=axis, keepdims=keepdims)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        r = np.broadcast_to(errors[0], A.shape)
        size = np.abs(A.value) + r
        growth = np.sum(np.where(r > 0, np.log1p(r / size), 0.0), axis=axis, keepdims=keepdims)
        reach = multiplied(np.maximum(size + r, 1.0))
        error = multiplied(size) * np.expm1(growth + unit.steps(count)) + reach * count * current().underflow
        return within(reach, up(error, 2 * count))

    value, whole = multiplied(A.value), multiplied(np.maximum(np.abs(A.value), 1.0))
    if A.integral and np.max(whole, initial=0.0) <= current().exact_below():
        return bounded([A], value, lambda errors, unit: 0.0, integral=True, nonnegative=A.nonnegative)
    return bounded([A], value, rule, rounds=True, nonnegative=A.nonnegative, differ=count > 1)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Each element is a sum in any order."""
    if not is_ours(x):
        return np.cumulative_sum(x, axis=axis, include_initial=include_initial)
    A = as_array(x)
    chosen = 0 if axis is None else axis
    lengths = np.arange(1, A.shape[chosen] + 1).reshape([-1 if i == chosen % A.ndim else 1 for i in range(A.ndim)])
    result = accumulated(A, np.cumsum(A.value, axis=chosen), lambda p: np.cumsum(p, axis=chosen), lengths)
    if not include_initial:
        return result
    first = list(A.shape)
    first[chosen] = 1
    return concat([zeros(tuple(first)), result], axis=chosen)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Each element is a product, one axis at a time."""
    A, chosen = as_array(x), 0 if axis is None else axis
    heads = [prod(take(A, np.arange(i + 1), axis=chosen), axis=chosen, keepdims=True) for i in range(A.shape[chosen])]
    start = [ones(heads[0].shape)] if include_initial else []
    return concat([*start, *heads], axis=chosen)


def _reduced_extremum(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    def extremum(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        if not is_ours(x):
            return function(x, axis=axis, keepdims=keepdims)
        A = as_array(x)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            if isinstance(errors[0], float):
                return 0.0
            high, low = turn * A.value + 2.0 * errors[0], turn * A.value - 2.0 * errors[0]
            rivals = high >= np.max(low, axis=axis, keepdims=True)
            return np.max(np.where(rivals, errors[0], 0.0), axis=axis, keepdims=keepdims)

        value = function(A.value, axis=axis, keepdims=keepdims)
        return bounded([A], value, rule, integral=A.integral, nonnegative=A.nonnegative)

    extremum.__doc__ = f"As NumPy's ``{function.__name__}``; the error is the largest among those that may be chosen."
    return extremum


max, min = _reduced_extremum(np.max, 1.0), _reduced_extremum(np.min, -1.0)


def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Decided where one is decidedly true, or all are decidedly false."""
    x = not_equal(x, 0) if isinstance(x, Array) else x
    if not isinstance(x, Condition):
        return np.any(x, axis=axis, keepdims=keepdims)
    value = np.any(x.value, axis=axis, keepdims=keepdims)

    def unsettled(u: Any) -> Any:
        return np.any(u, axis=axis, keepdims=keepdims) & ~np.any(x.value & ~u, axis=axis, keepdims=keepdims)

    return Condition(np.asarray(value), np.asarray(unsettled(x.undecided)), np.asarray(unsettled(x.doubtful)))


def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Decided where one is decidedly false, or all are decidedly true."""
    x = not_equal(x, 0) if isinstance(x, Array) else x
    if not isinstance(x, Condition):
        return np.all(x, axis=axis, keepdims=keepdims)
    return ~any(~x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The number of true elements, with the undecided ones as its error."""
    return sum(not_equal(x, 0) if isinstance(x, Array) else x, axis=axis, keepdims=keepdims)


def scatter_add(x: Any, numbers: Any, count: int, /) -> Array:
    """Sums of rows by number, each in any order; a row whose number is undecided may be part of any sum."""
    A = as_array(x)
    if isinstance(numbers, Choice):
        loose = numbers.undecided[:, None]
        sums = scatter_add(A, numbers.value, count)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            return plus(errors[0], np.sum(np.where(loose, np.abs(A.value) + times(2.0, errors[1]), 0.0), axis=0))

        return bounded([sums, A], sums.value, rule) if loose.any() else sums

    def add_up(p: Floats) -> Any:
        sums = np.zeros((count, *p.shape[1:]))
        np.add.at(sums, numbers, p)
        return sums

    terms = np.bincount(numbers, minlength=count).reshape(count, *(1,) * (A.ndim - 1))
    return accumulated(A, add_up(A.value), add_up, terms)

"""Functions along axes: moving entries about, sums, order, truth."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..shared import structure
from . import degrees
from .arrays import ExactArray, array, is_whole, lift, number, whole
from .elementwise import condition
from .table import FUNCTIONS, integral, public


def rearranged(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a NumPy function that only moves entries; it returns one array or a list of them."""
    if all(is_whole(a) for a in arrays):
        moved = function(*(np.asarray(a) for a in arrays))
        return [whole(m) for m in moved] if isinstance(moved, list | tuple) else whole(moved)
    lifted = [lift(a) for a in arrays]
    degree = degrees.joined(*(a.degree for a in lifted))
    moved = function(*(a.elements for a in lifted))
    return [array(m, degree) for m in moved] if isinstance(moved, list | tuple) else array(moved, degree)


for _name, _rule in structure.FUNCTIONS.items():
    FUNCTIONS[_name] = functools.partial(_rule, rearranged)


@integral
def sum_(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> ExactArray:
    """Σx over the axes."""
    x = lift(x)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    count = math.prod(x.shape[a] for a in axes)
    total: Any = x.elements
    if axes:
        total = np.sum(total, axis=axes, keepdims=keepdims, initial=number(0))
    return array(total, degrees.repeated(x.degree, count))


@integral
def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> ExactArray:
    """The sums of the first 1, 2, … entries along an axis."""
    x = lift(x)
    axis = 0 if axis is None else axis
    sums = np.add.accumulate(x.elements, axis=axis)
    if include_initial:
        sums = np.concatenate(
            [np.full_like(np.take(sums, [0] if sums.shape[axis] else [], axis), number(0)), sums], axis
        )
    return array(sums, degrees.repeated(x.degree, x.shape[axis]))


def _first_best(x: ExactArray, axis: int, better: str) -> np.ndarray:
    lanes = np.moveaxis(x.elements, axis, 0)
    best, index = lanes[0], np.zeros(lanes.shape[1:], dtype=np.int64)
    for i in range(1, lanes.shape[0]):
        improved = np.asarray(FUNCTIONS[better](array(lanes[i], x.degree), array(best, x.degree)))
        best, index = np.where(improved, lanes[i], best), np.where(improved, i, index)
    return index


def _extremum(name: str, better: str) -> None:
    def argument(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        x = lift(x)
        if axis is None:
            index = _first_best(array(x.elements.ravel(), x.degree), 0, better)
            return whole(index.reshape((1,) * x.ndim) if keepdims else index)
        index = _first_best(x, axis, better)
        return whole(np.expand_dims(index, axis) if keepdims else index)

    def value(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return structure.extremum(ExactArray.namespace, f"arg{name}", x, axis, keepdims)

    argument.__name__, value.__name__ = f"arg{name}", name
    integral(argument)
    integral(value)


_extremum("max", "greater")


_extremum("min", "less")


@public
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort an axis; equal entries keep their order."""
    x = lift(x)
    less = FUNCTIONS["less"]

    def order(i: Any, j: Any, lane: np.ndarray) -> int:
        a, b = array(lane[i], x.degree), array(lane[j], x.degree)
        a, b = (b, a) if descending else (a, b)
        return -1 if less(a, b) else int(bool(less(b, a)))

    def sort_one(lane: np.ndarray) -> np.ndarray:
        return np.asarray(
            sorted(range(len(lane)), key=functools.cmp_to_key(functools.partial(order, lane=lane))), dtype=np.int64
        )

    lanes = np.moveaxis(x.elements, axis, -1)
    result = np.empty(lanes.shape, dtype=np.int64)
    for index in np.ndindex(lanes.shape[:-1]):
        result[index] = sort_one(lanes[index])
    return whole(np.moveaxis(result, -1, axis))


@public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The entries of an axis in order."""
    if is_whole(x):
        ascending = np.sort(x, axis=axis)
        return whole(np.flip(ascending, axis) if descending else ascending)
    return FUNCTIONS["take_along_axis"](lift(x), argsort(x, axis=axis, descending=descending), axis=axis)


@public
def all_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every entry is true."""
    return whole(np.all(condition(x), axis=axis, keepdims=keepdims))


@public
def any_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some entry is true."""
    return whole(np.any(condition(x), axis=axis, keepdims=keepdims))


@public
def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many entries are not zero."""
    return whole(np.count_nonzero(condition(x), axis=axis, keepdims=keepdims))


@public
def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The indices of the entries that are not zero, one array for each axis."""
    return tuple(whole(i) for i in np.nonzero(condition(x)))

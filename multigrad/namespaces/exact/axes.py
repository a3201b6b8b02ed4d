"""Functions along axes: moving entries about, sums, order, truth."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..shared import structure
from ..shared.namespace import bound
from . import degrees
from .arrays import ExactArray, array, is_whole, lift, number, whole
from .context import Undecided
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


FUNCTIONS |= bound(structure.FUNCTIONS, rearranged)


@integral
def sum_(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> ExactArray:
    """Σx over the axes."""
    x = lift(x)
    axes = structure.axes_of(x, axis)
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


def _first_best(x: ExactArray, axis: int | None, better: str) -> np.ndarray:
    lanes = x.elements.ravel() if axis is None else np.moveaxis(x.elements, axis, 0)
    best, index = lanes[0], np.zeros(lanes.shape[1:], dtype=np.int64)
    for i in range(1, lanes.shape[0]):
        improved = np.asarray(FUNCTIONS[better](array(lanes[i], x.degree), array(best, x.degree)))
        best, index = np.where(improved, lanes[i], best), np.where(improved, i, index)
    return index


def _argument(better: str) -> Callable[..., Any]:
    def apply(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        x = lift(x)
        index = _first_best(x, axis, better)
        return whole(np.expand_dims(index, tuple(range(x.ndim)) if axis is None else axis) if keepdims else index)

    return apply


def _extremum(argument: str, of_two: str) -> Callable[..., Any]:
    def apply(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        try:
            return structure.extremum(ExactArray.namespace, argument, x, axis, keepdims)
        except Undecided:  # which entry it is matters to no value
            x = lift(x)
            axes = structure.axes_of(x, axis)
            laid = np.moveaxis(structure.lanes(ExactArray.namespace, x, axes).elements, -1, 0)
            found = functools.reduce(FUNCTIONS[of_two], (array(entry, x.degree) for entry in laid))
            return array(found.elements.reshape(structure.reduced_shape(x, axes, keepdims)), found.degree)

    return apply


for _name, _better in (("max", "greater"), ("min", "less")):
    integral(_argument(_better), f"arg{_name}")
    integral(_extremum(f"arg{_name}", f"{_name}imum"), _name)


def _order(x: ExactArray, lane: np.ndarray, descending: bool) -> list[int]:
    less, entries = FUNCTIONS["less"], [array(v, x.degree) for v in lane]

    def compare(i: int, j: int) -> int:
        a, b = (entries[j], entries[i]) if descending else (entries[i], entries[j])
        return -1 if less(a, b) else int(bool(less(b, a)))

    return sorted(range(len(entries)), key=functools.cmp_to_key(compare))


@public
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort an axis; equal entries keep their order."""
    x = lift(x)
    lanes = np.moveaxis(x.elements, axis, -1)
    result = np.empty(lanes.shape, dtype=np.int64)
    for index in np.ndindex(lanes.shape[:-1]):
        result[index] = _order(x, lanes[index], descending)
    return whole(np.moveaxis(result, -1, axis))


@public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The entries of an axis in order."""
    if is_whole(x):
        ascending = np.sort(x, axis=axis)
        return whole(np.flip(ascending, axis) if descending else ascending)
    return FUNCTIONS["take_along_axis"](lift(x), argsort(x, axis=axis, descending=descending), axis=axis)


def _truths(name: str) -> Callable[..., Any]:
    def apply(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return whole(getattr(np, name)(condition(x), axis=axis, keepdims=keepdims))

    return apply


FUNCTIONS |= {name: _truths(name) for name in ("all", "any", "count_nonzero")}


@public
def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The indices of the entries that are not zero, one array for each axis."""
    return tuple(whole(i) for i in np.nonzero(condition(x)))

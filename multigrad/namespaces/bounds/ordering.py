"""Sorting, searching, and the differences of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Choice, Error, as_array, is_ours
from .conditions import less, less_equal
from .reductions import count_nonzero
from .rules import bounded
from .shapes import concat, expand_dims, take


def _chooser(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    def choose(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        if not is_ours(x):
            return function(x, axis=axis, keepdims=keepdims)
        A = as_array(x)
        high, low = turn * A.value + 2.0 * A.worst, turn * A.value - 2.0 * A.worst
        rivals = (high >= np.max(low, axis=axis, keepdims=True)) & np.ones(A.shape, dtype=np.bool_)
        several = np.sum(rivals, axis=axis, keepdims=keepdims) > 1
        unsure = np.max(np.where(rivals, A.worst, 0.0), axis=axis, keepdims=keepdims) > 0
        return Choice(np.asarray(function(A.value, axis=axis, keepdims=keepdims)), np.asarray(several & unsure))

    choose.__doc__ = f"As NumPy's ``{function.__name__}``; undecided where the errors overlap."
    return choose


argmax, argmin = _chooser(np.argmax, 1.0), _chooser(np.argmin, -1.0)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sorted values move no further than the largest error along the axis."""
    if not is_ours(x):
        return np.flip(np.sort(x, axis=axis), axis=axis) if descending else np.sort(x, axis=axis)
    A = as_array(x)
    value = np.sort(A.value, axis=axis)
    if descending:
        value = np.flip(value, axis=axis)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        return 0.0 if isinstance(errors[0], float) else np.max(errors[0], axis=axis, keepdims=True)

    return bounded([A], value, rule, integral=A.integral, nonnegative=A.nonnegative)


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Undecided at every position whose interval overlaps a neighbour's."""
    turn = -1.0 if descending else 1.0
    if not is_ours(x):
        return np.argsort(turn * np.asarray(x), axis=axis, stable=True)
    if isinstance(x, Choice):
        order = np.argsort(x.value, axis=axis, stable=True)
        return Choice(order, np.broadcast_to(np.any(x.undecided, axis=axis, keepdims=True), order.shape))
    A = as_array(x)
    order = np.argsort(turn * A.value, axis=axis, stable=True)
    centre, radius = (
        np.take_along_axis(np.moveaxis(p, axis, -1), np.moveaxis(order, axis, -1), -1)
        for p in (turn * A.value, A.worst)
    )
    high = np.maximum.accumulate(centre + 2.0 * radius, axis=-1)
    low = np.flip(np.minimum.accumulate(np.flip(centre - 2.0 * radius, -1), axis=-1), -1)
    # Equal entries without errors keep their order; an entry with a large one may stand on either side of many.
    near = (radius[..., :-1] > 0) | (radius[..., 1:] > 0)
    touching = (high[..., :-1] > low[..., 1:]) | ((high[..., :-1] == low[..., 1:]) & near)
    undecided = np.zeros(centre.shape, dtype=np.bool_)
    undecided[..., :-1] |= touching
    undecided[..., 1:] |= touching
    return Choice(order, np.moveaxis(undecided, -1, axis))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """How many of the sorted numbers come before each; undecided where one of the comparisons is."""
    x1 = x1 if sorter is None else take(x1, sorter, axis=0)
    before = count_nonzero((less if side == "left" else less_equal)(x1, expand_dims(x2, axis=-1)), axis=-1)
    return Choice(before.value.astype(np.int64), before.worst >= 0.5) if is_ours(before) else before


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours."""
    pieces = [p for p in (prepend, x, append) if p is not None]
    x = concat(pieces, axis=axis) if len(pieces) > 1 else x
    for _ in range(n):
        length = x.shape[axis]
        x = take(x, np.arange(1, length), axis=axis) - take(x, np.arange(length - 1), axis=axis)
    return x

"""Functions along axes: what moves entries moves their tangents; sums, extrema, order, truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import exact
from ..shared import structure
from ..shared.namespace import bound
from .arrays import DualArray, tangent_of
from .kinks import poisoned, unlike
from .table import FUNCTIONS, VALUED, valued


def rearranged(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a NumPy function that only moves entries; the tangents follow the entries' numbers."""
    tangents = [x.tangent for x in arrays if isinstance(x, DualArray) and x.tangent is not None]
    values = exact.rearranged(function, *(x.value if isinstance(x, DualArray) else x for x in arrays))
    if not any(isinstance(x, DualArray) for x in arrays):
        return values
    several = isinstance(values, list)
    if not tangents:
        return [DualArray(v) for v in values] if several else DualArray(values)
    count = tangents[0].shape[0]
    sizes = [math.prod(np.shape(x)) for x in arrays]
    numbers = [
        start + np.arange(size).reshape(np.shape(x))
        for x, size, start in zip(arrays, sizes, itertools.accumulate(sizes, initial=0), strict=False)
    ]
    flat = VALUED["concat"](
        [VALUED["reshape"](tangent_of(x, count), (count, size)) for x, size in zip(arrays, sizes, strict=True)], axis=1
    )
    moved = function(*numbers)
    if several:
        return [DualArray(v, flat[:, np.asarray(n)]) for v, n in zip(values, moved, strict=True)]
    return DualArray(values, flat[:, np.asarray(moved)])


FUNCTIONS |= bound(structure.FUNCTIONS, rearranged)


def _linear(name: str) -> Callable[..., Any]:
    def apply(x: Any, /, *, axis: Any = None, **options: Any) -> Any:
        # Axes counted from the end are the same ones in the tangent.
        axes: Any = tuple(a - x.ndim for a in structure.axes_of(x, axis))
        if name == "cumulative_sum":
            (axes,) = axes
        function = getattr(exact, name)
        value = function(x.value, axis=axes, **options)
        return DualArray(value, None if x.tangent is None else function(x.tangent, axis=axes, **options))

    return apply


for _name in ("sum", "cumulative_sum"):
    valued(_linear(_name), _name)


def _extremum(name: str) -> Callable[..., Any]:
    def apply(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        kept = structure.extremum(DualArray.namespace, f"arg{name}", x, axis, keepdims=True)
        axes = tuple(range(x.ndim)) if axis is None else axis
        # The entry that was kept equals itself, tangent and all.
        kinks = np.any(unlike(x, kept), axis=axes, keepdims=True)
        result = poisoned(name, kinks, kept)
        return result if keepdims else FUNCTIONS["squeeze"](result, axes)

    return apply


for _name in ("max", "min"):
    valued(_extremum(_name), _name)


@valued
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The entries of an axis in order; equal neighbours have a tangent of NaN."""
    index = VALUED["argsort"](x.value, axis=axis, descending=descending)
    result = FUNCTIONS["take_along_axis"](x, index, axis=axis)
    lanes = FUNCTIONS["moveaxis"](result, axis, -1)
    kinks = np.zeros(lanes.shape, dtype=bool)
    if kinks.shape[-1] > 1:
        neighbours = unlike(lanes[..., 1:], lanes[..., :-1])
        kinks[..., 1:] |= neighbours
        kinks[..., :-1] |= neighbours
    return poisoned("sort", np.moveaxis(kinks, -1, axis), result)


def _value_only(name: str) -> Callable[..., Any]:
    return lambda x, /, **options: getattr(exact, name)(x.value, **options)


for _name in ("argmax", "argmin", "argsort", "isnan", "isfinite", "isinf"):
    valued(_value_only(_name), _name)


def _counted(name: str) -> Callable[..., Any]:
    return lambda x, /, **options: getattr(exact, name)(FUNCTIONS["not_equal"](x, 0), **options)


for _name in ("all", "any", "count_nonzero", "nonzero"):
    valued(_counted(_name), _name)

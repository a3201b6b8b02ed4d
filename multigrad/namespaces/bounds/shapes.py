"""Moving elements about: shapes, joins, and elements by index."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..shared import structure
from .arrays import Array, Choice, Condition, Error, as_array, is_ours
from .rules import bounded, only_whole_numbers, rearranged


def _moving(*names: str) -> list[Any]:
    return [functools.partial(structure.FUNCTIONS[name], rearranged) for name in names]


# fmt: off
broadcast_arrays, broadcast_to, meshgrid = _moving("broadcast_arrays", "broadcast_to", "meshgrid")
expand_dims, squeeze, reshape            = _moving("expand_dims", "squeeze", "reshape")
permute_dims, moveaxis, matrix_transpose = _moving("permute_dims", "moveaxis", "matrix_transpose")
flip, roll, repeat, tile                 = _moving("flip", "roll", "repeat", "tile")
# fmt: on


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    return tuple(take(x, i, axis=axis) for i in range(x.shape[axis]))


def _join(arrays: Sequence[Any], function: Callable[[Sequence[Any]], Any]) -> Any:
    if not any(is_ours(a) for a in arrays):
        return function([np.asarray(a) for a in arrays])
    if any(all(isinstance(a, kind) for a in arrays) for kind in (Condition, Choice)):
        ours: list[Any] = list(arrays)
    else:
        ours = [as_array(a) for a in arrays]
    columns = list(zip(*(a.parts() for a in ours), strict=True))
    if isinstance(ours[0], Array) and all(a.worst is a.probable for a in ours):
        value, worst = function(columns[0]), function(columns[1])
        return ours[0].rebuilt([value, worst, worst], ours[1:])
    return ours[0].rebuilt([function(c) for c in columns], ours[1:])


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Joined along an axis."""
    return _join(arrays, lambda parts: np.concatenate(parts, axis=axis))


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Any:
    """Joined along a new axis."""
    return _join(arrays, lambda parts: np.stack(parts, axis=axis))


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Elements by index along an axis; an undecided index may give any of them."""
    if isinstance(indices, Choice):
        taken = take(x, indices.value, axis=axis)
        chosen = (0 if axis is None else axis) % x.ndim
        after = x.ndim - chosen - 1
        loose = indices.undecided.reshape(indices.shape + (1,) * after)
        if only_whole_numbers(x):
            return Choice(taken, np.broadcast_to(loose, taken.shape))
        return _hull(taken, loose, x, chosen, indices.ndim)
    return rearranged(lambda p: np.take(p, indices, axis), x)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Elements by an index of their own along an axis; an undecided index may give any of them."""
    if isinstance(indices, Choice):
        taken = take_along_axis(x, indices.value, axis=axis)
        if only_whole_numbers(x):
            return Choice(taken, indices.undecided)
        return _hull(taken, indices.undecided, x, axis % x.ndim, 1)
    return rearranged(lambda p: np.take_along_axis(p, np.asarray(indices), axis), x)


def _hull(taken: Array, loose: Any, x: Any, axis: int, inserted: int) -> Array:
    # Wherever the index is undecided, both ĉ and t may be any element along the axis.
    if not loose.any():
        return taken
    A = as_array(x)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        r = A.worst if unit.worst else A.probable
        wide = np.max(A.value + 2.0 * r, axis=axis) - np.min(A.value - 2.0 * r, axis=axis)
        wide = np.expand_dims(wide, tuple(range(axis, axis + inserted)))
        return np.where(loose, wide, errors[0])

    return bounded([taken], taken.value, rule)


def _triangle(keep: Callable[..., Any]) -> Callable[..., Any]:
    def triangle(x: Any, /, *, k: int = 0) -> Any:
        return rearranged(lambda p: keep(p, k=k), x)

    triangle.__doc__ = f"As NumPy's ``{keep.__name__}``."
    return triangle


tril, triu = _triangle(np.tril), _triangle(np.triu)

"""Moving elements about: shapes, joins, and elements by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Array, Choice, Condition, Error, as_array, is_ours
from .rules import bounded, rearranged


def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Any:
    """The same elements in another shape."""
    return rearranged(x, lambda p: np.reshape(p, shape))


def permute_dims(x: Any, /, axes: tuple[int, ...]) -> Any:
    """Axes in another order."""
    return rearranged(x, lambda p: np.transpose(p, axes))


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    return rearranged(x, lambda p: np.swapaxes(p, -1, -2))


def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """Axes moved."""
    return rearranged(x, lambda p: np.moveaxis(p, source, destination))


def expand_dims(x: Any, /, *, axis: int = 0) -> Any:
    """One more axis of length 1."""
    return rearranged(x, lambda p: np.expand_dims(p, axis))


def squeeze(x: Any, /, axis: Any) -> Any:
    """Without these axes of length 1."""
    return rearranged(x, lambda p: np.squeeze(p, axis))


def broadcast_to(x: Any, /, shape: tuple[int, ...]) -> Any:
    """Repeated, without copying."""
    return rearranged(x, lambda p: np.broadcast_to(p, shape))


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All in one shape."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return [broadcast_to(a, shape) for a in arrays]


def flip(x: Any, /, *, axis: Any = None) -> Any:
    """Reversed."""
    return rearranged(x, lambda p: np.flip(p, axis))


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Shifted around."""
    return rearranged(x, lambda p: np.roll(p, shift, axis))


def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Laid side by side."""
    return rearranged(x, lambda p: np.tile(p, repetitions))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element several times."""
    return rearranged(x, lambda p: np.repeat(p, repeats, axis))


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
        return _hull(taken, loose, x, chosen, indices.ndim)
    return rearranged(x, lambda p: np.take(p, indices, axis))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Elements by an index of their own along an axis; an undecided index may give any of them."""
    if isinstance(indices, Choice):
        return _hull(take_along_axis(x, indices.value, axis=axis), indices.undecided, x, axis % x.ndim, 1)
    return rearranged(x, lambda p: np.take_along_axis(p, np.asarray(indices), axis))


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


def meshgrid(*arrays: Any, indexing: Any = "xy") -> list[Any]:
    """Coordinate arrays."""
    shapes = [np.zeros(a.shape, dtype=np.int8) for a in arrays]
    target = np.meshgrid(*shapes, indexing=indexing)[0].shape
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        axes[0], axes[1] = 1, 0
    slots = [tuple(-1 if i == axis else 1 for i in range(len(arrays))) for axis in axes]
    return [broadcast_to(reshape(a, slot), target) for a, slot in zip(arrays, slots, strict=True)]


def _triangle(keep: Callable[..., Any]) -> Callable[..., Any]:
    def triangle(x: Any, /, *, k: int = 0) -> Any:
        return rearranged(x, lambda p: keep(p, k=k))

    triangle.__doc__ = f"As NumPy's ``{keep.__name__}``."
    return triangle


tril, triu = _triangle(np.tril), _triangle(np.triu)

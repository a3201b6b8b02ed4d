"""Functions of the standard that only move entries: each is a NumPy function, whatever the entries are.

`exact` applies them to balls, `dual` to the numbers of the entries, and moves its tangents by what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .operators import Operators, plain_key


def _below(a: np.ndarray, k: int) -> np.ndarray:
    rows, columns = a.shape[-2:]
    return np.tri(rows, columns, k, dtype=np.bool_)


def _broadcast(move: Callable[..., Any], shape: tuple[int, ...], xs: Sequence[Any]) -> list[Any]:
    # One by one: integers beside real numbers stay integers.
    return [move(lambda a: np.broadcast_to(a, shape), x) for x in xs]


def _meshgrid(move: Callable[..., Any], xs: Sequence[Any], indexing: str) -> list[Any]:
    places = np.meshgrid(*(np.arange(np.size(x)) for x in xs), indexing=indexing)  # type: ignore[call-overload]
    return [move(lambda a, p=place: np.ravel(a)[p], x) for x, place in zip(xs, places, strict=True)]


def _truth(condition: Any) -> Any:
    real = isinstance(condition, Operators)
    return condition.namespace.not_equal(condition, 0) if real else condition


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "broadcast_arrays": lambda move, *xs: _broadcast(move, np.broadcast_shapes(*map(np.shape, xs)), xs),
    "broadcast_to": lambda move, x, shape: move(lambda a: np.broadcast_to(a, shape), x),
    "concat": lambda move, xs, *, axis=0: move(lambda *a: np.concatenate(a, axis=axis), *xs),
    "expand_dims": lambda move, x, *, axis=0: move(lambda a: np.expand_dims(a, axis), x),
    "flip": lambda move, x, *, axis=None: move(lambda a: np.flip(a, axis), x),
    "matrix_transpose": lambda move, x: move(np.matrix_transpose, x),
    "meshgrid": lambda move, *xs, indexing="xy": _meshgrid(move, xs, indexing),
    "moveaxis": lambda move, x, source, destination: move(lambda a: np.moveaxis(a, source, destination), x),
    "permute_dims": lambda move, x, axes: move(lambda a: np.transpose(a, axes), x),
    "repeat": lambda move, x, repeats, *, axis=None: move(lambda a: np.repeat(a, plain_key(repeats), axis), x),
    "reshape": lambda move, x, shape, *, copy=None: move(lambda a: np.reshape(a, shape), x),
    "roll": lambda move, x, shift, *, axis=None: move(lambda a: np.roll(a, shift, axis), x),
    "squeeze": lambda move, x, axis: move(lambda a: np.squeeze(a, axis), x),
    "stack": lambda move, xs, *, axis=0: move(lambda *a: np.stack(a, axis=axis), *xs),
    "take": lambda move, x, indices, *, axis=None: move(lambda a: np.take(a, plain_key(indices), axis), x),
    "take_along_axis": lambda move, x, indices, *, axis=-1: move(
        lambda a: np.take_along_axis(a, plain_key(indices), axis), x
    ),
    "tile": lambda move, x, repetitions: move(lambda a: np.tile(a, repetitions), x),
    "tril": lambda move, x, *, k=0: move(lambda a, b: np.where(_below(a, k), a, b), x, 0),
    "triu": lambda move, x, *, k=0: move(lambda a, b: np.where(_below(a, k - 1), b, a), x, 0),
    "unstack": lambda move, x, *, axis=0: tuple(move(lambda a: list(np.moveaxis(a, axis, 0)), x)),
    "where": lambda move, condition, x1, x2: move(lambda a, b: np.where(_truth(condition), a, b), x1, x2),
}
"""Functions of the standard that only move entries, in terms of one that applies a NumPy function."""


def axes_of(x: Any, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """The axes that are meant, none of them negative; None means all."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(range(x.ndim)[a] for a in axes)


def lanes(xp: Any, x: Any, axes: Sequence[int]) -> Any:
    """Lay axes into one, which comes last."""
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    return xp.reshape(
        xp.permute_dims(x, (*rest, *axes)), (*(x.shape[a] for a in rest), math.prod([x.shape[a] for a in axes]))
    )


def reduced_shape(x: Any, axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """The shape that is left when axes have been reduced."""
    return tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes)


def extremum(xp: Any, which: str, x: Any, axis: Any, keepdims: bool) -> Any:
    """The entry that ``argmax`` or ``argmin`` finds, for any namespace; the axes are laid into one first."""
    axes = axes_of(x, axis)
    laid = lanes(xp, x, axes)
    index = getattr(xp, which)(laid, axis=-1, keepdims=True)
    return xp.reshape(xp.take_along_axis(laid, index, axis=-1), reduced_shape(x, axes, keepdims))

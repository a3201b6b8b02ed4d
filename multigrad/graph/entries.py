"""Entries by arrays of indices, as NumPy has it: ``x[i, :, j]`` read and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .indexing import scattered_to
from .namespace import Namespace, is_known, known, on_numpy

Array = Any
Indices = Sequence[Array | None]
"""For each of the first axes integers, or a mask over one or several, or None for all of the axis."""


def _spread(indices: Indices) -> list[Array | None]:
    """Replace masks whose values are known by the places where they are true."""
    result: list[Array | None] = []
    for index in indices:
        if index is not None and is_known(index) and known(index).dtype.kind == "b":
            result += list(np.nonzero(known(index)))
        else:
            result.append(known(index) if index is not None and is_known(index) else index)
    return result


def _laid_out(shape: Sequence[int], indices: Indices) -> tuple[list[int], tuple[int, ...], int]:
    """Return the indexed axes, the shape of what is indexed, and where its axes stand in the result."""
    axes = [a for a, index in enumerate(indices) if index is not None]
    over = np.broadcast_shapes(*(np.shape(index) for index in indices if index is not None))
    beside = axes == list(range(axes[0], axes[-1] + 1))
    return axes, over, axes[0] if beside else 0


def _numbers(xp: Namespace, shape: Sequence[int], indices: Indices, axes: Sequence[int]) -> Array:
    """Return the place among the indexed axes, as one number counted over all of them."""
    chosen = [indices[a] for a in axes]
    ix = on_numpy() if all(map(is_known, chosen)) else xp
    places: Array = 0
    for axis, index in zip(axes, chosen, strict=True):
        index, size = ix.array(index), shape[axis]
        places = places * size + ix.where(index < 0, index + size, index)
    return places


def _moved(xp: Namespace, x: Array, axes: Sequence[int]) -> Array:
    """Bring axes to the front and lay them into one."""
    rest = [a for a in range(x.ndim) if a not in axes]
    laid = xp.permute_dims(x, (*axes, *rest))
    return xp.reshape(laid, (math.prod(x.shape[a] for a in axes), *(x.shape[a] for a in rest)))


def indexed(xp: Namespace, x: Array, indices: Indices) -> Array:
    """Read entries.

    Args:
        xp: the namespace.
        x: the array.
        indices: for each of the first axes; a mask is one whose values are known.

    Returns:
        The entries, the indexed axes where the first of them was, or first where others stand between them.
    """
    indices = _spread(indices)
    axes, over, ahead = _laid_out(x.shape, indices)
    places = _numbers(xp, x.shape, indices, axes)
    rows = xp.take(
        _moved(xp, x, axes), xp.array(places.reshape(-1) if is_known(places) else xp.reshape(places, (-1,))), axis=0
    )
    laid = xp.reshape(rows, (*over, *rows.shape[1:]))
    own = tuple(range(len(over)))
    return xp.moveaxis(laid, own, tuple(i + ahead for i in own)) if over else laid


def put(xp: Namespace, x: Array, indices: Indices, values: Array, *, combined: str) -> Array:
    """Return x with entries written; what is set twice holds the last one.

    Args:
        xp: the namespace.
        x: the array.
        indices: for each of the first axes; one mask may have values that are computed, where one number is set.
        values: what is written, broadcast to the shape that reading has.
        combined: a key of :data:`multigrad.graph.indexing.COMBINED`.
    """
    indices = _spread(indices)
    mask = indices[0] if len(indices) == 1 else None
    if mask is not None and not is_known(mask) and xp.isdtype(mask.dtype, "bool"):
        chosen = xp.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
        return xp.where(chosen, x + values if combined == "add" else values, x)
    axes, over, ahead = _laid_out(x.shape, indices)
    places = _numbers(xp, x.shape, indices, axes)
    rest = [a for a in range(x.ndim) if a not in axes]
    lengths = [x.shape[a] for a in rest]
    values = xp.broadcast_to(values, (*lengths[:ahead], *over, *lengths[ahead:]))
    own = tuple(range(len(over)))
    rows = xp.moveaxis(values, tuple(i + ahead for i in own), own) if over else values
    flat, inner = _moved(xp, x, axes), math.prod(lengths)
    ix = on_numpy() if is_known(places) else xp
    numbers = ix.reshape(ix.reshape(places, (-1, 1)) * inner + ix.arange(inner, device=ix.device), (-1,))
    written = scattered_to(xp, xp.reshape(flat, (-1,)), numbers, xp.reshape(rows, (-1,)), combined)
    order = [*axes, *rest]
    laid = xp.reshape(written, tuple(x.shape[a] for a in order))
    return xp.permute_dims(laid, tuple(order.index(a) for a in range(x.ndim)))


def put_along(xp: Namespace, x: Array, index: Array, values: Array, axis: int, combined: str) -> Array:
    """Return x with ``x[…, index[…, i, …], …]`` written, which ``take_along_axis`` reads.

    Args:
        xp: the namespace.
        x: the array.
        index: integers, as long as values along each axis.
        values: what is written.
        axis: the axis that the integers belong to.
        combined: a key of :data:`multigrad.graph.indexing.COMBINED`.
    """
    ix = on_numpy() if is_known(index) else xp
    numbers: Array = 0
    for a, size in enumerate(x.shape):
        shape = tuple(-1 if b == a else 1 for b in range(x.ndim))
        along = index if a == axis else ix.reshape(ix.arange(index.shape[a], device=ix.device), shape)
        numbers = numbers * size + along
    result = scattered_to(xp, xp.reshape(x, (-1,)), ix.reshape(numbers, (-1,)), xp.reshape(values, (-1,)), combined)
    return xp.reshape(result, x.shape)

"""Entries by index: gathering, scattering, slices whose start is computed, padding.

The general gather and scatter are XLA's (https://openxla.org/xla/operation_semantics#gather): each reads or writes
windows of an array, whose corners stand in an array of integers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..data.errors import BadInput
from ..extra.scatter import scatter_add
from .namespace import Namespace, is_known, known, on_numpy

Array = Any
Outside = Literal["promised", "clip", "drop"]
"""Where a window is not inside: it always is, it is moved inside, or it reads the fill value and writes nothing."""


@dataclass(frozen=True)
class Windows:
    """Which axes are which, where windows of an operand are laid into another array, the slab."""

    window_axes: tuple[int, ...]
    """The axes of the slab along which a window lies."""
    dropped_axes: tuple[int, ...]
    """The axes of the operand in which a window has length 1, and which the slab lacks."""
    index_axes: tuple[int, ...]
    """The axes of the operand that the entries of a corner belong to."""
    batch_axes: tuple[int, ...] = ()
    """The axes of the operand that go with an axis of the corners."""
    batch_axes_of_corners: tuple[int, ...] = ()
    """Those axes of the corners."""


def gather(
    xp: Namespace,
    x: Array,
    corners: Array,
    *,
    windows: Windows,
    lengths: Sequence[int],
    outside: Outside,
    fill: float | None = None,
) -> Array:
    """Read windows of x.

    Args:
        xp: the namespace.
        x: the operand.
        corners: integers (…, number of index axes).
        windows: which axes are which.
        lengths: the length of a window along each axis of x.
        outside: what happens where a window is not inside.
        fill: what it reads there; None is NaN, or 0 among integers.
    """
    x = xp.array(x)
    ix, corners = _integers(xp, corners)
    if corners.ndim - 1 == x.ndim and windows == _along_one(windows, x.ndim) and all(n == 1 for n in lengths):
        (axis,) = windows.index_axes
        places, inside = _inside(ix, corners[..., 0], x.shape[axis], outside)
        return _filled(xp, xp.take_along_axis(x, _index(xp, places), axis=axis), inside, fill)
    whole = all(n == x.shape[a] for a, n in enumerate(lengths) if a not in windows.dropped_axes)
    if len(windows.index_axes) == 1 and windows.dropped_axes == windows.index_axes and whole and x.ndim:
        return _taken(xp, ix, x, corners[..., 0], windows, outside, fill)
    shape = _slab_shape(corners.shape[:-1], windows, [n for a, n in enumerate(lengths) if a in _kept(windows, x.ndim)])
    places, inside = _places(ix, x.shape, corners, windows, lengths, shape, outside)
    taken = xp.take(xp.reshape(x, (-1,)), _index(xp, ix.reshape(places, (-1,))), axis=0)
    return _filled(xp, xp.reshape(taken, shape), inside, fill)


def _along_one(windows: Windows, rank: int) -> Windows | None:
    """Return the windows of ``take_along_axis`` along the axis that these have, if it is one."""
    if len(windows.index_axes) != 1:
        return None
    rest = tuple(a for a in range(rank) if a not in windows.index_axes)
    return Windows((), windows.index_axes, windows.index_axes, rest, rest)


def _taken(
    xp: Namespace, ix: Any, x: Array, places: Array, windows: Windows, outside: Outside, fill: float | None
) -> Array:
    """Whole slices of x along one axis."""
    (axis,) = windows.index_axes
    batch = tuple(places.shape)
    places, inside = _inside(ix, places, x.shape[axis], outside)
    taken = xp.take(x, _index(xp, ix.reshape(places, (-1,))), axis=axis)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    laid = xp.reshape(taken, (*before, *batch, *after))
    rank = laid.ndim
    slab_windows = [a for a in range(rank) if not axis <= a < axis + len(batch)]
    slab_batch = range(axis, axis + len(batch))
    order = [0] * rank
    for place, source in zip(windows.window_axes, slab_windows, strict=True):
        order[place] = source
    for place, source in zip((a for a in range(rank) if a not in windows.window_axes), slab_batch, strict=True):
        order[place] = source
    result = laid if order == list(range(rank)) else xp.permute_dims(laid, tuple(order))
    if inside is not None:
        inside = ix.reshape(inside, _slab_shape(batch, windows, [1] * len(windows.window_axes)))
    return _filled(xp, result, inside, fill)


def _kept(windows: Windows, rank: int) -> list[int]:
    return [a for a in range(rank) if a not in windows.dropped_axes and a not in windows.batch_axes]


def _slab_shape(batch: Sequence[int], windows: Windows, lengths: Sequence[int]) -> tuple[int, ...]:
    rest, inner = iter(batch), iter(lengths)
    rank = len(batch) + len(windows.window_axes)
    return tuple(next(inner) if a in windows.window_axes else next(rest) for a in range(rank))


def _integers(xp: Namespace, x: Array) -> tuple[Any, Array]:
    """Return the namespace that integers are computed in, and the integers."""
    return (on_numpy(), known(x)) if is_known(x) else (xp, x)


def _index(xp: Namespace, places: Array) -> Array:
    """Return integers as the namespace takes them for an index."""
    return xp.array(places) if is_known(places) else xp.astype(places, xp.int64)


def _inside(ix: Any, places: Array, size: int, outside: Outside) -> tuple[Array, Array | None]:
    """Move places inside an axis; where they may be outside and are dropped, say which are not."""
    if outside == "promised" or not size:
        return places, None
    inside = (places >= 0) & (places < size) if outside == "drop" else None
    moved = ix.minimum(ix.maximum(places, 0), size - 1)
    return moved, None if inside is not None and is_known(inside) and bool(known(inside).all()) else inside


def _filled(xp: Namespace, x: Array, inside: Array | None, fill: float | None) -> Array:
    if inside is None:
        return x
    value = (0 if is_known(x) else math.nan) if fill is None else fill
    return xp.where(xp.array(inside), x, xp.array(value))


def _places(
    ix: Any,
    sizes: Sequence[int],
    corners: Array,
    windows: Windows,
    lengths: Sequence[int],
    shape: Sequence[int],
    outside: Outside,
) -> tuple[Array, Array | None]:
    """Return for each entry of the slab its number in the flattened operand, and whether it is inside."""
    rank = len(shape)
    batch = [a for a in range(rank) if a not in windows.window_axes]
    kept = _kept(windows, len(sizes))

    def spread(x: Array, axes: Sequence[int]) -> Array:
        return ix.reshape(x, tuple(n if a in axes else 1 for a, n in enumerate(shape)))

    places, inside = spread(ix.asarray(np.zeros(1, dtype=np.int64), device=ix.device), ()), None
    for axis, (size, length) in enumerate(zip(sizes, lengths, strict=True)):
        along: Array = 0
        if axis in windows.index_axes:
            corner, here = _inside(ix, corners[..., windows.index_axes.index(axis)], size - length + 1, outside)
            along = spread(corner, batch)
            inside = here if inside is None else inside if here is None else inside & here
        elif axis in windows.batch_axes:
            over = batch[windows.batch_axes_of_corners[windows.batch_axes.index(axis)]]
            along = spread(ix.arange(shape[over], device=ix.device), (over,))
        if axis in kept and length > 1:
            lies = windows.window_axes[kept.index(axis)]
            along = along + spread(ix.arange(length, device=ix.device), (lies,))
        places = places + along * math.prod(sizes[axis + 1 :])
    return ix.broadcast_to(places, tuple(shape)), None if inside is None else spread(inside, batch)


COMBINED: dict[str, Callable[[Any, Array, Array], Array]] = {
    "set": lambda xp, old, new: new,
    "add": lambda xp, old, new: xp.add(old, new),
    "multiply": lambda xp, old, new: xp.multiply(old, new),
    "minimum": lambda xp, old, new: xp.minimum(old, new),
    "maximum": lambda xp, old, new: xp.maximum(old, new),
}
"""How a scattered entry joins what is there."""


def scatter(
    xp: Namespace, x: Array, corners: Array, slab: Array, *, windows: Windows, outside: Outside, combined: str
) -> Array:
    """Return x with windows written into it; an entry that is set twice holds the last one.

    Args:
        xp: the namespace.
        x: what is written into.
        corners: integers (…, number of index axes).
        slab: what is written.
        windows: which axes are which.
        outside: what happens where a window is not inside.
        combined: a key of :data:`COMBINED`.

    Raises:
        BadInput: they are combined otherwise than by adding or setting, at places that the namespace does not tell.
    """
    x, slab = xp.array(x), xp.array(slab)
    if not math.prod(slab.shape) or not math.prod(x.shape):
        return x
    ix, corners = _integers(xp, corners)
    kept = _kept(windows, x.ndim)
    lengths = [slab.shape[windows.window_axes[kept.index(a)]] if a in kept else 1 for a in range(x.ndim)]
    places, inside = _places(ix, x.shape, corners, windows, lengths, slab.shape, outside)
    places = ix.reshape(places, (-1,))
    flat, given = xp.reshape(x, (-1,)), xp.reshape(slab, (-1,))
    if inside is not None:
        inside = ix.reshape(ix.broadcast_to(inside, slab.shape), (-1,))
    return xp.reshape(scattered_to(xp, flat, places, given, combined, inside), x.shape)


def scattered_to(
    xp: Namespace, x: Array, places: Array, given: Array, combined: str, inside: Array | None = None
) -> Array:
    """Return a vector with entries written to places in it.

    Args:
        xp: the namespace.
        x: the vector.
        places: integers, one for each entry.
        given: the entries.
        combined: a key of :data:`COMBINED`.
        inside: which entries are written; None is all.
    """
    if is_known(places):
        return _scattered(xp, x, given, known(places), None if inside is None else known(inside), combined)
    if inside is not None:
        # What is outside is written beside the array.
        places = xp.where(inside, places, x.shape[0])
    return _scattered_by(xp, x, given, places, combined)


def _scattered(
    xp: Namespace, x: Array, given: Array, places: np.ndarray, inside: np.ndarray | None, combined: str
) -> Array:
    """Scatter to places that are known: a round for each entry that comes to the same place as one before it."""
    entries = np.arange(places.size) if inside is None else np.flatnonzero(inside)
    order = entries[np.argsort(places[entries], kind="stable")]
    if combined == "set":
        last = np.append(places[order][1:] != places[order][:-1], True)
        order = order[last]
    _, first, counts = np.unique(places[order], return_index=True, return_counts=True)
    turn = np.arange(order.size) - np.repeat(first, counts)
    for i in range(int(turn.max(initial=-1)) + 1):
        chosen = order[turn == i]
        source, hit = np.zeros(x.shape[0], dtype=np.int64), np.zeros(x.shape[0], dtype=bool)
        source[places[chosen]], hit[places[chosen]] = chosen, True
        taken = xp.take(given, xp.array(source), axis=0)
        x = xp.where(xp.array(hit), COMBINED[combined](xp, x, taken), x)
    return x


def _scattered_by(xp: Namespace, x: Array, given: Array, places: Array, combined: str) -> Array:
    count = x.shape[0]

    def summed(values: Array) -> Array:
        return scatter_add(xp, values[:, None], places, count + 1)[:count, 0]

    if combined == "add":
        return x + summed(given)
    if combined != "set":
        raise BadInput(f"a scatter by {combined} at places that are computed has no array API form; write xp.where")
    return xp.where(summed(xp.ones_like(given)) > 0, summed(given), x)


def dynamic_slice(xp: Namespace, x: Array, starts: Sequence[Array], lengths: Sequence[int]) -> Array:
    """Return a window of x, moved inside where it is not."""
    x = xp.array(x)
    for axis, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        size = x.shape[axis]
        if length == size:
            continue
        if is_known(start):
            first = min(max(int(start), 0), size - length)
            x = x[(*(slice(None),) * axis, slice(first, first + length), ...)]
        else:
            moved = xp.minimum(xp.maximum(start, 0), size - length)
            x = xp.take(x, xp.arange(length, device=xp.device) + moved, axis=axis)
    return x


def dynamic_update_slice(xp: Namespace, x: Array, part: Array, starts: Sequence[Array]) -> Array:
    """Return x with a window replaced, moved inside where it is not."""
    x, part = xp.array(x), xp.array(part)
    hit: Array = True
    for axis, start in enumerate(starts):
        size, length = x.shape[axis], part.shape[axis]
        ix, start = _integers(xp, start)
        offset = ix.arange(size, device=ix.device) - ix.minimum(ix.maximum(start, 0), size - length)
        shape = tuple(size if a == axis else 1 for a in range(x.ndim))
        hit = hit & ix.reshape((offset >= 0) & (offset < length), shape)
        part = xp.take(part, xp.array(ix.minimum(ix.maximum(offset, 0), length - 1)), axis=axis)
    return part if hit is True else xp.where(xp.array(hit), part, x)


def pad(xp: Namespace, x: Array, value: Array, *, edges: Sequence[tuple[int, int, int]]) -> Array:
    """Return x with ``value`` around its entries and between them.

    Args:
        xp: the namespace.
        x: the operand.
        value: a number, or an array without dimensions.
        edges: for each axis how many entries come before, after and between any two; fewer than 0 are cut off.
    """
    x, value = xp.array(x), xp.array(value)
    for axis, (low, high, between) in enumerate(edges):
        size = x.shape[axis]
        if between and size > 1:
            index = np.arange(size + (size - 1) * between)
            shape = tuple(len(index) if a == axis else 1 for a in range(x.ndim))
            on = xp.array((index % (between + 1) == 0).reshape(shape))
            x = xp.where(on, xp.take(x, xp.array(index // (between + 1)), axis=axis), value)
        if low < 0 or high < 0:
            x = x[(*(slice(None),) * axis, slice(max(-low, 0), x.shape[axis] - max(-high, 0)), ...)]
        blocks = [xp.broadcast_to(value, (*x.shape[:axis], max(n, 0), *x.shape[axis + 1 :])) for n in (low, high)]
        if low > 0 or high > 0:
            x = xp.concat([b for b in (blocks[0], x, blocks[1]) if b.shape[axis]], axis=axis)
    return x


def strided(xp: Namespace, x: Array, starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]) -> Array:
    """Return the entries from start to end, every step-th, along each axis."""
    x = xp.array(x)
    return x[tuple(itertools.starmap(slice, zip(starts, ends, steps, strict=True)))]

"""The pullbacks of what moves entries about: a gather is scattered, a broadcast is summed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...extra.scatter import scatter_add
from ..shared.operators import Operators
from .arrays import Pull, TapeArray, Value, holds, recorded, value_of


def summed_to(xp: Any, g: Value, shape: Sequence[int]) -> Value:
    """Sum a cotangent over the axes along which an operand of that shape was broadcast."""
    shape = tuple(shape)
    if tuple(g.shape) == shape:
        return g
    ahead = g.ndim - len(shape)
    axes = tuple(i for i in range(g.ndim) if i < ahead or (shape[i - ahead] == 1 and g.shape[i] != 1))
    return xp.reshape(xp.sum(g, axis=axes) if axes else g, shape)


def _reshaped(xp: Any, x: Value) -> Pull:
    return lambda g: xp.reshape(g, tuple(x.shape))


MOVES: dict[str, Callable[..., Pull]] = {
    "broadcast_to": lambda xp, x, shape: lambda g: summed_to(xp, g, x.shape),
    "expand_dims": lambda xp, x, *, axis=0: _reshaped(xp, x),
    "squeeze": lambda xp, x, axis: _reshaped(xp, x),
    "reshape": lambda xp, x, shape, *, copy=None: _reshaped(xp, x),
    "flip": lambda xp, x, *, axis=None: lambda g: xp.flip(g, axis=axis),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose,
    "moveaxis": lambda xp, x, source, destination: lambda g: xp.moveaxis(g, destination, source),
    "permute_dims": lambda xp, x, axes: lambda g: xp.permute_dims(g, tuple(map(int, np.argsort(axes)))),
    "roll": lambda xp, x, shift, *, axis=None: lambda g: xp.roll(g, _opposite(shift), axis=axis),
    "tril": lambda xp, x, *, k=0: lambda g: xp.tril(g, k=k),
    "triu": lambda xp, x, *, k=0: lambda g: xp.triu(g, k=k),
    "take": lambda xp, x, indices, *, axis=None: _take(xp, x, indices, axis),
    "take_along_axis": lambda xp, x, indices, *, axis=-1: _take_along_axis(xp, x, indices, axis),
}
"""What pulls back, of a function of one array that moves its entries; called with the function's own arguments."""


def _opposite(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, tuple | list) else -shift


def _take(xp: Any, x: Value, indices: Value, axis: int | None) -> Pull:
    lane = 0 if axis is None else axis % x.ndim
    indices = indices if hasattr(indices, "ndim") else np.asarray(indices)

    def pull(g: Value) -> Value:
        count, rest = math.prod(indices.shape), [n for i, n in enumerate(x.shape) if i != lane]
        own = tuple(range(lane, lane + indices.ndim))
        rows = xp.permute_dims(g, (*own, *(i for i in range(g.ndim) if i not in own)))
        rows = xp.reshape(rows, (count, math.prod(rest)))
        sums = scatter_add(xp, rows, xp.reshape(xp.asarray(indices), (count,)), x.shape[lane])
        return xp.moveaxis(xp.reshape(sums, (x.shape[lane], *rest)), 0, lane)

    return pull


def numbered(xp: Any, x: Value) -> Value:
    """Return the places of an array's entries, as whole numbers of its shape."""
    return xp.reshape(xp.arange(math.prod(x.shape), device=getattr(x, "device", None)), tuple(x.shape))


def scattered(xp: Any, g: Value, places: Value, x: Value) -> Value:
    """Add the entries of a cotangent up at their places in x."""
    count = math.prod(g.shape)
    sums = scatter_add(xp, xp.reshape(g, (count, 1)), xp.reshape(places, (count,)), math.prod(x.shape))
    return xp.reshape(sums, tuple(x.shape))


def one_of(xp: Any, x: Value, index: Value, axis: int, g: Value) -> Value:
    """Put a cotangent where an index along an axis, which keeps it with length 1, says; zero elsewhere."""
    places = xp.arange(x.shape[axis], device=getattr(x, "device", None))
    places = xp.reshape(places, tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim)))
    return xp.where(index == places, g, 0)


def _take_along_axis(xp: Any, x: Value, indices: Value, axis: int) -> Pull:
    if indices.shape[axis] == 1:
        return lambda g: summed_to(xp, one_of(xp, x, indices, axis, g), x.shape)
    return lambda g: scattered(xp, g, xp.take_along_axis(numbered(xp, x), indices, axis=axis), x)


def moved(name: str) -> Callable[..., Any]:
    """Make a function of the tape of a rule in :data:`MOVES`."""
    rule = MOVES[name]

    def apply(tape: Any, x: Any, /, *args: Any, **options: Any) -> TapeArray:
        xp, args = tape.base, tuple(map(value_of, args))
        value = getattr(xp, name)(value_of(x), *args, **options)
        return recorded(tape, value, [x], [rule(xp, value_of(x), *args, **options)])

    return apply


def concat(tape: Any, arrays: Sequence[Any], /, *, axis: int | None = 0) -> TapeArray:
    """Joined along an axis; each gets its part of the cotangent."""
    xp, values = tape.base, [value_of(a) for a in arrays]
    if axis is None:
        return concat(tape, [tape.reshape(a, (-1,)) for a in arrays], axis=0)
    ends = np.cumsum([v.shape[axis] for v in values]).tolist()
    ahead = (slice(None),) * (axis % values[0].ndim)

    def part(start: int, end: int) -> Pull:
        return lambda g: g[(*ahead, slice(start, end), ...)]

    return recorded(tape, xp.concat(values, axis=axis), arrays, list(map(part, [0, *ends[:-1]], ends)))


def stack(tape: Any, arrays: Sequence[Any], /, *, axis: int = 0) -> TapeArray:
    """Joined along a new axis."""
    value = tape.base.stack([value_of(a) for a in arrays], axis=axis)
    ahead = (slice(None),) * (axis % value.ndim)

    def part(i: int) -> Pull:
        return lambda g: g[(*ahead, i, ...)]

    return recorded(tape, value, arrays, list(map(part, range(len(arrays)))))


def unstack(tape: Any, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    ahead = (slice(None),) * (axis % x.ndim)
    return tuple(x[(*ahead, i, ...)] for i in range(x.shape[axis]))


def where(tape: Any, condition: Any, a: Any, b: Any, /) -> Any:
    """Chosen by a condition; each gets the cotangent where it was chosen."""
    xp = tape.base
    chosen = xp.not_equal(condition.value, 0) if isinstance(condition, TapeArray) else condition
    value = xp.where(chosen, value_of(a), value_of(b))
    if not holds((a, b)):
        return tape.wrapped(value)
    pulls: list[Pull] = [
        lambda g: summed_to(xp, xp.where(chosen, g, 0), a.shape),
        lambda g: summed_to(xp, xp.where(chosen, 0, g), b.shape),
    ]
    return recorded(tape, value, [a, b], pulls)


def broadcast_arrays(tape: Any, /, *arrays: Any) -> list[Any]:
    """Each broadcast to the shape of all."""
    shape = np.broadcast_shapes(*(np.shape(value_of(a)) if not hasattr(a, "shape") else a.shape for a in arrays))
    return [tape.broadcast_to(a, shape) for a in arrays]


def meshgrid(tape: Any, /, *arrays: Any, indexing: str = "xy") -> list[Any]:
    """Each along an axis of its own."""
    rank = len(arrays)
    order = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    laid = [tape.reshape(a, tuple(-1 if i == order[k] else 1 for i in range(rank))) for k, a in enumerate(arrays)]
    return broadcast_arrays(tape, *laid)


def repeat(tape: Any, x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each entry of an axis several times."""
    x = tape.reshape(x, (-1,)) if axis is None else x
    lane = 0 if axis is None else axis
    places = tape.base.arange(x.shape[lane], device=x.device)
    return tape.take(x, tape.base.repeat(places, value_of(repeats)), axis=lane)


def tile(tape: Any, x: Any, repetitions: Sequence[int], /) -> Any:
    """The whole several times, along each axis."""
    times = tuple(repetitions) if isinstance(repetitions, tuple | list) else (repetitions,)
    rank = max(x.ndim, len(times))
    shape, times = (1,) * (rank - x.ndim) + x.shape, (1,) * (rank - len(times)) + times
    pairs = list(zip(times, shape, strict=True))
    wide = tape.reshape(x, tuple(n for _, size in pairs for n in (1, size)))
    wide = tape.broadcast_to(wide, tuple(n for pair in pairs for n in pair))
    return tape.reshape(wide, tuple(count * size for count, size in pairs))


def item(tape: Any, x: Any, key: Any, /) -> TapeArray:
    """``x[key]``: slices and places, indices, masks."""
    xp, X = tape.base, x.value
    keys = _keys(xp, X, key)
    value = X[keys if isinstance(key, tuple) else keys[0]]
    if all(map(_plain, keys)):
        return recorded(tape, value, [x], [_placed(xp, X, keys)])

    def pull(g: Value) -> Value:
        if len(keys) == 1 and _whole(xp, keys[0]):
            return _take(xp, X, keys[0], 0)(g)
        places = numbered(xp, X)
        settled = tuple(k.value if isinstance(k, Operators) and isinstance(places, np.ndarray) else k for k in keys)
        return scattered(xp, g, places[settled], X)

    return recorded(tape, value, [x], [pull])


def _keys(xp: Any, x: Value, key: Any) -> tuple[Any, ...]:
    """Return an index as a tuple, in which NumPy's arrays are those of the namespace, where x is."""
    keys = tuple(map(value_of, key)) if isinstance(key, tuple) else (value_of(key),)
    if isinstance(x, np.ndarray | np.generic | Operators):
        return keys
    there = {"device": getattr(x, "device", None)}
    return tuple(xp.asarray(k.copy(), **there) if isinstance(k, np.ndarray) else k for k in keys)


def _placed(xp: Any, x: Value, keys: Sequence[Any]) -> Pull:
    """Put a cotangent back where slices and places took it from; what only adds axes is undone by a new shape."""
    taking = tuple(k for k in keys if k is not None)
    if all(k is ... or (isinstance(k, slice) and k == slice(None)) for k in taking):
        return _reshaped(xp, x)
    shape = np.broadcast_to(np.int8(0), tuple(x.shape))[taking].shape
    return lambda g: put(xp.zeros_like(x), taking, xp.reshape(g, shape))


def _plain(key: Any) -> bool:
    return key is None or key is ... or isinstance(key, slice | int | np.integer)


def _whole(xp: Any, key: Any) -> bool:
    return hasattr(key, "dtype") and hasattr(key, "ndim") and xp.isdtype(key.dtype, "integral")


def _copied(x: Value) -> Value:
    """Return a copy in memory of its own, which the autodiff of a framework follows."""
    return x[...] if isinstance(x, Operators) else 1 * x


def put(x: Value, key: tuple[Any, ...], value: Any) -> Value:
    """Return x, whose own memory this is, with entries written."""
    if hasattr(x, "at"):
        return x.at[key].set(value)
    x[key] = value
    return x


def assigned(tape: Any, x: Any, key: Any, value: Any, /) -> TapeArray:
    """Return x with ``x[key] = value``: what is overwritten gets no cotangent."""
    xp, X = tape.base, x.value
    keys = _keys(xp, X, key)
    changed = put(_copied(X), keys, value_of(value))

    def kept(g: Value) -> Value:
        return put(_copied(g), keys, 0)

    pulls: list[Pull] = [kept, lambda g: summed_to(xp, g[keys], value.shape)]
    return recorded(tape, changed, [x, value], pulls)

"""Moving elements about: views, copies, elements by index; and scans."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..shared import structure
from ..shared.unsupported import Unsupported
from .arrays import Array, bytes_of, computed, copied, dtype_of, ghost, kept, shape_of, view
from .counters import current


def meshgrid(*arrays: Any, indexing: Any = "xy") -> list[Array]:
    """Views."""
    shape = np.meshgrid(*(ghost(a.shape) for a in arrays), indexing=indexing)[0].shape
    return [view(a, shape) for a in arrays]


def reshape(x: Any, /, shape: Any, **_: Any) -> Array:
    """A view."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    given = math.prod(n for n in sizes if n != -1)
    sizes = tuple(math.prod(x.shape) // max(given, 1) if n == -1 else n for n in sizes)
    if math.prod(sizes) != math.prod(x.shape):
        raise ValueError(f"shape {x.shape} does not fit into {sizes}")
    return view(x, sizes)


def _viewed(function: Callable[[Any], Any], x: Any) -> Array:
    return view(x, function(ghost(x.shape)).shape)


def _viewing(*names: str) -> list[Any]:
    return [functools.partial(structure.FUNCTIONS[name], _viewed) for name in names]


broadcast_arrays, broadcast_to, expand_dims = _viewing("broadcast_arrays", "broadcast_to", "expand_dims")
permute_dims, moveaxis, matrix_transpose = _viewing("permute_dims", "moveaxis", "matrix_transpose")


def squeeze(x: Any, /, axis: Any = None) -> Array:
    """A view."""
    return _viewed(lambda a: np.squeeze(a, axis), x)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Views."""
    shape = kept(x.shape, axis, False)
    return tuple(Array(shape, x.dtype) for _ in range(x.shape[axis]))


def _same(name: str) -> Any:
    def copy(x: Any, /, *_: Any, **__: Any) -> Array:
        return copied(shape_of(x), dtype_of(x), x)

    copy.__doc__ = f"As ``{name}`` in the standard: a copy."
    return copy


flip, roll, tril, triu = (_same(n) for n in ("flip", "roll", "tril", "triu"))


def tile(x: Any, repetitions: tuple[int, ...], /) -> Array:
    """A copy."""
    rank = max(x.ndim, len(repetitions))
    left, right = ((1,) * (rank - len(t)) + tuple(t) for t in (x.shape, repetitions))
    return copied([a * b for a, b in zip(left, right, strict=True)], x.dtype, x)


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Array:
    """A copy."""
    if not isinstance(repeats, int):
        raise Unsupported("xp.repeat(x, array)", "here are shapes only; write `xp.take`", Array.knower)
    shape = [x.size] if axis is None else list(x.shape)
    shape[0 if axis is None else axis] *= repeats
    return copied(shape, x.dtype, x)


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Array:
    """A copy."""
    if axis is None:
        shape = [sum(math.prod(shape_of(a)) for a in arrays)]
    else:
        shape = list(shape_of(arrays[0]))
        shape[axis] = sum(shape_of(a)[axis] for a in arrays)
    return copied(shape, dtype_of(*arrays), *arrays)


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Array:
    """A copy."""
    shape = list(shape_of(arrays[0]))
    shape.insert(axis % (len(shape) + 1), len(arrays))
    return copied(shape, dtype_of(*arrays), *arrays)


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Array:
    """A copy, and the indices are read."""
    chosen = (0 if axis is None else axis) % len(shape_of(x))
    shape = (*shape_of(x)[:chosen], *shape_of(indices), *shape_of(x)[chosen + 1 :])
    current().streamed_bytes += bytes_of(indices)
    return copied(shape, dtype_of(x), x)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """A copy, and the indices are read."""
    shape = list(np.broadcast_shapes(kept(shape_of(x), axis, True), kept(shape_of(indices), axis, True)))
    shape[axis] = shape_of(indices)[axis]
    current().streamed_bytes += bytes_of(indices)
    return copied(shape, dtype_of(x), x)


def scatter_add(x: Any, numbers: Any, count: int, /) -> Array:
    """One addition for each element; the numbers are read."""
    return computed((count, *shape_of(x)[1:]), dtype_of(x), (x, numbers), math.prod(shape_of(x)))


def scan(step: Any, carry: Any, xs: Any, /, *, reverse: bool = False) -> tuple[Any, Any]:
    """Count one step and take it as often as there are: every step has the same shapes."""
    slices = tuple(x[0, ...] for x in xs) if isinstance(xs, tuple) else xs[0, ...]
    count = shape_of(xs[0] if isinstance(xs, tuple) else xs)[0]
    before = vars(current()).copy()
    carry, y = step(carry, slices)
    after = vars(current())
    for name, value in before.items():
        if not isinstance(value, str):
            after[name] += (count - 1) * (after[name] - value)
    if y is None:
        return carry, None
    if isinstance(y, tuple):
        return carry, tuple(copied((count, *shape_of(one)), dtype_of(one), *([one] * count)) for one in y)
    return carry, copied((count, *shape_of(y)), dtype_of(y), *([y] * count))

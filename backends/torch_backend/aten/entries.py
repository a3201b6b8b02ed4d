"""What torch's ATen calls are in the array API standard: entries by index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from multigrad.graph.entries import indexed, put, put_along
from multigrad.graph.namespace import Namespace, is_known, known, on_numpy

from .facts import Array, Fact


def _places(xp: Namespace, index: Array) -> Array:
    """Return indices as the namespace takes them; those from the end are not counted so in torch's own calls."""
    return xp.array(known(index)) if is_known(index) else index


def _gathered(xp: Namespace, x: Array, index: Array, *, dim: int, **_: Any) -> Array:
    x, index = xp.array(x), _places(xp, index)
    if not x.ndim or not index.ndim:
        return xp.reshape(x, ()) if not index.ndim and x.ndim < 2 else xp.broadcast_to(x, index.shape)
    axis = dim % x.ndim
    # Along the other axes an index may be shorter than the array.
    cut = tuple(slice(None) if a == axis else slice(0, n) for a, n in enumerate(index.shape))
    return xp.take_along_axis(x[cut], index, axis=axis)


def _taken(xp: Namespace, x: Array, index: Array, *, dim: int, **_: Any) -> Array:
    x, index = xp.array(x), _places(xp, index)
    return xp.take(x, xp.reshape(index, (-1,)), axis=dim) if x.ndim else x


def _embedded(xp: Namespace, weight: Array, indices: Array, *, padding_idx: int = -1, **_: Any) -> Array:
    weight, indices = xp.array(weight), _places(xp, indices)
    if padding_idx >= 0:
        # The row of the padding is read as it is, and gets no gradient.
        padding = xp.array(np.arange(weight.shape[0])[:, None] == padding_idx)
        weight = xp.where(padding, xp.constant(weight), weight)
    rows = xp.take(weight, xp.reshape(indices, (-1,)), axis=0)
    return xp.reshape(rows, (*indices.shape, *weight.shape[1:]))


def _parts(operands: Sequence[Array], indices: Sequence[int | None]) -> list[Array | None]:
    return [None if i is None else operands[i] for i in indices]


def _indexed(xp: Namespace, *operands: Array, indices: Sequence[int | None], **_: Any) -> Array:
    return indexed(xp, xp.array(operands[0]), _parts(operands, indices))


def _put(xp: Namespace, *operands: Array, indices: Sequence[int | None], accumulate: bool = False, **_: Any) -> Array:
    x, values = xp.alike(xp.array(operands[0]), xp.array(operands[-1]))
    return put(xp, x, _parts(operands, indices), values, combined="add" if accumulate else "set")


REDUCED = {"sum": "add", "add": "add", "prod": "multiply", "multiply": "multiply", "amax": "maximum", "amin": "minimum"}
"""What torch calls how a scattered entry joins what is there."""


def _scattered(combined: str) -> Fact:
    def fact(
        xp: Namespace,
        x: Array,
        index: Array,
        src: Array | None = None,
        *,
        dim: int,
        value: float | None = None,
        reduce: str | None = None,
        **_: Any,
    ) -> Array:
        x, source = xp.alike(xp.array(x), xp.array(value if src is None else src))
        index = known(index) if is_known(index) else index
        if not np.ndim(index) or not x.ndim:
            x, index, source = xp.reshape(x, (-1,)), index.reshape(-1), xp.reshape(source, (-1,))
        if not source.ndim:
            source = xp.broadcast_to(source, tuple(index.shape))
        source = source[tuple(slice(0, n) for n in index.shape)]
        return put_along(xp, x, index, source, dim % x.ndim, REDUCED[reduce] if reduce else combined)

    return fact


def _scatter_reduced(
    xp: Namespace,
    x: Array,
    index: Array,
    src: Array,
    *,
    dim: int,
    reduce: str,
    include_self: bool = True,
    **_: Any,
) -> Array:
    if reduce == "mean":
        real = xp.array(x)
        total = _scatter_reduced(xp, real, index, src, dim=dim, reduce="sum", include_self=include_self)
        counted = xp.ones_like(real) if include_self else xp.zeros_like(real)
        source = xp.array(src)
        count = _scattered("add")(xp, counted, index, xp.ones_like(source), dim=dim)
        return total / xp.maximum(count, 1.0)
    if not include_self:
        # What is written to begins with what changes nothing.
        start = {"sum": 0.0, "prod": 1.0, "amax": -math.inf, "amin": math.inf}[reduce]
        x = _scattered("set")(xp, x, index, xp.full_like(xp.array(src), start), dim=dim)
    return _scattered("set")(xp, x, index, src, dim=dim, reduce=reduce)


def _added(xp: Namespace, x: Array, index: Array, source: Array, *, dim: int, alpha: float = 1, **_: Any) -> Array:
    source = xp.array(source)
    indices: list[Array | None] = [None] * (dim % max(np.ndim(x), 1))
    return put(xp, xp.array(x), [*indices, index], source if alpha == 1 else source * alpha, combined="add")


def _put_flat(xp: Namespace, x: Array, index: Array, source: Array, *, accumulate: bool = False, **_: Any) -> Array:
    x = xp.array(x)
    index = known(index).reshape(-1) if is_known(index) else xp.reshape(index, (-1,))
    values = xp.reshape(xp.array(source), (-1,))
    flat = put(xp, xp.reshape(x, (-1,)), [index], values, combined="add" if accumulate else "set")
    return xp.reshape(flat, x.shape)


def _reduced(
    xp: Namespace, x: Array, index: Array, source: Array, *, dim: int, reduce: str, include_self: bool = True, **_: Any
) -> Array:
    """As ``scatter_reduce``, of whole slices along an axis."""
    x, source = xp.array(x), xp.array(source)
    axis = dim % max(x.ndim, 1)
    shape = tuple(-1 if a == axis else 1 for a in range(x.ndim))
    ix = on_numpy() if is_known(index) else xp
    spread = ix.broadcast_to(ix.reshape(ix.array(index), shape), tuple(source.shape))
    return _scatter_reduced(xp, x, spread, source, dim=axis, reduce=reduce, include_self=include_self)


def _masked(xp: Namespace, x: Array, mask: Array, value: Array, **_: Any) -> Array:
    x, value = xp.alike(xp.array(x), xp.array(value))
    return xp.where(xp.array(mask), value, x)


def _masked_scattered(xp: Namespace, x: Array, mask: Array, source: Array, **_: Any) -> Array:
    x, source = xp.alike(xp.array(x), xp.reshape(xp.array(source), (-1,)))
    mask = xp.broadcast_to(xp.array(mask), tuple(x.shape))
    counted = xp.cumulative_sum(xp.astype(xp.reshape(mask, (-1,)), xp.int64)) - 1
    index = xp.minimum(xp.maximum(counted, 0), source.shape[0] - 1)
    return xp.where(mask, xp.reshape(xp.take(source, index, axis=0), tuple(x.shape)), x)


# fmt: off
ENTRIES: dict[str, Fact] = {
    "embedding":      _embedded,
    "gather":         _gathered,
    "index":          _indexed,
    "index_add":      _added,
    "index_put":      _put,
    "index_reduce":   _reduced,
    "put":            _put_flat,
    "index_select":   _taken,
    "masked_fill":    _masked,
    "masked_scatter": _masked_scattered,
    "scatter":        _scattered("set"),
    "scatter_add":    _scattered("add"),
    "scatter_reduce": _scatter_reduced,
    "take":           lambda xp, x, index, **_: _embedded(xp, xp.reshape(xp.array(x), (-1,)), index),
}
"""Reading and writing at indices."""
# fmt: on

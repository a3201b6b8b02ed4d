"""What torch's ATen calls are in the array API standard: making arrays, moving entries about, sums and orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multigrad.graph.calls import Kind
from multigrad.graph.indexing import pad
from multigrad.graph.namespace import Namespace, is_known, is_number
from multigrad.graph.reductions import first_best, log_softmax, log_sum_exp, masked_softmax, softmax, variance
from multigrad.graph.windows import accumulated

from .facts import Array, Fact, ahead, axes_of


def _of_kind(xp: Namespace, x: Array, kind: Kind | None) -> Array:
    """Return x as what it is converted to."""
    if kind == "real":
        return float(x) if is_number(x) else x if xp.is_real(xp.array(x)) else xp.real(x)
    if kind == "whole":
        return int(x) if is_number(x) else xp.astype(xp.array(x), xp.int64)
    return x if kind is None else xp.not_equal(xp.array(x), 0)


def _full(xp: Namespace, size: Sequence[int], value: Any, kind: Kind | None) -> Array:
    """Return an array of one number; one without dimensions stays a number of Python's."""
    value = {"real": float, "whole": int, "truth": bool}[kind](value) if kind else value
    if not size:
        return value
    if kind == "real":
        return xp.full(tuple(size), value, dtype=xp.floating, device=xp.device)
    return np.full(tuple(size), value)


def _filled(number: float) -> Fact:
    return lambda xp, *, size, kind=None, **_: _full(xp, size, number, kind)


def _filled_like(number: float) -> Fact:
    return lambda xp, x, *, kind=None, **_: _full(xp, np.shape(x), number, kind)


def _counted(xp: Namespace, start: float, end: float, step: float, kind: Kind | None) -> Array:
    numbers = start + step * np.arange(max(0, math.ceil((end - start) / step)))
    return xp.array(numbers.astype(np.float64)) if kind == "real" else numbers.astype(np.int64)


def _arange(
    xp: Namespace, start: float = 0, end: float | None = None, step: float = 1, *, kind: Kind | None = None, **_: Any
) -> Array:
    first, last = (0, start) if end is None else (start, end)
    return _counted(xp, first, last, step, kind)


def _viewed(
    xp: Namespace, x: Array, *, size: Sequence[int] = (), shape: Sequence[int] | None = None, **_: Any
) -> Array:
    return xp.reshape(xp.array(x), tuple(size if shape is None else shape))


def _expanded(xp: Namespace, x: Array, *, size: Sequence[int], **_: Any) -> Array:
    x = xp.array(x)
    new = len(size) - x.ndim
    return xp.broadcast_to(x, tuple(x.shape[i - new] if n == -1 else n for i, n in enumerate(size)))


def _squeezed(xp: Namespace, x: Array, *, dim: int | Sequence[int] | None = None, **_: Any) -> Array:
    x = xp.array(x)
    axes = range(x.ndim) if dim is None else axes_of(dim, x.ndim) if dim != () else ()
    return xp.squeeze(x, axis=tuple(a for a in axes if x.shape[a] == 1))


def _unsqueezed(xp: Namespace, x: Array, *, dim: int, **_: Any) -> Array:
    x = xp.array(x)
    return xp.expand_dims(x, axis=dim % (x.ndim + 1))


def _transposed(xp: Namespace, x: Array, dim0: int, dim1: int) -> Array:
    x = xp.array(x)
    if x.ndim < 2:
        return x
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return xp.permute_dims(x, tuple(order))


def _range(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """Return where a slice starts and ends, of which one beyond the array is cut off."""
    low, high, _ = slice(start, end).indices(size)
    return low, max(low, high)


def _sliced(
    xp: Namespace, x: Array, *, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, **_: Any
) -> Array:
    x = xp.array(x)
    axis = dim % x.ndim
    return x[(*ahead(axis), slice(*_range(x.shape[axis], start, end), step), ...)]


def _narrowed(xp: Namespace, x: Array, *, dim: int, start: int, length: int, **_: Any) -> Array:
    return _sliced(xp, x, dim=dim, start=start, end=start + length)


def _selected(xp: Namespace, x: Array, *, dim: int, index: int, **_: Any) -> Array:
    x = xp.array(x)
    axis = dim % x.ndim
    return x[(*ahead(axis), index % x.shape[axis], ...)]


def _written(xp: Namespace, x: Array, part: Array, axis: int, places: np.ndarray) -> Array:
    """Return x with slices along an axis replaced."""
    x, part = xp.alike(xp.array(x), xp.array(part))
    source, hit = np.zeros(x.shape[axis], dtype=np.int64), np.zeros(x.shape[axis], dtype=bool)
    source[places], hit[places] = np.arange(len(places)), True
    if not len(places):
        return x
    shape = tuple(-1 if a == axis else 1 for a in range(x.ndim))
    return xp.where(xp.array(hit.reshape(shape)), xp.take(part, xp.array(source), axis=axis), x)


def _slice_scattered(
    xp: Namespace,
    x: Array,
    src: Array,
    *,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    **_: Any,
) -> Array:
    axis = dim % x.ndim
    return _written(xp, x, src, axis, np.arange(*_range(x.shape[axis], start, end), step))


def _select_scattered(xp: Namespace, x: Array, src: Array, *, dim: int, index: int, **_: Any) -> Array:
    axis = dim % x.ndim
    part = xp.expand_dims(xp.array(src), axis=axis)
    return _written(xp, x, part, axis, np.array([index % x.shape[axis]]))


def _joined(xp: Namespace, *parts: Array, dim: int = 0, **_: Any) -> Array:
    arrays = xp.alike(*map(xp.array, parts))
    # An empty vector may stand beside arrays of any shape.
    arrays = [a for a in arrays if tuple(a.shape) != (0,)] or arrays[:1]
    return xp.concat(arrays, axis=dim % arrays[0].ndim)


def _stacked(xp: Namespace, *parts: Array, dim: int = 0, **_: Any) -> Array:
    return xp.stack(xp.alike(*map(xp.array, parts)), axis=dim)


def _split(xp: Namespace, x: Array, *, split_sizes: Sequence[int], dim: int = 0, **_: Any) -> tuple[Array, ...]:
    x = xp.array(x)
    ends = np.cumsum(split_sizes).tolist()
    before = ahead(dim % x.ndim)
    return tuple(x[(*before, slice(end - n, end), ...)] for n, end in zip(split_sizes, ends, strict=True))


def _split_evenly(xp: Namespace, x: Array, *, split_size: int, dim: int = 0, **_: Any) -> tuple[Array, ...]:
    n = np.shape(x)[dim]
    sizes = [min(split_size, n - start) for start in range(0, n, split_size)]
    return _split(xp, x, split_sizes=sizes, dim=dim)


def _repeated(xp: Namespace, x: Array, *, repeats: Sequence[int], **_: Any) -> Array:
    return xp.tile(xp.array(x), tuple(repeats))


def _rolled(xp: Namespace, x: Array, *, shifts: Any, dims: Any = (), **_: Any) -> Array:
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    x = xp.array(x)
    return xp.roll(x, shifts, axis=tuple(dims)) if dims else xp.roll(x, shifts[0])


def _diagonal(xp: Namespace, x: Array, *, offset: int = 0, dim1: int = 0, dim2: int = 1, **_: Any) -> Array:
    return xp.linalg.diagonal(xp.moveaxis(xp.array(x), (dim1, dim2), (-2, -1)), offset=offset)


def _on_diagonal(xp: Namespace, x: Array, *, offset: int = 0, dim1: int = -2, dim2: int = -1, **_: Any) -> Array:
    x = xp.array(x)
    n = x.shape[-1] + abs(offset)
    places = np.arange(n)
    rows = xp.array(np.clip(places + min(offset, 0), 0, x.shape[-1] - 1))
    laid = xp.expand_dims(xp.take(x, rows, axis=-1), axis=-1)
    hit = places[None, :] - places[:, None] == offset
    return xp.moveaxis(xp.where(xp.array(hit), laid, xp.array(0.0) if xp.is_real(x) else 0), (-2, -1), (dim1, dim2))


def _diagonal_scattered(
    xp: Namespace, x: Array, src: Array, *, offset: int = 0, dim1: int = 0, dim2: int = 1, **_: Any
) -> Array:
    x, part = xp.alike(xp.array(x), xp.array(src))
    rows, columns = (np.arange(x.shape[d]) for d in (dim1, dim2))
    hit = columns[None, :] - rows[:, None] == offset
    places = np.maximum(rows + min(offset, 0), 0)[:, None] * np.ones_like(columns)[None, :]
    laid = xp.take(part, xp.array(np.minimum(places, part.shape[-1] - 1).ravel()), axis=-1)
    laid = xp.reshape(laid, (*part.shape[:-1], len(rows), len(columns)))
    whole = xp.moveaxis(x, (dim1, dim2), (-2, -1))
    return xp.moveaxis(xp.where(xp.array(hit), laid, whole), (-2, -1), (dim1, dim2))


def _padded(xp: Namespace, x: Array, value: Array = 0, *, pad: Sequence[int], **_: Any) -> Array:
    x = xp.array(x)
    around = [(0, 0, 0)] * (x.ndim - len(pad) // 2)
    # torch names the last axis first.
    around += [(int(pad[i]), int(pad[i + 1]), 0) for i in range(len(pad) - 2, -1, -2)]
    return _pad(xp, x, float(value) if xp.is_real(x) else value, edges=around)


_pad = pad


def _windows(xp: Namespace, x: Array, *, dimension: int, size: int, step: int, **_: Any) -> Array:
    x = xp.array(x)
    if not x.ndim:
        return xp.reshape(x, (size,))
    axis = dimension % x.ndim
    starts = np.arange(0, x.shape[axis] - size + 1, step)
    places = xp.array((starts[:, None] + np.arange(size)).ravel())
    taken = xp.take(x, places, axis=axis)
    laid = xp.reshape(taken, (*x.shape[:axis], len(starts), size, *x.shape[axis + 1 :]))
    return xp.moveaxis(laid, axis + 1, -1)


# fmt: off
MAKING: dict[str, Fact] = {
    "arange":           _arange,
    "empty":            _filled(0),
    "empty_like":       _filled_like(0),
    "empty_permuted":   _filled(0),
    "eye":              lambda xp, *, n, m=None, kind="real", **_: _of_kind(xp, np.eye(n, m, dtype=np.int64), kind),
    "full":             lambda xp, fill_value, *, size, kind=None, **_: _full(xp, size, fill_value, kind),
    "full_like":        lambda xp, x, fill_value, *, kind=None, **_: _full(xp, np.shape(x), fill_value, kind),
    "linspace":         lambda xp, start, end, *, steps, **_: xp.array(np.linspace(start, end, steps)),
    "new_empty":        lambda xp, x, *, size, kind=None, **_: _full(xp, size, 0, kind),
    "new_full":         lambda xp, x, fill_value, *, size, kind=None, **_: _full(xp, size, fill_value, kind),
    "new_ones":         lambda xp, x, *, size, kind=None, **_: _full(xp, size, 1, kind),
    "new_zeros":        lambda xp, x, *, size, kind=None, **_: _full(xp, size, 0, kind),
    "ones":             _filled(1),
    "ones_like":        _filled_like(1),
    "scalar_tensor":    lambda xp, s, *, kind=None, **_: _full(xp, (), s, kind),
    "zeros":            _filled(0),
    "zeros_like":       _filled_like(0),
    "_to_copy":         lambda xp, x, *, kind=None, **_: _of_kind(xp, x, kind),
}
"""Arrays of numbers that are written down, and changes of kind."""

SHAPES: dict[str, Fact] = {
    "cat":              _joined,
    "constant_pad_nd":  _padded,
    "diag_embed":       _on_diagonal,
    "diagonal":         _diagonal,
    "diagonal_scatter": _diagonal_scattered,
    "expand":           _expanded,
    "flip":             lambda xp, x, *, dims, **_: xp.flip(xp.array(x), axis=tuple(dims)) if len(dims) else x,
    "narrow_copy":      _narrowed,
    "permute_copy":     lambda xp, x, *, dims, **_: xp.permute_dims(xp.array(x), axes_of(dims, len(dims))),
    "view_copy":        _viewed,
    "permute":          lambda xp, x, *, dims, **_: xp.permute_dims(xp.array(x), axes_of(dims, len(dims))),
    "repeat":           _repeated,
    "reshape":          _viewed,
    "roll":             _rolled,
    "select":           _selected,
    "select_scatter":   _select_scattered,
    "slice":            _sliced,
    "slice_scatter":    _slice_scattered,
    "split":            _split_evenly,
    "split_with_sizes": _split,
    "squeeze":          _squeezed,
    "stack":            _stacked,
    "t":                lambda xp, x, **_: _transposed(xp, x, 0, -1),
    "transpose":        lambda xp, x, *, dim0, dim1, **_: _transposed(xp, x, dim0, dim1),
    "tril":             lambda xp, x, *, diagonal=0, **_: xp.tril(xp.array(x), k=diagonal),
    "triu":             lambda xp, x, *, diagonal=0, **_: xp.triu(xp.array(x), k=diagonal),
    "unbind_copy":      lambda xp, x, *, dim=0, **_: tuple(xp.unstack(xp.array(x), axis=dim)),
    "unbind":           lambda xp, x, *, dim=0, **_: tuple(xp.unstack(xp.array(x), axis=dim)),
    "unfold":           _windows,
    "unsqueeze":        _unsqueezed,
    "view":             _viewed,
    "_unsafe_view":     _viewed,
}
"""What moves entries about."""
# fmt: on


def _sum(xp: Namespace, x: Array, *, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    x = xp.numeric(x)
    axes = axes_of(dim, x.ndim)
    return xp.sum(x, axis=axes, keepdims=keepdim) if axes else x


def _mean(xp: Namespace, x: Array, *, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    x = xp.array(x)
    axes = axes_of(dim, x.ndim)
    return xp.mean(x, axis=axes, keepdims=keepdim) if axes else x


def _product(xp: Namespace, x: Array, *, dim: int | None = None, keepdim: bool = False, **_: Any) -> Array:
    x = xp.numeric(x)
    axes = axes_of(dim, x.ndim)
    return xp.prod(x, axis=axes, keepdims=keepdim) if axes else x


def _extremum(which: str) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
        x = xp.array(x)
        axes = axes_of(dim, x.ndim)
        return getattr(xp, which)(x, axis=axes, keepdims=keepdim) if axes else x

    return fact


def _extremum_and_place(which: str) -> Fact:
    """The first of the largest, or smallest, entries along an axis, and its place."""

    def fact(xp: Namespace, x: Array, *, dim: int, keepdim: bool = False, **_: Any) -> tuple[Array, Array]:
        x = xp.array(x)
        if not x.ndim:
            return x, np.int64(0)
        place = getattr(xp, f"arg{which}")(x, axis=dim, keepdims=True)
        return _at(xp, x, place, dim, keepdim)

    return fact


def _at(xp: Namespace, x: Array, place: Array, axis: int, keepdims: bool) -> tuple[Array, Array]:
    """Return the entry at a place along an axis, and the place."""
    value = xp.take_along_axis(x, place, axis=axis)
    return (value, place) if keepdims else (xp.squeeze(value, axis=axis), xp.squeeze(place, axis=axis))


def _place(which: str) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: int | None = None, keepdim: bool = False, **_: Any) -> Array:
        x = xp.numeric(x)
        if dim is not None:
            return getattr(xp, which)(x, axis=dim, keepdims=keepdim)
        place = getattr(xp, which)(xp.reshape(x, (-1,)), axis=0)
        return xp.reshape(place, (1,) * x.ndim) if keepdim else place

    return fact


def _truth(which: str) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
        x = xp.array(x)
        x = x if xp.isdtype(x.dtype, "bool") else xp.not_equal(x, 0)
        axes = axes_of(dim, x.ndim)
        return getattr(xp, which)(x, axis=axes, keepdims=keepdim) if axes else x

    return fact


def _variance(
    xp: Namespace, x: Array, *, dim: Any = None, correction: float | None = None, keepdim: bool = False, **_: Any
) -> Array:
    x = xp.array(x)
    return variance(xp, x, axes_of(dim, x.ndim), 1 if correction is None else correction, keepdims=keepdim)


def _log_sum_exp(xp: Namespace, x: Array, *, dim: Any, keepdim: bool = False, **_: Any) -> Array:
    x = xp.array(x)
    return log_sum_exp(xp, x, axes_of(dim, x.ndim), keepdims=keepdim) if x.ndim else x


def _running(combined: str) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: int, **_: Any) -> Array:
        x = xp.numeric(x)
        return accumulated(xp, x, getattr(xp, combined), dim) if x.ndim else x

    return fact


def _running_extremum(better: str) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: int, **_: Any) -> tuple[Array, Array]:
        x = xp.array(x)
        return first_best(xp, x, getattr(xp, better), dim) if x.ndim else (x, np.int64(0))

    return fact


def _sorted(xp: Namespace, x: Array, *, dim: int = -1, descending: bool = False, **_: Any) -> tuple[Array, Array]:
    x = xp.array(x)
    order = xp.argsort(x, axis=dim, descending=descending, stable=True)
    return xp.sort(x, axis=dim, descending=descending), order


def _largest(xp: Namespace, x: Array, *, k: int, dim: int = -1, largest: bool = True, **_: Any) -> tuple[Array, Array]:
    first = (*ahead(dim % xp.array(x).ndim), slice(0, k), ...)
    values, places = _sorted(xp, x, dim=dim, descending=largest)
    return values[first], places[first]


def _in_order(xp: Namespace, x: Array, i: int, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """Return the i-th smallest entry along an axis, and its place."""
    values, places = _sorted(xp, x, dim=dim)
    one = (*ahead(dim % values.ndim), slice(i, i + 1) if keepdim else i, ...)
    return values[one], places[one]


def _median(xp: Namespace, x: Array, *, dim: int | None = None, keepdim: bool = False, **_: Any) -> Any:
    x = xp.array(x)
    if not x.ndim:
        return x if dim is None else (x, np.int64(0))
    if dim is None:
        return _in_order(xp, xp.reshape(x, (-1,)), (math.prod(x.shape) - 1) // 2, 0, False)[0]
    return _in_order(xp, x, (x.shape[dim] - 1) // 2, dim, keepdim)


def _kth(xp: Namespace, x: Array, *, k: int, dim: int = -1, keepdim: bool = False, **_: Any) -> tuple[Array, Array]:
    return _in_order(xp, x, k - 1, dim, keepdim)


def _of_lanes(function: Callable[..., Array]) -> Fact:
    def fact(xp: Namespace, x: Array, *, dim: Any, **_: Any) -> Array:
        x = xp.array(x)
        return function(xp, x, axes_of(dim, x.ndim)) if x.ndim else function(xp, xp.reshape(x, (1,)), (0,))[0]

    return fact


# fmt: off
REDUCTIONS: dict[str, Fact] = {
    "all":            _truth("all"),
    "amax":           _extremum("max"),
    "amin":           _extremum("min"),
    "any":            _truth("any"),
    "argmax":         _place("argmax"),
    "argmin":         _place("argmin"),
    "cummax":         _running_extremum("greater_equal"),
    "cummin":         _running_extremum("less_equal"),
    "cumprod":        _running("multiply"),
    "cumsum":         lambda xp, x, *, dim, **_: xp.cumulative_sum(xp.numeric(x), axis=dim) if np.ndim(x) else x,
    "kthvalue":       _kth,
    "logcumsumexp":   _running("logaddexp"),
    "logsumexp":      _log_sum_exp,
    "max":            _extremum("max"),
    "max.dim":        _extremum_and_place("max"),
    "mean":           _mean,
    "median":         _median,
    "min":            _extremum("min"),
    "min.dim":        _extremum_and_place("min"),
    "prod":           _product,
    "sort":           _sorted,
    "std":            lambda xp, x, **how: xp.sqrt(_variance(xp, x, **how)),
    "sum":            _sum,
    "topk":           _largest,
    "var":            _variance,
    "var_mean":       lambda xp, x, **how: (_variance(xp, x, **how), _mean(xp, x, **how)),
    "_log_softmax":   _of_lanes(log_softmax),
    "_safe_softmax":  _of_lanes(masked_softmax),
    "_softmax":       _of_lanes(softmax),
}
"""Sums, products, extrema and orders along axes."""
# fmt: on


def _where(xp: Namespace, condition: Array, x: Array, y: Array, **_: Any) -> Array:
    if is_known(condition) and np.ndim(condition) == 0:
        shape = np.broadcast_shapes(np.shape(x), np.shape(y))
        return xp.broadcast_to(xp.alike(*map(xp.array, (x, y)))[0 if bool(condition) else 1], shape)
    condition = xp.array(condition)
    x, y = xp.alike(*xp.together(x, y)) if not (is_number(x) and is_number(y)) else xp.alike(xp.array(x), y)
    return xp.where(condition, xp.array(x), xp.array(y))


ARRAYS: dict[str, Fact] = {
    **MAKING,
    **SHAPES,
    **REDUCTIONS,
    **{name: (lambda xp, x, **_: x) for name in ("alias", "clone", "contiguous", "lift_fresh", "lift_fresh_copy")},
    "copy": lambda xp, x, src, **_: xp.broadcast_to(xp.array(src), np.shape(x)),
    "detach": lambda xp, x, **_: xp.constant(x),
    "where": _where,
}
"""All of them. What is copied or laid out otherwise is the same array."""

"""New arrays, and the dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...verdict.formats import FORMATS
from ..shared import textbook
from .arrays import FLOATS, ITEM_BYTES, Array, DType, computed, dtype_of, shape_of
from .counters import current
from .shapes import stack


def asarray(value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """The shape and the dtype of anything."""
    if isinstance(value, Array):
        return value if dtype is None else astype(value, dtype)
    if textbook.holds_arrays(value):
        return stack([asarray(v) for v in value])
    plain = np.asarray(value)
    return Array(
        plain.shape,
        str(dtype) if dtype is not None else current().dtype if plain.dtype.kind == "f" else str(plain.dtype),
    )


def astype(x: Any, dtype: Any, /, **_: Any) -> Array:
    """A pass, unless the dtype is the same."""
    return x if dtype_of(x) == str(dtype) else computed(shape_of(x), str(dtype), (x,), 0.0)


def _created(shape: Any, dtype: Any) -> Array:
    sizes = (shape,) if isinstance(shape, int) else shape
    return computed(sizes, current().dtype if dtype is None else str(dtype), (), 0.0)


def zeros(shape: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(shape, dtype)


ones = empty = zeros


def full(shape: Any, fill_value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(shape, dtype or dtype_of(fill_value))


def zeros_like(x: Any, /, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(x.shape, dtype or x.dtype)


ones_like = empty_like = zeros_like


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(x.shape, dtype or x.dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes; integers unless said otherwise."""
    plain = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return _created(plain.shape, dtype or ("int64" if plain.dtype.kind == "i" else None))


def linspace(start: float, stop: float, /, num: int, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created((num,), dtype)


def eye(n: int, m: int | None = None, /, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created((n, n if m is None else m), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """As in the standard."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if str(dtype) in FLOATS:
        return str(kind) in ("real floating", "numeric", str(dtype))
    return bool(
        str(kind) == str(dtype) or (str(kind) not in ITEM_BYTES and np.isdtype(np.dtype(str(dtype)), str(kind)))
    )


def finfo(dtype: Any, /) -> Any:
    """``eps``, ``max``, ``min``, ``smallest_normal`` and ``bits``."""
    name = str(getattr(dtype, "dtype", dtype))
    return FORMATS[name].finfo(DType(name))


def result_type(*operands: Any) -> DType:
    """The widest kind."""
    return DType(dtype_of(*(Array((), o) if isinstance(o, str) else o for o in operands)))

"""Arrays from numbers, and the dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...verdict.formats import FORMATS
from ..shared import textbook
from .arrays import Array, Choice, Condition, as_array, is_ours
from .conditions import not_equal
from .model import FloatType, current
from .rules import bounded, rounding, stored
from .shapes import broadcast_to, stack


def asarray(value: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Floating-point numbers enter exactly if the format has them, else with a rounding; integers stay NumPy's."""
    if is_ours(value):
        return value if dtype is None else astype(value, dtype)
    if textbook.holds_arrays(value):
        return stack([asarray(v) for v in value])
    plain = np.asarray(value)
    if isinstance(dtype, FloatType) or (dtype is None and plain.dtype.kind == "f"):
        return as_array(plain)
    return plain if dtype is None else plain.astype(dtype)


def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:
    """Change the dtype. A floating-point type coarser than the one under test rounds; a wider one is ignored."""
    if not isinstance(dtype, FloatType):
        if not is_ours(x):
            return np.asarray(x).astype(dtype)
        kind = np.dtype(dtype).kind
        if kind == "b":
            return x if isinstance(x, Condition) else not_equal(x, 0)
        if isinstance(x, Choice):
            return x
        return _cut_off(as_array(x))
    array = as_array(x)
    coarse = FORMATS[dtype.name]
    if array.integral or coarse.unit_roundoff <= current().u:
        return array
    return stored(array, coarse)


def _cut_off(x: Array) -> Choice:
    """Real numbers to integers, undecided where the error spans a whole number."""
    with np.errstate(invalid="ignore"):
        ends = [np.trunc(x.value + sign * 2.0 * x.worst) for sign in (-1.0, 1.0)]
        whole = np.where(np.isfinite(x.value), np.trunc(x.value), 0.0).astype(np.int64)
    return Choice(whole, ~(ends[0] == ends[1]))


def _constant(value: np.ndarray, dtype: Any, otherwise: Any = FloatType) -> Any:
    wanted = otherwise if dtype is None else dtype
    return as_array(value) if isinstance(wanted, FloatType) or wanted is FloatType else value.astype(wanted)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros."""
    return _constant(np.zeros(shape), dtype)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones."""
    return _constant(np.ones(shape), dtype)


empty = zeros


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value everywhere."""
    if is_ours(fill_value):
        return broadcast_to(fill_value, (shape,) if isinstance(shape, int) else shape)
    plain = np.full(shape, fill_value)
    return _constant(plain, dtype, FloatType if plain.dtype.kind == "f" else plain.dtype)


def zeros_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros of the shape of x."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype)


def ones_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones of the shape of x."""
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype)


empty_like = zeros_like


def full_like(x: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value everywhere, in the shape of x."""
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Equally spaced numbers; integers unless a floating-point dtype is asked for."""
    plain = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return _constant(plain, dtype, FloatType if plain.dtype.kind == "f" else plain.dtype)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    """Equally spaced numbers, each with the error of a product and a sum of the ends."""
    array = as_array(np.linspace(start, stop, num, endpoint=endpoint))
    scale = abs(start) + abs(stop)
    return bounded(
        [array], array.value, lambda errors, unit: rounding(array.value, errors[0], 1.0) + 4 * current().u * scale
    )


def eye(n: int, m: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """The identity."""
    return _constant(np.eye(n, m, k=k), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """As in the standard; the floating-point types are ours."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(dtype, FloatType):
        return kind in ("real floating", "numeric") or kind == dtype
    return bool(not isinstance(kind, FloatType) and np.isdtype(dtype, kind))


def finfo(dtype: Any) -> Any:
    """``eps``, ``max``, ``min``, ``smallest_normal``, ``bits`` and ``dtype`` of a floating-point type."""
    return FORMATS[getattr(dtype, "dtype", dtype).name].finfo(dtype)


def result_type(*arrays: Any) -> Any:
    """The type under test if any argument is a floating-point one, else NumPy's answer."""
    kinds = [a.dtype if hasattr(a, "dtype") else a for a in arrays]
    if any(isinstance(k, FloatType | float) for k in kinds):
        return FloatType(current().dtype)
    return np.result_type(*kinds)

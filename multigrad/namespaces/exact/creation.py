"""Making arrays and asking about dtypes. A real dtype makes an exact array, any other a NumPy one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..shared import textbook
from ..shared.namespace import ABOUT_DTYPES
from .arrays import ExactArray, array, is_whole, lift, number, objects, whole
from .degrees import CONSTANT
from .table import FUNCTIONS, public

float64 = np.dtype("float64")

DTYPES = (
    *("float64", "float32", "float16", "bool"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
)

CONSTANTS: dict[str, Any] = {
    **{name: np.dtype(name) for name in DTYPES},
    "pi": math.pi,
    "e": math.e,
    "inf": math.inf,
    "nan": math.nan,
    "newaxis": None,
}
"""The namespace's dtypes and constants; pi and e are the float64 numbers, as in every other namespace."""


def _typed(x: Any, dtype: Any) -> Any:
    if dtype is None or np.dtype(dtype).kind == "f":
        return lift(x)
    return whole(np.asarray(x, dtype=dtype))


@public
def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Take in numbers, lists and NumPy arrays: floats exactly, integers and booleans as they are."""
    if isinstance(x, ExactArray):
        return astype(x, dtype or float64)
    if textbook.holds_arrays(x):
        return textbook.stacked(ExactArray.namespace, x)
    x = np.asarray(x)
    if dtype is None and x.dtype.kind in "biu":
        return whole(x.copy())
    return _typed(x, dtype)


@public
def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Any:
    """Change the kind of number: reals to booleans by ≠ 0, reals to integers by cutting off; nothing is rounded."""
    kind = np.dtype(dtype).kind
    if not isinstance(x, ExactArray):
        return _typed(x, dtype)
    if kind == "f":
        return ExactArray(x.elements, x.degree)
    if kind == "b":
        return FUNCTIONS["not_equal"](x, 0)
    return whole(np.vectorize(lambda v: int(v.unique_fmpz()), otypes=[dtype])(FUNCTIONS["trunc"](x).elements))


@public
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value."""
    if dtype is None and is_whole(fill_value):
        dtype = np.asarray(fill_value).dtype
    return FUNCTIONS["broadcast_to"](_typed(fill_value, dtype), shape if isinstance(shape, Sequence) else (shape,))


def _constant(name: str, value: int) -> None:
    def make(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return full(shape, value, dtype=dtype or float64)

    def make_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
        return full(x.shape, value, dtype=dtype or x.dtype)

    FUNCTIONS[name], FUNCTIONS[f"{name}_like"] = make, make_like


for _name, _value in (("zeros", 0), ("ones", 1), ("empty", 0)):
    _constant(_name, _value)


@public
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, of another's shape."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype)


@public
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Ones on a diagonal."""
    return _typed(np.eye(n_rows, n_cols, k, dtype=np.int64), dtype)


@public
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Start, start + step, … before stop: integers unless a float or a real dtype is given."""
    start, stop = (0, start) if stop is None else (start, stop)
    if all(is_whole(v) for v in (start, stop, step)):
        result = np.arange(start, stop, step)
        return whole(result) if dtype is None else _typed(result, dtype)
    count = max(0, math.ceil((Fraction(stop) - Fraction(start)) / Fraction(step)))
    first, width = number(start), number(step)
    return array(objects([first + i * width for i in range(count)]), CONSTANT)


@public
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: Any = True
) -> ExactArray:
    """Evenly spaced rationals from start to stop."""
    first, last = number(start), number(stop)
    gaps = max(1, num - 1 if endpoint else num)
    return array(objects([first + (last - first) * i / gaps for i in range(num)]), CONSTANT)


FUNCTIONS |= ABOUT_DTYPES

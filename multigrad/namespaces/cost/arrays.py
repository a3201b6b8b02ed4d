"""Arrays without data, and what it costs to compute, copy or view one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..shared.operators import Operators
from ..shared.unsupported import NO_INDEX, Unsupported
from .counters import current

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "bfloat16": 2,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element."""

FLOATS = ("float64", "float32", "bfloat16", "float16")
"""The floating-point types, widest first."""


class DType(str):
    """A dtype: its name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name."""
        return str(self)


class Array(Operators):
    """A shape and a dtype."""

    __slots__ = ("dtype", "shape", "stored")
    knower = "the count of operations"
    shape: tuple[int, ...]

    def __init__(self, shape: Sequence[int], dtype: str, stored: int | None = None) -> None:
        self.shape = tuple(int(n) for n in shape)
        """The shape."""
        self.dtype = DType(dtype)  # type: ignore[misc]
        """The dtype."""
        self.stored = math.prod(self.shape) if stored is None else stored
        """How many elements lie in memory: fewer than ``size`` for a broadcast view."""

    @property
    def nbytes(self) -> int:
        """The bytes that lie in memory."""
        return self.stored * ITEM_BYTES[self.dtype]

    def __repr__(self) -> str:
        return f"Array({self.shape}, {self.dtype})"

    def __getitem__(self, key: Any) -> Array:
        keys = tuple(_as_index(k) for k in (key if isinstance(key, tuple) else (key,)))
        shape = ghost(self.shape)[keys].shape
        gathers = any(isinstance(k, np.ndarray) for k in keys)
        return copied(shape, self.dtype, self) if gathers else view(self, shape)

    def __setitem__(self, key: Any, value: Any) -> None:
        keys = tuple(_as_index(k) for k in (key if isinstance(key, tuple) else (key,)))
        copied(ghost(self.shape)[keys].shape, self.dtype, value)


def ghost(shape: tuple[int, ...]) -> np.ndarray:
    """Return a NumPy array of that shape that takes no memory, so that NumPy works the shapes out."""
    return np.broadcast_to(np.int8(0), shape)


def _as_index(key: Any) -> Any:
    if isinstance(key, Array):
        if key.dtype == "bool":
            raise Unsupported("x[mask]", "here are shapes only; write `xp.where`", Array.knower)
        if key.dtype in FLOATS:
            raise Unsupported("x[real numbers]", NO_INDEX, Array.knower)
        return np.zeros(key.shape, dtype=np.int64)
    return np.asarray(key) if isinstance(key, list) else key


def dtype_of(*operands: Any) -> str:
    """Return the dtype of a result: the widest kind, Python's numbers last."""
    names = [str(o.dtype) for o in operands if hasattr(o, "dtype")]
    floats = [n for n in names if n in FLOATS]
    if floats:
        return min(floats, key=FLOATS.index)
    if any(isinstance(o, float) for o in operands):
        return current().dtype
    whole = [n for n in names if n != "bool"]
    return whole[0] if whole else "int64" if any(type(o) is int for o in operands) else "bool"


def shape_of(operand: Any) -> tuple[int, ...]:
    """The shape of an array or a number."""
    return tuple(np.shape(operand)) if not isinstance(operand, Array) else operand.shape


def bytes_of(operand: Any) -> int:
    """The bytes of an array that lie in memory."""
    return operand.nbytes if isinstance(operand, Array) else int(getattr(operand, "nbytes", 0))


def computed(shape: Sequence[int], dtype: str, operands: Sequence[Any], flops: float) -> Array:
    """Make the result of a pass over the operands, and count it."""
    counters, result = current(), Array(shape, dtype)
    counters.streamed_bytes += result.nbytes + sum(bytes_of(o) for o in operands)
    if any(dtype_of(o) in FLOATS for o in (*operands, result)):
        counters.flops += flops
    return result


def copied(shape: Sequence[int], dtype: str, *operands: Any) -> Array:
    """Make a copy: as much is read as is written, and no more of an operand than it has."""
    result = Array(shape, dtype)
    current().streamed_bytes += result.nbytes + min(result.nbytes, sum(bytes_of(o) for o in operands))
    return result


def view(x: Any, shape: Sequence[int]) -> Array:
    """Make a view, of no more elements in memory than x has."""
    return Array(shape, dtype_of(x), min(math.prod(shape), x.stored if isinstance(x, Array) else math.prod(shape)))


def kept(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """The shape after a reduction over these axes."""
    chosen = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {a % len(shape) for a in chosen}
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if keepdims or i not in gone)

"""Arrays of balls (or of fractions), and what comes into them: floats as the rational numbers that they are."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, fmpq

from ..shared.operators import Operators, plain_key
from ..shared.unsupported import STANDARD_NAMES, Unsupported
from . import degrees
from .context import NotRational, moved_constants, state
from .degrees import CONSTANT, Degree

Array = Any
"""An :class:`ExactArray`, an integer or boolean NumPy array, or a Python number."""

CONSTANT_ULPS = 16
"""How far a constant may be from the real number that it stands for, in units in the last place.

Half a unit is its rounding. Three operations that made it and the digit that one of them may cancel add the rest. A
constant that is wrong in its 14th digit is further off.
"""

SHORT_BITS = 30
"""A float of so few significant bits is an exact fraction: an integer, a half, what a person writes in binary."""


class Integers(np.ndarray[Any, Any]):
    """Integers and booleans. Where NumPy would round (a division, a float factor), the result is an exact array."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(i, Operators) for i in inputs):
            return NotImplemented
        plain = [i.view(np.ndarray) if isinstance(i, Integers) else i for i in inputs]
        options = {k: tuple(o.view(np.ndarray) for o in v) if k == "out" else v for k, v in options.items()}
        result = getattr(ufunc, method)(*plain, **options)
        if isinstance(result, np.ndarray | np.generic) and result.dtype.kind == "f":
            name = STANDARD_NAMES.get(ufunc.__name__, ufunc.__name__)
            return getattr(ExactArray.namespace, name)(*(lift(p) for p in plain))
        return whole(result)


def whole(x: Any) -> Any:
    """Return integers or booleans as :class:`Integers`."""
    return np.asarray(x).view(Integers)


def is_whole(x: Any) -> bool:
    """Whether something is an integer or a boolean, or an array of them."""
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype.kind in "biu"
    return isinstance(x, bool | int)


class ExactArray(Operators):
    """An array of balls (or of fractions, within :func:`rationals`)."""

    __slots__ = ("degree", "elements")
    elements: np.ndarray
    """The balls, a NumPy array of dtype object."""
    degree: Degree
    """A bound on the degree of the entries as rational functions of the inputs."""

    def __init__(self, elements: np.ndarray, degree: Degree = CONSTANT) -> None:
        self.elements = elements
        self.degree = degree

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The size of each axis."""
        return self.elements.shape

    def __setitem__(self, key: Any, value: Any) -> None:
        # Rebound, never overwritten: an array that shares these elements does not see it.
        value = lift(value)
        self.elements = self.elements.copy()
        self.elements[plain_key(key)] = value.elements if value.ndim else value.elements[()]
        self.degree = degrees.joined(self.degree, value.degree)

    def __repr__(self) -> str:
        shown = np.vectorize(str, otypes=[object])(self.elements) if self.size else self.elements
        return f"ExactArray({shown.tolist()})"


def array(elements: Any, degree: Degree) -> ExactArray:
    """Return an exact array of balls that NumPy may have handed out singly."""
    if type(elements) is not np.ndarray:
        elements = np.asarray(elements, dtype=object)
    return ExactArray(elements, degree)


def objects(items: Sequence[Any]) -> np.ndarray:
    """Return a vector of objects, whatever they are."""
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result


def number(value: Any) -> Any:
    """Return a ball of radius 0 (or a fraction) from any real number."""
    if isinstance(value, arb | fmpq):
        return value
    if isinstance(value, int | np.integer | np.bool_):
        return fmpq(int(value)) if state.rational else arb(int(value))
    if isinstance(value, Fraction):
        ratio = fmpq(value.numerator, value.denominator)
        return ratio if state.rational else arb(ratio)
    value = float(value)
    if state.sample is not None:
        return _moved(value, state.sample)
    if not state.rational:
        return arb(value)
    if not math.isfinite(value):
        raise NotRational(f"{value} is no fraction")
    return fmpq(*value.as_integer_ratio())


def _moved(value: float, sample: int) -> arb:
    if not math.isfinite(value) or _is_short(value):
        return arb(value)
    state.moved += 1
    drawn = zlib.crc32(struct.pack("<dq", abs(value), sample))
    size = 0.5 + 0.5 * (drawn >> 1) / 2**31
    return arb(value) * (1 + arb(size if drawn & 1 else -size) * CONSTANT_ULPS * 2**-52)


def _is_short(value: float) -> bool:
    numerator = abs(value.as_integer_ratio()[0])
    return bool(numerator // (numerator & -numerator or 1) < 2**SHORT_BITS)


_numbers = np.frompyfunc(number, 1, 1)


def lift(x: Any) -> ExactArray:
    """Return anything real as an exact array; what is not one yet is a constant.

    Raises:
        Unsupported: it is not real.
        TypeError: it belongs to another namespace.
    """
    if isinstance(x, ExactArray):
        return x
    if isinstance(x, Operators):
        raise TypeError(f"exact cannot take a {type(x).__name__}")
    elements = np.asarray(x)
    if elements.dtype.kind == "c":
        raise Unsupported("a complex number", "write real and imaginary part as two arrays")
    return array(_numbers(elements.view(np.ndarray)), CONSTANT)


def variable(x: Any) -> Array:
    """Return an input: a float array as an exact one whose entries are variables (degree 1); integers as they are."""
    if not isinstance(x, ExactArray) and is_whole(x):
        return whole(x)
    return ExactArray(unmoved(x).elements, (1, 0))


def unmoved(x: Any) -> ExactArray:
    """Lift, with constants where they are."""
    if state.sample is None:
        return lift(x)
    with moved_constants(None):
        return lift(x)


def midpoints(x: Any) -> np.ndarray:
    """Return the nearest float64 of every entry: for people, and to choose a pivot by."""
    return np.asarray(np.frompyfunc(_nearest, 1, 1)(lift(x).elements), dtype=np.float64)


def _nearest(x: Any) -> float:
    return float((x if isinstance(x, arb) else arb(x)).mid())


def is_certainly_nonzero(x: Any) -> np.ndarray:
    """Tell where an entry cannot be zero. This is no branch: the result does not depend on it."""
    return np.asarray(np.not_equal(lift(x).elements, number(0)), dtype=np.bool_)


def is_certainly_positive(x: Any) -> np.ndarray:
    """Tell where an entry must be positive."""
    return np.asarray(np.greater(lift(x).elements, number(0)), dtype=np.bool_)

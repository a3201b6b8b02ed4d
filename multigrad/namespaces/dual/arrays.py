"""Arrays of exact values with tangents."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import exact
from ..exact import ExactArray
from ..shared.operators import Operators, plain_key

Tangent = ExactArray | None


class DualArray(Operators):
    """An exact value and its derivative in T directions."""

    __slots__ = ("tangent", "value")
    rank = 1
    value: ExactArray
    """The value, of shape s."""
    tangent: Tangent
    """Its derivatives, of shape (T, *s); None is zero in every direction."""

    def __init__(self, value: ExactArray, tangent: Tangent = None) -> None:
        self.value = value
        self.tangent = tangent

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The size of each axis of the value."""
        return self.value.shape

    def __setitem__(self, key: Any, value: Any) -> None:
        def written(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            changed = old.copy()
            changed[plain_key(key)] = new if new.ndim else new[()]
            return changed

        changed = self.namespace.rearranged(written, self, value)
        self.value, self.tangent = changed.value, changed.tangent

    def __repr__(self) -> str:
        return f"DualArray({self.value!r}, {self.tangent!r})"


def lift(x: Any) -> DualArray:
    """Return anything real as a dual array; what is not one yet is constant."""
    return x if isinstance(x, DualArray) else DualArray(exact.lift(x))


def aligned(tangent: ExactArray, ndim: int) -> ExactArray:
    """Give a tangent of shape (T, *s) axes of length 1 after the first, so that s has that many dimensions."""
    count = tangent.shape[0]
    aligned_shape = (count, *(1,) * (ndim + 1 - tangent.ndim), *tangent.shape[1:])
    return ExactArray(tangent.elements.reshape(aligned_shape), tangent.degree)


def tangent_of(x: Any, count: int) -> ExactArray:
    """Return the tangent in that many directions; zeros where there is none."""
    if isinstance(x, DualArray) and x.tangent is not None:
        return x.tangent
    result: ExactArray = exact.FUNCTIONS["zeros"]((count, *np.shape(x)))
    return result


def _of_value(function: Callable[[Any], np.ndarray]) -> Callable[[Any], np.ndarray]:
    return functools.wraps(function)(lambda x: function(lift(x).value))


midpoints = _of_value(exact.midpoints)
is_certainly_nonzero = _of_value(exact.is_certainly_nonzero)
is_certainly_positive = _of_value(exact.is_certainly_positive)

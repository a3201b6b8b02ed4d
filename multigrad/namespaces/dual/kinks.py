"""Where there is no derivative: ties of values that move, and tangents of NaN."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import exact
from .arrays import DualArray, aligned, tangent_of

KINKS_MET: list[str] = []
"""What gave a tangent of NaN since :func:`directional_derivatives` began: for the message."""


def nowhere(name: str, kinks: Any, derivative: Any) -> Any:
    """Replace a derivative by NaN where there is none."""
    kinks = np.asarray(kinks, dtype=bool)
    if not kinks.any():
        return derivative
    KINKS_MET.append(name)
    return exact.FUNCTIONS["where"](kinks, math.nan, derivative)


def nowhere_zero(name: str, distance: Any, derivative: Any) -> Any:
    """Replace the derivative of a step function by NaN at its jumps.

    Between them it is constant (None), and may be compared with what it equals.
    """
    kinks = np.asarray(exact.FUNCTIONS["equal"](distance, 0), dtype=bool)
    return nowhere(name, kinks, derivative) if kinks.any() else None


def unlike(a: DualArray, b: DualArray) -> np.ndarray:
    """Tell where two arrays have equal values, but not certainly equal tangents."""
    equal = np.asarray(exact.FUNCTIONS["equal"](a.value, b.value), dtype=bool)
    moving = [x.tangent for x in (a, b) if x.tangent is not None]
    if not equal.any() or not moving:
        return np.zeros(equal.shape, dtype=bool)
    first, second = (aligned(tangent_of(x, moving[0].shape[0]), equal.ndim).elements for x in (a, b))
    alike = np.equal(first, second) | np.frompyfunc(operator.is_, 2, 1)(first, second)
    unlike: np.ndarray = equal & ~np.all(alike.astype(bool), axis=0)
    return unlike


def poisoned(name: str, kinks: np.ndarray, x: DualArray) -> DualArray:
    """Replace the tangent by NaN in those entries."""
    return x if x.tangent is None else DualArray(x.value, nowhere(name, kinks, x.tangent))

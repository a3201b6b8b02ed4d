"""The constants of a function as the numbers that were meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def shortest_decimal(number: float, rounded: Callable[[float], float]) -> float:
    """Return the shortest decimal that is rounded to a number: 0.1 was meant, and is in float64 another.

    Args:
        number: what the constant is in its own dtype, float32 or less.
        rounded: rounds to that dtype.
    """
    decimals = (float(f"{number:.{digits}g}") for digits in range(1, 10))
    return next((x for x in decimals if rounded(x) == number), number)


def plain(array: np.ndarray) -> Any:
    """Return an array as a number of Python's or an array of float64, int64 or bool, with every digit that it has."""
    wide = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}[array.dtype.kind]
    array = array.astype(wide)
    return array.item() if array.ndim == 0 else array

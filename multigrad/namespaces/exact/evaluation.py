"""Evaluating a function until its outputs are narrow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, fmpq

from .arrays import ExactArray, lift, variable
from .context import Kink, Undecided, precision

_ABSOLUTE_FLOOR_BITS = 1200
_RELATIVE_FLOOR_BITS = 100


def relative_widths(x: Any) -> np.ndarray:
    """Return every entry's radius relative to its size, as float64.

    The size of an entry is |x|, but at least 2⁻¹⁰⁰ times the largest of the array: an entry that is zero in truth,
    yet was computed as a difference, has no digits of its own and would never be narrow. An array that is zero
    throughout is held against 2⁻¹²⁰⁰, below everything that a float64 can hold. A ball of radius 0 has width 0, NaN
    has width ∞.
    """
    elements = lift(x).elements
    floor = floor_of(elements)
    return np.asarray(np.frompyfunc(lambda v: _width(v, floor), 1, 1)(elements), dtype=np.float64)


def floor_of(elements: np.ndarray) -> Any:
    """Return the size below which an entry of an array counts as zero."""
    absolute = arb(2) ** -_ABSOLUTE_FLOOR_BITS
    sizes = [abs(v.mid()) for v in elements.flat if isinstance(v, arb) and v.is_finite()]
    largest = max(sizes, default=arb(0))
    return max(largest * arb(2) ** -_RELATIVE_FLOOR_BITS, absolute)


def _width(value: Any, floor: Any) -> float:
    if isinstance(value, fmpq):
        return 0.0
    if value.is_nan():
        return math.inf
    if value.is_exact():
        return 0.0
    if not value.is_finite():
        return math.inf
    return float(value.rad() / max(abs(value.mid()), floor))


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found."""

    outputs: tuple[Any, ...]
    """What the function returned: exact arrays, or whatever else stood among them."""
    bits: int
    """The precision that was enough."""
    width: float
    """The largest relative radius among the exact arrays (see :func:`relative_widths`)."""


def evaluate(
    function: Callable[..., Any], *arrays: Any, width: float = 1e-40, bits: int = 200, most_bits: int = 3200
) -> Evaluation:
    """Call a function of exact arrays, doubling the precision until every output is narrow.

    Args:
        function: takes one exact array for each of the arrays, returns one or a tuple of them.
        arrays: NumPy arrays; floats are taken exactly, integers as they are.
        width: the largest relative radius that an entry may have.
        bits: the precision to begin with.
        most_bits: the precision to end with.

    Raises:
        Undecided: a comparison or a result was still open at the last precision: an input lies on a kink.
        Kink: it certainly does (from `dual` alone).
    """
    while True:
        try:
            with precision(bits):
                returned = function(*(variable(a) for a in arrays))
                outputs = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
                reached = max(
                    (w for o in outputs if isinstance(o, ExactArray) for w in relative_widths(o).flat), default=0.0
                )
            if reached <= width:
                return Evaluation(outputs, bits, float(reached))
            reason = f"an output is known only to a relative {reached:.1g}"
        except Kink:
            raise
        except Undecided as error:
            reason = str(error)
        if 2 * bits > most_bits:
            raise Undecided(
                f"{reason}, and so it remained at {bits} bits: an input lies on a kink or outside the domain"
            )
        bits *= 2

"""Images of another size: each new entry from the nearest one, or from those around it, along one axis at a time.

Which entries they are is known beforehand; how far a new entry lies between them is computed, as a framework does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .namespace import Namespace

Array = Any

Weights = Callable[[Array], Sequence[Array]]
"""Takes how far places lie behind an entry, returns the weights of the entries around them."""

CUBIC = -0.75
"""The slope at 1 of torch's filter."""


def linear(x: Array) -> Sequence[Array]:
    """The entry before, and the one behind."""
    return 1 - x, x


def cubic(x: Array) -> Sequence[Array]:
    """Two entries before, and two behind, by the filter of a cubic convolution with the slope −3/4 at 1.

    Source: R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """

    def near(d: Array) -> Array:
        return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1

    def far(d: Array) -> Array:
        return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC

    return far(x + 1), near(x), near(1 - x), far(2 - x)


@dataclass(frozen=True)
class Resized:
    """One axis, and the one that it becomes."""

    size: int
    """Its length."""
    count: int
    """Its new length."""
    corners: bool
    """Whether the first and the last entries fall on each other; else the edges of the axis do."""
    scale: float | None = None
    """How many times as long it becomes, where that is not the quotient of the lengths."""

    @property
    def step(self) -> Fraction:
        """How far new entries are apart."""
        if self.corners:
            return Fraction(self.size - 1, self.count - 1) if self.count > 1 else Fraction(0)
        return 1 / Fraction(self.scale) if self.scale else Fraction(self.size, self.count)

    def nearest(self, shift: float) -> np.ndarray:
        """Return the nearest entry of each new one, in the 32 bits that torch computes it in."""
        step = np.float32(1 / self.scale if self.scale else self.size / self.count)
        places = np.floor((np.arange(self.count, dtype=np.float32) + np.float32(shift)) * step)
        return np.asarray(np.minimum(places.astype(np.int64), self.size - 1))

    def interpolated(self, xp: Namespace, x: Array, axis: int, weights: Weights, *, clipped: bool) -> Array:
        """Interpolate along an axis.

        Args:
            xp: the namespace.
            x: the image.
            axis: the axis.
            weights: :func:`linear` or :func:`cubic`.
            clipped: whether what lies before the first entry counts as that.
        """
        shift = Fraction(0) if self.corners else Fraction(1, 2)
        exact = [(i + shift) * self.step - shift for i in range(self.count)]
        before = np.array([math.floor(max(c, Fraction(0)) if clipped else c) for c in exact], dtype=np.int64)
        places = xp.array(np.arange(self.count) + float(shift)) * float(self.step) - float(shift)
        places = xp.maximum(places, 0.0) if clipped else places
        parts = weights(places - xp.array(before.astype(np.float64)))
        wide = tuple(self.count if a == axis else 1 for a in range(x.ndim))
        total: Array = 0
        for offset, weight in enumerate(parts, start=1 - len(parts) // 2):
            index = np.clip(before + offset, 0, self.size - 1)
            total = total + xp.take(x, xp.array(index), axis=axis) * xp.reshape(weight, wide)
        return total

"""Reading an image between its entries, at points of a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .namespace import Namespace

Array = Any
Outside = Literal["zeros", "border", "reflection"]


def _folded(xp: Namespace, x: Array, low: float, high: float) -> Array:
    """Reflect coordinates at two ends until they are between."""
    span = high - low
    if not span:
        return xp.zeros_like(x)
    away = xp.abs(x - low)
    turns = xp.floor(away / span)
    rest = away - turns * span
    return xp.where(turns - 2 * xp.floor(turns / 2) > 0.5, span - rest, rest) + low


def _coordinate(xp: Namespace, x: Array, size: int, outside: Outside, corners: bool) -> Array:
    """Return a coordinate in [−1, 1] as one that counts entries."""
    x = (x + 1) * (size - 1) / 2 if corners else ((x + 1) * size - 1) / 2
    if outside == "reflection":
        x = _folded(xp, x, 0.0, size - 1.0) if corners else _folded(xp, x, -0.5, size - 0.5)
    return x if outside == "zeros" else xp.minimum(xp.maximum(x, 0.0), size - 1.0)


def sampled(xp: Namespace, image: Array, grid: Array, *, nearest: bool, outside: Outside, corners: bool) -> Array:
    """Read an image at the points of a grid.

    Args:
        xp: the namespace.
        image: (b, c, n₁, …, nₖ).
        grid: (b, m₁, …, mₖ, k), in [−1, 1], the last axis of the image first.
        nearest: whether the nearest entry is read; else those around a point are interpolated linearly.
        outside: what stands outside the image.
        corners: whether −1 and 1 are the middles of the outermost entries; else their outer edges.

    Returns:
        (b, c, m₁, …, mₖ).
    """
    b, c, *sizes = image.shape
    k, over = len(sizes), grid.shape[1:-1]
    flat = xp.reshape(image, (b, c, math.prod(sizes)))
    points = [_coordinate(xp, grid[..., k - 1 - i], n, outside, corners) for i, n in enumerate(sizes)]
    below = [xp.round(x) if nearest else xp.floor(x) for x in points]
    result: Array = 0
    for steps in itertools.product((0,) if nearest else (0, 1), repeat=k):
        weight, place, inside = 1.0, 0, True
        for x, low, step, n in zip(points, below, steps, sizes, strict=True):
            at = low + step
            inside = inside & (at >= 0) & (at <= n - 1)
            place = place * n + xp.astype(xp.minimum(xp.maximum(at, 0.0), n - 1.0), xp.int64)
            weight = weight if nearest else weight * ((x - low) if step else (low + 1 - x))
        index = xp.broadcast_to(xp.reshape(place, (b, 1, -1)), (b, c, math.prod(over)))
        read = xp.reshape(xp.take_along_axis(flat, index, axis=2), (b, c, *over))
        share = xp.where(inside, xp.ones_like(points[0]) if nearest else weight, xp.zeros_like(points[0]))
        result = result + read * xp.reshape(share, (b, 1, *over))
    return result


def triangle(x: np.ndarray) -> np.ndarray:
    """1 − |x| within 1: the filter of linear interpolation."""
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def cubic(x: np.ndarray) -> np.ndarray:
    """The filter of cubic interpolation, with a slope of −1/2 at 1.

    Source: R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def smoothing(size: int, count: int, step: float, kernel: Callable[[np.ndarray], np.ndarray], reach: int) -> np.ndarray:
    """Return the weights (count, size) by which an axis is interpolated, each row with the sum 1.

    Args:
        size: the length of the axis.
        count: its new length.
        step: how many entries one new entry stands for; where they are several, the filter is as much wider.
        kernel: the filter.
        reach: where the filter ends.
    """
    width = max(step, 1.0)
    middles = step * (np.arange(count) + 0.5)
    places = np.arange(size)
    first = np.maximum((middles - reach * width + 0.5).astype(int), 0)[:, None]
    last = np.minimum((middles + reach * width + 0.5).astype(int), size)[:, None]
    weights = kernel((places + 0.5 - middles[:, None]) / width) * ((places >= first) & (places < last))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))

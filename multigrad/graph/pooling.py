"""Pooling: the largest, or the mean, of what stands in each window, and the places of the largest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .namespace import Namespace
from .windows import reduce_windows

Array = Any


@dataclass(frozen=True)
class Sliding:
    """Windows that slide along one axis."""

    size: int
    """The length of the axis."""
    length: int
    stride: int
    padding: int
    """So many entries stand before the axis, and after it."""
    dilation: int = 1
    """How far the entries of a window are apart."""
    whole: bool = True
    """Whether a window that reaches beyond the padding is left out; one that begins there is always."""

    @property
    def count(self) -> int:
        """How many windows there are."""
        room = self.size + 2 * self.padding - self.reach
        if self.whole:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        return count - ((count - 1) * self.stride >= self.size + self.padding)

    @property
    def reach(self) -> int:
        """How many entries a window spans."""
        return self.dilation * (self.length - 1) + 1

    @property
    def edges(self) -> tuple[int, int]:
        """How many entries are added before and after, so that the windows fit."""
        return self.padding, (self.count - 1) * self.stride + self.reach - self.size - self.padding

    def places(self) -> list[list[int]]:
        """Return for each window the places in it that are on the axis."""
        starts = (i * self.stride - self.padding for i in range(self.count))
        windows = ([start + j * self.dilation for j in range(self.length)] for start in starts)
        return [[place for place in window if 0 <= place < self.size] for window in windows]

    def counted(self, padding: bool) -> np.ndarray:
        """Return for each window how many entries it has, with those of the padding or without."""
        if not padding:
            return np.array([len(window) for window in self.places()])
        starts = np.arange(self.count) * self.stride - self.padding
        return np.minimum(starts + self.length, self.size + self.padding) - starts


def shared_out(size: int, count: int) -> list[list[int]]:
    """Return the places of windows that share an axis out, however many are wanted."""
    return [list(range(i * size // count, -(-(i + 1) * size // count))) for i in range(count)]


def largest_in_windows(xp: Namespace, x: Array, windows: Sequence[Sequence[Sequence[int]]]) -> tuple[Array, Array]:
    """Return the largest entry of each window over the last axes, and its number among the entries of those axes.

    Args:
        xp: the namespace.
        x: (…, the last axes).
        windows: for each of the last axes the places of each window.
    """
    rank, sizes = len(windows), x.shape[x.ndim - len(windows) :]
    counts = tuple(len(axis) for axis in windows)
    most = math.prod(max(map(len, axis)) for axis in windows)
    table = np.empty((math.prod(counts), most), dtype=np.int64)
    for row, window in zip(table, itertools.product(*windows), strict=True):
        numbers = np.ravel_multi_index(np.meshgrid(*window, indexing="ij"), sizes).ravel()
        # A window that is cut off has its first entry several times.
        row[:] = numbers[0]
        row[: numbers.size] = numbers
    ahead = x.shape[: x.ndim - rank]
    flat = xp.reshape(x, (*ahead, math.prod(sizes)))
    laid = xp.reshape(xp.take(flat, xp.array(table.ravel()), axis=-1), (*ahead, *table.shape))
    first = xp.argmax(laid, axis=-1)
    numbers = xp.take(
        xp.array(table.ravel()), xp.reshape(first + xp.array(np.arange(len(table)) * most), (-1,)), axis=0
    )
    return xp.reshape(xp.max(laid, axis=-1), (*ahead, *counts)), xp.reshape(numbers, (*ahead, *counts))


def mean_of_windows(
    xp: Namespace, x: Array, windows: Sequence[Sliding], *, padding_counts: bool, divisor: int | None = None
) -> Array:
    """Return the mean of what stands in each window over the last axes.

    Args:
        xp: the namespace.
        x: (…, the last axes).
        windows: for each of the last axes.
        padding_counts: whether the zeros around x are entries of a window.
        divisor: what the sums are divided by, in place of the number of entries.
    """
    ahead = x.ndim - len(windows)
    total = reduce_windows(
        xp,
        x,
        xp.add,
        0.0,
        lengths=[1] * ahead + [w.length for w in windows],
        strides=[1] * ahead + [w.stride for w in windows],
        padding=[(0, 0)] * ahead + [w.edges for w in windows],
        base_dilations=[1] * x.ndim,
        dilations=[1] * x.ndim,
    )
    if divisor is not None:
        return total / divisor
    counts = np.ones(())
    for window in windows:
        counts = np.multiply.outer(counts, window.counted(padding_counts))
    return total / (float(counts.flat[0]) if (counts == counts.flat[0]).all() else xp.array(counts.astype(np.float64)))


def mean_of_shares(xp: Namespace, x: Array, counts: Sequence[int]) -> Array:
    """Return the mean of each window, where windows share the last axes out."""
    for axis, count in enumerate(counts, start=x.ndim - len(counts)):
        ahead = (slice(None),) * axis
        windows = shared_out(x.shape[axis], count)
        parts = [xp.mean(x[(*ahead, slice(w[0], w[-1] + 1), ...)], axis=axis) for w in windows]
        x = xp.stack(parts, axis=axis)
    return x

"""Sliding windows: convolutions, pooling, running sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .indexing import pad
from .namespace import Namespace

Array = Any
Edges = Sequence[tuple[int, int]]


def offsets(x: Array, lengths: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Iterator[Array]:
    """Yield for each place in a window that slides over the last axes of x what stands there."""
    sizes = x.shape[x.ndim - len(lengths) :]
    counts = [(n - (w - 1) * d - 1) // s + 1 for n, w, s, d in zip(sizes, lengths, strides, dilations, strict=True)]
    for place in itertools.product(*map(range, lengths)):
        starts = [p * d for p, d in zip(place, dilations, strict=True)]
        yield x[(..., *(slice(a, a + (c - 1) * s + 1, s) for a, c, s in zip(starts, counts, strides, strict=True)))]


def reduce_windows(
    xp: Namespace,
    x: Array,
    combined: Callable[[Array, Array], Array],
    start: Array,
    *,
    lengths: Sequence[int],
    strides: Sequence[int],
    padding: Edges,
    base_dilations: Sequence[int],
    dilations: Sequence[int],
) -> Array:
    """Combine the entries of each window that slides over all axes of x.

    Args:
        xp: the namespace.
        x: the operand.
        combined: of two arrays, one.
        start: what stands around x.
        lengths: of a window, along each axis.
        strides: how far the window goes on.
        padding: how many entries come before and after.
        base_dilations: how far the entries of x are apart.
        dilations: how far the entries of a window are apart.
    """
    edges = [(low, high, d - 1) for (low, high), d in zip(padding, base_dilations, strict=True)]
    parts = offsets(pad(xp, x, start, edges=edges), lengths, strides, dilations)
    result = next(parts)
    for part in parts:
        result = combined(result, part)
    return result


def convolve(
    xp: Namespace,
    image: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: Edges,
    image_dilations: Sequence[int],
    kernel_dilations: Sequence[int],
    groups: int = 1,
) -> Array:
    """Convolve, as deep learning has it: without turning the kernel round.

    Args:
        xp: the namespace.
        image: (b, c, …).
        kernel: (o, c / groups, …).
        strides: how far the kernel goes on along each of the last axes.
        padding: how many zeros come before and after.
        image_dilations: how far the entries of the image are apart.
        kernel_dilations: how far those of the kernel are apart.
        groups: of channels.

    Returns:
        The products (b, o, …).
    """
    edges = [(low, high, d - 1) for (low, high), d in zip(padding, image_dilations, strict=True)]
    padded = pad(xp, image, 0.0, edges=[(0, 0, 0), (0, 0, 0), *edges])
    patches = list(offsets(padded, kernel.shape[2:], strides, kernel_dilations))
    b, o, places = image.shape[0], kernel.shape[0], patches[0].shape[2:]
    inner = kernel.shape[1]
    count = 1
    for n in places:
        count *= n
    # (b, c, window, …) as (b, groups, c / groups × window, places)
    laid = xp.reshape(xp.stack(patches, axis=2), (b, groups, inner * len(patches), count))
    weights = xp.reshape(kernel, (groups, o // groups, inner * len(patches)))
    return xp.reshape(xp.matmul(weights, laid), (b, o, *places))


def accumulated(xp: Namespace, x: Array, combined: Callable[[Array, Array], Array], axis: int) -> Array:
    """Combine the first 1, 2, … entries along an axis, one after the other."""
    lanes = xp.moveaxis(x, axis, 0)
    results: list[Array] = []
    for i in range(lanes.shape[0]):
        results.append(combined(results[-1], lanes[i, ...]) if results else lanes[i, ...])
    return xp.moveaxis(xp.stack(results, axis=0), 0, axis) if results else x

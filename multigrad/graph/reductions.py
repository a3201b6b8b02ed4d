"""Sums and extrema along axes, in the forms that neither overflow nor lose digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .namespace import Namespace

Array = Any


def _held_maximum(xp: Namespace, x: Array, axes: Sequence[int]) -> Array:
    """Return the largest entries, by which the result of a shifted sum does not change: no derivative goes through."""
    return xp.max(xp.constant(x), axis=tuple(axes), keepdims=True)


def softmax(xp: Namespace, x: Array, axes: Sequence[int]) -> Array:
    """exp(xᵢ − m) / Σ exp(xⱼ − m) over axes."""
    exponentials = xp.exp(x - _held_maximum(xp, x, axes))
    return exponentials / xp.sum(exponentials, axis=tuple(axes), keepdims=True)


def masked_softmax(xp: Namespace, x: Array, axes: Sequence[int]) -> Array:
    """exp(xᵢ − m) / Σ exp(xⱼ − m) over axes; 0 where all of them are −∞, as a mask may have it."""
    dead = xp.all(xp.isinf(x), axis=tuple(axes), keepdims=True)
    exponentials = xp.exp(x - xp.where(dead, 0.0, _held_maximum(xp, x, axes)))
    total = xp.sum(exponentials, axis=tuple(axes), keepdims=True)
    return exponentials / xp.where(dead, 1.0, total)


def log_softmax(xp: Namespace, x: Array, axes: Sequence[int]) -> Array:
    """xᵢ − m − log Σ exp(xⱼ − m) over axes."""
    shifted = x - _held_maximum(xp, x, axes)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=tuple(axes), keepdims=True))


def log_sum_exp(xp: Namespace, x: Array, axes: Sequence[int], *, keepdims: bool) -> Array:
    """M + log Σ exp(xⱼ − m) over axes."""
    largest = _held_maximum(xp, x, axes)
    result = largest + xp.log(xp.sum(xp.exp(x - largest), axis=tuple(axes), keepdims=True))
    return result if keepdims else xp.squeeze(result, axis=tuple(axes))


def variance(xp: Namespace, x: Array, axes: Sequence[int], correction: float, *, keepdims: bool) -> Array:
    """Σ(x − x̄)² / (n − correction) over axes."""
    count = math.prod(x.shape[a] for a in axes)
    deviations = x - xp.mean(x, axis=tuple(axes), keepdims=True)
    return xp.sum(xp.square(deviations), axis=tuple(axes), keepdims=keepdims) / (count - correction)


def first_best(xp: Namespace, x: Array, better: Callable[[Array, Array], Array], axis: int) -> tuple[Array, Array]:
    """Return the best of the first 1, 2, … entries along an axis, and where each stands: the last one among equals.

    Args:
        xp: the namespace.
        x: the entries.
        better: ``xp.greater_equal`` or ``xp.less_equal``.
        axis: the axis.
    """
    lanes = xp.moveaxis(x, axis, 0)
    best, place = lanes[0, ...], xp.zeros(lanes.shape[1:], dtype=xp.int64, device=xp.device)
    values, places = [best], [place]
    for i in range(1, lanes.shape[0]):
        improved = better(lanes[i, ...], best)
        best, place = xp.where(improved, lanes[i, ...], best), xp.where(improved, xp.array(i), place)
        values.append(best)
        places.append(place)
    return xp.moveaxis(xp.stack(values, axis=0), 0, axis), xp.moveaxis(xp.stack(places, axis=0), 0, axis)

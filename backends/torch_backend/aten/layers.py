"""What torch's ATen calls are in the array API standard: layers and losses that torch leaves whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from multigrad.graph.namespace import Namespace

from .facts import Array, Fact, by_name


def _normalised_in_groups(
    xp: Namespace,
    input: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    N: int,
    C: int,
    group: int,
    eps: float,
    **_: Any,
) -> tuple[Array, Array, Array]:
    x = xp.array(input)
    laid = xp.reshape(x, (N, group, -1))
    mean = xp.mean(laid, axis=2, keepdims=True)
    variance = xp.mean(xp.square(laid - mean), axis=2, keepdims=True)
    scale = xp.reciprocal(xp.sqrt(variance + eps))
    result = xp.reshape((laid - mean) * scale, (N, C, math.prod(x.shape[2:])))
    result = result if weight is None else result * xp.reshape(xp.array(weight), (C, 1))
    result = result if bias is None else result + xp.reshape(xp.array(bias), (C, 1))
    return xp.reshape(result, x.shape), xp.reshape(mean, (N, group)), xp.reshape(scale, (N, group))


REDUCED = {1: lambda xp, x: xp.mean(x), 2: lambda xp, x: xp.sum(x)}
"""What torch's numbers do with the losses of a batch; 0 leaves them alone."""


def _margins_of_lists(xp: Namespace, x: Array, target: Array, *, reduction: int = 1, **_: Any) -> tuple[Array, Array]:
    """Σⱼ Σᵢ max(0, 1 − x[yⱼ] + xᵢ) / c over labels yⱼ and what is no label; labels end at the first that is −1."""
    x, target = xp.array(x), xp.array(target)
    rows, labels = (xp.reshape(a, (-1, a.shape[-1] if a.ndim else 1)) for a in (x, target))
    c = rows.shape[1]
    listed = xp.cumulative_sum(xp.astype(labels < 0, xp.int64), axis=1) == 0
    places = xp.array(np.arange(c))
    named = xp.any((labels[:, :, None] == places) & listed[:, :, None], axis=1)
    of_labels = xp.take_along_axis(rows, xp.where(listed, labels, xp.zeros_like(labels)), axis=1)
    margins = xp.maximum(1 - of_labels[:, :, None] + rows[:, None, :], 0.0)
    counted = listed[:, :, None] & xp.logical_not(named)[:, None, :]
    losses = xp.sum(xp.where(counted, margins, 0.0), axis=(1, 2)) / c
    losses = REDUCED[reduction](xp, losses) if reduction else xp.reshape(losses, x.shape[:-1])
    return losses, xp.reshape(xp.real(named), x.shape)


# fmt: off
LAYERS: dict[str, Fact] = {
    "multilabel_margin_loss_forward": _margins_of_lists,
    "native_group_norm":              by_name(_normalised_in_groups),
}
# fmt: on
"""Normalisation, and a loss whose decomposition counts labels behind the end of the list."""

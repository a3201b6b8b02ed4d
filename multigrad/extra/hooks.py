"""Hooks: the functions that a namespace does in a way of its own, all under one attribute that no framework has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ATTRIBUTE = "__multigrad__"
"""Where a namespace carries its hooks. A framework's own names (``torch.scatter_add``) are other functions."""


@dataclass(frozen=True)
class Hooks:
    """What a namespace brings along; None where the function is written with the standard alone."""

    eliminated: Callable[..., Any] | None = None
    """``eliminated(A)``: see :func:`multigrad.extra.elimination.eliminated`."""
    in_blocks: Callable[..., Any] | None = None
    """``in_blocks(function, arrays, *, axis, sums, elements, fused)``: see :func:`multigrad.extra.blocks.in_blocks`."""
    scan: Callable[..., Any] | None = None
    """``scan(step, carry, xs, *, reverse)``: see :func:`multigrad.extra.recurrence.scan`."""
    scatter_add: Callable[..., Any] | None = None
    """``scatter_add(X, t, v)``: see :func:`multigrad.extra.scatter.scatter_add`."""
    scatter_along_axis: Callable[..., Any] | None = None
    """``scatter_along_axis(X, order, *, axis)``: see :func:`multigrad.extra.scatter.scatter_along_axis`."""
    scatter_diagonal: Callable[..., Any] | None = None
    """``scatter_diagonal(d)``: see :func:`multigrad.extra.scatter.scatter_diagonal`."""
    stop_gradient: Callable[..., Any] | None = None
    """``stop_gradient(x)``: x as what no derivative goes through."""
    triangular: Callable[..., Any] | None = None
    """``triangular(L)``: see :func:`multigrad.extra.elimination.triangular`."""


NONE = Hooks()


def hooks_of(xp: Any) -> Hooks:
    """Return the hooks of a namespace; one that is not ours has none.

    Args:
        xp: the array namespace.
    """
    hooks: Hooks = getattr(xp, ATTRIBUTE, NONE)
    return hooks

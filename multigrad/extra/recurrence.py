"""Recurrences: one step, many times over, so that a compiler sees the step once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hooks import hooks_of

Step = Callable[[Any, Any], tuple[Any, Any]]
"""``step(carry, x) -> (carry, y)``; each of the three is an array or a tuple of arrays."""


def scan(xp: Any, step: Step, carry: Any, xs: Any, *, reverse: bool = False) -> tuple[Any, Any]:
    """Run a step along the first axis of xs.

        carry₀ = carry;  carryᵢ₊₁, yᵢ = step(carryᵢ, xsᵢ)

    A namespace that has a hook for it (that of JAX: ``jax.lax.scan``) runs that; elsewhere it is a loop.

    Args:
        xp: the array namespace.
        step: returns the next carry, of the same shapes and dtypes, and an output (None if there is none).
        carry: what goes from step to step: an array or a tuple of arrays.
        xs: an array (n, …) or a tuple of them, all with the same n ≥ 1.
        reverse: go from the last to the first; the outputs stand in the order of xs all the same.

    Returns:
        The last carry, and the outputs stacked along a new first axis.
    """
    own = hooks_of(xp).scan
    if own is not None:
        final: tuple[Any, Any] = own(step, carry, xs, reverse=reverse)
        return final
    return loop(xp.stack, step, carry, xs, reverse=reverse)


def loop(stack: Callable[..., Any], step: Step, carry: Any, xs: Any, *, reverse: bool = False) -> tuple[Any, Any]:
    """Run a step along the first axis of xs, one after the other; see :func:`scan`.

    Args:
        stack: joins a list of arrays along a new first axis.
        step: as for :func:`scan`, like the arguments that follow.
        carry: what goes from step to step.
        xs: what the steps are given.
        reverse: go from the last to the first.
    """
    several = isinstance(xs, tuple)
    count = (xs[0] if several else xs).shape[0]
    outputs = []
    for i in range(count - 1, -1, -1) if reverse else range(count):
        carry, y = step(carry, tuple(x[i, ...] for x in xs) if several else xs[i, ...])
        outputs.append(y)
    if reverse:
        outputs.reverse()
    if outputs[0] is None:
        return carry, None
    if isinstance(outputs[0], tuple):
        return carry, tuple(stack(list(part)) for part in zip(*outputs, strict=True))
    return carry, stack(outputs)

"""The gradient of a function of JAX arrays as a function of JAX arrays, which JAX differentiates again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from multigrad.backend.handover import several


def gradient(function: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., tuple[jax.Array, ...]]:
    """Return what :meth:`multigrad.Backend.gradient` asks for: the pullback of ``jax.vjp``."""
    count = len(wanted)

    def gradients(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        def of_wanted(*chosen: jax.Array) -> tuple[jax.Array, ...]:
            rest = iter(chosen)
            return several(function(*(next(rest) if w else a for a, w in zip(arrays[:count], wanted, strict=True))))

        _, pullback = jax.vjp(of_wanted, *(a for a, w in zip(arrays[:count], wanted, strict=True) if w))
        return tuple(pullback(tuple(arrays[count:])))

    return gradients

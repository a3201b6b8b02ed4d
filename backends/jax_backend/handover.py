"""An operation as a function that JAX differentiates by the hand-derived pullback, and by the pushforward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from multigrad.backend.handover import gradient_of_each, several
from multigrad.ops.operation import Operation
from multigrad.ops.pushforward import pushed_forward

from .linear import linear
from .namespace import array_namespace


def handed_over(op: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what :meth:`multigrad.Backend.hand_over` asks for."""

    def call(*inputs: jax.Array) -> Any:
        return op(namespace_of(jax.default_backend()), *inputs, **parameters)

    def pushforward(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        inputs, tangents = arrays[: len(op.inputs)], arrays[len(arrays) - len(op.gradients) :]
        return pushed_forward(op, namespace_of(jax.default_backend()), inputs, tangents, parameters)

    @jax.custom_jvp
    def differentiable(*inputs: jax.Array) -> Any:
        return call(*inputs)[0]

    @differentiable.defjvp
    def _(inputs: tuple[jax.Array, ...], tangents: tuple[Any, ...]) -> Any:
        value, pullback = call(*inputs)
        values = several(value)
        arrays, transpose = kept(op, pullback, values)
        moving = [t for t, d in zip(tangents, op.differentiable, strict=True) if d]
        moved = linear(pushforward, transpose, [*inputs, *arrays], moving, values)
        return value, moved if isinstance(value, tuple) else moved[0]

    def handwritten(*inputs: Any) -> Any:
        arrays = [jax.numpy.asarray(a) for a in inputs]
        op.check_inputs(arrays)
        return differentiable(*arrays)

    handwritten.__name__, handwritten.__doc__ = op.name, op.doc
    return handwritten


def kept(
    op: Operation, pullback: Callable[..., Any], values: tuple[jax.Array, ...]
) -> tuple[Sequence[jax.Array], Callable[..., tuple[jax.Array, ...]]]:
    """Return the pullback as the arrays that it holds, and what it does with them.

    What a closure holds cannot leave the trace it was made in.

    Args:
        op: the operation.
        pullback: its pullback.
        values: its values.

    Returns:
        The arrays, and ``f(*inputs, *arrays, *cotangents) -> gradients``.
    """
    inputs = len(op.inputs)
    cotangents = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in values]
    closed = jax.make_jaxpr(lambda *bars: [g for g in gradient_of_each(op, pullback(*bars)) if g is not None])(
        *cotangents
    )

    def transpose(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        held, bars = arrays[inputs : len(arrays) - len(values)], arrays[len(arrays) - len(values) :]
        return tuple(jax.core.eval_jaxpr(closed.jaxpr, held, *bars))

    return closed.consts, transpose


@functools.cache
def namespace_of(device: str) -> Any:
    """Return the namespace for arrays on the default device."""
    return array_namespace(device)

"""An operation as a jax.custom_vjp: JAX calls the hand-derived pullback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from multigrad.backend.handover import gradient_of_each, several
from multigrad.ops.operation import Operation

from .namespace import array_namespace


def handed_over(op: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what :meth:`multigrad.Backend.hand_over` asks for."""

    def call(*inputs: jax.Array) -> Any:
        return op(namespace_of(jax.default_backend()), *inputs, **parameters)

    @jax.custom_vjp
    def differentiable(*inputs: jax.Array) -> Any:
        return call(*inputs)[0]

    def forward(*inputs: jax.Array) -> Any:
        value, pullback = call(*inputs)
        return value, kept(pullback, several(value))

    def backward(pullback: Any, cotangents: Any) -> Any:
        return gradient_of_each(op, pullback(*several(cotangents)))

    differentiable.defvjp(forward, backward)

    def handwritten(*inputs: Any) -> Any:
        arrays = [jax.numpy.asarray(a) for a in inputs]
        op.check_inputs(arrays)
        return differentiable(*arrays)

    handwritten.__name__, handwritten.__doc__ = op.name, op.doc
    return handwritten


def kept(pullback: Callable[..., Any], values: tuple[jax.Array, ...]) -> Any:
    """Return the pullback as data that JAX can carry to the backward pass: its arrays, and what it does with them.

    What a closure holds cannot leave the trace it was made in.
    """
    cotangents = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in values]
    closed = jax.make_jaxpr(lambda *bars: several(pullback(*bars)))(*cotangents)
    return jax.tree_util.Partial(functools.partial(jax.core.eval_jaxpr, closed.jaxpr), closed.consts)


@functools.cache
def namespace_of(device: str) -> Any:
    """Return the namespace for arrays on the default device."""
    return array_namespace(device)

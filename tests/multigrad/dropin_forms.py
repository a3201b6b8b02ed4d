"""An operation in the forms that the drop-ins take: an autograd.Function, a custom_vjp, a NumPy pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multigrad.backend import backend
from multigrad.ops.operation import Operation


def as_torch(op: Operation, parameters: Mapping[str, Any], *, wider: bool = False) -> Callable[..., Any]:
    """Return an operation as a torch.autograd.Function that keeps its pullback.

    With ``wider`` it computes in float32 whatever it is given, and rounds once, as a kernel does.
    """
    import torch

    xp = backend("torch").open("cpu", threads=1).xp

    def entered(tensor: Any) -> Any:
        return tensor.float() if wider and tensor.is_floating_point() else tensor

    def stored(results: Any, dtype: Any) -> Any:
        if isinstance(results, tuple):
            return tuple(stored(one, dtype) for one in results)
        return results.to(dtype) if wider else results

    class Handwritten(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.dtype = next(x.dtype for x in inputs if x.is_floating_point())
            value, ctx.pullback = op(xp, *map(entered, inputs), **parameters)
            return stored(value, ctx.dtype)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            gradients = stored(ctx.pullback(*map(entered, cotangents)), ctx.dtype)
            found = iter(gradients if isinstance(gradients, tuple) else (gradients,))
            return tuple(next(found) if d else None for d in op.differentiable)

    Handwritten.__name__ = op.name
    return Handwritten.apply


def as_jax(op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> Callable[..., Any]:
    """Return an operation as a jax.custom_vjp of its differentiable inputs."""
    import jax

    xp = backend("jax").open("cpu", threads=1).xp

    def joined(chosen: Sequence[Any]) -> list[Any]:
        rest = iter(chosen)
        return [next(rest) if d else jax.numpy.asarray(a) for d, a in zip(op.differentiable, inputs, strict=True)]

    @jax.custom_vjp
    def handwritten(*chosen: Any) -> Any:
        return op(xp, *joined(chosen), **parameters)[0]

    def backward(chosen: Any, cotangents: Any) -> Any:
        _, pullback = op(xp, *joined(chosen), **parameters)
        gradients = pullback(*(cotangents if isinstance(cotangents, tuple) else (cotangents,)))
        return gradients if isinstance(gradients, tuple) else (gradients,)

    handwritten.defvjp(lambda *chosen: (handwritten(*chosen), chosen), backward)
    return handwritten


@dataclass(frozen=True)
class Vector:
    """An operation as SciPy wants it: a number and its gradient, by one vector of all differentiable inputs."""

    op: Operation
    parameters: Mapping[str, Any]
    inputs: Sequence[np.ndarray]
    cotangents: Sequence[np.ndarray]

    @property
    def start(self) -> np.ndarray:
        return np.concatenate([np.ravel(a) for a in self._chosen(self.inputs)])

    def value(self, point: Any) -> Any:
        xp = self.namespace(point)
        values, _ = self.evaluated(point)
        total = 0.0
        for value, cotangent in values:
            total = total + xp.sum(value * xp.asarray(cotangent))
        return total

    def gradient(self, point: Any) -> Any:
        _, pullback = self.evaluated(point)
        gradients = pullback(*self.cotangents)
        return np.concatenate([np.ravel(g) for g in (gradients if isinstance(gradients, tuple) else (gradients,))])

    def evaluated(self, point: Any) -> tuple[list[tuple[Any, Any]], Callable[..., Any]]:
        xp = self.namespace(point)
        sizes = np.cumsum([0, *(a.size for a in self._chosen(self.inputs))])
        parts = (
            xp.reshape(point[int(i) : int(j)], a.shape)
            for i, j, a in zip(sizes, sizes[1:], self._chosen(self.inputs), strict=False)
        )
        given = [next(parts) if d else a for d, a in zip(self.op.differentiable, self.inputs, strict=True)]
        value, pullback = self.op(xp, *given, **self.parameters)
        values = value if isinstance(value, tuple) else (value,)
        return list(zip(values, self.cotangents, strict=True)), pullback

    @staticmethod
    def namespace(point: Any) -> Any:
        if isinstance(point, np.ndarray):
            import array_api_compat.numpy as xp

            return xp
        return point.__array_namespace__()

    def _chosen(self, arrays: Sequence[Any]) -> list[Any]:
        return [a for d, a in zip(self.op.differentiable, arrays, strict=True) if d]


def reference_of(op: Operation, parameters: Mapping[str, Any], held: Sequence[Any] = ()) -> Callable[..., Any]:
    """Return what a person passes as reference: the operation at its parameters, of the inputs that are not held."""

    def reference(xp: Any, *inputs: Any) -> Any:
        rest = iter(inputs)
        given = [next(rest) if d or not held else a for d, a in zip(op.differentiable, held or inputs, strict=True)]
        return op(xp, *given, **parameters)

    reference.__name__ = op.name
    return reference

"""A linear map with a transpose of its own, as a JAX primitive: forward mode calls the map, reverse mode the transpose.

``jax.custom_vjp`` forbids forward mode, ``jax.custom_jvp`` has JAX transpose the rule itself, and
``jax.custom_derivatives.linear_call`` has neither a batching rule nor a derivative by its residuals (JAX 0.10).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Map = Callable[..., tuple[jax.Array, ...]]
"""``f(*residuals, *arrays) -> arrays``, linear in the arrays."""

linear_p = Primitive("multigrad_linear")
linear_p.multiple_results = True


def linear(
    function: Map, transpose: Map, residuals: Sequence[Any], arrays: Sequence[Any], like: Sequence[Any]
) -> tuple[jax.Array, ...]:
    """Call a function that is linear in some of its arrays, whose transpose is given.

    Args:
        function: ``f(*residuals, *arrays)``.
        transpose: ``f(*residuals, *cotangents)``, one cotangent for each result, returns one for each array.
        residuals: what neither is linear in; both are differentiated by them as JAX does it.
        arrays: what the function is linear in.
        like: arrays with the shapes and dtypes of the results: reverse mode never calls the function to find out.
    """
    return tuple(
        linear_p.bind(
            *residuals,
            *arrays,
            function=function,
            transpose=transpose,
            residuals=len(residuals),
            results=_kinds(like),
        )
    )


Kinds = tuple[tuple[tuple[int, ...], Any], ...]
"""Shapes and dtypes."""


def _kinds(arrays: Sequence[Any]) -> Kinds:
    return tuple((tuple(a.shape), a.dtype) for a in arrays)


@dataclass(frozen=True)
class Batched:
    """A map of residuals, of which some are stacks, and of stacks of arrays."""

    function: Map
    axes: tuple[int | None, ...]
    """For each residual, the axis along which it is a stack; None where it is none."""
    size: int

    def __call__(self, *arrays: Any) -> tuple[jax.Array, ...]:
        """Map every item."""
        stacked = (0,) * (len(arrays) - len(self.axes))
        results: tuple[jax.Array, ...] = jax.vmap(self.function, in_axes=(*self.axes, *stacked), axis_size=self.size)(
            *arrays
        )
        return results


def _called(*arrays: Any, function: Map, transpose: Map, residuals: int, results: Kinds) -> list[jax.Array]:
    return list(function(*arrays))


def _shapes(*shapes: Any, function: Map, transpose: Map, residuals: int, results: Kinds) -> list[Any]:
    return [jax.core.ShapedArray(shape, dtype) for shape, dtype in results]


def _pushed(
    primals: Sequence[Any], tangents: Sequence[Any], *, function: Map, transpose: Map, residuals: int, results: Kinds
) -> tuple[Any, Any]:
    """Differentiate: linear in the arrays; by the residuals it is JAX's own derivative."""
    bind = functools.partial(
        linear_p.bind, function=function, transpose=transpose, residuals=residuals, results=results
    )
    given, moved = primals[:residuals], tangents[residuals:]
    parts = [bind(*given, *map(ad.instantiate_zeros, moved))] if not all(map(_is_zero, moved)) else []
    which = [i for i, t in enumerate(tangents[:residuals]) if not _is_zero(t)]
    if which:

        def of_residuals(*some: Any) -> tuple[Any, ...]:
            every = dict(enumerate(given)) | dict(zip(which, some, strict=True))
            return tuple(function(*every.values(), *primals[residuals:]))

        parts += [jax.jvp(of_residuals, tuple(given[i] for i in which), tuple(tangents[i] for i in which))[1]]
    return bind(*primals), [sum(terms[1:], terms[0]) for terms in zip(*parts, strict=True)]


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, ad.Zero)


def _transposed(
    cotangents: Sequence[Any], *arrays: Any, function: Map, transpose: Map, residuals: int, results: Kinds
) -> list[Any]:
    gradients = linear_p.bind(
        *arrays[:residuals],
        *map(ad.instantiate_zeros, cotangents),
        function=transpose,
        transpose=function,
        residuals=residuals,
        results=_kinds([a.aval for a in arrays[residuals:]]),
    )
    return [*(None for _ in range(residuals)), *gradients]


def _batched(
    arrays: Sequence[Any], axes: Sequence[Any], *, function: Map, transpose: Map, residuals: int, results: Kinds
) -> tuple[list[Any], list[int]]:
    size = next(a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None)
    stacks = [_stacked(a, axis, size) for a, axis in zip(arrays[residuals:], axes[residuals:], strict=True)]
    given = tuple(axes[:residuals])
    mapped = linear_p.bind(
        *arrays[:residuals],
        *stacks,
        function=Batched(function, given, size),
        transpose=Batched(transpose, given, size),
        residuals=residuals,
        results=tuple(((size, *shape), dtype) for shape, dtype in results),
    )
    return mapped, [0] * len(mapped)


def _stacked(array: Any, axis: int | None, size: int) -> Any:
    """Return an array with the axis of its items first; one that all items share is repeated."""
    if axis is None:
        return jax.numpy.broadcast_to(array, (size, *array.shape))
    return jax.numpy.moveaxis(array, axis, 0)


linear_p.def_impl(_called)
linear_p.def_abstract_eval(_shapes)
ad.primitive_jvps[linear_p] = _pushed
ad.primitive_transposes[linear_p] = _transposed
batching.primitive_batchers[linear_p] = _batched
mlir.register_lowering(linear_p, mlir.lower_fun(_called, multiple_results=True))

"""The array namespace of JAX, and what it has beyond the standard."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
from jax import numpy
from jax.scipy import linalg, special

from multigrad.backend import Array, namespace
from multigrad.data.standard import special_functions
from multigrad.extra.blocks import join_blocks
from multigrad.extra.hooks import Hooks


class Eliminated:
    """The factors of :func:`multigrad.extra.elimination.eliminated`. A singular matrix does not raise."""

    def __init__(self, A: Array) -> None:
        self.factors = linalg.lu_factor(A)

    def solve(self, B: Array, *, transposed: bool = False, regular: Any = None) -> Array:
        """Solve with A or its transpose."""
        return linalg.lu_solve(self.factors, B, trans=int(transposed))

    def log_abs_det(self) -> Array:
        """Add up the logarithms of the pivots."""
        return numpy.sum(numpy.log(numpy.abs(numpy.linalg.diagonal(self.factors[0]))), axis=-1)

    def det(self) -> Array:
        """Multiply the pivots."""
        return self._signed(numpy.linalg.diagonal(self.factors[0]))

    def adjugate(self) -> Array:
        """Solve for the identity, with pivots that are not zero."""
        LU, exchanges = self.factors
        pivots = numpy.linalg.diagonal(LU)
        size = numpy.mean(numpy.abs(LU), axis=(-2, -1))
        least = numpy.finfo(LU.dtype).eps * numpy.where(size == 0, 1, size)
        moved = numpy.where(pivots == 0, least[..., None], 0)
        identity = numpy.eye(LU.shape[-1], dtype=LU.dtype)
        right = self._signed(pivots + moved)[..., None, None] * identity
        return linalg.lu_solve((LU + moved[..., None] * identity, exchanges), right)

    def _signed(self, pivots: Array) -> Array:
        exchanges = numpy.sum(self.factors[1] != numpy.arange(pivots.shape[-1]), axis=-1)
        return numpy.prod(pivots, axis=-1) * (1 - 2 * (exchanges % 2))


class Triangular:
    """Lower triangles; see :func:`multigrad.extra.elimination.triangular`."""

    def __init__(self, L: Array) -> None:
        self.L = L

    def solve(self, B: Array, *, transposed: bool = False) -> Array:
        """Solve with L or its transpose."""
        return linalg.solve_triangular(self.L, B, trans=int(transposed), lower=True)

    def inverse(self) -> Array:
        """Solve for the identity."""
        return self.solve(numpy.broadcast_to(numpy.eye(self.L.shape[-1], dtype=self.L.dtype), self.L.shape))


def array_namespace(device: str) -> Any:
    """Return jax.numpy with its hooks and with special functions; ``device`` is as JAX calls it."""
    place_tracers()
    own: dict[str, Any] = dict(special_functions(special))
    if device == "cpu":
        own["linalg"] = namespace(numpy.linalg, qr=one_by_one(numpy.linalg.qr))
    own |= {name: made_whole(getattr(numpy, name)) for name in CREATION}
    return namespace(numpy, hooks_on(device), **own)


def one_by_one(qr: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decomposition that takes the matrices of a batch one after the other, which takes it no longer.

    In jaxlib 0.10.2 one of a whole batch holds a thread of XLA's pool while it waits for its parts, which need a thread
    too: where two threads wait so at once, one in the making of Q and one in a solution with R, they wait for ever.
    """

    @functools.wraps(qr)
    def decomposed(A: Array) -> Any:
        if A.ndim == 2:
            return qr(A)
        factors = jax.lax.map(qr, A.reshape((prod(A.shape[:-2]), *A.shape[-2:])))
        return type(factors)(*(factor.reshape((*A.shape[:-2], *factor.shape[-2:])) for factor in factors))

    return decomposed


def place_tracers() -> None:
    """Let what is traced be on the default device, None, where to ask for its device raises.

    That is so in jax 0.10.2 (jax-ml/jax issue 26000, open): the standard's ``zeros(n, device=x.device)`` cannot be
    compiled. array-api-compat has the same answer, for those who ask it instead of the array. The class is found by
    tracing, so that nothing is touched once JAX answers itself, and no name of its interior has to last.
    """

    def told(x: Any) -> Any:
        if not hasattr(x, "device"):
            tracer: Any = next(c for c in type(x).__mro__ if c.__name__ == "Tracer")
            tracer.device = property(lambda traced: None)
        return x

    jax.eval_shape(told, jax.ShapeDtypeStruct((), "float32"))


CREATION = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")
"""What makes an array on a device of one's choice."""


def made_whole(create: Callable[..., Array]) -> Callable[..., Array]:
    """Let what is made where a split array lies be whole on every device: its shape is another."""

    @functools.wraps(create)
    def made(*arguments: Any, device: Any = None, **how: Any) -> Array:
        if isinstance(device, jax.sharding.NamedSharding):
            device = jax.sharding.NamedSharding(device.mesh, jax.sharding.PartitionSpec())
        return create(*arguments, device=device, **how)

    return made


def in_blocks(function: Callable[..., Any], arrays: Sequence[Array], *, fused: bool, **how: int) -> Any:
    """Return what :func:`multigrad.extra.blocks.in_blocks` asks for; the whole at once where XLA fuses the steps."""
    return function(*arrays) if fused else join_blocks(numpy.concatenate, function, arrays, **how)


def hooks_on(device: str) -> Hooks:
    """Return what JAX has beyond the standard."""

    def scatter_along_axis(X: Array, order: Array, *, axis: int) -> Array:
        return numpy.put_along_axis(numpy.zeros_like(X), order, X, axis=axis, inplace=False)

    def scatter_add(X: Array, t: Array, v: int) -> Array:
        return numpy.zeros((v, *X.shape[1:]), dtype=X.dtype).at[t].add(X)

    return Hooks(
        scan=jax.lax.scan,
        in_blocks=in_blocks if device == "cpu" else None,
        eliminated=Eliminated,
        triangular=Triangular,
        scatter_along_axis=scatter_along_axis,
        # A GPU adds in an order of its own each time, and what is sorted first adds up as fast there.
        scatter_add=scatter_add if device == "cpu" else None,
        stop_gradient=jax.lax.stop_gradient,
    )

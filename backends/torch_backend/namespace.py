"""The array namespace of PyTorch, and what it has beyond the standard."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import array_api_compat.torch as torch_standard
import torch

from multigrad.backend import Array, namespace
from multigrad.data.standard import special_functions
from multigrad.extra.blocks import join_blocks, run_in_blocks
from multigrad.extra.hooks import Hooks
from multigrad.extra.recurrence import loop

NUMBER_FIRST = ("copysign", "equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
"""Functions in which torch takes a Python number in the second place only; the standard allows either."""

NUMBER_EITHER = ("atan2", "hypot", "logaddexp", "logical_and", "logical_or", "logical_xor", "nextafter")
"""Functions in which torch takes no Python number."""

CREATION = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")
"""Functions that make an array of nothing, and so would make it on the CPU."""


def array_namespace(kind: str, device: str | None = None) -> Any:
    """Return array-api-compat's namespace with Python numbers made fit to be compiled.

    array-api-compat asks torch.result_type for the dtype of a number, which torch.compile cannot trace
    (``torch.* op returned non-Tensor``), and copies it from the host, for which a GPU has to wait.

    Args:
        kind: of the device, which decides what is fast: ``cpu``, or another.
        device: where arrays are made; left out, a device of this kind.
    """

    def number(value: Any, other: Array) -> Array:
        return torch.full((), value, dtype=other.dtype, device=other.device)

    def with_numbers(function: Callable[..., Array], second: bool) -> Callable[..., Array]:
        def call(x1: Any, x2: Any, /) -> Array:
            if not isinstance(x1, torch.Tensor):
                x1 = number(x1, x2)
            elif second and not isinstance(x2, torch.Tensor):
                x2 = number(x2, x1)
            return function(x1, x2)

        return call

    def bounded(function: Callable[..., Array], bound: Callable[..., Array]) -> Callable[..., Array]:
        def call(x1: Any, x2: Any, /) -> Array:
            if not isinstance(x1, torch.Tensor):
                x1, x2 = x2, x1
            return function(x1, x2) if isinstance(x2, torch.Tensor) else bound(x1, x2)

        return call

    own = special_functions(torch.special)
    own |= {name: with_numbers(getattr(torch_standard, name), second=False) for name in NUMBER_FIRST}
    own |= {name: with_numbers(getattr(torch_standard, name), second=True) for name in NUMBER_EITHER}
    # Against a number these are what a torch user writes, and one kernel instead of two.
    own["maximum"] = bounded(torch_standard.maximum, torch.clamp_min)
    own["minimum"] = bounded(torch_standard.minimum, torch.clamp_max)
    # array-api-compat looks up the places of NaN and writes to them one by one; this is one more pass.
    own["sign"] = lambda x: torch.where(torch.isnan(x), x, torch.sign(x))
    own["vecdot"] = vecdot
    if kind != "cpu":
        own |= {name: functools.partial(getattr(torch_standard, name), device=device or kind) for name in CREATION}
    return namespace(torch_standard, hooks_on(kind), **own)


def hooks_on(kind: str) -> Hooks:
    """Return what torch has beyond the standard."""
    hooks = Hooks(
        eliminated=Eliminated,
        triangular=Triangular,
        scatter_along_axis=scatter_along_axis,
        scatter_diagonal=torch.diag_embed,
        stop_gradient=torch.Tensor.detach,
    )
    if kind != "cpu":
        return hooks
    # A GPU adds in an order of its own each time, and what is sorted first adds up as fast there.
    return replace(hooks, in_blocks=in_blocks, scatter_add=scatter_add)


def scatter_add(X: Array, t: Array, v: int) -> Array:
    """Return what :func:`multigrad.extra.scatter.scatter_add` asks for."""
    if not torch.compiler.is_compiling():
        sums: Array = X.new_zeros((v, *X.shape[1:])).index_add_(0, t, X)
        return sums
    # Inductor (torch 2.13) with two threads counts rows twice that lie transposed, and writes beyond the array.
    turned = X.new_zeros((*X.shape[1:], v)).index_add_(X.ndim - 1, t, torch.movedim(X, 0, -1))
    return torch.movedim(turned, -1, 0)


def scatter_along_axis(X: Array, order: Array, *, axis: int) -> Array:
    """Return what :func:`multigrad.extra.scatter.scatter_along_axis` asks for."""
    scattered: Array = torch.empty_like(X).scatter_(axis, order, X)
    return scattered


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Return the inner product of vectors along an axis, in the steps of array-api-compat.

    That one calls torch.moveaxis, for which torch.func.vmap has no rule (torch 2.13); it has one for torch.movedim.
    """
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot of vectors of length {x1.shape[axis]} and {x2.shape[axis]}")
    first, second = torch.broadcast_tensors(torch.movedim(x1, axis, -1), torch.movedim(x2, axis, -1))
    product: Array = torch_standard.matmul(first[..., None, :], second[..., None])[..., 0, 0]
    return product


def in_blocks(function: Callable[..., Any], arrays: Sequence[Array], *, fused: bool, **how: int) -> Any:
    """Return what :func:`multigrad.extra.blocks.in_blocks` asks for; the whole at once where the steps are followed.

    A compiler makes one pass of them by itself where it can fuse them, autograd would record every block, and what
    torch.func maps over a batch cannot be written into an array without one.
    """
    recorded = torch.is_grad_enabled() and any(a.requires_grad for a in arrays)
    if torch.compiler.is_compiling() or recorded or torch._C._are_functorch_transforms_active():
        return function(*arrays) if fused else join_blocks(torch_standard.concat, function, arrays, **how)
    threads = torch.get_num_threads()
    return run_in_blocks(lambda block, shape: block.new_empty(shape), function, arrays, threads=threads, **how)


UNROLLED = 32
"""So many steps of a recurrence torch.compile may see one by one. It takes six minutes for the 510 of a short lstm."""


def scan(
    of_graph: Callable[..., Any] | None,
    step: Callable[..., Any],
    carry: Any,
    xs: Any,
    *,
    reverse: bool = False,
) -> Any:
    """Return what :func:`multigrad.extra.recurrence.scan` asks for; compiled, a long one is a loop in the graph.

    Only where nobody follows the steps: the gradient that torch 2.13 takes of its own scan is wrong by percents where
    the step reads what it was not given.
    """
    count = (xs[0] if isinstance(xs, tuple) else xs).shape[0]
    followed = not torch.compiler.is_compiling() or torch.is_grad_enabled()
    if of_graph is None or followed or count <= UNROLLED:
        return loop(torch.stack, step, carry, xs, reverse=reverse)
    # Only to see whether it has an output: a compiler leaves out what nobody reads.
    silent = step(carry, tuple(x[0, ...] for x in xs) if isinstance(xs, tuple) else xs[0, ...])[1] is None

    def apart(arrays: Any) -> Any:
        # What a step of the graph returns may not be what it was given.
        return tuple(a.clone() for a in arrays) if isinstance(arrays, tuple) else arrays.clone()

    def combined(carry: Any, x: Any) -> Any:
        carry, y = step(carry, x)
        if silent:
            y = (carry[0] if isinstance(carry, tuple) else carry).new_zeros(())
        return apart(carry), y if silent else apart(y)

    # Its strides have to be those of the carries that the steps return.
    carry, ys = of_graph(combined, apart(carry), xs, reverse=reverse)
    return carry, None if silent else ys


class Eliminated:
    """The factors of :func:`multigrad.extra.elimination.eliminated`. A singular matrix does not raise."""

    def __init__(self, A: Array) -> None:
        self.LU, self.pivots, _ = torch.linalg.lu_factor_ex(A)

    def solve(self, B: Array, *, transposed: bool = False, regular: Any = None) -> Array:
        """Solve with A or its transpose."""
        return torch.linalg.lu_solve(self.LU, self.pivots, B, adjoint=transposed)

    def log_abs_det(self) -> Array:
        """Add up the logarithms of the pivots."""
        return torch.sum(torch.log(torch.abs(torch.linalg.diagonal(self.LU))), dim=-1)

    def det(self) -> Array:
        """Multiply the pivots."""
        return self._signed(torch.linalg.diagonal(self.LU))

    def adjugate(self) -> Array:
        """Solve for the identity, with pivots that are not zero."""
        LU = self.LU
        n = LU.shape[-1]
        pivots = torch.linalg.diagonal(LU)
        size = torch.mean(torch.abs(LU), dim=(-2, -1))
        least = torch.finfo(LU.dtype).eps * torch.where(size == 0, 1.0, size)
        moved = torch.where(pivots == 0, least[..., None], 0.0)
        scale = self._signed(pivots + moved)[..., None, None]
        identity = torch.eye(n, dtype=LU.dtype, device=LU.device)
        return torch.linalg.lu_solve(LU + torch.diag_embed(moved), self.pivots, scale * identity)

    def _signed(self, pivots: Array) -> Array:
        places = torch.arange(1, pivots.shape[-1] + 1, dtype=self.pivots.dtype, device=pivots.device)
        exchanges = torch.sum(self.pivots != places, dim=-1)
        return torch.prod(pivots, dim=-1) * (1 - 2 * (exchanges % 2))


class Triangular:
    """Lower triangles; see :func:`multigrad.extra.elimination.triangular`."""

    def __init__(self, L: Array) -> None:
        self.L = L

    def solve(self, B: Array, *, transposed: bool = False) -> Array:
        """Solve with L or its transpose."""
        return torch.linalg.solve_triangular(self.L.mT if transposed else self.L, B, upper=transposed)

    def inverse(self) -> Array:
        """Solve for the identity."""
        return self.solve(torch.eye(self.L.shape[-1], dtype=self.L.dtype, device=self.L.device))

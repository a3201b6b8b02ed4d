"""Functions of matrices that the standard lacks: exponentials, factors, distances of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .namespace import Namespace, is_known
from .products import eliminated_with_pivots, order_after, triangular_solve

Array = Any

SQUARINGS, TERMS = 8, 18
"""The exponential of A is that of A / 2⁸ eight times squared, and that one the first 18 terms of its series."""


def matrix_exponential(xp: Namespace, A: Array) -> Array:
    """Σ Aᵏ / k!: the series of A / 2ˢ, by Horner's rule, squared s times.

    Up to a norm of 64 the terms that are left out are below 10⁻²⁷ of the result.

    Args:
        xp: the namespace.
        A: (…, n, n).
    """
    identity = xp.eye(A.shape[-1], dtype=xp.floating, device=xp.device)
    scaled = A * 2.0**-SQUARINGS
    result = identity + scaled / TERMS
    for k in range(TERMS - 1, 0, -1):
        result = identity + xp.matmul(scaled, result) / k
    for _ in range(SQUARINGS):
        result = xp.matmul(result, result)
    return result


def solve_with_factor(xp: Namespace, L: Array, B: Array, *, upper: bool) -> Array:
    """Return X with LLᵀX = B, or with LᵀLX = B where L is an upper triangle.

    Args:
        xp: the namespace.
        L: (…, n, n).
        B: (…, n, m).
        upper: which triangle L is.
    """
    L, B = _beside(xp, xp.matrix_transpose(L) if upper else L, B)
    half = triangular_solve(xp, L, B, left=True, lower=True, transposed=False, unit_diagonal=False)
    return triangular_solve(xp, L, half, left=True, lower=True, transposed=True, unit_diagonal=False)


def _beside(xp: Namespace, A: Array, B: Array) -> tuple[Array, Array]:
    """Give two stacks of matrices the same leading axes."""
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return tuple(xp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (A, B))


def solve_triangle(xp: Namespace, A: Array, B: Array, *, left: bool, upper: bool, unit_diagonal: bool) -> Array:
    """Return X with AX = B, or with XA = B, of stacks of triangles and of right-hand sides."""
    A, B = _beside(xp, A, B)
    return triangular_solve(xp, A, B, left=left, lower=not upper, transposed=False, unit_diagonal=unit_diagonal)


def unpacked(xp: Namespace, LU: Array, order: Array) -> tuple[Array, Array, Array]:
    """Return P, L and U with PLU = A of a factorised matrix.

    Args:
        xp: the namespace.
        LU: (m, n), L below the diagonal and U from it on.
        order: which row of A each row of LU comes from.
    """
    m, n = LU.shape
    k = min(m, n)
    L = xp.tril(LU[:, :k], k=-1) + xp.eye(m, k, dtype=xp.floating, device=xp.device)
    places = np.arange(m)
    P = xp.real(xp.equal(xp.array(places[:, None]), xp.array(order)[None, :]))
    return P, L, xp.triu(LU[:k, :])


def solve_with_pivots(xp: Namespace, LU: Array, exchanges: Array, B: Array) -> Array:
    """Return X with AX = B of a factorised matrix (n, n), whose rows were exchanged one after the other."""
    order = order_after(xp, exchanges, LU.shape[-1])
    B = xp.take(B, xp.array(order) if is_known(order) else order, axis=0)
    half = triangular_solve(xp, LU, B, left=True, lower=True, transposed=False, unit_diagonal=True)
    return triangular_solve(xp, LU, half, left=True, lower=False, transposed=False, unit_diagonal=False)


def householder_product(xp: Namespace, V: Array, t: Array) -> Array:
    """Return the first columns of Π (I − tᵢvᵢvᵢᵀ); vᵢ is 1 on the diagonal and what stands below it.

    Args:
        xp: the namespace.
        V: (…, m, n).
        t: (…, k).
    """
    m, n = V.shape[-2:]
    V = xp.tril(V, k=-1) + xp.eye(m, n, dtype=xp.floating, device=xp.device)
    Q = xp.broadcast_to(xp.eye(m, n, dtype=xp.floating, device=xp.device), V.shape)
    for i in reversed(range(t.shape[-1])):
        v = V[..., :, i : i + 1]
        Q = Q - t[..., i : i + 1, None] * xp.matmul(v, xp.matmul(xp.matrix_transpose(v), Q))
    return Q


def distances(xp: Namespace, x: Array, y: Array, p: float) -> Array:
    """Return ‖xᵢ − yⱼ‖ₚ of all rows: (…, n, d) and (…, m, d) give (…, n, m)."""
    return xp.linalg.vector_norm(x[..., :, None, :] - y[..., None, :, :], axis=-1, ord=p)


def distances_of_pairs(xp: Namespace, x: Array, p: float) -> Array:
    """Return ‖xᵢ − xⱼ‖ₚ of rows (n, d) for all i < j, in order."""
    first, second = np.triu_indices(x.shape[0], k=1)
    return xp.linalg.vector_norm(
        xp.take(x, xp.array(first), axis=0) - xp.take(x, xp.array(second), axis=0), axis=-1, ord=p
    )


def factorised(xp: Namespace, A: Array) -> tuple[Array, Array, Array]:
    """Return L and U in one array, the row exchanged at each step, and the order of rows, of one matrix or a stack.

    Args:
        xp: the namespace.
        A: (…, m, n).
    """
    if A.ndim == 2:
        return eliminated_with_pivots(xp, A)
    batch, count = A.shape[:-2], math.prod(A.shape[:-2])
    flat = xp.reshape(A, (count, *A.shape[-2:]))
    parts = [eliminated_with_pivots(xp, flat[i, ...]) for i in range(count)]
    stacked = [xp.stack([xp.array(p) for p in column], axis=0) for column in zip(*parts, strict=True)]
    return tuple(xp.reshape(x, (*batch, *x.shape[1:])) for x in stacked)

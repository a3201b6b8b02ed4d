"""Matrices on CuPy: one after the other where they are large or few, and factors that are kept."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from multigrad.backend import Array
from multigrad.extra.elimination import Eliminated, Standard

LARGE = 2**16
"""Matrices of more numbers than this, for each in the batch, are large: CuPy's own rule in ``slogdet``."""


def are_large(count: int, n: int) -> bool:
    """Whether a batch of n × n matrices is so small that cuSOLVER for one is faster than cuBLAS for many small ones."""
    return 0 < count * LARGE < n * n


def one_by_one(count: int, n: int) -> bool:
    """Whether the matrices of a batch go one after the other: a single one, and large ones."""
    return count == 1 or are_large(count, n)


def joined(cupy: Any, results: Sequence[Array], batch: tuple[int, ...]) -> Array:
    """Return what was computed of each matrix as that of the batch; of a single matrix without a copy."""
    whole = results[0] if len(results) == 1 else cupy.stack(results)
    return whole.reshape((*batch, *results[0].shape))


def matrix_by_matrix(cupy: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of ``linalg`` that takes the matrices of a batch one after the other where it takes less time.

    A singular matrix, or one that is not definite, does not raise in CuPy: the result is not finite, or has no meaning.

    Args:
        cupy: the module.
        function: takes a matrix (…, m, n) and options, and returns an array or a named tuple of them.
    """

    @functools.wraps(function)
    def decomposed(A: Array, /, **options: Any) -> Any:
        batch = A.shape[:-2]
        if not batch or not one_by_one(prod(batch), max(A.shape[-2:])):
            return function(A, **options)
        matrices = A.reshape((-1, *A.shape[-2:]))
        found = [function(matrices[i], **options) for i in range(matrices.shape[0])]
        if not isinstance(found[0], tuple):
            return joined(cupy, found, batch)
        return type(found[0])(*(joined(cupy, parts, batch) for parts in zip(*found, strict=True)))

    return decomposed


def solved(cupy: Any, A: Array, B: Array, /) -> Array:
    """Return the solution of AX = B.

    Args:
        cupy: the module.
        A: the matrices, (…, n, n).
        B: the right-hand sides, (n) or (…, n, m); the other dimensions are broadcast, which CuPy's own does not do.
    """
    if B.ndim == 1:
        return solved(cupy, A, B[:, None])[..., 0]
    batch = cupy.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    A, B = (cupy.broadcast_to(M, (*batch, *M.shape[-2:])) for M in (A, B))
    if not B.size:
        return cupy.zeros(B.shape, dtype=B.dtype)
    if not batch or not one_by_one(prod(batch), A.shape[-1]):
        return cupy.linalg.solve(A, B)
    pairs = zip(*(M.reshape((-1, *M.shape[-2:])) for M in (A, B)), strict=True)
    return joined(cupy, [cupy.linalg.solve(M, N) for M, N in pairs], batch)


def inverted_by_svd(cupy: Any, svd: Callable[..., Any], A: Array, /, *, rtol: Array | float | None = None) -> Array:
    """Return the pseudo-inverse V Σ⁺ Uᵀ; CuPy's own waits for the device.

    Args:
        cupy: the module.
        svd: the namespace's.
        A: the matrices, (…, m, n).
        rtol: singular values up to this part of the largest count as zero; a number or (…).
    """
    U, s, Vh = svd(A, full_matrices=False)
    if rtol is None:
        rtol = max(A.shape[-2:]) * float(cupy.finfo(A.dtype).eps)
    if not s.size:
        return cupy.zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]), dtype=A.dtype)
    counts = s > (rtol * cupy.max(s, axis=-1))[..., None]
    inverse = cupy.where(counts, 1 / cupy.where(counts, s, 1), 0)
    return cupy.swapaxes(Vh, -1, -2) @ (inverse[..., None] * cupy.swapaxes(U, -1, -2))


def eliminated(cupy: Any, linalg: Any, xp: Any, A: Array) -> Eliminated:
    """Return what :func:`multigrad.extra.elimination.eliminated` asks for.

    Of large matrices the factors are kept. Small ones are eliminated anew each time, all at once, without a wait:
    ``lu_factor`` asks the device twice whether a pivot was zero, and ``lu_solve`` once.

    Args:
        cupy: the module.
        linalg: ``cupyx.scipy.linalg``.
        xp: the namespace.
        A: the matrices, (…, n, n).
    """
    return Factors(cupy, linalg, A) if are_large(prod(A.shape[:-2]), A.shape[-1]) else Standard(xp, A)


class Factors:
    """The factors of large matrices. A singular one does not raise."""

    def __init__(self, cupy: Any, linalg: Any, A: Array) -> None:
        self.cupy, self.linalg, self.batch = cupy, linalg, A.shape[:-2]
        matrices = self._apart(A)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a pivot that is zero
            self.factors = [linalg.lu_factor(M, check_finite=False) for M in matrices]

    def solve(self, B: Array, *, transposed: bool = False, regular: Any = None) -> Array:
        """Solve with A or its transpose."""
        return self._solved([LU for LU, _ in self.factors], self._apart(B), transposed)

    def log_abs_det(self) -> Array:
        """Add up the logarithms of the pivots."""
        cupy = self.cupy
        return cupy.sum(cupy.log(cupy.abs(self._pivots())), axis=-1)

    def det(self) -> Array:
        """Multiply the pivots."""
        return self._signed(self._pivots())

    def adjugate(self) -> Array:
        """Solve for the identity, with pivots that are not zero."""
        cupy, pivots = self.cupy, self._pivots()
        n = pivots.shape[-1]
        sizes = joined(cupy, [cupy.mean(cupy.abs(LU)) for LU, _ in self.factors], self.batch)
        least = float(cupy.finfo(pivots.dtype).eps) * cupy.where(sizes == 0, 1, sizes)
        moved = cupy.where(pivots == 0, least[..., None], 0)
        identity = cupy.eye(n, dtype=pivots.dtype)
        right = self._apart(self._signed(pivots + moved)[..., None, None] * identity)
        shifts = moved.reshape((-1, n))
        return self._solved([LU + shifts[i] * identity for i, (LU, _) in enumerate(self.factors)], right, False)

    def _apart(self, A: Array) -> list[Array]:
        matrices = A.reshape((-1, *A.shape[-2:]))
        return [matrices[i] for i in range(matrices.shape[0])]

    def _solved(self, triangles: Sequence[Array], right: Sequence[Array], transposed: bool) -> Array:
        solve = functools.partial(self.linalg.lu_solve, trans=int(transposed), check_finite=False)
        exchanges = [p for _, p in self.factors]
        found = [solve((LU, p), B) for LU, p, B in zip(triangles, exchanges, right, strict=True)]
        return joined(self.cupy, found, self.batch)

    def _pivots(self) -> Array:
        return joined(self.cupy, [self.cupy.diagonal(LU) for LU, _ in self.factors], self.batch)

    def _signed(self, pivots: Array) -> Array:
        cupy = self.cupy
        rows = cupy.arange(pivots.shape[-1])
        exchanges = joined(cupy, [cupy.sum(p != rows) for _, p in self.factors], self.batch)
        return cupy.prod(pivots, axis=-1) * (1 - 2 * (exchanges % 2))


class Triangular:
    """Lower triangles; see :func:`multigrad.extra.elimination.triangular`."""

    def __init__(self, cupy: Any, linalg: Any, L: Array) -> None:
        self.cupy, self.linalg, self.L = cupy, linalg, L

    def solve(self, B: Array, *, transposed: bool = False) -> Array:
        """Solve with L or its transpose, matrix by matrix where these are few and large."""
        L = self.L
        if not B.size:
            return self.cupy.zeros(B.shape, dtype=B.dtype)
        solve = functools.partial(self.linalg.solve_triangular, trans=int(transposed), lower=True)
        if not one_by_one(L.shape[0], L.shape[-1]):
            return solve(L, B)
        return joined(self.cupy, [solve(L[i], B[i]) for i in range(L.shape[0])], L.shape[:1])

    def inverse(self) -> Array:
        """Solve for the identity."""
        identity = self.cupy.eye(self.L.shape[-1], dtype=self.L.dtype)
        return self.solve(self.cupy.broadcast_to(identity, self.L.shape))

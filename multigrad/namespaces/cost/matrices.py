"""Linear algebra by shapes: the textbook's operation counts of factorisations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..shared.factorisations import QR, SVD, Eigh, SLogDet
from . import creation, products, reductions
from .arrays import computed, dtype_of, kept, view
from .counters import current

FACTORISATIONS: Mapping[str, Callable[[int, int], float]] = {
    # m rows, n columns, m ≥ n. Golub & Van Loan, Matrix Computations, 4th ed. 2013, the section named.
    "elimination": lambda m, n: 2 / 3 * n**3,  # 3.2
    "inverse": lambda m, n: 2 * n**3,  # 3.4
    "cholesky": lambda m, n: n**3 / 3,  # 4.2
    "qr": lambda m, n: 4 * n**2 * (m - n / 3),  # 5.2: half for R, half to form the thin Q
    "eigenvalues": lambda m, n: 4 / 3 * n**3,  # 8.3
    "eigenvectors": lambda m, n: 9 * n**3,  # 8.3
    "singular values": lambda m, n: 4 * m * n**2 - 4 / 3 * n**3,  # 8.6
    "singular vectors": lambda m, n: 14 * m * n**2 + 8 * n**3,  # 8.6
}
"""Floating-point operations of one factorisation, to leading order."""


def _factorised(x: Any, kind: str, *shapes: Sequence[int], extra: float = 0.0) -> list[Any]:
    """Count a factorisation of every matrix in a stack; return one array for each shape after the stack's."""
    batch, m, n = x.shape[:-2], max(x.shape[-2:]), min(x.shape[-2:])
    flops = math.prod(batch) * (FACTORISATIONS[kind](m, n) + extra)
    first = computed((*batch, *shapes[0]), x.dtype, (x,), flops)
    return [first, *(computed((*batch, *s), x.dtype, (), 0.0) for s in shapes[1:])]


def solve(a: Any, b: Any, /) -> Any:
    """⅔n³ for the factors and 2n² for each right-hand side."""
    n, vector = a.shape[-1], len(b.shape) == 1
    columns = 1 if vector else b.shape[-1]
    batch = a.shape[:-2] if vector else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    flops = math.prod(a.shape[:-2]) * FACTORISATIONS["elimination"](n, n) + 2 * n**2 * columns * math.prod(batch)
    return computed((*batch, n) if vector else (*batch, n, columns), dtype_of(a, b), (a, b), flops)


def inv(x: Any, /) -> Any:
    """2n³."""
    return _factorised(x, "inverse", x.shape[-2:])[0]


def det(x: Any, /) -> Any:
    """⅔n³ for the factors, n for the product."""
    return _factorised(x, "elimination", (), extra=x.shape[-1])[0]


def slogdet(x: Any, /) -> SLogDet:
    """⅔n³ for the factors, n logarithms and n additions."""
    current().transcendentals += x.size // max(x.shape[-1], 1)
    return SLogDet(*_factorised(x, "elimination", (), (), extra=2 * x.shape[-1]))


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """n³/3."""
    return _factorised(x, "cholesky", x.shape[-2:])[0]


def qr(x: Any, /, *, mode: str = "reduced") -> QR:
    """4n²(m − n/3), the thin Q formed."""
    (m, n), k = x.shape[-2:], min(x.shape[-2:])
    return QR(*_factorised(x, "qr", (m, m if mode == "complete" else k), (m if mode == "complete" else k, n)))


def eigh(x: Any, /) -> Eigh:
    """9n³."""
    return Eigh(*_factorised(x, "eigenvectors", x.shape[-1:], x.shape[-2:]))


def eigvalsh(x: Any, /) -> Any:
    """4/3 n³."""
    return _factorised(x, "eigenvalues", x.shape[-1:])[0]


def svd(x: Any, /, *, full_matrices: bool = True) -> SVD:
    """14mn² + 8n³."""
    (m, n), k = x.shape[-2:], min(x.shape[-2:])
    left, right = ((m, m), (n, n)) if full_matrices else ((m, k), (k, n))
    return SVD(*_factorised(x, "singular vectors", left, (k,), right))


def svdvals(x: Any, /) -> Any:
    """4mn² − 4/3 n³."""
    return _factorised(x, "singular values", (min(x.shape[-2:]),))[0]


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """The singular vectors, and one product of them."""
    m, n = x.shape[-2:]
    return _factorised(x, "singular vectors", (n, m), extra=2 * m * n * min(m, n))[0]


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """2 operations for each element, and a root."""
    shape = kept(x.shape, axis, keepdims)
    root = 0 if ord in (0, 1, math.inf, -math.inf) else 1
    current().transcendentals += root * math.prod(shape) + (x.size if root and ord != 2 else 0)
    return computed(shape, x.dtype, (x,), 2 * x.size + root * math.prod(shape))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """By its definition."""
    if ord not in (2, -2, "nuc"):
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims, ord=2 if ord == "fro" else 1)
    norm = reductions.sum(svdvals(x), axis=-1)
    return norm[..., None, None] if keepdims else norm


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """A view."""
    m, n = x.shape[-2:]
    return view(x, (*x.shape[:-2], max(min(m + min(offset, 0), n - max(offset, 0)), 0)))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal."""
    return reductions.sum(diagonal(x, offset=offset), axis=-1)


def outer(a: Any, b: Any, /) -> Any:
    """One multiplication for each element."""
    return a[:, None] * b[None, :]


def cross(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    """9 operations for each vector."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    return computed(shape, dtype_of(a, b), (a, b), 3.0 * math.prod(shape))


def matrix_power(x: Any, n: int, /) -> Any:
    """Repeated squaring."""
    if n < 0:
        return matrix_power(inv(x), -n)
    if n == 0:
        return creation.eye(x.shape[-1], dtype=x.dtype)
    for _ in range(n.bit_length() + n.bit_count() - 2):
        x = products.matmul(x, x)
    return x

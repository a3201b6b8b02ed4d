"""The standard's linear algebra written in terms of its other functions, once, for every namespace of ours.

Each function takes the namespace first. The algorithms are the textbook's: Gauss-Jordan elimination with a pivot,
Cholesky's outer products, Gram-Schmidt, Faddeev-LeVerrier. `exact` and `dual` run the very same lines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .factorisations import QR, SVD, SLogDet
from .textbook import Axis, tensordot, vecdot

Array = Any


def outer(xp: Any, x1: Array, x2: Array, /) -> Array:
    """x₁x₂ᵀ of two vectors."""
    return x1[:, None] * x2[None, :]


def diagonal(xp: Any, x: Array, /, *, offset: int = 0) -> Array:
    """The entries x[…, i, i + offset]."""
    rows, columns = x.shape[-2:]
    i = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0)))) + max(0, -offset)
    return x[..., i, i + offset]


def trace(xp: Any, x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of a diagonal."""
    return xp.sum(xp.linalg.diagonal(x, offset=offset), axis=-1)


def cross(xp: Any, x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of length 3."""
    a, b = xp.moveaxis(x1, axis, 0), xp.moveaxis(x2, axis, 0)
    parts = [a[(i + 1) % 3, ...] * b[(i + 2) % 3, ...] - a[(i + 2) % 3, ...] * b[(i + 1) % 3, ...] for i in range(3)]
    return xp.moveaxis(xp.stack(parts, axis=0), 0, axis)


def matrix_power(xp: Any, x: Array, n: int, /) -> Array:
    """Xⁿ by repeated squaring; X⁻¹ first where n is negative."""
    if n < 0:
        return matrix_power(xp, xp.linalg.inv(x), -n)
    result = xp.zeros_like(x) + xp.eye(x.shape[-1], dtype=x.dtype)
    while n:
        if n % 2:
            result = xp.matmul(result, x)
        n //= 2
        x = xp.matmul(x, x) if n else x
    return result


def batched(xp: Any, function: Callable[..., Any], *arrays: Array) -> Any:
    """Apply a function of matrices to every item of the leading dimensions, and stack what it returns."""
    batch = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    if not batch:
        return function(*arrays)
    arrays = tuple(xp.broadcast_to(a, batch + a.shape[-2:]) for a in arrays)
    results = [function(*(a[index] for a in arrays)) for index in itertools.product(*map(range, batch))]
    if isinstance(results[0], tuple):
        return tuple(_stacked(xp, [r[i] for r in results], batch) for i in range(len(results[0])))
    return _stacked(xp, results, batch)


def _stacked(xp: Any, items: list[Array], batch: tuple[int, ...]) -> Array:
    return xp.reshape(xp.stack(items, axis=0), batch + items[0].shape)


def _divisor(xp: Any, pivot: Array, what: str) -> Array:
    if not bool(xp.is_certainly_nonzero(pivot)):
        raise xp.Undecided(f"{what} may be zero")
    return pivot


def solve(xp: Any, A: Array, B: Array, /) -> Array:
    """X with AX = B, by Gauss-Jordan elimination with the largest pivot of each column.

    Raises:
        Undecided: every candidate for a pivot may be zero.
    """
    if B.ndim == 1:
        return batched(xp, lambda M, v: _eliminated(xp, M, v[0, :][:, None])[:, 0], A, B[None, :])
    return batched(xp, lambda M, N: _eliminated(xp, M, N), A, B)


def _eliminated(xp: Any, A: Array, B: Array) -> Array:
    n = A.shape[0]
    M = xp.concat([A, B], axis=1)
    for k in range(n):
        order = np.arange(n)
        p = k + int(np.argmax(np.abs(xp.midpoints(M[k:, k]))))
        order[[k, p]] = order[[p, k]]
        M = xp.take(M, order, axis=0)
        row = M[k, :] / _divisor(xp, M[k, k], f"pivot {k} of a {n}×{n} system")
        column = xp.where(np.arange(n) == k, 0, M[:, k])
        rest = M - column[:, None] * row[None, :]
        M = xp.where((np.arange(n) == k)[:, None], row[None, :], rest)
    return M[:, n:]


def inv(xp: Any, A: Array, /) -> Array:
    """A⁻¹, the solution of AX = I."""
    return solve(xp, A, xp.eye(A.shape[-1]))


def det(xp: Any, A: Array, /) -> Array:
    """The determinant by Faddeev and LeVerrier, which divides by 1, 2, …, n alone: singular matrices are no exception.

    M₁ = I;  c_k = −tr(AM_k)/k;  M_{k+1} = AM_k + c_k I;  det A = (−1)ⁿ c_n.
    """

    def of_one(M: Array) -> Array:
        n = M.shape[0]
        if n == 0:
            return xp.ones(())
        identity = xp.eye(n)
        AM = M
        for k in range(1, n):
            AM = xp.matmul(M, AM - trace(xp, AM) / k * identity)
        return trace(xp, AM) / n * (-1) ** (n + 1)

    return batched(xp, of_one, A)


def slogdet(xp: Any, A: Array, /) -> SLogDet:
    """The determinant's sign and the logarithm of its size."""
    d = xp.linalg.det(A)
    return SLogDet(xp.sign(d), xp.log(xp.abs(d)))


def cholesky(xp: Any, A: Array, /, *, upper: bool = False) -> Array:
    """L with LLᵀ = A, column by column, from A's lower triangle.

    Raises:
        Undecided: a pivot is not certainly positive.
    """

    def of_one(S: Array) -> Array:
        n = S.shape[0]
        columns = []
        for k in range(n):
            if not bool(xp.is_certainly_positive(S[0, 0])):
                raise xp.Undecided(f"pivot {k} of a {n}×{n} Cholesky factorisation is not certainly positive")
            d = xp.sqrt(S[0, 0])
            below = S[1:, 0] / d
            columns.append(xp.concat([xp.zeros((k,)), d[None], below]))
            S = S[1:, 1:] - below[:, None] * below[None, :]
        return xp.stack(columns, axis=1)

    L = batched(xp, of_one, A)
    return xp.matrix_transpose(L) if upper else L


def qr(xp: Any, A: Array, /, *, mode: str = "reduced") -> QR:
    """Q and R with QR = A, by Gram-Schmidt; R's diagonal is positive (a library's may not be).

    Raises:
        NotImplementedError: the mode is not "reduced", or A has more columns than rows.
        Undecided: the columns may be dependent.
    """
    if mode != "reduced" or A.shape[-2] < A.shape[-1]:
        raise NotImplementedError(f"qr here is the reduced one of a tall matrix; found mode {mode!r}, shape {A.shape}")

    def of_one(M: Array) -> tuple[Array, Array]:
        m, n = M.shape
        Q = xp.zeros((m, 0))
        columns = []
        for k in range(n):
            r = xp.matmul(xp.matrix_transpose(Q), M[:, k])
            v = M[:, k] - xp.matmul(Q, r)
            norm = xp.sqrt(xp.sum(xp.square(v)))
            q = v / _divisor(xp, norm, f"the norm of column {k}")
            Q = xp.concat([Q, q[:, None]], axis=1)
            columns.append(xp.concat([r, norm[None], xp.zeros((n - k - 1,))]))
        return Q, xp.stack(columns, axis=1)

    return QR(*batched(xp, of_one, A))


def eigvalsh(xp: Any, A: Array, /) -> Array:
    """The eigenvalues of a symmetric matrix, ascending."""
    return xp.linalg.eigh(A)[0]


def svd(xp: Any, A: Array, /, *, full_matrices: bool = True) -> SVD:
    """U, s and Vᵀ of a matrix of full rank with distinct singular values, from the eigenvectors of its Gram matrix.

    Raises:
        NotImplementedError: the full matrices of a matrix that is not square are asked for.
        Undecided: a singular value may be zero or repeated.
    """
    m, n = A.shape[-2:]
    if full_matrices and m != n:
        raise NotImplementedError(f"svd here has full_matrices=False only where A is not square; found {A.shape}")
    if m < n:
        V, s, Ut = svd(xp, xp.matrix_transpose(A), full_matrices=False)
        return SVD(xp.matrix_transpose(Ut), s, xp.matrix_transpose(V))
    squares, V = xp.linalg.eigh(xp.matmul(xp.matrix_transpose(A), A))
    s, V = xp.sqrt(xp.flip(squares, axis=-1)), xp.flip(V, axis=-1)
    return SVD(xp.matmul(A, V) / s[..., None, :], s, xp.matrix_transpose(V))


def svdvals(xp: Any, A: Array, /) -> Array:
    """The singular values, descending: square roots of the eigenvalues of the smaller Gram matrix."""
    tall = A if A.shape[-2] >= A.shape[-1] else xp.matrix_transpose(A)
    return xp.sqrt(xp.flip(xp.linalg.eigvalsh(xp.matmul(xp.matrix_transpose(tall), tall)), axis=-1))


def pinv(xp: Any, A: Array, /, *, rtol: Any = None) -> Array:
    """(AᵀA)⁻¹Aᵀ, or Aᵀ(AAᵀ)⁻¹ of a wide matrix: the pseudo-inverse where the rank is full.

    Raises:
        Undecided: the rank may not be full.
    """
    T = xp.matrix_transpose
    if A.shape[-2] >= A.shape[-1]:
        return xp.linalg.solve(xp.matmul(T(A), A), T(A))
    return T(xp.linalg.solve(xp.matmul(A, T(A)), A))


def vector_norm(xp: Any, x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """(Σ|x|^ord)^(1/ord), and its limits at ±∞ and 0."""
    if ord == 2:
        return xp.sqrt(xp.sum(xp.square(x), axis=axis, keepdims=keepdims))
    if math.isinf(ord):
        return (xp.max if ord > 0 else xp.min)(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.sum(xp.where(x != 0, xp.ones_like(x), xp.zeros_like(x)), axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(xp.abs(x), axis=axis, keepdims=keepdims)
    total = xp.sum(xp.abs(x) ** ord, axis=axis, keepdims=keepdims)
    return total ** (xp.ones_like(total) / ord)


def matrix_norm(xp: Any, x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """Frobenius, nuclear, spectral (2, −2), largest or smallest column sum (1, −1) or row sum (∞, −∞)."""
    if ord == "fro":
        result = xp.sqrt(xp.sum(xp.square(x), axis=(-2, -1)))
    elif ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        result = (xp.max if ord > 0 else xp.min)(sums, axis=-1)
    elif ord in (2, -2, "nuc"):
        s = xp.linalg.svdvals(x)
        result = xp.sum(s, axis=-1) if ord == "nuc" else s[..., 0] if ord == 2 else s[..., -1]
    else:
        raise NotImplementedError(f"matrix_norm knows fro, nuc, ±1, ±2, ±inf; found {ord!r}")
    return result[..., None, None] if keepdims else result


_LINALG = (
    *(vecdot, tensordot, outer, diagonal, trace, cross, matrix_power, solve, inv, det, slogdet, cholesky, qr),
    *(eigvalsh, svd, svdvals, pinv, vector_norm, matrix_norm),
)

LINALG: dict[str, Callable[..., Any]] = {
    **{function.__name__: function for function in _LINALG},
    "matmul": lambda xp, x1, x2, /: xp.matmul(x1, x2),
    "matrix_transpose": lambda xp, x, /: xp.matrix_transpose(x),
}
"""What goes into a namespace's ``linalg``."""

"""Cholesky, QR, triangular systems, pseudo-inverses and least squares."""

from __future__ import annotations

from typing import Any

from ..extra.elimination import identity, row_spans, triangular
from ..ops.operation import operation
from .drawn_matrices import PRECISE, positive_definite, regular


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "blocked": {"b": 1, "n": 5, "block": 2},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 256},
        "large": {"b": 1, "n": 1200},
    },
    inputs=lambda draw, b, n, block=0: [positive_definite(draw, b, n)],
    dtypes=PRECISE,
)
def cholesky(xp: Any, A: Any, *, block: int = 64) -> Any:
    """The Cholesky factor of a symmetric positive definite matrix.

    LLᵀ = ½(A + Aᵀ).  With Φ(M) the lower triangle of M with half its diagonal, and P = Φ(LᵀL̄):

        Ā = ½ L⁻ᵀ (P + Pᵀ) L⁻¹

    which is symmetric. It is found from the last columns to the first, an eighth of them at a time and at least
    ``block``. With D the diagonal block of L in these columns, C what stands below it, and S the part of 2Ā that is
    known, which is that of the rows and columns after them:

        C̄ = (L̄ below D − SC) D⁻¹
        D̄ = D⁻ᵀ (P + Pᵀ) D⁻¹,   P = Φ(Dᵀ(L̄ at D − C̄ᵀC))
        S ← [[D̄, C̄ᵀ], [C̄, S]]

    These are two thirds of n³ operations, where the formula in one piece has six times as many. Of L̄ the lower triangle
    counts. A matrix that is not positive definite has no factor: NumPy and PyTorch raise, JAX returns NaN, CuPy
    numbers without a meaning.

    Source: Murray, Differentiation of the Cholesky decomposition (2016), eq. 9, and section 4 for taking it by blocks.
    Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    L = xp.linalg.cholesky(0.5 * (A + T(A)))

    def pullback(L_bar: Any) -> Any:
        n = L.shape[-1]
        *spans, (first, _) = row_spans(n, block)
        D = L[:, first:, first:]
        S = _own_block(xp, D, triangular(xp, D).inverse(), L_bar[:, first:, first:])
        for i, j in reversed(spans):
            own, after = slice(i, j), slice(j, n)
            D, C = L[:, own, own], L[:, after, own]
            K = triangular(xp, D).inverse()
            C_bar = (L_bar[:, after, own] - S @ C) @ K
            D_bar = _own_block(xp, D, K, L_bar[:, own, own] - T(C_bar) @ C)
            rows = xp.concat([D_bar, T(C_bar)], axis=2), xp.concat([C_bar, S], axis=2)
            S = xp.concat(rows, axis=1)
        return 0.5 * S

    return L, pullback


def _own_block(xp: Any, D: Any, K: Any, D_bar: Any) -> Any:
    """Return D⁻ᵀ(P + Pᵀ)D⁻¹ with P = Φ(DᵀD̄), given K = D⁻¹."""
    T = xp.matrix_transpose
    M = T(D) @ D_bar
    return T(K) @ ((xp.tril(M) + T(xp.tril(M, k=-1))) @ K)


@operation(
    "(b,n,n),(b,n,m)->(b,n,m)",
    sizes={
        "tiny": {"b": 2, "n": 3, "m": 2},
        "blocked": {"b": 1, "n": 5, "m": 2, "block": 2},
        "small": {"b": 200, "n": 8, "m": 2},
        "medium": {"b": 1, "n": 256, "m": 64},
        "large": {"b": 1, "n": 1000, "m": 500},
    },
    inputs=lambda draw, b, n, m, block=0: [regular(draw, b, n, n), draw(b, n, m)],
    dtypes=PRECISE,
)
def triangular_solve(xp: Any, L: Any, B: Any, *, block: int = 64) -> Any:
    """A system of linear equations with a lower triangle.

    X = tril(L)⁻¹B:

        B̄ = tril(L)⁻ᵀX̄
        L̄ = −tril(B̄Xᵀ)

    What stands above the diagonal of L is not read. ``block`` is the least number of rows that are taken at a time. A
    zero on the diagonal has no answer: NumPy raises, PyTorch, JAX and CuPy return what is not finite.

    Memory: L̄ is put together of rows, which are there beside it; JAX's autodiff needs 0.75 of it.

    Source: Giles, An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation (2008), section 2.3, restricted to a triangle. Rational: there is no kink.
    """
    n = L.shape[-1]
    system = triangular(xp, L, block=block)
    X = system.solve(B)

    def pullback(X_bar: Any) -> Any:
        B_bar = system.solve(X_bar, transposed=True)
        rows = []
        for i, j in row_spans(n, block):
            row = xp.tril(-B_bar[:, i:j, :] @ xp.matrix_transpose(X[:, :j, :]), k=i)
            rows.append(xp.concat([row, xp.zeros_like(L[:, i:j, j:])], axis=2))
        return xp.concat(rows, axis=1), B_bar

    return X, pullback


@operation(
    "(b,m,n)->(b,m,n),(b,n,n)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 2},
        "square": {"b": 1, "m": 3, "n": 3},
        "small": {"b": 200, "m": 16, "n": 4},
        "medium": {"b": 1, "m": 512, "n": 64},
        "large": {"b": 1, "m": 2000, "n": 250},
    },
    inputs=lambda draw, b, m, n: [regular(draw, b, m, n)],
    dtypes=PRECISE,
)
def qr(xp: Any, A: Any) -> Any:
    """The QR factorisation of a matrix of full column rank, with a positive diagonal of R.

    A = QR, QᵀQ = I, R an upper triangle, m ≥ n.  With M = RR̄ᵀ − Q̄ᵀQ, and sym(M) the symmetric matrix that has the
    lower triangle of M:

        Ā = (Q̄ + Q sym(M)) R⁻ᵀ

    The sign of every row of R is chosen so that its diagonal is positive: without that Q and R are only known but for
    signs. Of R̄ the upper triangle counts. Columns that depend on each other have no derivative: R⁻¹ is as large as
    rounding leaves it, and where a pivot is exactly zero NumPy raises, and PyTorch, JAX and CuPy return what is not
    finite.

    Memory: R⁻¹ is formed beside the factors; JAX's autodiff needs 0.9 of it.

    Source: Walter, Lehmann & Lamour, On evaluating higher-order derivatives of the QR decomposition of tall matrices
    with full column rank in forward and reverse mode algorithmic differentiation (2012). Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    Q, R = xp.linalg.qr(A)
    signs = 1 - 2 * xp.astype(xp.linalg.diagonal(R) < 0, A.dtype)
    Q, R = Q * signs[:, None, :], signs[:, :, None] * R

    def pullback(Q_bar: Any, R_bar: Any) -> Any:
        M = R @ T(R_bar) - T(Q_bar) @ Q
        return (Q_bar + Q @ (xp.tril(M) + T(xp.tril(M, k=-1)))) @ triangular(xp, T(R)).inverse()

    return (Q, R), pullback


@operation(
    "(b,m,n)->(b,n,m)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 2},
        "wide": {"b": 1, "m": 2, "n": 3},
        "small": {"b": 100, "m": 16, "n": 4},
        "medium": {"b": 1, "m": 256, "n": 64},
        "large": {"b": 1, "m": 1000, "n": 200},
    },
    inputs=lambda draw, b, m, n: [regular(draw, b, m, n)],
    dtypes=PRECISE,
)
def pseudo_inverse(xp: Any, A: Any) -> Any:
    """The pseudo-inverse of Moore and Penrose.

    P = A⁺.  With H = PP̄ᵀ (for m ≥ n; a wide A is transposed first, and its gradient after):

        Ā = (P̄ᵀ − AH)PPᵀ + Pᵀ(H(I − PA) − Hᵀ)

    The rank is that of :func:`pinv` in the namespace, and Ā is the derivative along matrices of that same rank; where
    the rank is not full A⁺ jumps in all other directions, and there is no other derivative.

    Source: Golub & Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate (1973), eq. 4.12. Smooth at constant rank: there is no kink.
    """
    T = xp.matrix_transpose
    P = xp.linalg.pinv(A)

    def pullback(P_bar: Any) -> Any:
        tall = A.shape[-2] >= A.shape[-1]
        X, Y, Y_bar = (A, P, P_bar) if tall else (T(A), T(P), T(P_bar))
        H = Y @ T(Y_bar)
        YX = Y @ X
        X_bar = (T(Y_bar) - X @ H) @ (Y @ T(Y)) + T(Y) @ (H @ (identity(xp, YX) - YX) - T(H))
        return X_bar if tall else T(X_bar)

    return P, pullback


@operation(
    "(b,m,n),(b,m,k)->(b,n,k)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 2, "k": 2},
        "line": {"b": 1, "m": 5, "n": 2, "k": 1},
        "small": {"b": 200, "m": 16, "n": 4, "k": 1},
        "medium": {"b": 1, "m": 1000, "n": 50, "k": 1},
        "large": {"b": 1, "m": 4000, "n": 200, "k": 10},
    },
    inputs=lambda draw, b, m, n, k: [regular(draw, b, m, n), draw(b, m, k)],
    dtypes=PRECISE,
)
def least_squares(xp: Any, A: Any, B: Any) -> Any:
    """The solution of a linear least squares problem of full column rank.

    X = argmin ‖AX − B‖_F = A⁺B, m ≥ n.  With A = QR, V = R⁻ᵀX̄ and the residual E = B − AX:

        B̄ = (A⁺)ᵀX̄ = QV
        Ā = E (R⁻¹V)ᵀ − B̄Xᵀ

    Columns of A that depend on each other leave R⁻¹ as large as rounding makes it; where a pivot is exactly zero NumPy
    raises, and PyTorch, JAX and CuPy return what is not finite.

    Memory: the two terms of Ā are brought side by side for one product; JAX's autodiff needs 0.8 of it.

    Source: Golub & Pereyra (1973), eq. 4.12 applied to B; Golub & Van Loan, Matrix Computations (2013), section 5.3 for
    the factorisation. Rational: there is no kink.
    """
    T = xp.matrix_transpose
    Q, R = xp.linalg.qr(A)
    K = triangular(xp, T(R)).inverse()
    X = T(K) @ (T(Q) @ B)

    def pullback(X_bar: Any) -> Any:
        V = K @ X_bar
        B_bar = Q @ V
        # One product for both terms: Ā is written once.
        return xp.concat([B - A @ X, B_bar], axis=2) @ T(xp.concat([T(K) @ V, -X], axis=2)), B_bar

    return X, pullback

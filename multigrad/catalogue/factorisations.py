"""Cholesky, QR, triangular systems, pseudo-inverses and least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multigrad.catalogue.drawn_matrices import PRECISE, positive_definite, regular
from multigrad.elimination import identity
from multigrad.operation import operation

Span = tuple[int, int]
"""First row, and the one after the last."""


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

    which is symmetric. So many columns are taken at a time as ``block`` says, from the last to the first: with D the
    factor of their diagonal block, R the rows of L left of it, C the columns below it and B what is left of C,

        C̄ ← C̄D⁻¹;  B̄ ← B̄ − C̄R;  D̄ ← D̄ − C̄ᵀC;  D̄ ← ½ D⁻ᵀ(P + Pᵀ)D⁻¹;  R̄ ← R̄ − C̄ᵀB − 2D̄R

    after which C̄ is twice the part of Ā below the block, and D̄ the block of Ā: two thirds of n³ operations where the
    formula in one piece has six times as many. Of L̄ the lower triangle counts. A matrix that is not positive definite
    has no factor: NumPy and PyTorch raise, JAX returns NaN.

    Source: Murray, Differentiation of the Cholesky decomposition (2016), eq. 9 and section 4. Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    L = xp.linalg.cholesky(0.5 * (A + T(A)))

    def pullback(L_bar: Any) -> Any:
        n = L.shape[-1]
        below = L_bar[:, n:, :]
        columns = []
        for first, last in reversed(_spans(n, block)):
            own, left, under = slice(first, last), slice(0, first), slice(last, n)
            R, D, B, C = L[:, own, left], L[:, own, own], L[:, under, left], L[:, under, own]
            K = _inverse(xp, D)
            C_bar = below[:, :, own] @ K
            P = T(D) @ (L_bar[:, own, own] - T(C_bar) @ C)
            D_bar = 0.5 * (T(K) @ ((xp.tril(P) + T(xp.tril(P, k=-1))) @ K))
            R_bar = L_bar[:, own, left] - T(C_bar) @ B - (2 * D_bar) @ R
            below = xp.concat([R_bar, below[:, :, left] - C_bar @ R], axis=1)
            columns.append(xp.concat([xp.zeros_like(L[:, left, own]), D_bar, C_bar], axis=1))
        S = xp.concat(columns[::-1], axis=2)
        return 0.5 * (S + T(S))

    return L, pullback


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

    What stands above the diagonal of L is not read. The diagonal is inverted in blocks, of ``block`` rows each, and all
    else is products: in halves, X₁ = L₁₁⁻¹B₁ and X₂ = L₂₂⁻¹(B₂ − L₂₁X₁). A zero on the diagonal has no answer: NumPy
    and PyTorch raise, JAX returns what is not finite.

    Source: Giles (2008), section 2.3, restricted to a triangle; Higham, Accuracy and Stability of Numerical Algorithms
    (2002), section 8.4, for inverting the blocks. Rational: there is no kink.
    """
    n = L.shape[-1]
    spans = _spans(n, block)
    inverses = [_inverse(xp, xp.tril(L[:, i:j, i:j])) for i, j in spans]
    X = _substituted(xp, L, inverses, spans, B)

    def pullback(X_bar: Any) -> Any:
        B_bar = _substituted_back(xp, L, inverses, spans, X_bar)
        rows = []
        for i, j in spans:
            row = xp.tril(B_bar[:, i:j, :] @ xp.matrix_transpose(-X[:, :j, :]), k=i)
            rows.append(xp.concat([row, xp.zeros_like(L[:, i:j, j:])], axis=2))
        return xp.concat(rows, axis=1), B_bar

    return X, pullback


def _spans(n: int, block: int) -> list[Span]:
    return [(i, min(i + block, n)) for i in range(0, n, block)]


def _inverse(xp: Any, L: Any) -> Any:
    # Elimination exchanges rows of a lower triangle; of an upper one it has nothing left to do.
    return xp.matrix_transpose(xp.linalg.inv(xp.matrix_transpose(L)))


def _substituted(xp: Any, L: Any, inverses: Sequence[Any], spans: Sequence[Span], B: Any) -> Any:
    """Solve LX = B for the rows of some blocks of L, whose diagonal blocks have these inverses."""
    if len(spans) == 1:
        return inverses[0] @ B
    half = len(spans) // 2
    start, middle, end = spans[0][0], spans[half][0], spans[-1][1]
    upper = _substituted(xp, L, inverses[:half], spans[:half], B[:, : middle - start, :])
    lower = B[:, middle - start :, :] - L[:, middle:end, start:middle] @ upper
    return xp.concat([upper, _substituted(xp, L, inverses[half:], spans[half:], lower)], axis=1)


def _substituted_back(xp: Any, L: Any, inverses: Sequence[Any], spans: Sequence[Span], B: Any) -> Any:
    """Solve LᵀX = B likewise."""
    T = xp.matrix_transpose
    if len(spans) == 1:
        return T(inverses[0]) @ B
    half = len(spans) // 2
    start, middle, end = spans[0][0], spans[half][0], spans[-1][1]
    lower = _substituted_back(xp, L, inverses[half:], spans[half:], B[:, middle - start :, :])
    upper = B[:, : middle - start, :] - T(L[:, middle:end, start:middle]) @ lower
    return xp.concat([_substituted_back(xp, L, inverses[:half], spans[:half], upper), lower], axis=1)


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
    rounding leaves it, and NumPy and PyTorch raise where a pivot is exactly zero.

    Source: Walter, Lehmann & Lamour, On evaluating higher-order derivatives of the QR decomposition of tall matrices
    with full column rank in forward and reverse mode algorithmic differentiation (2012). Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    Q, R = xp.linalg.qr(A)
    signs = 1 - 2 * xp.astype(xp.linalg.diagonal(R) < 0, A.dtype)
    Q, R = Q * signs[:, None, :], signs[:, :, None] * R

    def pullback(Q_bar: Any, R_bar: Any) -> Any:
        M = R @ T(R_bar) - T(Q_bar) @ Q
        return (Q_bar + Q @ (xp.tril(M) + T(xp.tril(M, k=-1)))) @ T(xp.linalg.inv(R))

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

    Columns of A that depend on each other leave R⁻¹ as large as rounding makes it; NumPy and PyTorch raise where a
    pivot is exactly zero.

    Source: Golub & Pereyra (1973), eq. 4.12 applied to B; Golub & Van Loan, Matrix Computations (2013), section 5.3 for
    the factorisation. Rational: there is no kink.
    """
    T = xp.matrix_transpose
    Q, R = xp.linalg.qr(A)
    K = xp.linalg.inv(R)
    X = K @ (T(Q) @ B)

    def pullback(X_bar: Any) -> Any:
        V = T(K) @ X_bar
        B_bar = Q @ V
        # One product for both terms: Ā is written once.
        return xp.concat([B - A @ X, B_bar], axis=2) @ T(xp.concat([K @ V, -X], axis=2)), B_bar

    return X, pullback

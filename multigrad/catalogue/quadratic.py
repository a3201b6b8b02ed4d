"""Quadratic forms and least squares, plain, weighted and regularised."""

from __future__ import annotations

from typing import Any

from ..ops.operation import operation

FULL = ("float64", "float32")
"""Sums of squares of differences: the lower precisions keep too few digits to tell right from wrong."""


def _of_one_sign(W: Any) -> Any:
    """Give Wᵢⱼ and Wⱼᵢ one sign, else the bound of W + Wᵀ is nothing that DW + DWᵀ, the common form, could keep."""
    import numpy as np

    return np.copysign(W, W + np.matrix_transpose(W))


def _centred(draw: Any, b: int, n: int) -> list[Any]:
    return [draw(b, n), draw(n), _of_one_sign(draw(n, n))]


def _weighted(draw: Any, b: int, m: int, n: int) -> list[Any]:
    return [draw(b, m), draw(b, n), draw(m, n), _of_one_sign(draw(m, m))]


@operation(
    "(b,n),(n),(n,n)->(b)",
    sizes={
        "tiny": {"b": 3, "n": 4},
        "many": {"b": 192, "n": 2},
        "small": {"b": 256, "n": 64},
        "medium": {"b": 1024, "n": 512},
        "large": {"b": 2048, "n": 1024},
    },
    inputs=_centred,
    dtypes=FULL,
)
def quadratic_form(xp: Any, X: Any, s: Any, W: Any) -> Any:
    """Quadratic forms about a centre, one for each row: with W a precision matrix, squared Mahalanobis distances.

    f = (x − s)ᵀW(x − s) for each row x of X.  With D = X − 1sᵀ and M = D(W + Wᵀ):

        f = ½ Σⱼ (D ∘ M)
        X̄ = diag(f̄) M
        s̄ = −Σ X̄ over the rows
        W̄ = Dᵀ diag(f̄) D

    Two products of 2bn² operations, D(W + Wᵀ) and W̄; for few rows three, of which two read W as it lies.

    Source: The Matrix Cookbook (2012), eq. 85 and 86, for a W that need not be symmetric (eq. 81); the gradient for W
    by eq. 70, the plain one. A polynomial: there is no kink.
    """
    T = xp.matrix_transpose
    D = X - s
    M = _both_ways(xp, D, W)

    def pullback(f_bar: Any) -> Any:
        c = f_bar[:, None]
        X_bar = c * M
        return X_bar, -xp.sum(X_bar, axis=0), T(c * D) @ D

    return 0.5 * xp.vecdot(D, M), pullback


@operation(
    "(b,m),(b,n),(m,n),(m,m)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 2},
        "many": {"b": 192, "m": 2, "n": 1},
        "small": {"b": 256, "m": 64, "n": 32},
        "medium": {"b": 1024, "m": 512, "n": 256},
        "large": {"b": 2048, "m": 1024, "n": 512},
    },
    inputs=_weighted,
    dtypes=FULL,
)
def weighted_least_squares(xp: Any, X: Any, S: Any, A: Any, W: Any) -> Any:
    """Weighted squares of the residuals of a linear model, one for each pair of rows.

    f = (x − As)ᵀW(x − As) for each row x of X and s of S.  With R = SAᵀ − X and M = R(W + Wᵀ):

        f = ½ Σⱼ (R ∘ M),  R̄ = diag(f̄) M
        X̄ = −R̄
        S̄ = R̄A
        Ā = R̄ᵀS
        W̄ = Rᵀ diag(f̄) R

    Five products: SAᵀ, R̄A and R̄ᵀS of 2bmn operations, R(W + Wᵀ) and W̄ of 2bm²; for few rows six.

    Source: The Matrix Cookbook (2012), eq. 84, 87 and 88, which take W to be symmetric; here it need not be, and its
    gradient is the plain one. A polynomial: there is no kink.
    """
    T = xp.matrix_transpose
    R = S @ T(A) - X
    M = _both_ways(xp, R, W)

    def pullback(f_bar: Any) -> Any:
        c = f_bar[:, None]
        # W̄ first, whose factor takes memory; the sign of R̄ goes to what is smaller.
        W_bar = T(c * R) @ R
        X_bar = -c * M
        return X_bar, X_bar @ -A, -(T(X_bar) @ S), W_bar

    return 0.5 * xp.vecdot(R, M), pullback


@operation(
    "(m,n),(n,k),(m,k),()->()",
    sizes={
        "tiny": {"m": 4, "n": 3, "k": 2},
        "digits": {"m": 1797, "n": 64, "k": 10},
        "medium": {"m": 2048, "n": 512, "k": 128},
        "large": {"m": 4096, "n": 1024, "k": 512},
    },
    dtypes=FULL,
)
def ridge(xp: Any, X: Any, W: Any, Y: Any, strength: Any) -> Any:
    """Ridge regression: least squares with a penalty on the size of the weights.

    f = ‖XW − Y‖²_F + λ‖W‖²_F, λ being the strength.  With R = XW − Y:

        Ȳ = −2 f̄ R
        X̄ = −ȲWᵀ
        W̄ = 2 f̄ λ W − XᵀȲ
        λ̄ = f̄ ‖W‖²_F

    Three products of 2mnk operations: XW, X̄ and XᵀȲ.

    Source: Hoerl & Kennard, Ridge regression (Technometrics 12, 1970); the gradients by The Matrix Cookbook (2012),
    eq. 84 and 115. A polynomial: there is no kink; λ may have any sign.
    """
    T = xp.matrix_transpose
    R = X @ W - Y

    def pullback(f_bar: Any) -> Any:
        Y_bar = (-2 * f_bar) * R
        # The signs go to what is smaller than Ȳ.
        W_bar = (2 * f_bar * strength) * W - T(X) @ Y_bar
        return Y_bar @ T(-W), W_bar, Y_bar, f_bar * _squares(xp, W)

    return _squares(xp, R) + strength * _squares(xp, W), pullback


@operation(
    "(m,n),(b,n),(b,m)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 4},
        "one": {"b": 1, "m": 4, "n": 3},
        "small": {"b": 64, "m": 256, "n": 128},
        "medium": {"b": 512, "m": 1024, "n": 512},
        "large": {"b": 1024, "m": 2048, "n": 1024},
    },
    dtypes=FULL,
)
def residual_norm(xp: Any, A: Any, X: Any, B: Any) -> Any:
    """The Euclidean norm of the residual of a linear system, one for each pair of rows.

    f = ‖Ax − b‖₂ for each row x of X and b of B.  With R = XAᵀ − B and r one of its rows:

        r̄ = f̄ r/‖r‖,  and 0 where r = 0
        Ā = R̄ᵀX
        X̄ = R̄A
        B̄ = −R̄

    Three products of 2bmn operations: XAᵀ, Ā and X̄. The norm is taken of r/σ, with σ the power of two next to the
    largest of |r|: a square neither overflows nor vanishes unless the norm itself does.

    At r = 0 the derivative is taken to be 0, the smallest of the subdifferential ‖g‖₂ ≤ 1.

    Source: The Matrix Cookbook (2012), eq. 129; the scaling is that of Blue's norm (ACM TOMS 4, 1978) in one piece.
    """
    T = xp.matrix_transpose
    R = X @ T(A) - B
    scale = _scale(xp, R)
    U = R / scale[:, None]
    norm = xp.sqrt(xp.vecdot(U, U))

    def pullback(f_bar: Any) -> Any:
        # B̄ = −R̄, and its sign goes to what is smaller.
        B_bar = (-f_bar / xp.where(norm > 0, norm, xp.ones_like(norm)))[:, None] * U
        return T(B_bar) @ -X, -(B_bar @ A), B_bar

    return scale * norm, pullback


def _scale(xp: Any, R: Any) -> Any:
    """A power of two within a factor of 2½ of the largest of |r| in each row; 1 where there is no such.

    As a power of two it is constant in every neighbourhood, and dividing by it is exact.
    """
    peak = xp.max(xp.abs(R), axis=-1)
    peak = xp.where((peak > 0) & xp.isfinite(peak), peak, xp.ones_like(peak))
    # Rounded at a quarter: no number is 2 to the power of k + ¼, and the largest one's power does not overflow.
    power = 2.0 ** xp.round(xp.log2(peak) - 0.75)
    return xp.where(power > 0, power, peak)


WIDE = 192
"""From so many rows on, a second product costs more than adding a matrix to its transpose."""


def _both_ways(xp: Any, D: Any, W: Any) -> Any:
    """D(W + Wᵀ)."""
    T = xp.matrix_transpose
    return D @ (W + T(W)) if D.shape[0] >= WIDE else D @ W + D @ T(W)


def _squares(xp: Any, M: Any) -> Any:
    """‖M‖²_F."""
    return xp.sum(xp.vecdot(M, M))

"""Linear and bilinear maps written with matrices."""

from __future__ import annotations

from typing import Any

from ..ops.operation import operation


@operation(
    "(m,n),(n)->(m)",
    sizes={
        "tiny": {"m": 4, "n": 16},
        "small": {"m": 196, "n": 256},
        "medium": {"m": 1024, "n": 1024},
        "large": {"m": 4096, "n": 4096},
    },
)
def linear_map(xp: Any, C: Any, x: Any) -> Any:
    """A linear map applied to a vector.

    y = Cx:

        x̄ = Cᵀȳ
        C̄ = ȳxᵀ

    Where C is a convolution written as a matrix (:func:`multigrad.catalogue.convolution.unrolled`), x̄ is the
    transposed convolution of ȳ.

    Source: The Matrix Cookbook (2012), eq. 69 and 70. Linear: there is no kink.
    """

    def pullback(y_bar: Any) -> Any:
        # x̄ᵀ = ȳᵀC: every library reads C along its rows for this, and XLA does not for Cᵀȳ.
        return y_bar[:, None] * x[None, :], y_bar @ C

    return C @ x, pullback


@linear_map.pushforward
def _(xp: Any, C: Any, x: Any, C_dot: Any, x_dot: Any) -> Any:
    """The product rule.

    y = Cx:

        ẏ = Ċx + Cẋ

    Source: The Matrix Cookbook (2012), eq. 37.
    """
    return C_dot @ x + C @ x_dot


@operation(
    "(m,k),(k,n),(n)->(m,n)",
    sizes={
        "tiny": {"m": 3, "k": 4, "n": 2},
        "small": {"m": 128, "k": 64, "n": 10},
        "medium": {"m": 512, "k": 512, "n": 256},
        "large": {"m": 2048, "k": 1024, "n": 1024},
    },
)
def affine(xp: Any, X: Any, W: Any, b: Any) -> Any:
    """An affine layer: a batch of rows times the weights, plus a bias.

    Y = XW + 1bᵀ:

        X̄ = ȲWᵀ
        W̄ = XᵀȲ
        b̄ = Ȳᵀ1, the sum over the batch

    Source: Giles, Collected Matrix Derivative Results (2008), 2.2.1 and 2.2.2. Linear in each input: there is no kink.
    """
    T = xp.matrix_transpose

    def pullback(Y_bar: Any) -> Any:
        return Y_bar @ T(W), T(X) @ Y_bar, xp.sum(Y_bar, axis=0)

    return X @ W + b, pullback


@operation(
    "(b,m),(m,n),(b,n)->(b)",
    sizes={
        "tiny": {"b": 3, "m": 2, "n": 4},
        "small": {"b": 64, "m": 32, "n": 48},
        "medium": {"b": 512, "m": 384, "n": 256},
        "large": {"b": 2048, "m": 1024, "n": 768},
    },
)
def bilinear(xp: Any, X: Any, A: Any, Y: Any) -> Any:
    """A bilinear form of two vectors, for a batch of pairs.

    f = xᵀAy for each pair of rows of X and Y:

        x̄ = f̄ Ay
        ȳ = f̄ Aᵀx
        Ā = Σ f̄ xyᵀ over the batch

    Source: The Matrix Cookbook (2012), eq. 70, and eq. 81 for y = x. Multilinear: there is no kink.
    """
    T = xp.matrix_transpose
    P = X @ A

    def pullback(f_bar: Any) -> Any:
        F = f_bar[:, None]
        P_bar = F * Y
        X_bar, A_bar = P_bar @ T(A), T(X) @ P_bar
        del P_bar  # as large as what comes
        return X_bar, A_bar, F * P

    return xp.vecdot(P, Y), pullback

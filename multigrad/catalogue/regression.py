"""One ReLU layer against its target: the derivation the project began with."""

from __future__ import annotations

from typing import Any

from ..ops.operation import operation


@operation(
    "(m,k),(k,n),(m,n)->()",
    sizes={
        "tiny": {"m": 5, "k": 4, "n": 3},
        "example": {"m": 10, "k": 4, "n": 4},
        "digits": {"m": 1797, "k": 64, "n": 10},
        "medium": {"m": 512, "k": 256, "n": 256},
        "large": {"m": 2048, "k": 1024, "n": 1024},
    },
)
def relu_regression(xp: Any, X: Any, W: Any, Y: Any) -> Any:
    """Squared distance of one ReLU layer from its target.

    f = ‖max(XW, 0) − Y‖²_F.  With Z = XW and R = max(Z, 0) − Y:

        ∂f/∂X = 2 (R ∘ [Z > 0]) Wᵀ
        ∂f/∂W = 2 Xᵀ (R ∘ [Z > 0])
        ∂f/∂Y = −2 R

    At Z = 0 the derivative of max(Z, 0) is taken to be 0. An infinite residual gives NaN where the mask is 0.

    Memory: Z and R are kept until the pullback returns, where eager autograd frees them on its way and needs 0.85 of
    it.

    Source: the chain rule on f = ⟨R, R⟩; The Matrix Cookbook (2012), eq. 132 and 115 for the outer and inner parts.
    """
    T = xp.matrix_transpose
    Z = X @ W
    R = xp.maximum(Z, 0) - Y

    def pullback(f_bar: Any) -> Any:
        # A product with the mask: where() branches on signs that nobody can predict, and takes ten times as long.
        S = R * xp.astype(Z > 0, R.dtype)
        # The factor goes to W and to its gradient, which are smaller than S.
        X_bar, W_bar = S @ T(2 * f_bar * W), 2 * f_bar * (T(X) @ S)
        del S  # as large as what comes
        return X_bar, W_bar, -2 * f_bar * R

    return xp.sum(R * R), pullback


@relu_regression.pushforward
def _(xp: Any, X: Any, W: Any, Y: Any, X_dot: Any, W_dot: Any, Y_dot: Any) -> Any:
    """Twice the residual along its own tangent.

    With Z and R as above, and Ż = ẊW + XẆ:

        ḟ = 2 ⟨R, [Z > 0] ∘ Ż − Ẏ⟩

    Source: the differential of ⟨R, R⟩ is 2 ⟨R, dR⟩; The Matrix Cookbook (2012), eq. 37 for d(XW).
    """
    Z = X @ W
    R = xp.maximum(Z, 0) - Y
    Z_dot = X_dot @ W + X @ W_dot
    return 2 * xp.sum(R * (xp.astype(Z > 0, R.dtype) * Z_dot - Y_dot))

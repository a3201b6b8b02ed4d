"""The multilayer perceptron."""

from __future__ import annotations

from typing import Any

from ..ops.operation import operation


@operation(
    "(n,d),(d,h),(h),(h,o),(o)->(n,o)",
    sizes={
        "tiny": {"n": 3, "d": 2, "h": 5, "o": 4},
        "small": {"n": 64, "d": 64, "h": 32, "o": 10},
        "digits": {"n": 1797, "d": 64, "h": 128, "o": 10},
        "medium": {"n": 128, "d": 784, "h": 256, "o": 10},
        "large": {"n": 512, "d": 512, "h": 2048, "o": 512},
    },
)
def mlp(xp: Any, X: Any, W: Any, b: Any, V: Any, a: Any) -> Any:
    """Two layers with a ReLU between them.

    Y = H V + a  with  H = max(XW + b, 0):

        V̄ = Hᵀ Ȳ,  ā = Σₙ Ȳ;  with Z̄ = Ȳ Vᵀ ∘ [H > 0]:  W̄ = Xᵀ Z̄,  b̄ = Σₙ Z̄,  X̄ = Z̄ Wᵀ

    At XW + b = 0 the derivative of max(·, 0) is taken to be 0.

    Source: D. Rumelhart, G. Hinton and R. Williams, Learning representations by back-propagating errors (1986), eq. 4
    to 7, with a ReLU in the place of the sigmoid.
    """
    T = xp.matrix_transpose
    H = xp.maximum(X @ W + b, 0)

    def pullback(Y_bar: Any) -> Any:
        # A product with the mask: where() branches on signs that nobody can predict, and takes ten times as long.
        Z_bar = (Y_bar @ T(V)) * xp.astype(H > 0, Y_bar.dtype)
        return Z_bar @ T(W), T(X) @ Z_bar, xp.sum(Z_bar, axis=0), T(H) @ Y_bar, xp.sum(Y_bar, axis=0)

    return H @ V + a, pullback

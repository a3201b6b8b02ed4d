"""Linear maps written as a matrix."""

from __future__ import annotations

from typing import Any

from multigrad.operation import operation


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

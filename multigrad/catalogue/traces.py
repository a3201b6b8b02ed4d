"""Traces of products: none forms a product of which only the diagonal is wanted.

tr(PQ) = ⟨Pᵀ, Q⟩ = Σ Pⱼᵢ Qᵢⱼ is one pass over memory. Every count of products below stands for value and all gradients
together.
"""

from __future__ import annotations

from typing import Any

from ..data.errors import BadInput
from ..ops.operation import operation

FULL = ("float64", "float32")
"""Sums over all entries, of either sign: the lower precisions keep too few digits to tell right from wrong."""


@operation(
    "(b,n,p),(b,p,q),(b,q,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 2, "p": 2, "q": 3},
        "middle": {"b": 1, "n": 4, "p": 3, "q": 2},
        "last": {"b": 2, "n": 2, "p": 4, "q": 3},
        "small": {"b": 64, "n": 32, "p": 32, "q": 32},
        "medium": {"b": 8, "n": 256, "p": 256, "q": 256},
        "large": {"b": 1, "n": 1024, "p": 1024, "q": 1024},
    },
    dtypes=FULL,
)
def trace_linear(xp: Any, A: Any, X: Any, B: Any) -> Any:
    """The trace of a product of three matrices.

    f = tr(AXB):

        Ā = f̄ (XB)ᵀ
        X̄ = f̄ (BA)ᵀ
        B̄ = f̄ (AX)ᵀ

    The trace does not change when the factors are turned around, tr(AXB) = tr(XBA) = tr(BAX). With F the smallest of
    them and U, V those that follow it, G = (UV)ᵀ gives the value f = ⟨F, G⟩ and F̄ = f̄G; Ū = (V·f̄F)ᵀ and V̄ = (f̄F·U)ᵀ
    are the other gradients: three products of 2npq operations each, of which the value takes one. The cotangent
    multiplies what is smallest.

    Source: The Matrix Cookbook (2012), eq. 101; the others are the same equation, turned around. Linear in each
    factor: there is no kink.
    """
    T = xp.matrix_transpose
    factors = (A, X, B)
    sizes = [M.shape[-2] * M.shape[-1] for M in factors]
    first = sizes.index(min(sizes))
    F, U, V = factors[first:] + factors[:first]
    G = T(V) @ T(U)

    def pullback(f_bar: Any) -> Any:
        c = f_bar[..., None, None]
        S = T(c * F)
        gradients = (c * G, S @ T(V), T(U) @ S)
        return gradients[3 - first :] + gradients[: 3 - first]

    return _inner(xp, F, G), pullback


def _without_cancellation(draw: Any, b: int, n: int, k: int) -> list[Any]:
    import numpy as np

    # Bᵢⱼ and Bⱼᵢ of one sign, else the bound of B + Bᵀ is nothing that BX + BᵀX, the common form, could keep.
    B = draw(b, n, n)
    return [draw(b, n, k), np.copysign(B, B + np.matrix_transpose(B))]


@operation(
    "(b,n,k),(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3, "k": 2},
        "wide": {"b": 1, "n": 2, "k": 256},
        "small": {"b": 64, "n": 32, "k": 16},
        "medium": {"b": 8, "n": 256, "k": 256},
        "large": {"b": 1, "n": 1000, "k": 1000},
    },
    inputs=_without_cancellation,
    dtypes=FULL,
)
def trace_quadratic(xp: Any, X: Any, B: Any) -> Any:
    """The trace of a quadratic form, the sum of xᵀBx over the columns of a matrix.

    f = tr(XᵀBX) = ½⟨X, M⟩ with M = (B + Bᵀ)X:

        X̄ = f̄ (BX + BᵀX) = f̄ M
        B̄ = f̄ XXᵀ

    Two products: M, which is the value and a gradient, and XXᵀ. Where X has few columns, B and Bᵀ multiply it one
    after the other (three products), which is less work than adding them.

    Source: The Matrix Cookbook (2012), eq. 108; B̄ by eq. 100. A polynomial: there is no kink. B need not be
    symmetric; the gradient is the plain one.
    """
    T = xp.matrix_transpose
    M = (B + T(B)) @ X if X.shape[-1] >= WIDE else B @ X + T(B) @ X

    def pullback(f_bar: Any) -> Any:
        c = f_bar[..., None, None]
        return c * M, (c * X) @ T(X)

    return 0.5 * _inner(xp, X, M), pullback


WIDE = 256
"""From so many columns on, a second product costs more than adding a matrix to its transpose."""


@operation(
    "(b,n,k),(b,n,n),(b,k,k)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3, "k": 2},
        "small": {"b": 64, "n": 32, "k": 16},
        "medium": {"b": 8, "n": 256, "k": 128},
        "large": {"b": 1, "n": 1024, "k": 512},
    },
    dtypes=FULL,
)
def trace_sandwich(xp: Any, X: Any, B: Any, C: Any) -> Any:
    """The trace of a matrix between two others and itself.

    f = tr(XᵀBXC) = ⟨XCᵀ, BX⟩.  With M = BX and P = XCᵀ:

        X̄ = f̄ (MC + BᵀP)
        B̄ = f̄ PXᵀ
        C̄ = f̄ MᵀX

    Six products, of which the value takes two: M, BᵀP and PXᵀ of 2n²k operations, P, MC and MᵀX of 2nk². None of
    n × n or k × k matrices is formed but the gradients themselves.

    Memory: f̄P and f̄C are matrices of their own beside P and C; JAX's autodiff needs 0.7 of it.

    Source: The Matrix Cookbook (2012), eq. 117. A polynomial: there is no kink.
    """
    T = xp.matrix_transpose
    M, P = B @ X, X @ T(C)

    def pullback(f_bar: Any) -> Any:
        c = f_bar[..., None, None]
        P_hat = c * P
        return M @ (c * C) + T(B) @ P_hat, P_hat @ T(X), c * (T(M) @ X)

    return _inner(xp, P, M), pullback


@operation(
    "(b,m,p),(b,p,q),(b,q,n),(b,m,n)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 2, "p": 3, "q": 2, "n": 2},
        "right": {"b": 1, "m": 3, "p": 2, "q": 3, "n": 2},
        "small": {"b": 64, "m": 32, "p": 16, "q": 16, "n": 32},
        "medium": {"b": 8, "m": 256, "p": 128, "q": 128, "n": 256},
        "large": {"b": 1, "m": 1024, "p": 512, "q": 512, "n": 1024},
    },
    dtypes=FULL,
)
def trace_residual(xp: Any, A: Any, X: Any, B: Any, C: Any) -> Any:
    """The squared size of an affine expression in a matrix.

    f = tr((AXB + C)(AXB + C)ᵀ) = ‖R‖²_F with R = AXB + C:

        C̄ = 2 f̄ R
        X̄ = Aᵀ C̄ Bᵀ
        Ā = C̄ Bᵀ Xᵀ
        B̄ = Xᵀ Aᵀ C̄

    Six products. R = (AX)B or A(XB), whichever is less work; L = AX is kept for B̄ = LᵀC̄, and U = C̄Bᵀ serves X̄ = AᵀU
    and Ā = UXᵀ; likewise with L = XB and U = AᵀC̄ on the other side.

    Memory: R and L are kept until the pullback returns, where eager autograd and XLA free them on their way and need
    0.9 of it.

    Source: The Matrix Cookbook (2012), eq. 119. A polynomial: there is no kink.
    """
    T = xp.matrix_transpose
    (m, p), (q, n) = A.shape[-2:], B.shape[-2:]
    from_left = m * q * (p + n) <= p * n * (q + m)
    L = A @ X if from_left else X @ B
    R = (L @ B if from_left else A @ L) + C

    def pullback(f_bar: Any) -> Any:
        c = 2 * f_bar[..., None, None]
        if from_left:
            U = R @ T(c * B)
            A_bar, X_bar, B_bar = U @ T(X), T(A) @ U, c * (T(L) @ R)
        else:
            U = T(c * A) @ R
            A_bar, X_bar, B_bar = c * (R @ T(L)), U @ T(B), T(X) @ U
        del U  # as large as what comes
        return A_bar, X_bar, B_bar, c * R

    return _inner(xp, R, R), pullback


@operation(
    "(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3, "k": 5},
        "first": {"b": 2, "n": 2, "k": 1},
        "second": {"b": 1, "n": 3, "k": 2},
        "even": {"b": 1, "n": 3, "k": 6},
        "small": {"b": 64, "n": 32, "k": 3},
        "medium": {"b": 8, "n": 256, "k": 4},
        "large": {"b": 1, "n": 1000, "k": 8},
    },
    dtypes=FULL,
)
def trace_power(xp: Any, X: Any, *, k: int = 3) -> Any:
    """The trace of a power of a matrix.

    f = tr(Xᵏ), k ≥ 1:

        X̄ = f̄ k (Xᵀ)^(k−1)

    The power Xᵏ is never formed. For an odd k, f = ⟨Xᵀ, X^(k−1)⟩, and the gradient takes no further product; for an
    even one, k = 2h, f = ⟨(Xʰ)ᵀ, Xʰ⟩ with Xʰ = X^(h−1)X, and the gradient takes one, X^(k−1) = X^(h−1)Xʰ. Powers by
    repeated squaring: value and gradient take ⌊log₂(k−1)⌋ products and one for every further binary one of k − 1, as
    many as the power alone.

    Source: The Matrix Cookbook (2012), eq. 121. A polynomial: there is no kink.
    """
    if k < 1:
        raise BadInput(f"trace_power takes powers from 1 on, found k = {k}; tr(X⁰) is the number of rows")
    T = xp.matrix_transpose
    n = X.shape[-1]
    Q = _power(xp, X, k - 1 if k % 2 else k // 2 - 1)
    H = X if k % 2 or k == 2 else Q @ X

    def pullback(f_bar: Any) -> Any:
        P = Q if k % 2 else X if k == 2 else Q @ H
        return (k * f_bar[..., None, None]) * T(P)

    if k == 1:
        return xp.sum(X * xp.eye(n, dtype=X.dtype, device=X.device), axis=(-2, -1)), pullback
    return _inner(xp, T(H), Q if k % 2 else H), pullback


def _power(xp: Any, X: Any, k: int) -> Any:
    """Xᵏ by repeated squaring, from the leading binary digit of k on."""
    if k == 0:
        return xp.eye(X.shape[-1], dtype=X.dtype, device=X.device)
    P = X
    for digit in f"{k:b}"[1:]:
        P = P @ P
        if digit == "1":
            P = P @ X
    return P


def _inner(xp: Any, P: Any, Q: Any) -> Any:
    """⟨P, Q⟩ of the last two axes."""
    return xp.sum(xp.vecdot(P, Q), axis=-1)

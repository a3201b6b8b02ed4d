"""Eigenvalues of symmetric matrices, singular values, and what is made of them without a choice of signs.

Eigenvectors and singular vectors are known but for a sign, and those of a repeated value but for a rotation. What
stands here does not depend on either: each operation is a function of the matrix alone.
"""

from __future__ import annotations

from typing import Any

from ..extra.elimination import identity
from ..ops.operation import operation
from .drawn_matrices import PRECISE, separated, separated_symmetric

RECTANGLES = {
    "tiny": {"b": 2, "m": 3, "n": 2},
    "wide": {"b": 1, "m": 2, "n": 3},
    "small": {"b": 100, "m": 12, "n": 8},
    "medium": {"b": 1, "m": 200, "n": 60},
    "large": {"b": 1, "m": 400, "n": 250},
}
"""Sizes of what has singular values, both high and wide."""


@operation(
    "(b,n,n)->(b,n)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 100},
        "large": {"b": 1, "n": 300},
    },
    inputs=lambda draw, b, n: [separated_symmetric(draw, b, n)],
    dtypes=PRECISE,
)
def eigenvalues(xp: Any, A: Any) -> Any:
    """The eigenvalues of a symmetric matrix, ascending.

    ½(A + Aᵀ) = V diag(λ) Vᵀ;  ∂λᵢ = vᵢᵀ ∂A vᵢ:

        Ā = V diag(λ̄) Vᵀ

    Of a repeated eigenvalue the sum over its copies is differentiable, and each copy is not. Where the copies have the
    same cotangent, as in every symmetric function of the eigenvalues, Ā is the derivative; where they have not, it is
    that in the basis which the eigensolver chose.

    Source: The Matrix Cookbook (2012), eq. 67; Magnus, On differentiating eigenvalues and eigenvectors (1985).
    """
    _, V, values = _decomposed(xp, A)

    def pullback(values_bar: Any) -> Any:
        return (V * values_bar[:, None, :]) @ xp.matrix_transpose(V)

    return values, pullback


@operation(
    "(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 100},
        "large": {"b": 1, "n": 300},
    },
    inputs=lambda draw, b, n: [separated_symmetric(draw, b, n, near_one=True)],
    dtypes=PRECISE,
)
def log_trace_exp(xp: Any, A: Any) -> Any:
    """The logarithm of the trace of the exponential of a symmetric matrix: a smooth largest eigenvalue.

    f = log tr exp(½(A + Aᵀ)) = log Σᵢ exp λᵢ.  With pᵢ = exp(λᵢ − f):

        Ā = f̄ V diag(p) Vᵀ

    The largest eigenvalue is taken out of the exponentials, so nothing overflows. Repeated eigenvalues have the same p:
    Ā is the derivative there as well, whatever basis the eigensolver chose.

    Source: The Matrix Cookbook (2012), eq. 67 and the chain rule; Lewis, Derivatives of spectral functions (1996),
    theorem 1.1. Smooth: there is no kink.
    """
    n, V, values = _decomposed(xp, A)
    top = values[:, n - 1 :]
    weights = xp.exp(values - top)
    total = xp.sum(weights, axis=-1, keepdims=True)

    def pullback(f_bar: Any) -> Any:
        p = weights / total
        return (V * (f_bar[:, None] * p)[:, None, :]) @ xp.matrix_transpose(V)

    return top[:, 0] + xp.log(total[:, 0]), pullback


@operation(
    "(b,n,n),(b,n)->(b,n)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 100},
        "large": {"b": 20, "n": 100},
    },
    inputs=lambda draw, b, n: [separated_symmetric(draw, b, n), draw(b, n)],
    dtypes=PRECISE,
)
def eigenvector_energies(xp: Any, A: Any, x: Any) -> Any:
    """How much of a vector lies along each eigenvector of a symmetric matrix.

    cᵢ = (vᵢᵀx)² = yᵢ², ½(A + Aᵀ) = V diag(λ) Vᵀ, eigenvalues ascending.  From ∂vᵢ = (λᵢI − A)⁺ ∂A vᵢ, and because both
    i and j see the same vᵢᵀ ∂A vⱼ, there is one divided difference for a pair:

        Ā = V diag(y) E diag(y) Vᵀ,   Eᵢⱼ = (c̄ᵢ − c̄ⱼ)/(λᵢ − λⱼ)
        x̄ = 2 V diag(y) c̄

    Eᵢⱼ = 0 where λᵢ and λⱼ are equal: there the two energies are not known apart, only their sum is, and its derivative
    has no such term. Where the eigensolver returns copies that differ by rounding and c̄ differs too, Ā is as large as
    one over that difference.

    Source: The Matrix Cookbook (2012), eq. 68; Giles (2008), section 3.1.
    """
    _, V, values = _decomposed(xp, A)
    y = (x[:, None, :] @ V)[:, 0, :]

    def pullback(c_bar: Any) -> Any:
        # On the diagonal c̄ᵢ − c̄ᵢ = 0 is divided by one.
        E = _reciprocal(xp, values[:, :, None] - values[:, None, :] + identity(xp, A))
        E = E * (c_bar[:, :, None] - c_bar[:, None, :])
        W = V * y[:, None, :]
        return W @ (E @ xp.matrix_transpose(W)), 2 * (W @ c_bar[:, :, None])[:, :, 0]

    return y * y, pullback


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "pair": {"b": 1, "n": 4, "k": 2},
        "small": {"b": 200, "n": 8, "k": 3},
        "medium": {"b": 1, "n": 100, "k": 10},
        "large": {"b": 20, "n": 100, "k": 10},
    },
    inputs=lambda draw, b, n, k=1: [separated_symmetric(draw, b, n)],
    dtypes=PRECISE,
)
def spectral_projector(xp: Any, A: Any, *, k: int = 1) -> Any:
    """The orthogonal projector onto the eigenvectors of the k largest eigenvalues of a symmetric matrix.

    P = V₁V₁ᵀ, ½(A + Aᵀ) = V diag(λ) Vᵀ, V₁ the last k columns of V and V₀ the others:

        Ā = ½(H + Hᵀ),   H = V₁ (F ∘ V₁ᵀ(P̄ + P̄ᵀ)V₀) V₀ᵀ,   Fᵢⱼ = 1/(λᵢ − λⱼ)

    Only differences across the cut occur: eigenvalues may be repeated on either side of it. If λ is the same on both
    sides there is no such projector, and Fᵢⱼ = 0 is taken for that pair.

    Source: The Matrix Cookbook (2012), eq. 68; Kato, Perturbation Theory for Linear Operators (1995), section II.2.1.
    """
    T = xp.matrix_transpose
    n, V, values = _decomposed(xp, A)
    cut = max(n - k, 0)
    V0, V1 = V[:, :, :cut], V[:, :, cut:]

    def pullback(P_bar: Any) -> Any:
        F = _reciprocal(xp, values[:, cut:, None] - values[:, None, :cut])
        H = V1 @ ((F * (T(V1) @ (P_bar + T(P_bar)) @ V0)) @ T(V0))
        return 0.5 * (H + T(H))

    return V1 @ T(V1), pullback


def _decomposed(xp: Any, A: Any) -> tuple[int, Any, Any]:
    """Return n, the eigenvectors and the eigenvalues of the symmetric part."""
    # Libraries read one triangle, or the symmetric part: of a symmetric matrix they all read the same.
    values, V = xp.linalg.eigh(0.5 * (A + xp.matrix_transpose(A)))
    return A.shape[-1], V, values


def _reciprocal(xp: Any, x: Any) -> Any:
    """1/x, and 0 where x = 0."""
    zero = x == 0
    return xp.astype(~zero, x.dtype) / (x + xp.astype(zero, x.dtype))


@operation(
    "(b,m,n)->(b,k)",
    sizes=RECTANGLES,
    inputs=lambda draw, b, m, n: [separated(draw, b, m, n)],
    dtypes=PRECISE,
)
def singular_values(xp: Any, X: Any) -> Any:
    """The singular values of a matrix, descending.

    X = U diag(σ) Vᵀ;  ∂σᵢ = uᵢᵀ ∂X vᵢ:

        X̄ = U diag(σ̄) Vᵀ

    Of a repeated singular value the sum over its copies is differentiable, and each copy is not; at zero neither is.
    Copies with the same cotangent have the derivative of their sum, as in every symmetric function of the singular
    values; what else is asked there is answered in the basis that the library chose.

    Source: Giles (2008), section 3.2; The Matrix Cookbook (2012), eq. 67 for XᵀX.
    """
    U, values, Vt = xp.linalg.svd(X, full_matrices=False)

    def pullback(values_bar: Any) -> Any:
        return (U * values_bar[:, None, :]) @ Vt

    return values, pullback


@operation(
    "(b,m,n)->(b)",
    sizes=RECTANGLES,
    inputs=lambda draw, b, m, n: [separated(draw, b, m, n)],
    dtypes=PRECISE,
)
def nuclear_norm(xp: Any, X: Any) -> Any:
    """The nuclear norm of a matrix: the sum of its singular values.

    f = ‖X‖_* = Σᵢ σᵢ,  X = U diag(σ) Vᵀ:

        X̄ = f̄ U diag(sign σ) Vᵀ

    Where the rank is not full there is a kink. The subdifferential is UVᵀ of the non-zero singular values plus any W of
    spectral norm 1 or less between the null spaces; for a singular value that is exactly zero W = 0 is taken, the
    smallest subgradient, and for one that rounding left above zero its own uvᵀ, which is one as well. At X = 0, X̄ = 0.

    Source: Watson, Characterization of the subdifferential of some matrix norms (1992), example 2.
    """
    U, values, Vt = xp.linalg.svd(X, full_matrices=False)

    def pullback(f_bar: Any) -> Any:
        return (U * (f_bar[:, None] * xp.sign(values))[:, None, :]) @ Vt

    return xp.sum(values, axis=-1), pullback


@operation(
    "(b,m,n)->(b)",
    sizes=RECTANGLES,
    inputs=lambda draw, b, m, n: [separated(draw, b, m, n)],
    dtypes=PRECISE,
)
def spectral_norm(xp: Any, X: Any) -> Any:
    """The spectral norm of a matrix: its largest singular value.

    f = ‖X‖₂ = σ₁,  X = U diag(σ) Vᵀ.  With r the number of singular values equal to σ₁:

        X̄ = f̄/r Σᵢ uᵢvᵢᵀ   over the i with σᵢ = σ₁: where there is one, f̄ u₁v₁ᵀ

    A tie is a kink. The subdifferential is the convex hull of all uvᵀ of the tied space; the mean over the tied
    pairs is taken, which does not depend on the basis of that space. Ties that rounding broke give one uvᵀ of the
    space, which is a subgradient as well. At X = 0, X̄ = 0.

    Source: Watson, Characterization of the subdifferential of some matrix norms (1992), example 1.
    """
    U, values, Vt = xp.linalg.svd(X, full_matrices=False)

    def pullback(f_bar: Any) -> Any:
        top = values[:, :1]
        # The first is tied with itself, which no rounding puts in doubt.
        tied = xp.concat([xp.ones_like(top), xp.astype(values[:, 1:] == top, X.dtype)], axis=1)
        share = f_bar[:, None] * xp.sign(top) / xp.sum(tied, axis=1, keepdims=True)
        return (U * (share * tied)[:, None, :]) @ Vt

    return values[:, 0], pullback

"""Logarithms of determinants, and determinants of forms."""

from __future__ import annotations

from typing import Any

from ..extra.elimination import eliminated, identity, triangular
from ..ops.operation import operation
from .drawn_matrices import PRECISE, dominant, regular


@operation(
    "(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 256},
        "large": {"b": 1, "n": 1000},
    },
    inputs=lambda draw, b, n: [regular(draw, b, n, n)],
    dtypes=PRECISE,
)
def logdet(xp: Any, X: Any) -> Any:
    """The logarithm of the size of a determinant.

    f = log |det X|:

        X̄ = f̄ X⁻ᵀ

    At a singular matrix, where a pivot of the elimination is exactly zero, f = −∞ and X̄ is NaN, of that item alone.
    A nearly singular one has the f and the X̄ of a matrix that differs from it by rounding.

    Source: The Matrix Cookbook (2012), eq. 57. Smooth off the singular matrices: there is no kink.
    """
    system = eliminated(xp, X)
    f = system.log_abs_det()

    def pullback(f_bar: Any) -> Any:
        singular = xp.isinf(f)
        scale = xp.where(singular, xp.nan, f_bar)[:, None, None]
        return xp.matrix_transpose(system.solve(scale * identity(xp, X), regular=~singular))

    return f, pullback


@operation(
    "(b,m,n)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 4, "n": 3},
        "small": {"b": 200, "m": 16, "n": 4},
        "medium": {"b": 1, "m": 512, "n": 64},
        "large": {"b": 20, "m": 512, "n": 64},
    },
    inputs=lambda draw, b, m, n: [regular(draw, b, m, n)],
    dtypes=PRECISE,
)
def logdet_gram(xp: Any, X: Any) -> Any:
    """The logarithm of the determinant of a Gram matrix, m ≥ n.

    f = log det XᵀX.  With X = QR, which spares the condition number the square that it has in XᵀX:

        f = 2 Σᵢ log |Rᵢᵢ|
        X̄ = 2 f̄ (X⁺)ᵀ = 2 f̄ QR⁻ᵀ

    Where a column of X is exactly zero, f = −∞ and there is no X̄: NumPy raises, PyTorch, JAX and CuPy return what is
    not finite. Columns that depend on each other in another way leave a pivot of the size of rounding.

    Source: The Matrix Cookbook (2012), eq. 55. Smooth at full rank: there is no kink.
    """
    Q, R = xp.linalg.qr(X)

    def pullback(f_bar: Any) -> Any:
        return Q @ ((2 * f_bar)[:, None, None] * triangular(xp, xp.matrix_transpose(R)).inverse())

    return 2 * xp.sum(xp.log(xp.abs(xp.linalg.diagonal(R))), axis=-1), pullback


@operation(
    "(b,m,n),(b,m,m)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 3, "n": 2},
        "square": {"b": 1, "m": 3, "n": 3},
        "small": {"b": 200, "m": 8, "n": 3},
        "medium": {"b": 1, "m": 512, "n": 16},
        "large": {"b": 1, "m": 2000, "n": 32},
    },
    inputs=lambda draw, b, m, n: [regular(draw, b, m, n, near_one=True), dominant(draw, b, m, near_one=True)],
    dtypes=PRECISE,
)
def det_quadratic(xp: Any, X: Any, A: Any) -> Any:
    """The determinant of a quadratic form.

    f = det(XᵀAX).  With G = XᵀAX, its adjugate adj(G) = det(G) G⁻¹ and Ḡ = f̄ adj(G)ᵀ:

        X̄ = AXḠᵀ + AᵀXḠ
        Ā = XḠXᵀ

    where A is symmetric X̄ = 2 f AXG⁻¹ f̄, and where X is square X̄ = 2 f X⁻ᵀ f̄.

    The adjugate is a polynomial, so a singular G is no exception: where a pivot of its elimination is zero, one of the
    size of its rounding is taken, and the adjugate differs by as much as rounding makes it differ.

    Source: The Matrix Cookbook (2012), eq. 52, 53 and 54. Polynomial: there is no kink.
    """
    T = xp.matrix_transpose
    AX = A @ X
    form = eliminated(xp, T(X) @ AX)

    def pullback(f_bar: Any) -> Any:
        G_bar = f_bar[:, None, None] * T(form.adjugate())
        Y = X @ G_bar
        return AX @ T(G_bar) + T(A) @ Y, Y @ T(X)

    return form.det(), pullback

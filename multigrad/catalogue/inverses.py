"""Inverses and linear systems."""

from __future__ import annotations

from typing import Any

from ..extra.elimination import eliminated
from ..ops.operation import operation
from .drawn_matrices import PRECISE, regular


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 256},
        "large": {"b": 1, "n": 1000},
    },
    inputs=lambda draw, b, n: [regular(draw, b, n, n)],
    dtypes=PRECISE,
)
def inverse(xp: Any, X: Any) -> Any:
    """The inverse of a matrix.

    Y = X⁻¹;  ∂Y = −Y ∂X Y:

        X̄ = −Yᵀ Ȳ Yᵀ

    A singular matrix has none: NumPy and PyTorch raise, JAX and CuPy return what is not finite.

    Source: The Matrix Cookbook (2012), eq. 59 and 60. Rational: there is no kink.
    """
    T = xp.matrix_transpose
    Y = xp.linalg.inv(X)

    def pullback(Y_bar: Any) -> Any:
        return T(-Y) @ (Y_bar @ T(Y))

    return Y, pullback


@inverse.pushforward
def _(xp: Any, X: Any, X_dot: Any) -> Any:
    """The differential of XY = I.

    With Y = X⁻¹:

        Ẏ = −Y Ẋ Y

    Source: The Matrix Cookbook (2012), eq. 40.
    """
    Y = xp.linalg.inv(X)
    return -Y @ (X_dot @ Y)


@operation(
    "(b,m,n),(b,n,n),(b,n,m)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 2, "n": 3},
        "vectors": {"b": 1, "m": 1, "n": 4},
        "small": {"b": 200, "m": 2, "n": 8},
        "medium": {"b": 1, "m": 32, "n": 256},
        "large": {"b": 1, "m": 100, "n": 1000},
    },
    inputs=lambda draw, b, m, n: [draw(b, m, n), regular(draw, b, n, n), draw(b, n, m)],
    dtypes=PRECISE,
)
def trace_inverse(xp: Any, A: Any, X: Any, B: Any) -> Any:
    """The trace of a product with an inverse; with m = 1 the form aᵀX⁻¹b.

    f = tr(AX⁻¹B).  With Y = X⁻¹B and Z = f̄ X⁻ᵀAᵀ:

        Ā = f̄ Yᵀ
        X̄ = −ZYᵀ = −f̄ (X⁻¹BAX⁻¹)ᵀ
        B̄ = Z

    A singular X has no inverse: NumPy raises, PyTorch, JAX and CuPy return what is not finite.

    Source: The Matrix Cookbook (2012), eq. 124 and 61. Rational: there is no kink.
    """
    T = xp.matrix_transpose
    system = eliminated(xp, X)
    Y = system.solve(B)

    def pullback(f_bar: Any) -> Any:
        f_bar = f_bar[:, None, None]
        Z = system.solve(f_bar * T(A), transposed=True)
        return f_bar * T(Y), Z @ T(-Y), Z

    return xp.sum(T(A) * Y, axis=(-2, -1)), pullback


@operation(
    "(b,n,n),(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3},
        "small": {"b": 200, "n": 8},
        "medium": {"b": 1, "n": 256},
        "large": {"b": 1, "n": 1000},
    },
    inputs=lambda draw, b, n: _summands(draw, b, n),
    dtypes=PRECISE,
)
def trace_resolvent(xp: Any, X: Any, A: Any) -> Any:
    """The trace of the inverse of a sum.

    f = tr((X + A)⁻¹).  With Y = (X + A)⁻¹:

        X̄ = Ā = −f̄ (YY)ᵀ

    A singular sum has no inverse: NumPy and PyTorch raise, JAX and CuPy return what is not finite.

    Source: The Matrix Cookbook (2012), eq. 64. Rational: there is no kink.
    """
    T = xp.matrix_transpose
    Y = xp.linalg.inv(X + A)

    def pullback(f_bar: Any) -> Any:
        S_bar = T(-f_bar[:, None, None] * Y) @ T(Y)
        return S_bar, S_bar

    return xp.linalg.trace(Y), pullback


def _summands(draw: Any, b: int, n: int) -> list[Any]:
    X = draw(b, n, n)
    return [X, regular(draw, b, n, n) - X]


@operation(
    "(b,n,n),(b,n,m)->(b,n,m)",
    sizes={
        "tiny": {"b": 2, "n": 3, "m": 2},
        "small": {"b": 200, "n": 8, "m": 2},
        "medium": {"b": 1, "n": 256, "m": 32},
        "large": {"b": 1, "n": 1000, "m": 100},
    },
    inputs=lambda draw, b, n, m: [regular(draw, b, n, n), draw(b, n, m)],
    dtypes=PRECISE,
)
def solve(xp: Any, A: Any, B: Any) -> Any:
    """A system of linear equations.

    AX = B;  X = A⁻¹B:

        B̄ = A⁻ᵀX̄
        Ā = −B̄Xᵀ

    A singular A has no answer: NumPy raises, PyTorch, JAX and CuPy return what is not finite.

    Source: Giles, An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation (2008), section 2.3. Rational: there is no kink.
    """
    system = eliminated(xp, A)
    X = system.solve(B)

    def pullback(X_bar: Any) -> Any:
        B_bar = system.solve(X_bar, transposed=True)
        return B_bar @ xp.matrix_transpose(-X), B_bar

    return X, pullback


@solve.pushforward
def _(xp: Any, A: Any, B: Any, A_dot: Any, B_dot: Any) -> Any:
    """The differential of AX = B: a second system with the same matrix, which is factored once.

    With X = A⁻¹B:

        Ẋ = A⁻¹(Ḃ − ȦX)

    Source: Giles (2008), section 2.3: forward mode.
    """
    system = eliminated(xp, A)
    return system.solve(B_dot - A_dot @ system.solve(B))

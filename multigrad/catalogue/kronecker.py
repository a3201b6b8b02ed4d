"""Kronecker products, powers and the exponential of a matrix."""

from __future__ import annotations

from typing import Any

from ..data.errors import BadInput
from ..extra.scatter import scatter_diagonal
from ..ops.operation import operation


@operation(
    "(m,n),(p,q)->(r,s)",
    sizes={
        "tiny": {"m": 2, "n": 3, "p": 3, "q": 2},
        "small": {"m": 8, "n": 8, "p": 32, "q": 32},
        "medium": {"m": 32, "n": 32, "p": 32, "q": 32},
        "large": {"m": 40, "n": 40, "p": 64, "q": 64},
    },
)
def kronecker_product(xp: Any, A: Any, B: Any) -> Any:
    """The Kronecker product of two matrices.

    Y = A ⊗ B, of mp × nq:

        Y[(i,k), (j,l)] = A[i,j] B[k,l]
        Ā[i,j] = Σ_{k,l} Ȳ[(i,k), (j,l)] B[k,l]
        B̄[k,l] = Σ_{i,j} A[i,j] Ȳ[(i,k), (j,l)]

    Bound by memory: Y is written once. Ȳ is rearranged once, into a matrix R of mn × pq whose rows are its blocks:
    R[(i,j), (k,l)] = Ȳ[(i,k), (j,l)], so that the gradients are two products with a vector, vec Ā = R vec B and
    vec B̄ = Rᵀ vec A, rows laid one after the other.

    Source: The Matrix Cookbook (2012), eq. 505; the gradients are the derivatives of the trilinear form ⟨Ȳ, A ⊗ B⟩,
    rearranged as in Van Loan & Pitsianis, Approximation with Kronecker products (1993). Bilinear: there is no kink. To
    apply a Kronecker product, do not form it: :func:`kronecker_map`.
    """
    (m, n), (p, q) = A.shape, B.shape

    def pullback(Y_bar: Any) -> Any:
        R = xp.reshape(xp.permute_dims(xp.reshape(Y_bar, (m, p, n, q)), (0, 2, 1, 3)), (m * n, p * q))
        return xp.reshape(R @ xp.reshape(B, (p * q,)), (m, n)), xp.reshape(xp.reshape(A, (m * n,)) @ R, (p, q))

    return xp.reshape(A[:, None, :, None] * B[None, :, None, :], (m * p, n * q)), pullback


@operation(
    "(m,n),(p,q),(b,q,n)->(b,p,m)",
    sizes={
        "tiny": {"m": 2, "n": 3, "p": 3, "q": 2, "b": 2},
        "right": {"m": 2, "n": 4, "p": 4, "q": 2, "b": 1},
        "small": {"m": 32, "n": 32, "p": 32, "q": 32, "b": 32},
        "medium": {"m": 256, "n": 256, "p": 256, "q": 256, "b": 8},
        "large": {"m": 512, "n": 512, "p": 512, "q": 512, "b": 4},
    },
    dtypes=("float64", "float32"),
)
def kronecker_map(xp: Any, A: Any, B: Any, X: Any) -> Any:
    """A Kronecker product applied to vectors, each held as a matrix: (A ⊗ B) vec X = vec(BXAᵀ).

    Y = BXAᵀ for each X, vec laying columns one after the other:

        X̄ = BᵀȲA
        Ā = Σ ȲᵀBX over the batch
        B̄ = Σ ȲAXᵀ over the batch

    Nothing of the size of A ⊗ B is formed. Six products, of which the value takes two, associated for the fewest
    operations: with L = BX and U = ȲA, the gradients are BᵀU, ȲᵀL and UXᵀ; with L = XAᵀ and U = BᵀȲ they are UA, UᵀX
    and ȲLᵀ.

    Memory: L and U are kept until the pullback returns, where eager autograd frees them on its way and needs 0.8 of it.

    Source: The Matrix Cookbook (2012), eq. 520; the gradients are the derivatives of ⟨Ȳ, BXAᵀ⟩. Linear in each input:
    there is no kink.
    """
    T = xp.matrix_transpose
    (m, n), (p, q) = A.shape, B.shape
    B_first = p * n * (q + m) <= q * m * (n + p)
    L = B @ X if B_first else X @ T(A)

    def pullback(Y_bar: Any) -> Any:
        if B_first:
            U = Y_bar @ A
            return _over_rows(xp, Y_bar, L), _over_columns(xp, U, X), T(B) @ U
        U = T(B) @ Y_bar
        return _over_rows(xp, U, X), _over_columns(xp, Y_bar, L), U @ A

    return L @ T(A) if B_first else B @ L, pullback


def _over_rows(xp: Any, P: Any, Q: Any) -> Any:
    """Σ PᵀQ over the batch: one product, since the rows of all items follow each other."""
    return xp.tensordot(P, Q, axes=((0, 1), (0, 1)))


def _over_columns(xp: Any, P: Any, Q: Any) -> Any:
    """Σ PQᵀ over the batch: one product likewise, of rows that are first brought side by side."""
    return xp.tensordot(P, Q, axes=((0, 2), (0, 2)))


@operation(
    "(b,m,m),(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "m": 2, "n": 3},
        "small": {"b": 64, "m": 32, "n": 16},
        "medium": {"b": 8, "m": 512, "n": 256},
        "large": {"b": 4, "m": 2048, "n": 1024},
    },
)
def kronecker_trace(xp: Any, A: Any, X: Any) -> Any:
    """The trace of a Kronecker product, which is the product of the traces.

    f = tr(A ⊗ X) = tr(A) tr(X):

        Ā = f̄ tr(X) I
        X̄ = f̄ tr(A) I

    The diagonals are all that is read; writing the gradients is what it costs.

    Source: The Matrix Cookbook (2012), eq. 105 (and 120, where A = X). Bilinear: there is no kink.
    """
    traces = xp.linalg.trace(A), xp.linalg.trace(X)

    def pullback(f_bar: Any) -> Any:
        return _multiple(xp, f_bar * traces[1], A), _multiple(xp, f_bar * traces[0], X)

    return traces[0] * traces[1], pullback


def _multiple(xp: Any, factor: Any, like: Any) -> Any:
    """A multiple of the identity for each item."""
    return scatter_diagonal(xp, xp.broadcast_to(factor[:, None], like.shape[:-1]))


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 3, "k": 5},
        "seventh": {"b": 1, "n": 2, "k": 7},
        "identity": {"b": 2, "n": 2, "k": 0},
        "small": {"b": 64, "n": 32, "k": 3},
        "medium": {"b": 8, "n": 256, "k": 4},
        "large": {"b": 1, "n": 1024, "k": 8},
    },
    dtypes=("float64", "float32"),
)
def matrix_power(xp: Any, X: Any, *, k: int = 3) -> Any:
    """A power of a matrix.

    Y = Xᵏ, k ≥ 0:

        X̄ = Σ_{i<k} (Xᵀ)ⁱ Ȳ (Xᵀ)^(k−1−i) = L_kᵀ,  L_k = Σ_{i<k} Xⁱ Ȳᵀ X^(k−1−i)

    Both by the binary digits of k, from the leading one on. Where Xʰ becomes X²ʰ = XʰXʰ, L_2h = L_hXʰ + XʰL_h; where it
    becomes X^(h+1) = XʰX, L_(h+1) = L_hX + XʰȲᵀ. So the gradient takes two products for each of the value, which are
    ⌊log₂k⌋ and one for every binary one of k but the first; the powers are kept from the forward part. L_k is the
    derivative of Xᵏ in the direction Ȳᵀ: no product has a transposed factor.

    Memory: the two products of a step are there before they are added; JAX's autodiff needs 0.85 of it.

    Source: the product rule; Higham, Functions of Matrices (2008), section 3.2 for the derivative and its adjoint,
    section 4.1 for the binary method. A polynomial: there is no kink. The lower precisions lose too much in a chain of
    products to mean anything.
    """
    if k < 0:
        raise BadInput(f"matrix_power takes powers from 0 on, found k = {k}; invert the matrix first")
    T = xp.matrix_transpose
    if k == 0:
        identity = xp.eye(X.shape[-1], dtype=X.dtype, device=X.device)
        return xp.broadcast_to(identity, X.shape), lambda Y_bar: 0 * Y_bar
    steps = []
    P = X
    for digit in f"{k:b}"[1:]:
        steps.append((P, True))
        P = P @ P
        if digit == "1":
            steps.append((P, False))
            P = P @ X

    def pullback(Y_bar: Any) -> Any:
        L = Y_hat = T(Y_bar)
        for power, squared in steps:
            L = L @ power + power @ L if squared else L @ X + power @ Y_hat
        return T(L)

    return P, pullback


def _of_moderate_norm(draw: Any, b: int, n: int, squarings: int = 5) -> list[Any]:
    # A power of two keeps the digits of what a regime draws. Normal numbers come to ‖X‖₁ ≈ 0.3 · 2^squarings.
    return [2.0 ** (squarings - 1 - n.bit_length()) * draw(b, n, n)]


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 2, "squarings": 2},
        "small": {"b": 64, "n": 32, "squarings": 2},
        "medium": {"b": 8, "n": 128, "squarings": 4},
        "large": {"b": 1, "n": 512, "squarings": 5},
    },
    inputs=_of_moderate_norm,
    dtypes=("float64", "float32"),
)
def matrix_exponential(xp: Any, X: Any, *, squarings: int = 5) -> Any:
    """The exponential of a matrix.

    Y = exp X ≈ T(A)^(2^s) with A = X/2^s, T being the Taylor polynomial of degree 15 with a little of degree 16, and s
    the number of squarings:

        X̄ = L(X, Ȳᵀ)ᵀ,  L(X, E) being the derivative of X ↦ T(X/2^s)^(2^s) in the direction E

    For the exponential itself this is Σ (Xᵀ)ⁱ Ȳ (Xᵀ)ʲ/(i+j+1)!. The gradient is the exact derivative of what stands for
    the exponential, and as near to that of the exponential as Y is to exp X.

    T takes four products and every squaring one; each of them takes two in the derivative, d(PQ) = dP·Q + P·dQ, which
    reads the factors kept from the value. (The exponential of [[X, E], [0, X]] would take eight for each.)

    The number of squarings is a parameter, since an operation does not look at its numbers. But for rounding, Y is the
    exponential of some X + ΔX, and ‖ΔX‖₁ is below the unit roundoff times ‖X‖₁ as long as ‖X‖₁ ≤ 0.67·2^s in float64,
    ‖X‖₁ ≤ 2.34·2^s in float32. The default, 5, is good for ‖X‖₁ ≤ 21 in float64. Beyond, digits are lost without a
    word; far below, every squaring too many may lose a bit.

    Memory: the factors of every product are kept until the pullback returns, where eager autograd frees them one by one
    and needs 0.7 of it.

    Source: Sastre, Efficient evaluation of matrix polynomials (Linear Algebra and its Applications 539, 2018), the
    scheme of order 15+ and its coefficients; the derivative: Higham, Functions of Matrices (2008), section 3.2 and
    10.6. An entire function: there is no kink.
    """
    T = xp.matrix_transpose
    A = 0.5**squarings * X
    A2 = A @ A
    N = _first(A, A2)
    V = A2 @ N
    P, Q, rest = _second(A, A2, V)
    W = P @ Q + rest
    R, S, rest = _third(A, A2, V, W)
    Y = R @ S + (rest + xp.eye(X.shape[-1], dtype=X.dtype, device=X.device))
    roots = []
    for _ in range(squarings):
        roots.append(Y)
        Y = Y @ Y

    def pullback(Y_bar: Any) -> Any:
        dA = 0.5**squarings * T(Y_bar)
        dA2 = dA @ A + A @ dA
        dV = dA2 @ N + A2 @ _first(dA, dA2)
        dW = _of_product(P, Q, *_second(dA, dA2, dV))
        dY = _of_product(R, S, *_third(dA, dA2, dV, dW))
        for root in roots:
            dY = dY @ root + root @ dY
        return T(dY)

    return Y, pullback


def _of_product(P: Any, Q: Any, dP: Any, dQ: Any, d_rest: Any) -> Any:
    """The derivative of a product and of what is added to it."""
    return dP @ Q + P @ dQ + d_rest


def _first(A: Any, A2: Any) -> Any:
    """A factor of the scheme; linear, so that it is its own derivative, as the two that follow."""
    return 4.018761610201036e-4 * A2 + 2.945531440279683e-3 * A


def _second(A: Any, A2: Any, V: Any) -> tuple[Any, Any, Any]:
    """Two factors, and what is added to their product."""
    return (
        V + (4.017568440673568e-1 * A - 8.709066576837676e-3 * A2),
        V + 3.230762888122312e-2 * A2,
        5.768988513026145 * V + 2.338576034271299e-2 * A2,
    )


def _third(A: Any, A2: Any, V: Any, W: Any) -> tuple[Any, Any, Any]:
    """Two factors, and what is added to their product, but for the identity."""
    return (
        W + (2.381070373870987e-1 * A2 + 2.224209172496374 * A),
        W - (5.792361707073261 * V + 4.130276365929783e-2 * A),
        10.40801735231354 * W - 63.31712455883370 * V + (3.484665863364574e-1 * A2 + A),
    )

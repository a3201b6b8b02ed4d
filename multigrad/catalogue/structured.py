"""Matrices with a structure, and the two derivatives that they have.

A function of a matrix M has the plain derivative ∂f/∂M, in which every entry moves by itself. Where M is symmetric or
triangular, only the entries of one triangle are free; the structured derivative is that with respect to them. Here
such a matrix is held in the lower triangle of X, diagonal included; what stands above is not read, and its gradient is
zero. With G the plain derivative at M(X):

    plain       M = X                            X̄ = G
    lower       M = tril(X)                      X̄ = tril(G)
    symmetric   M = tril(X) + tril(X, −1)ᵀ       X̄ = tril(G) + tril(Gᵀ, −1)

The last is the lower triangle of G + Gᵀ − G∘I: an entry beside the diagonal stands in two places.
"""

from __future__ import annotations

from typing import Any

from ..data.errors import BadInput
from ..ops.operation import operation

STRUCTURES = ("plain", "lower", "symmetric")
"""What the lower triangle may stand for; the plain matrix is all of X."""


@operation(
    "(b,n,n)->(b,n,n)",
    sizes={
        "tiny": {"b": 2, "n": 3, "structure": "symmetric"},
        "lower": {"b": 2, "n": 3, "structure": "lower"},
        "plain": {"b": 1, "n": 2, "structure": "plain"},
        "small": {"b": 64, "n": 32, "structure": "symmetric"},
        "medium": {"b": 8, "n": 512, "structure": "symmetric"},
        "large": {"b": 4, "n": 1024, "structure": "symmetric"},
    },
)
def structured_matrix(xp: Any, X: Any, *, structure: str = "symmetric") -> Any:
    """The symmetric or triangular matrix that a lower triangle stands for.

    S = tril(X) + tril(X, −1)ᵀ:

        X̄ = tril(S̄) + tril(S̄ᵀ, −1), the lower triangle of S̄ + S̄ᵀ − S̄∘I

    Its pullback turns the plain derivative S̄ of any function of S into the structured one. For structure "lower",
    L = tril(X) and X̄ = tril(L̄); for "plain", X itself.

    Three passes over memory; eager autograd makes the last of them in place, where the hand-derived form writes a new
    array, and takes 0.6 to 0.85 of its time.

    Source: The Matrix Cookbook (2012), eq. 138, of which this is the lower triangle: there the free entry is written
    into both of its places. Linear: there is no kink.
    """
    M = _held(xp, X, structure)

    def pullback(M_bar: Any) -> Any:
        return _released(xp, M_bar, structure)

    return M, pullback


@operation(
    "(b,n,n),(b,n,n)->(b)",
    sizes={
        "tiny": {"b": 2, "n": 3, "structure": "symmetric"},
        "lower": {"b": 1, "n": 3, "structure": "lower"},
        "plain": {"b": 1, "n": 3, "structure": "plain"},
        "small": {"b": 64, "n": 32, "structure": "symmetric"},
        "medium": {"b": 8, "n": 512, "structure": "symmetric"},
        "large": {"b": 4, "n": 1024, "structure": "symmetric"},
    },
)
def structured_trace(xp: Any, A: Any, X: Any, *, structure: str = "symmetric") -> Any:
    """The trace of a product with a symmetric, triangular or plain matrix.

    f = tr(AM), M being the matrix that X stands for:

        Ā = f̄ Mᵀ
        plain      X̄ = f̄ Aᵀ
        lower      X̄ = f̄ tril(Aᵀ)
        symmetric  X̄ = f̄ tril(A + Aᵀ − A∘I)

    Bound by memory: no product is formed.

    Source: The Matrix Cookbook (2012), eq. 100 and 139 (the latter's lower triangle). Linear in each input: there is no
    kink.
    """
    T = xp.matrix_transpose
    M = _held(xp, X, structure)
    # Beside a symmetric M it is all the same whether A or Aᵀ stands, and a transpose is a pass across memory.
    M_T, A_T = (M, A) if structure == "symmetric" else (T(M), T(A))

    def pullback(f_bar: Any) -> Any:
        c = f_bar[:, None, None]
        # X̄ first, whose parts take memory.
        X_bar = _released(xp, c * A_T, structure)
        return c * M_T, X_bar

    return xp.sum(xp.vecdot(A_T, M), axis=-1), pullback


@operation(
    "(b,n,n),(b,n,k)->(b,n,k)",
    sizes={
        "tiny": {"b": 2, "n": 3, "k": 2, "structure": "symmetric"},
        "lower": {"b": 1, "n": 3, "k": 2, "structure": "lower"},
        "blocks": {"b": 1, "n": 5, "k": 3, "structure": "lower", "block": 2},
        "plain": {"b": 1, "n": 3, "k": 2, "structure": "plain"},
        "small": {"b": 64, "n": 32, "k": 16, "structure": "symmetric"},
        "medium": {"b": 2, "n": 512, "k": 512, "structure": "symmetric"},
        "large": {"b": 1, "n": 1024, "k": 1024, "structure": "symmetric"},
        "triangular": {"b": 1, "n": 1024, "k": 1024, "structure": "lower"},
    },
)
def structured_product(xp: Any, X: Any, B: Any, *, structure: str = "symmetric", block: int = 256) -> Any:
    """The product of a symmetric, triangular or plain matrix with another one.

    Y = MB, M being the matrix that X stands for.  With the plain derivative G = ȲBᵀ:

        B̄ = MᵀȲ
        plain      X̄ = G
        lower      X̄ = tril(G)
        symmetric  X̄ = tril(G + Gᵀ − G∘I)

    Three products of 2n²k operations. Of a triangular matrix only the half that is not zero is multiplied, and of
    tril(G) only that half is computed: matrices larger than a block are split into four, one of which is zero.

    Memory: G is there as a whole before it is folded; JAX's autodiff needs 0.8 of it.

    Source: The Matrix Cookbook (2012), eq. 138 for the structured derivative, with the plain one by eq. 101. Bilinear:
    there is no kink.
    """
    if block < 1:
        raise BadInput(f"a block has at least one row; found block = {block}")
    T = xp.matrix_transpose
    if structure == "lower" and X.shape[-1] > block:

        def lower_pullback(Y_bar: Any) -> Any:
            return _lower_of_product(xp, Y_bar, B, block), _upper_times(xp, T(X), Y_bar, block)

        return _lower_times(xp, X, B, block), lower_pullback
    M = _held(xp, X, structure)

    def pullback(Y_bar: Any) -> Any:
        return _released(xp, Y_bar @ T(B), structure), T(M) @ Y_bar

    return M @ B, pullback


def _held(xp: Any, X: Any, structure: str) -> Any:
    """The matrix that X stands for."""
    if structure not in STRUCTURES:
        raise BadInput(f"no structure {structure!r}; there are {', '.join(STRUCTURES)}")
    if structure == "plain":
        return X
    if structure == "lower":
        return xp.tril(X)
    # A sum, not a choice between X and Xᵀ: XLA takes a choice into the product that follows, and its code for that
    # overflows the stack at n = 1024 (jaxlib 0.10.2 on the CPU).
    return xp.tril(X) + xp.matrix_transpose(xp.tril(X, k=-1))


def _released(xp: Any, G: Any, structure: str) -> Any:
    """The derivative with respect to the free entries, from the plain one."""
    if structure == "plain":
        return G
    if structure == "lower":
        return xp.tril(G)
    return xp.tril(G + xp.matrix_transpose(xp.triu(G, k=1)))


def _lower_times(xp: Any, X: Any, B: Any, block: int) -> Any:
    """tril(X)B."""
    n = X.shape[-1]
    if n <= block:
        return xp.tril(X) @ B
    h = n // 2
    top = _lower_times(xp, X[..., :h, :h], B[..., :h, :], block)
    below = _lower_times(xp, X[..., h:, h:], B[..., h:, :], block)
    return xp.concat([top, X[..., h:, :h] @ B[..., :h, :] + below], axis=-2)


def _upper_times(xp: Any, X: Any, B: Any, block: int) -> Any:
    """triu(X)B."""
    n = X.shape[-1]
    if n <= block:
        return xp.triu(X) @ B
    h = n // 2
    top = _upper_times(xp, X[..., :h, :h], B[..., :h, :], block)
    below = _upper_times(xp, X[..., h:, h:], B[..., h:, :], block)
    return xp.concat([top + X[..., :h, h:] @ B[..., h:, :], below], axis=-2)


def _lower_of_product(xp: Any, P: Any, Q: Any, block: int) -> Any:
    """tril(PQᵀ)."""
    T = xp.matrix_transpose
    n = P.shape[-2]
    if n <= block:
        return xp.tril(P @ T(Q))
    h = n // 2
    top = _lower_of_product(xp, P[..., :h, :], Q[..., :h, :], block)
    below = _lower_of_product(xp, P[..., h:, :], Q[..., h:, :], block)
    above = xp.zeros((*P.shape[:-2], h, n - h), dtype=P.dtype, device=P.device)
    beside = P[..., h:, :] @ T(Q[..., :h, :])
    return xp.concat([xp.concat([top, above], axis=-1), xp.concat([beside, below], axis=-1)], axis=-2)

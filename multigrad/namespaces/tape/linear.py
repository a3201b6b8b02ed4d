"""The pullbacks of linear algebra. Symmetric matrices are read from their lower triangle, which alone gets a cotangent.

Source: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008; for QR, M. Seeger et al., "Auto-Differentiating Linear Algebra", 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...extra.scatter import scatter_diagonal
from ..shared.factorisations import QR, SVD, Eigh, SLogDet
from .arrays import Node, Pull, TapeArray, Value, recorded, several, value_of
from .shapes import numbered, scattered, summed_to


def _on_diagonal(xp: Any, x: Value) -> Value:
    i = xp.arange(x.shape[-1], device=getattr(x, "device", None))
    return i[:, None] == i[None, :]


def _lower(xp: Any, M: Value) -> Value:
    """Give the lower triangle the cotangent of a symmetric matrix, of which both triangles are made."""
    return xp.tril(M + xp.matrix_transpose(M), k=-1) + xp.where(_on_diagonal(xp, M), M, 0)


def _of_one(name: str, rule: Callable[[Any, Value, Value, Value], Value]) -> Callable[..., Any]:
    def apply(tape: Any, x: Any, /, **options: Any) -> TapeArray:
        xp, A = tape.base, x.value
        value = getattr(xp.linalg, name)(A, **options)
        return recorded(tape, value, [x], [lambda g: rule(xp, g, A, value)])

    return apply


def _inv(xp: Any, g: Value, A: Value, Y: Value) -> Value:
    T = xp.matrix_transpose
    return -T(Y) @ g @ T(Y)


def _det(xp: Any, g: Value, A: Value, y: Value) -> Value:
    return (g * y)[..., None, None] * xp.matrix_transpose(xp.linalg.inv(A))


def _cholesky(xp: Any, g: Value, A: Value, L: Value) -> Value:
    T, solve = xp.matrix_transpose, xp.linalg.solve
    P = xp.tril(T(L) @ g)
    P = xp.where(_on_diagonal(xp, P), P / 2, P)
    return _lower(xp, T(solve(T(L), T(solve(T(L), P)))))


def _eigvalsh(xp: Any, g: Value, A: Value, values: Value) -> Value:
    V = xp.linalg.eigh(A)[1]
    return _lower(xp, (V * g[..., None, :]) @ xp.matrix_transpose(V))


def _svdvals(xp: Any, g: Value, A: Value, s: Value) -> Value:
    U, _, Vt = xp.linalg.svd(A, full_matrices=False)
    return (U * g[..., None, :]) @ Vt


def _pinv(xp: Any, g: Value, A: Value, P: Value) -> Value:
    T = xp.matrix_transpose
    left, right = T(g) - A @ (P @ T(g)), T(g) - (T(g) @ P) @ A
    return -T(P) @ g @ T(P) + left @ P @ T(P) + T(P) @ P @ right


def cholesky(tape: Any, x: Any, /, *, upper: bool = False) -> Any:
    """The factor, whichever triangle it is."""
    L = _of_one("cholesky", _cholesky)(tape, x)
    return tape.matrix_transpose(L) if upper else L


def solve(tape: Any, a: Any, b: Any, /) -> TapeArray:
    """One solution with the transpose serves both cotangents."""
    xp, A, B = tape.base, value_of(a), value_of(b)
    value, T, vector = xp.linalg.solve(A, B), xp.matrix_transpose, B.ndim == 1
    X = value[..., None] if vector else value

    def columns(g: Value) -> Value:
        return xp.linalg.solve(T(A), g[..., None] if vector else g)

    pulls: list[Pull] = [
        lambda W: summed_to(xp, -W @ T(X), A.shape),
        lambda W: summed_to(xp, W[..., 0] if vector else W, B.shape),
    ]
    step = recorded(tape, value, [a, b], pulls)
    return TapeArray(tape, value, Node([(step.node, columns)]) if step.node is not None else None)


def slogdet(tape: Any, x: Any, /) -> SLogDet:
    """The sign is constant."""
    xp, A = tape.base, x.value
    sign, logarithm = xp.linalg.slogdet(A)

    def pull(g: Value) -> Value:
        return g[..., None, None] * xp.matrix_transpose(xp.linalg.inv(A))

    return SLogDet(TapeArray(tape, sign), recorded(tape, logarithm, [x], [pull]))


def eigh(tape: Any, x: Any, /) -> Eigh:
    """dλᵢ = vᵢᵀ dA vᵢ and dvᵢ = Σⱼ vⱼ (vⱼᵀ dA vᵢ)/(λᵢ − λⱼ)."""
    xp, A = tape.base, x.value
    values, V = xp.linalg.eigh(A)
    T = xp.matrix_transpose

    def pull(cotangents: tuple[Value, Value]) -> Value:
        slopes, turns = cotangents
        inner = 0 if slopes is None else scatter_diagonal(xp, slopes)
        if turns is not None:
            same = _on_diagonal(xp, V)
            gaps = xp.where(same, 1, values[..., None, :] - values[..., :, None])
            inner = inner + xp.where(same, 0, (T(V) @ turns) / gaps)
        return _lower(xp, V @ inner @ T(V))

    return Eigh(*several(tape, (values, V), x, pull))


def qr(tape: Any, x: Any, /, *, mode: str = "reduced") -> QR:
    """Of a tall matrix.

    Raises:
        NotImplementedError: the mode is not "reduced", or there are more columns than rows.
    """
    xp, A = tape.base, x.value
    if mode != "reduced" or A.shape[-2] < A.shape[-1]:
        raise NotImplementedError(f"the tape has the reduced qr of a tall matrix; found mode {mode!r}, shape {A.shape}")
    Q, R = xp.linalg.qr(A)
    T = xp.matrix_transpose

    def pull(cotangents: tuple[Value, Value]) -> Value:
        of_Q, of_R = cotangents
        of_R = xp.zeros_like(R) if of_R is None else xp.triu(of_R)
        of_Q = xp.zeros_like(Q) if of_Q is None else of_Q
        M = xp.tril(R @ T(of_R) - T(of_Q) @ Q)
        symmetric = M + T(xp.tril(M, k=-1))
        return T(xp.linalg.solve(R, T(of_Q + Q @ symmetric)))

    return QR(*several(tape, (Q, R), x, pull))


def svd(tape: Any, x: Any, /, *, full_matrices: bool = True) -> SVD:
    """Of a matrix of full rank with distinct singular values.

    Raises:
        NotImplementedError: the full matrices of a matrix that is not square are asked for.
    """
    xp, A = tape.base, x.value
    if full_matrices and A.shape[-1] != A.shape[-2]:
        raise NotImplementedError(f"the tape has svd with full_matrices=False where A is not square; found {A.shape}")
    U, s, Vt = xp.linalg.svd(A, full_matrices=False)
    T, square = xp.matrix_transpose, A.shape[-1] == A.shape[-2]

    def turned(basis: Value, g: Value) -> Value:
        """Return the part within the span of the vectors."""
        same = _on_diagonal(xp, T(basis) @ g)
        gaps = xp.where(same, 1, (s[..., None, :] - s[..., :, None]) * (s[..., None, :] + s[..., :, None]))
        J = xp.where(same, 0, (T(basis) @ g) / gaps)
        return J + T(J)

    def pull(cotangents: tuple[Value, Value, Value]) -> Value:
        of_U, of_s, of_Vt = cotangents
        inner = xp.zeros_like(U[..., : s.shape[-1], :]) if of_s is None else scatter_diagonal(xp, of_s)
        outside = 0
        if of_U is not None:
            inner = inner + turned(U, of_U) * s[..., None, :]
            if not square:
                outside = outside + ((of_U - U @ (T(U) @ of_U)) / s[..., None, :]) @ Vt
        if of_Vt is not None:
            V, of_V = T(Vt), T(of_Vt)
            inner = inner + s[..., :, None] * turned(V, of_V)
            if not square:
                outside = outside + U @ T((of_V - V @ (Vt @ of_V)) / s[..., None, :])
        return U @ inner @ Vt + outside

    return SVD(*several(tape, (U, s, Vt), x, pull))


def diagonal(tape: Any, x: Any, /, *, offset: int = 0) -> TapeArray:
    """The cotangent goes back to the diagonal."""
    xp, A = tape.base, x.value

    def pull(g: Value) -> Value:
        if offset == 0 and A.shape[-1] == A.shape[-2]:
            return scatter_diagonal(xp, g)
        return scattered(xp, g, xp.linalg.diagonal(numbered(xp, A), offset=offset), A)

    return recorded(tape, xp.linalg.diagonal(A, offset=offset), [x], [pull])


LINALG: dict[str, Callable[..., Any]] = {
    **{name: _of_one(name, rule) for name, rule in {"inv": _inv, "det": _det, "pinv": _pinv}.items()},
    **{name: _of_one(name, rule) for name, rule in {"eigvalsh": _eigvalsh, "svdvals": _svdvals}.items()},
    **{function.__name__: function for function in (cholesky, solve, slogdet, eigh, qr, svd, diagonal)},
}
"""The functions of ``linalg`` that have a rule; the tape comes first."""

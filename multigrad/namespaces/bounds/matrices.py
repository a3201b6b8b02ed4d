"""Linear algebra with error bounds: the backward error of each algorithm, times the condition of its problem.

Solves, inverses and determinants are judged element by element from |L||U|; eigenvalues, singular values and orthogonal
factors by norms. Eigenvectors, singular vectors and orthogonal factors are compared as they come: where frameworks
choose other signs, judge a function that does not depend on them. Vectors of close eigenvalues have a wide bound even
where such a function is well behaved. The exact matrix may be one D away from the float64 one, and the matrix of an
honest evaluation two; hence the factors 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..shared.factorisations import QR, SVD, Eigh, SLogDet
from . import arithmetic, creation, elementary, reductions, shapes
from .arrays import Array, Error, as_array, up
from .model import Floats, current
from .products import matmul
from .rules import Unit, added_up, bounded

STEPS: Mapping[str, Callable[[int], int]] = {
    # |ΔA| ≤ γ_{3n}|L||U| for a solve by elimination (Higham 2002, Thm 9.4); holds for an inverse, column by column.
    "elimination": lambda n: 3 * n,
    # |ΔA| ≤ γ_{n+1}|L||Lᵀ| (Higham 2002, Thm 10.3).
    "cholesky": lambda n: n + 1,
    # ‖ΔA‖ ≤ p(n)u‖A‖ with a modest p (LAPACK Users' Guide 3rd ed., section 4.7 and 4.9; Golub & Van Loan 4th ed.,
    # section 8.3 and 8.6). The theorems have polynomials; the guide takes 1; ten n leaves room for Jacobi and QDWH.
    "orthogonal": lambda n: 10 * n,
}
"""How many roundings one after the other an algorithm amounts to, by the larger side n of its matrix."""


def _steps(unit: Unit, algorithm: str, n: int) -> float:
    # A factorisation is mostly matrix products.
    return float(unit.steps(STEPS[algorithm](n), max(current().u, current().product_u)))


def _each(function: Callable[..., Any], matrices: Floats, shape: tuple[int, ...]) -> Floats:
    """Apply a factorisation to a stack of matrices; one that has none gets NaN, and costs only itself."""
    try:
        return np.asarray(function(matrices), dtype=np.float64)
    except np.linalg.LinAlgError:
        if matrices.ndim == 2:
            return np.full(shape, np.nan)
        return np.stack([_each(function, m, shape[1:]) for m in matrices])


def _frobenius(x: Any) -> Any:
    return np.sqrt(np.sum(np.square(x), axis=(-2, -1), keepdims=True))


def _spectral(x: Floats) -> Any:
    return np.linalg.norm(x, 2, axis=(-2, -1), keepdims=True) if x.size else np.zeros((*x.shape[:-2], 1, 1))


# Elimination


def _magnitude_of_factors(matrices: Floats) -> tuple[Floats, Floats]:
    """Return Pᵀ|L||U| of elimination with partial pivoting, and the diagonal of U."""
    n = matrices.shape[-1]
    U = matrices.reshape(-1, n, n).copy()
    batch = np.arange(len(U))
    L = np.zeros_like(U)
    order = np.tile(np.arange(n), (len(U), 1))
    for j in range(n):
        pivot = j + np.argmax(np.abs(U[:, j:, j]), axis=1)
        for array in (U, L, order):
            kept = array[:, j].copy()
            array[:, j] = array[batch, pivot]
            array[batch, pivot] = kept
        head = U[:, j, j][:, None]
        factors = np.where(head != 0, U[:, j + 1 :, j] / head, 0.0)
        L[:, j, j], L[:, j + 1 :, j] = 1.0, factors
        U[:, j + 1 :] -= factors[:, :, None] * U[:, None, j]
        U[:, j + 1 :, j] = 0.0
    product = np.empty_like(U)
    product[batch[:, None], order] = np.abs(L) @ np.abs(U)
    return product.reshape(matrices.shape), np.diagonal(U, axis1=-2, axis2=-1).reshape(matrices.shape[:-1])


def _amplified(G: Floats, y: Any) -> Any:
    """Bound (I − G)⁻¹y ≤ y + Gy + ρ/(1 − ρ)·max(Gy), ρ = ‖G‖_∞; infinite where ρ ≥ 1."""
    rho = np.max(np.sum(G, axis=-1, keepdims=True), axis=-2, keepdims=True, initial=0.0)
    first = G @ y
    rest = rho / (1.0 - rho) * np.max(first, axis=-2, keepdims=True, initial=0.0)
    return np.where(rho < 1, y + first + rest, np.inf)


class _Elimination:
    """What solve, inv and det share: the inverse, and how large a perturbation of the matrix is."""

    def __init__(self, A: Array) -> None:
        self.A = A
        self.n = A.shape[-1]
        self.inverse = _each(np.linalg.inv, A.value, A.shape)
        self.size = np.abs(self.inverse)
        self.factors, self.pivots = _magnitude_of_factors(A.value)

    def perturbation(self, error: Error, unit: Unit) -> Any:
        """Return D, a bound on the error of the matrix and the backward error of the algorithm together."""
        return _steps(unit, "elimination", self.n) * self.factors + error

    def moved(self, error: Error, right: Error, solution: Floats, unit: Unit) -> Any:
        """Bound |x̂ − x| for (A + ΔA)x̂ = b + Δb (Higham 2002, Thm 7.4), infinite if A + ΔA may be singular."""
        D = self.perturbation(error, unit)
        G = self.size @ D
        shift = 0.0 if isinstance(right, float) else self.size @ right
        exact = _amplified(G, np.abs(solution) + shift)
        return up(_amplified(2.0 * G, self.size @ (D @ exact) + shift), 8 * self.n)


def solve(a: Any, b: Any, /) -> Array:
    """Solve AX = B by elimination with partial pivoting."""
    A, B = as_array(a), as_array(b)
    vector = B.ndim == 1
    work = _Elimination(A)
    right = B.map(lambda p: p[..., None]) if vector else B
    shape = (*np.broadcast_shapes(A.shape[:-2], right.shape[:-2]), *right.shape[-2:])
    matrices = np.broadcast_to(A.value, (*shape[:-2], *A.shape[-2:]))
    value = _solved(matrices, np.broadcast_to(right.value, shape))

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        return work.moved(errors[0], errors[1], value, unit)

    result = bounded([A, right], value, rule, rounds=True, differ=True)
    return result.map(lambda p: p[..., 0]) if vector else result


def _solved(matrices: Floats, right: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(matrices, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        return _each(np.linalg.inv, matrices, matrices.shape) @ right


def inv(a: Any, /) -> Array:
    """The inverse, by elimination (Higham 2002, section 14.3)."""
    A = as_array(a)
    work = _Elimination(A)
    return bounded(
        [A], work.inverse, lambda errors, unit: work.moved(errors[0], 0.0, work.inverse, unit), rounds=True, differ=True
    )


def _logarithms(work: _Elimination, unit: Unit) -> Any:
    """Bound the error of Σ log |pivot| that adding up and the logarithms make.

    A pivot of zero may be a rounding of the matrix in another elimination; a matrix of zeros has none.
    """
    size = np.abs(work.pivots)
    least = current().u * np.max(size, axis=-1, keepdims=True, initial=0.0)
    pivots = np.maximum(size, least)
    logs = np.sum(np.abs(np.log(np.where(pivots > 0, pivots, 1.0))), axis=-1)
    return (unit.steps(work.n) + 2.0 * current().ulps("log") * current().u) * logs


def _log_determinant_shift(work: _Elimination, error: Error, unit: Unit) -> Any:
    """Bound |log det(I + F)| ≤ tr|F| + ‖F‖²/(2(1 − ‖F‖)) for F = A⁻¹ΔA, from the series of its traces."""
    G = work.size @ work.perturbation(error, unit)
    F = _amplified(G, G)
    size = _frobenius(F)[..., 0, 0]
    return np.where(size < 1, np.trace(F, axis1=-2, axis2=-1) + size**2 / (2.0 * (1.0 - size)), np.inf)


def det(a: Any, /) -> Array:
    """The product of the pivots; near a singular matrix by singular values (Ipsen & Rehman 2008, Thm 2.12).

    NumPy takes the exponential of the sum of their logarithms, whose error is relative to the logarithm.
    """
    A = as_array(a)
    work = _Elimination(A)
    value = np.asarray(np.linalg.det(A.value))
    S = np.linalg.svd(A.value, compute_uv=False)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        along = unit.steps(work.n) + _logarithms(work, unit)
        shift = _log_determinant_shift(work, errors[0], unit) + along
        relative = np.abs(value) * np.exp(shift) * np.expm1(shift)
        D = _frobenius(work.perturbation(errors[0], unit))[..., 0]
        once, twice = np.prod(S + D, axis=-1), np.prod(S + 2.0 * D, axis=-1)
        absolute = once + twice * (1.0 + along) - 2.0 * np.prod(S, axis=-1)
        # Where nothing has to be subtracted the second is as good as its rounding.
        return up(np.fmin(relative, absolute + 2.0**-45 * twice), 8 * work.n) + current().underflow

    return bounded([A], value, rule, rounds=True, differ=True)


def slogdet(a: Any, /) -> SLogDet:
    """Sign and log |det A|; the sign is lost where the matrix may be singular."""
    A = as_array(a)
    work = _Elimination(A)
    sign, logarithm = np.linalg.slogdet(A.value)

    def sign_rule(errors: Sequence[Error], unit: Unit) -> Any:
        return np.where(_log_determinant_shift(work, errors[0], unit) < np.inf, 0.0, 2.0)

    def logarithm_rule(errors: Sequence[Error], unit: Unit) -> Any:
        shift = _log_determinant_shift(work, errors[0], unit)
        own = _logarithms(work, unit) + 2.0 * (unit.steps(work.n) + current().u) * shift
        return up(shift + own, 8 * work.n) + current().underflow

    return SLogDet(
        bounded([A], sign, sign_rule, differ=True), bounded([A], logarithm, logarithm_rule, rounds=True, differ=True)
    )


# Cholesky


def cholesky(a: Any, /, *, upper: bool = False) -> Array:
    """The factor L of A = LLᵀ.

    With M = |L⁻¹||ΔA||L⁻ᵀ|, L̂ = L(I + X) and X = low(F − XXᵀ), |F| ≤ M: |X| ≤ low(M) to first order (Sun 1992;
    Higham 2002, Thm 10.8), and the rest is at most the square of ‖X‖_F ≤ (√2 − √(2 − 4‖M‖_F))/2. low is the lower
    triangle with half the diagonal.
    """
    A = as_array(a)
    n = A.shape[-1]
    L = _each(np.linalg.cholesky, A.value, A.shape)
    inverse = np.abs(_each(np.linalg.inv, L, A.shape))
    half = np.tril(np.ones((n, n)), -1) + 0.5 * np.eye(n)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        size = np.abs(L)
        D = _steps(unit, "cholesky", n) * (size @ np.swapaxes(size, -1, -2)) + errors[0]
        M = inverse @ D @ np.swapaxes(inverse, -1, -2)
        rest = _second_order(_frobenius(M)) + _second_order(2.0 * _frobenius(M))
        return up(size @ (half * M + rest * np.tril(np.ones((n, n)))), 8 * n)

    result = bounded([A], L, rule, rounds=True, differ=True)
    return result.mT if upper else result


def _second_order(m: Any) -> Any:
    # 2m/(√2 + √(2 − 4m)) is the root, written so that it does not cancel.
    return np.where(m < 0.5, np.square(2.0 * m / (math.sqrt(2.0) + np.sqrt(np.maximum(2.0 - 4.0 * m, 0.0)))), np.inf)


# Orthogonal factorisations


def _backward(A: Array, error: Error, unit: Unit) -> Any:
    """Bound the norm of the perturbation, errors of the matrix included; its last two axes have length 1."""
    n = max(A.shape[-2:])
    inherited = 0.0 if isinstance(error, float) else _frobenius(error)
    return up(_steps(unit, "orthogonal", n) * (_spectral(A.value) + 2.0 * inherited) + inherited, 8 * n)


def eigvalsh(a: Any, /) -> Array:
    """Eigenvalues move no further than the perturbation (Weyl; Golub & Van Loan, Cor. 8.1.6)."""
    A = as_array(a)
    value = _each(np.linalg.eigvalsh, A.value, A.shape[:-1])
    return bounded([A], value, lambda errors, unit: _backward(A, errors[0], unit)[..., 0], rounds=True, differ=True)


def eigh(a: Any, /) -> Eigh:
    """Vectors turn by sin θ ≤ ‖ΔA‖/gap (Davis & Kahan; Golub & Van Loan, Thm 8.1.12)."""
    A = as_array(a)
    values, vectors = np.linalg.eigh(A.value)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        backward = _backward(A, errors[0], unit)
        return _turned(_gap(values), backward, math.sqrt(2.0)) + _steps(unit, "orthogonal", A.shape[-1])

    return Eigh(eigvalsh(A), bounded([A], vectors, rule, rounds=True, differ=True))


def _gap(values: Floats) -> Any:
    distance = np.abs(values[..., :, None] - values[..., None, :])
    return np.min(distance + np.where(np.eye(values.shape[-1]) > 0, np.inf, 0.0), axis=-1, initial=np.inf)


def _turned(gap: Any, backward: Any, factor: float) -> Any:
    # The exact values may be nearer by one perturbation, the computed ones by two.
    room = gap[..., None, :] - 3.0 * backward
    return np.where(room > 0, factor * backward / room, np.inf)


def svdvals(x: Any, /) -> Array:
    """Singular values move no further than the perturbation (Golub & Van Loan, Cor. 8.6.2)."""
    A = as_array(x)
    value = np.linalg.svd(A.value, compute_uv=False)
    rule = lambda errors, unit: _backward(A, errors[0], unit)[..., 0]  # noqa: E731
    return bounded([A], value, rule, rounds=True, differ=True, nonnegative=True)


def svd(x: Any, /, *, full_matrices: bool = True) -> SVD:
    """Vectors turn as those of [[0, A], [Aᵀ, 0]], whose eigenvalues are ±σ, and 0 if A is not square."""
    A = as_array(x)
    if full_matrices and A.shape[-1] != A.shape[-2]:
        raise NotImplementedError(
            "the bounds namespace has no full singular vectors: the null space has no basis of its own"
        )
    U, S, Vh = np.linalg.svd(A.value, full_matrices=False)
    gap = np.minimum(_gap(S), S if A.shape[-1] != A.shape[-2] else 2.0 * S)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        return _turned(gap, _backward(A, errors[0], unit), 2.0) + _steps(unit, "orthogonal", max(A.shape[-2:]))

    left = bounded([A], U, rule, rounds=True, differ=True)
    right = bounded([A], Vh, lambda errors, unit: np.swapaxes(rule(errors, unit), -1, -2), rounds=True, differ=True)
    return SVD(left, svdvals(A), right)


def qr(x: Any, /, *, mode: str = "reduced") -> QR:
    """‖ΔQ‖_F and ‖ΔR‖_F/‖R‖ are at most (1 + √2)κ‖ΔA‖_F/‖A‖ to first order (Sun 1991; Higham 2002, section 19.9)."""
    A = as_array(x)
    if mode != "reduced" or A.shape[-2] < A.shape[-1]:
        raise NotImplementedError("the bounds namespace has the reduced factorisation of a tall matrix only")
    Q, R = np.linalg.qr(A.value)
    S = np.linalg.svd(A.value, compute_uv=False)[..., None]
    smallest, largest = S[..., -1:, :], S[..., :1, :]

    def turned(errors: Sequence[Error], unit: Unit) -> Any:
        moved = math.sqrt(A.shape[-1]) * _backward(A, errors[0], unit)
        room = smallest - (1.0 + math.sqrt(2.0)) * 3.0 * moved
        return np.where(room > 0, (1.0 + math.sqrt(2.0)) * moved / room, np.inf)

    def triangle(errors: Sequence[Error], unit: Unit) -> Any:
        return np.triu(np.broadcast_to(turned(errors, unit) * largest * math.sqrt(A.shape[-1]), R.shape))

    own = lambda errors, unit: turned(errors, unit) + _steps(unit, "orthogonal", A.shape[-2])  # noqa: E731
    return QR(bounded([A], Q, own, rounds=True, differ=True), bounded([A], R, triangle, rounds=True, differ=True))


def pinv(x: Any, /, *, rtol: float | None = None) -> Array:
    """‖Â⁺ − A⁺‖ ≤ (1 + √5)/2·‖A⁺‖²‖ΔA‖ at full rank (Wedin 1973); infinite where the rank is in doubt."""
    A = as_array(x)
    value = np.linalg.pinv(A.value) if rtol is None else np.linalg.pinv(A.value, rtol=rtol)
    S = np.linalg.svd(A.value, compute_uv=False)[..., None]
    smallest, largest = S[..., -1:, :], S[..., :1, :]
    cutoff = (rtol or 10.0 * max(A.shape[-2:]) * current().u) * largest

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        moved = _backward(A, errors[0], unit)
        room = smallest - 3.0 * moved
        golden = 0.5 * (1.0 + math.sqrt(5.0))
        own = 2.0 * _steps(unit, "orthogonal", max(A.shape[-2:])) / smallest
        return np.where(room > cutoff, golden * moved / room**2 + own, np.inf)

    return bounded([A], value, rule, rounds=True, differ=True)


# Made of what there is


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norms of vectors, by their definition."""
    size = arithmetic.abs(as_array(x))
    if ord in (math.inf, -math.inf):
        return (reductions.max if ord > 0 else reductions.min)(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return added_up(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return reductions.count_nonzero(size, axis=axis, keepdims=keepdims)
    if ord == 2:
        return elementary.sqrt(added_up(size * size, axis=axis, keepdims=keepdims))
    return added_up(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norms of matrices."""
    A = as_array(x)
    if ord == "fro":
        return vector_norm(A, axis=(-2, -1), keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        S = svdvals(A)
        norm = {2: reductions.max, -2: reductions.min, "nuc": added_up}[ord](S, axis=-1)
    else:
        norm = (reductions.max if ord > 0 else reductions.min)(
            added_up(arithmetic.abs(A), axis=-2 if abs(ord) == 1 else -1), axis=-1
        )
    return norm[..., None, None] if keepdims else norm


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of the last two axes."""
    return as_array(x).map(lambda p: np.diagonal(p, offset=offset, axis1=-2, axis2=-1))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal."""
    return added_up(diagonal(x, offset=offset), axis=-1)


def outer(a: Any, b: Any, /) -> Any:
    """All products of two vectors."""
    return as_array(a)[:, None] * as_array(b)[None, :]


def cross(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    """The vector product."""
    (a0, a1, a2), (b0, b1, b2) = shapes.unstack(as_array(a), axis=axis), shapes.unstack(as_array(b), axis=axis)
    return shapes.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axis)


def matrix_power(x: Any, n: int, /) -> Any:
    """Powers by repeated squaring."""
    A = as_array(x)
    if n < 0:
        return matrix_power(inv(A), -n)
    power: Any = None
    while n:
        if n % 2:
            power = A if power is None else matmul(power, A)
        n //= 2
        A = matmul(A, A) if n else A
    return creation.eye(x.shape[-1]) if power is None else power

"""What torch's ATen calls are in the array API standard: products and factorisations of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multigrad.data.errors import BadInput
from multigrad.graph.matrices import (
    distances,
    distances_of_pairs,
    factorised,
    householder_product,
    matrix_exponential,
    solve_triangle,
    solve_with_factor,
    solve_with_pivots,
    unpacked,
)
from multigrad.graph.namespace import Namespace, is_number

from .facts import Array, Fact, axes_of, by_name


def _product(xp: Namespace, a: Array, b: Array, **_: Any) -> Array:
    return xp.matmul(xp.array(a), xp.array(b))


def _added_product(
    xp: Namespace, x: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1, **_: Any
) -> Array:
    product = _product(xp, a, b)
    return (xp.array(x) if beta == 1 else beta * xp.array(x)) + (product if alpha == 1 else alpha * product)


def _side_by_side(xp: Namespace, a: Array, b: Array) -> tuple[Array, Array]:
    """Lay stacks of matrices into one whose product is the sum of theirs."""
    a, b = xp.array(a), xp.array(b)
    return xp.reshape(xp.moveaxis(a, 0, 1), (a.shape[1], -1)), xp.reshape(b, (-1, b.shape[2]))


def _norm(xp: Namespace, x: Array, *, ord: float = 2, dim: Any = None, keepdim: bool = False, **_: Any) -> Array:
    x = xp.array(x)
    if not x.ndim:
        return xp.abs(x)
    return xp.linalg.vector_norm(x, axis=axes_of(dim, x.ndim), keepdims=keepdim, ord=ord)


def _summed_product(
    xp: Namespace,
    *factors: Array,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    **_: Any,
) -> Array:
    wide = [xp.array(x) for x in factors]
    for i, axes in enumerate((expand1, expand2, expand3)):
        for axis in axes:
            wide[i] = xp.expand_dims(wide[i], axis=axis)
    first, second, third = wide
    return xp.sum(first * second * third, axis=tuple(sumdim))


def _solved(xp: Namespace, A: Array, B: Array, *, left: bool = True, **_: Any) -> tuple[Any, ...]:
    T = xp.matrix_transpose
    A, B = xp.array(A), xp.array(B)
    vectors = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    B = xp.expand_dims(B, axis=-1) if vectors else B
    X = xp.linalg.solve(A, B) if left else T(xp.linalg.solve(T(A), T(B)))
    return (xp.squeeze(X, axis=-1) if vectors else X), None, None, None


def _decomposed(
    xp: Namespace, A: Array, *, full_matrices: bool = False, compute_uv: bool = True, **_: Any
) -> tuple[Any, ...]:
    A = xp.array(A)
    if not compute_uv:
        return None, xp.linalg.svdvals(A), None
    return tuple(xp.linalg.svd(A, full_matrices=full_matrices))


def _eigen(xp: Namespace, A: Array, *, UPLO: str = "L", compute_v: bool = True, **_: Any) -> tuple[Any, ...]:
    A = xp.array(A)
    A = xp.matrix_transpose(A) if UPLO == "U" else A
    return tuple(xp.linalg.eigh(A)) if compute_v else (xp.linalg.eigvalsh(A), None)


def _qr(xp: Namespace, A: Array, *, mode: str = "reduced", **_: Any) -> tuple[Any, ...]:
    # Of "r" nobody reads Q, which is made beside R in any case.
    Q, R = xp.linalg.qr(xp.array(A), mode=mode) if mode == "complete" else xp.linalg.qr(xp.array(A))
    return Q, R


def _cholesky(xp: Namespace, A: Array, *, upper: bool = False, **_: Any) -> Array:
    # Only one triangle is read, as torch does it.
    A = xp.array(A)
    L = xp.linalg.cholesky(xp.matrix_transpose(A) if upper else A)
    return xp.matrix_transpose(L) if upper else L


def _solved_by_factor(xp: Namespace, B: Array, L: Array, *, upper: bool = False, **_: Any) -> Array:
    return solve_with_factor(xp, xp.array(L), xp.array(B), upper=upper)


def _substituted(
    xp: Namespace, A: Array, B: Array, *, upper: bool, left: bool = True, unitriangular: bool = False, **_: Any
) -> Array:
    return solve_triangle(xp, xp.array(A), xp.array(B), left=left, upper=upper, unit_diagonal=unitriangular)


def _inverse_of_factor(xp: Namespace, L: Array, *, upper: bool = False, **_: Any) -> Array:
    L = xp.array(L)
    return solve_with_factor(xp, L, xp.eye(L.shape[-1], dtype=xp.floating, device=xp.device), upper=upper)


def _triangles(xp: Namespace, A: Array, **_: Any) -> tuple[Array, Array, Array]:
    LU, _exchanges, order = factorised(xp, xp.array(A))
    return unpacked(xp, LU, order)


def _factors(xp: Namespace, A: Array, **_: Any) -> tuple[Any, ...]:
    LU, exchanges, _order = factorised(xp, xp.array(A))
    return LU, exchanges + 1, None  # torch counts rows from 1


def _solved_by_factors(xp: Namespace, LU: Array, pivots: Array, B: Array, **_: Any) -> Array:
    return solve_with_pivots(xp, xp.array(LU), pivots - 1, xp.array(B))


SMALLEST_CUTOFF = 1e-10
"""A relative tolerance up to here is one for rounding errors."""


def _pseudo_inverse(
    xp: Namespace, self: Array, atol: Any = 0.0, rtol: Any = 0.0, *, hermitian: bool = False, **_: Any
) -> Array:
    """The pseudo-inverse of a matrix of full rank.

    Raises:
        BadInput: singular values are cut off, by a tolerance that is more than one for rounding errors.
    """
    for tolerance in (atol, rtol):
        if tolerance is not None and (not is_number(tolerance) or tolerance > SMALLEST_CUTOFF):
            raise BadInput(
                "linalg.pinv with a tolerance cuts off singular values by their size, which has no array API form; "
                "write it with linalg.svd"
            )
    A = xp.array(self)
    return xp.linalg.pinv(xp.tril(A) + xp.matrix_transpose(xp.tril(A, k=-1)) if hermitian else A)


def _legacy_substituted(
    xp: Namespace,
    B: Array,
    A: Array,
    *,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    **_: Any,
) -> tuple[Array, Array]:
    A = xp.matrix_transpose(xp.array(A)) if transpose else xp.array(A)
    return _substituted(xp, A, B, upper=upper != transpose, unitriangular=unitriangular), A


# fmt: off
MATRICES: dict[str, Fact] = {
    "addmm":                      _added_product,
    "addmv":                      _added_product,
    "addbmm":                     lambda xp, x, a, b, **how: _added_product(xp, x, *_side_by_side(xp, a, b), **how),
    "baddbmm":                    _added_product,
    "bmm":                        _product,
    "cholesky":                   _cholesky,
    "cholesky_inverse":           _inverse_of_factor,
    "cholesky_solve":             _solved_by_factor,
    "dist":                       lambda xp, x, y, *, p=2, **_: _norm(xp, xp.array(x) - xp.array(y), ord=p),
    "dot":                        _product,
    "linalg_cholesky_ex":         lambda xp, A, **how: (_cholesky(xp, A, **how), None),
    "linalg_householder_product": lambda xp, V, t, **_: householder_product(xp, xp.array(V), xp.array(t)),
    "linalg_inv_ex":              lambda xp, A, **_: (xp.linalg.inv(xp.array(A)), None),
    "linalg_lu":                  _triangles,
    "linalg_lu_factor_ex":        _factors,
    "linalg_lu_solve":            _solved_by_factors,
    "linalg_matrix_exp":          lambda xp, A, **_: matrix_exponential(xp, xp.array(A)),
    "linalg_pinv":                by_name(_pseudo_inverse),
    "linalg_qr":                  _qr,
    "linalg_solve_triangular":    _substituted,
    "linalg_vector_norm":         _norm,
    "mm":                         _product,
    "mv":                         _product,
    "triangular_solve":           _legacy_substituted,
    "_cdist_forward":             lambda xp, x, y, *, p, **_: distances(xp, xp.array(x), xp.array(y), p),
    "_euclidean_dist":            lambda xp, x, y, **_: distances(xp, xp.array(x), xp.array(y), 2),
    "_linalg_check_errors":       lambda xp, *_operands, **_: (),
    "_linalg_det":                lambda xp, A, **_: (xp.linalg.det(xp.array(A)), None, None),
    "_linalg_eigh":               _eigen,
    "_linalg_slogdet":            lambda xp, A, **_: (*xp.linalg.slogdet(xp.array(A)), None, None),
    "_linalg_solve_ex":           _solved,
    "_linalg_svd":                _decomposed,
    "_pdist_forward":             lambda xp, x, *, p=2, **_: distances_of_pairs(xp, xp.array(x), p),
    "_trilinear":                 _summed_product,
}
"""Products, norms and factorisations; what nobody reads of a factorisation is None."""
# fmt: on

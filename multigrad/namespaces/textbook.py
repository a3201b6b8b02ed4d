"""Functions of the array API standard written in terms of others, once, for every namespace of ours.

Each takes the namespace first. A namespace that holds the primitives (arithmetic, `sum`, `matmul`, `where`,
comparisons, moving entries about) gets the rest from here; `exact` and `dual` run the very same lines. Linear algebra
is the textbook's: Gauss-Jordan elimination with a pivot, Cholesky's outer products, Gram-Schmidt, Faddeev-LeVerrier.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .numpy_protocols import NumpyProtocols

Array = Any


class SLogDet(NamedTuple):
    """Sign and logarithm of the magnitude of a determinant."""

    sign: Any
    logabsdet: Any


class Eigh(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class QR(NamedTuple):
    """Orthonormal columns and an upper triangle."""

    Q: Any
    R: Any


class SVD(NamedTuple):
    """Left singular vectors as columns, singular values, right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def mean(xp: Any, x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Σx / n over the axes."""
    return xp.sum(x, axis=axis, keepdims=keepdims) / _count(x, axis)


def var(
    xp: Any,
    x: Array,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    correction: float = 0,
    keepdims: bool = False,
) -> Array:
    """Σ(x − x̄)² / (n − correction) over the axes."""
    return xp.sum(xp.square(x - mean(xp, x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims) / (
        _count(x, axis) - correction
    )


def std(
    xp: Any,
    x: Array,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    correction: float = 0,
    keepdims: bool = False,
) -> Array:
    """The square root of the variance."""
    return xp.sqrt(var(xp, x, axis=axis, correction=correction, keepdims=keepdims))


def _count(x: Array, axis: int | tuple[int, ...] | None) -> int:
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return math.prod(x.shape[a] for a in axes)


def prod(
    xp: Any, x: Array, /, *, axis: int | tuple[int, ...] | None = None, dtype: Any = None, keepdims: bool = False
) -> Array:
    """Πx over the axes, one factor after the other."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % x.ndim for a in axes)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    flat = xp.reshape(xp.permute_dims(x, (*axes, *rest)), (-1, *(x.shape[a] for a in rest)))
    result = xp.ones(flat.shape[1:])
    for i in range(flat.shape[0]):
        result = result * flat[i, ...]
    return xp.reshape(result, tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else result


def cumulative_prod(
    xp: Any, x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """The products of the first 1, 2, … entries along an axis."""
    axis = 0 if axis is None else axis
    lanes = xp.moveaxis(x, axis, 0)
    results = [xp.ones(lanes.shape[1:])] if include_initial else []
    for i in range(lanes.shape[0]):
        results.append(results[-1] * lanes[i, ...] if results else lanes[i, ...])
    return xp.moveaxis(xp.stack(results, axis=0), 0, axis)


def diff(xp: Any, x: Array, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    """The n-th differences along an axis."""
    x = xp.concat([part for part in (prepend, x, append) if part is not None], axis=axis)
    for _ in range(n):
        lanes = xp.moveaxis(x, axis, 0)
        x = xp.moveaxis(lanes[1:, ...] - lanes[:-1, ...], 0, axis)
    return x


def clip(xp: Any, x: Array, /, min: Any = None, max: Any = None) -> Array:
    """min(max(x, lower), upper)."""
    x = x if min is None else xp.maximum(x, min)
    return x if max is None else xp.minimum(x, max)


def logaddexp(xp: Any, x: Array, y: Array, /) -> Array:
    """log(eˣ + eʸ). Balls do not overflow, so the formula is its own stable form."""
    return xp.log(xp.exp(x) + xp.exp(y))


def hypot(xp: Any, x: Array, y: Array, /) -> Array:
    """√(x² + y²)."""
    return xp.sqrt(xp.square(x) + xp.square(y))


def copysign(xp: Any, x: Array, y: Array, /) -> Array:
    """|x| with the sign of y; a ball has no negative zero, so y = 0 counts as positive."""
    return xp.where(xp.less(y, 0), -xp.abs(x), xp.abs(x))


def floor_divide(xp: Any, x: Array, y: Array, /) -> Array:
    """⌊x / y⌋."""
    return xp.floor(xp.divide(x, y))


def remainder(xp: Any, x: Array, y: Array, /) -> Array:
    """What is left, x − ⌊x / y⌋y, which has the sign of y."""
    return x - floor_divide(xp, x, y) * y


def searchsorted(xp: Any, x1: Array, x2: Array, /, *, side: str = "left", sorter: Any = None) -> Array:
    """For each entry of x2, the place in the sorted x1 before which (after which: ``side="right"``) it belongs."""
    x1 = x1 if sorter is None else xp.take(x1, sorter, axis=0)
    before = xp.less if side == "left" else xp.less_equal
    return xp.count_nonzero(before(x1, xp.expand_dims(x2, axis=-1)), axis=-1)


def signbit(xp: Any, x: Array, /) -> Array:
    """Whether x < 0; a ball has no negative zero."""
    return xp.less(x, 0)


def letters(subscripts: str, operands: Sequence[Array]) -> tuple[list[str], str, dict[str, int]]:
    """Read the subscripts of ``einsum``.

    Returns:
        The letters of each operand, those of the result, and the size of each. An ellipsis becomes capital letters that
        are not used.

    Raises:
        ValueError: they do not fit the operands.
    """
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum {subscripts!r} has {len(terms)} operands, found {len(operands)}")
    free = [c for c in string.ascii_uppercase if c not in subscripts]
    ranks = [len(np.shape(x)) - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)]
    dots = max((r for t, r in zip(terms, ranks, strict=True) if "..." in t), default=0)
    terms = [t.replace("...", "".join(free[dots - r : dots])) for t, r in zip(terms, ranks, strict=True)]
    if arrow:
        result = result.replace("...", "".join(free[:dots]))
    else:
        once = sorted(c for c in set("".join(terms)) - set(free[:dots]) if "".join(terms).count(c) == 1)
        result = "".join(free[:dots]) + "".join(once)
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        if len(term) != len(np.shape(x)):
            raise ValueError(f"einsum {subscripts!r}: {term!r} does not fit an operand of shape {np.shape(x)}")
        for letter, n in zip(term, np.shape(x), strict=True):
            if sizes.setdefault(letter, n) not in (n, 1) and n != 1:
                raise ValueError(f"einsum {subscripts!r}: {letter} is {sizes[letter]} and {n}")
            sizes[letter] = max(sizes[letter], n) if 0 not in (n, sizes[letter]) else 0
    return terms, result, sizes


def einsum(xp: Any, subscripts: str, /, *operands: Array) -> Array:
    """Sums of products over letters, two operands at a time, each a batched matrix product."""
    terms, result, _ = letters(subscripts, operands)
    pairs = [_once(xp, term, x) for term, x in zip(terms, operands, strict=True)]
    while len(pairs) > 1:
        (first, a), (second, b), *rest = pairs
        kept = result + "".join(t for t, _ in rest)
        pairs = [_contracted(xp, first, a, second, b, kept), *rest]
    ((term, x),) = pairs
    gone = tuple(i for i, c in enumerate(term) if c not in result)
    x = xp.sum(x, axis=gone) if gone else x
    left = [c for c in term if c in result]
    return xp.permute_dims(x, tuple(left.index(c) for c in result))


def _once(xp: Any, term: str, x: Array) -> tuple[str, Array]:
    """Take the diagonal of letters that stand twice."""
    for letter in dict.fromkeys(c for c in term if term.count(c) > 1):
        first, second = (i for i, c in enumerate(term) if c == letter)
        x = xp.linalg.diagonal(xp.moveaxis(x, (first, second), (-2, -1)))
        term = term.replace(letter, "") + letter
    return term, x


def _contracted(xp: Any, first: str, a: Array, second: str, b: Array, kept: str) -> tuple[str, Array]:
    """Multiply two operands and sum over the letters that nobody needs any more."""
    first, a = _summed(xp, first, a, second + kept)
    second, b = _summed(xp, second, b, first + kept)
    batch = [c for c in first if c in second and c in kept]
    inner = [c for c in first if c in second and c not in kept]
    rows, columns = [c for c in first if c not in second], [c for c in second if c not in first]
    # An axis of length 1 beside a longer one is repeated.
    size = {c: max(a.shape[first.index(c)], b.shape[second.index(c)]) for c in (*batch, *inner)}
    size |= {c: a.shape[first.index(c)] for c in rows} | {c: b.shape[second.index(c)] for c in columns}

    def laid(term: str, x: Array, *groups: Sequence[str]) -> Array:
        order = [c for group in groups for c in group]
        wide = xp.broadcast_to(x, tuple(size[c] for c in term))
        return xp.reshape(
            xp.permute_dims(wide, tuple(term.index(c) for c in order)),
            (*(size[c] for c in groups[0]), *(math.prod(size[c] for c in group) for group in groups[1:])),
        )

    product = xp.matmul(laid(first, a, batch, rows, inner), laid(second, b, batch, inner, columns))
    letters_ = (*batch, *rows, *columns)
    return "".join(letters_), xp.reshape(product, tuple(size[c] for c in letters_))


def _summed(xp: Any, term: str, x: Array, kept: str) -> tuple[str, Array]:
    gone = tuple(i for i, c in enumerate(term) if c not in kept)
    return "".join(c for c in term if c in kept), xp.sum(x, axis=gone) if gone else x


def vecdot(xp: Any, x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Σ x₁x₂ along an axis."""
    return xp.sum(xp.multiply(x1, x2), axis=axis)


def tensordot(xp: Any, x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Sum over pairs of axes, as one matrix product."""
    if isinstance(axes, int):
        axes = (range(x1.ndim - axes, x1.ndim), range(axes))
    first, second = ([a % x.ndim for a in side] for x, side in zip((x1, x2), axes, strict=True))
    left, right = ([a for a in range(x.ndim) if a not in side] for x, side in ((x1, first), (x2, second)))
    rows, columns = (tuple(x.shape[a] for a in side) for x, side in ((x1, left), (x2, right)))
    length = math.prod(x1.shape[a] for a in first)
    A = xp.reshape(xp.permute_dims(x1, (*left, *first)), (math.prod(rows), length))
    B = xp.reshape(xp.permute_dims(x2, (*second, *right)), (length, math.prod(columns)))
    return xp.reshape(xp.matmul(A, B), (*rows, *columns))


def outer(xp: Any, x1: Array, x2: Array, /) -> Array:
    """x₁x₂ᵀ of two vectors."""
    return x1[:, None] * x2[None, :]


def diagonal(xp: Any, x: Array, /, *, offset: int = 0) -> Array:
    """The entries x[…, i, i + offset]."""
    rows, columns = x.shape[-2:]
    i = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0)))) + max(0, -offset)
    return x[..., i, i + offset]


def trace(xp: Any, x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of a diagonal."""
    return xp.sum(diagonal(xp, x, offset=offset), axis=-1)


def cross(xp: Any, x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of length 3."""
    a, b = xp.moveaxis(x1, axis, 0), xp.moveaxis(x2, axis, 0)
    parts = [a[(i + 1) % 3, ...] * b[(i + 2) % 3, ...] - a[(i + 2) % 3, ...] * b[(i + 1) % 3, ...] for i in range(3)]
    return xp.moveaxis(xp.stack(parts, axis=0), 0, axis)


def matrix_power(xp: Any, x: Array, n: int, /) -> Array:
    """Xⁿ by repeated squaring; X⁻¹ first where n is negative."""
    if n < 0:
        return matrix_power(xp, xp.linalg.inv(x), -n)
    result = xp.zeros_like(x) + xp.eye(x.shape[-1])
    while n:
        if n % 2:
            result = xp.matmul(result, x)
        n //= 2
        x = xp.matmul(x, x) if n else x
    return result


def holds_arrays(x: Any) -> bool:
    """Whether a list holds arrays of ours, at any depth."""
    return isinstance(x, list | tuple) and any(isinstance(i, NumpyProtocols) or holds_arrays(i) for i in x)


def stacked(xp: Any, x: Any) -> Array:
    """Make one array of lists of arrays and numbers."""
    return xp.stack([stacked(xp, i) if isinstance(i, list | tuple) else xp.asarray(i) for i in x], axis=0)


def batched(xp: Any, function: Callable[..., Any], *arrays: Array) -> Any:
    """Apply a function of matrices to every item of the leading dimensions, and stack what it returns."""
    batch = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    if not batch:
        return function(*arrays)
    arrays = tuple(xp.broadcast_to(a, batch + a.shape[-2:]) for a in arrays)
    results = [function(*(a[index] for a in arrays)) for index in itertools.product(*map(range, batch))]
    if isinstance(results[0], tuple):
        return tuple(_stacked(xp, [r[i] for r in results], batch) for i in range(len(results[0])))
    return _stacked(xp, results, batch)


def _stacked(xp: Any, items: list[Array], batch: tuple[int, ...]) -> Array:
    return xp.reshape(xp.stack(items, axis=0), batch + items[0].shape)


def _divisor(xp: Any, pivot: Array, what: str) -> Array:
    if not bool(xp.is_certainly_nonzero(pivot)):
        raise xp.Undecided(f"{what} may be zero")
    return pivot


def solve(xp: Any, A: Array, B: Array, /) -> Array:
    """X with AX = B, by Gauss-Jordan elimination with the largest pivot of each column.

    Raises:
        Undecided: every candidate for a pivot may be zero.
    """
    if B.ndim == 1:
        return batched(xp, lambda M, v: _eliminated(xp, M, v[0, :][:, None])[:, 0], A, B[None, :])
    return batched(xp, lambda M, N: _eliminated(xp, M, N), A, B)


def _eliminated(xp: Any, A: Array, B: Array) -> Array:
    n = A.shape[0]
    M = xp.concat([A, B], axis=1)
    for k in range(n):
        order = np.arange(n)
        p = k + int(np.argmax(np.abs(xp.midpoints(M[k:, k]))))
        order[[k, p]] = order[[p, k]]
        M = xp.take(M, order, axis=0)
        row = M[k, :] / _divisor(xp, M[k, k], f"pivot {k} of a {n}×{n} system")
        column = xp.where(np.arange(n) == k, 0, M[:, k])
        rest = M - column[:, None] * row[None, :]
        M = xp.where((np.arange(n) == k)[:, None], row[None, :], rest)
    return M[:, n:]


def inv(xp: Any, A: Array, /) -> Array:
    """A⁻¹, the solution of AX = I."""
    return solve(xp, A, xp.eye(A.shape[-1]))


def det(xp: Any, A: Array, /) -> Array:
    """The determinant by Faddeev and LeVerrier, which divides by 1, 2, …, n alone: singular matrices are no exception.

    M₁ = I;  c_k = −tr(AM_k)/k;  M_{k+1} = AM_k + c_k I;  det A = (−1)ⁿ c_n.
    """

    def of_one(M: Array) -> Array:
        n = M.shape[0]
        if n == 0:
            return xp.ones(())
        identity = xp.eye(n)
        AM = M
        for k in range(1, n):
            AM = xp.matmul(M, AM - trace(xp, AM) / k * identity)
        return trace(xp, AM) / n * (-1) ** (n + 1)

    return batched(xp, of_one, A)


def slogdet(xp: Any, A: Array, /) -> SLogDet:
    """The determinant's sign and the logarithm of its size."""
    d = xp.linalg.det(A)
    return SLogDet(xp.sign(d), xp.log(xp.abs(d)))


def cholesky(xp: Any, A: Array, /, *, upper: bool = False) -> Array:
    """L with LLᵀ = A, column by column, from A's lower triangle.

    Raises:
        Undecided: a pivot is not certainly positive.
    """

    def of_one(S: Array) -> Array:
        n = S.shape[0]
        columns = []
        for k in range(n):
            if not bool(xp.is_certainly_positive(S[0, 0])):
                raise xp.Undecided(f"pivot {k} of a {n}×{n} Cholesky factorisation is not certainly positive")
            d = xp.sqrt(S[0, 0])
            below = S[1:, 0] / d
            columns.append(xp.concat([xp.zeros((k,)), d[None], below]))
            S = S[1:, 1:] - below[:, None] * below[None, :]
        return xp.stack(columns, axis=1)

    L = batched(xp, of_one, A)
    return xp.matrix_transpose(L) if upper else L


def qr(xp: Any, A: Array, /, *, mode: str = "reduced") -> QR:
    """Q and R with QR = A, by Gram-Schmidt; R's diagonal is positive (a library's may not be).

    Raises:
        NotImplementedError: the mode is not "reduced", or A has more columns than rows.
        Undecided: the columns may be dependent.
    """
    if mode != "reduced" or A.shape[-2] < A.shape[-1]:
        raise NotImplementedError(f"qr here is the reduced one of a tall matrix; found mode {mode!r}, shape {A.shape}")

    def of_one(M: Array) -> tuple[Array, Array]:
        m, n = M.shape
        Q = xp.zeros((m, 0))
        columns = []
        for k in range(n):
            r = xp.matmul(xp.matrix_transpose(Q), M[:, k])
            v = M[:, k] - xp.matmul(Q, r)
            norm = xp.sqrt(xp.sum(xp.square(v)))
            q = v / _divisor(xp, norm, f"the norm of column {k}")
            Q = xp.concat([Q, q[:, None]], axis=1)
            columns.append(xp.concat([r, norm[None], xp.zeros((n - k - 1,))]))
        return Q, xp.stack(columns, axis=1)

    return QR(*batched(xp, of_one, A))


def eigvalsh(xp: Any, A: Array, /) -> Array:
    """The eigenvalues of a symmetric matrix, ascending."""
    return xp.linalg.eigh(A)[0]


def svd(xp: Any, A: Array, /, *, full_matrices: bool = True) -> SVD:
    """U, s and Vᵀ of a matrix of full rank with distinct singular values, from the eigenvectors of its Gram matrix.

    Raises:
        NotImplementedError: the full matrices of a matrix that is not square are asked for.
        Undecided: a singular value may be zero or repeated.
    """
    m, n = A.shape[-2:]
    if full_matrices and m != n:
        raise NotImplementedError(f"svd here has full_matrices=False only where A is not square; found {A.shape}")
    if m < n:
        V, s, Ut = svd(xp, xp.matrix_transpose(A), full_matrices=False)
        return SVD(xp.matrix_transpose(Ut), s, xp.matrix_transpose(V))
    squares, V = xp.linalg.eigh(xp.matmul(xp.matrix_transpose(A), A))
    s, V = xp.sqrt(xp.flip(squares, axis=-1)), xp.flip(V, axis=-1)
    return SVD(xp.matmul(A, V) / s[..., None, :], s, xp.matrix_transpose(V))


def svdvals(xp: Any, A: Array, /) -> Array:
    """The singular values, descending: square roots of the eigenvalues of the smaller Gram matrix."""
    tall = A if A.shape[-2] >= A.shape[-1] else xp.matrix_transpose(A)
    return xp.sqrt(xp.flip(xp.linalg.eigvalsh(xp.matmul(xp.matrix_transpose(tall), tall)), axis=-1))


def pinv(xp: Any, A: Array, /, *, rtol: Any = None) -> Array:
    """(AᵀA)⁻¹Aᵀ, or Aᵀ(AAᵀ)⁻¹ of a wide matrix: the pseudo-inverse where the rank is full.

    Raises:
        Undecided: the rank may not be full.
    """
    T = xp.matrix_transpose
    if A.shape[-2] >= A.shape[-1]:
        return xp.linalg.solve(xp.matmul(T(A), A), T(A))
    return T(xp.linalg.solve(xp.matmul(A, T(A)), A))


def vector_norm(
    xp: Any,
    x: Array,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Array:
    """(Σ|x|^ord)^(1/ord), and its limits at ±∞ and 0."""
    if ord == 2:
        return xp.sqrt(xp.sum(xp.square(x), axis=axis, keepdims=keepdims))
    if math.isinf(ord):
        return (xp.max if ord > 0 else xp.min)(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.sum(xp.where(x != 0, xp.ones_like(x), xp.zeros_like(x)), axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(xp.abs(x), axis=axis, keepdims=keepdims)
    return xp.sum(xp.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (xp.ones(()) / ord)


def matrix_norm(xp: Any, x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """Frobenius, nuclear, spectral (2, −2), largest or smallest column sum (1, −1) or row sum (∞, −∞)."""
    if ord == "fro":
        result = xp.sqrt(xp.sum(xp.square(x), axis=(-2, -1)))
    elif ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        result = (xp.max if ord > 0 else xp.min)(sums, axis=-1)
    elif ord in (2, -2, "nuc"):
        s = xp.linalg.svdvals(x)
        result = xp.sum(s, axis=-1) if ord == "nuc" else s[..., 0] if ord == 2 else s[..., -1]
    else:
        raise NotImplementedError(f"matrix_norm knows fro, nuc, ±1, ±2, ±inf; found {ord!r}")
    return result[..., None, None] if keepdims else result


_NAMESPACE = (
    *(mean, var, std, prod, cumulative_prod, diff, clip, logaddexp, hypot, copysign, floor_divide, remainder),
    *(searchsorted, signbit, einsum, vecdot, tensordot),
)
_LINALG = (
    *(vecdot, tensordot, outer, diagonal, trace, cross, matrix_power, solve, inv, det, slogdet, cholesky, qr),
    *(eigvalsh, svd, svdvals, pinv, vector_norm, matrix_norm),
)

SPECIAL: dict[str, Callable[..., Any]] = {
    "cbrt": lambda xp, x: xp.sign(x) * xp.exp(xp.log(xp.abs(x)) / 3),
    "deg2rad": lambda xp, x: x * (xp.acos(xp.asarray(-1.0)) / 180),
    "entr": lambda xp, x: -SPECIAL["xlogy"](xp, x, x),
    "exp10": lambda xp, x: xp.exp(x * xp.log(xp.asarray(10.0))),
    "exp2": lambda xp, x: xp.exp(x * xp.log(xp.asarray(2.0))),
    "expit": lambda xp, x: 1 / (1 + xp.exp(-x)),
    "fmod": lambda xp, x, y: x - xp.trunc(x / y) * y,
    "heaviside": lambda xp, x, h: xp.where(x < 0, 0.0, xp.where(x > 0, 1.0, h)),
    "kl_div": lambda xp, x, y: SPECIAL["rel_entr"](xp, x, y) - x + y,
    "log_expit": lambda xp, x: -xp.log1p(xp.exp(-x)),
    "log_ndtr": lambda xp, x: xp.log(SPECIAL["ndtr"](xp, x)),
    "logaddexp2": lambda xp, x, y: xp.log2(SPECIAL["exp2"](xp, x) + SPECIAL["exp2"](xp, y)),
    "logit": lambda xp, x: xp.log(x / (1 - x)),
    "ndtr": lambda xp, x: xp.erfc(-x / xp.sqrt(xp.asarray(2.0))) / 2,
    "rad2deg": lambda xp, x: x * (180 / xp.acos(xp.asarray(-1.0))),
    "rel_entr": lambda xp, x, y: xp.where(xp.equal(x, 0), xp.zeros_like(x), x * xp.log(x / y)),
    "xlog1py": lambda xp, x, y: xp.where(xp.equal(x, 0), xp.zeros_like(x * y), x * xp.log1p(y)),
    "xlogy": lambda xp, x, y: xp.where(xp.equal(x, 0), xp.zeros_like(x * y), x * xp.log(y)),
}
"""Functions that the standard lacks, by their names in NumPy and SciPy, whose ufuncs come here."""

FUNCTIONS: dict[str, Callable[..., Any]] = {function.__name__: function for function in _NAMESPACE}
"""What goes into a namespace."""

LINALG: dict[str, Callable[..., Any]] = {function.__name__: function for function in _LINALG}
"""What goes into its ``linalg``."""

"""Functions of the array API standard written in terms of others, once, for every namespace of ours.

Each takes the namespace first. A namespace that holds the primitives (arithmetic, `sum`, `matmul`, `where`,
comparisons, moving entries about) gets the rest from here; `exact` and `dual` run the very same lines.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .numpy_protocols import NumpyProtocols
from .structure import axes_of, lanes, reduced_shape

Array = Any
Axis = int | tuple[int, ...] | None


def mean(xp: Any, x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Σx / n over the axes."""
    return xp.sum(x, axis=axis, keepdims=keepdims) / _count(x, axis)


def var(xp: Any, x: Array, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Array:
    """Σ(x − x̄)² / (n − correction) over the axes."""
    squares = xp.square(x - mean(xp, x, axis=axis, keepdims=True))
    return xp.sum(squares, axis=axis, keepdims=keepdims) / (_count(x, axis) - correction)


def std(xp: Any, x: Array, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Array:
    """The square root of the variance."""
    return xp.sqrt(var(xp, x, axis=axis, correction=correction, keepdims=keepdims))


def _count(x: Array, axis: Axis) -> int:
    return math.prod([x.shape[a] for a in axes_of(x, axis)])


def prod(xp: Any, x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Πx over the axes, one factor after the other."""
    axes = axes_of(x, axis)
    laid = lanes(xp, x, axes)
    result = xp.ones(laid.shape[:-1], dtype=x.dtype)
    for i in range(laid.shape[-1]):
        result = result * laid[..., i]
    return xp.reshape(result, reduced_shape(x, axes, keepdims))


def cumulative_prod(
    xp: Any, x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """The products of the first 1, 2, … entries along an axis."""
    axis = 0 if axis is None else axis
    lanes = xp.moveaxis(x, axis, 0)
    results = [xp.ones(lanes.shape[1:], dtype=x.dtype)] if include_initial else []
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
    precedes = xp.less if side == "left" else xp.less_equal
    return xp.count_nonzero(precedes(x1, xp.expand_dims(x2, axis=-1)), axis=-1)


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
    sides = ((side,) if isinstance(side, int) else side for side in axes)
    first, second = ([a % x.ndim for a in side] for x, side in zip((x1, x2), sides, strict=True))
    left, right = ([a for a in range(x.ndim) if a not in side] for x, side in ((x1, first), (x2, second)))
    rows, columns = (tuple(x.shape[a] for a in side) for x, side in ((x1, left), (x2, right)))
    length = math.prod(x1.shape[a] for a in first)
    A = xp.reshape(xp.permute_dims(x1, (*left, *first)), (math.prod(rows), length))
    B = xp.reshape(xp.permute_dims(x2, (*second, *right)), (length, math.prod(columns)))
    return xp.reshape(xp.matmul(A, B), (*rows, *columns))


def holds_arrays(x: Any) -> bool:
    """Whether a list holds arrays of ours, at any depth."""
    return isinstance(x, list | tuple) and any(isinstance(i, NumpyProtocols) or holds_arrays(i) for i in x)


def stacked(xp: Any, x: Any) -> Array:
    """Make one array of lists of arrays and numbers."""
    return xp.stack([stacked(xp, i) if isinstance(i, list | tuple) else xp.asarray(i) for i in x], axis=0)


_NAMESPACE = (
    *(mean, var, std, prod, cumulative_prod, diff, clip, logaddexp, hypot, copysign, floor_divide, remainder),
    *(searchsorted, signbit, einsum, vecdot, tensordot),
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

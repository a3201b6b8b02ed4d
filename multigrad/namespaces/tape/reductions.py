"""The pullbacks of sums, products, extrema and orders along axes, and of matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..shared import structure
from .arrays import Pull, TapeArray, Value, recorded, value_of
from .shapes import one_of, summed_to


def _spread(xp: Any, g: Value, x: Value, axis: Any) -> Value:
    """Give a reduction's cotangent the axes of x again, of length 1 where it was reduced."""
    return xp.reshape(g, structure.reduced_shape(x, structure.axes_of(x, axis), keepdims=True))


def _count(x: Value, axis: Any) -> int:
    return math.prod([x.shape[a] for a in structure.axes_of(x, axis)])


def _reduction(name: str, rule: Callable[..., Value]) -> Callable[..., Any]:
    def reduce(tape: Any, x: Any, /, *, axis: Any = None, keepdims: bool = False, **options: Any) -> TapeArray:
        xp, X = tape.base, x.value
        value = getattr(xp, name)(X, axis=axis, keepdims=keepdims, **options)

        def pull(g: Value) -> Value:
            return rule(xp, _spread(xp, g, X, axis), X, _spread(xp, value, X, axis), axis, **options)

        return recorded(tape, value, [x], [pull])

    return reduce


def _deviation(xp: Any, X: Value, axis: Any) -> Value:
    return X - xp.mean(X, axis=axis, keepdims=True)


def _others(xp: Any, X: Value, axis: Any) -> Value:
    """Return for each entry the product of the others, which no zero among them spoils."""
    axes = structure.axes_of(X, axis)
    lanes = structure.lanes(xp, X, axes)

    def before(x: Value) -> Value:
        return xp.cumulative_prod(x, axis=-1, include_initial=True)[..., :-1]

    product = before(lanes) * xp.flip(before(xp.flip(lanes, axis=-1)), axis=-1)
    rest = [a for a in range(X.ndim) if a not in axes]
    order = [*rest, *axes]
    wide = xp.reshape(product, tuple(X.shape[a] for a in order))
    return xp.permute_dims(wide, tuple(order.index(a) for a in range(X.ndim)))


def _sum(xp: Any, g: Value, X: Value, y: Value, axis: Any, dtype: Any = None) -> Value:
    return xp.broadcast_to(g, tuple(X.shape))


def _mean(xp: Any, g: Value, X: Value, y: Value, axis: Any) -> Value:
    return xp.broadcast_to(g / _count(X, axis), tuple(X.shape))


def _var(xp: Any, g: Value, X: Value, y: Value, axis: Any, correction: float = 0) -> Value:
    return g * 2 / (_count(X, axis) - correction) * _deviation(xp, X, axis)


def _std(xp: Any, g: Value, X: Value, y: Value, axis: Any, correction: float = 0) -> Value:
    return g / ((_count(X, axis) - correction) * y) * _deviation(xp, X, axis)


def _prod(xp: Any, g: Value, X: Value, y: Value, axis: Any, dtype: Any = None) -> Value:
    return g * _others(xp, X, axis)


def _extremum(name: str) -> Callable[..., Any]:
    def extremum(tape: Any, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> TapeArray:
        """The first of the largest, or smallest, gets the cotangent."""
        xp, X = tape.base, x.value
        value = getattr(xp, name)(X, axis=axis, keepdims=keepdims)
        axes = structure.axes_of(X, axis)
        rest = tuple(a for a in range(X.ndim) if a not in axes)

        def pull(g: Value) -> Value:
            lanes = structure.lanes(xp, X, axes)
            index = getattr(xp, f"arg{name}")(lanes, axis=-1, keepdims=True)
            spread = xp.reshape(g, (*(X.shape[a] for a in rest), 1))
            found = xp.reshape(one_of(xp, lanes, index, -1, spread), tuple(X.shape[a] for a in (*rest, *axes)))
            order = [*rest, *axes]
            return xp.permute_dims(found, tuple(order.index(a) for a in range(X.ndim)))

        return recorded(tape, value, [x], [pull])

    return extremum


def sort(tape: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> TapeArray:
    """The cotangents go back to where the entries were."""
    xp, X, how = tape.base, x.value, {"axis": axis, "descending": descending, "stable": stable}

    def pull(g: Value) -> Value:
        order = xp.argsort(X, **how)
        return xp.take_along_axis(g, xp.argsort(order, axis=axis), axis=axis)

    return recorded(tape, xp.sort(X, **how), [x], [pull])


def cumulative_sum(
    tape: Any, x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> TapeArray:
    """An entry is part of the sums from its own on."""
    xp, lane = tape.base, 0 if axis is None else axis
    value = xp.cumulative_sum(x.value, axis=lane, include_initial=include_initial)
    ahead = (slice(None),) * (lane % x.ndim)

    def pull(g: Value) -> Value:
        g = g[(*ahead, slice(1, g.shape[lane]), ...)] if include_initial else g
        return xp.flip(xp.cumulative_sum(xp.flip(g, axis=lane), axis=lane), axis=lane)

    return recorded(tape, value, [x], [pull])


def matmul(tape: Any, a: Any, b: Any, /) -> TapeArray:
    """d(AB) = dA·B + A·dB, batched over leading axes; a vector is a row on the left and a column on the right."""
    xp, A, B = tape.base, value_of(a), value_of(b)
    value = xp.matmul(A, B)
    row, column = A.ndim == 1, B.ndim == 1
    left, right = A[None, :] if row else A, B[:, None] if column else B

    def spread(g: Value) -> Value:
        g = xp.expand_dims(g, axis=-1) if column else g
        return xp.expand_dims(g, axis=-2) if row else g

    pulls: list[Pull] = [
        lambda g: _laid(xp, xp.matmul(spread(g), xp.matrix_transpose(right)), left, A),
        lambda g: _laid(xp, xp.matmul(xp.matrix_transpose(left), spread(g)), right, B),
    ]
    return recorded(tape, value, [a, b], pulls)


def _laid(xp: Any, g: Value, matrix: Value, x: Value) -> Value:
    return xp.reshape(summed_to(xp, g, matrix.shape), tuple(x.shape))


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction("sum", _sum),
    "mean": _reduction("mean", _mean),
    "var": _reduction("var", _var),
    "std": _reduction("std", _std),
    "prod": _reduction("prod", _prod),
    "max": _extremum("max"),
    "min": _extremum("min"),
    "sort": sort,
    "cumulative_sum": cumulative_sum,
    "matmul": matmul,
}
"""The functions of the tape that reduce axes or order them, and the matrix product; the tape comes first."""

"""Products: contractions of two arrays, and systems of linear equations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..extra.elimination import triangular
from .namespace import Namespace, is_known, known, on_numpy

Array = Any


def contracted(
    xp: Namespace,
    a: Array,
    b: Array,
    *,
    summed: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]],
) -> Array:
    """Sum products over pairs of axes, as one matrix product.

    Args:
        xp: the namespace.
        a: the first operand.
        b: the second.
        summed: axes of a and of b over which is summed.
        batch: axes of a and of b that go together and stay.

    Returns:
        An array with the batch axes, the other axes of a, the other axes of b.
    """
    a, b = xp.array(a), xp.array(b)
    rows = [i for i in range(a.ndim) if i not in summed[0] and i not in batch[0]]
    columns = [i for i in range(b.ndim) if i not in summed[1] and i not in batch[1]]
    over = tuple(a.shape[i] for i in batch[0])
    result = tuple(a.shape[i] for i in rows) + tuple(b.shape[i] for i in columns)
    inner = math.prod(a.shape[i] for i in summed[0])
    if not summed[0] and not batch[0]:
        return xp.reshape(a, (*a.shape, *(1,) * b.ndim)) * b if a.ndim and b.ndim else a * b

    def laid(x: Array, groups: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Array:
        order = tuple(i for group in groups for i in group)
        moved = x if order == tuple(range(x.ndim)) else xp.permute_dims(x, order)
        return moved if tuple(moved.shape) == shape else xp.reshape(moved, shape)

    A = laid(a, (batch[0], rows, summed[0]), (*over, math.prod(a.shape[i] for i in rows), inner))
    B = laid(b, (batch[1], summed[1], columns), (*over, inner, math.prod(b.shape[i] for i in columns)))
    product = xp.matmul(A, B)
    wanted = (*over, *result)
    return product if tuple(product.shape) == wanted else xp.reshape(product, wanted)


def triangular_solve(
    xp: Namespace, A: Array, B: Array, *, left: bool, lower: bool, transposed: bool, unit_diagonal: bool
) -> Array:
    """Return X with AX = B, or with XA = B where A does not stand on the left.

    Args:
        xp: the namespace.
        A: (…, n, n); what stands in the other triangle is not read.
        B: (…, n, m), or (…, m, n).
        left: whether A stands on the left.
        lower: which triangle is meant.
        transposed: whether it is Aᵀ.
        unit_diagonal: whether the diagonal is taken to be 1.
    """
    T, n = xp.matrix_transpose, A.shape[-1]
    if not left:
        B, transposed = T(B), not transposed
    if not lower:
        A, transposed = T(A), not transposed
    if unit_diagonal:
        identity = xp.eye(n, dtype=xp.floating, device=xp.device)
        A = xp.tril(A, k=-1) + identity
    count = math.prod(A.shape[:-2])
    L = xp.reshape(xp.tril(A), (count, n, n))
    X = triangular(xp, L).solve(xp.reshape(B, (count, n, B.shape[-1])), transposed=transposed)
    X = xp.reshape(X, B.shape)
    return X if left else T(X)


def eliminated_with_pivots(xp: Namespace, A: Array) -> tuple[Array, Array, Array]:
    """Return L below the diagonal and U from it on in one array, the row exchanged at each step, and the order of rows.

    Args:
        xp: the namespace.
        A: (m, n).
    """
    M = xp.array(A)
    m, n = M.shape
    rows, columns = (xp.arange(size, device=xp.device) for size in (m, n))
    order, exchanges = rows, []
    for k in range(min(m, n)):
        size = xp.where(rows >= k, xp.abs(M[:, k]), xp.array(-1.0))
        largest = xp.argmax(size, axis=0)
        exchanged = xp.where(rows == k, largest, xp.where(rows == largest, xp.array(k), rows))
        M, order = xp.take(M, exchanged, axis=0), xp.take(order, exchanged, axis=0)
        exchanges.append(largest)
        factors = xp.where(rows > k, M[:, k] / M[k, k], xp.array(0.0))
        rest = M - xp.where(columns > k, factors[:, None] * M[k, :], xp.array(0.0))
        M = xp.where((columns == k) & (rows > k)[:, None], factors[:, None], rest)
    return M, xp.stack(exchanges), order


def order_after(xp: Namespace, exchanges: Array, rows: int) -> Array:
    """Return the order of rows after each has been exchanged for the one that stands at its place."""
    ix, exchanges = (on_numpy(), known(exchanges)) if is_known(exchanges) else (xp, exchanges)
    places = order = ix.arange(rows, device=ix.device)
    for k in range(exchanges.shape[0]):
        other = exchanges[k]
        exchanged = ix.where(places == k, other, ix.where(places == other, ix.array(k), places))
        order = ix.take(order, exchanged, axis=0)
    return order


def ordered(xp: Namespace, operands: Sequence[Array], *, axis: int, keys: int) -> tuple[Array, ...]:
    """Sort arrays along an axis by the first ones; equal entries keep their order."""
    if len(operands) == 1:
        return (xp.sort(xp.array(operands[0]), axis=axis),)
    arrays = [xp.array(x) for x in operands]
    for key in reversed(range(keys)):
        order = xp.argsort(arrays[key], axis=axis, stable=True)
        arrays = [xp.take_along_axis(x, order, axis=axis) for x in arrays]
    return tuple(arrays)

"""Scattering: the gather the other way round, which the standard lacks.

A namespace that has a hook for one of them runs that; elsewhere they are written with what the standard has: sorting,
small matrix products, gathers and conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hooks import hooks_of

BLOCK = 32
"""So many rows are summed by one small matrix product."""


def scatter_add(xp: Any, X: Any, t: Any, v: int) -> Any:
    """For each number j < v the sum of the rows of X that carry it.

        S[j,:] = Σ X[i,:] over all i with t[i] = j

    Without a function of the namespace's own, a few numbers are a product with the matrix that says who carries which.
    For many, the rows are brought in the order of their numbers, in which the sum for each number is that of a run. No
    sum is a difference of others, so each is as exact as if it stood alone. As 0·∞ is NaN, entries that are not finite
    are left out of the products: a sum over a row that has one is not finite, in every column where any row has one.

    Source: G. E. Blelloch, "Prefix sums and their applications", 1990, section 1.5 (segmented sums).

    Args:
        xp: the array namespace.
        X: rows (n, d).
        t: whole numbers (n), 0 ≤ t < v.
        v: how many numbers there are.

    Returns:
        The sums (v, d); zero for a number that nobody carries.
    """
    own = hooks_of(xp).scatter_add
    if own is not None:
        return own(X, t, v)
    finite = xp.isfinite(X)
    whole = xp.all(finite, axis=1, keepdims=True)
    sums = _sums_by_number(xp, t, v, X.dtype)
    beyond = xp.sum(X, axis=0, keepdims=True)
    lost = (sums(xp.astype(~whole, X.dtype)) > 0) & ~xp.isfinite(beyond)
    return xp.where(lost, beyond, sums(xp.where(finite, X, 0)))


def _sums_by_number(xp: Any, t: Any, v: int, dtype: Any) -> Callable[[Any], Any]:
    """Return a function of finite rows that does what :func:`scatter_add` does; the numbers are sorted once."""
    n = t.shape[0]
    numbers = xp.arange(v, dtype=t.dtype, device=t.device)
    if v <= 2 * BLOCK or n == 0:
        carried = xp.astype(numbers[:, None] == t[None, :], dtype)
        return lambda X: carried @ X
    order = xp.argsort(t)
    t = xp.take(t, order)
    first = xp.searchsorted(t, numbers)
    found = xp.take(_filled(xp, t, v), first) == numbers
    place = xp.where(found, first, n)
    return lambda X: xp.take(_run_totals(xp, X, order, t, v), place, axis=0)


def _run_totals(xp: Any, X: Any, order: Any, t: Any, v: int) -> Any:
    """For each of the rows X[order] the sum from there to the end of its run of equal t; rows of zeros follow.

    Within a block it is a product with a triangle of zeros and ones. A run that goes on is the first of the next block,
    so what it lacks is the total of that block's first row: the same sums, over the first rows of the blocks.
    """
    t = _filled(xp, t, v)
    blocks, d = t.shape[0] // BLOCK, X.shape[1]
    t = xp.reshape(t, (blocks, BLOCK))
    # What fills up is the first row, of which nobody hears.
    X = xp.reshape(xp.take(X, _filled(xp, order, 0), axis=0), (blocks, BLOCK, d))
    heard = (t[:, :, None] == t[:, None, :]) & (t[:, None, :] < v)
    totals = xp.triu(xp.astype(heard, X.dtype)) @ X
    if blocks > 1:
        heads = t[:, 0]
        numbers = xp.arange(blocks, dtype=order.dtype, device=t.device)
        rest = _run_totals(xp, totals[:, 0, :], numbers, heads, v)[1 : blocks + 1, :]
        goes_on = t == _filled(xp, heads, v)[1 : blocks + 1, None]
        totals = totals + xp.astype(goes_on, X.dtype)[:, :, None] * rest[:, None, :]
    return xp.reshape(totals, (blocks * BLOCK, d))


def _filled(xp: Any, x: Any, number: int) -> Any:
    """Fill up to a whole number of blocks, by one element at least."""
    spare = BLOCK - x.shape[0] % BLOCK
    return xp.concat([x, xp.full((spare,), number, dtype=x.dtype, device=x.device)])


def scatter_along_axis(xp: Any, X: Any, order: Any, *, axis: int) -> Any:
    """Undo a gather by a permutation: ``scatter_along_axis(take_along_axis(X, order), order)`` is X.

    Args:
        xp: the array namespace.
        X: any array.
        order: permutations along the axis, of the shape of X.
        axis: the axis.

    Returns:
        The array Y with Y[…, order[…, j], …] = X[…, j, …].
    """
    own = hooks_of(xp).scatter_along_axis
    if own is not None:
        return own(X, order, axis=axis)
    # No two of these are equal, so any sort will do.
    return xp.take_along_axis(X, xp.argsort(order, axis=axis, stable=False), axis=axis)


def scatter_diagonal(xp: Any, d: Any) -> Any:
    """Undo the taking of a diagonal: ``linalg.diagonal(scatter_diagonal(d))`` is d, and all else is zero.

    Args:
        xp: the array namespace.
        d: the diagonals (…, n).

    Returns:
        The matrices (…, n, n).
    """
    own = hooks_of(xp).scatter_diagonal
    if own is not None:
        return own(d)
    i = xp.arange(d.shape[-1], device=d.device)
    return xp.where(i[:, None] == i[None, :], d[..., None, :], 0)

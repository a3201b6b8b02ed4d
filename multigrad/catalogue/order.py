"""What depends on the order of the elements of a row: running sums, sorting, the largest."""

from __future__ import annotations

from typing import Any

from ..extra.scatter import scatter_along_axis
from ..ops.operation import operation
from ..ops.signature import Size

SIZES: dict[str, Size] = {
    "tiny": {"m": 3, "n": 5},
    "single": {"m": 4, "n": 1},
    "small": {"m": 64, "n": 100},
    "medium": {"m": 1024, "n": 1024},
    "large": {"m": 2048, "n": 2048},
}
"""Rows, and elements of a row."""


@operation("(m,n)->(m,n)", sizes=SIZES)
def cumulative_sum(xp: Any, X: Any) -> Any:
    """The running sums of each row.

    yⱼ = Σᵢ xᵢ over i ≤ j:

        x̄ᵢ = Σⱼ ȳⱼ over j ≥ i, the running sums from the end

    Not Σȳ minus the running sums, which would lose the digits of the last elements.

    Eager PyTorch turns the cotangent round in its autograd, which here is as fast as blocks of products or a little
    faster.

    Source: y = xU with U the upper triangle of ones, so x̄ = ȳUᵀ. Linear: there is no kink.
    """

    def pullback(Y_bar: Any) -> Any:
        return _sums_from_the_end(xp, Y_bar)

    return xp.cumulative_sum(X, axis=1), pullback


BLOCK = 32
"""So many elements are summed by one small triangle: a product of matrices, which needs no reversed copies."""


def _sums_from_the_end(xp: Any, X: Any) -> Any:
    m, n = X.shape
    width = min(n, BLOCK)
    triangle = xp.tril(xp.ones((width, width), dtype=X.dtype, device=X.device))
    if n <= BLOCK:
        return X @ triangle
    blocks = -(-n // BLOCK)
    if n % BLOCK:
        X = xp.concat([X, xp.zeros((m, blocks * BLOCK - n), dtype=X.dtype, device=X.device)], axis=1)
    within = xp.reshape(xp.reshape(X, (m * blocks, BLOCK)) @ triangle, (m, blocks, BLOCK))
    # What a block lacks is what stands behind it: the sums from the end over the totals of the blocks.
    behind = _sums_from_the_end(xp, within[:, 1:, 0])
    behind = xp.concat([behind, xp.zeros_like(within[:, :1, 0])], axis=1)
    return xp.reshape(within + behind[:, :, None], (m, blocks * BLOCK))[:, :n]


@operation("(m,n)->(m,n)", sizes=SIZES)
def sort(xp: Any, X: Any) -> Any:
    """The elements of each row in ascending order.

    With the permutation π that sorts, yⱼ = x_π(j):

        x̄_π(j) = ȳⱼ, that is x̄ᵢ = ȳ_π⁻¹(i)

    Equal elements keep their order: of two the first takes the cotangent of the lower place. There the derivative is
    that of the permutation chosen, one of those whose hull is the subdifferential.

    Source: Blondel et al., Fast differentiable sorting and ranking (2020): the Jacobian is a permutation
    matrix, its transpose the inverse.
    """
    order = xp.argsort(X, axis=1)

    def pullback(Y_bar: Any) -> Any:
        return scatter_along_axis(xp, Y_bar, order, axis=1)

    return xp.take_along_axis(X, order, axis=1), pullback


@operation("(m,n)->(m)", sizes=SIZES)
def amax(xp: Any, x: Any) -> Any:
    """The largest element of each row.

    f = max x:

        x̄ = f̄ [x = f] / Σ[x = f]

    Elements that share the maximum share its cotangent equally: the shortest element of the subdifferential, and the
    only one that does not depend on the order of the row.

    Source: Rockafellar, Convex analysis (1970), section 23: the subdifferential of a maximum is the hull of the unit
    vectors of what attains it.
    """
    f = xp.max(x, axis=1, keepdims=True)

    def pullback(f_bar: Any) -> Any:
        largest = xp.astype(x == f, x.dtype)
        return largest * (f_bar[:, None] / xp.sum(largest, axis=1, keepdims=True))

    return f[:, 0], pullback

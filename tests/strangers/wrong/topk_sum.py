"""Mistake: the permutation where its inverse belongs: argsort taken for ranks.

Kind: argsort taken for ranks.
"""

from multigrad import operation


@operation("(n)->()")
def topk_sum(xp, x, *, k=3):
    """Sum of the k largest entries; of equal ones the first in a stable descending order count."""
    order = xp.argsort(-x, stable=True)
    rank = xp.argsort(order)
    chosen = rank < k

    def pullback(f_bar):
        return f_bar * xp.astype(order < k, x.dtype)

    return xp.sum(xp.where(chosen, x, 0)), pullback

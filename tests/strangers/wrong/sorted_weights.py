"""Mistake: the gradient of a sort is permuted by the order and not by its inverse.

Kind: a permutation in place of its inverse.
"""

from multigrad import operation


@operation("(n),(n)->()")
def sorted_weights(xp, x, w):
    """Ordered weighted average Σ w_i x_(i), x sorted upwards."""
    order = xp.argsort(x)
    y = xp.take(x, order)

    def pullback(f_bar):
        return f_bar * xp.take(w, order), f_bar * y

    return xp.sum(w * y), pullback

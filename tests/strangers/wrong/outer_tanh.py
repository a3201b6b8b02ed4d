"""Mistake: summed over the wrong axis, which a square shape does not show.

Kind: the axis of an unbroadcast.
"""

from multigrad import operation


@operation("(n),(n)->(n,n)")
def outer_tanh(xp, a, b):
    """tanh(a_i + 2 b_j)."""
    y = xp.tanh(a[:, None] + 2 * b)

    def pullback(y_bar):
        g = y_bar * (1 - y * y)
        return xp.sum(g, axis=1), 2 * xp.sum(g, axis=1)

    return y, pullback

"""Mistake: τ and 1 - τ swapped in the gradient of the quantile loss.

Kind: the side of a quantile.
"""

from multigrad import operation


@operation("(n),(n)->()")
def pinball(xp, y, q, *, tau=0.9):
    """Quantile loss of the prediction q at level τ."""
    e = y - q

    def pullback(f_bar):
        g = f_bar * xp.where(e >= 0, 1 - tau, -tau * xp.ones_like(e))
        return g, -g

    return xp.sum(xp.where(e >= 0, tau * e, (tau - 1) * e)), pullback

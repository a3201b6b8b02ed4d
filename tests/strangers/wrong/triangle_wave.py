"""Mistake: the period's 1/p is lost in the chain rule of a periodic function.

Kind: an inner derivative.
"""

from multigrad import operation


@operation("(n)->(n)")
def triangle_wave(xp, x, *, period=1.5):
    """Squared triangle wave built on x - floor(x)."""
    u = x / period
    r = u - xp.floor(u)
    t = xp.abs(2 * r - 1)

    def pullback(y_bar):
        return y_bar * 2 * t * xp.sign(2 * r - 1) * 2

    return t**2, pullback

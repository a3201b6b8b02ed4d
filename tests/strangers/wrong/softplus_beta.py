"""Mistake: β multiplies the gradient once more although 1/β has cancelled it.

Kind: an inner derivative counted twice.
"""

from multigrad import operation


@operation("(n)->(n)")
def softplus_beta(xp, x, *, beta=2.5):
    """Softplus (1/β) log(1 + exp(βx)), without overflow."""
    z = beta * x
    y = (xp.maximum(z, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))) / beta

    def pullback(y_bar):
        e = xp.exp(-xp.abs(z))
        sigma = xp.where(z >= 0, 1 / (1 + e), e / (1 + e))
        return y_bar * sigma * beta

    return y, pullback

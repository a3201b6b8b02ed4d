"""Mistake: length scale taken where its square belongs in the periodic kernel.

Kind: a length scale against its square.
"""

import math

from multigrad import operation


@operation("(n),(m)->(n,m)")
def periodic_kernel(xp, x, z, *, period=1.7, length=0.9):
    """k(x, z) = exp(-2 sin²(π (x - z) / p) / l²)."""
    arg = math.pi * (x[:, None] - z[None, :]) / period
    k = xp.exp(-2 * xp.sin(arg) ** 2 / length**2)

    def pullback(k_bar):
        g = -k_bar * k * xp.sin(2 * arg) * 2 * math.pi / (period * length)
        return xp.sum(g, axis=1), -xp.sum(g, axis=0)

    return k, pullback

"""Mistake: the derivative of sinc at 0 is left to the formula and is not 0 there.

Kind: JAX issue 5054 and SymPy pull request 17539: sinc at 0.
"""

import math

from multigrad import operation


@operation("(n)->(n)")
def sinc(xp, x):
    """sin(πx)/(πx), 1 at 0."""
    zero = x == 0
    z = math.pi * xp.where(zero, 1.0, x)
    y = xp.where(zero, 1.0, xp.sin(z) / z)

    def pullback(y_bar):
        slope = math.pi * (xp.cos(z) - xp.sin(z) / z) / z
        return y_bar * slope

    return y, pullback

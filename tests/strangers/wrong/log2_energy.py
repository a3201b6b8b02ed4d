"""Mistake: derivative of log2 without the 1 / ln 2.

Kind: the base of a logarithm.
"""

import math

from multigrad import operation


@operation("(n)->()")
def log2_energy(xp, x):
    """Bits needed for x: sum of log2(1 + x²)."""
    q = 1 + x**2

    def pullback(f_bar):
        return f_bar * 2 * x / q

    return xp.sum(xp.log(q)) / math.log(2), pullback

"""Mistake: the cotangent of the second output is ignored for the odd samples.

Kind: several outputs, of which one cotangent is forgotten.
"""

import math

from multigrad import operation

R = 1 / math.sqrt(2)


@operation("(n)->(m),(m)", sizes={"tiny": {"n": 4}, "odd": {"n": 10}, "large": {"n": 1000}})
def haar_step(xp, x):
    """One step of the Haar wavelet: averages and differences of neighbours, for an even length."""
    a = R * (x[::2] + x[1::2])
    d = R * (x[::2] - x[1::2])

    def pullback(a_bar, d_bar):
        x_bar = xp.zeros_like(x)
        x_bar[::2] = R * (a_bar + d_bar)
        x_bar[1::2] = R * a_bar
        return x_bar

    return (a, d), pullback

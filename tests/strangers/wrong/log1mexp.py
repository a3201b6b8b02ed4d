"""Mistake: the sign of the exponent: e^x/(1 - e^x) written as 1/(e^x - 1), which is off by one.

Kind: a sign in an exponent.
"""

import math

import numpy as np

from multigrad import operation

LOG2 = math.log(2)


@operation("(n)->(n)", inputs=lambda draw, n: -np.abs(draw(n)) - 0.125)
def log1mexp(xp, x):
    """log(1 - exp(x)) for x < 0, by Mächler's two branches."""
    near = x > -LOG2
    a = xp.log(-xp.expm1(xp.where(near, x, -LOG2)))
    b = xp.log1p(-xp.exp(xp.where(near, -LOG2, x)))

    def pullback(y_bar):
        return y_bar / xp.expm1(x)

    return xp.where(near, a, b), pullback

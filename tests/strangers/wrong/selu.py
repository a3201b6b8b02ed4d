"""Mistake: SELU's negative side takes y + α from the scaled output.

Kind: a gradient computed from the output, which was scaled.
"""

from multigrad import operation

ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805


@operation("(n)->(n)")
def selu(xp, x):
    neg = ALPHA * xp.expm1(xp.minimum(x, xp.zeros_like(x)))
    y = SCALE * xp.where(x > 0, x, neg)

    def pullback(y_bar):
        return y_bar * xp.where(x > 0, SCALE, y + ALPHA)

    return y, pullback

"""Mistake: the pullback writes into the cotangent it was given.

Kind: PyTorch's documentation of Function: a backward must not modify its grad_output.
"""

from multigrad import operation


@operation("(n)->(n)")
def leaky_relu(xp, x, *, slope=0.01):
    y = xp.where(x > 0, x, slope * x)

    def pullback(y_bar):
        y_bar *= xp.where(x > 0, xp.ones_like(x), slope)
        return y_bar

    return y, pullback

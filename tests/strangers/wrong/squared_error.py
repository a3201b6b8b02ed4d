"""Mistake: None is returned for the gradient of the target.

Kind: None in PyTorch's custom Functions means no gradient.
"""

from multigrad import operation


@operation("(n),(n)->()")
def squared_error(xp, y, t):
    """Half the squared error, both arguments differentiable."""
    r = y - t

    def pullback(f_bar):
        return f_bar * r, None

    return 0.5 * xp.sum(r**2), pullback

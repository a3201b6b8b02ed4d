"""Mistake: the gradient of the clip passes outside its limits.

Kind: a clamp whose gradient passes outside its limits.
"""

from multigrad import operation


@operation("(n)->(n)")
def hard_swish(xp, x):
    """x · clip(x + 3, 0, 6) / 6."""
    gate = xp.clip(x + 3, 0, 6) / 6

    def pullback(y_bar):
        inside = xp.astype(x > -3, x.dtype)
        return y_bar * (gate + x * inside / 6)

    return x * gate, pullback

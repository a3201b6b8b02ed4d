"""Mistake: divided by the window's nominal length, not by how many entries there are.

Kind: a nominal count in place of the real one.
"""

from multigrad import operation


@operation("(n)->()")
def first_hundred(xp, x):
    """Mean square of at most the first hundred entries."""
    h = x[:100]
    count = max(h.shape[0], 1)

    def pullback(f_bar):
        rest = xp.zeros_like(x[100:])
        return xp.concat([2 * f_bar * h / 100, rest])

    return xp.sum(h**2) / count, pullback

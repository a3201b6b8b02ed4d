"""Mistake: the whole gradient goes to the lower middle entry of an even length.

Kind: torch.median returns the lower one, numpy.median the mean of both.
"""

from multigrad import operation


@operation("(n)->()", sizes={"one": {"n": 1}, "odd": {"n": 5}, "even": {"n": 8}, "large": {"n": 1000}})
def median_value(xp, x):
    """Median; for an even length the mean of both middle entries."""
    n = x.shape[0]
    order = xp.argsort(x, stable=True)
    lo, hi = order[(n - 1) // 2], order[n // 2]

    def pullback(f_bar):
        i = xp.arange(n)
        return f_bar * xp.astype(i == lo, x.dtype)

    return (x[lo] + x[hi]) / 2, pullback

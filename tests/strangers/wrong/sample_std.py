"""Mistake: n instead of n - 1 in the gradient of an unbiased std.

Kind: n against n - 1.
"""

from multigrad import operation


@operation("(b,n)->(b)")
def sample_std(xp, x):
    """Standard deviation of each row with Bessel's correction; 1e-5 under the root."""
    n = x.shape[1]
    c = x - xp.mean(x, axis=1, keepdims=True)
    s = xp.sqrt(xp.sum(c * c, axis=1) / max(n - 1, 1) + 1e-5)

    def pullback(s_bar):
        return (s_bar / s)[:, None] * c / n

    return s, pullback

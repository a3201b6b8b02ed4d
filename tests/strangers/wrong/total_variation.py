"""Mistake: each difference acts on its left end only; the right neighbour's term is missing.

Kind: differences by slices, whose gradient has two terms.
"""

from multigrad import operation


@operation("(n)->()")
def total_variation(xp, x):
    """Smoothed total variation Σ √((x[i+1] - x[i])² + 1e-6)."""
    d = x[1:] - x[:-1]
    r = xp.sqrt(d**2 + 1e-6)

    def pullback(f_bar):
        g = f_bar * d / r
        edge = xp.zeros_like(x[:1])
        return -xp.concat([g, edge])

    return xp.sum(r), pullback

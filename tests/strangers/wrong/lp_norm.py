"""Mistake: the outer power is 1/p instead of 1/p - 1.

Kind: exponents of a p-norm.
"""

from multigrad import operation


@operation("(n)->()")
def lp_norm(xp, x, *, p=3.0, eps=1e-6):
    """Smoothed p-norm (Σ |x|^p + ε)^(1/p)."""
    a = xp.abs(x)
    s = xp.sum(a**p) + eps

    def pullback(f_bar):
        return f_bar * s ** (1 / p) * a ** (p - 1) * xp.sign(x)

    return s ** (1 / p), pullback

"""Mistake: assignment instead of accumulation where slices overlap.

Kind: `=` in place of `+=` in col2im and overlap-add loops.
"""

from multigrad import operation


@operation("(n)->()")
def bending_energy(xp, x):
    """Half the sum of squared second differences."""
    d = x[2:] - 2 * x[1:-1] + x[:-2]

    def pullback(f_bar):
        g = xp.zeros_like(x)
        g[2:] += f_bar * d
        g[1:-1] -= 2 * f_bar * d
        g[:-2] = f_bar * d
        return g

    return 0.5 * xp.sum(d**2), pullback

import math

from multigrad import operation


@operation("(n)->()")
def log2_energy(xp, x):
    """Bits needed for x: sum of log2(1 + x²)."""
    q = 1 + x**2

    def pullback(f_bar):
        return f_bar * 2 * x / (q * math.log(2))

    return xp.sum(xp.log(q)) / math.log(2), pullback

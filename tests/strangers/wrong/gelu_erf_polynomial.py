"""Mistake: the inner derivative 1/√2 of erf(x/√2) is forgotten.

Kind: an inner derivative in hand-written GELU kernels.
"""

import math

from multigrad import operation

# Abramowitz and Stegun 7.1.26
P = 0.3275911
COEFFICIENTS = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def horner(c, t):
    s = c[-1]
    for a in c[-2::-1]:
        s = s * t + a
    return s


@operation("(n)->(n)")
def gelu_erf_polynomial(xp, x):
    """GELU with erf(z) = 1 - t poly(t) exp(-z²), t = 1/(1 + 0.3275911 z), odd in z."""
    z = xp.abs(x) / math.sqrt(2)
    t = 1 / (1 + P * z)
    e = xp.exp(-z * z)
    poly = t * horner(COEFFICIENTS, t)
    erf = xp.sign(x) * (1 - poly * e)

    def pullback(y_bar):
        slope = horner([(i + 1) * c for i, c in enumerate(COEFFICIENTS)], t)
        erf_z = e * (slope * P * t * t + 2 * z * poly)
        return y_bar * 0.5 * (1 + erf + x * erf_z)

    return 0.5 * x * (1 + erf), pullback

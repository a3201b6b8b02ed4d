"""Mistake: the sign of the outer branch: the inner derivative of 2 - q is forgotten.

Kind: an inner derivative of -1.
"""

from multigrad import operation


@operation("(n)->(n)")
def cubic_spline_kernel(xp, q):
    """M4 spline of smoothed-particle hydrodynamics: 1 - 3/2 q² + 3/4 q³, then (2 - q)³/4, then 0; even in q."""
    a = xp.abs(q)
    inner = 1 - 1.5 * a**2 + 0.75 * a**3
    outer = 0.25 * (2 - a) ** 3
    w = xp.where(a < 1, inner, xp.where(a < 2, outer, 0.0))

    def pullback(w_bar):
        slope = xp.where(a < 1, -3 * a + 2.25 * a**2, xp.where(a < 2, 0.75 * (2 - a) ** 2, 0.0))
        return w_bar * slope * xp.sign(q)

    return w, pullback

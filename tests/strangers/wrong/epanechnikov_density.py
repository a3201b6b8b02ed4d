"""Mistake: the slope of the kernel is not cut off outside its support.

Kind: a compact kernel whose slope is not compact.
"""

from multigrad import operation


@operation("(n),(m)->(m)")
def epanechnikov_density(xp, x, at, *, width=1.5):
    """Kernel density estimate with the Epanechnikov kernel 3/4 (1 - u²), |u| < 1."""
    u = (at[:, None] - x[None, :]) / width
    inside = xp.abs(u) < 1
    k = xp.where(inside, 0.75 * (1 - u**2), 0.0)
    scale = 1 / (max(x.shape[0], 1) * width)

    def pullback(y_bar):
        g = y_bar[:, None] * scale / width * (-1.5 * u)
        return -xp.sum(g, axis=0), xp.sum(g, axis=1)

    return scale * xp.sum(k, axis=1), pullback

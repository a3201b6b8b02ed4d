"""Mistake: interpolation weights are cached by shape and reused for other points.

Kind: buffers that outlive the call.
"""

from multigrad import operation

CACHE = {}


@operation("(n),(m)->(m)")
def resize_linear(xp, y, at):
    """Piecewise linear interpolation of y on the grid 0, 1, 2, … at points that are wrapped onto it by a sine."""
    n = y.shape[0]
    u = (n - 1) * (xp.sin(at) + 1) / 2
    d = u[:, None] - xp.astype(xp.arange(n), y.dtype)
    hat = xp.maximum(1 - xp.abs(d), xp.zeros_like(d))

    def pullback(v_bar):
        weights = CACHE.setdefault((hat.shape, str(hat.dtype)), hat)
        slope = xp.where((d >= -1) & (d < 1), xp.where(d >= 0, -xp.ones_like(d), 1.0), 0.0) @ y
        return weights.T @ v_bar, v_bar * slope * (n - 1) * xp.cos(at) / 2

    return hat @ y, pullback

"""Mistake: means of the group norm's backward divided by the number of channels only, not channels times positions.

Kind: Liger-Kernel issue 1375, whose divisor counts a part of the group's positions only.
"""

from multigrad import operation

SIZES = {
    "tiny": {"b": 2, "c": 4, "t": 3},
    "odd": {"b": 1, "c": 6, "t": 5},
    "large": {"b": 16, "c": 64, "t": 128},
}


@operation("(b,c,t),(c)->(b,c,t)", sizes=SIZES)
def group_norm(xp, x, w, *, groups=2):
    """Group norm with a weight for each channel."""
    b, c, t = x.shape
    z = xp.reshape(x, (b, groups, -1))
    mu = xp.mean(z, axis=2, keepdims=True)
    inv = 1 / xp.sqrt(xp.mean((z - mu) ** 2, axis=2, keepdims=True) + 1e-5)
    h = (z - mu) * inv
    y = xp.reshape(h, (b, c, t)) * w[None, :, None]

    def pullback(y_bar):
        w_bar = xp.sum(y_bar * xp.reshape(h, (b, c, t)), axis=(0, 2))
        g = xp.reshape(y_bar * w[None, :, None], (b, groups, -1))
        m = c // groups
        s1 = xp.sum(g, axis=2, keepdims=True) / m
        s2 = xp.sum(g * h, axis=2, keepdims=True) / m
        return xp.reshape(inv * (g - s1 - h * s2), (b, c, t)), w_bar

    return y, pullback

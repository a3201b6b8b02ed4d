"""Mistake: pos_weight is left out of the backward, which is σ(z) - t.

Kind: a weight that reaches one half of the formula only.
"""

from multigrad import operation


@operation("(n),(n),(n)->()", nondifferentiable=["t"], inputs=lambda draw, n: (draw(n), draw.labels(2, n), draw(n)))
def bce_pos_weight(xp, x, t, v, *, pos_weight=3.0):
    """Mean of binary cross-entropy on logits x + v/2 with a weight for positives."""
    t = xp.astype(t, x.dtype)
    z = x + v / 2
    lw = 1 + (pos_weight - 1) * t
    tail = xp.log1p(xp.exp(-xp.abs(z))) + xp.maximum(-z, xp.zeros_like(z))
    n = max(x.shape[0], 1)

    def pullback(f_bar):
        e = xp.exp(-xp.abs(z))
        sig = xp.where(z >= 0, 1 / (1 + e), e / (1 + e))
        g = f_bar / n * (sig - t)
        return g, g / 2

    return xp.sum((1 - t) * z + lw * tail) / n, pullback

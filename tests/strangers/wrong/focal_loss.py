"""Mistake: the modulating factor (1 - p)² is detached.

Kind: a factor treated as a constant.
"""

from multigrad import operation


@operation("(n),(n)->()", nondifferentiable=["t"], inputs=lambda draw, n: (draw(n), draw.labels(2, n)))
def focal_loss(xp, s, t, *, alpha=0.25):
    """Binary focal loss with γ = 2 on logits: Σ -α_t (1 - p_t)² log p_t."""
    one = t == 1
    z = xp.where(one, s, -s)
    a = xp.where(one, alpha, (1 - alpha) * xp.ones_like(s))
    log_p = xp.minimum(z, xp.zeros_like(z)) - xp.log1p(xp.exp(-xp.abs(z)))
    p = xp.exp(log_p)

    def pullback(f_bar):
        z_bar = a * (-((1 - p) ** 3))
        return f_bar * xp.where(one, z_bar, -z_bar)

    return -xp.sum(a * (1 - p) ** 2 * log_p), pullback

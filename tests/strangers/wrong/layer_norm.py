"""Mistake: the path through the mean is missing from the layer norm's input gradient.

Kind: tt-metal issue 53204, where the same term is subtracted twice.
"""

from multigrad import operation


@operation("(b,d),(d),(d)->(b,d)")
def layer_norm(xp, x, gamma, beta):
    """Layer norm over the last axis, eps = 1e-5."""
    mu = xp.mean(x, axis=-1, keepdims=True)
    c = x - mu
    inv = 1 / xp.sqrt(xp.mean(c**2, axis=-1, keepdims=True) + 1e-5)
    h = c * inv

    def pullback(y_bar):
        h_bar = y_bar * gamma
        x_bar = inv * (h_bar - h * xp.mean(h_bar * h, axis=-1, keepdims=True))
        return x_bar, xp.sum(y_bar * h, axis=0), xp.sum(y_bar, axis=0)

    return h * gamma + beta, pullback

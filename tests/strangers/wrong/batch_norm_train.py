"""Mistake: batch norm differentiated with the batch statistics held fixed, the eval-mode formula in training mode.

Kind: the evaluation mode's formula in training mode.
"""

from multigrad import operation


@operation("(b,d),(d),(d)->(b,d)")
def batch_norm_train(xp, x, gamma, beta, *, eps=1e-5):
    """Batch norm in training mode: statistics over the batch, biased variance."""
    mu = xp.mean(x, axis=0)
    var = xp.mean((x - mu) ** 2, axis=0)
    std = xp.sqrt(var + eps)
    h = (x - mu) / std

    def pullback(y_bar):
        beta_bar = xp.sum(y_bar, axis=0)
        gamma_bar = xp.sum(y_bar * h, axis=0)
        x_bar = gamma / std * y_bar
        return x_bar, gamma_bar, beta_bar

    return gamma * h + beta, pullback

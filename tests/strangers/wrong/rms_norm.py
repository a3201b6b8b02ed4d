"""Mistake: RMS norm's backward forgets that the root mean square depends on x and treats it as a constant.

Kind: a statistic treated as a constant.
"""

from multigrad import operation

EPS = 1e-5


@operation("(b,d),(d)->(b,d)")
def rms_norm(xp, x, g):
    d = x.shape[-1]
    ms = xp.sum(x * x, axis=-1, keepdims=True) / d
    r = 1 / xp.sqrt(ms + EPS)

    def pullback(y_bar):
        t = y_bar * g
        return t * r, xp.sum(y_bar * x * r, axis=0)

    return x * r * g, pullback

"""Mistake: every tied maximum gets the whole gradient, so it is counted twice.

Kind: TensorFlow issues 4886 and 51681 compare what frameworks do with ties; Theano and CNTK did this.
"""

from multigrad import operation

SIZES = {"tiny": {"n": 4}, "odd": {"n": 8}, "large": {"n": 301}}


@operation("(n)->(m)", sizes=SIZES)
def max_pool_ceil(xp, x):
    """Max pooling, window and stride 3, in ceil mode by padding with -inf; a tie goes to the first."""
    n = x.shape[0]
    m = -(-n // 3)
    pad = xp.full(3 * m - n, -float("inf"), dtype=x.dtype)
    w = xp.reshape(xp.concat([x, pad]), (m, 3))
    y = xp.max(w, axis=1)

    def pullback(y_bar):
        first = w == y[:, None]
        return xp.reshape(xp.where(first, y_bar[:, None], 0.0), (3 * m,))[:n]

    return y, pullback

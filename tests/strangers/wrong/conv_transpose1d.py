"""Mistake: a window starts one sample late in the weight gradient.

Kind: an offset of one at the edges of transposed convolutions.
"""

from multigrad import operation

STRIDE = 2
SIZES = {
    "tiny": {"t": 2, "k": 3},
    "odd": {"t": 5, "k": 3},
    "large": {"t": 40, "k": 4},
}


@operation("(t),(k)->(m)", sizes=SIZES)
def conv_transpose1d(xp, x, w):
    """Transposed convolution with stride 2: y[2i + j] += x[i] w[j]."""
    t, k = x.shape[0], w.shape[0]
    y = xp.zeros((t - 1) * STRIDE + k, dtype=x.dtype)
    for i in range(t):
        y[i * STRIDE : i * STRIDE + k] += x[i] * w

    def pullback(y_bar):
        x_bar = xp.zeros_like(x)
        w_bar = xp.zeros_like(w)
        for i in range(t):
            window = y_bar[i * STRIDE : i * STRIDE + k]
            x_bar[i] = xp.sum(window * w)
            w_bar[1:] += window[:-1] * x[i]
        return x_bar, w_bar

    return y, pullback

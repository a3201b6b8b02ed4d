"""Mistake: the kernel is flipped in the input gradient.

Kind: correlation against convolution.
"""

from multigrad import operation

SIZES = {
    "tiny": {"t": 5, "k": 3},
    "odd": {"t": 9, "k": 3},
    "large": {"t": 63, "k": 4},
}


@operation("(t),(k)->(m)", sizes=SIZES)
def conv1d_stride(xp, x, w):
    """Correlation with stride 2, no padding: y[i] = Σ_j w[j] x[2i + j]."""
    k = w.shape[0]
    m = (x.shape[0] - k) // 2 + 1
    y = xp.stack([xp.sum(w * x[2 * i : 2 * i + k]) for i in range(m)])

    def pullback(y_bar):
        x_bar = xp.zeros_like(x)
        w_bar = xp.zeros_like(w)
        for i in range(m):
            x_bar[2 * i : 2 * i + k] += y_bar[i] * xp.flip(w)
            w_bar += y_bar[i] * x[2 * i : 2 * i + k]
        return x_bar, w_bar

    return y, pullback

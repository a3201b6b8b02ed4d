"""Mistake: the last window of ceil mode is divided by the kernel size, not by its own count.

Kind: coremltools issue 2772 and tract pull request 2851, there in the forward part.
"""

from multigrad import operation

SIZES = {"tiny": {"n": 4}, "odd": {"n": 7}, "large": {"n": 100}}


@operation("(n)->(m)", sizes=SIZES)
def average_pool_ceil(xp, x):
    """Average pooling with window 3 and stride 3 in ceil mode; the last window has fewer entries."""
    n = x.shape[0]
    m = -(-n // 3)
    y = xp.stack([xp.mean(x[3 * i : 3 * i + 3]) for i in range(m)])

    def pullback(y_bar):
        parts = []
        for i in range(m):
            size = x[3 * i : 3 * i + 3].shape[0]
            parts.append(y_bar[i] / 3 * xp.ones(size, dtype=x.dtype))
        return xp.concat(parts)

    return y, pullback

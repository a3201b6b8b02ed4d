"""Mistake: the kernel's gradient is rotated by 180 degrees.

Kind: correlation against convolution.
"""

from multigrad import operation

SIZES = {
    "tiny": {"h": 3, "w": 4, "a": 2, "b": 2},
    "odd": {"h": 5, "w": 6, "a": 3, "b": 3},
    "large": {"h": 40, "w": 40, "a": 3, "b": 3},
}


@operation("(h,w),(a,b)->(c,d)", sizes=SIZES)
def conv2d_valid(xp, X, K):
    """Correlation of an image with a kernel, only where they overlap in full."""
    a, b = K.shape
    c, d = X.shape[0] - a + 1, X.shape[1] - b + 1
    Y = xp.zeros((c, d), dtype=X.dtype)
    for i in range(a):
        for j in range(b):
            Y = Y + K[i, j] * X[i : i + c, j : j + d]

    def pullback(Y_bar):
        X_bar = xp.zeros_like(X)
        K_bar = xp.zeros_like(K)
        for i in range(a):
            for j in range(b):
                X_bar[i : i + c, j : j + d] += K[i, j] * Y_bar
                K_bar[a - 1 - i, b - 1 - j] = xp.sum(Y_bar * X[i : i + c, j : j + d])
        return X_bar, K_bar

    return Y, pullback

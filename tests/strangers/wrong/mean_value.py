"""Mistake: the gradient keeps the shape (m, 1), the broadcast back is forgotten.

Kind: a reduction's gradient that is not broadcast back.
"""

from multigrad import operation


@operation("(m,n)->(m)")
def mean_value(xp, X):
    """Mean of each row."""
    n = X.shape[1]

    def pullback(y_bar):
        return y_bar[:, None] / n

    return xp.sum(X, axis=1) / n, pullback

from multigrad import operation


@operation("(m,n)->(m)")
def mean_value(xp, X):
    """Mean of each row."""
    n = X.shape[1]

    def pullback(y_bar):
        return xp.broadcast_to(y_bar[:, None] / n, X.shape)

    return xp.sum(X, axis=1) / n, pullback

"""Mistake: of the two terms of d(XᵀX) one is dropped.

Kind: one of two terms of a product rule.
"""

from multigrad import operation


@operation("(m,n),(m)->(n)")
def ridge_weights(xp, X, y, *, lam=0.5):
    """Ridge regression w = (XᵀX + λI)⁻¹ Xᵀ y."""
    G = X.T @ X + lam * xp.eye(X.shape[1], dtype=X.dtype)
    w = xp.linalg.solve(G, X.T @ y)

    def pullback(w_bar):
        v = xp.linalg.solve(G, w_bar)
        r = y - X @ w
        X_bar = r[:, None] * v[None, :]
        return X_bar, X @ v

    return w, pullback

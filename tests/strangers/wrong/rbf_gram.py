"""Mistake: the cotangent is taken for symmetric, one side counted twice.

Kind: a symmetric matrix whose cotangent need not be symmetric.
"""

from multigrad import operation


@operation("(n,d)->(n,n)")
def rbf_gram(xp, X, *, gamma=0.3):
    """Gram matrix of the Gaussian kernel exp(-γ ‖x_i - x_j‖²)."""
    d = X[:, None, :] - X[None, :, :]
    K = xp.exp(-gamma * xp.sum(d**2, axis=2))

    def pullback(K_bar):
        W = 2 * K_bar * K
        return -2 * gamma * xp.sum(W[:, :, None] * d, axis=1)

    return K, pullback

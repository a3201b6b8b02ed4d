"""Mistake: the temperature's 1/τ is not passed on to the embeddings.

Kind: temperature of contrastive losses.
"""

from multigrad import operation


@operation("(n,d),(n,d)->()")
def info_nce(xp, a, b, *, tau=0.5):
    """Contrastive loss: mean cross-entropy of a bᵀ/τ with the diagonal as targets."""
    n = a.shape[0]
    s = a @ b.T / tau
    m = xp.max(s, axis=1)
    e = xp.exp(s - m[:, None])
    total = xp.sum(e, axis=1)

    def pullback(f_bar):
        g = f_bar / n * (e / total[:, None] - xp.eye(n, dtype=a.dtype))
        return g @ b, g.T @ a

    return xp.mean(m + xp.log(total) - xp.linalg.diagonal(s)), pullback

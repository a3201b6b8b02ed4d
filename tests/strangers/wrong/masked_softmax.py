"""Mistake: the masked softmax's backward divides by the sum of what is kept: NaN in a row that is masked as a whole.

Kind: PyTorch issue 41508, rows of MultiheadAttention that are masked as a whole.
"""

from multigrad import operation


def scores_and_mask(draw, b, n):
    return draw(b, n), draw.labels(2, b, n)


@operation("(b,n),(b,n)->(b,n)", nondifferentiable=["keep"], inputs=scores_and_mask)
def masked_softmax(xp, s, keep):
    """Softmax over the entries that are kept; a row with nothing kept is zero."""
    k = keep != 0
    low = xp.where(k, s, -1e4)
    e = xp.where(k, xp.exp(xp.where(k, s - xp.max(low, axis=1, keepdims=True), 0.0)), 0.0)
    total = xp.sum(e, axis=1, keepdims=True)
    p = e / xp.where(total == 0, 1.0, total)

    def pullback(p_bar):
        q = e / total
        return q * (p_bar - xp.sum(p_bar * q, axis=1, keepdims=True))

    return p, pullback

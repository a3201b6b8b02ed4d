"""Mistake: divided by the number of elements where the batch size belongs.

Kind: PyTorch's documentation of kl_div warns of it: 'mean' against 'batchmean'.
"""

import numpy as np

from multigrad import operation


def target_and_scores(draw, b, c):
    counts = draw.labels(3, b, c) + 0.0
    counts[:, 0] += 1
    return counts / np.sum(counts, axis=1, keepdims=True), draw(b, c)


@operation("(b,c),(b,c)->()", nondifferentiable=["target"], inputs=target_and_scores)
def kl_batchmean(xp, target, log_q):
    """KL divergence from log-probabilities, mean over the batch, with 0 log 0 = 0."""
    some = target > 0
    log_p = xp.log(xp.where(some, target, 1.0))
    terms = xp.where(some, target * (log_p - log_q), 0.0)
    n = max(target.shape[0], 1)

    def pullback(f_bar):
        return -f_bar * target / (n * target.shape[1])

    return xp.sum(terms) / n, pullback

"""Mistake: the mean of the cross-entropy divides by the batch size in the backward, not by the rows that are not
ignored.

Kind: Paddle issue 23708, where the mean's denominator counts the ignored rows.
"""

import numpy as np

from multigrad import operation

IGNORE = -100


def logits_and_labels(draw, b, c):
    labels = draw.labels(c, b)
    return draw(b, c), np.where(draw.labels(4, b) == 0, IGNORE, labels)


@operation("(b,c),(b)->()", nondifferentiable=["labels"], inputs=logits_and_labels)
def cross_entropy_ignore(xp, logits, labels):
    """Mean cross-entropy over the rows whose label is not -100."""
    valid = labels != IGNORE
    hot = (labels[:, None] == xp.arange(logits.shape[1])[None, :]) & valid[:, None]
    z = logits - xp.max(logits, axis=1, keepdims=True)
    log_p = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
    count = xp.maximum(xp.sum(xp.astype(valid, logits.dtype)), 1)

    def pullback(f_bar):
        d = xp.exp(log_p) - xp.astype(hot, logits.dtype)
        return f_bar * xp.where(valid[:, None], d, 0) / logits.shape[0]

    return -xp.sum(xp.where(hot, log_p, 0)) / count, pullback

"""Mistake: the scale 1/(1 - p) is applied in the forward part only.

Kind: inverted dropout, scaled in one direction only.
"""

from multigrad import operation


@operation("(n),(n)->(n)", nondifferentiable=["keep"], inputs=lambda draw, n: (draw(n), draw.labels(2, n)))
def inverted_dropout(xp, x, keep, *, p=0.3):
    """Dropout with a given mask, kept entries scaled by 1/(1 - p)."""
    scale = xp.astype(keep, x.dtype) / (1 - p)

    def pullback(y_bar):
        return y_bar * xp.astype(keep, x.dtype)

    return x * scale, pullback

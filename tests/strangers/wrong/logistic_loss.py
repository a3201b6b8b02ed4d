"""Mistake: the cotangent of the loss is ignored, as if a loss were always the last node.

Kind: fused losses that compute the gradient in the forward pass.
"""

from multigrad import operation


def rows_and_labels(draw, m, n):
    return draw(m, n), draw(n), draw.labels(2, m)


@operation("(m,n),(n),(m)->()", nondifferentiable=["t"], inputs=rows_and_labels)
def logistic_loss(xp, X, w, t):
    """Logistic regression, summed over the rows."""
    z = X @ w
    s = 1 - 2 * xp.astype(t, X.dtype)

    def pullback(f_bar):
        e = xp.exp(-xp.abs(z))
        p = xp.where(s * z >= 0, 1 / (1 + e), e / (1 + e))
        g = s * p
        return g[:, None] * w, g @ X

    return xp.sum(xp.log1p(xp.exp(-xp.abs(z))) + xp.maximum(s * z, xp.zeros_like(z))), pullback

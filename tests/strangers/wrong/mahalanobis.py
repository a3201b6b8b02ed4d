"""Mistake: the sign of the derivative of an inverse: +S⁻ᵀ where -S⁻ᵀ belongs.

Kind: the sign in the derivative of an inverse.
"""

import numpy as np

from multigrad import operation


def points_and_covariance(draw, n):
    A = np.tanh(draw(n, n))
    return draw(n), draw(n), A @ A.T + np.eye(n)


@operation("(n),(n),(n,n)->()", inputs=points_and_covariance)
def mahalanobis(xp, x, mu, S):
    """Squared Mahalanobis distance (x - μ)ᵀ S⁻¹ (x - μ)."""
    d = x - mu
    z = xp.linalg.solve(S, d)

    def pullback(f_bar):
        w = xp.linalg.solve(S.T, d)
        x_bar = f_bar * (z + w)
        return x_bar, -x_bar, f_bar * w[:, None] * z[None, :]

    return xp.sum(d * z), pullback

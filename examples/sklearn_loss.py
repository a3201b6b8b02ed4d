"""A loss as scikit-learn has it, in its two dtypes, with its gradient: `multigrad check examples/sklearn_loss.py`."""

import numpy as np
from scipy.special import expit

from multigrad import operation


def samples(draw, m, n):
    """Return coefficients, m samples of n features, and their labels, 0 or 1."""
    return draw(n), draw(m, n), draw.labels(2, m)


@operation("(n),(m,n),(m)->()", nondifferentiable=["X", "y"], inputs=samples, dtypes=("float64", "float32"))
def logistic_loss(xp, coef, X, y, *, l2=0.5):
    """Mean logistic loss of m samples, with an ℓ₂ penalty on the coefficients.

    f = 1/m Σᵢ (log(1 + exp zᵢ) − yᵢ zᵢ) + ½ λ ‖c‖² with z = X c, labels y in {0, 1} and λ = ``l2``.

    Source: the user guide of scikit-learn, section 1.1.11. Smooth: there is no kink.
    """
    z = X @ coef
    y = xp.astype(y, z.dtype)
    return xp.mean(xp.logaddexp(xp.zeros_like(z), z) - y * z) + 0.5 * l2 * xp.sum(coef * coef)


@logistic_loss.implementation("numpy", gradients=True)
def loss_gradient(coef, X, y, *, l2=0.5):
    """Return the loss and its gradient (n_features) with respect to the coefficients."""
    z, y = X @ coef, y.astype(X.dtype)  # integers would make float64 of float32
    loss = np.mean(np.logaddexp(0, z) - y * z) + 0.5 * l2 * coef @ coef
    return loss, X.T @ (expit(z) - y) / len(y) + l2 * coef

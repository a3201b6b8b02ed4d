"""An objective for scipy.optimize that returns its gradient too: `multigrad check examples/scipy_objective.py`.

`python examples/scipy_objective.py` minimises it.
"""

import numpy as np
from scipy.optimize import minimize

from multigrad import operation


def decays(draw, k, m):
    """Return amplitudes and rates of k decays, m times, and what was measured at them."""
    t = np.linspace(0, 2, m)
    return draw(k), abs(draw(k)), t, draw(m)


@operation("(k),(k),(m),(m)->()", nondifferentiable=["t", "y"], inputs=decays)
def exponential_fit(xp, a, b, t, y):
    """Half the squared distance of a sum of decays from measurements y at times t.

    f = ½ Σᵢ (Σⱼ aⱼ exp(−bⱼ tᵢ) − yᵢ)²

    Source: nonlinear least squares. Smooth: there is no kink.
    """
    r = xp.exp(-t[:, None] * b[None, :]) @ a - y
    return 0.5 * xp.sum(r * r)


@exponential_fit.implementation("numpy", gradients=True)
def objective(a, b, t, y):
    """Return the value and its gradients with respect to a and b (k)."""
    decay = np.exp(-np.outer(t, b))
    r = decay @ a - y
    return 0.5 * r @ r, (decay.T @ r, -a * ((t[:, None] * decay).T @ r))


def flat(p, t, y):
    """Return value and gradient as scipy.optimize wants them: p is a and b, one after the other."""
    value, (a_bar, b_bar) = objective(*np.split(p, 2), t, y)
    return value, np.concatenate([a_bar, b_bar])


if __name__ == "__main__":
    times = np.linspace(0, 2, 30)
    measured = 2 * np.exp(-times) + np.exp(-4 * times)
    found = minimize(flat, [1.5, 1.5, 0.5, 5.0], (times, measured), jac=True, method="BFGS")
    print(f"after {found.nit} steps: {found.fun:.2g} at a, b = {np.round(found.x, 3)}")

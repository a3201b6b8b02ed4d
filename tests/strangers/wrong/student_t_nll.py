"""Mistake: the normalising term log σ is treated as constant, so the scale's gradient lacks the 1.

Kind: a normalising term that depends on a parameter.
"""

import math

from multigrad import operation


@operation("(n),(n),(n)->()")
def student_t_nll(xp, y, mu, log_s, *, nu=4.0):
    """Negative log-likelihood of Student's t with ν degrees of freedom, scale exp(log_s)."""
    z = (y - mu) * xp.exp(-log_s)
    const = math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2) + 0.5 * math.log(nu * math.pi)
    f = xp.sum((nu + 1) / 2 * xp.log1p(z * z / nu) + log_s + const)

    def pullback(f_bar):
        g = f_bar * (nu + 1) * z / (nu + z * z)
        y_bar = g * xp.exp(-log_s)
        return y_bar, -y_bar, -g * z

    return f, pullback

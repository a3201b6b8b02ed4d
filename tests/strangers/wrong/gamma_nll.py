"""Mistake: the unit deviance's gradient is used where the likelihood's belongs: k/y in place of (k - 1)/y.

Kind: a deviance taken for a likelihood.
"""

import math

import numpy as np

from multigrad import operation


def positive(draw, n):
    return np.abs(draw(n)) + 0.25, np.abs(draw(n)) + 0.25


@operation("(n),(n)->()", inputs=positive)
def gamma_nll(xp, y, mu, *, shape=2.5):
    """Negative log-likelihood of a gamma distribution with mean μ."""
    const = math.lgamma(shape) - shape * math.log(shape)
    terms = shape * (xp.log(mu) + y / mu) - (shape - 1) * xp.log(y) + const

    def pullback(f_bar):
        y_bar = f_bar * (shape / mu - shape / y)
        return y_bar, f_bar * shape * (1 - y / mu) / mu

    return xp.sum(terms), pullback

"""Mistake: the adjoint system is solved with A instead of Aᵀ.

Kind: a transpose that symmetric tests do not show.
"""

import numpy as np

from multigrad import operation


def dominant(draw, n):
    A = draw(n, n)
    return A + np.diag(np.sum(np.abs(A), axis=1) + 1), draw(n)


@operation("(n,n),(n)->(n)", inputs=dominant)
def solve_vector(xp, A, b):
    """x = A⁻¹ b."""
    x = xp.linalg.solve(A, b)

    def pullback(x_bar):
        b_bar = xp.linalg.solve(A, x_bar)
        return -b_bar[:, None] * x[None, :], b_bar

    return x, pullback

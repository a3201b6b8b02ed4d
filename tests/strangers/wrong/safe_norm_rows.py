"""Mistake: norm at zero: x / ‖x‖ without the guard gives NaN for a row of zeros.

Kind: PyTorch issue 2421 and autograd issue 151.
"""

from multigrad import operation


@operation("(n,d)->()")
def safe_norm_rows(xp, x):
    """Sum of the rows' Euclidean norms; a row of zeros has gradient zero."""
    sq = xp.sum(x * x, axis=1)
    zero = sq == 0
    norm = xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, sq)))

    def pullback(f_bar):
        return f_bar * x / norm[:, None]

    return xp.sum(norm), pullback

"""Mistake: the sign of the determinant multiplies the gradient of log |det A|.

Kind: a sign of log |det A| that belongs to det A.
"""

from multigrad import operation


@operation("(n,n)->()")
def log_abs_det(xp, A):
    """log |det A|."""
    value = xp.linalg.slogdet(A).logabsdet

    def pullback(f_bar):
        return f_bar * xp.linalg.slogdet(A).sign * xp.linalg.inv(A).T

    return value, pullback

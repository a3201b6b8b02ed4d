"""Mistake: R instead of Rᵀ on the right of a triangular solve.

Kind: a transpose in a triangular solve.
"""

from multigrad import operation


@operation("(m,n)->()", sizes={"tiny": {"m": 3, "n": 2}, "odd": {"m": 5, "n": 3}, "large": {"m": 60, "n": 20}})
def qr_log_volume(xp, A):
    """Logarithm of the volume spanned by the columns: Σ log |R_ii| of a QR factorisation."""
    Q, R = xp.linalg.qr(A)
    n = A.shape[1]
    diagonal = xp.linalg.diagonal(R)

    def pullback(f_bar):
        return f_bar * xp.linalg.solve(R.T, Q.T).T

    return xp.sum(xp.log(xp.abs(diagonal[:n]))), pullback

"""Mistake: eigenvectors taken from the rows instead of the columns.

Kind: rows against columns of an orthogonal matrix.
"""

from multigrad import operation


@operation("(n,n)->()")
def spectral_sqrt(xp, A):
    """Σ √(λ² + 1) over the eigenvalues of the symmetric part of A."""
    w, V = xp.linalg.eigh((A + A.T) / 2)
    r = xp.sqrt(w**2 + 1)

    def pullback(f_bar):
        return f_bar * (V.T * (w / r)) @ V

    return xp.sum(r), pullback

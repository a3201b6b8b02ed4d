import numpy as np

from multigrad import operation


def positive_definite(draw, n):
    A = np.tanh(draw(n, n))
    return (A @ A.T + np.eye(n),)


@operation("(n,n)->(n,n)", inputs=positive_definite)
def cholesky_factor(xp, A):
    """Lower Cholesky factor of the symmetric part of A."""
    L = xp.linalg.cholesky(0.5 * (A + A.T))

    def pullback(L_bar):
        P = xp.tril(L.T @ L_bar)
        P = P - 0.5 * P * xp.eye(P.shape[0], dtype=P.dtype)
        Z = xp.linalg.solve(L.T, P)
        S = xp.linalg.solve(L.T, Z.T).T
        return 0.5 * (S + S.T)

    return L, pullback

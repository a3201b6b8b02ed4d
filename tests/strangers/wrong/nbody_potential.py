"""Mistake: each pair is counted twice in the force.

Kind: sums over all pairs against sums over i < j.
"""

from multigrad import operation

G = 1.5
SOFTENING = 0.1


@operation("(n,d),(n)->()")
def nbody_potential(xp, X, m):
    """Softened gravitational potential -G Σ_{i<j} m_i m_j / √(r² + ε²)."""
    d = X[:, None, :] - X[None, :, :]
    r2 = xp.sum(d * d, axis=2) + SOFTENING**2
    off = xp.eye(X.shape[0]) == 0
    inv = xp.where(off, 1 / xp.sqrt(r2), 0)

    def pullback(f_bar):
        w = 2 * f_bar * G * m[:, None] * m[None, :] * inv**3
        return xp.sum(w[:, :, None] * d, axis=1), -f_bar * G * (inv @ m)

    return -0.5 * G * xp.sum(m[:, None] * m * inv), pullback

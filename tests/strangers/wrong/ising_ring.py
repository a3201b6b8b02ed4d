"""Mistake: only one neighbour of each spin is taken into account.

Kind: one of two symmetric terms doubled in place of both.
"""

from multigrad import operation


@operation("(n),(n)->()")
def ising_ring(xp, s, h, *, J=0.7):
    """Energy of a ring of soft spins: -J Σ s_i s_{i+1} - Σ h_i s_i."""

    def pullback(f_bar):
        return -f_bar * (J * 2 * xp.roll(s, 1) + h), -f_bar * s

    return -J * xp.sum(s * xp.roll(s, -1)) - xp.sum(h * s), pullback

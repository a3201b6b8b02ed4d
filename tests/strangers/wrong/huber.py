"""Mistake: slope 1 instead of δ outside.

Kind: smooth L1 taken for Huber; PyTorch has both.
"""

from multigrad import operation


@operation("(n),(n)->()")
def huber(xp, y, t, *, delta=1.35):
    """Huber loss: r²/2 inside δ, δ(|r| - δ/2) outside."""
    r = y - t
    a = xp.abs(r)
    inside = a <= delta
    f = xp.sum(xp.where(inside, 0.5 * r**2, delta * (a - 0.5 * delta)))

    def pullback(f_bar):
        g = f_bar * xp.where(inside, r, xp.sign(r))
        return g, -g

    return f, pullback

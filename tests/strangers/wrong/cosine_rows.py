"""Mistake: cosine similarity's second gradient projects with the first one's norm.

Kind: copy and paste between two similar gradients.
"""

from multigrad import operation

EPS = 1e-8


@operation("(n,d),(n,d)->(n)")
def cosine_rows(xp, x, y):
    """Cosine similarity of the rows."""
    nx = xp.sqrt(xp.sum(x * x, axis=-1) + EPS)
    ny = xp.sqrt(xp.sum(y * y, axis=-1) + EPS)
    c = xp.sum(x * y, axis=-1) / (nx * ny)

    def pullback(c_bar):
        a = (c_bar / (nx * ny))[:, None]
        x_bar = a * y - (c_bar * c / nx**2)[:, None] * x
        y_bar = a * x - (c_bar * c / nx**2)[:, None] * y
        return x_bar, y_bar

    return c, pullback

"""Mistake: the gradients of atan2's two arguments lack their opposite signs.

Kind: the argument order and the signs of atan2.
"""

import numpy as np

from multigrad import operation


def directions(draw, n):
    return np.abs(draw(n)) + 0.5, draw(n), draw(n)


@operation("(n),(n),(n)->(n)", inputs=directions)
def heading_error(xp, x, y, angle):
    """1 - cos of the angle between the direction (x, y) and a heading."""
    e = xp.atan2(y, x) - angle

    def pullback(f_bar):
        g = f_bar * xp.sin(e)
        r2 = x**2 + y**2
        return g * y / r2, g * x / r2, -g

    return 1 - xp.cos(e), pullback

"""Mistake: the value is updated before the slope in Horner's scheme, so the derivative has one factor too many.

Kind: two updates in the wrong order.
"""

from multigrad import operation


@operation("(k),(n)->(n)", sizes={"tiny": {"k": 3, "n": 2}, "odd": {"k": 5, "n": 7}, "large": {"k": 6, "n": 1000}})
def horner_polynomial(xp, c, x):
    """Polynomial with coefficients c, highest power first, at the points x."""
    y = xp.zeros_like(x)
    slope = xp.zeros_like(x)
    for i in range(c.shape[0]):
        y = y * x + c[i]
        slope = slope * x + y

    def pullback(y_bar):
        c_bar = []
        power = xp.ones_like(x)
        for _ in range(c.shape[0]):
            c_bar.append(xp.sum(y_bar * power))
            power = power * x
        return xp.stack(c_bar[::-1]), y_bar * slope

    return y, pullback

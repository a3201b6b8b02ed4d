"""Mistake: cumprod's gradient by dividing by x is NaN where x is 0.

Kind: TensorFlow issue 3862 and Theano issue 5197.
"""

from multigrad import operation


@operation("(n)->(n)", sizes={"tiny": {"n": 3}, "odd": {"n": 5}, "large": {"n": 8}})
def running_product(xp, x):
    """Cumulative product."""
    n = x.shape[0]
    y = xp.empty_like(x)
    p = xp.ones_like(x[0])
    for i in range(n):
        p = p * x[i]
        y[i] = p

    def pullback(y_bar):
        return xp.flip(xp.cumulative_sum(xp.flip(y_bar * y))) / x

    return y, pullback

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
        g = xp.zeros_like(x)
        for i in range(n):
            t = y_bar[i] if i == 0 else y_bar[i] * y[i - 1]
            g[i] = t
            q = y[i - 1] if i else xp.ones_like(x[0])
            for j in range(i + 1, n):
                q = q * x[j]
                g[i] += y_bar[j] * q
        return g

    return y, pullback

from multigrad import operation


@operation("(n)->(n)")
def leaky_relu(xp, x, *, slope=0.01):
    y = xp.where(x > 0, x, slope * x)

    def pullback(y_bar):
        return y_bar * xp.where(x > 0, xp.ones_like(x), slope)

    return y, pullback

from multigrad import operation


@operation("(n)->(n)")
def leaky_relu(xp, x, *, slope=0.01):
    y = xp.where(x > 0, x, slope * x)

    def pullback(y_bar):
        return y_bar * xp.where(x > 0, 1.0, slope)

    return y, pullback

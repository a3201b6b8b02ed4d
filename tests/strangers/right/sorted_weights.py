from multigrad import operation


@operation("(n),(n)->()")
def sorted_weights(xp, x, w):
    """Ordered weighted average Σ w_i x_(i), x sorted upwards."""
    order = xp.argsort(x)
    y = xp.take(x, order)

    def pullback(f_bar):
        back = xp.argsort(order)
        return f_bar * xp.take(w, back), f_bar * y

    return xp.sum(w * y), pullback

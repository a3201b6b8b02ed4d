from multigrad import operation


@operation("(n,d)->()")
def safe_norm_rows(xp, x):
    """Sum of the rows' Euclidean norms; a row of zeros has gradient zero."""
    sq = xp.sum(x * x, axis=1)
    zero = sq == 0
    norm = xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, sq)))

    def pullback(f_bar):
        safe = xp.where(zero, 1.0, norm)
        return f_bar * x / safe[:, None]

    return xp.sum(norm), pullback

from multigrad import operation


@operation("(n,n)->()")
def log_abs_det(xp, A):
    """log |det A|."""
    value = xp.linalg.slogdet(A).logabsdet

    def pullback(f_bar):
        return f_bar * xp.linalg.inv(A).T

    return value, pullback

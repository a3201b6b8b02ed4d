"""Wrong on purpose: C where Cᵀ belongs. C is square, so every shape is right and only the numbers can tell."""

from multigrad import operation


@operation("(n,n),(n)->(n)")
def transposed(xp, C, x):
    """A square linear map applied to a vector, with the gradient of x transposed.

    y = Cx.  This file has:

        C̄ = ȳxᵀ
        x̄ = Cȳ

    Source: a slip of the pen; x̄ = Cᵀȳ is meant. Linear: there is no kink.
    """

    def pullback(y_bar):
        return y_bar[:, None] * x[None, :], C @ y_bar

    return C @ x, pullback

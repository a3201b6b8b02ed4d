"""Wrong on purpose: the pullback forgets where the ReLU was shut. The gradient of Y does not pass it: it is right."""

from multigrad import operation


@operation("(m,k),(k,n),(m,n)->()")
def mask_lost(xp, X, W, Y):
    """Squared distance of one ReLU layer from its target, differentiated as if the layer were linear.

    f = ‖max(XW, 0) − Y‖²_F.  With Z = XW and R = max(Z, 0) − Y, this file has:

        ∂f/∂X = 2 R Wᵀ
        ∂f/∂W = 2 Xᵀ R
        ∂f/∂Y = −2 R

    Source: a slip of the pen. The mask [Z > 0] is missing from the first two.
    """
    T = xp.matrix_transpose
    Z = X @ W
    R = xp.maximum(Z, 0) - Y

    def pullback(f_bar):
        R_bar = 2 * f_bar * R
        return R_bar @ T(W), T(X) @ R_bar, -R_bar

    return xp.sum(R * R), pullback

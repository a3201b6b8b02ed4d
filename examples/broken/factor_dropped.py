"""Wrong on purpose: the 2 of the square is lost. `multigrad check` answers FAIL for every gradient."""

from multigrad import operation


@operation("(m,k),(k,n),(m,n)->()")
def factor_dropped(xp, X, W, Y):
    """Squared distance of one ReLU layer from its target, its gradients half of what they should be.

    f = ‖max(XW, 0) − Y‖²_F.  With Z = XW and R = max(Z, 0) − Y, this file has:

        ∂f/∂X = (R ∘ [Z > 0]) Wᵀ
        ∂f/∂W = Xᵀ (R ∘ [Z > 0])
        ∂f/∂Y = −R

    Source: a slip of the pen. At Z = 0 the derivative of max(Z, 0) is taken to be 0.
    """
    T = xp.matrix_transpose
    Z = X @ W
    R = xp.maximum(Z, 0) - Y

    def pullback(f_bar):
        R_bar = f_bar * R
        Z_bar = xp.where(Z > 0, R_bar, 0)
        return Z_bar @ T(W), T(X) @ Z_bar, -R_bar

    return xp.sum(R * R), pullback

"""Mistake: the forward part writes into its input.

Kind: in-place arithmetic on an argument, the reason for `copy=` in scikit-learn's scalers.
"""

from multigrad import operation


@operation("(n,d)->(n,d)")
def center_columns(xp, X):
    """Columns minus their means, squared."""
    X -= xp.mean(X, axis=0)

    def pullback(Y_bar):
        G = 2 * Y_bar * X
        return G - xp.mean(G, axis=0)

    return X * X, pullback

"""Mistake: the scale 1/√d is missing from the gradient of K.

Kind: fused attention kernels scale dq and dk at different places.
"""

import math

from multigrad import operation


@operation("(t,d),(t,d),(t,d)->(t,d)")
def causal_attention(xp, Q, K, V):
    """Scaled dot-product attention in which no position sees a later one."""
    t, d = Q.shape
    scale = 1 / math.sqrt(d)
    i = xp.arange(t)
    S = xp.where(i[:, None] >= i[None, :], scale * (Q @ K.T), -float("inf"))
    E = xp.exp(S - xp.max(S, axis=1, keepdims=True))
    P = E / xp.sum(E, axis=1, keepdims=True)

    def pullback(O_bar):
        P_bar = O_bar @ V.T
        S_bar = P * (P_bar - xp.sum(P * P_bar, axis=1, keepdims=True))
        return scale * S_bar @ K, S_bar.T @ Q, P.T @ O_bar

    return P @ V, pullback

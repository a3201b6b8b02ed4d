"""Mistake: only the diagonal p(1 - p) of the softmax's Jacobian is used.

Kind: a softmax backward question asked on Stack Overflow again and again.
"""

from multigrad import operation


def softmax(xp, s):
    e = xp.exp(s - xp.max(s))
    return e / xp.sum(e)


@operation("(h),(t,h),(h),(t,d)->(d)")
def additive_attention(xp, q, K, v, X):
    """Bahdanau attention: weights softmax(tanh(q + K) v), value Xᵀ p."""
    T = xp.tanh(q + K)
    p = softmax(xp, T @ v)

    def pullback(y_bar):
        p_bar = X @ y_bar
        s_bar = p * (1 - p) * p_bar
        K_bar = s_bar[:, None] * v * (1 - T**2)
        return xp.sum(K_bar, axis=0), K_bar, T.T @ s_bar, p[:, None] * y_bar[None, :]

    return X.T @ p, pullback

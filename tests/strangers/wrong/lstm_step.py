"""Mistake: the gradient of the cell state output is dropped, only that of the hidden state flows.

Kind: several outputs, of which one cotangent is forgotten.
"""

from multigrad import operation


def sigmoid(xp, z):
    return 0.5 * (1 + xp.tanh(0.5 * z))


@operation("(h),(h),(h),(h),(h)->(h),(h)")
def lstm_step(xp, zi, zf, zg, zo, c):
    """An LSTM cell from its pre-activations and the old cell state: new hidden state and new cell state."""
    i, f, o = sigmoid(xp, zi), sigmoid(xp, zf), sigmoid(xp, zo)
    g = xp.tanh(zg)
    c1 = f * c + i * g
    t = xp.tanh(c1)

    def pullback(h_bar, c1_bar):
        u = h_bar * o * (1 - t**2)
        return u * g * i * (1 - i), u * c * f * (1 - f), u * i * (1 - g**2), h_bar * t * o * (1 - o), u * f

    return (o * t, c1), pullback

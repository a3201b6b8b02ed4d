"""Mistake: the recurrent weight's gradient is paired with the new state instead of the old one.

Kind: backpropagation through time written by hand, an index off by one.
"""

from multigrad import operation

SIZES = {"tiny": {"t": 3, "h": 2}, "odd": {"t": 20, "h": 3}, "large": {"t": 40, "h": 32}}


@operation("(t,h),(h,h)->(h)", sizes=SIZES)
def elman_rnn(xp, x, W):
    """Last state of h[t] = tanh(W h[t-1] + x[t]), h[-1] = 0."""
    h = xp.zeros_like(W[0])
    states = [h]
    for t in range(x.shape[0]):
        h = xp.tanh(W @ h + x[t])
        states.append(h)

    def pullback(h_bar):
        W_bar = xp.zeros_like(W)
        x_bars = []
        for t in range(x.shape[0] - 1, -1, -1):
            z_bar = h_bar * (1 - states[t + 1] ** 2)
            W_bar = W_bar + z_bar[:, None] * states[t + 1][None, :]
            x_bars.append(z_bar)
            h_bar = W.T @ z_bar
        return xp.stack(x_bars[::-1]), W_bar

    return h, pullback

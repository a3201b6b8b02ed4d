"""Mistake: the 3 of d(x³) is lost in the tanh GELU.

Kind: a power rule in hand-written GELU kernels.
"""

import math

from multigrad import operation

C = math.sqrt(2 / math.pi)
A = 0.044715


@operation("(n)->(n)")
def gelu_tanh(xp, x):
    """GELU, tanh approximation: y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    t = xp.tanh(C * (x + A * x**3))

    def pullback(y_bar):
        inner = C * (1 + A * x**2)
        return y_bar * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner)

    return 0.5 * x * (1 + t), pullback

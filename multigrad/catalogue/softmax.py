"""Softmax and its relatives, of the last axis.

All three are computed from e = exp(x − max x), which does not overflow, and whose largest element is 1.
"""

from __future__ import annotations

from typing import Any

from ..ops.operation import operation
from ..ops.signature import Size

SIZES: dict[str, Size] = {
    "tiny": {"m": 3, "n": 4},
    "small": {"m": 128, "n": 10},
    "medium": {"m": 1024, "n": 1000},
    "large": {"m": 256, "n": 32000},
}
"""Rows and classes: a few, digits, photographs, and the words of a language model."""


@operation("(m,n)->(m,n)", sizes=SIZES)
def softmax(xp: Any, x: Any) -> Any:
    """The softmax of each row.

    With μ = max x and e = exp(x − μ), y = e/Σe:

        x̄ = y ∘ (ȳ − ⟨y, ȳ⟩)

    μ cancels, so there is no kink where two elements are equal. An element of −∞ has probability 0; a row with +∞, or
    of −∞ alone, has no softmax, and is NaN.

    Source: Blanchard, Higham & Higham, Accurately computing the log-sum-exp and softmax functions (2021), section 1.
    """
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    y = e / xp.sum(e, axis=1, keepdims=True)

    def pullback(y_bar: Any) -> Any:
        return y * (y_bar - xp.vecdot(y, y_bar)[:, None])

    return y, pullback


@softmax.pushforward
def _(xp: Any, x: Any, x_dot: Any) -> Any:
    """The formula of the pullback, for the Jacobian diag(y) − yyᵀ is symmetric.

    With y as above:

        ẏ = y ∘ (ẋ − ⟨y, ẋ⟩)

    Source: Blanchard, Higham & Higham (2021), section 1.
    """
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    y = e / xp.sum(e, axis=1, keepdims=True)
    return y * (x_dot - xp.vecdot(y, x_dot)[:, None])


@operation("(m,n)->(m,n)", sizes=SIZES)
def log_softmax(xp: Any, x: Any) -> Any:
    """The logarithm of the softmax of each row.

    With μ = max x, z = x − μ, e = exp(z) and s = Σe, y = z − log s:

        x̄ = ȳ − e Σȳ/s

    μ cancels, so there is no kink where two elements are equal. A row with +∞, or of −∞ alone, is NaN.

    Source: Blanchard, Higham & Higham (2021); e/s is the softmax, whose logarithm this is.
    """
    z = x - xp.max(x, axis=1, keepdims=True)
    e = xp.exp(z)
    s = xp.sum(e, axis=1, keepdims=True)

    def pullback(y_bar: Any) -> Any:
        return y_bar - e * (xp.sum(y_bar, axis=1, keepdims=True) / s)

    return z - xp.log(s), pullback


@operation("(m,n)->(m)", sizes=SIZES)
def logsumexp(xp: Any, x: Any) -> Any:
    """The logarithm of the sum of the exponentials of each row.

    With μ = max x, e = exp(x − μ) and s = Σe, f = μ + log s:

        x̄ = f̄ e/s

    μ cancels, so there is no kink where two elements are equal. An infinite μ is taken to be the largest number of its
    sign: a row of −∞ alone gives −∞ and a gradient of 0, as in PyTorch; one with +∞ gives +∞, and a gradient of NaN to
    that element.

    Source: Blanchard, Higham & Higham (2021), section 1: the gradient is the softmax.
    """
    largest = xp.max(x, axis=1, keepdims=True)
    most = float(xp.finfo(x.dtype).max)
    m = xp.clip(largest, -most, most)
    e = xp.exp(x - m)
    s = xp.sum(e, axis=1, keepdims=True)

    def pullback(f_bar: Any) -> Any:
        # Where everything is −∞ there is nothing to share.
        return e * (f_bar[:, None] / (s + xp.astype(s == 0, s.dtype)))

    return (m + xp.log(s))[:, 0], pullback


@logsumexp.pushforward
def _(xp: Any, x: Any, x_dot: Any) -> Any:
    """The mean of the tangents, weighted with the softmax.

    With e and s as above:

        ḟ = ⟨e, ẋ⟩/s

    Source: Blanchard, Higham & Higham (2021), section 1: the gradient is the softmax.
    """
    largest = xp.max(x, axis=1, keepdims=True)
    most = float(xp.finfo(x.dtype).max)
    e = xp.exp(x - xp.clip(largest, -most, most))
    s = xp.sum(e, axis=1)
    return xp.vecdot(e, x_dot) / (s + xp.astype(s == 0, s.dtype))

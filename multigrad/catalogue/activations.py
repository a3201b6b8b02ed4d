"""Activations: functions of one number, with a kink or without.

At a kink the derivative is a convention, an element of the subdifferential. Here it is:

    entry        kink          slopes beside it    taken at it
    relu         x = 0         0 and 1             0
    leaky_relu   x = 0         slope and 1         slope
    elu          x = 0         alpha and 1         alpha; with alpha = 1 there is no kink
    hardtanh     x = low       0 and 1             0: the interval is open
                 x = high      1 and 0             0
    clip         x = low       0 and 1             1: the interval is closed
                 x = high      1 and 0             1
    absolute     x = 0         −1 and 1            0

A derivative that is 0 or 1 is a product with a mask, so that an infinite cotangent gives NaN where the mask is 0.

All are bound by memory, and what has several steps takes them a block at a time.
"""

from __future__ import annotations

import math
from typing import Any

from ..extra.blocks import in_blocks
from ..ops.operation import operation
from ..ops.signature import Size

SIZES: dict[str, Size] = {
    "tiny": {"m": 4, "n": 5},
    "small": {"m": 64, "n": 128},
    "medium": {"m": 1024, "n": 1024},
    "large": {"m": 2048, "n": 4096},
}
"""Rows and features: a few, an image's, a layer's, and a transformer's hidden layer."""


@operation("(m,n)->(m,n)", sizes=SIZES)
def relu(xp: Any, x: Any) -> Any:
    """The positive part, max(x, 0).

        x̄ = ȳ [x > 0]

    At x = 0 the derivative is taken to be 0.

    Source: Nair & Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda x, y_bar: y_bar * xp.astype(x > 0, y_bar.dtype), x, y_bar)

    return xp.maximum(x, 0), pullback


@operation("(m,n)->(m,n)", sizes={**SIZES, "steep": {"m": 4, "n": 5, "slope": 0.25}})
def leaky_relu(xp: Any, x: Any, *, slope: float = 0.01) -> Any:
    """The positive part, and a little of the negative one.

    y = max(x, slope·x), where 0 ≤ slope ≤ 1:

        x̄ = ȳ max([x > 0], slope)

    At x = 0 the derivative is taken to be the slope.

    Source: Maas, Hannun & Ng, Rectifier nonlinearities improve neural network acoustic models (2013).
    """

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda x, y_bar: y_bar * xp.maximum(xp.astype(x > 0, y_bar.dtype), slope), x, y_bar)

    return _elementwise(xp, lambda x: xp.maximum(x, slope * x), x), pullback


@operation("(m,n)->(m,n)", sizes={"tiny": SIZES["tiny"], "bent": {"m": 4, "n": 5, "alpha": 1.5}, **SIZES})
def elu(xp: Any, x: Any, *, alpha: float = 1.0) -> Any:
    """The exponential linear unit: x above 0, α(eˣ − 1) below.

    With n = min(x, 0), e = eⁿ − 1, y = (x − n) + αe:

        x̄ = ȳ (α(e + 1 − [x > 0]) + [x > 0])

    At x = 0 the derivative is taken to be α; with α = 1 it is continuous. Far below 0 the gradient is right to a
    rounding error of αȳ. At x = −∞ the value is NaN, the gradient 0.

    Source: Clevert, Unterthiner & Hochreiter, Fast and accurate deep network learning by exponential linear units
    (2016), eq. 15.
    """

    def value(x: Any) -> Any:
        n = xp.minimum(x, 0)
        e = xp.expm1(n)
        return (x - n) + (e if alpha == 1 else alpha * e), e

    y, e = in_blocks(xp, value, x)

    def pullback(y_bar: Any) -> Any:
        def x_bar(x: Any, e: Any, y_bar: Any) -> Any:
            if alpha == 1:
                return y_bar * (e + 1)
            above = xp.astype(x > 0, y_bar.dtype)
            return y_bar * (alpha * (e + 1 - above) + above)

        return _elementwise(xp, x_bar, x, e, y_bar)

    return y, pullback


@operation("(m,n)->(m,n)", sizes={**SIZES, "six": {"m": 4, "n": 5, "low": 0.0, "high": 6.0}})
def hardtanh(xp: Any, x: Any, *, low: float = -1.0, high: float = 1.0) -> Any:
    """A straight line between two levels.

    y = min(max(x, low), high):

        x̄ = ȳ [low < x < high]

    At x = low and x = high the derivative is taken to be 0; :func:`clip` takes it to be 1.

    Source: Collobert, Large scale machine learning (2004); the derivative by pieces.
    """

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda x, y_bar: y_bar * xp.astype((x > low) & (x < high), y_bar.dtype), x, y_bar)

    return xp.clip(x, low, high), pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def clip(xp: Any, x: Any, *, low: float = 0.0, high: float = 1.0) -> Any:
    """The nearest number in an interval.

    y = min(max(x, low), high):

        x̄ = ȳ [low ≤ x ≤ high]

    At x = low and x = high the derivative is taken to be 1: what lies in the interval is left alone, and so is its
    gradient. :func:`hardtanh` takes it to be 0.

    Source: the projection on an interval; its derivative by pieces.
    """

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda x, y_bar: y_bar * xp.astype((x >= low) & (x <= high), y_bar.dtype), x, y_bar)

    return xp.clip(x, low, high), pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def absolute(xp: Any, x: Any) -> Any:
    """The absolute value, |x|.

        x̄ = ȳ sgn x

    At x = 0 the derivative is taken to be 0, the shortest element of the subdifferential [−1, 1].

    Source: Rockafellar, Convex analysis (1970), section 23: the subdifferential of a norm.
    """

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda x, y_bar: y_bar * xp.sign(x), x, y_bar)

    return xp.abs(x), pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def sigmoid(xp: Any, x: Any) -> Any:
    """The logistic function.

    y = 1/(1 + e⁻ˣ):

        x̄ = ȳ y(1 − y)

    Not ½(1 + tanh(x/2)), which has no digits left where y is small. Where e⁻ˣ overflows, y is 0. Where x is large the
    gradient is right to a rounding error of ȳ, and exactly 0 in the end. Smooth: no kink.

    Source: Rumelhart, Hinton & Williams, Learning representations by back-propagating errors (1986), eq. 2 and 5.
    """
    y = _elementwise(xp, lambda x: xp.reciprocal(1 + xp.exp(-x)), x)

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda y, y_bar: y_bar * (y * (1 - y)), y, y_bar)

    return y, pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def tanh(xp: Any, x: Any) -> Any:
    """The hyperbolic tangent.

    y = tanh x:

        x̄ = ȳ (1 − y²)

    Where |x| is large the gradient is right to a rounding error of ȳ, and exactly 0 in the end. Smooth: no kink.

    PyTorch has this pullback as one function of its own, which its autodiff calls; the three steps that it is here take
    about a tenth longer there, block by block.

    Source: NIST Digital Library of Mathematical Functions, eq. 4.34.3 and 4.35.12.
    """
    y = xp.tanh(x)

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda y, y_bar: y_bar * (1 - y * y), y, y_bar)

    return y, pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def softplus(xp: Any, x: Any) -> Any:
    """The logarithm of 1 + eˣ: a smooth positive part.

    With h = max(x, 0), which stands for |x| = 2h − x, and e = exp(−|x|), y = h + log(1 + e):

        x̄ = ȳ max(e, [x ≥ 0])/(1 + e)

    That is the logistic function of x: e ≤ 1. Smooth: there is no kink, since the value does not depend on h. x = +∞
    gives NaN.

    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing (2001).
    """

    def value(x: Any) -> Any:
        h = xp.maximum(x, 0)
        e = xp.exp(x - 2 * h)
        return h + xp.log1p(e), e

    y, e = in_blocks(xp, value, x)

    def pullback(y_bar: Any) -> Any:
        def x_bar(x: Any, e: Any, y_bar: Any) -> Any:
            return y_bar * (xp.maximum(e, xp.astype(x >= 0, y_bar.dtype)) / (1 + e))

        return _elementwise(xp, x_bar, x, e, y_bar)

    return y, pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def silu(xp: Any, x: Any) -> Any:
    """The sigmoid linear unit, x times its logistic function.

    With s = 1/(1 + e⁻ˣ), y = xs:

        x̄ = ȳ (y(1 − s) + s)

    Smooth: there is no kink. x = −∞ gives NaN, x = +∞ a gradient of NaN.

    Source: Elfwing, Uchibe & Doya, Sigmoid-weighted linear units for neural network function approximation (2018).
    """

    def value(x: Any) -> Any:
        s = xp.reciprocal(1 + xp.exp(-x))
        return x * s, s

    y, s = in_blocks(xp, value, x)

    def pullback(y_bar: Any) -> Any:
        return _elementwise(xp, lambda y, s, y_bar: y_bar * (y * (1 - s) + s), y, s, y_bar)

    return y, pullback


@operation("(m,n)->(m,n)", sizes=SIZES)
def gelu(xp: Any, x: Any) -> Any:
    """The Gaussian error linear unit in its tanh form.

    With c = √(2/π), q = 0.044715 cx², s = ½ tanh(x(q + c)) + ½, y = xs:

        x̄ = ȳ (y(1 − s)(6q + 2c) + s)

    Smooth: there is no kink. Where the cube of x overflows, the gradient is NaN; x = −∞ gives NaN.

    Source: Hendrycks & Gimpel, Gaussian error linear units (2016), section 2.
    """
    c = math.sqrt(2 / math.pi)

    def cubed(x: Any) -> Any:
        return (c * 0.044715) * (x * x)

    def value(x: Any) -> Any:
        s = 0.5 * xp.tanh(x * (cubed(x) + c)) + 0.5
        return x * s, s

    y, s = in_blocks(xp, value, x)

    def pullback(y_bar: Any) -> Any:
        def x_bar(x: Any, s: Any, y_bar: Any) -> Any:
            return y_bar * (x * s * (1 - s) * (6 * cubed(x) + 2 * c) + s)

        return _elementwise(xp, x_bar, x, s, y_bar)

    return y, pullback


def _elementwise(xp: Any, function: Any, *arrays: Any) -> Any:
    """A function of single elements, of which every step by itself would be a pass over memory."""
    return in_blocks(xp, lambda *block: (function(*block),), *arrays)[0]

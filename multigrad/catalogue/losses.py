"""Losses: how far a prediction is from what happened, one number for each item of the batch.

Every sum runs over the last axis. The gradients need no more than the inputs, so nothing is kept for them but a number
or two for each item: to compute an exponential again is cheaper than to write it to memory and to read it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..extra.blocks import in_blocks
from ..ops.operation import operation

if TYPE_CHECKING:
    import numpy as np

    from ..ops.draw import Draw

SIZES = {
    "tiny": {"b": 2, "n": 3},
    "odd": {"b": 3, "n": 5},
    "small": {"b": 64, "n": 100},
    "medium": {"b": 512, "n": 1000},
    "large": {"b": 4096, "n": 2048},
}


def _positive(draw: Draw, *shape: int) -> np.ndarray:
    """The regime's numbers without their signs; 1 where one is 0."""
    numbers: np.ndarray = abs(draw(*shape))
    numbers[numbers == 0] = 1.0
    return numbers


def _logits_and_labels(draw: Draw, n: int, k: int) -> Sequence[np.ndarray]:
    return draw(n, k), draw.labels(k, n)


def _logits_and_targets(draw: Draw, b: int, n: int) -> Sequence[np.ndarray]:
    # Soft targets as well as the two classes.
    return draw(b, n), draw.labels(5, b, n) / 4.0


def _two_distributions(draw: Draw, b: int, n: int) -> Sequence[np.ndarray]:
    weights = _positive(draw, b, n), _positive(draw, b, n)
    return [w / w.sum(axis=1, keepdims=True) for w in weights]


def _mean_target_variance(draw: Draw, b: int, n: int) -> Sequence[np.ndarray]:
    return draw(b, n), draw(b, n), _positive(draw, b, n)


def _log_rates_and_counts(draw: Draw, b: int, n: int) -> Sequence[np.ndarray]:
    # A rate of e⁸ is within reach of every dtype.
    return draw(b, n).clip(-8.0, 8.0), draw.labels(9, b, n).astype(float)


@operation(
    "(n,k),(n)->(n)",
    nondifferentiable=["t"],
    inputs=_logits_and_labels,
    sizes={
        "tiny": {"n": 3, "k": 4},
        "digits": {"n": 50, "k": 10},
        "small": {"n": 256, "k": 100},
        "medium": {"n": 256, "k": 1000},
        "vocabulary": {"n": 256, "k": 32000},
    },
)
def softmax_cross_entropy(xp: Any, X: Any, t: Any) -> Any:
    """Cross-entropy of a softmax with whole-number labels.

    With mᵢ = max_j Xᵢⱼ and sᵢ = Σⱼ exp(Xᵢⱼ − mᵢ), and tᵢ the label of item i:

        ℓᵢ = log sᵢ + mᵢ − Xᵢₜ

        X̄ᵢⱼ = ℓ̄ᵢ (exp(Xᵢⱼ − mᵢ)/sᵢ − [j = tᵢ])

    No exponential overflows, whatever the logits. Smooth: which of two equal logits is the largest does not matter. A
    logit of −∞ rules a class out; a row with +∞, or of −∞ alone, is NaN.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.108 and 4.109.
    """

    def value(X: Any, t: Any) -> Any:
        m = xp.max(X, axis=1, keepdims=True)
        s = xp.sum(xp.exp(X - m), axis=1, keepdims=True)
        # The difference first: of two large logits it is exact, and their sum with a logarithm is not.
        loss = xp.log(s) + (m - xp.take_along_axis(X, t[:, None], axis=1))
        return loss[:, 0], m, s

    loss, m, s = in_blocks(xp, value, X, t)

    def pullback(loss_bar: Any) -> Any:
        classes = xp.arange(X.shape[1], dtype=t.dtype, device=X.device)

        def of_rows(X: Any, t: Any, m: Any, s: Any, loss_bar: Any) -> Any:
            chosen = xp.astype(t[:, None] == classes, X.dtype)
            return (xp.exp(X - m) * (loss_bar[:, None] / s) - chosen * loss_bar[:, None],)

        return in_blocks(xp, of_rows, X, t, m, s, loss_bar)[0]

    return loss, pullback


@softmax_cross_entropy.pushforward
def _(xp: Any, X: Any, t: Any, X_dot: Any) -> Any:
    """The mean of the tangents, weighted with the softmax, less the tangent of the label's logit.

    With m and s as above:

        ℓ̇ᵢ = Σⱼ exp(Xᵢⱼ − mᵢ) Ẋᵢⱼ/sᵢ − Ẋᵢₜ

    A label has no tangent.

    Source: Bishop (2006), eq. 4.109, along Ẋ.
    """
    e = xp.exp(X - xp.max(X, axis=1, keepdims=True))
    return xp.vecdot(e, X_dot) / xp.sum(e, axis=1) - xp.take_along_axis(X_dot, t[:, None], axis=1)[:, 0]


@operation("(b,n),(b,n)->(b)", nondifferentiable=["Y"], inputs=_logits_and_targets, sizes=SIZES)
def binary_cross_entropy_with_logits(xp: Any, X: Any, Y: Any) -> Any:
    """Cross-entropy of independent yes-or-no answers, from their logits.

    With Y in [0, 1], M = max(X, 0) and E = exp(X − 2M) = exp(−|X|):

        ℓᵢ = Σⱼ M − X∘Y + log(1 + E)

        X̄ = ℓ̄ (max(E, [X ≥ 0])/(1 + E) − Y),   where the quotient is the sigmoid of X

    No exponential overflows, and log(1 + E) keeps its digits where E is small. The loss is smooth: at X = 0 the
    derivative is ½ − Y, and that of M, whatever it is taken to be, cancels in that of the sum. Logits are finite: the
    loss of an infinite one is NaN, or +∞.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.90 and 4.91.
    """

    def value(X: Any, Y: Any) -> Any:
        M = xp.maximum(X, 0.0)
        return (xp.sum(M - X * Y + xp.log1p(xp.exp(X - 2 * M)), axis=1),)

    def pullback(loss_bar: Any) -> Any:
        def of_rows(X: Any, Y: Any, loss_bar: Any) -> Any:
            # In the words of the forward part, so that a compiler sees that it is the same.
            E = xp.exp(X - 2 * xp.maximum(X, 0.0))
            # 1 where X ≥ 0, which is never less than E, and E elsewhere: a maximum has no branch to predict.
            sigmoid = xp.maximum(E, xp.astype(X >= 0, X.dtype)) / (1 + E)
            return ((sigmoid - Y) * loss_bar[:, None],)

        return in_blocks(xp, of_rows, X, Y, loss_bar)[0]

    return in_blocks(xp, value, X, Y)[0], pullback


@operation("(b,n),(b,n)->(b)", sizes={"narrow": {"b": 3, "n": 4, "delta": 0.25}, **SIZES})
def huber(xp: Any, X: Any, Y: Any, *, delta: float = 1.0) -> Any:
    """Huber's loss: the square of a small residual, the absolute value of a large one.

    With R = X − Y and C = R cut off at ±δ:

        ℓᵢ = Σⱼ C∘(R − ½C),   which is ½R² where |R| ≤ δ, and δ|R| − ½δ² elsewhere

        X̄ = ℓ̄ C
        Ȳ = −X̄

    Continuously differentiable: at |R| = δ the derivative of C, whatever it is taken to be, is multiplied by R − C = 0.

    XLA computes X̄ twice, once for Ȳ, for it takes differences and comparisons to be cheaper than memory, and keeps R
    and C for it in memory of their own. So JAX needs twice the memory of its autodiff, and takes up to 1.7 times as
    long where memory binds.

    Source: P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964),
    73–101.
    """

    def cut(R: Any) -> Any:
        return xp.minimum(xp.maximum(R, -delta), delta)

    def value(X: Any, Y: Any) -> Any:
        R = X - Y
        C = cut(R)
        return (xp.sum(C * (R - 0.5 * C), axis=1),)

    def pullback(loss_bar: Any) -> Any:
        def of_rows(X: Any, Y: Any, loss_bar: Any) -> Any:
            X_bar = cut(X - Y) * loss_bar[:, None]
            return X_bar, -X_bar

        return in_blocks(xp, of_rows, X, Y, loss_bar)

    return in_blocks(xp, value, X, Y)[0], pullback


@operation("(b,n),(b,n)->(b)", inputs=_two_distributions, sizes=SIZES)
def kl_divergence(xp: Any, P: Any, Q: Any) -> Any:
    """Kullback–Leibler divergence of one distribution from another.

    With L = log(P/Q):

        ℓᵢ = Σⱼ P∘L

        P̄ = ℓ̄ (L + 1)
        Q̄ = −ℓ̄ P/Q

    Nothing is normalised, and every entry is a variable of its own. What cannot happen counts for nothing: where
    P = 0 the term is 0, and so are both its derivatives (that by P would be −∞). Where Q = 0 < P the term is +∞.

    Source: S. Kullback and R. A. Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22
    (1951), 79–86.
    """

    def quotient(P: Any, Q: Any) -> Any:
        possible = P > 0
        return possible, xp.where(possible, P, 1.0) / xp.where(possible, Q, 1.0)

    def value(P: Any, Q: Any) -> Any:
        _, T = quotient(P, Q)
        return (xp.sum(P * xp.log(T), axis=1),)

    def pullback(loss_bar: Any) -> Any:
        def of_rows(P: Any, Q: Any, loss_bar: Any) -> Any:
            possible, T = quotient(P, Q)
            counted = xp.astype(possible, P.dtype) * loss_bar[:, None]
            return xp.log(T) * loss_bar[:, None] + counted, -(T * counted)

        return in_blocks(xp, of_rows, P, Q, loss_bar)

    return in_blocks(xp, value, P, Q)[0], pullback


@operation("(b,n),(b,n),(b,n)->(b)", inputs=_mean_target_variance, sizes=SIZES)
def gaussian_nll(xp: Any, M: Any, Y: Any, V: Any) -> Any:
    """Negative log-likelihood of independent Gaussians with mean M and variance V > 0.

    With R = M − Y and A = R/V:

        ℓᵢ = ½ Σⱼ (log V + R∘A) + ½n log 2π

        M̄ = ℓ̄ A
        Ȳ = −M̄
        V̄ = ½ℓ̄ (1/V − A²)

    Smooth where V > 0. At V = 0 the loss is −∞ or has no value.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 1.46, for a variance of its own each.
    """
    constant = 0.5 * M.shape[1] * math.log(2 * math.pi)

    def value(M: Any, Y: Any, V: Any) -> Any:
        R = M - Y
        return (0.5 * xp.sum(xp.log(V) + R * (R / V), axis=1) + constant,)

    def pullback(loss_bar: Any) -> Any:
        def of_rows(M: Any, Y: Any, V: Any, loss_bar: Any) -> Any:
            A = (M - Y) / V
            M_bar = A * loss_bar[:, None]
            return M_bar, -M_bar, (1 / V - A * A) * (0.5 * loss_bar[:, None])

        return in_blocks(xp, of_rows, M, Y, V, loss_bar)

    return in_blocks(xp, value, M, Y, V)[0], pullback


@operation("(b,n),(b,n)->(b)", nondifferentiable=["Y"], inputs=_log_rates_and_counts, sizes=SIZES)
def poisson_nll(xp: Any, X: Any, Y: Any) -> Any:
    """Negative log-likelihood of independent counts Y whose rates are exp X; log Y!, a constant, is left out.

        ℓᵢ = Σⱼ exp X − X∘Y

        X̄ = ℓ̄ (exp X − Y)

    Smooth. A rate that overflows gives an infinite loss, and an infinite gradient.

    Source: McCullagh & Nelder, Generalized Linear Models, 2nd ed. (1989), section 6.2.
    """

    def value(X: Any, Y: Any) -> Any:
        return (xp.sum(xp.exp(X) - X * Y, axis=1),)

    def pullback(loss_bar: Any) -> Any:
        def of_rows(X: Any, Y: Any, loss_bar: Any) -> Any:
            return ((xp.exp(X) - Y) * loss_bar[:, None],)

        return in_blocks(xp, of_rows, X, Y, loss_bar)[0]

    return in_blocks(xp, value, X, Y)[0], pullback

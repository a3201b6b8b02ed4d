"""Normalisations: what is left of rows, or of channels, when their place and size are taken out.

A mean of products with a row vector is an inner product: one pass, and no product that has to be stored. A mean is that
of the distances from the first number, to which it is added: numbers that are all the same are their own mean, exactly.
"""

from __future__ import annotations

from typing import Any

from ..extra.blocks import in_blocks
from ..ops.operation import operation

SIZES = {
    "tiny": {"b": 2, "n": 3},
    "odd": {"b": 3, "n": 5},
    "small": {"b": 64, "n": 128},
    "medium": {"b": 512, "n": 768},
    "large": {"b": 8192, "n": 1024},
}


@operation("(b,n),(n),(n)->(b,n)", sizes=SIZES)
def layer_norm(xp: Any, X: Any, G: Any, B: Any, *, epsilon: float = 1e-5) -> Any:
    """Every row with mean 0 and variance 1, then scaled and shifted.

    With μ the mean and σ² the mean squared deviation of a row, ρ = 1/√(σ² + ε) and X̂ = ρ(X − μ):

        Y = G∘X̂ + B

        Ḡ = Σᵢ Ȳ∘X̂
        B̄ = Σᵢ Ȳ
        X̄ = ρ (H − ⟨H⟩ − X̂⟨H∘X̂⟩)   with H = G∘Ȳ and ⟨·⟩ the mean over a row

    ε is added to the variance, 1e-5 unless given. So the function is smooth also where a row is constant: there X̂ = 0,
    Y = B and X̄ = (H − ⟨H⟩)/√ε.

    Source: Ba, Kiros & Hinton, Layer normalization (2016), eq. 3 and 4.
    """
    n = X.shape[1]

    def value(X: Any) -> Any:
        first = X[:, : min(1, n)]
        mean = first + xp.mean(X - first, axis=1, keepdims=True)
        D = X - mean
        rho = 1 / xp.sqrt(xp.vecdot(D, D)[:, None] / n + epsilon)
        return D * rho * G + B, mean, rho

    Y, mean, rho = in_blocks(xp, value, X)

    def pullback(Y_bar: Any) -> Any:
        def of_rows(X: Any, Y_bar: Any, mean: Any, rho: Any) -> Any:
            product = Y_bar * ((X - mean) * rho)
            along = xp.vecdot(product, G)[:, None] / n
            across = xp.vecdot(Y_bar, G)[:, None] / n
            X_bar = (Y_bar * G - (X - mean) * (rho * along) - across) * rho
            return X_bar, xp.sum(product, axis=0), xp.sum(Y_bar, axis=0)

        return in_blocks(xp, of_rows, X, Y_bar, mean, rho, sums=2)

    return Y, pullback


@layer_norm.pushforward
def _(xp: Any, X: Any, G: Any, B: Any, X_dot: Any, G_dot: Any, B_dot: Any, *, epsilon: float = 1e-5) -> Any:
    """The tangent of a normalised row, which has mean 0 and is orthogonal to it but for ε, scaled and shifted.

    With X̂, ρ and ⟨·⟩ as above, and Ẋ̂ the tangent of X̂:

        Ẋ̂ = ρ (Ẋ − ⟨Ẋ⟩ − X̂⟨X̂∘Ẋ⟩)
        Ẏ = Ġ∘X̂ + G∘Ẋ̂ + Ḃ

    X̂ has mean 0, so ⟨X̂∘Ẋ⟩ needs no mean of Ẋ taken out.

    Source: the differential of eq. 3 and 4 of Ba, Kiros & Hinton (2016): dμ = ⟨dX⟩ and dρ = −ρ² ⟨X̂∘dX⟩.
    """
    n = X.shape[1]
    first = X[:, : min(1, n)]
    D = X - (first + xp.mean(X - first, axis=1, keepdims=True))
    rho = 1 / xp.sqrt(xp.vecdot(D, D)[:, None] / n + epsilon)
    H = D * rho
    H_dot = rho * (X_dot - xp.mean(X_dot, axis=1, keepdims=True) - H * (xp.vecdot(H, X_dot)[:, None] / n))
    return G_dot * H + G * H_dot + B_dot


@operation("(b,n),(n)->(b,n)", sizes=SIZES)
def rms_norm(xp: Any, X: Any, G: Any, *, epsilon: float = 1e-5) -> Any:
    """Every row with mean square 1, then scaled.

    With ρ = 1/√(⟨X²⟩ + ε), ⟨·⟩ the mean over a row, and X̂ = ρX:

        Y = G∘X̂

        Ḡ = Σᵢ Ȳ∘X̂
        X̄ = ρ (H − X̂⟨H∘X̂⟩)   with H = G∘Ȳ

    ε is added to the mean square, 1e-5 unless given. So the function is smooth also at a row of zeros: there Y = 0 and
    X̄ = H/√ε. Where the squares overflow Y = 0 and X̄ = 0.

    Source: Zhang & Sennrich, Root mean square layer normalization (2019), eq. 4.
    """
    n = X.shape[1]

    def value(X: Any) -> Any:
        rho = 1 / xp.sqrt(xp.vecdot(X, X)[:, None] / n + epsilon)
        return X * rho * G, rho

    Y, rho = in_blocks(xp, value, X)

    def pullback(Y_bar: Any) -> Any:
        def of_rows(X: Any, Y_bar: Any, rho: Any) -> Any:
            product = Y_bar * (X * rho)
            along = xp.vecdot(product, G)[:, None] / n
            return (Y_bar * G - X * (rho * along)) * rho, xp.sum(product, axis=0)

        return in_blocks(xp, of_rows, X, Y_bar, rho, sums=1)

    return Y, pullback


@operation(
    "(b,c,l),(c),(c)->(b,c,l)",
    sizes={
        "tiny": {"b": 4, "c": 2, "l": 1},
        "odd": {"b": 2, "c": 3, "l": 4},
        "small": {"b": 16, "c": 8, "l": 64},
        "medium": {"b": 32, "c": 64, "l": 196},
        "large": {"b": 32, "c": 64, "l": 3136},
    },
)
def batch_norm(xp: Any, X: Any, G: Any, B: Any, *, epsilon: float = 1e-5) -> Any:
    """Every channel with mean 0 and variance 1 over the batch, then scaled and shifted: as in training.

    With μ the mean and σ² the mean squared deviation of a channel, over all b·l of its entries, ρ = 1/√(σ² + ε) and
    X̂ = ρ(X − μ):

        Y = G∘X̂ + B

        Ḡ = Σ Ȳ∘X̂
        B̄ = Σ Ȳ
        X̄ = ρG (Ȳ − ⟨Ȳ⟩ − X̂⟨Ȳ∘X̂⟩)   with ⟨·⟩ the mean over a channel

    ε is added to the variance, 1e-5 unless given. So the function is smooth also where a channel is constant: there
    X̂ = 0, Y = B and X̄ = G(Ȳ − ⟨Ȳ⟩)/√ε. An image is a row of l pixels.

    Source: Ioffe & Szegedy, Batch normalization (2015), algorithm 1 and the gradients below it.
    """
    b, c, places = X.shape
    count = b * places

    def value(X: Any, G: Any, B: Any) -> Any:
        first = X[: min(1, b), :, : min(1, places)]
        mean = first + xp.sum(X - first, axis=(0, 2), keepdims=True) / count
        D = X - mean
        rho = 1 / xp.sqrt(xp.sum(D * D, axis=(0, 2), keepdims=True) / count + epsilon)
        return D * (rho * G) + B, mean, rho

    G = xp.reshape(G, (1, c, 1))
    Y, mean, rho = in_blocks(xp, value, X, G, xp.reshape(B, (1, c, 1)), axis=1)

    def pullback(Y_bar: Any) -> Any:
        def of_channels(X: Any, Y_bar: Any, mean: Any, rho: Any, G: Any) -> Any:
            X_hat = (X - mean) * rho
            G_bar = xp.sum(Y_bar * X_hat, axis=(0, 2), keepdims=True)
            B_bar = xp.sum(Y_bar, axis=(0, 2), keepdims=True)
            return (Y_bar - B_bar / count - X_hat * (G_bar / count)) * (rho * G), G_bar, B_bar

        X_bar, G_bar, B_bar = in_blocks(xp, of_channels, X, Y_bar, mean, rho, G, axis=1)
        return X_bar, xp.reshape(G_bar, (c,)), xp.reshape(B_bar, (c,))

    return Y, pullback


@operation("(b,n)->(b,n)", sizes=SIZES)
def l2_normalise(xp: Any, X: Any, *, epsilon: float = 1e-12) -> Any:
    """Every row with length 1.

    With s = Σⱼ X² and ρ = 1/√max(s, ε):

        Y = ρX

        X̄ = ρ (Ȳ − [s > ε] ρ² X ΣⱼX∘Ȳ)

    A row shorter than √ε, with ε = 1e-12 unless given, is divided by √ε instead of its length: a row of zeros stays,
    and its X̄ is Ȳ/√ε. At s = ε the derivative of max(s, ε) is taken to be 0. Where the squares overflow Y = 0 and
    X̄ = 0.

    Source: The Matrix Cookbook (2012), eq. 130, at a = 0.
    """

    def value(X: Any) -> Any:
        s = xp.vecdot(X, X)[:, None]
        rho = 1 / xp.sqrt(xp.maximum(s, epsilon))
        return X * rho, s, rho

    Y, s, rho = in_blocks(xp, value, X)

    def pullback(Y_bar: Any) -> Any:
        def of_rows(X: Any, Y_bar: Any, s: Any, rho: Any) -> Any:
            along = xp.vecdot(X, Y_bar)[:, None] * (rho * rho * xp.astype(s > epsilon, s.dtype))
            return ((Y_bar - X * along) * rho,)

        return in_blocks(xp, of_rows, X, Y_bar, s, rho)[0]

    return Y, pullback

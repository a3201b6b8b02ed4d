"""Mixtures of normal distributions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from multigrad.catalogue.gradbench_problems import SPECIAL, uniform
from multigrad.operation import BadInput, Draw, operation
from multigrad.recurrence import scan

if TYPE_CHECKING:
    import numpy as np


def _mixture(draw: Draw, n: int, d: int, k: int, t: int, **_: Any) -> list[np.ndarray]:
    if t != d * (d - 1) // 2:
        raise BadInput(f"t is {t}; wanted d(d − 1)/2 = {d * (d - 1) // 2}, the entries below a diagonal of {d}")
    # Squares of exponentials of whole numbers round by more than float32 can tell apart once they are exponents.
    narrow = 0.25 if draw.regime in SPECIAL else 1.0
    return [draw(n, d), draw(k), uniform(draw, k, d), narrow * draw(k, d), narrow * draw(k, t)]


def _size(n: int, d: int, k: int, **parameters: Any) -> dict[str, Any]:
    return {"n": n, "d": d, "k": k, "t": d * (d - 1) // 2, **parameters}


@operation(
    "(n,d),(k),(k,d),(k,d),(k,t)->()",
    nondifferentiable=("x",),
    inputs=_mixture,
    sizes={
        "tiny": _size(3, 3, 2),
        "adbench": _size(2, 2, 3, gamma=0.5, m=2, prior=-1),
        "small": _size(1000, 2, 5),
        "d2k5": _size(1000, 2, 5),
        "d10k5": _size(1000, 10, 5),
        "d2k100": _size(1000, 2, 100),
        "medium": _size(1000, 10, 25),
        "d10k25": _size(1000, 10, 25),
        "d10k100": _size(1000, 10, 100),
        "d20k50": _size(1000, 20, 50),
        "d32k50": _size(1000, 32, 50),
        "d64k25": _size(1000, 64, 25),
        "d64k100": _size(1000, 64, 100),
    },
    dtypes=("float64", "float32"),
)
def gmm(
    xp: Any,
    x: Any,
    alpha: Any,
    mu: Any,
    q: Any,
    l: Any,  # noqa: E741
    *,
    gamma: float = 1.0,
    m: int = 0,
    prior: int = 1,
) -> Any:
    """Log-posterior of a mixture of k normal distributions, given n points in d dimensions.

    The precision matrices are Q_kᵀQ_k, Q_k lower triangular with exp(q_k) on its diagonal and l_k below, column by
    column; the weights are softmax(α). With y_ik = Q_k(xᵢ − μ_k) and e_ik = α_k + Σ q_k − ½‖y_ik‖²:

        f = Σᵢ log Σ_k exp e_ik − n log Σ_k exp α_k − ½ n d log 2π + p
        p = Σ_k [m Σ q_k − ½ γ² (‖exp q_k‖² + ‖l_k‖²)] + k [w d log(γ/√2) − log Γ_d(½w)],  w = d + m + 1

    where p is the logarithm of a Wishart prior of the precision matrices, Γ_d the multivariate gamma function. ADBench
    has −p in place of p: ``prior=-1``. The gradients need y no more, only the moments of the responsibilities
    r_ik = f̄ softmax_k(e_ik) about the means,

        s_k = Σᵢ r_ik,  t_k = Σᵢ r_ik (xᵢ − μ_k),  M_k = Σᵢ r_ik (xᵢ − μ_k)(xᵢ − μ_k)ᵀ,  Q̄_k = −Q_k M_k

        ᾱ = s − n f̄ softmax(α)
        μ̄_k = Q_kᵀ Q_k t_k
        q̄_k = exp(q_k) ∘ diag(Q̄_k) + s_k + f̄ (m − γ² exp(2 q_k))
        l̄_k = what lies below the diagonal of Q̄_k, minus f̄ γ² l_k

    (with −f̄ in the terms of p where ``prior=-1``). The moments are taken about the mean of all points first: rounding
    in M_k is that of the spread of all points, squared, so where single components are narrower by a factor c, their
    gradient loses 2 log₁₀ c digits. x is (n, d), α is (k), μ and q are (k, d), l is (k, d(d − 1)/2).

    Inputs are those of GradBench's generator: x, α, q and l are standard normal, μ is uniform.

    Source: Šrajer, Kukelova & Fitzgibbon, A benchmark of selected algorithmic differentiation tools (2018), section
    4.1, with the prior as GradBench's ``gmm`` has it; Petersen & Pedersen, The Matrix Cookbook (2012), eq. 84 to 88
    and 117 for the quadratic form. Smooth: there is no kink.
    """
    (n, d), k = x.shape, alpha.shape[0]
    if min(n, d, k) < 1:
        raise BadInput(f"{n} points in {d} dimensions and {k} components; wanted one of each at least")
    T = xp.matrix_transpose
    place = _places(xp, x)
    Q = _filled(xp, xp.exp(q), l, place)
    centre = xp.mean(x, axis=0)
    X, nu = x - centre, mu - centre
    ones = xp.ones((1, n), dtype=x.dtype, device=x.device)
    points = xp.concat([T(X), ones], axis=0)
    shifted = xp.concat([Q, -(Q @ nu[:, :, None])], axis=2)
    some = _divisor(k, BLOCK // (n * d))

    def squared(carry: Any, rows: Any) -> Any:
        y = xp.reshape(rows @ points, (some, d, n))
        return carry, xp.sum(y * y, axis=1)

    _, squares = scan(xp, squared, (), xp.reshape(shifted, (k // some, some * d, d + 1)))
    e = (alpha + xp.sum(q, axis=1))[:, None] - 0.5 * xp.reshape(squares, (k, n))
    highest = xp.max(e, axis=0)
    apart = e - highest
    # A share below the smallest normal number adds nothing, and products with one take a hundred times as long.
    share = xp.exp(apart) * xp.astype(apart > math.log(float(xp.finfo(x.dtype).smallest_normal)), x.dtype)
    total = xp.sum(share, axis=0)
    top = xp.max(alpha)
    weight = xp.exp(alpha - top)
    norm = xp.sum(weight)
    squares_of_prior = xp.sum(xp.exp(2 * q)) + xp.sum(l * l)
    p = m * xp.sum(q) - (0.5 * gamma * gamma) * squares_of_prior + k * _log_normalisation(d, gamma, m)
    f = xp.sum(highest + xp.log(total)) - n * (top + xp.log(norm)) + (prior * p - 0.5 * n * d * math.log(2 * math.pi))

    def pullback(f_bar: Any) -> Any:
        r = share * (f_bar / total)
        s = xp.sum(r, axis=1)
        first = r @ X
        t = first - s[:, None] * nu
        M = _second_moments(xp, r, points[:d, :]) - t[:, :, None] * nu[:, None, :] - nu[:, :, None] * first[:, None, :]
        below, diagonal = _taken(xp, -(Q @ M), place)
        p_bar = prior * f_bar
        mu_bar = T(Q) @ (Q @ t[:, :, None])
        q_bar = xp.exp(q) * diagonal + s[:, None] + p_bar * (m - (gamma * gamma) * xp.exp(2 * q))
        return s - (n * f_bar / norm) * weight, mu_bar[:, :, 0], q_bar, below - (p_bar * (gamma * gamma)) * l

    return f, pullback


BLOCK = 2**16
"""So many numbers are computed before they are summed: half a mebibyte, which stay near the processor."""


def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is no larger than the other, 1 at least."""
    return next(i for i in range(max(1, min(number, most)), 0, -1) if number % i == 0)


def _second_moments(xp: Any, r: Any, points: Any) -> Any:
    """Return Σᵢ r_ik xᵢxᵢᵀ, (k, d, d), of points (d, n): the products of some rows with all are summed by a product."""
    (d, n), k = points.shape, r.shape[0]
    some = _divisor(d, BLOCK // (n * d))

    def moments(carry: Any, rows: Any) -> Any:
        products = xp.reshape(rows[:, None, :] * points[None, :, :], (some * d, n))
        return carry, r @ xp.matrix_transpose(products)

    _, found = scan(xp, moments, (), xp.reshape(points, (d // some, some, n)))
    return xp.reshape(xp.permute_dims(found, (1, 0, 2)), (k, d, d))


def _places(xp: Any, x: Any) -> Any:
    """Say for each entry of a triangular matrix where it stands in l, then exp(q), then a zero: (d·d)."""
    d = x.shape[1]
    t = d * (d - 1) // 2
    number = xp.arange(d, device=x.device)
    row, column = number[:, None], number[None, :]
    below = column * d - column * (column + 1) // 2 + row - column - 1
    return xp.reshape(xp.where(row > column, below, xp.where(row == column, t + row, t + d)), (d * d,))


def _filled(xp: Any, diagonal: Any, below: Any, place: Any) -> Any:
    """Make triangular matrices (k, d, d) of their entries."""
    k, d = diagonal.shape
    zero = xp.zeros((k, 1), dtype=diagonal.dtype, device=diagonal.device)
    return xp.reshape(xp.take(xp.concat([below, diagonal, zero], axis=1), place, axis=1), (k, d, d))


def _taken(xp: Any, Q_bar: Any, place: Any) -> tuple[Any, Any]:
    """Return what lies below the diagonal of matrices (k, d, d), column by column, and what lies on it."""
    k, d, _ = Q_bar.shape
    t = d * (d - 1) // 2
    entries = xp.take(xp.reshape(Q_bar, (k, d * d)), xp.argsort(place)[: t + d], axis=1)
    return entries[:, :t], entries[:, t:]


def _log_normalisation(d: int, gamma: float, m: int) -> float:
    degrees = d + m + 1
    # A list: torch.compile traces no generator into math.fsum.
    gammas = math.fsum([math.lgamma(0.5 * (degrees - j)) for j in range(d)])
    return degrees * d * math.log(gamma / math.sqrt(2)) - 0.25 * d * (d - 1) * math.log(math.pi) - gammas

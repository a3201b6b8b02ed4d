"""Mixtures of normal distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..extra.blocks import in_blocks
from ..extra.elimination import row_spans
from ..ops.draw import Draw
from ..ops.operation import operation
from .gradbench_problems import SPECIAL, uniform

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
def gmm(xp: Any, x: Any, alpha: Any, mu: Any, q: Any, l: Any, *, gamma: float = 1.0, m: int = 0, prior: int = 1) -> Any:  # noqa: E741
    """Log-posterior of a mixture of k normal distributions, given n points in d dimensions.

    The precision matrices are Q_kᵀQ_k, Q_k lower triangular with exp(q_k) on its diagonal and l_k below, column by
    column; the weights are softmax(α). With y_ik = Q_k(xᵢ − μ_k) and e_ik = α_k + Σ q_k − ½‖y_ik‖²:

        f = Σᵢ log Σ_k exp e_ik − n log Σ_k exp α_k − ½ n d log 2π + p
        p = Σ_k [m Σ q_k − ½ γ² (‖exp q_k‖² + ‖l_k‖²)] + k [w d log(γ/√2) − log Γ_d(½w)],  w = d + m + 1

    where p is the logarithm of a Wishart prior of the precision matrices, Γ_d the multivariate gamma function. ADBench
    has −p in place of p: ``prior=-1``. With the responsibilities r_ik = f̄ softmax_k(e_ik) and their moments about the
    means,

        s_k = Σᵢ r_ik,  t_k = Σᵢ r_ik (xᵢ − μ_k),  M_k = Σᵢ r_ik (xᵢ − μ_k)(xᵢ − μ_k)ᵀ,  Q̄_k = −Q_k M_k

        ᾱ = s − n f̄ softmax(α)
        μ̄_k = Q_kᵀ Q_k t_k
        q̄_k = exp(q_k) ∘ diag(Q̄_k) + s_k + f̄ (m − γ² exp(2 q_k))
        l̄_k = what lies below the diagonal of Q̄_k, minus f̄ γ² l_k

    (with −f̄ in the terms of p where ``prior=-1``). Where there are fewer components than dimensions, these are
    Q̄_k = −Σᵢ r_ik y_ik (xᵢ − μ_k)ᵀ and μ̄_k = Q_kᵀ Σᵢ r_ik y_ik, which is the same. The moments are taken about the
    mean of all points first: rounding in M_k is that of the spread of all points, squared, so where single components
    are narrower by a factor c, their gradient loses 2 log₁₀ c digits. x is (n, d), α is (k), μ and q are (k, d), l is
    (k, d(d − 1)/2).

    Inputs are those of GradBench's generator: x, α, q and l are standard normal, μ is uniform.

    Source: Šrajer, Kukelova & Fitzgibbon, A benchmark of selected algorithmic differentiation tools (2018), section
    4.1, with the prior as GradBench's ``gmm`` has it; Petersen & Pedersen, The Matrix Cookbook (2012), eq. 84 to 88
    and 117 for the quadratic form. Smooth: there is no kink.
    """
    (n, d), k = x.shape, alpha.shape[0]
    if min(n, d, k) < 1:
        raise BadInput(f"{n} points in {d} dimensions and {k} components; wanted one of each at least")
    T = xp.matrix_transpose
    Q = _filled(xp, xp.exp(q), l)
    centre = xp.mean(x, axis=0)
    X, nu = x - centre, mu - centre
    points = xp.concat([xp.ones((1, n), dtype=x.dtype, device=x.device), T(X)], axis=0)
    shifted = xp.concat([-(Q @ nu[:, :, None]), Q], axis=2)
    e = (alpha + xp.sum(q, axis=1))[:, None] - 0.5 * _squares(xp, shifted, points)
    log_sums, share, total = _shares(xp, e)
    top = xp.max(alpha)
    weight = xp.exp(alpha - top)
    norm = xp.sum(weight)
    p = _log_prior(xp, q, l, gamma, m)
    f = xp.sum(log_sums) - n * (top + xp.log(norm)) + (prior * p - 0.5 * n * d * math.log(2 * math.pi))

    def pullback(f_bar: Any) -> Any:
        r = share * (f_bar / total)
        s = xp.sum(r, axis=1)
        # By the moments all components share the products of coordinates; few components are sooner done one by one.
        Q_bar, mu_bar = _by_points(xp, r, points, shifted, Q, nu) if k < d else _by_moments(xp, r, s, X, Q, nu)
        below, diagonal = _taken(xp, Q_bar)
        p_bar = prior * f_bar
        q_bar = xp.exp(q) * diagonal + s[:, None] + p_bar * (m - (gamma * gamma) * xp.exp(2 * q))
        return s - (n * f_bar / norm) * weight, mu_bar, q_bar, below - (p_bar * (gamma * gamma)) * l

    return f, pullback


def _squares(xp: Any, shifted: Any, points: Any) -> Any:
    """Return ‖y_ik‖², (k, n)."""

    def squares(points: Any) -> tuple[Any]:
        return (sum(xp.sum(y * y, axis=1) for y in _turned(xp, shifted, points)),)

    return in_blocks(xp, squares, points, axis=1, elements=4 * shifted.shape[1])[0]


def _shares(xp: Any, e: Any) -> tuple[Any, Any, Any]:
    """Return log Σ_k exp e_ik, exp e_ik over the largest of them, and the sum of that over k."""
    highest = xp.max(e, axis=0)
    apart = e - highest
    # A share below the smallest normal number adds nothing, and products with one take a hundred times as long.
    share = xp.exp(apart) * xp.astype(apart > math.log(float(xp.finfo(e.dtype).smallest_normal)), e.dtype)
    total = xp.sum(share, axis=0)
    return highest + xp.log(total), share, total


def _log_prior(xp: Any, q: Any, l: Any, gamma: float, m: int) -> Any:  # noqa: E741
    """Return p."""
    k, d = q.shape
    squares = xp.sum(xp.exp(2 * q)) + xp.sum(l * l)
    return m * xp.sum(q) - (0.5 * gamma * gamma) * squares + k * _log_normalisation(d, gamma, m)


def _by_moments(xp: Any, r: Any, s: Any, X: Any, Q: Any, nu: Any) -> tuple[Any, Any]:
    """Return Q̄ and μ̄ by t and M. Of Σᵢ r_ik xᵢxᵢᵀ some columns are multiplied by those before, and summed at once."""
    T = xp.matrix_transpose
    k, d = nu.shape
    spans = row_spans(d, 16)

    def moments(r: Any, X: Any) -> tuple[Any, ...]:
        n = X.shape[0]
        products = [xp.reshape(X[:, i:j, None] * X[:, None, :j], (n, (j - i) * j)) for i, j in spans]
        return tuple(T(r) @ some for some in products)

    found = in_blocks(xp, moments, T(r), X, sums=len(spans), elements=4 * d)
    lower = _joined(xp, [xp.reshape(some, (k, j - i, j)) for (i, j), some in zip(spans, found, strict=True)], d)
    first = r @ X
    t = first - s[:, None] * nu
    M = xp.tril(lower) + T(xp.tril(lower, k=-1)) - t[:, :, None] * nu[:, None, :] - nu[:, :, None] * first[:, None, :]
    return -(Q @ M), (T(Q) @ (Q @ t[:, :, None]))[:, :, 0]


def _turned(xp: Any, shifted: Any, points: Any) -> Iterator[Any]:
    """Make y, (k, d, n), some rows at a time: to the right of the diagonal of Q there is nothing to multiply."""
    k, d, _ = shifted.shape
    for i, j in row_spans(d, 16):
        y = xp.reshape(shifted[:, i:j, : j + 1], (k * (j - i), j + 1)) @ points[: j + 1, :]
        yield xp.reshape(y, (k, j - i, points.shape[1]))


def _by_points(xp: Any, r: Any, points: Any, shifted: Any, Q: Any, nu: Any) -> tuple[Any, Any]:
    """Return Q̄ = −Σᵢ r_ik y_ik (xᵢ − μ_k)ᵀ and μ̄ = Qᵀ Σᵢ r_ik y_ik. A compiler sees that it has had y before."""
    T = xp.matrix_transpose
    k, d, _ = shifted.shape
    spans = row_spans(d, 16)

    def sums(r: Any, points: Any) -> tuple[Any, ...]:
        n = r.shape[1]
        turned = zip(_turned(xp, shifted, points), spans, strict=True)
        return tuple(xp.reshape(r[:, None, :] * y, (-1, n)) @ T(points[: j + 1, :]) for y, (_, j) in turned)

    found = in_blocks(xp, sums, r, points, axis=1, sums=len(spans), elements=4 * d)
    every = _joined(xp, [xp.reshape(some, (k, -1, j + 1)) for some, (_, j) in zip(found, spans, strict=True)], d + 1)
    total = every[:, :, :1]
    return total * nu[:, None, :] - every[:, :, 1:], (T(Q) @ total)[:, :, 0]


def _joined(xp: Any, rows: Sequence[Any], d: int) -> Any:
    """Put rows (k, ., .) below each other, with zeros up to d columns."""

    def filled(some: Any) -> Any:
        k, w, j = some.shape
        return xp.concat([some, xp.zeros((k, w, d - j), dtype=some.dtype, device=some.device)], axis=2)

    return xp.concat([filled(some) for some in rows], axis=1)


def _filled(xp: Any, diagonal: Any, below: Any) -> Any:
    """Make lower triangular matrices (k, d, d) of their diagonals and of what lies below, column by column."""
    k, d = diagonal.shape
    number = xp.arange(d, device=diagonal.device)
    row, column = number[:, None], number[None, :]
    t = below.shape[1]
    place = _start(d, column) + row - column - 1
    place = xp.where(row > column, place, xp.where(row == column, t + row, t + d))
    zero = xp.zeros((k, 1), dtype=diagonal.dtype, device=diagonal.device)
    entries = xp.concat([below, diagonal, zero], axis=1)
    return xp.reshape(xp.take(entries, xp.reshape(place, (d * d,)), axis=1), (k, d, d))


def _taken(xp: Any, Q_bar: Any) -> tuple[Any, Any]:
    """Return what lies below the diagonal of matrices (k, d, d), column by column, and what lies on it."""
    k, d, _ = Q_bar.shape
    number, place = xp.arange(d, device=Q_bar.device), xp.arange(d * (d - 1) // 2, device=Q_bar.device)
    starts = _start(d, number)
    column = xp.searchsorted(starts[:-1], place, side="right") - 1
    row = place - xp.take(starts, column) + column + 1
    entries = xp.reshape(Q_bar, (k, d * d))
    return xp.take(entries, row * d + column, axis=1), xp.take(entries, number * (d + 1), axis=1)


def _start(d: int, column: Any) -> Any:
    """Say where a column begins among the entries below the diagonal of a matrix of d rows."""
    return column * d - column * (column + 1) // 2


def _log_normalisation(d: int, gamma: float, m: int) -> float:
    degrees = d + m + 1
    # A list: torch.compile traces no generator into math.fsum.
    gammas = math.fsum([math.lgamma(0.5 * (degrees - j)) for j in range(d)])
    return degrees * d * math.log(gamma / math.sqrt(2)) - 0.25 * d * (d - 1) * math.log(math.pi) - gammas

"""Sums over a series: the logarithm of a sum of exponentials, and the least squares of a polynomial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..extra.blocks import in_blocks
from ..ops.draw import Draw
from ..ops.operation import operation
from .gradbench_problems import uniform

if TYPE_CHECKING:
    import numpy as np


def _numbers(draw: Draw, n: int) -> list[np.ndarray]:
    return [uniform(draw, n)]


@operation(
    "(n)->()",
    inputs=_numbers,
    sizes={
        "tiny": {"n": 6},
        "odd": {"n": 5},
        "small": {"n": 2500},
        "medium": {"n": 160000},
        "n640000": {"n": 640000},
        "n1280000": {"n": 1280000},
    },
)
def lse(xp: Any, x: Any) -> Any:
    """Logarithm of a sum of exponentials, without overflow.

    f = log Σ exp xᵢ.  With the largest number a:

        f = a + log Σ exp(xᵢ − a)
        x̄ = f̄ exp(x − f) = f̄ softmax(x)

    A number of −∞ adds nothing, and its gradient is 0; where all are −∞, f = −∞ and x̄ = 0, as in PyTorch. One of +∞
    gives f = +∞, and a gradient of NaN to itself. x is (n).

    Inputs are those of GradBench's generator: uniform in [0, 1).

    Source: P. Blanchard, D. J. Higham & N. J. Higham, Accurately computing the log-sum-exp and softmax functions
    (2021), eq. 3.3; GradBench's ``lse``. Smooth: there is no kink.
    """
    n = x.shape[0]
    if n < 1:
        raise BadInput("no numbers; wanted one at least")
    # Sums of rows go side by side, and where each step is a pass by itself some rows at a time stay near the processor.
    rows = math.gcd(n, 2 ** max(1, (n // WIDTH).bit_length() - 1))
    x = xp.reshape(x, (rows, n // rows))
    # Infinite, it would be subtracted from itself.
    most = float(xp.finfo(x.dtype).max)
    a = xp.clip(xp.max(x), -most, most)

    def shared(x: Any) -> tuple[Any, Any]:
        shares = xp.exp(x - a)
        return shares, xp.sum(xp.sum(shares, axis=1))

    shares, total = in_blocks(xp, shared, x, sums=1)

    def pullback(f_bar: Any) -> Any:
        # Where everything is −∞ there is nothing to share.
        return xp.reshape(shares * (f_bar / xp.where(total == 0, 1, total)), (n,))

    return a + xp.log(total), pullback


WIDTH = 1024
"""Rows are at least so long."""


def _polynomial(draw: Draw, m: int, n: int) -> list[np.ndarray]:
    import numpy as np

    return [uniform(draw, m), np.sign(2.0 * np.arange(n) - (n - 1))]


@operation(
    "(m),(n)->()",
    nondifferentiable=("y",),
    inputs=_polynomial,
    sizes={
        "tiny": {"m": 5, "n": 7},
        "even": {"m": 4, "n": 6},
        "small": {"m": 128, "n": 512},
        "n1024": {"m": 128, "n": 1024},
        "medium": {"m": 128, "n": 2048},
        "n4096": {"m": 128, "n": 4096},
        "n8196": {"m": 128, "n": 8196},
        "n16392": {"m": 128, "n": 16392},
    },
    dtypes=("float64", "float32"),
)
def llsq(xp: Any, x: Any, y: Any) -> Any:
    """Least squares of a polynomial over n points at equal distances from −1 to 1.

    f = ½ Σᵢ (yᵢ − Σ_j x_j tᵢʲ)²,  tᵢ = −1 + 2i/(n − 1).  The points lie in pairs ±t. With the even and the odd part of
    the polynomial, E(t) = Σ x_2j t²ʲ and O(t) = Σ x_2j+1 t²ʲ⁺¹, and likewise e and o of y, a pair has the residuals
    (e − E) ± (o − O), so

        f = Σ_{tᵢ≥0} wᵢ [(eᵢ − Eᵢ)² + (oᵢ − Oᵢ)²],  wᵢ = 1, and ½ where tᵢ = 0
        x̄_2j = −2 f̄ Σ wᵢ (eᵢ − Eᵢ) tᵢ²ʲ,  x̄_2j+1 = −2 f̄ Σ wᵢ (oᵢ − Oᵢ) tᵢ²ʲ⁺¹

    The powers are never written down: with u = t², j = ab + c and c < b ≈ √(m/2), each part is Σ_a uᵃᵇ Σ_c x_.. uᶜ, a
    product of the coefficients, laid out in rows of b, with the b first powers; its gradient is the product the other
    way round. x is (m), the coefficients, and y is (n).

    Inputs are those of GradBench's generator: x is uniform in [0, 1), and y = sign(t), of which sign(0) = 0.

    Memory: the powers are kept until the pullback returns; eager autograd frees them on its way and needs 0.9 of it.

    Source: M. S. Paterson & L. J. Stockmeyer, On the number of nonscalar multiplications necessary to evaluate
    polynomials (1973), section 2, for the two levels; GradBench's ``llsq``. Quadratic in x: there is no kink.
    """
    m, n = x.shape[0], y.shape[0]
    if m < 1 or n < 2:
        raise BadInput(f"{m} coefficients and {n} points; wanted a coefficient, and two points at least")
    i = 2 * xp.arange(n // 2, n, device=x.device) - (n - 1)
    t = xp.astype(i, x.dtype) / (n - 1)
    right, left = y[n // 2 :], xp.flip(y)[n // 2 :]
    pairs = -(-m // 2)
    b = 2 ** math.ceil(math.log2(math.sqrt(pairs)))
    a = -(-pairs // b)
    small, power = _powers(xp, t * t, b)
    large, _ = _powers(xp, power, a)
    nothing = xp.zeros((2 * a * b - m,), dtype=x.dtype, device=x.device)
    parts = xp.permute_dims(xp.reshape(xp.concat([x, nothing], axis=0), (a, b, 2)), (2, 0, 1))
    odd = xp.stack([xp.ones_like(t), t])
    r = 0.5 * xp.stack([right + left, right - left]) - odd * xp.sum((parts @ small) * large, axis=1)
    weighed = (0.5 + 0.5 * xp.astype(i > 0, x.dtype)) * r

    def pullback(f_bar: Any) -> Any:
        found = (((-2 * f_bar) * weighed * odd)[:, None, :] * large) @ xp.matrix_transpose(small)
        return xp.reshape(xp.permute_dims(found, (1, 2, 0)), (2 * a * b,))[:m]

    return xp.sum(weighed * r), pullback


def _powers(xp: Any, t: Any, count: int) -> tuple[Any, Any]:
    """Return t⁰, t¹, … as rows, a count of them, and the power after a power of two of them."""
    rows = xp.ones_like(t)[None, :]
    while rows.shape[0] < count:
        rows = xp.concat([rows, rows * t], axis=0)
        t = t * t
    return rows[:count, :], t

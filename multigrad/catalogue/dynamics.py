"""Differential equations, solved by a method with fixed steps and differentiated through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..extra.recurrence import scan
from ..ops.draw import Draw
from ..ops.operation import operation
from .gradbench_problems import uniform

if TYPE_CHECKING:
    import numpy as np


def _rates(draw: Draw, n: int, s: int) -> list[np.ndarray]:
    return [uniform(draw, n)]


@operation(
    "(n)->(n)",
    inputs=_rates,
    sizes={
        "tiny": {"n": 7, "s": 1},
        "short": {"n": 5, "s": 2},
        "small": {"n": 1000, "s": 1},
        "medium": {"n": 10000, "s": 10},
        "n100000s1": {"n": 100000, "s": 1},
        "n10000s100": {"n": 10000, "s": 100},
        "n100000s100": {"n": 100000, "s": 100},
        "n100000s10": {"n": 100000, "s": 10},
    },
    dtypes=("float64", "float32"),
)
def ode(xp: Any, x: Any, *, s: int = 10) -> Any:
    """A chain of differential equations by the fourth-order method of Runge and Kutta, in s steps from t = 0 to 2.

    y′₀ = x₀,  y′ᵢ = xᵢ yᵢ₋₁,  y(0) = 0.  With F(y) = x ∘ (1, y₀, y₁ …) and h = 2/s, a step is

        k₁ = F(y),  k₂ = F(y + ½h k₁),  k₃ = F(y + ½h k₂),  k₄ = F(y + h k₃);  y ← y + h (k₁ + 2k₂ + 2k₃ + k₄)/6

    Every stage moves what there is by one place, so after s steps yᵢ is exactly 0 for i ≥ 4s: the first 4s places are
    computed, and the rest are zeros.

    All terms of yᵢ have the factor Pᵢ = x₀x₁…xᵢ: with y = P ∘ z the same step is one for z, with all rates 1. So
    y = P ∘ c, where c is what the method makes of rates of 1, and the gradient needs no step back in time:

        x̄_j = Σ_{i≥j} ȳᵢ cᵢ ∏_{l≤i, l≠j} x_l = P_{j−1} R_j,  R_j = ȳ_j c_j + x_{j+1} R_{j+1}

    It holds for any x, also where some rates are zero. x and y
    are (n); GradBench's gradient is that of the last element, ȳ = (0, …, 0, 1).

    Inputs are those of GradBench's generator: uniform in [0, 1).

    Memory: the zeros of the rest are kept for both results, a third vector where eager autograd needs two.

    Source: E. Hairer, S. P. Nørsett & G. Wanner, Solving Ordinary Differential Equations I (1993), table II.1.2; the
    problem is B. Bell's ``an_ode`` as GradBench's ``ode`` has it. Polynomial in x: there is no kink.
    """
    n = x.shape[0]
    if n < 1 or s < 1:
        raise BadInput(f"{n} equations and {s} steps; wanted one of each at least")
    reached = min(n, 4 * s)
    rest = xp.zeros((n - reached,), dtype=x.dtype, device=x.device)
    rates = x[:reached]

    def pullback(y_bar: Any) -> Any:
        c = _solved(xp, xp.ones_like(rates), s)
        one, zero = xp.ones_like(rates[:1]), xp.zeros_like(rates[0])
        P = xp.cumulative_prod(xp.concat([one, rates[:-1]], axis=0), axis=0)

        def step(R: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            arrives, rate = now
            R = arrives + rate * R
            return R, R

        _, R = scan(xp, step, zero, (y_bar[:reached] * c, xp.concat([rates[1:], one], axis=0)), reverse=True)
        return xp.concat([P * R, rest], axis=0)

    return xp.concat([_solved(xp, rates, s), rest], axis=0), pullback


def _solved(xp: Any, x: Any, s: int) -> Any:
    """Return y(2) after s steps."""
    h = 2 / s
    one = xp.ones_like(x[:1])

    def slope(y: Any) -> Any:
        return x * xp.concat([one, y[:-1]], axis=0)

    def step(y: Any, _: Any) -> tuple[Any, None]:
        k1 = slope(y)
        k2 = slope(y + (0.5 * h) * k1)
        k3 = slope(y + (0.5 * h) * k2)
        k4 = slope(y + h * k3)
        return y + (h / 6) * (k1 + 2 * (k2 + k3) + k4), None

    y, _ = scan(xp, step, xp.zeros_like(x), xp.zeros((s, 0), dtype=x.dtype, device=x.device))
    return y

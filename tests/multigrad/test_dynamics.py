"""The chain of differential equations, against Runge and Kutta's method over all places."""

from __future__ import annotations

from fractions import Fraction

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.dynamics import ode

from .gradbench_inputs import gradbench_inputs

Numbers = list[Fraction]


def by_the_method(x: Numbers, s: int) -> Numbers:
    h = Fraction(2, s)

    def slope(y: Numbers) -> Numbers:
        return [a * b for a, b in zip(x, [Fraction(1), *y[:-1]], strict=True)]

    def moved(y: Numbers, by: Fraction, k: Numbers) -> Numbers:
        return [a + by * b for a, b in zip(y, k, strict=True)]

    y = [Fraction(0)] * len(x)
    for _ in range(s):
        k1 = slope(y)
        k2 = slope(moved(y, h / 2, k1))
        k3 = slope(moved(y, h / 2, k2))
        k4 = slope(moved(y, h, k3))
        y = [a + h / 6 * (b + 2 * c + 2 * d + e) for a, b, c, d, e in zip(y, k1, k2, k3, k4, strict=True)]
    return y


@pytest.mark.parametrize(("n", "s"), [(1, 1), (3, 1), (7, 1), (6, 2), (12, 2), (9, 3)])
@pytest.mark.parametrize("zeros", [(), (0,), (2,), (1, 2)])
def test_values_and_gradients_are_those_of_the_method_in_fractions(n: int, s: int, zeros: tuple[int, ...]) -> None:
    rng = np.random.default_rng(n + s)
    x = rng.integers(-8, 9, n) / 4
    x[[i for i in zeros if i < n]] = 0
    y_bar = rng.integers(-8, 9, n) / 4
    given = [Fraction(v) for v in x.tolist()]
    y, pullback = ode(xp, x, s=s)
    np.testing.assert_allclose(y, [float(v) for v in by_the_method(given, s)], rtol=1e-13, atol=1e-13)
    # Every yᵢ is linear in each single rate, so that a difference is the derivative, exactly.
    wanted = []
    for j in range(n):
        other = [v + (i == j) for i, v in enumerate(given)]
        pairs = zip(by_the_method(other, s), by_the_method(given, s), y_bar.tolist(), strict=True)
        wanted.append(float(sum((a - b) * Fraction(c) for a, b, c in pairs)))
    np.testing.assert_allclose(pullback(y_bar), wanted, rtol=1e-12, atol=1e-11)


def test_gradbench_s_own_rates_have_the_solution_and_the_gradient_of_the_last_element() -> None:
    (x,) = gradbench_inputs("ode", n=1000, s=10)
    y, pullback = ode(xp, x, s=10)
    wanted = by_the_method([Fraction(v) for v in x[:45].tolist()], 10)
    np.testing.assert_allclose(y[:45], [float(v) for v in wanted], rtol=1e-12)
    np.testing.assert_array_equal(y[40:], np.zeros(960))
    last = np.zeros(1000)
    last[-1] = 1
    np.testing.assert_array_equal(pullback(last), np.zeros(1000))

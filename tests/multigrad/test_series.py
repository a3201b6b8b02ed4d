"""Logarithms of sums of exponentials, and least squares of polynomials."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy import special

from multigrad.catalogue.series import llsq, lse
from tests.multigrad.on_backends import EACH, evaluated

from .gradbench_inputs import gradbench_inputs

INF = np.inf


@pytest.mark.parametrize("n", [1, 2, 7, 2500, 2**14, 3 * 2**13 + 1])
def test_lse_is_the_logarithm_of_the_sum_and_its_gradient_the_softmax(n: int) -> None:
    x = 30 * np.random.default_rng(n).normal(size=n)
    f, pullback = lse(xp, x)
    np.testing.assert_allclose(f, special.logsumexp(x), rtol=1e-14)
    np.testing.assert_allclose(pullback(np.asarray(2.0)), 2 * special.softmax(x), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("backend", EACH)
def test_extreme_numbers_have_the_same_logarithm_of_their_sum_everywhere(backend: str) -> None:
    given = [[1000.0, 1000.0], [-1000.0, -1000.0], [-INF, 0.0, 0.0], [-INF, -INF], [-INF, -INF, 3.0, 3.0], [INF, 0.0]]
    found = evaluated(backend, [("lse", [x], [1.0]) for x in given])
    values, gradients = zip(*found, strict=True)
    wanted = [1000 + np.log(2), -1000 + np.log(2), np.log(2), -INF, 3 + np.log(2), INF]
    np.testing.assert_allclose(values, wanted, rtol=1e-15)
    for gradient, numbers in zip(
        gradients, [[0.5, 0.5], [0.5, 0.5], [0, 0.5, 0.5], [0, 0], [0, 0, 0.5, 0.5], [np.nan, 0]], strict=True
    ):
        np.testing.assert_allclose(gradient, numbers, rtol=1e-15)


def test_gradbench_s_own_series_has_the_gradient_of_its_definition() -> None:
    (x,) = gradbench_inputs("lse", n=2500)
    f, pullback = lse(xp, x)
    np.testing.assert_allclose(f, np.log(np.sum(np.exp(x))), rtol=1e-14)
    np.testing.assert_allclose(pullback(np.asarray(1.0)), np.exp(x) / np.sum(np.exp(x)), rtol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(1, 2), (1, 3), (2, 5), (5, 8), (7, 9), (128, 16), (128, 257)])
def test_llsq_has_the_residuals_of_the_polynomial_written_out(m: int, n: int) -> None:
    rng = np.random.default_rng(m + n)
    x, y = rng.normal(size=m), rng.normal(size=n)
    V = np.vander(np.linspace(-1, 1, n), m, increasing=True)
    r = y - V @ x
    f, pullback = llsq(xp, x, y)
    np.testing.assert_allclose(f, r @ r / 2, rtol=1e-12)
    np.testing.assert_allclose(pullback(np.asarray(3.0)), -3 * V.T @ r, atol=1e-11 * np.max(np.abs(V.T @ r)))


@pytest.mark.parametrize("n", [16, 2048])
def test_gradbench_s_own_polynomial_has_the_value_of_its_definition(n: int) -> None:
    x, y = gradbench_inputs("llsq", n=n)
    t = -1 + 2 * np.arange(n) / (n - 1)
    r = np.sign(t) - np.polynomial.polynomial.polyval(t, x)
    np.testing.assert_allclose(llsq(xp, x, y)[0], r @ r / 2, rtol=1e-12)

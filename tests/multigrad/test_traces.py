"""Traces of products: against the trace itself, and the equations as the cookbook prints them."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.traces import trace_linear, trace_power, trace_quadratic, trace_residual, trace_sandwich
from multigrad.data.errors import BadInput
from multigrad.namespaces.cost import cost

F_BAR = np.array([3.0, -2.0])


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(-3, 4, shape).astype(np.float64)


def traces(M: np.ndarray) -> np.ndarray:
    return np.asarray(np.trace(M, axis1=-2, axis2=-1))


def scaled(M: np.ndarray) -> np.ndarray:
    return np.asarray(F_BAR[:, None, None] * M)


T = np.matrix_transpose


@pytest.mark.parametrize(("n", "p", "q"), [(2, 3, 4), (4, 2, 3), (2, 4, 3), (3, 3, 3), (1, 5, 1)])
def test_trace_linear_is_equation_101_whichever_factor_is_smallest(n: int, p: int, q: int) -> None:
    A, X, B = integers(2, n, p), integers(2, p, q), integers(2, q, n)
    f, pullback = trace_linear(xp, A, X, B)
    np.testing.assert_array_equal(f, traces(A @ X @ B))
    for found, wanted in zip(pullback(F_BAR), (T(X @ B), T(A) @ T(B), T(A @ X)), strict=True):
        np.testing.assert_array_equal(found, scaled(wanted))


@pytest.mark.parametrize("k", [1, 2, 255, 256, 300])
def test_trace_quadratic_is_equation_108_for_few_columns_and_for_many(k: int) -> None:
    X, B = integers(2, 3, k), integers(2, 3, 3)
    f, pullback = trace_quadratic(xp, X, B)
    np.testing.assert_array_equal(f, traces(T(X) @ B @ X))
    for found, wanted in zip(pullback(F_BAR), (B @ X + T(B) @ X, X @ T(X)), strict=True):
        np.testing.assert_array_equal(found, scaled(wanted))


def test_trace_sandwich_is_equation_117() -> None:
    X, B, C = integers(2, 4, 3), integers(2, 4, 4), integers(2, 3, 3)
    f, pullback = trace_sandwich(xp, X, B, C)
    np.testing.assert_array_equal(f, traces(T(X) @ B @ X @ C))
    wanted = (B @ X @ C + T(B) @ X @ T(C), X @ T(C) @ T(X), T(T(X) @ B @ X))
    for found, gradient in zip(pullback(F_BAR), wanted, strict=True):
        np.testing.assert_array_equal(found, scaled(gradient))


@pytest.mark.parametrize(("m", "p", "q", "n"), [(2, 3, 2, 2), (3, 2, 3, 2), (2, 2, 2, 2)])
def test_trace_residual_is_equation_119_from_either_side(m: int, p: int, q: int, n: int) -> None:
    A, X, B, C = integers(2, m, p), integers(2, p, q), integers(2, q, n), integers(2, m, n)
    f, pullback = trace_residual(xp, A, X, B, C)
    R = A @ X @ B + C
    np.testing.assert_array_equal(f, traces(R @ T(R)))
    wanted = (2 * R @ T(X @ B), 2 * T(A) @ R @ T(B), 2 * T(A @ X) @ R, 2 * R)
    for found, gradient in zip(pullback(F_BAR), wanted, strict=True):
        np.testing.assert_array_equal(found, scaled(gradient))


@pytest.mark.parametrize("k", range(1, 18))
def test_trace_power_is_equation_121_for_every_pattern_of_digits(k: int) -> None:
    X = integers(2, 3, 3) % 2
    f, pullback = trace_power(xp, X, k=k)
    np.testing.assert_array_equal(f, traces(np.linalg.matrix_power(X, k)))
    np.testing.assert_array_equal(pullback(F_BAR), scaled(k * np.linalg.matrix_power(T(X), k - 1)))


@pytest.mark.parametrize("k", range(2, 40))
def test_trace_power_takes_no_more_products_than_the_power_of_its_gradient(k: int) -> None:
    n = 50
    flops = cost(trace_power, {"b": 1, "n": n, "k": k}, "float64", "analytic").flops
    assert round(flops / (2 * n**3)) == (k - 1).bit_length() - 1 + (k - 1).bit_count() - 1


def test_trace_power_asks_for_a_positive_power() -> None:
    with pytest.raises(BadInput, match="powers from 1 on, found k = 0"):
        trace_power(xp, integers(1, 2, 2), k=0)

"""Quadratic forms and least squares: against the equations of the cookbook, and at the ends of the range."""

from __future__ import annotations

import math
import warnings

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.quadratic import quadratic_form, residual_norm, ridge, weighted_least_squares


def integers(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(-3, 4, shape).astype(np.float64)


@pytest.mark.parametrize("b", [1, 3, 191, 192])
def test_quadratic_form_is_equations_85_and_86(b: int) -> None:
    X, s, W, f_bar = integers(b, 4), integers(4), integers(4, 4), integers(b) + 0.5
    f, pullback = quadratic_form(xp, X, s, W)
    X_bar, s_bar, W_bar = pullback(f_bar)
    of_s, of_W = np.zeros(4), np.zeros((4, 4))
    for i, (x, c) in enumerate(zip(X, f_bar, strict=True)):
        d = x - s
        assert f[i] == d @ W @ d
        np.testing.assert_array_equal(X_bar[i], c * (W + W.T) @ d)
        of_s -= c * (W + W.T) @ d
        of_W += c * np.outer(d, d)
    np.testing.assert_array_equal(s_bar, of_s)
    np.testing.assert_array_equal(W_bar, of_W)


@pytest.mark.parametrize("b", [1, 3, 191, 192])
def test_weighted_least_squares_is_equations_84_87_and_88_for_symmetric_weights(b: int) -> None:
    X, S, A, W, f_bar = integers(b, 3), integers(b, 2), integers(3, 2), integers(3, 3), integers(b) + 0.5
    W = W + W.T
    f, pullback = weighted_least_squares(xp, X, S, A, W)
    X_bar, S_bar, A_bar, W_bar = pullback(f_bar)
    of_A, of_W = np.zeros((3, 2)), np.zeros((3, 3))
    for i, (x, s, c) in enumerate(zip(X, S, f_bar, strict=True)):
        r = x - A @ s
        assert f[i] == r @ W @ r
        np.testing.assert_array_equal(S_bar[i], -2 * c * A.T @ W @ r)
        np.testing.assert_array_equal(X_bar[i], 2 * c * W @ r)
        of_A -= 2 * c * np.outer(W @ r, s)
        of_W += c * np.outer(r, r)
    np.testing.assert_array_equal(A_bar, of_A)
    np.testing.assert_array_equal(W_bar, of_W)


def test_ridge_has_no_gradient_at_the_solution_of_its_normal_equations() -> None:
    rng = np.random.default_rng(0)
    X, Y, strength = rng.standard_normal((9, 4)), rng.standard_normal((9, 2)), np.asarray(0.7)
    W = np.linalg.solve(X.T @ X + strength * np.eye(4), X.T @ Y)
    f, pullback = ridge(xp, X, W, Y, strength)
    _, W_bar, Y_bar, strength_bar = pullback(np.asarray(1.0))
    assert math.isclose(f, np.sum((X @ W - Y) ** 2) + 0.7 * np.sum(W**2), rel_tol=1e-14)
    np.testing.assert_allclose(W_bar, 0, atol=1e-13)
    np.testing.assert_allclose(Y_bar, 2 * (Y - X @ W), rtol=1e-14)
    assert math.isclose(strength_bar, np.sum(W**2), rel_tol=1e-14)


def test_residual_norm_of_a_residual_of_3_and_4_is_5() -> None:
    A, X, B = np.eye(2), np.array([[3.0, 0.0]]), np.array([[0.0, -4.0]])
    f, pullback = residual_norm(xp, A, X, B)
    assert f == [5.0]
    A_bar, X_bar, B_bar = pullback(np.array([10.0]))
    np.testing.assert_array_equal(X_bar, [[6.0, 8.0]])
    np.testing.assert_array_equal(B_bar, [[-6.0, -8.0]])
    np.testing.assert_array_equal(A_bar, [[18.0, 0.0], [24.0, 0.0]])


def test_residual_norm_has_a_gradient_of_zero_where_the_residual_is_zero_and_says_nothing() -> None:
    A, X = integers(3, 2), integers(2, 2)
    B = X @ A.T
    B[1, 0] += 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f, pullback = residual_norm(xp, A, X, B)
        A_bar, X_bar, B_bar = pullback(np.ones(2))
    np.testing.assert_array_equal(f, [0.0, 2.0])
    np.testing.assert_array_equal(B_bar, [[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(X_bar, [[0, 0], -A[0]])
    np.testing.assert_array_equal(A_bar, [-X[1], [0, 0], [0, 0]])


@pytest.mark.parametrize("power", [-1074, -1060, -600, 0, 1, 600, 1021])
def test_residual_norm_neither_overflows_nor_vanishes(power: int) -> None:
    r = np.ldexp([[1.0, -1.0, 1.0, 1.0]], power)
    f, pullback = residual_norm(xp, np.eye(4), r, np.zeros((1, 4)))
    assert f == math.ldexp(2.0, power)
    np.testing.assert_array_equal(pullback(np.ones(1))[1], [[0.5, -0.5, 0.5, 0.5]])


@pytest.mark.parametrize("r", [np.finfo(np.float64).max, np.finfo(np.float64).tiny, 5e-324])
def test_residual_norm_of_one_number_is_its_size_to_the_ends_of_the_range(r: float) -> None:
    f, pullback = residual_norm(xp, np.ones((1, 1)), np.full((1, 1), -r), np.zeros((1, 1)))
    assert f == r
    assert pullback(np.ones(1))[1] == -1.0


def test_residual_norm_of_an_infinite_residual_is_infinite_and_of_nan_is_nan() -> None:
    X = np.array([[math.inf, 1.0], [math.nan, 1.0]])
    with np.errstate(invalid="ignore"):
        f, _ = residual_norm(xp, np.ones((1, 2)), X, np.zeros((2, 1)))
    assert f[0] == math.inf
    assert math.isnan(f[1])

"""Factorisations against SciPy and closed forms, in blocks and at the edge of their domain."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy.linalg import pinv, solve_triangular

from multigrad.catalogue.factorisations import cholesky, least_squares, pseudo_inverse, qr, triangular_solve

RNG = np.random.default_rng(0)
BLOCKS = (1, 3, 64, 200)


def spd(n: int) -> np.ndarray:
    Z = RNG.standard_normal((n, n))
    return Z @ Z.T / n + np.eye(n)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_gradient_of_a_cholesky_factor_does_not_depend_on_the_blocks(block: int) -> None:
    n = 130
    A = spd(n)
    L, pullback = cholesky(xp, A[None], block=block)
    L_bar = RNG.standard_normal((1, n, n))
    P = np.tril(L[0].T @ np.tril(L_bar[0]))
    P[np.diag_indices(n)] /= 2
    inner = solve_triangular(L[0], P + P.T, lower=True, trans=1)
    wanted = 0.5 * solve_triangular(L[0], inner.T, lower=True, trans=1)
    np.testing.assert_allclose(pullback(L_bar)[0], wanted, rtol=1e-9, atol=1e-12)


def test_a_nearly_singular_cholesky_factor_has_the_gradient_of_its_closed_form() -> None:
    # L₂₂² = A₂₂ − A₂₁²/A₁₁ = 2⁻⁴⁰.
    L, pullback = cholesky(xp, np.array([[[1.0, 1.0], [1.0, 1.0 + 2.0**-40]]]))
    np.testing.assert_array_equal(L, [[[1.0, 0.0], [1.0, 2.0**-20]]])
    A_bar = pullback(np.array([[[0.0, 7.0], [0.0, 1.0]]]))
    np.testing.assert_allclose(A_bar, 2.0**19 * np.array([[[1.0, -1.0], [-1.0, 1.0]]]), rtol=1e-14)


def test_an_indefinite_matrix_has_no_cholesky_factor() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        cholesky(xp, np.array([[[1.0, 2.0], [2.0, 1.0]]]))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_triangular_system_is_solved_as_scipy_does_whatever_stands_above(block: int) -> None:
    n, m = 130, 3
    L = np.tril(RNG.standard_normal((n, n))) / n + 2 * np.eye(n)
    spoiled = np.where(np.tri(n, dtype=bool), L, np.nan)
    B, X_bar = RNG.standard_normal((2, n, m))
    X, pullback = triangular_solve(xp, spoiled[None], B[None], block=block)
    L_bar, B_bar = pullback(X_bar[None])
    X_true = solve_triangular(L, B, lower=True)
    B_true = solve_triangular(L, X_bar, lower=True, trans=1)
    np.testing.assert_allclose(X[0], X_true, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(B_bar[0], B_true, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(L_bar[0], -np.tril(B_true @ X_true.T), rtol=1e-12, atol=1e-13)


def test_qr_has_a_positive_diagonal_and_what_is_asked_of_the_product_comes_back() -> None:
    A, Y_bar = RNG.standard_normal((2, 1, 7, 4))
    (Q, R), pullback = qr(xp, A)
    np.testing.assert_allclose(Q @ R, A, atol=1e-14)
    np.testing.assert_allclose(Q[0].T @ Q[0], np.eye(4), atol=1e-14)
    np.testing.assert_array_equal(R, np.triu(R))
    assert (np.linalg.diagonal(R) > 0).all()
    # ⟨Ȳ, QR⟩ = ⟨Ȳ, A⟩: its gradient by A is Ȳ itself.
    T = np.matrix_transpose
    np.testing.assert_allclose(pullback(Y_bar @ T(R), T(Q) @ Y_bar), Y_bar, atol=1e-13)


def test_the_pseudo_inverse_of_a_rank_one_matrix_has_the_derivative_along_rank_one_matrices() -> None:
    u, v, du, dv = (RNG.standard_normal(n) for n in (5, 3, 5, 3))
    A, dA = np.outer(u, v), np.outer(du, v) + np.outer(u, dv)
    scale = (u @ u) * (v @ v)
    P_true = np.outer(v, u) / scale
    shrink = 2 * (u @ du) / (u @ u) + 2 * (v @ dv) / (v @ v)
    dP = (np.outer(dv, u) + np.outer(v, du)) / scale - shrink * P_true
    for transposed in (False, True):
        a, p, da, dp = (x.T if transposed else x for x in (A, P_true, dA, dP))
        P, pullback = pseudo_inverse(xp, a[None])
        np.testing.assert_allclose(P[0], p, rtol=1e-12, atol=1e-15)
        P_bar = RNG.standard_normal(P.shape)
        np.testing.assert_allclose(np.sum(pullback(P_bar)[0] * da), np.sum(P_bar[0] * dp), rtol=1e-11)


def test_a_line_through_points_is_that_of_polyfit() -> None:
    t, y = np.linspace(-1, 1, 9), RNG.standard_normal(9)
    A = np.stack([np.ones(9), t], axis=1)
    X, pullback = least_squares(xp, A[None], y[None, :, None])
    np.testing.assert_allclose(X[0, :, 0], np.polynomial.polynomial.polyfit(t, y, 1), rtol=1e-13)
    A_bar, B_bar = pullback(np.array([[[0.0], [1.0]]]))
    np.testing.assert_allclose(B_bar[0, :, 0], pinv(A)[1], atol=1e-15)
    # The slope Σty/Σt² of centred points: its derivative by tₖ is (yₖ − ȳ − 2·slope·tₖ)/Σt².
    slope = t @ y / (t @ t)
    np.testing.assert_allclose(A_bar[0, :, 1], (y - y.mean() - 2 * slope * t) / (t @ t), atol=1e-13)


def test_least_squares_survive_columns_whose_normal_equations_are_singular() -> None:
    delta = 1e-9
    A = np.array([[[1.0, 1.0], [delta, 0.0], [0.0, delta]]])
    X, _ = least_squares(xp, A, A @ np.array([[[1.0], [2.0]]]))
    np.testing.assert_allclose(X[0, :, 0], [1.0, 2.0], atol=1e-5)

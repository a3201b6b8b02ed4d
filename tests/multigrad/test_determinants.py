"""Determinants of singular, nearly singular, huge and tiny matrices: on every backend the same answer."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.determinants import det_quadratic, logdet, logdet_gram
from tests.multigrad.on_backends import EACH, evaluated

SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
NEARLY = [[1.0, 1.0], [1.0, 1.0 + 2.0**-40]]
"""Its determinant is 2⁻⁴⁰, exactly."""


@pytest.mark.parametrize("backend", EACH)
def test_extreme_determinants_have_the_same_answer_everywhere(backend: str) -> None:
    X = np.stack([SINGULAR, np.diag([2.0, -3.0]), NEARLY, np.diag([1e200, 1e200]), np.zeros((2, 2))])
    form = [np.eye(2)[None], np.asarray([SINGULAR])]
    nothing = [np.eye(3)[None], np.zeros((1, 3, 3))]
    (f, X_bar), (g, _, A_bar), (h, _, Z_bar) = evaluated(
        backend,
        [
            ("logdet", [X], [np.full(5, 2.0)]),
            ("det_quadratic", form, [[3.0]]),
            ("det_quadratic", nothing, [[3.0]]),
        ],
    )
    np.testing.assert_allclose(f, [-np.inf, np.log(6), -40 * np.log(2), 400 * np.log(10), -np.inf], rtol=1e-14)
    assert np.isnan(X_bar[[0, 4]]).all(), "a singular matrix has no gradient"
    np.testing.assert_allclose(X_bar[1], np.diag([1.0, -2 / 3]), rtol=1e-15)
    np.testing.assert_allclose(X_bar[2], 2.0**41 * np.array([[1 + 2.0**-40, -1], [-1, 1]]), rtol=1e-12)
    np.testing.assert_allclose(X_bar[3], 2e-200 * np.eye(2), rtol=1e-14)
    np.testing.assert_array_equal(g, [0.0])
    np.testing.assert_allclose(A_bar[0], 3 * np.array([[4.0, -2.0], [-2.0, 1.0]]), rtol=1e-14)
    np.testing.assert_array_equal(h, [0.0])
    np.testing.assert_allclose(Z_bar, 0 * Z_bar, atol=1e-28)


def test_the_determinant_of_a_form_has_the_adjugate_of_a_matrix_of_rank_one_less() -> None:
    # Its columns add up to zero: all cofactors are the same.
    A = np.array([[[2.0, -1.0, -1.0], [-1.0, 3.0, -2.0], [-1.0, -2.0, 3.0]]])
    f, pullback = det_quadratic(xp, np.eye(3)[None], A)
    X_bar, A_bar = pullback(np.ones(1))
    np.testing.assert_allclose(f, [0.0], atol=1e-14)
    np.testing.assert_allclose(A_bar[0], np.full((3, 3), 5.0), rtol=1e-13)
    np.testing.assert_allclose(X_bar, 0 * X_bar, atol=1e-12)


def test_the_determinant_of_a_form_of_one_zero_has_the_gradient_one() -> None:
    _, pullback = det_quadratic(xp, np.ones((1, 1, 1)), np.zeros((1, 1, 1)))
    np.testing.assert_allclose(pullback(np.ones(1))[1], [[[1.0]]], rtol=1e-14)


def test_columns_that_nearly_depend_on_each_other_have_a_determinant_where_their_gram_matrix_has_none() -> None:
    # Läuchli's matrix: XᵀX is singular in float64, and det XᵀX = 2δ² + δ⁴.
    delta = 1e-9
    X = np.array([[[1.0, 1.0], [delta, 0.0], [0.0, delta]]])
    f, pullback = logdet_gram(xp, X)
    determinant = 2 * delta**2 + delta**4
    assert np.linalg.det(X[0].T @ X[0]) == 0
    np.testing.assert_allclose(f, [np.log(determinant)], atol=1e-6)
    # 2(X⁺)ᵀ = 2X(XᵀX)⁻¹, by hand.
    pair = delta * (1 + delta**2)
    wanted = 2 * np.array([[delta**2, delta**2], [pair, -delta], [-delta, pair]]) / determinant
    np.testing.assert_allclose(pullback(np.ones(1))[0], wanted, atol=1e-6 * np.max(wanted))


def test_a_column_of_zeros_has_a_determinant_of_minus_infinity() -> None:
    with np.errstate(divide="ignore"):
        f, _ = logdet_gram(xp, np.array([[[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]]))
    np.testing.assert_array_equal(f, [-np.inf])


def test_a_determinant_that_overflows_has_a_logarithm() -> None:
    f, pullback = logdet(xp, 1e10 * np.eye(40)[None])
    np.testing.assert_allclose(f, [400 * np.log(10)], rtol=1e-14)
    np.testing.assert_allclose(pullback(np.ones(1))[0], 1e-10 * np.eye(40), rtol=1e-14)

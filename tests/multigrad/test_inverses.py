"""Inverses and linear systems where they are hard: ill-conditioned, singular, and in a batch with such."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy.linalg import hilbert, invhilbert

from multigrad.catalogue.inverses import inverse, solve, trace_inverse, trace_resolvent
from tests.multigrad.on_backends import EACH, evaluated

RNG = np.random.default_rng(0)
HARD = 8
"""Order of a Hilbert matrix: condition 1.5e10, and an inverse of known integers."""
EXACT = invhilbert(HARD)


def allowed(order: int) -> float:
    """A few units of rounding times the condition number."""
    return float(4 * order * np.linalg.cond(hilbert(order)) * 2.0**-53)


def test_the_inverse_of_a_hilbert_matrix_and_its_gradient_are_the_known_ones() -> None:
    Y, pullback = inverse(xp, hilbert(HARD)[None])
    Y_bar = RNG.standard_normal((1, HARD, HARD))
    assert np.linalg.norm(Y[0] - EXACT, 2) <= allowed(HARD) * np.linalg.norm(EXACT, 2)
    wanted = -EXACT @ Y_bar[0] @ EXACT
    assert np.linalg.norm(pullback(Y_bar)[0] - wanted, 2) <= 4 * allowed(HARD) * np.linalg.norm(EXACT, 2) ** 2


def test_a_hilbert_system_and_its_gradients_are_the_known_ones() -> None:
    B, X_bar = RNG.standard_normal((2, 1, HARD, 2))
    X, pullback = solve(xp, hilbert(HARD)[None], B)
    A_bar, B_bar = (g[0] for g in pullback(X_bar))
    X_true, B_true = EXACT @ B[0], EXACT @ X_bar[0]
    size = allowed(HARD) * np.linalg.norm(EXACT, 2)
    assert np.linalg.norm(X[0] - X_true) <= size * np.linalg.norm(B)
    assert np.linalg.norm(B_bar - B_true) <= size * np.linalg.norm(X_bar)
    both = np.linalg.norm(B_true) * np.linalg.norm(X_true)
    assert np.linalg.norm(A_bar + B_true @ X_true.T) <= 8 * allowed(HARD) * both


def test_with_one_row_the_trace_is_a_form_with_a_rank_one_gradient() -> None:
    a, b = RNG.standard_normal((2, 4))
    X = np.diag([1.0, 2.0, 4.0, -8.0])
    f, pullback = trace_inverse(xp, a[None, None], X[None], b[None, :, None])
    A_bar, X_bar, B_bar = pullback(np.array([3.0]))
    d = np.diag(X)
    np.testing.assert_allclose(f, [np.sum(a * b / d)], rtol=1e-15)
    np.testing.assert_allclose(A_bar[0, 0], 3 * b / d, rtol=1e-15)
    np.testing.assert_allclose(B_bar[0, :, 0], 3 * a / d, rtol=1e-15)
    np.testing.assert_allclose(X_bar[0], -3 * np.outer(a / d, b / d), rtol=1e-15)


def test_the_resolvent_of_a_diagonal_matrix_is_a_sum_of_poles() -> None:
    poles, shift = np.array([1.0, -2.0, 5.0]), 0.25
    f, pullback = trace_resolvent(xp, np.diag(poles)[None], shift * np.eye(3)[None])
    X_bar, A_bar = pullback(np.array([2.0]))
    np.testing.assert_allclose(f, [np.sum(1 / (poles + shift))], rtol=1e-15)
    np.testing.assert_allclose(X_bar[0], -2 * np.diag((poles + shift) ** -2), rtol=1e-15)
    np.testing.assert_array_equal(A_bar, X_bar)


RAISES = {
    "inverse": {"numpy": "LinAlgError", "torch": "_LinAlgError", "strict": "LinAlgError"},
    "solve": {"numpy": "LinAlgError", "strict": "LinAlgError"},
}
"""Who refuses a singular matrix; the others give what is not finite."""


@pytest.mark.parametrize("backend", EACH)
def test_a_singular_matrix_is_refused_or_gives_what_is_not_finite(backend: str) -> None:
    singular, ones = [[[1.0, 2.0], [2.0, 4.0]]], np.ones((1, 2, 2))
    names = ("inverse", "solve")
    found = evaluated(backend, [("inverse", [singular], [ones]), ("solve", [singular, ones], [ones])])
    for name, answer in zip(names, found, strict=True):
        wanted = RAISES[name].get(backend)
        assert answer == wanted if wanted else not np.isfinite(answer[0]).all()

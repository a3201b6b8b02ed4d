"""Repeated eigenvalues, tied and vanishing singular values: on every backend a derivative, or the convention."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from tests.multigrad.on_backends import EACH, evaluated

RNG = np.random.default_rng(0)
Q = ortho_group.rvs(4, random_state=1)
REPEATED = Q @ np.diag([1.0, 1.0, 3.0, 3.0]) @ Q.T
REPEATED = (REPEATED + REPEATED.T) / 2
EYE, ZERO, ONES = np.eye(3), np.zeros((3, 3)), np.ones(3)
P_BAR = RNG.standard_normal((4, 4))
U, V = RNG.standard_normal((2, 3))

TASKS = {
    "sum of squares": ("eigenvalues", [REPEATED[None]], [[[2.0, 2.0, 6.0, 6.0]]]),
    "smooth largest": ("log_trace_exp", [[1000 * EYE]], [[3.0]]),
    "whole energy": ("eigenvector_energies", [[EYE], [[1.0, 2.0, 3.0]]], [[ONES]]),
    "parts of it": ("eigenvector_energies", [[EYE], [[1.0, 2.0, 3.0]]], [[[1.0, 2.0, 3.0]]]),
    "projector": ("spectral_projector", [REPEATED[None]], [P_BAR[None]]),
    "no projector": ("spectral_projector", [np.eye(4)[None]], [P_BAR[None]]),
    "equal values": ("singular_values", [[2 * EYE]], [[ONES]]),
    "nuclear, zero": ("nuclear_norm", [[ZERO]], [[1.0]]),
    "nuclear, rank two": ("nuclear_norm", [[np.diag([3.0, 0.0, 2.0])]], [[1.0]]),
    "nuclear, rank one": ("nuclear_norm", [[np.outer(U, V)]], [[1.0]]),
    "spectral, tied": ("spectral_norm", [[EYE]], [[1.0]]),
    "spectral, two of three": ("spectral_norm", [[np.diag([2.0, -2.0, 1.0])]], [[1.0]]),
    "spectral, zero": ("spectral_norm", [[ZERO]], [[1.0]]),
}


@pytest.fixture(scope="module", params=EACH)
def found(request: pytest.FixtureRequest) -> dict[str, list[np.ndarray]]:
    answers = evaluated(request.param, list(TASKS.values()), spectral_projector={"k": 2})
    return dict(zip(TASKS, answers, strict=True))


Found = dict[str, list[np.ndarray]]


def test_symmetric_functions_of_repeated_eigenvalues_have_their_derivative(found: Found) -> None:
    values, A_bar = found["sum of squares"]
    np.testing.assert_allclose(values, [[1, 1, 3, 3]], rtol=1e-14)
    np.testing.assert_allclose(A_bar, [2 * REPEATED], atol=1e-13)
    f, A_bar = found["smooth largest"]
    np.testing.assert_allclose(f, [1000 + np.log(3)], rtol=1e-15)
    np.testing.assert_allclose(A_bar, [EYE], atol=1e-14)


def test_energies_along_repeated_eigenvectors_have_the_derivative_of_their_sum(found: Found) -> None:
    c, A_bar, x_bar = found["whole energy"]
    np.testing.assert_allclose(np.sum(c), 14, rtol=1e-14)
    np.testing.assert_allclose(A_bar, [ZERO], atol=1e-14)
    np.testing.assert_allclose(x_bar, [[2, 4, 6]], rtol=1e-14)
    np.testing.assert_array_equal(found["parts of it"][1], [ZERO])


def test_a_projector_onto_a_repeated_eigenspace_is_differentiable(found: Found) -> None:
    P, A_bar = found["projector"]
    np.testing.assert_allclose(P, [(REPEATED - np.eye(4)) / 2], atol=1e-14)
    # ∂P = (P ∂A (I − P) + (I − P) ∂A P)/(3 − 1).
    P0, S = np.eye(4) - P[0], (P_BAR + P_BAR.T) / 2
    np.testing.assert_allclose(A_bar[0], (P[0] @ S @ P0 + P0 @ S @ P[0]) / 2, atol=1e-13)


def test_a_cut_through_a_repeated_eigenvalue_gives_the_convention(found: Found) -> None:
    np.testing.assert_array_equal(found["no projector"][1], np.zeros((1, 4, 4)))


def test_equal_singular_values_have_the_derivative_of_their_sum(found: Found) -> None:
    np.testing.assert_allclose(found["equal values"][1], [EYE], atol=1e-15)


def test_a_nuclear_norm_at_lost_rank_gives_a_subgradient(found: Found) -> None:
    np.testing.assert_array_equal(found["nuclear, zero"][1], [ZERO])
    np.testing.assert_allclose(found["nuclear, rank two"][1], [np.diag([1.0, 0.0, 1.0])], atol=1e-15)
    f, X_bar = found["nuclear, rank one"]
    u, v = U / np.linalg.norm(U), V / np.linalg.norm(V)
    np.testing.assert_allclose(f, [np.linalg.norm(U) * np.linalg.norm(V)], rtol=1e-14)
    np.testing.assert_allclose(X_bar[0] @ v, u, atol=1e-14)
    np.testing.assert_allclose(u @ X_bar[0], v, atol=1e-14)
    assert np.linalg.norm(X_bar[0], 2) <= 1 + 1e-14


def test_a_tie_of_spectral_norms_gives_the_mean(found: Found) -> None:
    np.testing.assert_allclose(found["spectral, tied"][1], [EYE / 3], atol=1e-15)
    np.testing.assert_allclose(found["spectral, two of three"][1], [np.diag([0.5, -0.5, 0.0])], atol=1e-15)
    np.testing.assert_array_equal(found["spectral, zero"][1], [ZERO])

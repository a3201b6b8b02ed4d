"""Determinants, and their gradients where they are zero."""

from __future__ import annotations

from fractions import Fraction

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.determinant import det
from multigrad.namespaces import bounds, exact
from multigrad.truth.certified import halves
from tests.multigrad.on_backends import EACH, evaluated

from .gradbench_inputs import gradbench_inputs


def determinant(A: list[list[Fraction]]) -> Fraction:
    """By minors of the first row."""
    if not A:
        return Fraction(1)
    return sum(
        ((-1) ** j * a * determinant([r[:j] + r[j + 1 :] for r in A[1:]]) for j, a in enumerate(A[0])), Fraction()
    )


def cofactors(A: np.ndarray) -> np.ndarray:
    exact = [[Fraction(float(a)) for a in row] for row in A]

    def minor(i: int, j: int) -> Fraction:
        return determinant([r[:j] + r[j + 1 :] for k, r in enumerate(exact) if k != i])

    n = len(A)
    return np.array([[float((-1) ** (i + j) * minor(i, j)) for j in range(n)] for i in range(n)])


def singular(rank: int) -> np.ndarray:
    rng = np.random.default_rng(rank)
    return (rng.integers(-3, 4, (4, rank)) @ rng.integers(-3, 4, (rank, 4))).astype(float)


@pytest.mark.parametrize("backend", EACH)
def test_a_singular_matrix_has_the_gradient_of_its_cofactors_everywhere(backend: str) -> None:
    nearly = np.eye(4) + np.ones((4, 4))
    nearly[0] = nearly[1] + 2.0**-45 * np.arange(4)
    one_zero = np.diag([0.0, 2.0, 3.0, 4.0])
    A = np.stack([singular(3), singular(2), singular(1), np.zeros((4, 4)), nearly, one_zero])
    ((f, A_bar),) = evaluated(backend, [("det", [A], [np.full(6, 2.0)])])
    wanted = 2 * np.stack([cofactors(a) for a in A])
    scale = np.maximum(np.max(np.abs(wanted), axis=(1, 2)), np.sum(np.abs(A), axis=(1, 2)) ** 3)
    np.testing.assert_allclose(
        f, [float(determinant([[Fraction(v) for v in r] for r in a.tolist()])) for a in A], atol=1e-10
    )
    for found, true, size in zip(A_bar, wanted, np.maximum(scale, 1.0), strict=True):
        np.testing.assert_allclose(found, true, atol=1e-12 * size)


@pytest.mark.parametrize("n", [5, 6])
def test_gradbench_s_own_matrix_has_the_determinant_and_the_gradient_by_minors(n: int) -> None:
    (A,) = gradbench_inputs("det", n=n)
    f, pullback = det(xp, A)
    np.testing.assert_allclose(f, [float(determinant([[Fraction(v) for v in r] for r in A[0].tolist()]))], rtol=1e-12)
    np.testing.assert_allclose(pullback(np.ones(1)), cofactors(A[0])[None], rtol=1e-10, atol=1e-14)


def test_a_matrix_of_one_number_has_the_gradient_one_also_at_zero() -> None:
    _, pullback = det(xp, np.zeros((1, 1, 1)))
    np.testing.assert_allclose(pullback(np.ones(1)), [[[1.0]]], rtol=1e-15)


def test_a_determinant_by_its_logarithm_is_within_the_bound():
    """NumPy's is exp Σ log |pivot|, whose error is relative to the logarithm: 630 times a rounding here."""
    A = np.ldexp(np.random.default_rng(0).random((6, 3, 3)), -305)
    with bounds.context("float64"):
        found = bounds.linalg.det(bounds.asarray(A))
    (exactly,) = exact.evaluate(lambda a: (exact.linalg.det(a),), A).outputs
    truth = halves(exactly)[0]
    assert np.all(np.abs(np.linalg.det(A) - truth) <= found.worst)

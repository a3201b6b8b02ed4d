"""Linear, affine and bilinear maps: the identities of the Matrix Cookbook, and proofs with a probability."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.linear import affine, bilinear, linear_map
from multigrad.proof.prove import prove

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("op", [linear_map, affine, bilinear], ids=lambda op: op.name)
def test_what_is_rational_is_proven_with_a_probability(op):
    proof = prove(op, "tiny")
    assert proof.passed
    assert proof.probability is not None
    assert proof.probability < 1e-18


def test_a_quadratic_form_is_a_bilinear_one_of_equal_vectors():
    A, x = RNG.integers(-9, 9, (4, 4)).astype(float), RNG.integers(-9, 9, 4).astype(float)
    f, pullback = bilinear(xp, x[None], A, x[None])
    left, A_bar, right = pullback(np.ones(1))
    assert f == x @ A @ x
    np.testing.assert_array_equal(left + right, [(A + A.T) @ x])  # MC 81
    np.testing.assert_array_equal(A_bar, np.outer(x, x))  # MC 70


def test_the_bias_hears_of_every_row_once():
    X, W, b = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 2)), np.zeros(2)
    _, pullback = affine(xp, X, W, b)
    np.testing.assert_array_equal(pullback(np.ones((5, 2)))[2], [5.0, 5.0])

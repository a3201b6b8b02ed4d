"""Running sums, sorting and the largest: ties, and digits that a careless formula loses."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.order import BLOCK, amax, cumulative_sum, sort
from multigrad.proof.kinks import prove_at_kink

RNG = np.random.default_rng(0)


def test_the_last_running_sum_keeps_its_digits():
    _, pullback = cumulative_sum(xp, np.zeros((1, 4)))
    sums = pullback(np.array([[1e16, 1.0, 2.0, 1e-9]]))
    np.testing.assert_allclose(sums, [[1e16 + 3, 3 + 1e-9, 2 + 1e-9, 1e-9]], rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 7, BLOCK, BLOCK + 1, 3 * BLOCK, BLOCK * BLOCK + 5])
def test_running_sums_are_a_product_with_a_triangle(n):
    X, Y_bar, U = RNG.integers(-9, 9, (3, n)), RNG.integers(-9, 9, (3, n)), np.triu(np.ones((n, n)))
    Y, pullback = cumulative_sum(xp, X.astype(float))
    np.testing.assert_array_equal(Y, X @ U)
    np.testing.assert_array_equal(pullback(Y_bar.astype(float)), Y_bar @ U.T)


def test_equal_elements_keep_their_order_when_sorted():
    Y, pullback = sort(xp, np.array([[2.0, 1.0, 2.0, 0.0, 1.0]]))
    np.testing.assert_array_equal(Y, [[0, 1, 1, 2, 2]])
    np.testing.assert_array_equal(pullback(np.array([[10.0, 20.0, 30.0, 40.0, 50.0]])), [[40, 20, 50, 10, 30]])


def test_a_sorted_row_gives_its_cotangent_back():
    X, Y_bar = RNG.integers(-4, 4, (50, 33)).astype(float), RNG.standard_normal((50, 33))
    Y, pullback = sort(xp, X)
    order = np.argsort(X, axis=1, kind="stable")
    np.testing.assert_array_equal(Y, np.sort(X, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(pullback(Y_bar), order, axis=1), Y_bar)


def test_those_that_share_the_maximum_share_its_cotangent():
    f, pullback = amax(xp, np.array([[1.0, 3.0, 3.0, -np.inf], [2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(f, [3, 2, 1])
    wanted = [[0, 4, 4, 0], [1, 1, 1, 1], [0, 0, 5, 0]]
    np.testing.assert_array_equal(pullback(np.array([8.0, 4.0, 5.0])), wanted)


@pytest.mark.parametrize("op", [sort, amax], ids=lambda op: op.name)
def test_at_a_tie_the_gradient_is_one_of_the_subdifferential(op):
    found = [p for seed in range(4) for p in prove_at_kink(op, op.size("tiny"), seed)]
    assert all(p.passed for p in found), found
    assert sum(p.compared for p in found) > 5

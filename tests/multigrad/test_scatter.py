"""A scatter is the same whether a namespace has one of its own or not."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.backend import namespace
from multigrad.extra.hooks import Hooks
from multigrad.extra.scatter import BLOCK, scatter_add, scatter_along_axis, scatter_diagonal
from multigrad.namespaces import bounds

RNG = np.random.default_rng(0)
MANY = 3 * BLOCK

NUMBERS = {
    "few": (5, RNG.integers(0, 5, 40)),
    "many": (MANY, RNG.integers(0, MANY, 1000)),
    "every one once": (MANY, RNG.permutation(MANY)),
    "one alone, over three levels": (MANY, np.full(BLOCK * BLOCK + 7, MANY - 1)),
    "a long run among short ones": (MANY, np.concatenate([np.full(5 * BLOCK, 7), RNG.integers(0, MANY, 50)])),
    "whole blocks": (MANY, np.repeat(np.arange(4), BLOCK)),
    "a single row": (MANY, np.array([3])),
    "none": (MANY, np.zeros(0, dtype=np.int64)),
}


@pytest.mark.parametrize(("v", "numbers"), NUMBERS.values(), ids=NUMBERS)
def test_rows_are_summed_by_number(v, numbers):
    X = RNG.integers(-9, 9, (len(numbers), 3)).astype(float)
    wanted = np.zeros((v, 3))
    np.add.at(wanted, numbers, X)
    np.testing.assert_array_equal(scatter_add(xp, X, numbers, v), wanted)
    with bounds.context("float64"):
        found = scatter_add(bounds, bounds.asarray(X), numbers, v)
    np.testing.assert_array_equal(found.value, wanted)
    assert not found.worst.any()


def test_a_small_sum_beside_large_ones_keeps_its_digits():
    numbers = RNG.integers(0, MANY, 500)
    X = np.where(numbers[:, None] % 2, 1e300, 1e-300) * np.ones((500, 2))
    wanted = np.bincount(numbers, minlength=MANY) * np.where(np.arange(MANY) % 2, 1e300, 1e-300)
    np.testing.assert_allclose(scatter_add(xp, X, numbers, MANY)[:, 0], wanted, rtol=1e-13)


@pytest.mark.parametrize("v", [5, MANY])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_spoils_its_own_sum_and_no_other(v, bad):
    numbers = RNG.integers(0, v, 300)
    X = RNG.integers(-9, 9, (300, 3)).astype(float)
    wanted = np.zeros((v, 3))
    np.add.at(wanted, numbers, X)
    X[17, 1] = wanted[numbers[17], 1] = bad
    np.testing.assert_array_equal(scatter_add(xp, X, numbers, v), wanted)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_gather_by_a_permutation_is_undone(axis):
    X = RNG.standard_normal((6, 7))
    order = np.argsort(RNG.standard_normal((6, 7)), axis=axis)
    np.testing.assert_array_equal(scatter_along_axis(xp, np.take_along_axis(X, order, axis), order, axis=axis), X)


def test_a_diagonal_is_put_back_and_all_else_is_zero():
    d = RNG.standard_normal((2, 3, 4))
    found = scatter_diagonal(xp, d)
    np.testing.assert_array_equal(np.diagonal(found, axis1=-2, axis2=-1), d)
    assert np.count_nonzero(found) == d.size


def test_a_namespace_that_has_them_runs_them():
    given = lambda *arguments: arguments  # noqa: E731
    hooks = Hooks(scatter_add=given, scatter_diagonal=given, scatter_along_axis=lambda *a, axis: (a, axis))
    own = namespace(np, hooks)
    assert scatter_diagonal(own, "d") == ("d",)
    assert scatter_add(own, "X", "t", 3) == ("X", "t", 3)
    assert scatter_along_axis(own, "X", "order", axis=1) == (("X", "order"), 1)

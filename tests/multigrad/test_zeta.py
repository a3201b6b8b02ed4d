"""Hurwitz' zeta function, of which the polygamma functions are made, in every namespace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from multigrad.namespaces import bounds, cost, exact

x = np.array([0.3, 1.0, 2.5, 17.0])


@pytest.mark.parametrize("s", [2, 3, 6])
def test_its_value_is_that_of_scipy(s):
    np.testing.assert_allclose(exact.midpoints(exact.hurwitz_zeta(s, x)), special.zeta(s, x), rtol=1e-14)


def test_a_ball_that_may_hold_a_pole_is_anything():
    with exact.precision(20):
        wide = exact.asarray(np.array([1.0])) / 3 * 3 - 1
    value = exact.hurwitz_zeta(2, wide).elements[0]
    assert not value.is_finite()
    assert value.contains(5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_evaluation_stays_within_the_bounds(dtype):
    bounded = bounds.analyse(lambda v: bounds.hurwitz_zeta(3, v), x, context=dtype)
    found = special.zeta(3.0, x.astype(dtype)).astype(dtype)
    wanted = exact.midpoints(exact.hurwitz_zeta(3, x))
    assert np.all(np.abs(found - wanted) <= bounded.worst)
    assert np.all(bounded.worst <= 1e-3 * wanted)


def test_an_error_of_the_argument_moves_it_no_further():
    with bounds.context("float32"):
        A = bounds.as_array(x)
        moved = bounds.hurwitz_zeta(3, bounds.Array(A.value, np.full(4, 1e-3), np.full(4, 1e-3)))
    for end in (x - 1e-3, x + 1e-3):
        assert np.all(np.abs(special.zeta(3.0, end) - special.zeta(3.0, x)) <= moved.worst)


def test_it_costs_one_elementary_function_for_each_entry():
    with cost.counting("float32") as counters:
        result = cost.hurwitz_zeta(3, cost.asarray(x))
    assert result.shape == x.shape
    assert counters.transcendentals == 4

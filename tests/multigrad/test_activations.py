"""Activations: the kink table, and what they do far from the ordinary, on every backend."""

from __future__ import annotations

import array_api_compat.numpy as xp
import mpmath
import numpy as np
import pytest

from multigrad import operations
from multigrad.proof.kinks import prove_at_kink
from tests.multigrad.on_backends import EACH, evaluated

TABLE = {
    # The point, the slope taken there, the slopes on either side.
    "relu": (0.0, 0.0, (0.0, 1.0)),
    "leaky_relu": (0.0, 0.01, (0.01, 1.0)),
    "hardtanh": (1.0, 0.0, (1.0, 0.0)),
    "clip": (1.0, 1.0, (1.0, 0.0)),
    "absolute": (0.0, 0.0, (-1.0, 1.0)),
    "elu": (0.0, 1.0, (1.0, 1.0)),
}

SMOOTH = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))),
}

POINTS = np.array([[-1000.0, -100, -40, -8, -1, -1e-9, 0, 1e-9, 1, 8, 40, 100, 1000]])

RELATIVE = ("sigmoid", "softplus", "silu")
"""Their values are right to a few units in the last place also where they nearly vanish; the rest to one of 1."""


def slope(name: str, x: float, **parameters: float) -> float:
    _, pullback = operations()[name](xp, np.array([[x]]), **parameters)
    return float(pullback(np.ones((1, 1)))[0, 0])


@pytest.mark.parametrize("name", TABLE)
def test_the_slope_at_a_kink_is_the_tables_and_beside_it_the_one_of_its_side(name):
    at, taken, (before, after) = TABLE[name]
    assert slope(name, at) == taken
    assert (slope(name, at - 1e-12), slope(name, at + 1e-12)) == pytest.approx((before, after), abs=1e-11)


def test_a_bent_elu_has_the_slope_of_its_lower_branch():
    assert slope("elu", 0.0, alpha=1.5) == 1.5
    assert slope("elu", 1e-300, alpha=1.5) == 1.0


@pytest.mark.parametrize("name", TABLE)
def test_the_convention_lies_in_the_subdifferential(name):
    op = operations()[name]
    bent = [size for size in op.sizes.values() if size["m"] * size["n"] < 100]
    proofs = [proof for size in bent for seed in range(3) for proof in prove_at_kink(op, size, seed)]
    assert all(p.passed for p in proofs), proofs
    assert name == "elu" or sum(p.compared for p in proofs) > 5


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_one_has_no_kink_where_its_formula_changes_branch(name):
    (proof,) = prove_at_kink(operations()[name], {"m": 3, "n": 4})
    assert proof.passed
    assert proof.compared == 0


@pytest.mark.parametrize("backend", EACH)
def test_values_and_slopes_are_right_from_minus_a_thousand_to_a_thousand(backend):
    tasks = [(name, [POINTS], [np.ones_like(POINTS)]) for name in SMOOTH]
    with mpmath.workdps(1000):
        wanted = {
            name: [[float(mpmath.diff(f, mpmath.mpf(x), n)) for x in POINTS[0]] for n in (0, 1)]
            for name, f in SMOOTH.items()
        }
    for name, found in zip(SMOOTH, evaluated(backend, tasks), strict=True):
        values, slopes = wanted[name]
        atol = 0 if name in RELATIVE else 1e-15
        np.testing.assert_allclose(found[0][0], values, rtol=4e-14, atol=atol, err_msg=name)
        np.testing.assert_allclose(found[1][0], slopes, rtol=4e-14, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("backend", EACH)
def test_what_is_infinite_has_a_limit(backend):
    ends = np.array([[-np.inf, np.inf]])
    wanted = {
        "relu": ([0, np.inf], [0, 1]),
        "hardtanh": ([-1, 1], [0, 0]),
        "clip": ([0, 1], [0, 0]),
        "absolute": ([np.inf, np.inf], [-1, 1]),
        "tanh": ([-1, 1], [0, 0]),
    }
    tasks = [(name, [ends], [np.ones((1, 2))]) for name in wanted]
    for (name, (values, slopes)), found in zip(wanted.items(), evaluated(backend, tasks), strict=True):
        np.testing.assert_array_equal(found[0], [values], err_msg=name)
        np.testing.assert_array_equal(found[1], [slopes], err_msg=name)

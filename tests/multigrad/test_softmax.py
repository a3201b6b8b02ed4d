"""Softmax and its relatives where a careless formula overflows, underflows or divides zero by zero."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy import special

from multigrad import operations
from multigrad.proof.kinks import prove_at_kink
from tests.multigrad.on_backends import EACH, evaluated

INF = np.inf
ROWS = {
    "±1000": [1000.0, -1000.0, 0.0],
    "1000 three times": [1000.0] * 3,
    "−1000 three times": [-1000.0] * 3,
    "equal": [0.1] * 3,
    "one −∞": [-INF, 1.0, 2.0],
    "−∞ but for one": [-INF, -INF, 5.0],
    "1e300": [1e300, 1e300, -1e300],
}
X = np.array(list(ROWS.values()))
BAR = np.random.default_rng(0).standard_normal(X.shape)


@pytest.fixture(scope="module", params=EACH)
def found(request: pytest.FixtureRequest) -> dict[str, list[np.ndarray]]:
    ends = np.array([[-INF, -INF], [INF, 0.0]])
    tasks = {
        "softmax": ("softmax", [X], [BAR]),
        "log_softmax": ("log_softmax", [X], [BAR]),
        "logsumexp": ("logsumexp", [X], [BAR[:, 0]]),
        "ends": ("logsumexp", [ends], [np.ones(2)]),
    }
    return dict(zip(tasks, evaluated(request.param, list(tasks.values())), strict=True))


def test_softmax_is_scipys_also_at_a_thousand_and_at_minus_infinity(found):
    Y = special.softmax(X, axis=1)
    np.testing.assert_allclose(found["softmax"][0], Y, rtol=1e-14)
    wanted = Y * (BAR - np.sum(Y * BAR, axis=1, keepdims=True))
    np.testing.assert_allclose(found["softmax"][1], wanted, rtol=1e-13, atol=1e-16)


def test_equal_logits_have_equal_probabilities(found):
    for row in (1, 2, 3):
        np.testing.assert_array_equal(found["softmax"][0][row], [1 / 3] * 3)


def test_log_softmax_is_finite_where_the_probability_underflows(found):
    np.testing.assert_array_equal(found["log_softmax"][0][0], [0, -2000, -1000])
    np.testing.assert_allclose(found["log_softmax"][0][4], special.log_softmax(X[4]), rtol=1e-15)
    wanted = BAR - special.softmax(X, axis=1) * np.sum(BAR, axis=1, keepdims=True)
    np.testing.assert_allclose(found["log_softmax"][1], wanted, rtol=1e-13, atol=1e-15)


def test_logsumexp_neither_overflows_nor_underflows(found):
    log3 = np.log(3)
    np.testing.assert_allclose(found["logsumexp"][0][:3], [1000, 1000 + log3, -1000 + log3], rtol=1e-15)
    np.testing.assert_allclose(found["logsumexp"][0][3:], special.logsumexp(X[3:], axis=1), rtol=1e-15)
    wanted = special.softmax(X, axis=1) * BAR[:, :1]
    np.testing.assert_allclose(found["logsumexp"][1], wanted, rtol=1e-13, atol=1e-300)


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity(found):
    np.testing.assert_array_equal(found["ends"][0], [-INF, INF])
    np.testing.assert_array_equal(found["ends"][1], [[0, 0], [np.nan, 0]])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_equal_elements_are_no_kink(name):
    op = operations()[name]
    (proof,) = prove_at_kink(op, op.size("tiny"))
    assert proof.passed
    assert proof.compared == 0


def test_a_shift_of_all_logits_changes_nothing():
    for name in ("softmax", "log_softmax"):
        first, second = (operations()[name](xp, x) for x in (X[:2] / 8, X[:2] / 8 + 1024))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1](BAR[:2]), second[1](BAR[:2]))

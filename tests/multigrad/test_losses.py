"""Losses at the ends of their range, and beside SciPy's."""

from __future__ import annotations

import math

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy import special, stats

from multigrad.ops.find import operations
from multigrad.ops.operation import Operation

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 6, 5))
P, Q = special.softmax(RNG.standard_normal((2, 6, 5)), axis=2)
V = np.exp(RNG.standard_normal((6, 5)))
COUNTS = RNG.integers(0, 9, (6, 5)).astype(float)


def loss(name: str, *inputs: np.ndarray, **parameters: float) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return the loss, and its gradients for a cotangent of one."""
    op: Operation = operations()[name]
    value, pullback = op(xp, *inputs, **parameters)
    gradients = pullback(np.ones_like(value))
    return value, gradients if isinstance(gradients, tuple) else (gradients,)


def test_softmax_cross_entropy_is_scipys() -> None:
    t = np.array([0, 4, 2, 1, 1, 3])
    value, (X_bar,) = loss("softmax_cross_entropy", X, t)
    np.testing.assert_allclose(value, -special.log_softmax(X, axis=1)[np.arange(6), t], rtol=1e-13)
    np.testing.assert_allclose(X_bar, special.softmax(X, axis=1) - np.eye(5)[t], rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_softmax_cross_entropy_of_logits_of_a_thousand(dtype: type) -> None:
    logits = np.array([[1000, -1000, 0], [1000, -1000, 0], [1000, 1000, -1000], [-1000, -1000, -1000]], dtype=dtype)
    value, (X_bar,) = loss("softmax_cross_entropy", logits, np.array([0, 1, 1, 2]))
    np.testing.assert_allclose(value, [0, 2000, math.log(2), math.log(3)], rtol=1e-6)
    third = 1 / 3
    wanted = [[0, 0, 0], [1, -1, 0], [0.5, -0.5, 0], [third, third, third - 1]]
    np.testing.assert_allclose(X_bar, wanted, rtol=1e-6)


def test_softmax_cross_entropy_of_a_class_ruled_out_and_of_equal_logits() -> None:
    logits = np.array([[0.0, -np.inf, 0.0], [7.0, 7.0, 7.0]])
    value, (X_bar,) = loss("softmax_cross_entropy", logits, np.array([2, 0]))
    np.testing.assert_allclose(value, [math.log(2), math.log(3)], rtol=1e-14)
    np.testing.assert_allclose(X_bar, [[0.5, 0, -0.5], [-2 / 3, 1 / 3, 1 / 3]], rtol=1e-14)


def test_binary_cross_entropy_keeps_its_digits_far_from_zero() -> None:
    logits = np.array([[-1000.0], [-40.0], [0.0], [40.0], [1000.0]])
    value, (X_bar,) = loss("binary_cross_entropy_with_logits", logits, np.array([[0.0], [0.0], [0.25], [1.0], [0.0]]))
    tiny = math.exp(-40)
    np.testing.assert_allclose(value, [0, tiny, math.log(2), tiny, 1000], rtol=1e-14)
    np.testing.assert_allclose(X_bar, np.array([[0], [tiny], [0.25], [-tiny], [1]]), rtol=1e-14, atol=1e-17)


def test_binary_cross_entropy_is_the_one_of_probabilities() -> None:
    targets = RNG.integers(0, 5, X.shape) / 4
    value, (X_bar,) = loss("binary_cross_entropy_with_logits", X, targets)
    p = special.expit(X)
    np.testing.assert_allclose(value, -np.sum(targets * np.log(p) + (1 - targets) * np.log1p(-p), axis=1), rtol=1e-13)
    np.testing.assert_allclose(X_bar, p - targets, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("delta", [0.3, 1.0])
def test_huber_is_scipys(delta: float) -> None:
    value, (X_bar, Y_bar) = loss("huber", X, Y, delta=delta)
    np.testing.assert_allclose(value, special.huber(delta, X - Y).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(X_bar, np.clip(X - Y, -delta, delta), rtol=1e-14)
    np.testing.assert_array_equal(Y_bar, -X_bar)


def test_huber_at_its_knee_and_of_an_infinite_residual() -> None:
    value, (X_bar, _) = loss("huber", np.array([[1.0, -1.0, 0.0, 1e200], [np.inf, 0, 0, 0]]), np.zeros((2, 4)))
    np.testing.assert_allclose(value, [1e200, np.inf])
    np.testing.assert_array_equal(X_bar, [[1, -1, 0, 1], [1, 0, 0, 0]])


def test_kl_divergence_is_scipys_relative_entropy() -> None:
    value, (P_bar, Q_bar) = loss("kl_divergence", P, Q)
    np.testing.assert_allclose(value, special.rel_entr(P, Q).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(P_bar, np.log(P / Q) + 1, rtol=1e-13)
    np.testing.assert_allclose(Q_bar, -P / Q, rtol=1e-14)


def test_a_zero_probability_counts_for_nothing_and_an_impossible_event_is_infinitely_far() -> None:
    p, q = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.5, 0.5], [0.0, 1.0]])
    value, (P_bar, Q_bar) = loss("kl_divergence", p, q)
    np.testing.assert_allclose(value, [math.log(2), 0], rtol=1e-15)
    np.testing.assert_allclose(P_bar, [[0, math.log(2) + 1], [0, 1]], rtol=1e-15)
    np.testing.assert_allclose(Q_bar, [[0, -2], [0, -1]], rtol=1e-15)
    with np.errstate(divide="ignore"):
        assert loss("kl_divergence", np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))[0] == np.inf


def test_gaussian_nll_is_scipys_log_density() -> None:
    value, (M_bar, Y_bar, V_bar) = loss("gaussian_nll", X, Y, V)
    np.testing.assert_allclose(value, -stats.norm.logpdf(Y, X, np.sqrt(V)).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(M_bar, (X - Y) / V, rtol=1e-13)
    np.testing.assert_array_equal(Y_bar, -M_bar)
    np.testing.assert_allclose(V_bar, (1 - (X - Y) ** 2 / V) / (2 * V), rtol=1e-12)


def test_poisson_nll_is_scipys_log_probability_up_to_the_factorial() -> None:
    value, (X_bar,) = loss("poisson_nll", X, COUNTS)
    wanted = -stats.poisson.logpmf(COUNTS, np.exp(X)) - special.gammaln(COUNTS + 1)
    np.testing.assert_allclose(value, wanted.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(X_bar, np.exp(X) - COUNTS, rtol=1e-14)

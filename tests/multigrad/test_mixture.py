"""A mixture of normal distributions, against SciPy's densities."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy import special, stats

from multigrad.catalogue.mixture import gmm

from .gradbench_inputs import gradbench_inputs

Arrays = list[np.ndarray]


def triangles(q: np.ndarray, l: np.ndarray) -> np.ndarray:  # noqa: E741
    k, d = q.shape
    Q = np.zeros((k, d, d))
    for n in range(k):
        below = iter(l[n])
        for j in range(d):
            Q[n, j, j] = np.exp(q[n, j])
            for i in range(j + 1, d):
                Q[n, i, j] = next(below)
    return Q


def parts_of_density(x: np.ndarray, alpha: np.ndarray, mu: np.ndarray, P: np.ndarray) -> np.ndarray:
    """log of weight times density, (n, k)."""
    weights = special.log_softmax(alpha)
    inverses = np.linalg.inv(P)
    return np.stack(
        [w + stats.multivariate_normal(m, S).logpdf(x) for w, m, S in zip(weights, mu, inverses, strict=True)], axis=1
    )


def log_posterior(inputs: Arrays, gamma: float = 1.0, m: int = 0, prior: int = 1) -> float:
    x, alpha, mu, q, l = inputs  # noqa: E741
    d = x.shape[1]
    P = np.swapaxes(triangles(q, l), 1, 2) @ triangles(q, l)
    likelihood = np.sum(special.logsumexp(parts_of_density(x, alpha, mu, P), axis=1))
    wishart = stats.wishart(d + m + 1, np.eye(d) / gamma**2)
    return float(likelihood + prior * sum(wishart.logpdf(p) for p in P))


def drawn(n: int, d: int, k: int) -> Arrays:
    rng = np.random.default_rng(1)
    shapes = ((n, d), (k,), (k, d), (k, d), (k, d * (d - 1) // 2))
    return [scale * rng.normal(size=s) for scale, s in zip((1, 1, 1, 0.3, 0.3), shapes, strict=True)]


@pytest.mark.parametrize(("gamma", "m", "prior"), [(1.0, 0, 1), (0.5, 2, 1), (2.0, 1, -1)])
@pytest.mark.parametrize(("n", "d", "k"), [(20, 3, 4), (20, 4, 3), (40, 37, 5), (70, 33, 40)])
def test_the_posterior_is_that_of_its_densities(gamma: float, m: int, prior: int, n: int, d: int, k: int) -> None:
    inputs = drawn(n, d, k)
    f, pullback = gmm(xp, *inputs, gamma=gamma, m=m, prior=prior)
    np.testing.assert_allclose(f, log_posterior(inputs, gamma, m, prior), rtol=1e-12)
    rng = np.random.default_rng(2)
    along = [rng.normal(size=a.shape) for a in inputs[1:]]
    h = 1e-5
    ends = [
        log_posterior([inputs[0], *(a + s * h * v for a, v in zip(inputs[1:], along, strict=True))], gamma, m, prior)
        for s in (1, -1)
    ]
    terms = [g * v for g, v in zip(pullback(np.asarray(1.0)), along, strict=True)]
    size = sum(np.sum(np.abs(t)) for t in terms)
    np.testing.assert_allclose(sum(map(np.sum, terms)), (ends[0] - ends[1]) / (2 * h), rtol=0, atol=1e-8 * size)


def test_gradbench_s_own_mixture_has_the_value_and_the_gradient_of_its_means_by_definition() -> None:
    inputs = gradbench_inputs("gmm", d=2, k=5)
    x, alpha, mu, q, l = inputs  # noqa: E741
    f, pullback = gmm(xp, *inputs)
    np.testing.assert_allclose(f, log_posterior(inputs), rtol=1e-11)
    P = np.swapaxes(triangles(q, l), 1, 2) @ triangles(q, l)
    shares = special.softmax(parts_of_density(x, alpha, mu, P), axis=1)
    alpha_bar, mu_bar, _, _ = pullback(np.asarray(2.0))
    np.testing.assert_allclose(alpha_bar, 2 * (shares.sum(0) - 1000 * special.softmax(alpha)), rtol=1e-9)
    wanted = [2 * p @ (r @ (x - m)) for p, r, m in zip(P, shares.T, mu, strict=True)]
    np.testing.assert_allclose(mu_bar, wanted, rtol=1e-9, atol=1e-9 * np.max(np.abs(wanted)))


def test_a_mixture_on_a_line_has_nothing_below_its_diagonal() -> None:
    inputs = drawn(6, 1, 3)
    f, pullback = gmm(xp, *inputs)
    np.testing.assert_allclose(f, log_posterior(inputs), rtol=1e-12)
    assert pullback(np.asarray(1.0))[3].shape == (3, 0)


def test_a_point_far_from_all_components_and_a_component_without_weight_have_finite_gradients() -> None:
    inputs = drawn(5, 3, 2)
    inputs[0][0] = 1e4
    inputs[1][1] = -np.inf
    f, pullback = gmm(xp, *inputs)
    gradients = pullback(np.asarray(1.0))
    assert np.isfinite(f)
    assert all(np.isfinite(g).all() for g in gradients)
    assert gradients[0][1] == 0
    np.testing.assert_array_equal(gradients[1][1], np.zeros(3))


def test_moving_everything_far_away_changes_little() -> None:
    inputs = drawn(20, 3, 4)
    near = gmm(xp, *inputs)[1](np.asarray(1.0))
    far = gmm(xp, inputs[0] + 1e6, inputs[1], inputs[2] + 1e6, *inputs[3:])[1](np.asarray(1.0))
    for a, b in zip(near, far, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-7 * np.max(np.abs(a)))

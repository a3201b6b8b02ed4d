"""k-means, against all differences of points and centroids."""

from __future__ import annotations

import numpy as np
import pytest
from multigrad.backends.numpy_backend import array_namespace

from multigrad.catalogue.clustering import kmeans, kmeans_direction
from multigrad.extra import blocks
from tests.multigrad.on_backends import EACH, evaluated

from .gradbench_inputs import gradbench_inputs

xp = array_namespace(np)


def by_definition(x: np.ndarray, c: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The cost, its gradient, and how many points each centroid has."""
    squares = np.sum((x[:, None, :] - c) ** 2, axis=2)
    nearest = np.argmin(squares, axis=1)
    J = np.stack([2 * np.sum(c[j] - x[nearest == j], axis=0) for j in range(len(c))])
    return float(np.sum(np.min(squares, axis=1))), J, np.bincount(nearest, minlength=len(c))


@pytest.mark.parametrize("block", [1, 1000, 2**18])
def test_cost_gradient_and_direction_are_those_of_the_definition(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    x, c = gradbench_inputs("kmeans", k=10, n=1000, d=8)
    f, J, counts = by_definition(x, c)
    value, pullback = kmeans(xp, x, c)
    np.testing.assert_allclose(value, f, rtol=1e-13)
    np.testing.assert_allclose(pullback(np.asarray(3.0)), 3 * J, atol=1e-10)
    (value, D), both = kmeans_direction(xp, x, c)
    np.testing.assert_allclose(value, f, rtol=1e-13)
    np.testing.assert_allclose(D, J / (2 * counts[:, None]), atol=1e-13)
    D_bar = np.random.default_rng(0).normal(size=D.shape)
    np.testing.assert_allclose(both(np.asarray(3.0), D_bar), 3 * J + D_bar, atol=1e-10)


def test_the_direction_leads_to_the_means_of_the_clusters() -> None:
    x = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 4.0]])
    c = np.array([[1.0, 1.0], [9.0, 0.0]])
    (_, D), _ = kmeans_direction(xp, x, c)
    np.testing.assert_array_equal(c - D, [[1.0, 0.0], [10.0, 4.0]])


@pytest.mark.parametrize("backend", EACH)
def test_the_first_of_equal_centroids_has_the_point_and_the_empty_one_stays(backend: str) -> None:
    x, c = [[0.0], [4.0]], [[1.0], [-1.0], [1.0], [100.0]]
    (f, c_bar), (_, D, both) = evaluated(
        backend, [("kmeans", [x, c], [1.0]), ("kmeans_direction", [x, c], [1.0, np.full((4, 1), 5.0)])]
    )
    assert f == 1 + 9
    np.testing.assert_array_equal(c_bar, [[2 * (1 - 3)], [0], [0], [0]])
    np.testing.assert_array_equal(D, [[-1], [0], [0], [0]])
    np.testing.assert_array_equal(both, [[1], [0], [0], [0]])


def test_points_far_from_the_origin_keep_their_distances() -> None:
    x = 1e6 + np.array([[0.0], [0.25], [8.0]])
    f, _ = kmeans(xp, x, x[1:])
    assert f == 0.0625

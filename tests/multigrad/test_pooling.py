"""Pools of images against their definition, window by window; integers, so that ties occur and sums are exact."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multigrad.catalogue.pooling import avg_pool2d, max_pool2d
from multigrad.data.errors import BadInput
from multigrad.proof.kinks import prove_at_kink

Case = dict[str, Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A pool that fits: windows apart, side by side or overlapping."""
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, n - 1)) for n in window)
    image = [max(1, n - 2 * p) + draw(st.integers(0, 5)) for n, p in zip(window, padding, strict=True)]
    steps = {"window": window, "stride": draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), "padding": padding}
    return {"image": [2, 1, *image], "steps": steps, "seed": draw(st.integers(0, 2**32 - 1))}


def windows(case: Case) -> Any:
    """Every window, as slices of the padded image, with its place in the pool."""
    (p, q), (s, t), (top, left) = (case["steps"][k] for k in ("window", "stride", "padding"))
    h, w = case["image"][2:]
    for u in range((h + 2 * top - p) // s + 1):
        for v in range((w + 2 * left - q) // t + 1):
            yield u, v, slice(s * u, s * u + p), slice(t * v, t * v + q)


def inside(image: np.ndarray, case: Case) -> np.ndarray:
    (top, left), (h, w) = case["steps"]["padding"], case["image"][2:]
    return image[:, :, top : top + h, left : left + w]


@settings(deadline=None, max_examples=200)
@given(cases())
def test_the_first_of_the_largest_pixels_has_it_all(case: Case) -> None:
    rng = np.random.default_rng(case["seed"])
    X = rng.integers(-2, 2, case["image"]).astype(float)
    borders = [(0, 0), (0, 0), *((n, n) for n in case["steps"]["padding"])]
    padded = np.pad(X, borders, constant_values=-np.inf)
    Y, pullback = max_pool2d(xp, X, **case["steps"])
    Y_bar = rng.integers(-9, 9, Y.shape).astype(float)
    wanted = np.zeros_like(padded)
    for u, v, rows, columns in windows(case):
        for b in range(2):
            seen = padded[b, 0, rows, columns]
            assert Y[b, 0, u, v] == seen.max()
            first = np.unravel_index(np.argmax(seen), seen.shape)  # row by row
            wanted[b, 0, rows, columns][first] += Y_bar[b, 0, u, v]
    np.testing.assert_array_equal(pullback(Y_bar), inside(wanted, case))


@settings(deadline=None, max_examples=200)
@given(cases())
def test_a_mean_is_spread_over_its_window(case: Case) -> None:
    rng = np.random.default_rng(case["seed"])
    p, q = case["steps"]["window"]
    X = p * q * rng.integers(-9, 9, case["image"]).astype(float)
    padded = np.pad(X, [(0, 0), (0, 0), *((n, n) for n in case["steps"]["padding"])])
    Y, pullback = avg_pool2d(xp, X, **case["steps"])
    Y_bar = p * q * rng.integers(-9, 9, Y.shape).astype(float)
    wanted = np.zeros_like(padded)
    for u, v, rows, columns in windows(case):
        assert np.all(Y[:, 0, u, v] == padded[:, 0, rows, columns].sum(axis=(1, 2)) / (p * q))
        wanted[:, :, rows, columns] += Y_bar[:, :, u, v][:, :, None, None] / (p * q)
    np.testing.assert_array_equal(pullback(Y_bar), inside(wanted, case))


@pytest.mark.parametrize("size", ["tiny", "overlapping", "sparse"])
def test_a_tied_maximum_has_a_gradient_of_the_subdifferential(size):
    found = [p for seed in range(2) for p in prove_at_kink(max_pool2d, max_pool2d.size(size), seed)]
    assert all(p.passed for p in found), found
    assert sum(p.compared for p in found) > 3


@pytest.mark.parametrize("how", [{"window": 5}, {"padding": 2}, {"window": (1, 2), "padding": (1, 0)}, {"padding": -1}])
@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d], ids=lambda op: op.name)
def test_a_window_that_does_not_fit_is_refused_in_words(pool, how):
    with pytest.raises(BadInput, match="does not fit an image of"):
        pool(xp, np.zeros((1, 1, 3, 4)), **how)

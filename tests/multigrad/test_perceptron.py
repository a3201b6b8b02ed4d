"""The multilayer perceptron against its definition."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from multigrad.catalogue.perceptron import mlp

from .complex_step import gradient


def by_the_definition(X: Any, W: Any, b: Any, V: Any, a: Any) -> Any:
    Z = X @ W + b
    return np.where(Z.real > 0, Z, 0) @ V + a


def test_mlp_is_its_definition() -> None:
    arrays = mlp.make_inputs({"n": 5, "d": 4, "h": 7, "o": 3}, seed=0)
    value, pullback = mlp(xp, *arrays)
    np.testing.assert_allclose(value, by_the_definition(*arrays), rtol=1e-14)
    Y_bar = np.random.default_rng(0).standard_normal(value.shape)
    for number, found in enumerate(pullback(Y_bar)):
        np.testing.assert_allclose(found, gradient(by_the_definition, arrays, number, Y_bar), rtol=1e-12, atol=1e-13)


def test_a_unit_at_zero_passes_no_gradient() -> None:
    X, W, b, V, a = (np.ones(shape) for shape in ((2, 1), (1, 3), (3,), (3, 2), (2,)))
    value, pullback = mlp(xp, X, W, b - 2, V, a)
    np.testing.assert_array_equal(value, np.ones((2, 2)))
    X_bar, W_bar, b_bar, V_bar, a_bar = pullback(np.ones((2, 2)))
    for found in (X_bar, W_bar, b_bar, V_bar):
        np.testing.assert_array_equal(found, np.zeros_like(found))
    np.testing.assert_array_equal(a_bar, [2.0, 2.0])

"""Normalisations where there is nothing to normalise, and beside their definitions."""

from __future__ import annotations

from fractions import Fraction

import array_api_compat.numpy as xp
import mpmath
import numpy as np
import pytest

from multigrad.ops.find import operations

RNG = np.random.default_rng(0)
X, Y_BAR = RNG.standard_normal((2, 4, 6))
G, B = RNG.standard_normal((2, 6))
OPS = operations()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_row_has_no_variance_and_layer_norm_is_its_shift(dtype: type) -> None:
    constant = np.full((4, 6), 3.0, dtype=dtype)
    Y, pullback = OPS["layer_norm"](xp, constant, G.astype(dtype), B.astype(dtype), epsilon=1e-5)
    X_bar, G_bar, _ = pullback(Y_BAR.astype(dtype))
    H = G * Y_BAR
    np.testing.assert_array_equal(Y, np.broadcast_to(B.astype(dtype), (4, 6)))
    np.testing.assert_array_equal(G_bar, np.zeros(6))
    np.testing.assert_allclose(X_bar, (H - H.mean(axis=1, keepdims=True)) / np.sqrt(1e-5), rtol=2e-4, atol=1e-3)


def test_layer_norm_far_from_zero_loses_no_more_than_its_inputs_do() -> None:
    # In float32 these numbers are exact, and the square of their mean has no digit of the variance.
    far = (np.round(X * 16) / 16 + 2**12).astype(np.float32)
    Y, _ = OPS["layer_norm"](xp, far, np.ones(6, np.float32), np.zeros(6, np.float32))
    for row, found in zip(far, Y, strict=True):
        exact = [Fraction(float(x)) for x in row]
        mean = sum(exact) / 6
        variance = sum((x - mean) ** 2 for x in exact) / 6
        wanted = [float(x - mean) / float(mpmath.sqrt(float(variance) + 1e-5)) for x in exact]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)


def test_layer_norm_has_rows_of_mean_zero_and_variance_one() -> None:
    Y, _ = OPS["layer_norm"](xp, X, np.ones(6), np.zeros(6), epsilon=0.0)
    np.testing.assert_allclose(Y.mean(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(Y.var(axis=1), 1, rtol=1e-14)


def test_neither_a_shift_nor_a_scale_of_a_row_matters_to_layer_norm_so_its_gradient_is_orthogonal_to_both() -> None:
    _, pullback = OPS["layer_norm"](xp, X, G, B, epsilon=0.0)
    X_bar = pullback(Y_BAR)[0]
    np.testing.assert_allclose(X_bar.sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose((X_bar * X).sum(axis=1), 0, atol=1e-14)


def test_rms_norm_of_zeros_is_zero_and_its_gradient_finite() -> None:
    Y, pullback = OPS["rms_norm"](xp, np.zeros((4, 6)), G, epsilon=1e-4)
    X_bar, G_bar = pullback(Y_BAR)
    np.testing.assert_array_equal(Y, np.zeros((4, 6)))
    np.testing.assert_array_equal(G_bar, np.zeros(6))
    np.testing.assert_allclose(X_bar, 100 * G * Y_BAR, rtol=1e-14)


def test_rms_norm_has_rows_of_mean_square_one() -> None:
    Y, _ = OPS["rms_norm"](xp, X, np.ones(6), epsilon=0.0)
    np.testing.assert_allclose((Y * Y).mean(axis=1), 1, rtol=1e-14)


def test_batch_norm_is_layer_norm_of_the_channels_laid_out_as_rows() -> None:
    images, cotangent = RNG.standard_normal((2, 3, 4, 5))
    g, b = RNG.standard_normal((2, 4))

    def rows(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, 1, 0).reshape(4, 15)

    Y, pullback = OPS["batch_norm"](xp, images, g, b)
    plain, of_rows = OPS["layer_norm"](xp, rows(images), np.ones(15), np.zeros(15))
    X_bar, g_bar, b_bar = pullback(cotangent)
    np.testing.assert_allclose(rows(Y), plain * g[:, None] + b[:, None], rtol=1e-13)
    np.testing.assert_allclose(rows(X_bar), of_rows(rows(cotangent) * g[:, None])[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(g_bar, (rows(cotangent) * plain).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(b_bar, rows(cotangent).sum(axis=1), rtol=1e-13)


def test_a_constant_channel_of_a_batch_is_its_shift() -> None:
    images = RNG.standard_normal((3, 2, 5))
    images[:, 1] = 7.0
    Y, pullback = OPS["batch_norm"](xp, images, np.array([2.0, 3.0]), np.array([0.5, -0.5]), epsilon=1e-4)
    np.testing.assert_array_equal(Y[:, 1], np.full((3, 5), -0.5))
    cotangent = RNG.standard_normal((3, 2, 5))
    centred = cotangent[:, 1] - cotangent[:, 1].mean()
    np.testing.assert_allclose(pullback(cotangent)[0][:, 1], 300 * centred, rtol=1e-12)


def test_a_row_of_zeros_stays_and_a_tiny_one_is_divided_by_the_root_of_epsilon() -> None:
    rows = np.array([[0.0, 0.0], [3e-7, 4e-7], [3e-5, 4e-5], [3.0, 4.0]])
    Y, pullback = OPS["l2_normalise"](xp, rows)
    np.testing.assert_allclose(Y, [[0, 0], [0.3, 0.4], [0.6, 0.8], [0.6, 0.8]], rtol=1e-14)
    X_bar = pullback(np.broadcast_to(np.array([1.0, 0.0]), (4, 2)))
    wanted = [[1e6, 0], [1e6, 0], [0.64 / 5e-5, -0.48 / 5e-5], [0.64 / 5, -0.48 / 5]]
    np.testing.assert_allclose(X_bar, wanted, rtol=1e-13)

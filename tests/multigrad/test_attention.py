"""Attention in tiles is attention with the whole matrix."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest
from scipy import special

from multigrad.backend import backend
from multigrad.ops.find import operations

RNG = np.random.default_rng(0)
ATTENTION, MASKED = operations()["attention"], operations()["masked_attention"]


def drawn(b: int = 2, n: int = 9, m: int = 7, d: int = 3) -> list[np.ndarray]:
    """Return Q, K, V and a cotangent."""
    return [RNG.standard_normal(shape) for shape in ((b, n, d), (b, m, d), (b, m, d), (b, n, d))]


def whole(Q: np.ndarray, K: np.ndarray, V: np.ndarray, Y_bar: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """Return the value and the gradients by the Jacobian of each row's softmax, written out."""
    scale = Q.shape[2] ** -0.5
    S = np.where(mask, Q @ K.swapaxes(1, 2) * scale, -np.inf)
    P = special.softmax(S, axis=2)
    jacobian = P[..., :, None] * np.eye(P.shape[2]) - P[..., :, None] * P[..., None, :]
    S_bar = np.einsum("bnij,bnj->bni", jacobian, Y_bar @ V.swapaxes(1, 2))
    return [P @ V, S_bar @ K * scale, S_bar.swapaxes(1, 2) @ Q * scale, P.swapaxes(1, 2) @ Y_bar]


def close(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("keys", [1, 2, 3, 7, 512])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n", "m"), [(9, 7), (7, 9), (1, 4), (12, 1)])
def test_every_tiling_gives_what_the_whole_matrix_gives(n: int, m: int, causal: bool, keys: int) -> None:
    Q, K, V, Y_bar = drawn(n=n, m=m)
    mask = np.tri(n, m, dtype=bool) if causal else np.ones((n, m), dtype=bool)
    value, pullback = ATTENTION(xp, Q, K, V, causal=causal, keys=keys)
    close([value, *pullback(Y_bar)], whole(Q, K, V, Y_bar, mask))


@pytest.mark.parametrize("keys", [1, 3, 512])
def test_a_mask_hides_keys(keys: int) -> None:
    Q, K, V, Y_bar = drawn()
    mask = RNG.random((9, 7)) < 0.4
    mask[:, 4] |= ~mask.any(axis=1)
    value, pullback = MASKED(xp, Q, K, V, mask, keys=keys)
    close([value, *pullback(Y_bar)], whole(Q, K, V, Y_bar, mask))


@pytest.mark.parametrize("keys", [2, 512])
def test_a_query_that_sees_no_key_gives_zero_and_hands_no_gradient_on(keys: int) -> None:
    Q, K, V, Y_bar = drawn()
    mask = np.ones((9, 7), dtype=bool)
    mask[5] = False
    value, pullback = MASKED(xp, Q, K, V, mask, keys=keys)
    Q_bar, K_bar, V_bar = pullback(Y_bar)
    assert not value[:, 5].any()
    assert not Q_bar[:, 5].any()
    others = [np.delete(x, 5, axis=1) for x in (Q, Y_bar)]
    wanted = whole(others[0], K, V, others[1], np.ones((8, 7), dtype=bool))
    close([np.delete(value, 5, axis=1), np.delete(Q_bar, 5, axis=1), K_bar, V_bar], wanted)


@pytest.mark.parametrize("keys", [1, 2, 512])
def test_scores_of_a_thousand_and_equal_scores(keys: int) -> None:
    # One key after the other: rising scores rescale what has been summed up, falling ones vanish beside it.
    K = np.array([-1000.0, 0.0, 1000.0, 1000.0, -1000.0])[None, :, None]
    V = np.array([1.0, 2.0, 4.0, 6.0, 5.0])[None, :, None]
    Q = np.array([1.0, -1.0, 0.0])[None, :, None]
    value, pullback = ATTENTION(xp, Q, K, V, keys=keys)
    np.testing.assert_allclose(value[0, :, 0], [5.0, 3.0, 3.6], rtol=1e-14)
    assert all(np.isfinite(g).all() for g in pullback(np.ones_like(value)))


def test_masked_scores_that_tower_above_the_others_do_not_matter() -> None:
    K = np.array([5000.0, -3.0, -4.0])[None, :, None]
    value, pullback = MASKED(xp, np.ones((1, 1, 1)), K, K, np.array([[False, True, True]]), keys=1)
    p = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(value[0, 0, 0], -3 * p - 4 * (1 - p), rtol=1e-14)
    assert pullback(np.ones((1, 1, 1)))[2][0, 0, 0] == 0


def test_the_matrix_of_scores_is_never_there() -> None:
    n, keys = 64, 8
    largest = 0

    class Watched:
        """NumPy, noting the largest array that an exponential is taken of."""

        def __getattr__(self, name: str) -> object:
            return getattr(xp, name)

        def exp(self, x: np.ndarray) -> np.ndarray:
            nonlocal largest
            largest = max(largest, x.size)
            return np.exp(x)

    Q, K, V, Y_bar = drawn(1, n, n)
    for causal in (False, True):
        _, pullback = ATTENTION(Watched(), Q, K, V, causal=causal, keys=keys)
        pullback(Y_bar)
    assert largest == n * keys


@pytest.mark.parametrize("causal", [False, True])
def test_blocks_of_items_and_queries_change_nothing(causal: bool) -> None:
    Q, K, V, Y_bar = drawn(3, 700, 650, 8)
    blocked, pulled = ATTENTION(backend("numpy").open().xp, Q, K, V, causal=causal, keys=128)
    plain, pullback = ATTENTION(xp, Q, K, V, causal=causal, keys=1000)
    close([blocked, *pulled(Y_bar)], [plain, *pullback(Y_bar)])

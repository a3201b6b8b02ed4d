"""The recurrent networks against their definitions, one character and one gate after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
from mpmath import mp

from multigrad.catalogue.recurrent import gru_cell, lstm, lstm_cell
from multigrad.data.errors import BadInput
from multigrad.ops.operation import Operation

from .complex_step import gradient

RNG = np.random.default_rng(0)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def by_the_definition(W: Any, V: Any, S: Any, X: Any) -> Any:
    """GradBench's objective as its documentation has it, layer by layer within each character."""
    h, k = list(S[:, 0]), list(S[:, 1])
    total = 0.0
    for t in range(len(X) - 1):
        x = X[t] * V[0]
        for i, (w, v) in enumerate(W):
            forget, enter = sigmoid(x * w[0] + v[0]), sigmoid(h[i] * w[1] + v[1])
            leave, change = sigmoid(x * w[2] + v[2]), np.tanh(h[i] * w[3] + v[3])
            k[i] = k[i] * forget + enter * change
            x = h[i] = leave * np.tanh(k[i])
        y = x * V[1] + V[2]
        total = total + np.sum(X[t + 1] * (y - np.log(2 + np.sum(np.exp(y)))))
    return -total / ((len(X) - 1) * X.shape[1])


def lstm_cell_by_the_definition(X: Any, H: Any, C: Any, W: Any, U: Any, B: Any) -> Any:
    i, f, g, o = (X @ W[j].T + H @ U[j].T + B[j] for j in range(4))
    new = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    return np.stack([sigmoid(o) * np.tanh(new), new])


def gru_cell_by_the_definition(X: Any, H: Any, W: Any, U: Any, B: Any, A: Any) -> Any:
    P, Q = ([M @ N[j].T + c[j] for j in range(3)] for M, N, c in ((X, W, B), (H, U, A)))
    z = sigmoid(P[1] + Q[1])
    return (1 - z) * np.tanh(P[2] + sigmoid(P[0] + Q[0]) * Q[2]) + z * H


def agrees(op: Operation, definition: Callable[..., Any], size: dict[str, int]) -> None:
    arrays = op.make_inputs(size, seed=1)
    value, pullback = op(xp, *arrays)
    value = np.stack(value) if isinstance(value, tuple) else value
    cotangent = RNG.standard_normal(np.shape(value))
    found = pullback(*cotangent) if len(op.signature.outputs) > 1 else pullback(cotangent)
    np.testing.assert_allclose(value, definition(*arrays), rtol=1e-13, atol=1e-14)
    for name, one in zip(op.gradients, found, strict=True):
        wanted = gradient(definition, arrays, op.inputs.index(name), cotangent)
        np.testing.assert_allclose(one, wanted, rtol=1e-11, atol=1e-13 * np.max(np.abs(wanted)))


@pytest.mark.parametrize(("l", "b", "c"), [(1, 3, 2), (1, 2, 7), (2, 3, 2), (3, 2, 9), (5, 2, 3), (4, 14, 12)])
def test_lstm_is_the_loop_over_characters_and_layers(l: int, b: int, c: int) -> None:  # noqa: E741
    agrees(lstm, by_the_definition, {"l": l, "b": b, "c": c})


@pytest.mark.parametrize(
    ("op", "definition"), [(lstm_cell, lstm_cell_by_the_definition), (gru_cell, gru_cell_by_the_definition)]
)
def test_a_cell_is_its_gates_one_after_the_other(op: Operation, definition: Callable[..., Any]) -> None:
    agrees(op, definition, {"n": 4, "d": 3, "h": 5})


def test_lstm_needs_a_character_to_predict() -> None:
    arrays = lstm.make_inputs(lstm.size("tiny"), seed=0)
    with pytest.raises(BadInput, match="a character to predict"):
        lstm(xp, *arrays[:3], arrays[3][:1])


@pytest.mark.parametrize("shift", [-1000.0, 1000.0])
def test_lstm_has_a_loss_where_the_exponentials_have_none(shift: float) -> None:
    W, V, S, X = lstm.make_inputs(lstm.size("tiny"), seed=0)
    V[2] += shift
    loss, pullback = lstm(xp, W, V, S, X)
    mp.dps = 30
    # The state does not depend on V₂, so that the definition's y is that of ordinary size, moved.
    h = states(W, V, S, X)
    y = [[mp.mpf(float(a)) * mp.mpf(v1) + mp.mpf(v2) for a, v1, v2 in zip(row, V[1], V[2], strict=True)] for row in h]
    total = sum(
        mp.mpf(float(x)) * (value - mp.log(2 + sum(mp.exp(v) for v in row)))
        for row, wanted in zip(y, X[1:], strict=True)
        for value, x in zip(row, wanted, strict=True)
    )
    assert float(loss) == pytest.approx(float(-total / (len(y) * X.shape[1])), rel=1e-13)
    assert all(np.all(np.isfinite(g)) for g in pullback(np.asarray(1.0)))


def states(W: Any, V: Any, S: Any, X: Any) -> list[Any]:
    h, k, found = list(S[:, 0]), list(S[:, 1]), []
    for t in range(len(X) - 1):
        x = X[t] * V[0]
        for i, (w, v) in enumerate(W):
            k[i] = k[i] * sigmoid(x * w[0] + v[0]) + sigmoid(h[i] * w[1] + v[1]) * np.tanh(h[i] * w[3] + v[3])
            x = h[i] = sigmoid(x * w[2] + v[2]) * np.tanh(k[i])
        found.append(x)
    return found


def test_saturated_gates_are_open_or_shut_and_pass_no_gradient_to_their_weights() -> None:
    X, H, C, W, U, B = lstm_cell.make_inputs({"n": 4, "d": 3, "h": 5}, seed=2)
    B[:] = np.array([1e4, -1e4, 1e4, 1e4])[:, None]
    (hidden, cell), pullback = lstm_cell(xp, X, H, C, W, U, B)
    np.testing.assert_array_equal(cell, np.ones_like(C))
    np.testing.assert_array_equal(hidden, np.tanh(np.ones_like(C)))
    for found in pullback(np.ones_like(H), np.ones_like(C)):
        np.testing.assert_array_equal(found, np.zeros_like(found))

    X, H, W, U, B, A = gru_cell.make_inputs({"n": 4, "d": 3, "h": 5}, seed=2)
    B[1] = 1e4
    value, pullback = gru_cell(xp, X, H, W, U, B, A)
    np.testing.assert_allclose(value, H, rtol=1e-15)
    H_bar = np.ones_like(H)
    np.testing.assert_array_equal(pullback(H_bar)[1], H_bar)

"""Extreme inputs on every backend, in float64 and float32, eager and compiled: the right answer, or the convention.

A table: each case has inputs, and the values and gradients that they have in closed form, or by the convention in the
docstring of the operation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy import special

import multigrad
from multigrad import operation
from multigrad.backend import backends
from multigrad.ops.find import operations
from tests.multigrad.on_backends import HERE, Found, evaluated_as

from .complex_step import gradient
from .test_cameras import errors
from .test_hands import simple

DTYPES = ("float64", "float32")
INF, NAN = math.inf, math.nan

RAISED = "LinAlgError"
NOT_FINITE = "not finite"
"""Stands for an array that has a number which is not finite in every item."""


@dataclass(frozen=True)
class Case:
    """An operation at a point, and what is right there."""

    name: str
    operation: str
    arrays: Sequence[Any]
    """Inputs, then cotangents; of the dtype under test."""
    wanted: Sequence[Any]
    """Values, then gradients: arrays, None for what is left open, or :data:`NOT_FINITE`."""
    scale: float = 0.0
    """Errors are measured in units of this, where the number wanted is smaller."""
    roundings: float = 16.0
    """How many units of rounding it may be off."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    raises: tuple[str, ...] = ()
    """Backends that raise instead."""


def cases(dtype: str) -> Iterator[Case]:
    """Make the table, with numbers of a dtype."""
    for family in (_softmaxes, _losses, _activations, _normalisations, _attention, _order, _places, _cells):
        yield from family(functools.partial(_of, dtype), np.finfo(dtype))
    for family in (_determinants, _systems, _spectra, _exponentials):
        yield from family(functools.partial(_of, dtype), np.finfo(dtype))


def _of(dtype: str, numbers: Any) -> np.ndarray:
    """Round to a dtype, and keep in float64."""
    return np.asarray(numbers, dtype=dtype).astype(np.float64)


def _bar(*shape: int) -> np.ndarray:
    """A cotangent of few digits, all different, none zero."""
    count = math.prod(shape)
    return np.reshape((np.arange(count) * 7 % (2 * count + 1) - count + 0.5) / 8, shape)


def _softmaxes(of: Any, limits: Any) -> Iterator[Case]:
    most = float(limits.max) / 4
    x = of(
        [
            [1000.0, -1000.0, 0.0],
            [1000.0] * 3,
            [-1000.0] * 3,
            [0.1] * 3,
            [-INF, 1.0, 2.0],
            [-INF, -INF, 5.0],
            [most, most, -most],
        ]
    )
    m, n = x.shape
    y, y_bar = special.softmax(x, axis=1), _bar(m, n)
    gradient = y * (y_bar - np.sum(y * y_bar, axis=1, keepdims=True))
    yield Case("softmax of ±1000, −∞ and equal logits", "softmax", [x, y_bar], [y, gradient], scale=1)
    gradient = y_bar - y * np.sum(y_bar, axis=1, keepdims=True)
    yield Case("log_softmax of the same", "log_softmax", [x, y_bar], [special.log_softmax(x, axis=1), gradient], 1)
    f_bar = y_bar[:, 0]
    f = special.logsumexp(x, axis=1)
    yield Case("logsumexp of the same", "logsumexp", [x, f_bar], [f, y * f_bar[:, None]])
    ends = np.array([[-INF] * 3, [INF, 0.0, 1000.0]])
    yield Case("softmax of nothing but −∞, and of +∞", "softmax", [ends, y_bar[:2]], [NAN * ends] * 2)
    yield Case("log_softmax of nothing but −∞, and of +∞", "log_softmax", [ends, y_bar[:2]], [NAN * ends] * 2)
    shares = [[0.0, 0.0, 0.0], [NAN, 0.0, 0.0]]
    yield Case("logsumexp of nothing but −∞, and of +∞", "logsumexp", [ends, [3.0, 3.0]], [[-INF, INF], shares])
    for row, value in zip(x, f, strict=True):
        yield Case(f"lse of {row.tolist()}", "lse", [row, 3.0], [value, 3 * special.softmax(row)])
    for row, found, bar in ((ends[0], -INF, [0.0] * 3), (np.repeat(ends[1], 2), INF, [NAN] * 2 + [0.0] * 4)):
        yield Case(f"lse of {row.tolist()}", "lse", [row, 3.0], [found, bar])


def _losses(of: Any, limits: Any) -> Iterator[Case]:
    logits = [[1000.0, -1000.0, 0.0], [1000.0, -1000.0, 0.0], [7.0] * 3, [0.0, -INF, 0.0], [0.0, -INF, 0.0]]
    t, third = [0, 1, 0, 2, 1], 1 / 3
    loss = [0.0, 2000.0, math.log(3), math.log(2), INF]
    bar = [[0, 0, 0], [1, -1, 0], [third - 1, third, third], [0.5, 0, -0.5], [0.5, -1, 0.5]]
    yield Case(
        "softmax_cross_entropy of certain, impossible and equal classes",
        "softmax_cross_entropy",
        [logits, t, [2.0] * 5],
        [loss, 2 * np.array(bar)],
    )
    ends = [[-INF] * 3, [INF, 0.0, 0.0]]
    nothing = [[NAN] * 2, np.full((2, 3), NAN)]
    yield Case("softmax_cross_entropy of no logits", "softmax_cross_entropy", [ends, [0, 0], [1.0, 1.0]], nothing)
    x, y = of([[-1000.0], [-40.0], [0.0], [40.0], [1000.0], [1000.0], [-1000.0]]), [0, 0, 0.25, 1, 0, 1, 1]
    small = math.exp(-40)
    losses, slopes = [0, small, math.log(2), small, 1000, 0, 1000], [0, small, 0.25, -small, 1, 0, -1]
    # σ(40) − 1 has no digit left; it is right to a rounding of the target.
    yield Case(
        "binary_cross_entropy_with_logits of ±1000",
        "binary_cross_entropy_with_logits",
        [x, np.array(y, float)[:, None], np.full(7, 2.0)],
        [2 * np.array(losses) / 2, 2 * np.array(slopes)[:, None]],
        scale=1,
    )
    yield Case(
        "binary_cross_entropy_with_logits of ±∞",
        "binary_cross_entropy_with_logits",
        [[[INF], [-INF], [-INF]], [[0.0], [0.0], [1.0]], [1.0] * 3],
        [[NAN, NAN, INF], None],
    )
    yield Case(
        "huber at its knees and of an infinite residual",
        "huber",
        [[[1.0, -1.0, 0.0, 2.0], [INF, 0, 0, 0]], np.zeros((2, 4)), [1.0, 1.0]],
        [[2.5, INF], [[1, -1, 0, 1], [1, 0, 0, 0]], [[-1, 1, 0, -1], [-1, 0, 0, 0]]],
    )
    p, q = [[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    log2 = math.log(2)
    yield Case(
        "kl_divergence of what cannot happen",
        "kl_divergence",
        [p, q, [1.0] * 3],
        [[log2, 0, INF], [[0, log2 + 1], [0, 1], [INF, 1 - log2]], [[0, -2], [0, -1], [-INF, -0.5]]],
    )
    yield Case(
        "gaussian_nll of no variance",
        "gaussian_nll",
        [[[1.0], [1.0]], [[1.0], [0.0]], [[0.0], [0.0]], [1.0, 1.0]],
        [[NAN, NAN], None, None, None],
    )
    yield Case(
        "poisson_nll of rates that vanish and overflow",
        "poisson_nll",
        [[[-1000.0], [1000.0]], [[3.0], [3.0]], [2.0, 2.0]],
        [[3000.0, INF], [[-6.0], [INF]]],
    )


def _activations(of: Any, limits: Any) -> Iterator[Case]:
    x = of([[-INF, -1000.0, -40.0, -1.0, 0.0, 1.0, 40.0, 1000.0, INF]])
    z, bar = np.where(np.isinf(x), 0, x), _bar(1, 9)
    s = special.expit(x)

    def case(name: str, y: Any, slope: Any, **how: Any) -> Case:
        return Case(f"{name} of ±1000 and ±∞", name, [x, bar], [y, bar * slope], **how)

    low, high = x == -INF, x == INF
    yield case("sigmoid", s, s * special.expit(-x), scale=1)
    yield case("tanh", np.tanh(x), np.cosh(np.clip(x, -300, 300)) ** -2, scale=1)
    yield case("softplus", np.where(high, NAN, np.logaddexp(z, 0) * ~low), np.where(high, NAN, s))
    yield case("silu", np.where(low, NAN, z * s + np.where(high, x, 0)), _silu_slope(x, s), scale=1)
    c = math.sqrt(2 / math.pi)
    t = special.expit(2 * c * (z + 0.044715 * z**3))
    slope = t + z * t * (1 - t) * 2 * c * (1 + 3 * 0.044715 * z * z)
    ends = low | high
    yield case("gelu", np.where(low, NAN, z * t + np.where(high, x, 0)), np.where(ends, NAN, slope), scale=1)
    yield case("elu", np.where(low, NAN, np.where(x > 0, x, np.expm1(np.minimum(z, 0)))), _elu_slope(x), scale=1)
    yield case("relu", np.maximum(x, 0), x > 0)
    yield case("leaky_relu", np.where(x > 0, x, 0.01 * x), np.where(x > 0, 1, 0.01))
    yield case("absolute", np.abs(x), np.sign(x))
    yield case("hardtanh", np.clip(x, -1, 1), (x > -1) & (x < 1))
    yield case("clip", np.clip(x, 0, 1), (x >= 0) & (x <= 1))


def _silu_slope(x: Any, s: Any) -> Any:
    z = np.where(np.isinf(x), 0, x)
    return np.where(np.isinf(x), NAN, s + z * s * special.expit(-z))


def _elu_slope(x: Any) -> Any:
    return np.where(x > 0, 1, np.exp(np.minimum(x, 0)))


def _normalisations(of: Any, limits: Any) -> Iterator[Case]:
    huge = 2.0 ** math.floor(0.6 * limits.maxexp)
    x = np.repeat(of([[0.0], [3.0], [0.1], [1e6 / 3], [huge / 3]]), 7, axis=1)
    m, n = x.shape
    y_bar, g, b = _bar(m, n), _bar(n) + 0.25, _bar(n)
    h = g * y_bar
    root = math.sqrt(1e-4)
    yield Case(
        "layer_norm of constant rows",
        "layer_norm",
        [x, g, b, y_bar],
        [np.broadcast_to(b, (m, n)), (h - h.mean(axis=1, keepdims=True)) / root, 0 * g, y_bar.sum(axis=0)],
        scale=500,
        parameters={"epsilon": 1e-4},
    )
    images = np.moveaxis(np.reshape(x, (m, 1, n)), 0, 1) * np.ones((2, 1, 1))
    cotangent, gain, shift = _bar(2, m, n), _bar(m) + 0.25, _bar(m)
    centred = cotangent - cotangent.mean(axis=(0, 2), keepdims=True)
    yield Case(
        "batch_norm of constant channels",
        "batch_norm",
        [images, gain, shift, cotangent],
        [
            np.broadcast_to(shift[:, None], (2, m, n)),
            gain[:, None] * centred / root,
            0 * gain,
            cotangent.sum(axis=(0, 2)),
        ],
        scale=500,
        parameters={"epsilon": 1e-4},
    )
    zero = np.zeros((1, n))
    yield Case(
        "rms_norm of zeros",
        "rms_norm",
        [zero, g, y_bar[:1]],
        [zero, h[:1] / root, 0 * g],
        parameters={"epsilon": 1e-4},
    )
    yield Case("rms_norm of squares that overflow", "rms_norm", [huge + zero, g, y_bar[:1]], [zero, zero, 0 * g])
    tiny = 1 / huge
    rows = of([[0.0, 0.0], [3 * tiny, 4 * tiny], [3e-7, 4e-7], [3.0, 4.0], [3 * huge, 4 * huge]])
    y = np.concatenate([rows[:3] * 1e6, [[0.6, 0.8], [0.0, 0.0]]])
    bar = [[1e6, 0], [1e6, 0], [1e6, 0], [0.128, -0.096], [0, 0]]
    ones = np.broadcast_to([1.0, 0.0], (5, 2))
    yield Case("l2_normalise of zero, tiny and huge rows", "l2_normalise", [rows, ones], [y, bar], scale=1e-12)
    A, X = np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0], [3 * tiny, 4 * tiny], [3 * huge, 4 * huge]])
    B = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    unit = np.array([[0, 0], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8]])
    yield Case(
        "residual_norm at zero, tiny and huge",
        "residual_norm",
        [A, X, B, np.ones(4)],
        [[0, 5, 5 * tiny, 5 * huge], np.transpose(unit) @ X, unit, -unit],
    )


def _attention(of: Any, limits: Any) -> Iterator[Case]:
    K = np.array([-1000.0, 0.0, 1000.0, 1000.0, -1000.0])[None, :, None]
    V = np.array([1.0, 2.0, 4.0, 6.0, 5.0])[None, :, None]
    Q = np.array([1.0, -1.0, 0.0])[None, :, None]
    P = np.array([[[0, 0, 0.5, 0.5, 0], [0.5, 0, 0, 0, 0.5], [0.2] * 5]])
    for keys in (2, 512):
        yield _attended("attention", f"attention to scores of ±1000 and equal ones, {keys} at a time", Q, K, V, P, keys)
        mask = np.ones((3, 5), dtype=bool)
        mask[0], mask[1, 0], mask[2, 1:] = False, False, False
        hidden = np.array([[[0.0] * 5, [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]])
        words = f"masked_attention of a query that sees nothing, {keys} keys at a time"
        yield _attended("masked_attention", words, Q, K, V, hidden, keys, mask)


def _attended(name: str, words: str, Q: Any, K: Any, V: Any, P: Any, keys: int, *mask: Any) -> Case:
    bar = np.array([2.0, 3.0, -1.0])[None, :, None]
    Y = P @ V
    S_bar = P * (bar @ np.swapaxes(V, 1, 2) - np.sum(bar * Y, axis=2, keepdims=True))
    T = functools.partial(np.swapaxes, axis1=1, axis2=2)
    wanted = [Y, S_bar @ K, T(S_bar) @ Q, T(P) @ bar]
    return Case(words, name, [Q, K, V, *mask, bar], wanted, scale=1000, parameters={"keys": keys})


def _order(of: Any, limits: Any) -> Iterator[Case]:
    x = np.array([[2.0, 1.0, 2.0, 1.0], [0.0] * 4, [-INF] * 4, [INF, 1.0, INF, -INF]])
    bar = _bar(4, 4)
    order = [[1, 3, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3], [3, 1, 0, 2]]
    sorted_bar = np.take_along_axis(bar, np.argsort(order, axis=1), axis=1)
    yield Case("sort of ties and infinities", "sort", [x, bar], [np.sort(x, axis=1), sorted_bar])
    share = np.array([[0.5, 0, 0.5, 0], [0.25] * 4, [0.25] * 4, [0.5, 0, 0.5, 0]])
    yield Case("amax of ties and infinities", "amax", [x, bar[:, 0]], [x.max(axis=1), bar[:, :1] * share])
    image = np.array([[1.0, 1.0, 3.0, 2.0], [1.0, 1.0, 3.0, 3.0]])[None, None]
    first = np.array([[5.0, 0.0, 7.0, 0.0], [0.0] * 4])[None, None]
    yield Case("max_pool2d of ties", "max_pool2d", [image, [[[[5.0, 7.0]]]]], [[[[[1.0, 3.0]]]], first])


def _places(of: Any, limits: Any) -> Iterator[Case]:
    x, c = [[0.0], [1.0], [5.0]], [[0.5], [0.5], [100.0]]
    yield Case("kmeans of equal centroids and an empty one", "kmeans", [x, c, 1.0], [20.75, [[-9.0], [0], [0]]])
    yield Case(
        "kmeans_direction of equal centroids and an empty one",
        "kmeans_direction",
        [x, c, 1.0, [[2.0], [3.0], [4.0]]],
        [20.75, [[-1.5], [0], [0]], [[-7.0], [0], [0]]],
    )
    points = of([[0.5, 1.0], [-1.0, 2.0]])
    mu, q, below = of([[0.0, 0.5], [7.0, 7.0]]), np.zeros((2, 2)), np.zeros((2, 1))
    away = points - mu[0]
    f = -0.5 * np.sum(away**2) - 2 * math.log(2 * math.pi) + _prior(2, 2)
    q_bar = np.array([2 - np.sum(away**2, axis=0), np.zeros(2)]) - 1
    l_bar = [[-np.sum(away[:, 0] * away[:, 1])], [0.0]]
    yield Case(
        "gmm with a component of weight zero",
        "gmm",
        [points, [0.0, -INF], mu, q, below, 1.0],
        [f, [0.0, 0.0], [away.sum(axis=0), [0.0, 0.0]], q_bar, l_bar],
        scale=1,
    )
    yield Case("ode at zero", "ode", [np.zeros(3), [1.0, 2.0, 3.0]], [np.zeros(3), [2.0, 0.0, 0.0]])
    yield from _turns(of)


def _prior(d: int, k: int) -> float:
    degrees = d + 1
    norm = degrees * d * math.log(1 / math.sqrt(2)) - special.multigammaln(degrees / 2, d)
    return float(k * norm - 0.5 * k * d)


def _turns(of: Any) -> Iterator[Case]:
    op = operations()["bundle_adjustment"]
    arrays = [of(a) if a.dtype.kind == "f" else a for a in op.make_inputs({"n": 2, "m": 3, "p": 4}, seed=4)]
    arrays[0][:, :3], arrays[0][:, 3:6] = 0, [[0.25, 0.0, -8.0], [0.0, 0.5, -8.0]]
    e_bar, z_bar = _bar(4, 2), _bar(4)
    gradients = [gradient(errors, arrays, i, e_bar) for i in range(3)]
    gradients[2] = gradients[2] - 2 * arrays[2] * z_bar
    wanted = [errors(*arrays), 1 - arrays[2] ** 2, *gradients]
    yield Case("bundle_adjustment of cameras that are not turned", op.name, [*arrays, e_bar, z_bar], wanted, 1, 200)
    for angle in (0.0, 2.0**-80):
        op = operations()["hand_tracking"]
        arrays = [of(a) if a.dtype.kind == "f" else a for a in op.make_inputs(op.size("tiny"), seed=3)]
        arrays[0][:] = angle
        bar = _bar(*arrays[5].shape)
        wanted = [np.real(simple(*arrays)), gradient(simple, arrays, 0, bar)]
        yield Case(f"hand_tracking of angles {angle:.0g}", op.name, [*arrays, bar], wanted, 10, 100)


def _cells(of: Any, limits: Any) -> Iterator[Case]:
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    # Every gate is open; the change is the constant 1.
    gates, cell = np.full((4, 1), 1000.0), np.tanh(1.5)
    slope = 1 - cell**2
    weights = np.zeros((4, 1, 1))
    yield Case(
        "lstm_cell of gates at 1000",
        "lstm_cell",
        [one, one, 0.5 * one, weights, weights, gates, 2 * one, 3 * one],
        [[[cell]], [[1.5]], zero, zero, [[3 + 2 * slope]], 0 * weights, 0 * weights, 0 * gates],
        scale=1,
    )
    weights = np.zeros((3, 1, 1))
    shut = np.array([[-1000.0], [1000.0], [1000.0]])
    yield Case(
        "gru_cell of gates at ±1000",
        "gru_cell",
        [one, 0.5 * one, weights, weights, shut, 0 * shut, 2 * one],
        [[[0.5]], zero, [[2.0]], 0 * weights, 0 * weights, 0 * shut, 0 * shut],
    )


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
ZERO = np.zeros((2, 2))


def _determinants(of: Any, limits: Any) -> Iterator[Case]:
    close = 2.0 ** -(limits.nmant - 12)
    nearly = np.array([[1.0, 1.0], [1.0, 1.0 + close]])
    A = np.stack([SINGULAR, nearly, np.diag([0.0, 3.0]), ZERO])
    adjugates = [[[4, -2], [-2, 1]], [[1 + close, -1], [-1, 1]], [[3, 0], [0, 0]], ZERO]
    yield Case("det of singular matrices", "det", [A, np.full(4, 2.0)], [[0, close, 0, 0], None])
    yield Case("det's gradient there", "det", [A, np.full(4, 2.0)], [None, 2 * np.array(adjugates)], scale=4)
    huge = 2.0 ** math.floor(0.6 * limits.maxexp)
    X = np.stack([SINGULAR, np.diag([2.0, -3.0]), nearly, huge * np.eye(2), ZERO])
    f = [-INF, math.log(6), math.log(close), 2 * math.log(huge), -INF]
    nothing = np.full((2, 2), NAN)
    of_nearly = np.array([[1 + close, -1], [-1, 1]]) / close
    X_bar = 2 * np.stack([nothing, np.diag([1 / 2, -1 / 3]), of_nearly, np.eye(2) / huge, nothing])
    yield Case("logdet of singular, nearly singular and huge matrices", "logdet", [X, np.full(5, 2.0)], [f, X_bar])
    eye = np.eye(2)[None]
    gradients = [None, 3 * np.array([[[4, -2], [-2, 1]]])]
    yield Case("det_quadratic of a singular form", "det_quadratic", [eye, [SINGULAR], [3.0]], [[0.0], *gradients], 4)
    column = [[[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]]
    yield Case("logdet_gram of a zero column", "logdet_gram", [column, [1.0]], [[-INF], NOT_FINITE], raises=_LAPACK)


_LAPACK = tuple(name for name in HERE if name in ("numpy", "strict", "dask"))
"""They raise where LAPACK says that a matrix is singular, as NumPy does."""


def _systems(of: Any, limits: Any) -> Iterator[Case]:
    A, eye, b = [SINGULAR], [np.eye(2)], [[[1.0], [1.0]]]
    everywhere = (*_LAPACK, *(name for name in HERE if name == "torch"))
    yield Case("inverse of a singular matrix", "inverse", [A, eye], [NOT_FINITE] * 2, raises=everywhere)
    yield Case(
        "trace_resolvent of a singular sum", "trace_resolvent", [A, [ZERO], [1.0]], [NOT_FINITE] * 3, raises=everywhere
    )
    row = [[[1.0, 1.0]]]
    yield Case(
        "trace_inverse of a singular matrix",
        "trace_inverse",
        [row, A, b, [1.0]],
        [NOT_FINITE] * 4,
        raises=_LAPACK,
    )
    yield Case("solve with a singular matrix", "solve", [A, b, b], [NOT_FINITE] * 3, raises=_LAPACK)
    lower = [[[1.0, 0.0], [1.0, 0.0]]]
    yield Case("triangular_solve with a zero", "triangular_solve", [lower, b, b], [NOT_FINITE] * 3, raises=_LAPACK)
    indefinite = [[[1.0, 2.0], [2.0, 1.0]]]
    yield Case("cholesky of an indefinite matrix", "cholesky", [indefinite, eye], [NOT_FINITE] * 2, raises=everywhere)
    column = [[[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]]
    tall = np.ones((1, 3, 2))
    yield Case("qr of a zero column", "qr", [column, tall, eye], [None, None, NOT_FINITE], raises=_LAPACK)
    right = np.ones((1, 3, 1))
    yield Case(
        "least_squares with a zero column", "least_squares", [column, right, b], [NOT_FINITE] * 3, raises=_LAPACK
    )
    u, v = np.array([1.0, 2.0, 2.0]), np.array([3.0, 4.0])
    A1 = np.outer(u, v)
    P, P_bar = np.outer(v, u) / 225, _bar(2, 3)
    # ∂A⁺ = −P ∂A P + (I − PA) ∂Aᵀ PᵀP + PPᵀ ∂Aᵀ (I − AP), for A of constant rank.
    inner = np.eye(2) - P @ A1
    outer = np.eye(3) - A1 @ P
    A_bar = -P.T @ P_bar @ P.T + P.T @ P @ P_bar.T @ inner + outer @ P_bar.T @ P @ P.T
    yield Case("pseudo_inverse of rank one", "pseudo_inverse", [[A1], [P_bar]], [[P], [A_bar]], 0.1, 100)
    yield Case("pseudo_inverse of zero", "pseudo_inverse", [[0 * A1], [P_bar]], [[0 * P], [0 * A1]])


HALVES = np.eye(4) - 0.5
"""An orthogonal matrix whose entries are ±½."""


def _spectra(of: Any, limits: Any) -> Iterator[Case]:
    twice = HALVES @ np.diag([1.0, 1.0, 3.0, 3.0]) @ HALVES
    tops = HALVES @ np.diag([0.0, 0.0, 1.0, 1.0]) @ HALVES
    yield Case(
        "eigenvalues, repeated",
        "eigenvalues",
        [[twice, np.zeros((4, 4))], [[2.0, 2.0, 6.0, 6.0], [5.0] * 4]],
        [[[1, 1, 3, 3], [0] * 4], [2 * twice, 5 * np.eye(4)]],
        scale=8,
    )
    yield Case(
        "log_trace_exp of 1000 I",
        "log_trace_exp",
        [[1000 * np.eye(4)], [4.0]],
        [[1000 + math.log(4)], [np.eye(4)]],
        scale=1,
    )
    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    yield Case(
        "eigenvector_energies of the identity",
        "eigenvector_energies",
        [[np.eye(4)], x, np.ones((1, 4))],
        [None, [np.zeros((4, 4))], 2 * x],
        scale=8,
    )
    P_bar = _bar(4, 4)
    S = (P_bar + P_bar.T) / 2
    across = tops @ S @ (np.eye(4) - tops)
    half = {"k": 2}
    yield Case(
        "spectral_projector onto repeated eigenvalues",
        "spectral_projector",
        [[twice], [P_bar]],
        [[tops], [(across + across.T) / 2]],
        scale=1,
        parameters=half,
    )
    yield Case(
        "spectral_projector with no cut",
        "spectral_projector",
        [[np.eye(4)], [P_bar]],
        [None, [np.zeros((4, 4))]],
        parameters=half,
    )
    yield Case(
        "singular_values, repeated",
        "singular_values",
        [[2 * HALVES], [[3.0] * 4]],
        [[[2] * 4], [3 * HALVES]],
        scale=4,
    )
    one = np.outer(HALVES[0], HALVES[1])
    yield Case(
        "singular_values of rank one", "singular_values", [[3 * one], [[1.0, 0, 0, 0]]], [[[3, 0, 0, 0]], [one]], 4
    )
    yield Case("nuclear_norm of zero", "nuclear_norm", [[ZERO], [1.0]], [[0], [ZERO]])
    lost = np.diag([3.0, 0.0, 2.0])
    yield Case("nuclear_norm of rank two", "nuclear_norm", [[lost], [2.0]], [[5], [2 * np.sign(lost)]], 1)
    tied = np.diag([2.0, -2.0, 1.0])
    yield Case("spectral_norm of a tie", "spectral_norm", [[tied], [2.0]], [[2], [np.diag([1.0, -1.0, 0.0])]], 1)
    yield Case("spectral_norm of zero", "spectral_norm", [[ZERO], [1.0]], [[0], [ZERO]])


def _exponentials(of: Any, limits: Any) -> Iterator[Case]:
    N, Y_bar = np.array([[0.0, 1.0], [0.0, 0.0]]), _bar(2, 2)
    T = N.T
    X_bar = Y_bar + (T @ Y_bar + Y_bar @ T) / 2 + T @ Y_bar @ T / 6
    yield Case(
        "matrix_exponential of zero and of a nilpotent matrix",
        "matrix_exponential",
        [[ZERO, N], [Y_bar, Y_bar]],
        [[np.eye(2), np.eye(2) + N], [Y_bar, X_bar]],
        scale=1,
        roundings=100,
    )
    for k, value, slope in ((0, np.eye(2), ZERO), (1, N, Y_bar), (2, ZERO, T @ Y_bar + Y_bar @ T)):
        case = Case(f"matrix_power {k} of a nilpotent matrix", "matrix_power", [[N], [Y_bar]], [[value], [slope]])
        yield Case(case.name, case.operation, case.arrays, case.wanted, parameters={"k": k})


TABLE = {dtype: list(cases(dtype)) for dtype in DTYPES}
NAMES = [case.name for case in TABLE["float64"]]


SLOW = {("torch", "compiled"), ("jax", "compiled"), ("jax", "eager"), ("dask", "eager")}
"""To compile takes PyTorch seconds for each function; eager JAX compiles every step of each by itself, and Dask makes
tasks of them."""


def ways() -> Iterator[Any]:
    for name in HERE:
        for mode in backends()[name].modes:
            marks = [pytest.mark.long] if (name, mode) in SLOW else []
            yield pytest.param((name, mode), marks=marks, id=f"{name} {mode}")


@pytest.fixture(scope="module", params=ways())
def found(request: pytest.FixtureRequest) -> tuple[str, list[Found]]:
    name, mode = request.param
    tasks = [(c.operation, c.arrays, c.parameters, dtype, mode) for dtype in DTYPES for c in TABLE[dtype]]
    return name, evaluated_as(name, tasks)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_an_extreme_input_has_the_right_answer(found: tuple[str, list[Found]], dtype: str, number: int) -> None:
    backend, answers = found
    case, answer = TABLE[dtype][number], answers[DTYPES.index(dtype) * len(NAMES) + number]
    if backend in case.raises:
        assert str(answer).endswith(RAISED)
        return
    assert not isinstance(answer, str), f"raised {answer}"
    assert len(answer) == len(case.wanted)
    for output, got, wanted in zip(operations()[case.operation].outputs, answer, case.wanted, strict=True):
        _compare(got, wanted, case, dtype, output)


def _compare(got: np.ndarray, wanted: Any, case: Case, dtype: str, words: str) -> None:
    if wanted is None:
        return
    if isinstance(wanted, str):
        assert not np.isfinite(got).all(), words
        return
    wanted = np.asarray(wanted, dtype=np.float64)
    assert got.shape == wanted.shape, words
    rounding = case.roundings * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(got, wanted, rtol=rounding, atol=rounding * case.scale, err_msg=words)


def test_a_library_that_refuses_nan_is_unavailable_there_and_what_is_computed_is_right():
    frame = multigrad.check(["sort", "eigenvalues"], backend="numpy", dtype="float64", regime="nonfinite")
    numbers = frame[frame["backend"] == "numpy"]
    refused = numbers[numbers["operation"] == "eigenvalues"]
    assert list(refused["verdict"]) == ["UNAVAILABLE"]
    assert "LinAlgError" in refused["reason"].iloc[0]
    assert set(numbers[numbers["operation"] == "sort"]["verdict"]) == {"PASS"}


def _picky(error):
    """Return an operation that raises an exception on NumPy where its input is not finite."""

    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        if isinstance(x, np.ndarray) and not np.isfinite(x).all():
            raise error
        return xp.sum(x), lambda f_bar: f_bar * xp.ones_like(x)

    return f


@pytest.mark.parametrize(
    ("error", "verdict"), [(TypeError("mine"), "FAIL"), (np.linalg.LinAlgError("did not converge"), "UNAVAILABLE")]
)
def test_beside_nan_only_a_breakdown_that_the_backend_knows_is_excused(error, verdict):
    frame = multigrad.check([_picky(error), "sort"], backend="numpy", dtype="float64", regime="nonfinite")
    found = frame[(frame["backend"] == "numpy") & (frame["operation"] == "f")]
    assert list(found["verdict"]) == [verdict]
    assert str(error) in found["reason"].iloc[0]


def test_a_shape_that_numpy_has_is_portable():
    names = ["layer_norm", "batch_norm", "spectral_projector"]
    frame = multigrad.check(names, backend="strict", dtype="float64", regime="empty")
    numbers = frame[frame["backend"] == "strict"]
    assert set(names) <= set(numbers["operation"])
    assert set(numbers["verdict"]) == {"PASS"}, numbers[["operation", "sizes", "reason"]].to_string()


def test_a_matrix_of_no_rows_is_factorised_and_solved_with():
    frame = multigrad.check(["cholesky", "triangular_solve"], backend="numpy", dtype="float64", regime="empty")
    empty = frame[frame["sizes"].str.contains("n=0")]
    assert set(empty["operation"]) == {"cholesky", "triangular_solve"}
    assert set(empty["backend"]) == {"numpy"}
    assert set(empty["verdict"]) == {"PASS"}, empty[["operation", "sizes", "reason"]].to_string()

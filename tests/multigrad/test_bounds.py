"""Errors of honest evaluations in NumPy's float32 and float16, against float64 where that is far more exact."""

import contextlib
import math
import subprocess
import sys

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

from multigrad import operations
from multigrad.namespaces import bounds
from multigrad.namespaces.bounds_model import FORMATS, gamma, probable_gamma

SHAPE = (3, 4)
FRAGILE = 1e30
"""Where a float64 evaluation of a random expression is no longer the truth to many digits."""


def ratio(computed, bounded, truth):
    """The largest error over its bound; nothing where there is no bound."""
    with np.errstate(all="ignore"):
        error = np.abs(np.asarray(computed, dtype=np.float64) - np.asarray(truth, dtype=np.float64))
    worst = bounded.worst
    assert error.shape == worst.shape
    assert np.all(bounded.probable <= worst)
    with np.errstate(all="ignore"):
        known = np.isfinite(worst) & np.isfinite(truth)
        return np.max(np.where(known & (error > 0), error / worst, 0.0), initial=0.0)


def evaluate(function, arrays, dtype="float32"):
    """Compute in the dtype, in bounds and in extended precision."""
    low = [a.astype(dtype) for a in arrays]
    with np.errstate(all="ignore"):
        computed = function(np, *low)
        truth = function(np, *(a.astype(np.longdouble) for a in low))
    return computed, bounds.analyse(lambda *a: function(bounds, *a), *low, context=dtype), truth


# Random expressions

UNARY = {
    "negative": lambda xp, a: -a,
    "abs": lambda xp, a: xp.abs(a),
    "exp": lambda xp, a: xp.exp(xp.minimum(a, 5.0)),
    "expm1": lambda xp, a: xp.expm1(xp.minimum(a, 5.0)),
    "log": lambda xp, a: xp.log(xp.abs(a) + 0.5),
    "log1p": lambda xp, a: xp.log1p(xp.abs(a)),
    "sqrt": lambda xp, a: xp.sqrt(xp.abs(a) + 0.1),
    "norm": lambda xp, a: xp.sqrt(xp.sum(a * a, axis=-1, keepdims=True)),
    "sin": lambda xp, a: xp.sin(a),
    "cos": lambda xp, a: xp.cos(a),
    "tanh": lambda xp, a: xp.tanh(a),
    "atan": lambda xp, a: xp.atan(a),
    "square": lambda xp, a: xp.square(a),
    "cube": lambda xp, a: a**3,
    "power": lambda xp, a: (xp.abs(a) + 0.25) ** 1.5,
    "reciprocal": lambda xp, a: 1 / (a * a + 1.0),
    "relu": lambda xp, a: xp.maximum(a, 0),
    "gate": lambda xp, a: xp.where(a > 0.1, a, 0.2 * a),
    "clip": lambda xp, a: xp.clip(a, -1.0, 1.5),
    "sum": lambda xp, a: xp.sum(a, axis=0, keepdims=True),
    "mean": lambda xp, a: xp.mean(a, axis=-1, keepdims=True),
    "var": lambda xp, a: xp.var(a, axis=-1, keepdims=True),
    "std": lambda xp, a: xp.std(a, axis=-1, keepdims=True, correction=0.5),
    "prod": lambda xp, a: xp.prod(a, axis=0, keepdims=True),
    "max": lambda xp, a: xp.max(a, axis=-1, keepdims=True),
    "centred": lambda xp, a: a - xp.max(a, axis=-1, keepdims=True),
    "cumulative_sum": lambda xp, a: xp.cumulative_sum(a, axis=-1),
    "sort": lambda xp, a: xp.sort(a, axis=-1),
    "flip": lambda xp, a: xp.flip(a, axis=0),
    "roll": lambda xp, a: xp.roll(a, 1, axis=-1),
    "gram": lambda xp, a: xp.matmul(xp.matmul(a, xp.matrix_transpose(a)), a) if a.shape == SHAPE else a,
    "one_hot": lambda xp, a: xp.astype(a > 0, a.dtype) * a,
    "picked": lambda xp, a: xp.take_along_axis(a, xp.expand_dims(xp.argmax(a, axis=-1), axis=-1), axis=-1),
}
BINARY = {
    "add": lambda xp, a, b: a + b,
    "subtract": lambda xp, a, b: a - b,
    "multiply": lambda xp, a, b: a * b,
    "divide": lambda xp, a, b: a / (xp.abs(b) + 0.3),
    "raw quotient": lambda xp, a, b: a / b,
    "maximum": lambda xp, a, b: xp.maximum(a, b),
    "minimum": lambda xp, a, b: xp.minimum(a, b),
    "where": lambda xp, a, b: xp.where(xp.logical_and(a > b, b > -1), a, b),
    "logaddexp": lambda xp, a, b: xp.logaddexp(a, b),
    "hypot": lambda xp, a, b: xp.hypot(a, b),
    "atan2": lambda xp, a, b: xp.atan2(a, b),
    "vecdot": lambda xp, a, b: xp.expand_dims(xp.vecdot(a + 0 * b, b + 0 * a), axis=-1),
}


class Expression:
    """A random program: each line takes earlier lines; the last one is the result."""

    def __init__(self, rng, lines):
        names = [*UNARY, *BINARY]
        self.lines = [
            (names[rng.integers(len(names))], rng.integers(1 << 30), rng.integers(1 << 30)) for _ in range(lines)
        ]

    def __call__(self, xp, *inputs):
        values = list(inputs)
        for name, i, j in self.lines:
            # Recent lines more often than not, so that errors pass through many functions.
            a, b = (values[-1 - int(k % min(len(values), 3))] for k in (i, j))
            values.append(UNARY[name](xp, a) if name in UNARY else BINARY[name](xp, a, b))
        return values[-1]

    def __repr__(self):
        return f"Expression({[line[0] for line in self.lines]})"


def draw_inputs(rng):
    kind = rng.integers(4)
    if kind == 0:
        return [rng.integers(-3, 4, SHAPE).astype(float) for _ in range(2)]
    scale = 10.0 ** rng.uniform(-2, 2) if kind == 1 else 1.0
    arrays = [scale * rng.standard_normal(SHAPE) for _ in range(2)]
    if kind == 2:
        arrays[1] = arrays[0] * (1 + 1e-3 * rng.standard_normal(SHAPE))
    return arrays


def soak(seeds, dtype):
    """Check random expressions; return every ratio of error to bound, and how many elements had no bound."""
    ratios, unbounded, elements = [], 0, 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        expression, inputs = Expression(rng, int(rng.integers(1, 9))), draw_inputs(rng)
        computed, bounded, truth = evaluate(expression, inputs, dtype)
        found = ratio(computed, bounded, truth)
        assert found <= 1, (seed, expression, found)
        unbounded += int(bounded.unbounded.sum())
        elements += bounded.size
        with np.errstate(all="ignore"):
            error = np.abs(computed.astype(np.float64) - truth.astype(np.float64))
            ratios.extend((error / bounded.worst)[np.isfinite(bounded.worst) & (bounded.worst > 0)].tolist())
    return np.array(ratios), unbounded, elements


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_random_expressions_stay_within_their_bounds(dtype):
    ratios, unbounded, elements = soak(range(300 if dtype == "float32" else 100), dtype)
    assert len(ratios) > 500
    assert unbounded < 0.35 * elements


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_ten_thousand_random_expressions_stay_within_their_bounds(dtype):
    ratios, unbounded, elements = soak(range(10_000, 20_000), dtype)
    quantiles = np.quantile(ratios[ratios > 0], [0.1, 0.5, 0.9, 1.0])
    print(f"\n{dtype}: {len(ratios)} elements, no violation; error/bound at 10, 50, 90, 100 %: {quantiles}; "
          f"{unbounded / elements:.1%} without a bound")  # fmt: skip

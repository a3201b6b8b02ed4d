"""Errors of honest evaluations in NumPy's float16, float32 and float64, against extended precision."""

import importlib.util
import json
import math
import subprocess
import sys

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from multigrad import operations
from multigrad.extra.scatter import scatter_add
from multigrad.namespaces import bounds
from multigrad.namespaces.bounds import ulps
from multigrad.namespaces.bounds.arrays import Choice, Condition
from multigrad.namespaces.bounds.model import FORMATS, Context, gamma, probable_gamma

SHAPE = (3, 4)


def distance(computed, truth):
    with np.errstate(all="ignore"):
        # Subtracted before it is rounded to float64, which is one of the formats under test.
        return np.abs(np.asarray(computed, dtype=np.longdouble) - truth).astype(np.float64)


def ratio(computed, bounded, truth):
    """The largest error over its bound; nothing where there is no bound."""
    error, worst = distance(computed, truth), bounded.worst
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
        bounded_at = np.isfinite(bounded.worst) & (bounded.worst > 0)
        ratios.extend((distance(computed, truth)[bounded_at] / bounded.worst[bounded_at]).tolist())
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
    assert np.median(ratios[ratios > 0]) > 1e-3
    assert unbounded < 0.35 * elements


# Values and shapes


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNARY)))
@settings(max_examples=60)
def test_values_are_numpys(seed, name):
    a = np.random.default_rng(seed).standard_normal(SHAPE)
    found = bounds.analyse(lambda x: UNARY[name](bounds, x), a, context="float64")
    assert np.allclose(found.value, UNARY[name](np, a), rtol=1e-13, atol=1e-14)


@given(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), st.data())
@settings(max_examples=50)
def test_indexing_takes_the_errors_along(shape, data):
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    rng = np.random.default_rng(0)
    parts = rng.random(shape), rng.random(shape), rng.random(shape)
    with bounds.context("float32"):
        found = bounds.Array(*parts)[key]
    assert all(np.array_equal(f, p[key]) for f, p in zip(found.parts(), parts, strict=True))


MOVES = {
    "reshape": lambda xp, a: xp.reshape(a, (-1,)),
    "permute_dims": lambda xp, a: xp.permute_dims(a, (2, 0, 1)),
    "mT": lambda xp, a: a.mT,
    "broadcast_to": lambda xp, a: xp.broadcast_to(a[:, :1], (2, 3, 4)),
    "expand_dims": lambda xp, a: xp.expand_dims(a, axis=1),
    "squeeze": lambda xp, a: xp.squeeze(a[:1], axis=0),
    "moveaxis": lambda xp, a: xp.moveaxis(a, 0, -1),
    "concat": lambda xp, a: xp.concat([a, a[:, :, :2]], axis=-1),
    "stack": lambda xp, a: xp.stack([a, a], axis=-1),
    "take": lambda xp, a: xp.take(a, np.asarray([0, 2, 1, 1]), axis=1),
    "gather": lambda xp, a: a[:, np.asarray([[0, 2], [1, 1]])],
    "tile": lambda xp, a: xp.tile(a, (2, 1, 3)),
    "repeat": lambda xp, a: xp.repeat(a, 3, axis=1),
    "flip": lambda xp, a: xp.flip(a, axis=1),
    "roll": lambda xp, a: xp.roll(a, 2, axis=0),
    "tril": lambda xp, a: xp.tril(a, k=-1),
    "unstack": lambda xp, a: xp.unstack(a, axis=1)[1],
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_elements_moves_their_errors(name):
    rng = np.random.default_rng(0)
    parts = [rng.random((2, 3, 4)) for _ in range(3)]
    with bounds.context("float32"):
        found = MOVES[name](bounds, bounds.Array(*parts))
    assert all(np.array_equal(f, MOVES[name](np, p)) for f, p in zip(found.parts(), parts, strict=True))


PRODUCTS = {
    "matmul": lambda xp, a, b: a @ b,
    "tensordot": lambda xp, a, b: xp.tensordot(a, b, axes=([2], [1])),
    "vecdot": lambda xp, a, b: xp.vecdot(a, xp.matrix_transpose(b), axis=-1),
    "twice": lambda xp, a, b: (a @ b) @ (xp.matrix_transpose(b) @ xp.matrix_transpose(a)),
    "vector": lambda xp, a, b: a @ b[0, :, 0],
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_stay_within_their_bounds(name, dtype):
    rng = np.random.default_rng(1)
    for k in (1, 7, 60):
        inputs = [0.3 * rng.standard_normal((2, 5, k)), 0.3 * rng.standard_normal((2, k, 5))]
        assert ratio(*evaluate(PRODUCTS[name], inputs, dtype)) <= 1


# Layers people write


def softmax(xp, X, G):
    E = xp.exp(X - xp.max(X, axis=-1, keepdims=True))
    P = E / xp.sum(E, axis=-1, keepdims=True)
    return P * (G - xp.sum(P * G, axis=-1, keepdims=True))


def logsumexp(xp, X, G):
    m = xp.max(X, axis=-1, keepdims=True)
    return m + xp.log(xp.sum(xp.exp(X - m), axis=-1, keepdims=True))


def layer_norm(xp, X, G):
    C = X - xp.mean(X, axis=-1, keepdims=True)
    s = xp.sqrt(xp.mean(C * C, axis=-1, keepdims=True) + 1e-5)
    N = C / s
    return (G - xp.mean(G, axis=-1, keepdims=True) - N * xp.mean(G * N, axis=-1, keepdims=True)) / s


def masked_softmax(xp, X, G):
    row, column = np.arange(X.shape[-2])[:, None], np.arange(X.shape[-1])[None, :]
    Z = xp.where(xp.asarray(column <= row), X, -math.inf)
    E = xp.exp(Z - xp.max(Z, axis=-1, keepdims=True))
    return E / xp.sum(E, axis=-1, keepdims=True)


def gelu(xp, X, G):
    t = xp.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3))
    return G * 0.5 * X * (1 + t)


def normalise(xp, X, G):
    n = xp.sqrt(xp.sum(X * X, axis=-1, keepdims=True))
    return (G - X * (xp.sum(G * X, axis=-1, keepdims=True) / (n * n))) / n


LAYERS = [softmax, logsumexp, layer_norm, masked_softmax, gelu, normalise]


@pytest.mark.parametrize("shape", [(3, 5), (40, 64), (32, 1000)])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_stay_within_bounds_that_see_a_small_mistake(layer, shape):
    rng = np.random.default_rng(shape[0])
    inputs = [2 * rng.standard_normal(shape), rng.standard_normal(shape)]
    computed, bounded, truth = evaluate(layer, inputs)
    assert ratio(computed, bounded, truth) < 1
    assert not bounded.unbounded.any()
    scale = float(np.max(np.abs(truth)))
    planted = truth * (1 + 1e-5 * (shape[1] / 64 + 1))
    assert np.max(np.abs(planted - truth) / bounded.probable) > 1
    assert float(np.max(bounded.worst)) < 1e-3 * scale


@pytest.mark.parametrize("size", ["tiny", "example", "digits"])
def test_relu_regression_stays_within_bounds_that_see_an_error_of_1e_5(size):
    op = operations()["relu_regression"]
    shape = op.size(size)
    inputs = [*op.make_inputs(shape, 0), np.array(1.5)]
    computed, bounded, truth = _three(op, inputs)
    for one, bound, true in zip(computed, bounded, truth, strict=True):
        assert ratio(one, bound, true) < 1
        if size != "digits":
            assert np.max(np.abs(1e-5 * true) / bound.worst) > 1
        assert np.max(np.abs(1e-4 * true) / bound.probable) > 1


def _three(op, inputs):
    low = [a.astype(np.float32) for a in inputs]
    truth = op.analytic(np, {})(*(a.astype(np.longdouble) for a in low))
    return op.analytic(np, {})(*low), bounds.analyse(op.analytic(bounds, {}), *low, context="float32"), truth


# Any order of evaluation


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_sums_hold_in_any_order_and_truncated_to_the_format_at_every_step(seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(50) * 10.0 ** rng.uniform(-3, 3, 50)).astype(np.float32)
    bounded = bounds.analyse(bounds.sum, x, context="float32")
    terms = [np.float32(v) for v in rng.permutation(x)]
    while len(terms) > 1:
        i, j = sorted(rng.choice(len(terms), 2, replace=False))
        terms[i] = terms[i] + terms.pop(j)
    with mpmath.workdps(60):
        exact = mpmath.fsum(mpmath.mpf(float(v)) for v in x)
        assert abs(mpmath.mpf(float(terms[0])) - exact) <= mpmath.mpf(float(bounded.worst))


def test_float64_is_bounded_against_the_exact_truth():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(200), rng.standard_normal(200)
    bounded = bounds.analyse(lambda x, y: bounds.exp(bounds.sum(x * y) / 10), a, b, context="float64")
    with mpmath.workdps(60):
        exact = mpmath.exp(
            mpmath.fsum(mpmath.mpf(x) * mpmath.mpf(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)) / 10
        )
        error = abs(mpmath.mpf(float(bounded.value)) - exact)
    assert 0 < error <= mpmath.mpf(float(bounded.worst))


def test_the_probable_bound_grows_with_the_root():
    assert gamma(10_000, 2.0**-24) / probable_gamma(10_000, 2.0**-24, 4.0) == pytest.approx(25, rel=0.01)
    assert gamma(10, 2.0**-24) == probable_gamma(10, 2.0**-24, 4.0)


def test_a_long_sum_in_bfloat16_still_has_a_bound():
    assert np.isfinite(gamma(1000, FORMATS["bfloat16"].unit_roundoff))


def test_tensorfloat_widens_products_only():
    a = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    narrow, wide = (
        bounds.analyse(lambda x: (x @ x, x * x), a, context="float32", **s) for s in ({}, {"product_u": 2.0**-11})
    )
    assert np.all(wide[0].worst > 50 * narrow[0].worst)
    assert np.array_equal(wide[1].worst, narrow[1].worst)
    cut = (a.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    assert np.all(np.abs(cut @ cut - a.astype(float) @ a.astype(float)) <= 2 * wide[0].worst)


# Exactness, conditions, infinities


def test_small_integers_have_no_error_and_decide_the_kink():
    rng = np.random.default_rng(0)
    X, W, Y = (rng.integers(-3, 4, s).astype(float) for s in ((20, 30), (30, 10), (20, 10)))
    op = operations()["relu_regression"]
    outputs = bounds.analyse(op.analytic(bounds, {}), X, W, Y, np.array(3.0), context="float32")
    assert all(np.all(o.worst == 0) for o in outputs)
    narrow = bounds.analyse(op.analytic(bounds, {}), X, W, Y, np.array(3.0), context="float16")
    assert any(np.any(o.worst > 0) for o in narrow)


def test_a_scalar_that_the_format_lacks_enters_with_half_an_ulp():
    with bounds.context("float32"):
        assert bounds.asarray(0.1).worst == pytest.approx(0.1 * 2.0**-24)
        assert bounds.asarray(0.5).worst == 0
        assert bounds.asarray(2.0**24 + 1).worst > 0


def test_an_undecided_condition_takes_the_hull():
    with bounds.context("float32"):
        x = bounds.Array(np.array([1e-9, 1.0]), np.full(2, 1e-8), np.full(2, 1e-10))
        question = x > 0
        assert isinstance(question, Condition)
        assert question.undecided.tolist() == [True, False]
        assert question.doubtful.tolist() == [False, False]
        chosen = bounds.where(question, 5.0, 2.0)
        assert chosen.worst.tolist() == [3.0, 0.0]
        assert chosen.probable.tolist() == [0.0, 0.0]
        number = bounds.astype(question, x.dtype)
        assert number.worst.tolist() == [1.0, 0.0]
        assert (question & (bounds.asarray([0.0, 1.0]) > 2)).undecided.tolist() == [False, False]
        assert (question | (bounds.asarray([3.0, 1.0]) > 2)).undecided.tolist() == [False, False]
        assert (~question).undecided.tolist() == [True, False]
        assert bounds.sum(question).worst == pytest.approx(1)
        assert bounds.any(question[:1]).undecided
        assert (question[None, :] * x).shape == (1, 2)


def test_an_undecided_argmax_may_pick_any_element():
    with bounds.context("float32"):
        x = bounds.Array(np.array([[1.0, 1.0 + 1e-9], [1.0, 2.0]]), np.full((2, 2), 1e-8), np.full((2, 2), 1e-8))
        where = bounds.argmax(x, axis=-1)
        assert isinstance(where, Choice)
        assert where.undecided.tolist() == [True, False]
        y = bounds.asarray(np.array([[3.0, 7.0], [3.0, 7.0]]))
        picked = bounds.take_along_axis(y, where[:, None], axis=-1)
        assert picked.worst.tolist() == [[4.0], [0.0]]
        assert (where[:, None] == np.arange(2)[None, :]).undecided.tolist() == [[True, True], [False, False]]
        assert bounds.take(bounds.asarray(np.array([3.0, 7.0])), where).worst.tolist() == [4.0, 0.0]
        assert bounds.argsort(x, axis=-1).undecided.tolist() == [[True, True], [False, False]]
        place = bounds.searchsorted(x[1, :], bounds.asarray(np.array([1.0, 1.5, 2.0])))
        assert place.value.tolist() == [0, 1, 1]
        assert place.undecided.tolist() == [True, False, True]
        whole = bounds.searchsorted(np.array([1, 3, 5]), np.array([0, 3, 6]), side="right")
        assert whole.tolist() == [0, 2, 3]


@pytest.mark.parametrize("descending", [False, True])
def test_an_entry_whose_error_is_large_may_stand_among_many(descending):
    value, worst = np.array([0.0, 1.0, 2.0, 3.0, 9.0]), np.array([0.0, np.inf, 0.0, 0.0, 0.0])
    unsure = bounds.argsort(bounds.Array(value, worst, worst), descending=descending).undecided
    assert unsure.all()
    near = np.array([0.0, 0.7, 0.0, 0.0, 0.0])
    unsure = bounds.argsort(bounds.Array(value, near, near), descending=descending).undecided
    # From −0.4 to 2.4: it may change places with 0 and with 2.
    assert unsure.tolist() == ([True, True, True, False, False] if not descending else [False, False, True, True, True])
    ties = bounds.argsort(bounds.Array(np.array([1.0, 1.0, 2.0]), np.zeros(3), np.zeros(3)), descending=descending)
    assert not ties.undecided.any()


def test_a_sum_may_begin_with_what_is_added_to_a_matrix_product():
    # Every product is half the rounding unit of 1: whoever begins with 1, as BLAS's gemm may, loses them all.
    x, w, c = np.full((1, 64), 2.0**-12), np.full((64, 1), 2.0**-13), np.full((1, 1), 1.0)
    begun = np.float32(1)
    for product in (x.ravel() * w.ravel()).astype(np.float32):
        begun += product
    lost = 1 + 64 * 2.0**-25 - float(begun)
    assert lost == 2.0**-19
    with bounds.context("float32"):
        X, W, C = map(bounds.asarray, (x, w, c))
        assert (C + (X + bounds.matrix_transpose(W))).worst.max() < lost
        for found in (C + X @ W, X @ W + C, C - X @ W, bounds.matrix_transpose(X @ W) + C):
            assert lost < found.worst.item() < 8 * lost


def test_ties_of_exact_numbers_are_decided():
    with bounds.context("float32"):
        assert not bounds.argmax(bounds.asarray([2.0, 2.0])).undecided
        assert not (bounds.asarray([0.5]) > 0.5).undecided.any()


def test_overflow_and_division_by_zero_have_no_bound():
    with bounds.context("float16"):
        assert (bounds.asarray([300.0]) * 300.0).unbounded.all()
        x = bounds.asarray([0.1]) - 0.1
        assert (1 / x).unbounded.all()
        assert bounds.log(x).unbounded.all()
        assert not bounds.sqrt(x * x).unbounded.any()


def test_subnormal_results_may_be_flushed():
    with bounds.context("float32"):
        assert (bounds.asarray(np.float32(1e-30)) * 1e-10).worst >= 1e-40
        assert bounds.asarray(np.float32(1e-40)).worst >= 9.9e-41


def test_a_root_of_what_cannot_be_negative_has_a_bound_at_zero():
    with bounds.context("float32"):
        x = bounds.Array(np.zeros(3), np.full(3, 1e-6), np.full(3, 1e-6))
        assert not bounds.linalg.vector_norm(x).unbounded
        assert bounds.sqrt(x).unbounded.all()


def test_nobody_gets_a_value():
    with bounds.context("float32"):
        x = bounds.asarray([1.0])
    for question in (bool, float, np.asarray):
        with pytest.raises(TypeError):
            question(x)


def test_a_missing_function_is_named():
    with pytest.raises(AttributeError, match=r"`xp\.fft` \(test_bounds\.py, line \d+\) is not known to the err"):
        _ = bounds.fft
    with pytest.raises(AttributeError, match=r"`xp\.linalg\.expm` .* is not known"):
        _ = bounds.linalg.expm


def test_without_a_context_one_is_asked_for():
    with pytest.raises(RuntimeError, match=r"with bounds\.context"):
        bounds.asarray(1.0)
    with pytest.raises(ValueError, match="float8"):
        Context.of("float8")


# Linear algebra


def spd(A):
    return A @ np.swapaxes(A, -1, -2) + 0.5 * np.eye(A.shape[-1], dtype=A.dtype)


def gauge_free(xp, A):
    values, Q = xp.linalg.eigh(A)
    return (Q * (1 / (1 + values * values))[..., None, :]) @ xp.matrix_transpose(Q)


FACTORED = {
    "solve": lambda xp, A, b: xp.linalg.solve(A, b[..., None])[..., 0],
    "inv": lambda xp, A, b: xp.linalg.inv(A),
    "det": lambda xp, A, b: xp.linalg.det(A),
    "slogdet": lambda xp, A, b: xp.linalg.slogdet(A)[1],
    "cholesky": lambda xp, A, b: xp.linalg.cholesky(A),
    "eigvalsh": lambda xp, A, b: xp.linalg.eigvalsh(A),
    "eigh": lambda xp, A, b: gauge_free(xp, A),
    "svdvals": lambda xp, A, b: xp.linalg.svdvals(A),
    "qr": lambda xp, A, b: xp.linalg.qr(A)[1],
    "pinv": lambda xp, A, b: xp.linalg.pinv(A),
    "power": lambda xp, A, b: xp.linalg.matrix_power(A, 3),
    "trace": lambda xp, A, b: xp.linalg.trace(A @ A),
    "norm": lambda xp, A, b: xp.linalg.matrix_norm(A) + xp.linalg.vector_norm(b, axis=-1),
    "chained": lambda xp, A, b: xp.linalg.inv(A @ xp.matrix_transpose(A)) @ A,
}


@pytest.mark.parametrize("n", [1, 4, 30])
@pytest.mark.parametrize("name", FACTORED)
def test_linear_algebra_stays_within_bounds_that_are_not_absurd(name, n):
    rng = np.random.default_rng(n)
    A = spd(rng.standard_normal((3, n, n)) / math.sqrt(n)).astype(np.float32)
    A = (A + np.swapaxes(A, -1, -2)) / 2
    b = rng.standard_normal((3, n)).astype(np.float32)
    computed = FACTORED[name](np, A, b)
    truth = FACTORED[name](np, A.astype(float), b.astype(float))
    bounded = bounds.analyse(lambda *a: FACTORED[name](bounds, *a), A, b, context="float32")
    assert not bounded.unbounded.any()
    assert ratio(computed, bounded, truth) < 1
    assert np.median(bounded.probable) < 0.05 * np.max(np.abs(truth))


def test_a_singular_matrix_has_a_determinant_with_a_bound_and_no_inverse():
    A = np.array([[1.0, 2.0], [2.0, 4.0]])
    determinant = bounds.analyse(bounds.linalg.det, A, context="float32")
    assert abs(float(determinant.value)) <= float(determinant.worst) < 1e-4
    assert bounds.analyse(bounds.linalg.inv, A, context="float32").unbounded.all()


# Another framework, in a process of its own

TORCH = """
import json, sys
import numpy as np, torch
import array_api_compat.torch as xp
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
import test_bounds as t
out = []
for dtype in ("float32", "bfloat16", "float16"):
    for layer in t.LAYERS:
        for seed in range(5):
            rng = np.random.default_rng(seed)
            kind = getattr(torch, dtype)
            low = [torch.from_numpy(rng.standard_normal((16, 24))).to(kind) for _ in range(2)]
            got = layer(xp, *low).double().numpy()
            inputs = [a.double().numpy() for a in low]
            truth = layer(np, *inputs)
            bounded = t.bounds.analyse(lambda *a: layer(t.bounds, *a), *inputs, context=dtype)
            out.append((dtype, layer.__name__, float(t.ratio(got, bounded, truth))))
print(json.dumps(out))
"""


@pytest.mark.long
def test_torch_stays_within_the_bounds_in_every_dtype(request):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    command = [sys.executable, "-c", TORCH, str(request.path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    ratios = json.loads(done.stdout)
    assert len(ratios) == 3 * len(LAYERS) * 5
    assert all(r <= 1 for _, _, r in ratios), [r for r in ratios if r[2] > 1]


def test_a_number_that_the_format_lacks_keeps_its_error_when_it_is_chosen():
    with bounds.context("float32"):
        zero = bounds.zeros((2,))
        chosen = [bounds.maximum(zero, 0.1), bounds.where(np.array([False, False]), zero, bounds.asarray(0.1))]
        assert [(c.worst > 0).all() for c in chosen] == [True, True]


def test_a_row_whose_number_is_undecided_may_be_part_of_any_sum() -> None:
    with bounds.context("float64"):
        near = bounds.asarray(np.array([[0.1, 0.1 + 1e-18, 0.5], [0.9, 0.2, 0.4]])) * 3.0
        parts = bounds.concat([bounds.argmin(near[:1, :], axis=1), bounds.argmin(near[1:, :], axis=1)], axis=0)
        sums = scatter_add(bounds, bounds.asarray(np.array([[2.0], [5.0]])), parts, 3)
    assert np.array_equal(sums.value, [[2.0], [5.0], [0.0]])
    assert (sums.worst >= 2.0).all()
    assert (sums.worst < 3.0).all()


def test_log1p_in_float64_allows_for_what_xla_does_near_its_polynomial_end():
    x = np.array([-0.41421021129001595])
    for dtype, least, most in (("float64", 129, 400), ("float32", 4, 12)):
        with bounds.context(dtype):
            y = bounds.log1p(bounds.asarray(FORMATS[dtype].round(x)))
        ulps = y.worst / FORMATS[dtype].spacing(y.value)
        assert least <= ulps[0] <= most


def test_an_exponential_far_below_zero_is_zero_however_far_off_its_argument_is():
    masked = bounds.analyse(lambda x: bounds.exp(x / 3), np.array([-1e38, -1.0]), context="float32")
    assert masked.value[0] == 0
    assert masked.worst[0] <= 2.0**-125
    assert 0 < masked.worst[1] < 1e-6


def test_a_whole_number_that_is_certain_is_added_to_without_error():
    def neighbour(x):
        return bounds.floor(x / 3) + 1

    assert not bounds.analyse(neighbour, np.array([1.0, 4.0, -2.0]), context="float32").worst.any()
    assert bounds.analyse(neighbour, np.array([3.0 * (1 + 1e-9)]), context="float32").worst > 0.5


@pytest.mark.parametrize("name", ulps.CUDA_ULPS)
@pytest.mark.parametrize(("dtype", "place"), [("float32", 0), ("float64", 1)])
def test_no_function_is_taken_for_more_exact_than_cuda_documents(name, dtype, place):
    assert hasattr(bounds, name)
    documented = ulps.CUDA_ULPS[name][place] + ulps.NEAREST
    special = name in ("erf", "erfc", "erfinv", "lgamma", "gamma")
    assumed = ulps.SPECIAL_ULPS if special else bounds.Context.of(dtype).ulps(name)
    assert assumed >= documented


def test_every_function_whose_error_is_assumed_stands_beside_what_cuda_documents():
    assumed = {name for table in ulps.ELEMENTARY_ULPS.values() for name in table}
    assert assumed - {"logaddexp"} <= set(ulps.CUDA_ULPS)  # which is made of exp and log1p

from __future__ import annotations

import itertools
import math

import array_api_extra as xpx
import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multigrad.namespaces import exact
from multigrad.namespaces.exact import NotRational, Undecided

ELEMENTARY = {
    "exp": ((-20, 20), mpmath.exp),
    "expm1": ((-20, 20), mpmath.expm1),
    "log": ((1e-6, 1e6), mpmath.log),
    "log1p": ((-0.99, 1e6), lambda x: mpmath.log(1 + x)),
    "log2": ((1e-6, 1e6), lambda x: mpmath.log(x, 2)),
    "log10": ((1e-6, 1e6), mpmath.log10),
    "sqrt": ((0, 1e6), mpmath.sqrt),
    "sin": ((-100, 100), mpmath.sin),
    "cos": ((-100, 100), mpmath.cos),
    "tan": ((-1.5, 1.5), mpmath.tan),
    "asin": ((-1, 1), mpmath.asin),
    "acos": ((-1, 1), mpmath.acos),
    "atan": ((-100, 100), mpmath.atan),
    "sinh": ((-20, 20), mpmath.sinh),
    "cosh": ((-20, 20), mpmath.cosh),
    "tanh": ((-20, 20), mpmath.tanh),
    "asinh": ((-100, 100), mpmath.asinh),
    "acosh": ((1, 100), mpmath.acosh),
    "atanh": ((-0.99, 0.99), mpmath.atanh),
    "square": ((-100, 100), lambda x: x * x),
    "reciprocal": ((0.01, 100), lambda x: 1 / x),
}

small = st.integers(-8, 8).map(float)
matrices = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(-10, 10, width=32))
fast = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True)
def _precise():
    with exact.precision(200):
        yield


def near(x, expected, ulps=64):
    """Every ball lies within so many float64 ulps of what NumPy computes, and is narrower than one."""
    assert x.shape == np.shape(expected)
    for ball, float64 in zip(x.elements.flat, np.ravel(expected), strict=True):
        assert abs(ball - float(float64)).upper() <= ulps * 2.0**-52 * max(1.0, abs(float(float64)))
        assert ball.rad() <= 2.0**-150 * max(1.0, abs(float(float64)))


def zero(x):
    """Every ball holds 0 and is narrow."""
    return all(ball.contains(0) and ball.rad() <= 1e-40 for ball in x.elements.flat)


@pytest.mark.parametrize("name", ELEMENTARY)
@given(data=st.data())
@fast
def test_an_elementary_function_encloses_the_truth(name, data):
    (low, high), function = ELEMENTARY[name]
    x = data.draw(st.floats(low, high))
    with exact.precision(200), mpmath.workdps(450):
        ball = getattr(exact, name)(exact.asarray(x)).elements[()]
        truth = arb(mpmath.nstr(function(mpmath.mpf(x)), 85))
        assert ball.overlaps(truth)
        assert ball.rad() <= 1e-50 * max(abs(float(truth.mid())), 1e-12)


def test_a_float_enters_as_the_rational_number_that_it_is():
    ball = exact.asarray(0.1).elements[()]
    assert ball.is_exact()
    assert ball.fmpq() == arb(0.1).fmpq()
    assert (exact.asarray(0.1) * 3).elements[()] != arb("0.3")


STRUCTURE = {
    "reshape": lambda xp, x: xp.reshape(x, (-1,)),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (1, 0)),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "flip": lambda xp, x: xp.flip(x, axis=0),
    "roll": lambda xp, x: xp.roll(x, 1, axis=1),
    "tile": lambda xp, x: xp.tile(x, (2, 1)),
    "repeat": lambda xp, x: xp.repeat(x, 2, axis=1),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, 1),
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 0]), axis=0),
    "concat": lambda xp, x: xp.concat([x, x], axis=1),
    "stack": lambda xp, x: xp.stack([x, x], axis=-1),
    "unstack": lambda xp, x: xp.unstack(x, axis=0)[0],
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, *x.shape)),
    "tril": lambda xp, x: xp.tril(x),
    "triu": lambda xp, x: xp.triu(x, k=1),
    "where": lambda xp, x: xp.where(x > 0.5, x, 0.0),
    "index": lambda xp, x: x[..., ::-1, None],
    "fancy": lambda xp, x: x[xp.asarray([0, 0]), :],
    "sum": lambda xp, x: xp.sum(x, axis=-1, keepdims=True),
    "total": lambda xp, x: xp.sum(x),
    "mean": lambda xp, x: xp.mean(x, axis=0),
    "var": lambda xp, x: xp.var(x, axis=-1),
    "std": lambda xp, x: xp.std(x + 0.0 * x, axis=(0, 1)) ** 2,
    "prod": lambda xp, x: xp.prod(x, axis=0),
    "max": lambda xp, x: xp.max(x, axis=-1),
    "min": lambda xp, x: xp.min(x, axis=(0, 1), keepdims=True),
    "argmax": lambda xp, x: 1.0 * xp.argmax(x, axis=0),
    "argmin": lambda xp, x: 1.0 * xp.argmin(x),
    "sort": lambda xp, x: xp.sort(x, axis=0),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1),
    "cumulative_sum with the initial zero": lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=0),
    "diff": lambda xp, x: xp.diff(x, axis=0),
    "clip": lambda xp, x: xp.clip(x, -1.0, 1.5),
    "sign": lambda xp, x: xp.sign(x),
    "abs": lambda xp, x: abs(x),
    "floor": lambda xp, x: xp.floor(x / 2),
    "ceil": lambda xp, x: xp.ceil(x / 2),
    "trunc": lambda xp, x: xp.trunc(x / 2),
    "round": lambda xp, x: xp.round(x / 2),
    "remainder": lambda xp, x: x % 3.0,
    "floor_divide": lambda xp, x: x // 3.0,
    "hypot": lambda xp, x: xp.hypot(x, 2 * x),
    "atan2": lambda xp, x: xp.atan2(x * x + 1, x),
    "logaddexp": lambda xp, x: xp.logaddexp(x, -x),
    "copysign": lambda xp, x: xp.copysign(x * 2, x * x - 3),
    "pow": lambda xp, x: x**3 + (x * x + 1) ** -2 + 2.0**x + (x * x + 1) ** 0.5,
    "reflected": lambda xp, x: 1 - x + 2 * x - 3 / (x * x + 1),
    "gram": lambda xp, x: x @ xp.matrix_transpose(x),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=((0, 1), (0, 1))),
    "vecdot": lambda xp, x: xp.vecdot(x, 2 * x, axis=-1),
    "count_nonzero": lambda xp, x: 1.0 * xp.count_nonzero(x, axis=0),
    "any": lambda xp, x: 1.0 * xp.any(x > 1, axis=0),
    "searchsorted": lambda xp, x: 1.0 * xp.searchsorted(xp.sort(x[0, :]), x[0, :]),
    "meshgrid": lambda xp, x: xp.meshgrid(x[0, :], x[:, 0], indexing="ij")[1],
    "vector_norm": lambda xp, x: xp.linalg.vector_norm(x, axis=-1),
    "matrix_norm": lambda xp, x: xp.linalg.matrix_norm(x, ord=1),
    "outer": lambda xp, x: xp.linalg.outer(x[0, :], x[:, 0]),
    "trace": lambda xp, x: xp.linalg.trace(x),
    "diagonal": lambda xp, x: xp.linalg.diagonal(x, offset=1),
    "linspace": lambda xp, x: xp.linspace(0.0, 1.0, 5) + 0 * x[0, 0],
    "arange": lambda xp, x: xp.arange(0.0, 2.0, 0.25) + 0 * x[0, 0],
    "eye": lambda xp, x: xp.eye(3, k=1) + 0 * x[0, 0],
}


@pytest.mark.parametrize("name", STRUCTURE)
@given(x=arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=small))
@settings(max_examples=8, deadline=None)
def test_a_function_agrees_with_numpy(name, x):
    with exact.precision(200), np.errstate(all="ignore"):
        near(STRUCTURE[name](exact, exact.asarray(x)), np.asarray(STRUCTURE[name](np, x), dtype=float))


@given(a=matrices, data=st.data())
@fast
def test_a_batched_product_is_numpys(a, data):
    b = data.draw(arrays(np.float64, (3, a.shape[1], 2), elements=small))
    with exact.precision(200):
        near(exact.asarray(a) @ exact.asarray(b), a @ b, 2**12)
        near(exact.asarray(b).mT @ exact.asarray(a.T), np.matrix_transpose(b) @ a.T, 2**12)
        near(exact.asarray(b).mT @ exact.asarray(b), np.matrix_transpose(b) @ b, 2**12)
        near(exact.asarray(a) @ exact.asarray(b[0, :, 0]), a @ b[0, :, 0], 2**12)


def test_products_with_an_empty_axis_are_zero():
    near(exact.zeros((2, 0)) @ exact.zeros((0, 3)), np.zeros((2, 3)))
    near(exact.sum(exact.zeros((0, 3)), axis=0), np.zeros(3))


@given(seed=st.integers(0, 2**16), n=st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_linear_algebra_satisfies_its_equations(seed, n):
    A = np.random.default_rng(seed).standard_normal((2, n, n))
    S = A @ np.matrix_transpose(A) + np.eye(n)
    with exact.precision(200):
        x, s, la, identity = exact.asarray(A), exact.asarray(S), exact.linalg, exact.eye(n)
        with exact.rationals():
            fractions = la.det(exact.asarray(A)).elements
        assert zero(la.det(x) - exact.ExactArray(np.vectorize(arb, otypes=[object])(fractions)))
        assert zero(la.inv(s) @ s - identity)
        assert zero(s @ la.solve(s, x) - x)
        L = la.cholesky(s)
        assert zero(L @ L.mT - s)
        assert zero(exact.sum(la.eigvalsh(s), axis=-1) - la.trace(s))
        assert zero(exact.prod(la.eigvalsh(s), axis=-1) - la.det(s))
        assert zero(exact.sum(exact.square(la.svdvals(x)), axis=-1) - exact.sum(x * x, axis=(1, 2)))
        sign, logarithm = la.slogdet(x)
        assert zero(sign * exact.exp(logarithm) - la.det(x))
        assert zero(la.matrix_power(s, -2) @ s @ s - identity)
        near(la.eigvalsh(s), np.linalg.eigvalsh(S), 2**12)
        near(la.svdvals(x), np.linalg.svdvals(A), 2**12)


@given(seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_factors_multiply_to_the_matrix_they_came_from(seed):
    A = np.random.default_rng(seed).standard_normal((5, 3))
    with exact.precision(200):
        x = exact.asarray(A)
        Q, R = exact.linalg.qr(x)
        U, s, Vt = exact.linalg.svd(x, full_matrices=False)
        values, V = exact.linalg.eigh(x.mT @ x)
        for product in (Q @ R - x, (U * s[None, :]) @ Vt - x):
            assert all(ball.contains(0) for ball in product.elements.flat)
        for identity in (Q.mT @ Q, U.mT @ U, Vt @ Vt.mT, V.mT @ V, exact.linalg.pinv(x) @ x):
            assert all(ball.contains(0) for ball in (identity - exact.eye(3)).elements.flat)
        assert all(ball.contains(0) for ball in ((V * values[None, :]) @ V.mT - x.mT @ x).elements.flat)
        assert exact.relative_widths(U).max() < 1e-30


def test_faddeev_leverrier_finds_the_determinant_that_arb_finds():
    from multigrad.namespaces.shared import linear_algebra

    A = exact.asarray(np.random.default_rng(0).standard_normal((4, 4)))
    assert linear_algebra.det(exact, A).elements[()].overlaps(exact.linalg.det(A).elements[()])


def test_integers_stay_integers_and_never_round():
    labels = exact.asarray(np.array([2, 0, 1]))
    assert isinstance(labels, np.ndarray)
    assert (exact.arange(3) / 3).elements[1].overlaps(arb(1) / 3)
    assert isinstance(labels * 0.1, exact.ExactArray)
    assert isinstance(0.1 * labels, exact.ExactArray)
    assert exact.astype(labels, exact.float64).dtype == exact.float64
    near(exact.asarray(np.eye(3))[labels], np.eye(3)[[2, 0, 1]])
    near(exact.take_along_axis(exact.asarray(np.eye(3)), labels[:, None], axis=-1)[:, 0], [0.0, 0.0, 0.0])


def test_a_numpy_array_on_the_left_leaves_the_operation_to_the_balls():
    x = exact.asarray([1.0, 2.0])
    for result in (np.array([1.0, 2.0]) * x, np.float64(2) * x, np.array([True, False]) * x, np.eye(2) @ x):
        assert isinstance(result, exact.ExactArray)


def test_an_undecided_comparison_raises():
    third = exact.asarray(1.0) / 3
    with pytest.raises(Undecided, match="greater is undecided for 1 of 1"):
        _ = third * 3 - 1 > 0
    for function in (exact.sign, exact.floor):
        with pytest.raises(Undecided):
            function(third * 3 - 1)
    with pytest.raises(Undecided):
        exact.argmax(exact.stack([third * 3, exact.asarray(1.0)]))
    with pytest.raises(Undecided):
        exact.linalg.inv(exact.stack([exact.stack([third * 3, third]), exact.stack([exact.asarray(3.0), third * 3])]))


ONE_ARGUMENT = {
    **{name: lambda x, f=exact.FUNCTIONS[name]: f(x) for name in exact.ELEMENTARY},
    **{f"x**{n}": lambda x, n=n: x**n for n in (2, 3, 4, 7, -1, -2, 0.5, 1.5, -0.5)},
    "x**array(2)": lambda x: x ** exact.asarray(np.array(2.0)),
    "1/x": lambda x: 1 / x,
    "abs": exact.abs,
    "hypot(x, x)": lambda x: exact.hypot(x, x),
    "hypot(x, 1)": lambda x: exact.hypot(x, 1),
    "atan2(x, x)": lambda x: exact.atan2(x, x),
    "norm": lambda x: exact.linalg.vector_norm(exact.stack([x, -x])),
    "norm 3": lambda x: exact.linalg.vector_norm(exact.stack([x, -x]), ord=3),
}


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_a_ball_over_the_edge_of_a_domain_encloses_the_values_inside(name):
    def at(ball):
        return ONE_ARGUMENT[name](exact.ExactArray(np.asarray(ball, dtype=object))).elements[()]

    for middle, radius in itertools.product((0, 1, -1, 2, math.pi / 2), (1e-30, 1e-3, 1.5)):
        enclosure = at(arb(middle, radius))
        within = [at(arb(middle) + arb(radius) * i / 5) for i in (-5, -3, -1, 0, 2, 4, 5)]
        for value in (v for v in within if v.is_finite()):
            assert enclosure.overlaps(value), (middle, radius, value, enclosure)
        if not enclosure.is_nan():
            continue
        assert all(v.is_nan() for v in within), (middle, radius)


def test_a_ball_that_may_be_infinite_is_not_called_finite():
    anything = 1 / exact.ExactArray(np.asarray(arb(0, 1e-30), dtype=object))
    for question in (exact.isfinite, exact.isinf):
        with pytest.raises(Undecided):
            question(anything)
    assert not exact.isnan(anything)
    assert exact.isinf(exact.asarray(math.inf))
    assert not exact.isfinite(exact.floor(exact.asarray(math.inf)))


def test_a_number_with_a_radius_beside_infinity_is_infinite():
    masked = exact.asarray(np.array(1.0)) / 3 + exact.asarray(-math.inf)
    assert exact.isinf(masked)
    assert exact.midpoints(exact.exp(masked)) == 0


def test_exact_values_and_a_ball_with_itself_are_decided():
    assert not bool(exact.asarray(0.0) > 0)
    assert bool(exact.asarray(0.5) == 0.5)
    third = exact.asarray(1.0) / 3
    assert bool(third == third)
    assert bool(third >= exact.max(exact.stack([third, exact.asarray(0.0)])))


def test_no_array_is_ever_a_condition():
    with pytest.raises(TypeError, match=r"xp\.where"):
        bool(exact.asarray(1.0))
    with pytest.raises(TypeError):
        float(exact.asarray(1.0))


def test_writing_an_entry_changes_no_other_array():
    x = exact.zeros(3)
    y = exact.reshape(x, (3, 1))
    x[0] = 1.0
    near(x, [1.0, 0.0, 0.0])
    near(y, np.zeros((3, 1)))


def test_array_api_extra_works_on_it():
    near(xpx.create_diagonal(exact.asarray([1.0, 2.0])), np.diag([1.0, 2.0]))
    near(xpx.pad(exact.ones((1, 1)), 1), np.pad(np.ones((1, 1)), 1))
    near(xpx.one_hot(exact.asarray([1, 0]), 2, xp=exact), [[0.0, 1.0], [1.0, 0.0]])
    near(xpx.kron(exact.asarray([[1.0, 2.0]]), exact.asarray([[3.0], [4.0]])), np.kron([[1.0, 2.0]], [[3.0], [4.0]]))


def test_what_is_missing_is_named():
    with pytest.raises(AttributeError, match=r"`xp\.fft` \(test_exact\.py, line \d+\) is not known to the proof"):
        _ = exact.fft
    with pytest.raises(AttributeError, match=r"`xp\.linalg\.lstsq` .* is not known to the proof"):
        _ = exact.linalg.lstsq


def test_infinities_are_exact():
    x = exact.where(exact.asarray(np.array([True, False])), -exact.inf, exact.asarray([1.0, 2.0]))
    near(exact.exp(x), [0.0, math.exp(2)])
    assert exact.isinf(x).tolist() == [True, False]
    assert exact.isnan(exact.log(exact.asarray(-1.0)))


def test_evaluate_doubles_the_precision_until_the_result_is_narrow():
    def cancelling(x):
        return (exact.exp(x) + 1e300) - 1e300 - exact.exp(x) + 1e-300

    found = exact.evaluate(cancelling, np.float64(1.0))
    assert found.bits > 1000
    assert found.width <= 1e-40
    assert exact.midpoints(found.outputs[0]) == 1e-300
    assert exact.evaluate(exact.exp, np.float64(1.0)).bits == 200


def test_evaluate_says_that_an_input_lies_on_a_kink():
    with pytest.raises(Undecided, match="remained at 800 bits: an input lies on a kink"):
        exact.evaluate(lambda x: exact.sqrt(x) * exact.sqrt(x) > 2, np.float64(2.0), most_bits=800)


def test_an_entry_that_is_zero_in_truth_is_narrow_beside_larger_ones():
    def centred(x):
        y = exact.exp(x)
        return exact.stack([y - exact.exp(x), y])

    found = exact.evaluate(centred, np.float64(1.0))
    assert found.bits <= 400


def test_the_precision_is_given_back():
    import flint

    before = flint.ctx.prec
    with pytest.raises(ZeroDivisionError), exact.precision(999):
        _ = flint.ctx.prec / 0
    assert flint.ctx.prec == before


def test_the_degree_of_a_rational_function_is_tracked():
    x = exact.variable(np.ones((3, 3)))
    assert x.degree == (1, 0)
    assert (x @ x + 1).degree == (2, 0)
    assert (x / (x * x)).degree == (1, 2)
    assert exact.linalg.det(x).degree == (3, 0)
    assert exact.linalg.inv(x + exact.eye(3)).degree == (2, 3)
    assert exact.exp(x).degree is None
    assert exact.sum(1 / x, axis=0).degree == (2, 3)


def test_fractions_refuse_what_is_not_rational():
    with exact.rationals():
        x = exact.variable(np.array([1.0, 0.5]))
        assert (x / 3).elements[1] == arb(1).fmpq() / 6
        for function in (exact.exp, exact.sqrt, exact.abs, lambda v: v > 0):
            with pytest.raises(NotRational):
                function(x)
        with pytest.raises(NotRational):
            exact.asarray(math.nan)
        with pytest.raises(ZeroDivisionError):
            _ = x / 0


def test_eigenvalues_closer_than_a_float_can_tell_are_in_order():
    gap = exact.asarray(2.0) ** -100
    matrix = exact.tril(exact.eye(2)) * exact.stack([1 + gap, exact.asarray(1.0)])
    for values in (exact.linalg.eigvalsh(matrix), exact.linalg.eigh(matrix)[0]):
        assert bool(values[0] < values[1])


@pytest.mark.parametrize(("name", "of_two"), [("max", "maximum"), ("min", "minimum")])
def test_the_extremum_of_balls_that_overlap_needs_no_decision(name, of_two):
    x = np.array([[2.0, 1.0, 2.0], [0.0, -1.0, -3.0]])

    def function(a):
        third = a / 3  # no dyadic fraction: the balls of equal entries overlap
        return getattr(exact, name)(third, axis=1), getattr(exact, of_two)(third[:, 0], third[:, 2])

    along, both = exact.evaluate(function, x).outputs
    np.testing.assert_allclose(exact.midpoints(along), getattr(np, name)(x / 3, axis=1), rtol=1e-15)
    np.testing.assert_allclose(exact.midpoints(both), getattr(np, of_two)(x[:, 0] / 3, x[:, 2] / 3), rtol=1e-15)
    with pytest.raises(exact.Undecided):
        exact.evaluate(lambda a: getattr(exact, f"arg{name}")(a / 3, axis=1), x[:1] if name == "max" else -x[:1])

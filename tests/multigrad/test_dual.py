from __future__ import annotations

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from multigrad import operation, operations
from multigrad.namespaces import dual, exact
from multigrad.namespaces.exact import Kink, Undecided

RANGES = {
    "negative": ((-10, 10), lambda x: -x),
    "square": ((-10, 10), lambda x: x * x),
    "reciprocal": ((0.5, 10), lambda x: 1 / x),
    "exp": ((-5, 5), mpmath.exp),
    "expm1": ((-5, 5), mpmath.expm1),
    "log": ((0.1, 10), mpmath.log),
    "log1p": ((-0.5, 10), lambda x: mpmath.log(1 + x)),
    "log2": ((0.1, 10), lambda x: mpmath.log(x, 2)),
    "log10": ((0.1, 10), mpmath.log10),
    "sqrt": ((0.1, 10), mpmath.sqrt),
    "sin": ((-5, 5), mpmath.sin),
    "cos": ((-5, 5), mpmath.cos),
    "tan": ((-1, 1), mpmath.tan),
    "asin": ((-0.9, 0.9), mpmath.asin),
    "acos": ((-0.9, 0.9), mpmath.acos),
    "atan": ((-5, 5), mpmath.atan),
    "sinh": ((-5, 5), mpmath.sinh),
    "cosh": ((-5, 5), mpmath.cosh),
    "tanh": ((-3, 3), mpmath.tanh),
    "asinh": ((-5, 5), mpmath.asinh),
    "acosh": ((1.5, 10), mpmath.acosh),
    "atanh": ((-0.9, 0.9), mpmath.atanh),
    "abs": ((0.1, 10), abs),
    "positive": ((-10, 10), lambda x: x),
}

OF_MATRICES = {
    "product": lambda xp, x: x @ x,
    "batched product": lambda xp, x: xp.stack([x, 2 * x]) @ xp.stack([x * x, x]),
    "vector on the right": lambda xp, x: x @ x[0, :],
    "vector on the left": lambda xp, x: x[:, 0] @ xp.stack([x, x * x]),
    "quotient": lambda xp, x: x / (x * x + 3),
    "power": lambda xp, x: (x * x + 1) ** 0.3 + x**3 + 2.0**x + (x * x + 1) ** x + (x * x + 1) ** -2,
    "atan2": lambda xp, x: xp.atan2(x, x * x + 1),
    "moving about": lambda xp, x: xp.concat([xp.flip(x, axis=0), xp.roll(x, 1, axis=1)], axis=0)[1:, ::-1],
    "stacking": lambda xp, x: xp.stack(xp.unstack(xp.permute_dims(x, (1, 0)))[::-1], axis=1),
    "triangles": lambda xp, x: xp.tril(x) * 3 + xp.triu(x, k=1) ** 2,
    "broadcasting": lambda xp, x: x[:, None, :] * x[None, :, :] + xp.broadcast_arrays(x[0, :], x)[0],
    "sums": lambda xp, x: xp.sum(x * x, axis=1, keepdims=True) + xp.mean(x, axis=0) + xp.sum(x),
    "cumulative": lambda xp, x: xp.cumulative_sum(x * x, axis=1) + xp.cumulative_prod(x, axis=0),
    "variance": lambda xp, x: xp.var(x, axis=-1, correction=1) + xp.std(x, axis=0),
    "products": lambda xp, x: xp.prod(x, axis=1),
    "largest": lambda xp, x: xp.max(x, axis=-1, keepdims=True) * x + xp.min(x),
    "sorted": lambda xp, x: xp.sort(x, axis=1, descending=True) * xp.sort(x, axis=0),
    "branches": lambda xp, x: xp.where(x > 0, x * x, -3 * x) + xp.maximum(x, -x) + xp.clip(x, -0.5, 0.5) + xp.abs(x),
    "gathered": lambda xp, x: xp.take(x, xp.asarray([2, 0, 0]), axis=1) ** 2,
    "steps": lambda xp, x: xp.sign(x) * x + xp.floor(x) * x + xp.round(x) * x,
    "logaddexp": lambda xp, x: xp.logaddexp(x, x * x) + xp.hypot(x, x + 5),
    "inverse": lambda xp, x: xp.linalg.inv(x),
    "solution": lambda xp, x: xp.linalg.solve(x, x[:, 0]) + xp.linalg.solve(x, x * x)[:, 0],
    "determinant": lambda xp, x: xp.linalg.det(x) + xp.linalg.slogdet(x)[1],
    "cholesky": lambda xp, x: xp.linalg.cholesky(x @ xp.matrix_transpose(x) + xp.eye(3)),
    "eigenvalues": lambda xp, x: xp.linalg.eigvalsh(x + xp.matrix_transpose(x)),
    "eigenprojector": lambda xp, x: (lambda V: V[:, :1] @ xp.matrix_transpose(V[:, :1]))(
        xp.linalg.eigh(x + xp.matrix_transpose(x))[1]
    ),
    "singular values": lambda xp, x: xp.linalg.svdvals(x),
    "low rank": lambda xp, x: (lambda U, s, Vt: U[:, :1] * s[:1] @ Vt[:1, :])(
        *xp.linalg.svd(x[:, :2], full_matrices=False)
    ),
    "orthogonal factor": lambda xp, x: (lambda Q: Q @ xp.matrix_transpose(Q))(xp.linalg.qr(x[:, :2])[0]),
    "pseudo-inverse": lambda xp, x: xp.linalg.pinv(x[:, :2]),
    "norms": lambda xp, x: xp.linalg.vector_norm(x, axis=1) + xp.linalg.matrix_norm(x),
    "matrix power": lambda xp, x: xp.linalg.matrix_power(x, 3),
    "kept in place": lambda xp, x: xp.diff(x, axis=0) + xp.linalg.trace(x) + xp.linalg.cross(x[0, :], x[1, :]),
}


def push(function, x, direction):
    """The derivative of a function of one array in one direction, as the exact array that `dual` encloses it in."""
    with exact.precision(200):
        _, (tangent,) = dual.directional_derivatives(
            lambda v: (function(v),), [exact.variable(x)], [exact.asarray(direction[None])]
        )
    return tangent


@pytest.mark.parametrize("name", RANGES)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_the_rule_of_an_elementary_function_encloses_the_truth(name, data):
    (low, high), function = RANGES[name]
    x = data.draw(st.floats(low, high))
    tangent = push(getattr(dual, name), np.array(x), np.array(3.0)).elements[0]
    with mpmath.workdps(120):
        truth = arb(mpmath.nstr(3 * mpmath.diff(function, mpmath.mpf(x)), 45))
    with exact.precision(200):
        assert tangent.overlaps(truth + arb(0, 1e-40))
        assert tangent.rad() < 1e-45


@pytest.mark.parametrize("name", OF_MATRICES)
def test_a_derivative_is_the_limit_of_difference_quotients(name):
    rng = np.random.default_rng(4)
    x, v = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    function, h = OF_MATRICES[name], 2.0**-80
    tangent = push(lambda y: function(dual, y), x, v)
    with exact.precision(600):
        X, V = exact.asarray(x), exact.asarray(v)
        quotient = (function(exact, X + h * V) - function(exact, X - h * V)) / (2 * h)
        difference = exact.midpoints(tangent[0, ...] - quotient)
    assert difference.shape == tangent.shape[1:]
    assert np.abs(difference).max() < 1e-40 * max(1.0, np.abs(exact.midpoints(tangent)).max())
    assert np.abs(exact.midpoints(tangent)).max() > 0


def test_values_are_those_of_exact():
    x = np.random.default_rng(0).standard_normal((3, 3))
    with exact.precision(200):
        for function in OF_MATRICES.values():
            (value,), _ = dual.directional_derivatives(
                lambda v, f=function: (f(dual, v),), [exact.variable(x)], [exact.ones((1, 3, 3))]
            )
            truth = function(exact, exact.variable(x))
            assert all(a.overlaps(b) for a, b in zip(value.elements.flat, truth.elements.flat, strict=True))


def test_writing_an_entry_takes_its_tangent_along():
    def function(x):
        y = dual.zeros_like(x) + x
        y[0] = x[1] * 3
        return y

    tangent = push(function, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    assert exact.midpoints(tangent).tolist() == [[30.0, 10.0]]


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: dual.where(x > 0, x, 0), 0.0),
        (lambda x: dual.abs(x), 0.0),
        (lambda x: dual.maximum(x, 1), 1.0),
        (lambda x: dual.max(dual.stack([x, 2 * x])), 0.0),
        (lambda x: dual.sort(dual.stack([x, 2 * x])), 0.0),
        (lambda x: dual.sqrt(x * x), 0.0),
        (lambda x: dual.linalg.vector_norm(dual.stack([x, x])), 0.0),
        (lambda x: dual.floor(x), 3.0),
        (lambda x: dual.sign(x), 0.0),
        (lambda x: dual.clip(x, 0, 1), 1.0),
    ],
)
def test_there_is_no_derivative_on_a_kink(function, x):
    with pytest.raises(Kink, match="kink"):
        push(function, np.array(x), np.array(1.0))


def test_a_kink_in_the_branch_not_taken_does_no_harm():
    tangent = push(lambda x: dual.where(dual.abs(x) < 1, x * x, 2 * dual.abs(x) - 1), np.array(0.0), np.array(1.0))
    assert exact.midpoints(tangent).tolist() == [0.0]


def test_a_tie_between_values_that_do_not_move_is_no_kink():
    def padded(x):
        return dual.max(dual.concat([dual.zeros((2,)), x]) * 1, axis=0)

    assert exact.midpoints(push(padded, np.array([-1.0]), np.array([1.0]))).tolist() == [0.0]


def test_a_step_of_what_was_clipped_to_its_jump_is_no_kink():
    def rounded_down(x):
        y = dual.clip(x, 0, 3)
        return y - dual.floor(y)

    assert exact.midpoints(push(rounded_down, np.array([-1.0, 1.5]), np.array([1.0, 1.0]))).tolist() == [[0.0, 1.0]]


def test_a_comparison_that_only_precision_decides_says_so():
    with pytest.raises(Undecided) as caught:
        push(lambda x: dual.where(x / 3 * 3 > 1, x, 0), np.array(1.0), np.array(1.0))
    assert not isinstance(caught.value, Kink)


def test_what_is_missing_is_named():
    with pytest.raises(AttributeError, match=r"`xp\.fft` \(test_dual\.py, line \d+\) is not known to the proof"):
        _ = dual.fft


def test_every_function_of_exact_stands_in_dual():
    for name in exact.FUNCTIONS:
        assert callable(getattr(dual, name)), name
    for name in exact.LINALG:
        assert callable(getattr(dual.linalg, name)), name


def variables(op, size):
    inputs = op.make_inputs(op.size(size), 0)
    return [exact.variable(a) for a in inputs], [exact.variable(c) for c in op.make_cotangents([()], 0)]


def test_the_gradient_of_relu_regression_in_every_direction():
    op = operations()["relu_regression"]
    with exact.precision(200):
        inputs, cotangents = variables(op, "tiny")
        derivatives = dual.differentiate(op, {}, inputs, cotangents)
        _, pullback = op(exact, *inputs)
        gradients = pullback(*cotangents)
    assert [d.name for d in derivatives] == ["X", "W", "Y"]
    for derivative, gradient in zip(derivatives, gradients, strict=True):
        assert derivative.directions is None
        assert derivative.enclosure.shape == gradient.shape
        assert np.abs(exact.midpoints(derivative.enclosure - gradient)).max() < 1e-50


def test_random_directions_where_there_are_too_many_entries():
    op = operations()["relu_regression"]
    with exact.precision(200):
        inputs, cotangents = variables(op, "tiny")
        shapes = {name: x.shape for name, x in zip(op.inputs, inputs, strict=True)}
        chosen = dual.choose_directions(op, shapes, limit=14, count=3)
        derivatives = dual.differentiate(op, {}, inputs, cotangents, directions=chosen)
        gradient = op(exact, *inputs)[1](*cotangents)[0]
        product = exact.sum(exact.asarray(derivatives[0].directions) * gradient, axis=(1, 2))
        relative = exact.midpoints((derivatives[0].enclosure - product) / product)
    assert [None if d.directions is None else d.directions.shape for d in derivatives] == [(3, 5, 4), None, (3, 5, 3)]
    assert np.abs(relative).max() < 1e-50


def test_inputs_without_a_gradient_are_held_fixed():
    @operation("(n,c),(n)->()", nondifferentiable=["labels"])
    def picked(xp, X, labels):
        return xp.sum(xp.take_along_axis(X, labels[:, None], axis=1) ** 2)

    with exact.precision(200):
        x = exact.variable(np.array([[1.0, 2.0], [3.0, 4.0]]))
        labels = exact.variable(np.array([1, 0]))
        (derivative,) = dual.differentiate(picked, {}, [x, labels], [exact.variable(np.array(1.0))])
    assert exact.midpoints(derivative.enclosure).tolist() == [[0.0, 4.0], [6.0, 0.0]]


def test_what_moves_alike_is_no_kink_of_a_comparison():
    @operation("(m,d)->(m,m)", sizes={"tiny": {"m": 3, "d": 2}})
    def distances(xp, x):
        d = x[:, None, :] - x[None, :, :]
        square = xp.sum(d * d, axis=-1)
        same = square == 0
        return xp.where(same, 0 * square, xp.sqrt(xp.where(same, 1.0, square)))

    x = exact.variable(np.array([[0.0, 1.0], [2.0, 5.0], [-1.0, 0.5]]))
    (derivative,) = dual.differentiate(distances, {}, [x], [exact.lift(np.ones((3, 3)))])
    assert np.isfinite(exact.midpoints(derivative.enclosure)).all()


def test_a_step_function_may_be_compared_with_the_value_that_it_has():
    @operation("(n)->()", sizes={"tiny": {"n": 2}})
    def f(xp, t):
        k = xp.floor(t)
        return xp.sum(xp.where((k >= 0) & (k <= 3), t * t, 0 * t))

    (derivative,) = dual.differentiate(f, {}, [exact.variable(np.array([0.5, 3.25]))], [exact.lift(1)])
    np.testing.assert_array_equal(exact.midpoints(derivative.enclosure), [1, 6.5])
    with pytest.raises(Kink):
        dual.differentiate(f, {}, [exact.variable(np.array([0.0, 3.25]))], [exact.lift(1)])

from __future__ import annotations

import math

import numpy as np
import pytest

from multigrad import BadInput, operation, operations
from multigrad.namespaces.exact import Kink, Undecided
from multigrad.proof.prove import prove


def quadratic(pullback_of):
    """x ↦ Ax·x/2 + Σ sin, with whatever pullback is made of its parts."""

    @operation("(n,n),(n)->()", sizes={"tiny": {"n": 4}})
    def f(xp, A, x):
        return x @ A @ x / 2, lambda b: pullback_of(xp, A, x, b)

    return f


def right(xp, A, x, b):
    return b * x[:, None] * x[None, :] / 2, b * (A + xp.matrix_transpose(A)) @ x / 2


def test_relu_regression_is_certified():
    proof = prove(operations()["relu_regression"], "tiny")
    assert proof.passed
    assert proof.kind == "certified at 1 point"
    assert [g.compared for g in proof.gradients] == [20, 12, 15]
    assert all(g.width < 1e-50 for g in proof.gradients)
    assert proof.bits == 200


def test_linear_map_is_proven():
    proof = prove(operations()["linear_map"], "tiny")
    assert proof.passed
    assert proof.kind.startswith("proven with false-pass probability")
    assert proof.probability is not None
    assert proof.probability < 1e-18


def test_a_proof_does_not_depend_on_what_was_proven_before():
    prove(operations()["relu_regression"], "tiny")
    assert prove(operations()["linear_map"], "tiny").probability is not None


def test_more_points_are_counted():
    proof = prove(operations()["relu_regression"], "tiny", points=3)
    assert proof.kind == "certified at 3 points"
    assert proof.gradients[0].compared == 60


def test_many_inputs_are_compared_in_random_directions():
    proof = prove(operations()["relu_regression"], {"m": 20, "k": 17, "n": 2})
    assert proof.passed
    assert [g.directions for g in proof.gradients] == [8, None, None]
    assert prove(operations()["linear_map"], {"m": 20, "n": 17}).kind.startswith("proven")


def test_a_rational_function_is_proven():
    assert prove(quadratic(right), "tiny").kind.startswith("proven")


WRONG = {
    "a factor dropped": (lambda xp, A, x, b: (right(xp, A, x, b)[0] * 2, right(xp, A, x, b)[1]), "A", 0.5),
    "a relative error of 1e-6": (
        lambda xp, A, x, b: (right(xp, A, x, b)[0], right(xp, A, x, b)[1] * (1 + 1e-6)),
        "x",
        1e-6,
    ),
    "a sign flipped": (lambda xp, A, x, b: (-right(xp, A, x, b)[0], right(xp, A, x, b)[1]), "A", 2.0),
    "a term lost": (lambda xp, A, x, b: (right(xp, A, x, b)[0], b * A @ x), "x", None),
    "zero": (lambda xp, A, x, b: (0 * A, right(xp, A, x, b)[1]), "A", 1.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_pullback_is_refuted(name):
    pullback, where, size = WRONG[name]
    proof = prove(quadratic(pullback), "tiny")
    assert not proof.passed
    assert proof.kind == "refuted"
    assert [g.name for g in proof.gradients if not g.agrees] == [where]
    (wrong,) = (g for g in proof.gradients if g.name == where)
    assert size is None or wrong.disagreement == pytest.approx(size, rel=1e-5)


def test_a_transposed_gradient_is_refuted():
    @operation("(n,n)->()", sizes={"square": {"n": 3}})
    def f(xp, A):
        return xp.linalg.det(A), lambda b: b * xp.linalg.det(A) * xp.linalg.inv(A)

    assert prove(f, "square").kind == "refuted"


def test_a_gradient_of_the_wrong_shape_is_not_certified():
    @operation("(m,n)->()")
    def f(xp, A):
        return xp.sum(A * A), lambda b: 2 * b * xp.matrix_transpose(A)

    proof = prove(f, "tiny")
    assert not proof.passed
    assert proof.gradients[0].reason == "A_bar has shape (3, 4); wanted (4, 3)"


def test_an_error_in_one_of_many_entries_is_seen_through_random_directions():
    @operation("(n)->()", sizes={"long": {"n": 1000}})
    def f(xp, x):
        def pullback(b):
            g = 2 * b * x
            return xp.concat([g[:500], g[500:501] * (1 + 1e-12), g[501:]])

        return xp.sum(x * x), pullback

    assert prove(f, "long").kind == "refuted"


def test_a_pullback_that_ignores_the_cotangent_is_not_linear():
    @operation("(n)->()")
    def f(xp, x):
        return xp.sum(x * x), lambda b: 2 * x

    proof = prove(f, "tiny")
    assert not proof.passed
    (gradient,) = proof.gradients
    assert not gradient.linear
    assert not gradient.zero


def test_a_pullback_with_no_value_where_there_is_a_derivative_is_not_certified():
    @operation("(n)->()")
    def f(xp, x):
        return xp.sum(x * x), lambda b: 2 * b * xp.sqrt(-x * x - 1)

    proof = prove(f, "tiny", most_bits=400)
    assert not proof.passed
    assert "the derivative exists, but in the pullback" in proof.gradients[0].reason


def test_nothing_compared_is_nothing_certified():
    proof = prove(quadratic(right), {"n": 0})
    assert not proof.passed
    assert proof.kind == "not certified"


def test_special_inputs_hold_the_formula_to_themselves():
    def symmetric(draw, n):
        A = draw(n, n)
        return [A + A.T, draw(n)]

    @operation("(n,n),(n)->(n)", inputs=symmetric)
    def f(xp, A, x):
        return A @ x, lambda y: (y[:, None] * x[None, :], A @ y)

    proof = prove(f, "tiny")
    assert proof.passed
    assert proof.probability is None


def test_an_input_on_a_kink_says_so():
    def zeros(draw, n):
        return [np.zeros(n)]

    @operation("(n)->()", inputs=zeros)
    def relu(xp, x):
        return xp.sum(xp.maximum(x, 0)), lambda b: xp.where(x > 0, b, 0)

    with pytest.raises(Kink, match="kink"):
        prove(relu, "tiny")

    @operation("(n)->()", inputs=lambda draw, n: [np.full(n, 2.0)])
    def undecided(xp, x):
        return xp.sum(xp.where(xp.sqrt(x) * xp.sqrt(x) > 2, x, 0)), lambda b: b + 0 * x

    with pytest.raises(Undecided, match="remained at 400 bits: an input lies on a kink"):
        prove(undecided, "tiny", most_bits=400)


def test_the_wrong_number_of_gradients_is_named():
    @operation("(n),(n)->()")
    def f(xp, x, y):
        return xp.sum(x * y), lambda b: b * y

    with pytest.raises(BadInput, match="returned 1 gradients; wanted 2: x, y"):
        prove(f, "tiny")


def test_linear_algebra_is_certified():
    @operation("(n,n)->()")
    def nuclear_norm(xp, A):
        U, s, Vt = xp.linalg.svd(A, full_matrices=False)
        return xp.sum(s), lambda b: b * U @ Vt

    @operation("(n,n),(n)->(n)")
    def solution(xp, A, b):
        x = xp.linalg.solve(A, b)

        def pullback(x_bar):
            b_bar = xp.linalg.solve(xp.matrix_transpose(A), x_bar)
            return -b_bar[:, None] * x[None, :], b_bar

        return x, pullback

    assert prove(nuclear_norm, "tiny").kind == "certified at 1 point"
    assert prove(solution, "tiny").kind.startswith("proven")


def beside(forward, pullback):
    """A sum of functions of s = x² + 1, with a pullback that knows s."""

    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        s = x * x + 1
        return xp.sum(forward(xp, s, x)), lambda b: b * pullback(xp, s, x)

    return f


def log_two(xp, s, x):
    return xp.log2(s)


def density(xp, s, x):
    return xp.exp(-s / 2) / math.sqrt(2 * math.pi)


def power(xp, s, x, p=0.3):
    return s**p


RIGHT_CONSTANTS = {
    "log 2": beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2))),
    "log₂ e in digits": beside(log_two, lambda xp, s, x: 2 * x / s * 1.4426950408889634),
    "a normal density": beside(density, lambda xp, s, x: -x * xp.exp(-s / 2) * (2 * math.pi) ** -0.5),
    "p and p − 1": beside(power, lambda xp, s, x: 0.3 * s ** (0.3 - 1) * 2 * x),
    "1 / p": beside(lambda xp, s, x: s ** (1 / 0.3), lambda xp, s, x: s ** (1 / 0.3 - 1) * 2 * x / 0.3),
    "0.3 and 3 × 0.1": beside(lambda xp, s, x: 0.3 * s, lambda xp, s, x: 0.1 * 3 * 2 * x),
    "1 / n": beside(lambda xp, s, x: xp.mean(s), lambda xp, s, x: 2 * x * (1 / 3)),
    "π of the namespace": beside(lambda xp, s, x: s / xp.pi, lambda xp, s, x: 2 * x * (1 / math.pi)),
    "a derivative that cancels": beside(lambda xp, s, x: x - xp.sum(x) * (1 / 3), lambda xp, s, x: 0 * x),
    "an array of NumPy": beside(
        lambda xp, s, x: s * xp.asarray(np.arange(1, 4) / 7), lambda xp, s, x: 2 * x * xp.asarray(np.arange(1, 4)) / 7
    ),
    "a grid": beside(
        lambda xp, s, x: s * xp.arange(0.1, 0.35, 0.1), lambda xp, s, x: 2 * x * xp.asarray([0.1, 0.2, 0.3])
    ),
    "beside a branch": beside(
        lambda xp, s, x: xp.where(x > 0.1, 0.7 * x, 0.1 * x), lambda xp, s, x: xp.where(x > 0.1, 1.1 - 0.4, 0.1)
    ),
}


@pytest.mark.parametrize("name", RIGHT_CONSTANTS)
def test_a_constant_stands_for_a_number_with_more_digits(name):
    proof = prove(RIGHT_CONSTANTS[name], "tiny")
    assert proof.passed
    assert proof.kind == "certified at 1 point; constants are known to 16 digits"
    (gradient,) = proof.gradients
    assert 0 < gradient.constants < 1e-15
    assert gradient.compared == 3


WRONG_CONSTANTS = {
    "log 2 to 10 digits": beside(log_two, lambda xp, s, x: 2 * x / (s * 0.6931471805)),
    "log 2 to 12 digits": beside(log_two, lambda xp, s, x: 2 * x / (s * 0.693147180560)),
    "a factor of 1 + 10⁻¹²": beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2)) * (1 + 1e-12)),
    "a factor of 1 + 2·10⁻¹⁴": beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2)) * (1 + 2e-14)),
    "a term of 10⁻¹²": beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2)) + 1e-12),
    "√(2/π) to 10 digits": beside(
        lambda xp, s, x: xp.tanh(math.sqrt(2 / math.pi) * x),
        lambda xp, s, x: 0.7978845608 * (1 - xp.tanh(0.7978845608 * x) ** 2),
    ),
    "π to 6 digits": beside(lambda xp, s, x: xp.sin(xp.pi * x), lambda xp, s, x: 3.14159 * xp.cos(3.14159 * x)),
    "an epsilon forgotten": beside(lambda xp, s, x: xp.log(s + 1e-12), lambda xp, s, x: 2 * x / s),
    "a smaller one": beside(lambda xp, s, x: xp.log(s + 1e-16), lambda xp, s, x: 2 * x / s),
    "a polynomial": beside(lambda xp, s, x: 0.3 * s, lambda xp, s, x: 0.1 * 3 * 2 * x * (1 + 1e-12)),
    "an exponent": beside(power, lambda xp, s, x: 0.3 * s ** (0.3 - 1 + 1e-12) * 2 * x),
    "a short fraction": beside(lambda xp, s, x: 0.5 * s, lambda xp, s, x: x + x * 2.0**-29),
}


@pytest.mark.parametrize("name", WRONG_CONSTANTS)
def test_a_wrong_digit_is_seen_beside_constants(name):
    proof = prove(WRONG_CONSTANTS[name], "tiny")
    assert proof.kind == "refuted"
    assert all(g.constants == 0 and g.disagreement > 0 for g in proof.gradients)


def test_constants_are_explained_in_random_directions_and_at_several_points():
    op = beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2)))
    proof = prove(op, {"n": 310}, points=2)
    assert proof.kind == "certified at 2 points; constants are known to 16 digits"
    assert proof.gradients[0].directions == 8
    wrong = beside(log_two, lambda xp, s, x: 2 * x / (s * math.log(2)) * (1 + 1e-11))
    assert prove(wrong, {"n": 310}).kind == "refuted"


def test_a_formula_that_agrees_exactly_needs_no_leave_for_its_constants():
    op = beside(lambda xp, s, x: 0.3 * s, lambda xp, s, x: 2 * (0.3 * x))
    assert prove(op, "tiny").kind.startswith("proven")


@pytest.mark.parametrize("regime", ["huge:float64", "tiny:float64", "wide", "cancellation"])
def test_constants_are_explained_far_from_the_ordinary(regime):
    op = beside(power, lambda xp, s, x: 0.3 * s ** (0.3 - 1) * 2 * x)
    assert prove(op, "tiny", regime=regime).passed


def test_a_polynomial_of_enormous_degree_is_not_evaluated_in_fractions():
    @operation("(n)->(n)")
    def squared_forty_times(xp, x):
        ys = [x]
        for _ in range(40):
            ys.append(ys[-1] * ys[-1])  # degree 2⁴⁰: a numerator at a random point would not fit into memory

        def pullback(y_bar):
            for y in reversed(ys[:-1]):
                y_bar = 2 * y * y_bar
            return y_bar

        return ys[-1], pullback

    assert prove(squared_forty_times, "tiny").kind == "certified at 1 point"

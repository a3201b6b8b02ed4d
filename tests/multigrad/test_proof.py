from __future__ import annotations

import numpy as np
import pytest

from multigrad import BadInput, operation, operations
from multigrad.namespaces.exact import Kink, Undecided
from multigrad.proof import prove


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
    assert not proof.linear
    assert not proof.zero


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

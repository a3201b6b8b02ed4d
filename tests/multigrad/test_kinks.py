"""On a kink any element of the subdifferential is right, and nothing else is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from multigrad import operation, operations
from multigrad.proof.conventions import KINKS, conventions
from multigrad.proof.hulls import in_hull
from multigrad.proof.kinks import prove_at, prove_at_kink


def relu(at_zero):
    """Σ y ∘ max(x, 0), with some number in place of the derivative at 0."""

    @operation("(n),(n)->()", sizes={"tiny": {"n": 12}})
    def f(xp, x, y):
        def pullback(b):
            slope = xp.where(x > 0, 1.0, xp.where(x < 0, 0.0, at_zero))
            return b * y * slope, b * xp.maximum(x, 0)

        return xp.sum(y * xp.maximum(x, 0)), pullback

    return f


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_every_convention_in_the_subdifferential_is_right(at_zero):
    x, y = prove_at_kink(relu(at_zero), {"n": 12})
    assert x.passed
    assert x.compared > 0
    assert y.compared == 0


@pytest.mark.parametrize("at_zero", [-0.01, 1.01, 2.0])
def test_what_lies_outside_the_subdifferential_is_wrong(at_zero):
    x, y = prove_at_kink(relu(at_zero), {"n": 12})
    assert not x.passed
    assert "outside the subdifferential [" in x.reason
    assert y.passed


def test_a_wrong_sum_of_two_branches_is_seen_through_a_product():
    @operation("(m,k),(k,n)->(m,n)", sizes={"tiny": {"m": 4, "k": 3, "n": 3}})
    def layer(xp, X, W):
        Z = X @ W

        def pullback(y_bar):
            # Both masks hold at Z = 0.
            S = xp.where(Z >= 0, y_bar, 0 * y_bar) + 0.5 * xp.where(Z <= 0, y_bar, 0 * y_bar)
            S = S - 0.5 * xp.where(Z < 0, y_bar, 0 * y_bar)
            return S @ xp.matrix_transpose(W), xp.matrix_transpose(X) @ S

        return xp.maximum(Z, 0), pullback

    assert not all(p.passed for p in prove_at_kink(layer, {"m": 4, "k": 3, "n": 3}))


def test_the_catalogues_own_convention_is_right_at_every_point():
    op = operations()["relu_regression"]
    proofs = [proof for seed in range(25) for proof in prove_at_kink(op, op.size("tiny"), seed)]
    assert all(p.passed for p in proofs), proofs
    assert sum(p.compared for p in proofs) > 50


def test_an_operation_without_a_kink_has_compared_nothing():
    op = operations()["linear_map"]
    assert all(p.passed and p.compared == 0 for p in prove_at_kink(op, op.size("tiny")))


def test_the_table_of_conventions_has_a_column_for_each_framework():
    table = conventions()
    assert len(table) == len(KINKS)
    assert list(table.columns[:3]) == ["function", "at", "subdifferential"]
    assert len(table.columns) >= 3
    if len(table.columns) > 3:
        assert not table.iloc[:, 3:].isin(["no answer"]).any(axis=None)


def test_the_rounding_of_a_constant_is_no_step_outside_the_hull():
    @operation("(n)->()")
    def bits(xp, x):
        s = xp.maximum(x, 0) + 1
        return xp.sum(xp.log2(s)), lambda b: b * xp.where(x > 0, 1.0, 0.0) / (s * math.log(2))

    (proof,) = prove_at_kink(bits, {"n": 4})
    assert proof.compared > 0
    assert proof.passed, proof.reason


def shared(weight_of_a_tie):
    """max(x, y), and what each of two equal entries gets."""

    @operation("(n),(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x, y):
        def pullback(b):
            tie = xp.where(x == y, weight_of_a_tie, 0 * x)
            first, second = xp.where(x > y, 1.0, tie), xp.where(y > x, 1.0, tie)
            return b * first, b * second

        return xp.sum(xp.maximum(x, y)), pullback

    return f


POINT = [np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 4.0])]


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.49])
def test_gradients_that_lie_in_their_intervals_but_not_in_the_hull_are_wrong(weight):
    proofs = prove_at(shared(weight), {"n": 3}, POINT, pairs=3)
    assert not any(p.passed for p in proofs)
    assert "∂f/∂x, ∂f/∂y together are outside the subdifferential conv{" in proofs[0].reason


def test_two_tied_entries_may_share():
    proofs = prove_at(shared(0.5), {"n": 3}, POINT, pairs=3)
    assert [(p.passed, p.compared) for p in proofs] == [(True, 1), (True, 1)]


@pytest.mark.parametrize(("explicit", "undefined"), [(True, False), (False, True)])
def test_a_nan_where_the_limits_are_finite_is_wrong(explicit, undefined):
    @operation("(n)->()", sizes={"tiny": {"n": 2}})
    def f(xp, x):
        return xp.sum(xp.abs(x)), lambda b: b * x / xp.abs(x)

    (proof,) = prove_at(f, {"n": 2}, [np.array([0.0, 1.0])], pairs=3, explicit=explicit)
    assert not proof.passed
    assert proof.undefined == undefined
    assert "is NaN at [0] where any of [-" in proof.reason


@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (lambda xp, x: xp.sqrt(x), lambda xp, x: 7 + 0 * x),
        (lambda xp, x: xp.where(x > 0, 1.0, 0 * x), lambda xp, x: 7 + 0 * x),
    ],
    ids=["an infinite slope", "a jump"],
)
def test_where_there_is_no_subdifferential_nothing_is_judged(value, slope):
    @operation("(n)->()", sizes={"tiny": {"n": 1}})
    def f(xp, x):
        return xp.sum(value(xp, xp.abs(x))), lambda b: b * slope(xp, x)

    (proof,) = prove_at(f, {"n": 1}, [np.array([0.0])], pairs=3)
    assert (proof.passed, proof.compared) == (True, 0)


def test_what_conventions_give_is_let_be_where_they_leave_the_subdifferential():
    @operation("(n)->()", sizes={"tiny": {"n": 1}})
    def f(xp, x):
        slope = lambda z: xp.where(z > 0, 1.0, 0 * z)  # noqa: E731
        return xp.sum(xp.maximum(x, 0) - xp.maximum(-x, 0)), lambda b: b * (slope(x) + slope(-x))

    (proof,) = prove_at(f, {"n": 1}, [np.array([0.0])], pairs=3)
    assert proof.passed


def test_a_point_is_in_the_hull_of_a_few_others_or_not():
    triangle = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    inside = [[0.2, 0.3, 1], [0, 0, 1], [0.5, 0.5, 1], [0, 0.7, 1]]
    outside = [[0.6, 0.6, 1], [-0.1, 0.3, 1], [0.2, 0.3, 1.1], [1, 1, 1]]
    assert all(in_hull(np.array(p, dtype=float), triangle, 1e-12) for p in inside)
    assert not any(in_hull(np.array(p, dtype=float), triangle, 1e-12) for p in outside)


def test_a_nan_where_there_is_a_derivative_is_wrong_whatever_the_formula_asks():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def product(xp, x):
        y = x[0] * x[1] * x[2]
        return y, lambda b: b * y / x

    (proof,) = prove_at(product, {"n": 3}, [np.array([0.0, 2.0, 3.0])], pairs=3, explicit=False)
    assert not proof.passed
    assert not proof.undefined
    assert proof.reason.startswith("is NaN at [0] where ")


def test_inputs_are_aimed_at_branches_that_a_proof_has_passed_before():
    """What a namespace hands out is looked up anew: a function that is watched comes after one that was not."""
    from multigrad.proof.prove import prove
    from multigrad.truth.aim import survey

    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def hard_swish(xp, x):
        gate = xp.clip(x + 3, 0, 6) / 6
        return x * gate, lambda b: b * (gate + x * xp.astype(x > -3, x.dtype) / 6)

    assert prove(hard_swish, "tiny").passed
    assert survey(hard_swish, {"n": 3}).aimed["x_bar"].verdict == "FAIL"

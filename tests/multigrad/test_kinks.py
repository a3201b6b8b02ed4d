"""On a kink any element of the subdifferential is right, and nothing else is."""

from __future__ import annotations

import math

import pytest

from multigrad import operation, operations
from multigrad.kinks import KINKS, conventions, prove_at_kink


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

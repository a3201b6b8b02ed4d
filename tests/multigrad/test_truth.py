"""The truth of a case: what every backend is held against."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad import operation, operations
from multigrad.data.errors import BadInput
from multigrad.ops.draw import REGIMES, Draw
from multigrad.truth.case import Case, Truth, Unknown, Unserved
from multigrad.truth.files import read_truth, write_truth, write_unknown
from multigrad.truth.find import find_truth
from multigrad.truth.references import bounded
from multigrad.truth.variant import judge_variant
from multigrad.verdict.judge import Reference


def case(op, regime, dtype="float64", size=None, **more):
    return Case(op.name, op.name, size or next(iter(op.sizes.values())), regime, dtype, 0, **more)


@pytest.mark.parametrize("regime", [r for r in REGIMES if r not in ("empty", "length-1", "nonfinite")])
def test_every_regime_draws_numbers(regime):
    draw = Draw(0, regime)
    array = draw(40, 30)
    assert array.shape == (40, 30)
    assert array.dtype == np.float64
    assert np.all(np.isfinite(array))
    assert np.array_equal(Draw(0, regime)(40, 30), array)


def test_regimes_are_what_they_say():
    kink = Draw(0, "kink")(1000)
    assert set(kink) == {-1.0, 0.0, 1.0}
    wide = np.abs(Draw(0, "wide")(1000))
    assert np.max(wide) / np.min(wide) > 1e4
    cancelling = Draw(0, "cancellation")(1000)
    assert abs(np.sum(cancelling)) < 0.01 * np.sum(np.abs(cancelling))
    assert np.median(np.abs(Draw(0, "huge:float32")(1000))) > 1e10
    assert np.median(np.abs(Draw(0, "tiny:float32")(1000))) < 1e-10
    assert np.max(np.abs(Draw(0, "huge:float16")(1000))) < 65504


def test_an_unknown_regime_is_refused():
    with pytest.raises(BadInput, match="no regime named 'wild'"):
        Draw(0, "wild")


def test_a_generator_is_served_by_every_regime_or_says_why():
    def spd(draw, n):
        A = draw(n, n)
        return [A @ A.T + n * np.eye(n), np.log(draw(n))]

    with np.errstate(all="ignore"):

        @operation("(n,n),(n)->(n)", sizes={"tiny": {"n": 3}}, inputs=spd)
        def f(xp, A, x):
            return A @ x, lambda g: (g[:, None] * x[None, :], g @ A)

        with pytest.raises(Unserved, match="not finite"):
            find_truth(f, case(f, "kink"))


def test_a_forward_part_that_refuses_is_unserved():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def largest(xp, x):
        m = xp.max(x)
        return m, lambda b: xp.where(x == m, b, 0 * b)

    with pytest.raises(Unserved, match="its forward part has no such case"):
        find_truth(largest, case(largest, "empty", size={"n": 0}))


def test_an_empty_case_has_shapes_and_the_few_numbers_there_are():
    op = operations()["relu_regression"]
    truth = find_truth(op, case(op, "empty", size={"m": 5, "k": 0, "n": 3}, dtype="float32"))
    value, X_bar, W_bar, Y_bar = truth.references
    assert (X_bar.value.shape, W_bar.value.shape) == ((5, 0), (0, 3))
    assert np.all(Y_bar.bound > 0)
    assert value.value > 0


def test_what_a_nan_may_touch_follows_from_the_formula():
    op = operations()["relu_regression"]
    truth = find_truth(op, case(op, "nonfinite", poisoned="X"))
    assert truth.note == "NaN in X[2, 2]"
    assert np.isnan(truth.arrays[0]).sum() == 1
    value, X_bar, _, Y_bar = truth.references
    assert np.isinf(value.bound)
    rows = np.isinf(X_bar.bound).any(axis=1)
    assert list(np.nonzero(rows)[0]) == [2]
    assert list(np.nonzero(np.isinf(Y_bar.bound).any(axis=1))[0]) == [2]


def test_a_truth_is_read_as_it_was_written(tmp_path):
    op = operations()["linear_map"]
    truth = find_truth(op, case(op, "gaussian"))
    write_truth(tmp_path, 3, truth)
    again = read_truth(tmp_path, 3)
    for a, b in zip(truth.references, again.references, strict=True):
        assert all(np.array_equal(getattr(a, p), getattr(b, p)) for p in ("value", "rest", "bound", "probable", "hull"))
    assert all(np.array_equal(a, b) for a, b in zip(truth.arrays, again.arrays, strict=True))


def test_why_a_truth_is_not_known_is_read_as_it_was_written(tmp_path):
    write_unknown(tmp_path, 1, "a kink")
    write_unknown(tmp_path, 2, "no such case", unserved=True)
    with pytest.raises(Unknown, match="a kink") as caught:
        read_truth(tmp_path, 1)
    assert not isinstance(caught.value, Unserved)
    with pytest.raises(Unserved, match="no such case"):
        read_truth(tmp_path, 2)


@pytest.mark.parametrize(
    ("variant", "roundings", "verdict"),
    [
        ("analytic", 0.9, "PASS"),
        ("analytic", 1.5, "FAIL"),
        ("forward", 1.5, "FAIL"),
        ("autodiff", 1.5, "NOTE"),
        ("native", 1.5, "NOTE"),
        ("autodiff", 2.5, "FAIL"),
        ("native", np.nan, "FAIL"),
    ],
)
def test_another_formula_may_be_off_by_a_rounding_of_the_inputs(variant, roundings, verdict):
    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def tripled(xp, x):
        return 3 * x, lambda y_bar: 3 * y_bar

    arrays = [np.float32([0.3, -0.7, 0.0]).astype(np.float64), np.ones(3)]
    reference = bounded(tripled, arrays, {}, "float32", certain=True)[0]
    computed = reference.value * (1 + roundings * 2.0**-24)
    found = judge_variant(tripled, {}, "float32", variant, lambda: arrays, 0, computed, reference)
    assert found.verdict == verdict
    assert ("1.5 × its bound, 0.75 ×" in found.reason) == (verdict == "NOTE")


def hull(forward, entries):
    """Return by how much another convention may move each entry of the value of an operation of one vector."""

    @operation("(n)->(n)", sizes={"tiny": {"n": len(entries)}})
    def f(xp, x):
        return forward(xp, x), lambda y_bar: 0 * y_bar

    return bounded(f, [np.array(entries), np.ones(len(entries))], {}, "float32", certain=True)[0].hull


def test_a_tie_is_a_kink_and_an_ill_conditioned_step_is_none():
    def step(xp, x):
        return xp.where(x > 0, x + 1, 0 * x)

    assert np.array_equal(hull(step, [0.0, 1.0, -2.0]), [1.0, 0.0, 0.0])
    assert not hull(lambda xp, x: (1 + x) - 1, [1e-9, 2e-12]).any()
    assert not hull(lambda xp, x: (x - 1) * (x + 1) - (x * x - 1), [1.25 + 2.0**-20]).any()


def test_a_tie_that_roundings_hide_is_a_kink_too():
    def above(xp, x):
        return xp.where(x + 2 * x > 0.3, 1 + 0 * x, 0 * x)

    assert 0.1 + 2 * 0.1 != 0.3
    assert hull(above, [0.1, 0.2]).tolist() == pytest.approx([1, 0])


def test_the_same_infinity_twice_is_no_kink():
    def masked(xp, x):
        return xp.where(x == -xp.inf, xp.ones_like(x), xp.zeros_like(x))

    assert not hull(masked, [-np.inf, 1.0]).any()


def test_what_leaves_the_range_is_excused_and_what_is_divided_by_nearly_zero_is_not():
    @operation("(n)->(n)", sizes={"tiny": {"n": 2}})
    def f(xp, x):
        return 600 * x * x, lambda y_bar: y_bar / ((3 * x - x - 2 * x) + 1e-4)

    arrays = [np.array([0.5, 16.0]), np.ones(2)]
    value, gradient = bounded(f, arrays, {}, "float16", certain=True)
    assert np.isinf(gradient.bound).tolist() == [True, True]
    assert np.isinf(value.bound).tolist() == value.excused.tolist() == [False, True]
    assert not gradient.excused.any()


def test_what_is_excused_is_read_as_it_was_written(tmp_path):
    zero = np.zeros(2)
    given = Reference(zero, zero, zero, zero, zero, np.array([True, False]))
    write_truth(tmp_path, 1, Truth([zero], [given], refuted=("x_bar",)))
    found = read_truth(tmp_path, 1)
    assert found.references[0].excused.tolist() == [True, False]
    assert found.refuted == ("x_bar",)

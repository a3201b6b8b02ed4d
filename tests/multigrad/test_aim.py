"""Inputs are aimed where no drawn input comes: what is wrong there is seen, and what is right raises no alarm."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad import check, operation, operations
from multigrad.truth.aim import survey
from multigrad.truth.beside import judge_case
from multigrad.truth.case import Case
from multigrad.truth.findings import LEAST
from multigrad.verdict.words import FAIL, NOTE, PASS, UNAVAILABLE
from tests.multigrad.boundaries import PAIRS, RIGHT, clamp

QUIET = pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero", "ignore:Mean of empty slice")
"""What NumPy says of shapes without entries."""


def verdicts(op):
    found = survey(op, next(iter(op.sizes.values())))
    return [j for judged in (found.kinks, found.aimed) for j in judged.values()]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_what_is_wrong_only_at_a_boundary_is_seen(pair):
    assert FAIL in {j.verdict for j in verdicts(pair(wrong=True))}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_what_is_right_at_a_boundary_raises_no_alarm(pair):
    found = verdicts(pair(wrong=False))
    assert found
    assert {j.verdict for j in found} == {PASS}


@pytest.mark.parametrize("op", RIGHT.values(), ids=RIGHT)
def test_every_convention_jump_and_infinite_slope_is_let_be(op):
    assert {j.verdict for j in verdicts(op)} == {PASS}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_the_inputs_that_are_drawn_by_default_do_not_see_it(pair):
    """Otherwise the tests above would show nothing."""
    from multigrad.proof.prove import prove

    op = pair(wrong=True)
    assert prove(op, op.size("tiny")).passed


def test_branches_are_counted_and_those_that_no_input_reaches_are_named():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        positive = x * x + 1
        return xp.sum(xp.where(positive > 0, x, 2 * x)), lambda b: b * xp.ones_like(x)

    counted = survey(f, {"n": 3}).aimed["*"]
    assert counted.verdict == PASS
    assert counted.reason.startswith("1 of 2 branches reached, certified at ")
    assert counted.reason.endswith("`positive > 0` false")


def test_the_place_and_the_entry_are_named():
    reason = survey(clamp(wrong=True), {"n": 4}).aimed["x_bar"].reason
    assert "in one entry only" in reason
    frame = check(clamp(wrong=True), backend="numpy", dtype="float64")
    bad = frame[frame["verdict"] == FAIL]
    assert set(bad["regime"]) == {"aimed"}


TIED = {
    "one of n": lambda draw, n: [draw(n), np.eye(n)[int(draw.labels(n))]],
    "a symmetric matrix": lambda draw, n: [draw(n), (lambda a: a + a.T)(draw(n, n))],
}


def cross_entropy(xp, z, t):
    """Its gradient is right for targets of sum 1 alone."""
    top = xp.max(z)
    soft = xp.exp(z - top) / xp.sum(xp.exp(z - top))
    log_soft = z - top - xp.log(xp.sum(xp.exp(z - top)))
    return -xp.sum(t * log_soft), lambda b: (b * (soft - t), -b * log_soft)


def test_an_input_that_a_generator_ties_together_is_not_torn_apart():
    f = operation("(n),(n)->()", sizes={"tiny": {"n": 4}}, inputs=TIED["one of n"])(cross_entropy)
    found = verdicts(f)
    assert found
    assert {j.verdict for j in found} == {PASS}

    @operation("(n),(n,n)->()", sizes={"tiny": {"n": 3}}, inputs=TIED["a symmetric matrix"])
    def clipped_form(xp, x, A):
        Ax = A @ x
        value = xp.sum(x * Ax)
        outer = x[:, None] * x[None, :]
        below = xp.astype(A < 3, A.dtype)  # decides something, and moves nothing
        return value + 0 * xp.sum(below), lambda b: (2 * b * Ax, b * outer)

    found = verdicts(clipped_form)
    assert found
    assert {j.verdict for j in found} == {PASS}


def test_a_norm_without_a_guard_is_not_defined_at_zero_and_that_is_a_note():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        length = xp.sqrt(xp.sum(x * x))
        return length, lambda b: b * x / length

    found = survey(f, {"n": 3}).kinks["x_bar"]
    assert found.verdict == NOTE
    assert "is NaN at [0] where any of" in found.reason


# ── Inputs that leave the formula open ───────────────────────────────────────────────────────────────────────────────


def masked_softmax(xp, x):
    top = xp.max(x, axis=-1, keepdims=True)
    e = xp.exp(x - xp.where(xp.isfinite(top), top, 0 * xp.exp(top)))
    y = e / xp.sum(e, axis=-1, keepdims=True)
    return y, lambda g: y * (g - xp.sum(g * y, axis=-1, keepdims=True))


def logsumexp(xp, x):
    top = xp.max(x, axis=-1, keepdims=True)
    e = xp.exp(x - top)
    total = xp.sum(e, axis=-1, keepdims=True)
    return (top + xp.log(total))[..., 0], lambda g: g[..., None] * e / total


def power(xp, x):
    return xp.sum(x**2.5), lambda b: 2.5 * b * x**1.5


def angle(xp, x):
    a, b = x[0, :], x[1, :]
    square = a * a + b * b
    return xp.sum(xp.atan2(a, b)), lambda g: g * xp.stack([b / square, -a / square])


def singular_values(xp, x):
    """Σ σᵢ² = ‖x‖², by the decomposition."""
    S = xp.linalg.svdvals(x)
    return xp.sum(S * S), lambda b: 2 * b * x


def all_masked(draw, m, n):
    return [np.full((m, n), -np.inf)]


def zeros(draw, m, n):
    return [np.zeros((m, n))]


def equal_singular_values(draw, m, n):
    return [np.eye(m, n)]


SPECIAL = [
    (masked_softmax, "(m,n)->(m,n)", all_masked),
    (logsumexp, "(m,n)->(m)", all_masked),
    (power, "(m,n)->()", zeros),
    (angle, "(m,n)->()", zeros),
    (singular_values, "(m,n)->()", equal_singular_values),
]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("function", "signature", "inputs"), SPECIAL, ids=lambda p: getattr(p, "__name__", ""))
def test_where_nothing_can_be_judged_at_the_drawn_inputs_others_beside_them_are(function, signature, inputs, times):
    @operation(signature, sizes={"tiny": {"m": 2, "n": 2}}, inputs=inputs)
    def f(xp, x):
        value, pullback = function(xp, x)
        return value, lambda g: times * pullback(g)

    found = judge_case(f, Case("", "f", f.size("tiny"), "gaussian", "float64", 0))
    assert {o: j.verdict for o, j in found.items()} == {"x_bar": FAIL if times == 2 else PASS}
    assert "at inputs beside those drawn" in found["x_bar"].reason


# ── Shapes and layouts, by default ───────────────────────────────────────────────────────────────────────────────────


def squares(divisor, of_pullback):
    """The mean square of Xw − y, with some divisor where there is no row."""

    @operation("(m,n),(n),(m)->()", sizes={"tiny": {"m": 4, "n": 3}})
    def f(xp, X, w, y):
        r = X @ w - y
        m = X.shape[0]

        def pullback(b):
            r_bar = 2 * b * r / of_pullback(m)
            return r_bar[:, None] * w[None, :], xp.matrix_transpose(X) @ r_bar + 0 * b / of_pullback(m), -r_bar

        return xp.sum(r * r) / divisor(m), pullback

    return f


def rows_of(op, regime):
    frame = check(op, backend="numpy", dtype="float64")
    return frame, frame[frame["regime"] == regime]


@QUIET
def test_the_mean_over_nothing_is_tried_by_default():
    one = lambda m: max(m, 1)  # noqa: E731
    frame, _ = rows_of(squares(one, one), "empty")
    assert set(frame["verdict"]) <= {PASS, UNAVAILABLE}
    _, empty = rows_of(squares(one, lambda m: m), "empty")
    assert FAIL in set(empty["verdict"])


@QUIET
def test_where_the_forward_part_is_nan_too_there_is_nothing_to_judge():
    frame, empty = rows_of(squares(lambda m: m, lambda m: m), "empty")
    assert FAIL not in set(frame["verdict"])
    assert empty["reason"].str.contains("its forward part is not finite there").any()


def variance(wrong):
    @operation("(n)->()", sizes={"tiny": {"n": 4}})
    def f(xp, x):
        n = x.shape[0]
        d = x - xp.mean(x)
        return xp.sum(d * d) / max(n - 1, 1), lambda b: 2 * b * d / (xp.asarray(n - 1.0) if wrong else max(n - 1, 1))

    return f


@QUIET
@pytest.mark.parametrize("wrong", [False, True])
def test_the_variance_of_one_number_is_tried_by_default(wrong):
    frame, single = rows_of(variance(wrong), "length-1")
    assert (FAIL in set(frame["verdict"])) == wrong
    assert (FAIL in set(single["verdict"])) == wrong


@QUIET
def test_a_deviation_of_one_number_has_no_derivative_and_raises_no_alarm():
    @operation("(n)->()", sizes={"tiny": {"n": 4}})
    def f(xp, x):
        d = x - xp.mean(x)
        s = xp.sqrt(xp.mean(d * d))
        return s, lambda b: b * d / (x.shape[0] * s)

    frame, single = rows_of(f, "length-1")
    assert FAIL not in set(frame["verdict"])
    assert set(single["verdict"]) == {UNAVAILABLE}


@pytest.mark.parametrize("wrong", [False, True])
def test_a_strided_input_that_is_read_as_if_it_were_contiguous_is_seen_by_default(wrong):
    @operation("(m,n)->()", sizes={"tiny": {"m": 3, "n": 4}})
    def f(xp, x):
        weights = xp.reshape(xp.arange(x.shape[0] * x.shape[1], dtype=x.dtype), x.shape)

        def pullback(b):
            flat = x.ravel("K") if wrong and isinstance(x, np.ndarray) else xp.reshape(x, (-1,))
            return 2 * b * weights * xp.reshape(flat, x.shape)

        return xp.sum(weights * x * x), pullback

    frame, _ = rows_of(f, "strided")
    assert set(frame[frame["verdict"] == FAIL]["regime"]) == ({"strided"} if wrong else set())


def test_the_catalogue_stands_where_inputs_are_aimed():
    for name in ("relu_regression", "amax", "residual_norm", "masked_attention"):
        op = operations()[name]
        assert {j.verdict for j in verdicts(op)} == {PASS}, name


@QUIET
@pytest.mark.parametrize(("divided", "verdict"), [(True, FAIL), (False, UNAVAILABLE)])
def test_a_pullback_that_divides_by_no_row_is_wrong_and_one_that_has_none_to_join_refuses(divided, verdict):
    @operation("(m,n)->()", sizes={"tiny": {"m": 3, "n": 2}})
    def f(xp, x):
        m = x.shape[0]

        def pullback(b):
            if divided:
                return 2 * b * (1 / m) * x
            return xp.stack([2 * b * x[i, :] / m for i in range(m)])

        return xp.sum(x * x) / max(m, 1), pullback

    frame, empty = rows_of(f, "empty")
    refused = empty[empty["reason"].str.contains("its pullback raised")]
    assert set(refused["verdict"]) == {verdict}
    assert (FAIL in set(frame["verdict"])) == divided


def test_a_forward_part_that_makes_a_number_of_an_empty_sum_has_no_such_case():
    @operation("(n),(k)->(n)", sizes={"tiny": {"n": 5, "k": 3}})
    def f(xp, x, w):
        def pullback(g):
            return sum(w[j] * g for j in range(w.shape[0])), xp.stack([xp.sum(g * x) for _ in range(w.shape[0])])

        return sum(w[j] * x for j in range(w.shape[0])), pullback

    frame, empty = rows_of(f, "empty")
    assert FAIL not in set(frame["verdict"])
    assert empty["reason"].str.contains(r"its forward part has shape \(\) there, not \(5,\)").any()


def test_the_more_an_operation_computes_the_fewer_inputs_are_tried():
    def steps(count):
        @operation("(n)->()", sizes={"tiny": {"n": 3}})
        def f(xp, x):
            states = [x]
            for _ in range(count):
                states.append(xp.maximum(states[-1], 0) + x)

            def pullback(b):
                bar, x_bar = b + 0 * x, 0 * x
                for state in states[-2::-1]:
                    x_bar = x_bar + bar
                    bar = bar * xp.astype(state > 0, x.dtype)
                return x_bar + bar

            return xp.sum(states[-1]), pullback

        reason = survey(f, {"n": 3}).aimed["*"].reason
        return int(reason.partition("certified at ")[2].partition(" ")[0])

    assert 0 < steps(400) < LEAST < steps(3)

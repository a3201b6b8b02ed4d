"""A backward pass may be written in what the forward part computed: its rounding is allowed for, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad import operation
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import tape
from multigrad.truth.intermediates import MOST, off_through_intermediates
from multigrad.truth.references import bounded
from multigrad.truth.variant import judge_variant
from multigrad.verdict.words import FAIL, INCONCLUSIVE, NOTE, PASS


@operation("(n)->(n)")
def sigmoid(xp, x):
    return 1 / (1 + xp.exp(-x))


@operation("(m,n),(n)->(m,n)")
def swish(xp, x, b):
    return x / (1 + xp.exp(-b * x))


@operation("(m,n)->(m,n)")
def centred(xp, x):
    return x - xp.mean(x, axis=-1, keepdims=True)


def by_value(x, g):
    s = 1 / (1 + np.exp(-x))
    return (g * s * (1 - s),)


def by_sigmoid(x, b, g):
    s = 1 / (1 + np.exp(-b * x))
    slope = s * (1 - s)
    return g * (s + b * x * slope), np.sum(g * x * x * slope, axis=0)


def judged(op, form, arrays, dtype, factor=1.0):
    given = [a.astype(dtype) for a in arrays]
    wide = [a.astype(np.float64) for a in given]
    references = bounded(op, wide, {}, dtype, certain=True)
    verdicts = []
    for number, gradient in enumerate(form(*given), 1):
        computed = (gradient * factor).astype(dtype).astype(np.float64)
        verdicts.append(
            judge_variant(op, {}, dtype, "mine", lambda: wide, number, computed, references[number]).verdict
        )
    return verdicts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(5))
def test_a_right_backward_pass_in_terms_of_a_value_is_no_failure(dtype, seed):
    rng = np.random.default_rng(seed)
    x, g = rng.uniform(-12, 12, 200), rng.standard_normal(200)
    assert set(judged(sigmoid, by_value, [x, g], dtype)) <= {PASS, NOTE, INCONCLUSIVE}
    X, b, G = rng.integers(-9, 10, (30, 4)) / 2, rng.integers(1, 6, 4) / 2, rng.standard_normal((30, 4))
    assert set(judged(swish, by_sigmoid, [X, b, G], dtype)) <= {PASS, NOTE, INCONCLUSIVE}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_one_still_fails(dtype):
    rng = np.random.default_rng(0)
    x, g = rng.uniform(-12, 12, 200), rng.standard_normal(200)
    factor = 1 + 256 * float(np.finfo(dtype).eps)
    assert judged(sigmoid, by_value, [x, g], dtype, factor) == [FAIL]
    X, b, G = rng.standard_normal((30, 4)), rng.uniform(0.5, 2, 4), rng.standard_normal((30, 4))
    assert judged(swish, by_sigmoid, [X, b, G], dtype, 1.001) == [FAIL, FAIL]


def test_an_input_is_off_by_what_moves_a_result_by_a_rounding():
    x, u = np.array([-2.0, 0.5, 20.0]), 2.0**-53
    (off,) = off_through_intermediates(sigmoid, {}, [x], u)
    assert off[0] == 0  # its own rounding explains it
    assert off[2] == pytest.approx(u * (1 + np.exp(20.0)), rel=1e-6)  # s / s′


def test_what_other_entries_decide_too_does_not_count():
    (off,) = off_through_intermediates(centred, {}, [np.array([[1.0, 2.0, 4.0], [-1.0, 1.0, 3.0]])], 1e-10)
    assert not off.any()


def test_a_long_recurrence_is_left_alone():
    @operation("(n)->(n)")
    def repeated(xp, x):
        for _ in range(MOST):
            x = 1 / (1 + xp.exp(-x))
        return x

    (off,) = off_through_intermediates(repeated, {}, [np.full(3, 20.0)], 1e-10)
    assert not off.any()


def test_the_tape_that_everybody_shares_is_left_as_it_is():
    shared = tape.over(numpy_standard())
    before = dict(vars(shared))
    for _ in range(3):
        off_through_intermediates(sigmoid, {}, [np.array([-2.0, 0.5])], 2.0**-53)
    assert vars(shared) == before

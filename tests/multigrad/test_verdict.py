"""A verdict must be able to fail: every way of being wrong is seen here once."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.verdict.formats import FORMATS
from multigrad.verdict.judge import Reference, judge
from multigrad.verdict.words import FAIL, INCONCLUSIVE, NOTE, PASS

TRUE = np.random.default_rng(0).standard_normal((4, 5))


def reference(bound: float = 1e-12, probable: float = 1e-13, value: np.ndarray = TRUE) -> Reference:
    zero = np.zeros_like(value)
    return Reference(value, zero, zero + bound, zero + probable, zero)


def test_the_truth_itself_passes() -> None:
    judgement = judge(TRUE, reference(), "float64")
    assert (judgement.verdict, judgement.ratio, judgement.compared) == (PASS, 0.0, 20)


def test_one_entry_beyond_the_bound_fails_and_is_named() -> None:
    wrong = TRUE.copy()
    wrong[2, 3] += 1e-11
    judgement = judge(wrong, reference(), "float64")
    assert judgement.verdict == FAIL
    assert "1 of 20" in judgement.reason
    assert "[2, 3]" in judgement.reason
    assert judgement.ratio == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_never_passes(poison: float) -> None:
    wrong = TRUE.copy()
    wrong[0, 0] = poison
    assert judge(wrong, reference(), "float64").verdict == FAIL


def test_not_a_number_does_not_pass_an_infinite_bound() -> None:
    assert judge(np.full_like(TRUE, np.nan), reference(bound=np.inf), "float64").verdict == FAIL


def test_between_the_two_bounds_is_a_note() -> None:
    judgement = judge(TRUE + 5e-13, reference(), "float64")
    assert judgement.verdict == NOTE
    assert judgement.reason


def test_a_bound_that_is_too_wide_is_inconclusive_even_for_the_truth() -> None:
    judgement = judge(TRUE, reference(bound=1.0, probable=1.0), "float64")
    assert judgement.verdict == INCONCLUSIVE
    assert "could have been noticed" in judgement.reason


def test_a_wide_worst_case_is_no_excuse_and_no_obstacle_for_an_error_that_is_seen_to_be_small() -> None:
    assert judge(TRUE, reference(bound=1.0), "float64").verdict == PASS
    assert judge(TRUE + 1e-3, reference(bound=1.0), "float64").verdict == INCONCLUSIVE


def test_a_wrong_shape_fails_and_a_transpose_is_recognised() -> None:
    judgement = judge(TRUE.T, reference(), "float64")
    assert judgement.verdict == FAIL
    assert "transposed" in judgement.reason


def test_an_empty_array_is_compared_by_its_shape() -> None:
    empty = np.zeros((0, 3))
    assert judge(empty, reference(value=empty), "float64").verdict == PASS
    assert judge(np.zeros((0, 4)), reference(value=empty), "float64").verdict == FAIL


def test_the_rest_makes_a_float64_result_judged_beyond_float64() -> None:
    rest = np.full_like(TRUE, 1e-17)
    exact = Reference(TRUE, rest, np.full_like(TRUE, 1.5e-17), np.full_like(TRUE, 1.5e-17), 0 * TRUE)
    assert judge(TRUE, exact, "float64").max_abs_error == pytest.approx(1e-17)


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_the_spacing_is_numpys(name: str) -> None:
    values = np.abs(TRUE).astype(name)
    assert np.array_equal(FORMATS[name].spacing(values.astype(np.float64)), np.spacing(values).astype(np.float64))


def test_rounding_to_bfloat16_keeps_eight_bits_and_ties_go_to_even() -> None:
    bfloat16 = FORMATS["bfloat16"]
    assert bfloat16.round(np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8])).tolist() == [1.0, 1 + 2.0**-6]
    assert np.all(np.abs(bfloat16.round(TRUE) - TRUE) <= bfloat16.unit_roundoff * np.abs(TRUE))

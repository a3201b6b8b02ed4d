"""Ten thousand correct evaluations raise no alarm; a hundred of them in every run."""

import pytest

from multigrad.ops.implementation import HALVES
from tests.multigrad import soak as soaking
from tests.multigrad.soak import alarms, soak, soak_kernels


def test_a_hundred_correct_evaluations_raise_no_alarm():
    frame = soak(100, names=["numpy"], seed=7)
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)
    assert (frame["verdict"] == "PASS").mean() > 0.9
    assert len(frame.drop_duplicates(["operation", "dtype", "regime", "sizes", "seed"])) == 100
    assert set(frame["dtype"]) == {"float64", "float32"}


def test_fifty_correct_evaluations_in_float16_raise_no_alarm():
    frame = soak(50, names=["numpy"], dtypes=HALVES, seed=7)
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)
    assert set(frame["dtype"]) == {"float16"}


def test_two_hundred_correct_kernels_in_halves_raise_no_alarm():
    frame = soak_kernels(200, seed=7)
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)
    assert (frame["verdict"] == "PASS").mean() > 0.95
    assert set(frame["dtype"]) == {*HALVES}


@pytest.mark.long
def test_five_thousand_correct_kernels_in_halves_raise_no_alarm():
    frame = soak_kernels(5000, seed=100)
    print(alarms(frame))  # noqa: T201 - the figures are wanted
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)


@pytest.mark.long
def test_two_thousand_correct_evaluations_in_halves_raise_no_alarm():
    frame = soak(2000, dtypes=HALVES, seed=1)
    print(alarms(frame))  # noqa: T201 - the figures are wanted
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)
    assert set(frame["dtype"]) == {*HALVES}


@pytest.mark.long
def test_ten_thousand_correct_evaluations_raise_no_alarm():
    frame = soak(10_000, seed=1)
    print(alarms(frame))  # noqa: T201 - the figures are wanted
    assert not (frame["verdict"] == "FAIL").any(), alarms(frame)
    assert len(frame.drop_duplicates(["operation", "backend", "dtype", "regime", "sizes", "seed"])) == 10_000


def test_a_wrong_evaluation_raises_one(monkeypatch):
    def off_by_a_millionth(*arguments, **options):
        known = find(*arguments, **options)
        for reference in known.references:
            reference.value[...] *= 1 + 1e-5
        return known

    find = soaking.find_truth
    monkeypatch.setattr(soaking, "find_truth", off_by_a_millionth)
    rows = [
        r for m in soaking.serve({"backend": "numpy", "count": 1, "ops": ["linear_map"], "seed": 3}) for r in m["rows"]
    ]
    assert {r["verdict"] for r in rows} == {"FAIL"}

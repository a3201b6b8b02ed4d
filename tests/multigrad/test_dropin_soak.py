"""Right functions through the drop-ins raise no alarm: a few in every run, ten thousand when asked for."""

from __future__ import annotations

import itertools

import pytest

from tests.multigrad.dropin_soak import ALARM, RIGHT, counted, evaluations

pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
pytest.importorskip("jax", reason="jax is not installed (pip install jax)")

FEW = ("relu_regression", "softmax", "huber", "linear_map")


def test_right_functions_raise_no_alarm() -> None:
    rows = list(itertools.islice(evaluations(7, FEW), 20))
    assert not [row for row in rows if row.verdict == ALARM], counted(rows)
    assert sum(row.verdict == RIGHT for row in rows) >= 14, counted(rows)
    assert {row.drop_in for row in rows} == {"gradcheck", "check_grads", "check_grad"}


def test_a_wrong_function_raises_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from multigrad.dropins import judge

    truths_at = judge.truths_at

    def off(*arguments, **options):
        found = truths_at(*arguments, **options)
        for truth in found:
            for reference in truth.references:
                reference.value[...] *= 1 + 1e-2
        return found

    monkeypatch.setattr(judge, "truths_at", off)
    rows = list(itertools.islice(evaluations(7, ["linear_map"]), 3))
    assert {row.verdict for row in rows} == {ALARM}


@pytest.mark.long
def test_ten_thousand_right_functions_raise_no_alarm() -> None:
    rows = list(itertools.islice(evaluations(1), 10_000))
    print(counted(rows))  # noqa: T201 - the figures are wanted
    assert not [row for row in rows if row.verdict == ALARM], counted(rows)

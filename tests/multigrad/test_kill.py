"""Every wrong gradient is killed, or shown to be as right as the original."""

import numpy as np
import pandas as pd
import pytest
from multigrad.bench.report.kill_matrix import kill_markdown

from multigrad import BadInput, operation
from multigrad.mutation.checks import CORRECT, OURS
from multigrad.mutation.kill import COLUMNS, kill_matrix
from multigrad.mutation.shares import kill_shares, survivors


@pytest.fixture(scope="module")
def matrix():
    return kill_matrix(["relu_regression", "linear_map"], backends=["numpy"])


def test_no_mutant_survives(matrix):
    assert list(matrix.columns) == list(COLUMNS)
    assert len(survivors(matrix)) == 0
    assert matrix["mutant"].nunique() > 40


def test_no_check_rejects_what_is_correct(matrix):
    correct = matrix[matrix["mutant"] == CORRECT]
    assert len(correct) > 0
    assert not correct["killed"].any()


def test_a_mask_that_differs_on_the_kink_only_is_shown_equivalent(matrix):
    (rows,) = [g for _, g in matrix[matrix["change"] == "Z > 0 → Z >= 0"].groupby("mutant")]
    assert rows["equivalent"].all()
    assert rows["reason"].str.contains("differs on kinks only, within the subdifferential").any()


def test_a_rounded_result_is_killed_by_the_number_alone(matrix):
    rounded = matrix[matrix["kind"] == "lower-precision"]
    assert set(rounded[rounded["killed"]]["check"]) == {"number"}
    assert rounded[rounded["check"] == "number"]["killed"].all()


def test_what_goes_from_call_to_call_is_killed_by_the_relations(matrix):
    for kind in ("second-call", "change-inputs", "shared-buffer"):
        rows = matrix[(matrix["kind"] == kind) & (matrix["check"] == "relations")]
        assert len(rows) == 2
        assert rows["killed"].all()


def test_the_shares_count_what_was_killed_and_the_alarms(matrix):
    shares = kill_shares(matrix).set_index("check")
    assert shares.loc["multigrad", "share"] == 1
    assert shares.loc["multigrad", "false_alarms"] == 0
    assert 0 < shares.loc["formula", "share"] < 1
    assert shares.loc["formula", "wrong_formula_share"] == 1
    pytest.importorskip("scipy")
    assert 0.5 < shares.loc["scipy check_grad", "share"] < 1


def test_the_table_names_every_check(matrix):
    text = kill_markdown(matrix)
    assert all(name in text for name in OURS)
    assert "| **multigrad** | " in text


def test_a_share_that_is_not_all_is_not_written_as_all():
    rows = [["f", i, "k", 1, "", "formula", "exact", i > 0, False, "", 0.0] for i in range(5000)]
    text = kill_markdown(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert "99.9 %" in text
    assert "4999 of 5000" in text


def test_a_survivor_is_one_that_nobody_killed_and_nobody_excused():
    rows = [["f", i, "k", 1, "", c, "exact", c == "number" and i == 0, i == 1, "", 0.0] for i in range(3) for c in OURS]
    left = survivors(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert list(left["mutant"]) == [2]


def test_an_operation_that_lies_in_no_file_is_refused():
    @operation("(n)->()")
    def f(xp, x):
        return xp.sum(x), lambda b: b + np.zeros(3)

    with pytest.raises(BadInput, match="lies in no file"):
        kill_matrix([f])


@pytest.mark.long
def test_no_mutant_of_the_catalogue_survives():
    frame = kill_matrix()
    print(kill_markdown(frame))  # noqa: T201 - the figures are wanted
    assert len(survivors(frame)) == 0, survivors(frame)[["operation", "mutant", "kind", "line", "change"]].to_string()
    assert not frame[frame["check"].isin(OURS) & (frame["mutant"] == CORRECT)]["killed"].any()

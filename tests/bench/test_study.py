from __future__ import annotations

import math

import pytest
from fast_protocol import FAST
from multigrad.bench import load_run, measure_study
from multigrad.bench.analysis.answer import answer, study_of
from multigrad.bench.measurement.measure import cells_of
from multigrad.bench.plan import study
from multigrad.bench.report.answers import write_answer
from test_compare import run_of, summary_row

from multigrad import BadInput
from multigrad.ops.selection import Selection

MINE = """
question = "Does the pullback cost more than the forward part?"
[answer]
kind = "within"
column = "variant"
before = "forward"
after = "analytic"
[[cells]]
operation = "{square}"
backend = "fake_backends:BUSY"
mode = "eager"
dtype = "float64"
threads = 1
size = [{{ n = 5 }}, "only"]
"""
PYTHON = """
STUDY = {{
    "question": "How many cells are there?",
    "cells": [{{"operation": "{square}", "backend": "fake_backends:BUSY", "mode": "eager", "dtype": "float64",
               "variant": "forward", "threads": 1}}],
}}

def answer(run):
    return run.summary, f"There are {{len(run.summary)}} cells."
"""


def test_every_study_has_its_question_and_cells_that_exist():
    found = study.studies()
    assert len(found) >= 7
    for one in found.values():
        assert one.question.endswith("?")
        for table in one.cells:
            wanted = {("ops" if k == "operation" else k): v for k, v in table.items() if k != "threads"}
            assert any(refusal is None for refusal in cells_of(Selection.of(**{"backend": "numpy", **wanted})).values())


def test_a_study_of_ones_own_is_measured_and_answered(square, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE.format(square=square))
    given = {"ops": square, "backend": "fake_backends:BUSY"}
    run = measure_study(file, **given, protocol=FAST, folder=tmp_path / "run")
    again = load_run(tmp_path / "run")
    found = study_of(again)
    assert found.question == "Does the pullback cost more than the forward part?"
    frame, sentence = answer(found, again)
    assert frame["sizes"].tolist() == ["n=5", "n=64"]
    assert (frame["before"] == "forward").all()
    assert "forward" in sentence
    assert len(run.summary) == 2 * 4


def test_a_python_file_may_answer_for_itself(square, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PYTHON.format(square=square))
    one = study.study(file)
    assert answer(one, measure_study(one, protocol=FAST))[1] == "There are 1 cells."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question = ", "mine.toml cannot be read as TOML"),
        ("cells = []", "mine.toml: question is missing"),
        ('question = "?"', "mine.toml: cells is missing"),
        (
            'question = "?"\n[answer]\nkind = "guess"\n[[cells]]\nmode = "eager"',
            "answer.kind is 'guess'; there are within",
        ),
        ('question = "?"\n[answer]\nkind = "within"\n[[cells]]\nmode = "eager"', "answer.column is missing"),
        (
            'question = "?"\n[answer]\nkind = "scaling"\n[[cells]]\nspeed = 1',
            "no 'speed' in cells; there are operation",
        ),
    ],
)
def test_a_damaged_study_is_one_line(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        study.study(file)
    assert "\n" not in str(caught.value)


def test_an_unknown_study_is_named_with_the_nearest():
    with pytest.raises(BadInput, match="no study named 'smal_arrays'; did you mean 'small_arrays'"):
        study.study("smal_arrays")


def answered(name, rows):
    return answer(study.study(name), run_of(rows, 5))


def test_the_break_even_is_the_price_over_what_a_call_saves():
    rows = [
        summary_row("f", mode="eager", median_s=3e-3, first_call_s=0.01),
        summary_row("f", mode="compiled", median_s=1e-3, first_call_s=2.01),
        summary_row("never", mode="eager", median_s=1e-3, first_call_s=0.01),
        summary_row("never", mode="compiled", median_s=2e-3, first_call_s=2.01),
    ]
    frame, sentence = answered("eager_against_compiled", rows)
    first, never = frame["break_even_calls"]
    assert first == pytest.approx(1000, rel=0.05)
    assert math.isinf(never)
    assert "and never does in 1" in sentence


def test_a_sweep_says_how_time_grows():
    sizes = (8, 16, 32, 64, 128, 256)
    rows = [summary_row("relu_regression", sizes=f"m={n} k={n} n={n}", median_s=1e-5 + 1e-9 * n**3) for n in sizes]
    frame, sentence = answered("sweep_relu_regression", rows)
    assert frame["exponent"].tolist() == [pytest.approx(3, abs=0.1)]
    assert "numpy eager analytic n^" in sentence
    assert "overhead up to n = 2" in sentence


def test_small_arrays_say_what_a_call_costs():
    rows = [summary_row("f", latency_s=2e-6), summary_row("f", backend="torch", latency_s=8e-6)]
    frame, sentence = answered("small_arrays", rows)
    assert sentence.endswith("numpy/cpu eager 2.0 µs; torch/cpu eager 8.0 µs.")
    assert frame["backend"].tolist() == ["numpy", "torch"]


def two_backends():
    """Return the rows of an operation on two backends, of which neither has both of the best times."""
    return [
        summary_row("f", backend="a", variant="analytic", median_s=2e-3),
        summary_row("f", backend="b", variant="analytic", median_s=1e-3),
        summary_row("f", backend="a", variant="autodiff", median_s=3e-3),
        summary_row("f", backend="b", variant="autodiff", median_s=5e-3),
    ]


def test_the_best_of_one_side_is_laid_beside_the_best_of_the_others():
    rows = [
        *two_backends(),
        summary_row("g", backend="b", variant="analytic", median_s=1e-3),
        summary_row("h", backend="b", variant="autodiff", median_s=1e-3),
    ]
    wanted = {"kind": "best", "column": "variant", "before": ["autodiff", "native"], "after": "analytic"}
    frame, sentence = answer(study.Study("mine", "?", (), wanted), run_of(rows, 1))
    assert frame["operation"].tolist() == ["f", "g"]
    f, g = frame.to_dict("records")
    assert (f["by"], f["autodiff_by"]) == ("b eager", "a eager")
    assert f["autodiff_ratio"] == pytest.approx(3, rel=0.02)
    assert f["autodiff_low"] <= f["autodiff_ratio"] <= f["autodiff_high"]
    assert math.isnan(g["autodiff_ratio"])
    assert math.isnan(f["native_ratio"])
    assert "geometric mean" not in sentence
    assert (f["autodiff_word"], g["autodiff_word"], f["flags_autodiff"]) == ("faster", "", "")


def test_an_answer_is_written_as_a_page_for_people(tmp_path):
    rows = [
        *two_backends(),
        summary_row("<b>", backend="b", variant="analytic", median_s=1e-3),
    ]
    run = run_of(rows, 5)
    write_answer(tmp_path / "page.md", study.study("gradbench"), run)
    lines = (tmp_path / "page.md").read_text().splitlines()
    (best,) = [line for line in lines if line.startswith("| f ") and "b eager" in line]
    assert "1 ms" in best
    (each,) = [line for line in lines if line.startswith("| f ") and line != best]
    quotients = [float(part.split(" (")[0]) for part in (best.split(" | ")[6], *each.split(" | ")[2:4])]
    assert quotients == pytest.approx([3, 1.5, 5], rel=0.05)
    assert not any("<b>" in line for line in lines)
    assert "–" in next(line for line in lines if "&lt;b&gt;" in line)


def test_an_answer_lays_peak_memory_and_the_roof_beside_each_other(tmp_path):
    rows = [
        summary_row("f", variant="analytic", peak_bytes=2e6, roof_percent=61.0, bound="memory"),
        summary_row("f", variant="autodiff", peak_bytes=5e6),
        summary_row("g", variant="analytic", peak_bytes=0.0),
        summary_row("g", variant="autodiff", peak_bytes=1.0),
        summary_row("h", variant="analytic"),
        summary_row("h", variant="autodiff", median_s=math.nan),
    ]
    write_answer(tmp_path / "page.md", study.study("catalogue"), run_of(rows, 5))
    text = (tmp_path / "page.md").read_text()
    assert "numpy eager 1.58 (of 2, least 1.00)" in text
    lines = text[text.index("how near analytic comes") :].splitlines()
    (f,), (g,) = ([line for line in lines if line.startswith(f"| {name} ")] for name in "fg")
    assert [part.strip() for part in f.split("|")[3:6]] == ["2.50", "memory", "61 %"]
    assert [part.strip() for part in g.split("|")[3:6]] == ["1.00", "", "–"]
    assert not any(line.startswith("| h ") for line in lines)

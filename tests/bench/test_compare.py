from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from fast_protocol import FAST
from multigrad.bench import Run, compare, measure
from multigrad.bench.analysis.compare import (
    REGRESSIONS,
    failing,
    find_run,
    geometric_means,
    parse_words,
    within,
)
from multigrad.bench.plan.cells import KEY
from multigrad.bench.report.comparison import markdown
from multigrad.bench.store.folder import RUN
from multigrad.bench.store.frames import blank, to_frame
from multigrad.bench.store.rows import SampleRow, SummaryRow
from multigrad.bench.store.schema import SCHEMA

from multigrad import BadInput

HOST = {"cpu": "A", "cores": 2, "processors": 2, "gpus": [], "architecture": "x86_64", "governor": "unknown"}


def summary_row(name, **values):
    empty = blank(SummaryRow)
    known = {"operation": name, "variant": "analytic", "mode": "eager", "backend": "numpy", "device": "cpu"}
    known |= {"dtype": "float32", "sizes": "n=3", "threads": 1, "precision": "strict", "headline": "latency"}
    return SummaryRow(**{**empty, **known, "verdict": "PASS", "median_s": 1e-3, **values})


def sample_rows(row, median, rng, drift, spread=0.005):
    key = {name: getattr(row, name) for name in KEY}
    empty = blank(SampleRow)
    return [
        SampleRow(
            **{**empty, **key, "round": r, "block": b, "kind": "latency", "calls": 8, "block_s": 8 * speed * noise}
        )
        for r, speed in enumerate(
            median * (1 + spread * rng.standard_normal(5)) * np.exp(drift * np.sin(9 * np.arange(5)))
        )
        for b, noise in enumerate(1 + 0.02 * rng.exponential(size=10))
    ]


def run_of(rows, seed, *, drift=0.0, cpu="A"):
    """A run whose processes differ by half a percent, on a machine whose speed may drift from round to round."""
    rng = np.random.default_rng(seed)
    samples = [s for r in rows if r.median_s and r.median_s > 0 for s in sample_rows(r, r.median_s, rng, drift)]
    info = {"host": {**HOST, "cpu": cpu}, "precision": "strict", "threads": [1]}
    return Run(None, info, to_frame(rows, SummaryRow), to_frame(samples, SampleRow))


def words(before, after, **options):
    frame = compare(before, after, **options)
    return dict(zip(frame["operation"], frame["word"], strict=True))


def test_the_catalogues_operation_is_not_compared_with_anothers_of_its_name():
    rows = [summary_row("relu"), summary_row("mine")]
    before, after = run_of(rows, 1), run_of(rows, 2)
    own = {"mine": "mine.py", "elsewhere": "elsewhere.py"}
    before.info["own_operations"], after.info["own_operations"] = {**own, "relu": "mine.py"}, own
    with pytest.raises(BadInput, match=r"not of a kind \(relu: of mine.py before, of the catalogue after\)"):
        compare(before, after)
    assert compare(before, after, force=True)["reason"].str.startswith("forced: relu").all()
    after.info["own_operations"] = {"relu": "moved.py", "mine": "mine.py"}
    assert len(compare(before, after)) == 2
    del after.info["own_operations"]  # a run of yesterday
    assert len(compare(before, after)) == 2


def test_every_word_is_said_where_it_belongs():
    lost = {"verdict": "FAIL", "median_s": None, "reason": "wrong"}
    before = run_of(
        [
            summary_row("steady"),
            summary_row("slow"),
            summary_row("fast"),
            summary_row("flagged", flags="above-roof"),
            summary_row("breaks"),
            summary_row("heals", **lost),
            summary_row("goes"),
            summary_row("never", **lost),
            summary_row("nowhere", verdict="UNAVAILABLE", median_s=None),
        ],
        1,
    )
    after = run_of(
        [
            summary_row("steady"),
            summary_row("slow", median_s=1.15e-3),
            summary_row("fast", median_s=0.85e-3),
            summary_row("flagged", median_s=2e-3),
            summary_row("breaks", **lost),
            summary_row("heals"),
            summary_row("comes"),
            summary_row("never", **lost),
            summary_row("nowhere", verdict="UNAVAILABLE", median_s=None),
        ],
        2,
    )
    assert words(before, after) == {
        "steady": "same",
        "slow": "slower",
        "fast": "faster",
        "flagged": "unclear",
        "breaks": "new failure",
        "heals": "fixed",
        "goes": "missing",
        "comes": "new",
        "never": "not comparable",
    }
    assert {"slower", "new failure"} == set(REGRESSIONS)


def test_what_equals_differ_by_beyond_their_intervals_widens_the_margin_of_both_runs():
    before, after = run_of([summary_row("f")], 1), run_of([summary_row("f", median_s=1.15e-3)], 2)
    before.info["pairs"] = [{"cell": "f", "ratio": 1.3, "low": 0.98, "high": 1.7}]
    assert words(before, after) == {"f": "slower"}
    after.info["pairs"] = [{"cell": "f", "ratio": 0.87, "low": 0.83, "high": 1 / 1.1}]
    frame = compare(before, after)
    assert frame["word"].tolist() == ["same"]
    assert frame["margin"].tolist() == pytest.approx([0.2])


def test_runs_of_different_machines_are_refused_unless_forced_and_then_marked():
    before, after = run_of([summary_row("f")], 1), run_of([summary_row("f")], 2, cpu="B")
    with pytest.raises(BadInput, match=r"the runs are not of a kind .cpu: 'A' before, 'B' after"):
        compare(before, after)
    assert compare(before, after, force=True)["reason"].tolist() == ["forced: cpu: 'A' before, 'B' after"]


def test_a_measured_run_is_the_same_as_itself(square, tmp_path):
    options = {"protocol": FAST, "dtype": "float64", "threads": 1, "mode": "eager", "variant": "forward"}
    measure(square, backend="fake_backends:BUSY", folder=tmp_path / "run", **options)
    frame = compare(tmp_path / "run", tmp_path / "run")
    assert frame["ratio"].tolist() == [1.0]
    assert not set(frame["word"]) & set(REGRESSIONS)


def test_two_variants_of_one_run_are_compared_cell_by_cell():
    rows = [
        summary_row("f", variant="autodiff", median_s=2e-3),
        summary_row("f", variant="analytic", median_s=1e-3),
        summary_row("g", variant="autodiff"),
        summary_row("g", variant="analytic"),
        summary_row("only", variant="analytic"),
    ]
    frame = within(run_of(rows, 3), "variant", "autodiff", "analytic")
    assert dict(zip(frame["operation"], frame["word"], strict=True)) == {"f": "faster", "g": "same", "only": "new"}
    assert set(frame["before"]) == {"autodiff"}
    assert set(frame["variant"]) == {"analytic"}
    with pytest.raises(BadInput, match="no cell has variant 'native'; there are autodiff, analytic"):
        within(run_of(rows, 3), "variant", "native", "analytic")
    with pytest.raises(BadInput, match="no column 'speed' to compare by"):
        within(run_of(rows, 3), "speed", 1, 2)


NOISY = "spread-between spread-turns spread-within preempted not-warm few-blocks slow-first-block throttled"


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        (NOISY, "", "slower"),
        ("above-roof", "", "unclear"),
        ("crowded", NOISY, "unclear"),
        ("", "died", "unclear"),
        ("oversubscribed", "", "unclear"),
        ("threads-unverified", "", "unclear"),
        ("overhead-bound", NOISY, "slower"),
        ("overhead-bound", "overhead-bound", "unclear"),
    ],
)
def test_a_flag_bars_a_word_only_where_it_makes_a_time_meaningless(ours, theirs, word):
    rows = [
        summary_row("f", backend="numpy", flags=ours),
        summary_row("f", backend="torch", median_s=1.2e-3, flags=theirs),
    ]
    frame = within(run_of(rows, 4), "backend", "numpy", "torch")
    assert frame["word"].tolist() == [word]
    assert set(frame["flags"][0].split()) == {*ours.split(), *theirs.split()}


def test_two_commits_that_were_measured_in_turns_are_pairs():
    rows = [summary_row(name) for name in "fg"]
    before = run_of(rows, 1, drift=0.3)
    after = run_of([dataclasses.replace(row, median_s=1.2e-3) for row in rows], 2, drift=0.3)
    for run in (before, after):
        run.info["turns"] = True
    before.info["git"] = {"commit": "abcd"}
    assert set(words(before, after).values()) == {"unclear"}
    both = dataclasses.replace(after, before=before)
    assert set(words(before, both).values()) == {"slower"}
    assert set(words(both, before).values()) == {"faster"}
    before.info["turns"] = False
    assert set(words(before, both).values()) == {"unclear"}


def test_runs_of_other_threads_are_matched_when_forced():
    before, after = run_of([summary_row("f", threads=1)], 1), run_of([summary_row("f", threads=2)], 2)
    after.info["threads"] = [2]
    with pytest.raises(BadInput, match=r"threads: \[1\] before, \[2\] after"):
        compare(before, after)
    assert words(before, after, force=True) == {"f": "same"}


def test_other_versions_are_noted_and_not_refused():
    before, after = run_of([summary_row("f")], 1), run_of([summary_row("f")], 2)
    before.info["versions"], after.info["versions"] = {"numpy": "2.1"}, {"numpy": "2.4"}
    frame = compare(before, after)
    assert frame.attrs["noted"] == ["numpy: '2.1' before, '2.4' after"]
    assert "numpy: '2.1' before" in markdown(frame)


def test_a_gate_fails_for_the_words_it_is_told():
    before = run_of([summary_row("slow"), summary_row("goes")], 1)
    frame = compare(before, run_of([summary_row("slow", median_s=1.2e-3)], 2))
    assert failing(frame)["operation"].tolist() == ["slow"]
    assert failing(frame, parse_words("missing"))["operation"].tolist() == ["goes"]
    assert failing(frame, parse_words("none")).empty
    assert parse_words("new-failure, slower") == ("new failure", "slower")
    with pytest.raises(BadInput, match="no comparison says 'worse'"):
        parse_words("worse")


def test_the_geometric_mean_says_what_it_is_of():
    before = run_of([summary_row("f"), summary_row("g"), summary_row("flagged", flags="above-roof")], 1)
    after = run_of(
        [
            summary_row("f", median_s=2e-3),
            summary_row("g", median_s=0.5e-3),
            summary_row("flagged", median_s=9e-3),
        ],
        2,
    )
    everything = geometric_means(compare(before, after)).iloc[-1]
    assert everything["geometric_mean"] == pytest.approx(1, abs=0.02)
    assert (everything["cells"], everything["excluded"]) == (2, 1)


def test_markdown_for_a_pull_request_is_escaped():
    before = run_of([summary_row("a|b_<script>@all")], 1)
    after = run_of([summary_row("a|b_<script>@all", verdict="FAIL", median_s=None, reason="x\ny | `z` #12")], 2)
    text = markdown(compare(before, after))
    (line,) = [line for line in text.splitlines() if "new failure" in line and line.startswith("| a")]
    assert re.sub(r"\\\|", "", line).count("|") == 6
    assert "<script>" not in text
    assert "@all" not in text
    assert "#12" not in text
    assert "1 new failure" in text


def test_a_run_is_found_by_the_commit_it_measured(tmp_path):
    for i, commit in enumerate(("abcd1234", "abcd1234", "ffff0000")):
        folder = tmp_path / "here" / f"run{i}"
        folder.mkdir(parents=True)
        info = {"schema": SCHEMA, "git": {"commit": commit}, "started": f"2026-01-0{i + 1}"}
        (folder / RUN).write_text(json.dumps(info))
    assert find_run("abcd", tmp_path).name == "run1"
    assert find_run(tmp_path / "here" / "run2", tmp_path).name == "run2"
    with pytest.raises(BadInput, match="no folder 1234, and no run below"):
        find_run("1234", tmp_path)

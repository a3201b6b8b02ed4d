from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fast_protocol import FAST
from multigrad.bench import store
from multigrad.bench.compare import REGRESSIONS, compare
from multigrad.bench.measure import measure

from multigrad import BadInput

HOST = {"cpu": "A", "cores": 2, "processors": 2, "gpus": [], "architecture": "x86_64", "governor": "unknown"}


def summary_row(name, **values):
    blank = {
        f.name: "" if f.type == "str" else 0 if f.type == "int" else None for f in dataclasses.fields(store.SummaryRow)
    }
    known = {"operation": name, "variant": "analytic", "mode": "eager", "backend": "numpy", "device": "cpu"}
    known |= {"dtype": "float32", "sizes": "n=3", "threads": 1, "precision": "strict", "headline": "latency"}
    return store.SummaryRow(**{**blank, **known, "verdict": "PASS", "median_s": 1e-3, **values})


def sample_rows(row, median, rng, spread=0.005):
    key = {name: getattr(row, name) for name in store.KEY}
    blank = {
        f.name: "" if f.type == "str" else 0 if f.type == "int" else None for f in dataclasses.fields(store.SampleRow)
    }
    return [
        store.SampleRow(
            **{**blank, **key, "round": r, "block": b, "kind": "latency", "calls": 8, "block_s": 8 * speed * noise}
        )
        for r, speed in enumerate(median * (1 + spread * rng.standard_normal(5)))
        for b, noise in enumerate(1 + 0.02 * rng.exponential(size=10))
    ]


def run_of(rows, seed, *, floor=0.01, cpu="A"):
    rng = np.random.default_rng(seed)
    samples = [s for r in rows if r.median_s for s in sample_rows(r, r.median_s, rng)]
    info = {"host": {**HOST, "cpu": cpu}, "precision": "strict", "threads": [1], "noise_floor": floor}
    return store.Run(None, info, store.to_frame(rows, store.SummaryRow), store.to_frame(samples, store.SampleRow))


def words(before, after, **options):
    frame = compare(before, after, **options)
    return dict(zip(frame["operation"], frame["word"], strict=True))


def test_every_word_is_said_where_it_belongs():
    lost = {"verdict": "FAIL", "median_s": None, "reason": "wrong"}
    before = run_of(
        [
            summary_row("steady"),
            summary_row("slow"),
            summary_row("fast"),
            summary_row("flagged", flags="spread-between"),
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


def test_the_noisier_of_two_runs_sets_the_margin():
    before, after = run_of([summary_row("f")], 1), run_of([summary_row("f", median_s=1.15e-3)], 2, floor=0.1)
    assert words(before, after) == {"f": "same"}


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

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from made_up_run import made_up
from multigrad.bench import compare, export, load_run, measure, merge
from multigrad.bench.analysis.compare import within
from multigrad.bench.plan.cells import KEY
from multigrad.bench.report.charts import charts
from multigrad.bench.report.conclusions import conclusions
from multigrad.bench.report.figures import Figures
from multigrad.bench.report.html import html
from multigrad.bench.report.markdown import markdown
from multigrad.bench.store.folder import RUN, SAMPLES, SUMMARY
from multigrad.bench.store.frames import read_rows, write_frame
from multigrad.bench.store.rows import SampleRow, SummaryRow

from multigrad import BadInput

STARTED = {"atlas": "2026-11-21T13:00:00+0000", "borea": "2026-11-21T14:00:00+0000"}


def changed(folder, pace=1.0, floor=0.02, **host):
    """Say that a run is of another host, and that everything took so many times as long."""
    info = json.loads((folder / RUN).read_text())
    name = host["hostname"]
    info |= {"host": {**info["host"], "python": "CPython 3.11", **host}, "threads": [2], "noise_floor": floor}
    info |= {"pairs": [{"cell": "f", "ratio": 1 + floor, "low": 1 + floor, "high": 1 + floor}]}
    info |= {"started": STARTED.get(name, STARTED["atlas"]), "turns": True, "state": "complete"}
    (folder / RUN).write_text(json.dumps(info))
    for file, row_class, columns in (
        (SUMMARY, SummaryRow, ["median_s", "ci_low_s", "ci_high_s"]),
        (SAMPLES, SampleRow, ["block_s"]),
    ):
        frame = read_rows(folder / file, row_class)
        frame[columns] *= pace
        write_frame(frame, folder / file)
    return folder


@pytest.fixture
def atlas(tmp_path):
    return changed(made_up(tmp_path / "a", operations=2, sizes=2), hostname="Atlas.local")


@pytest.fixture
def borea(tmp_path):
    return changed(made_up(tmp_path / "b", operations=2, sizes=2), 10.0, 0.2, hostname="Borea.local", cpu="Other")


def test_every_row_of_a_merged_run_says_its_machine(atlas, borea, tmp_path):
    merged = merge([atlas, borea], tmp_path / "both")
    again = load_run(tmp_path / "both")
    assert list(merged.machines) == ["atlas-local", "borea-local"]
    one = load_run(atlas)
    for made in (merged, again):
        for frame, alone in ((made.summary, one.summary), (made.samples, one.samples), (made.matrix, one.matrix)):
            assert frame["machine"].value_counts().to_dict() == dict.fromkeys(merged.machines, len(alone))
    assert again.summary.equals(merged.summary)
    assert again.matrix.equals(merged.matrix)
    entry = again.machines["borea-local"]
    assert entry["host"]["cpu"] == entry["fingerprint"]["cpu"] == "Other"
    assert entry["noise_floor"] == 0.2
    assert "host" not in again.info


def test_only_times_of_one_machine_are_compared(atlas, borea, tmp_path):
    merged = merge([atlas, borea], tmp_path / "both")
    frame = within(merged, "backend", "numpy", "torch")
    alone = within(atlas, "backend", "numpy", "torch")
    assert len(frame) == 2 * len(alone)
    assert frame["ratio"].max() < 2  # the other machine is ten times as slow
    margins = frame.groupby("machine")["margin"].first().to_dict()
    assert margins == pytest.approx({"atlas-local": 0.05, "borea-local": 0.4})
    with pytest.raises(BadInput, match="no column 'machine' to compare by"):
        within(merged, "machine", "atlas-local", "borea-local")
    wins = {row["where"] for row in Figures.of(merged).largest}
    assert wins == {row["where"] for row in Figures.of(load_run(atlas)).largest}
    both, one = (Figures.of(run) for run in (merged, load_run(atlas)))
    assert len(both.problems) == 2 * len(one.problems)
    assert {one.title.rpartition(", on ")[2] for one in conclusions(both).problems} == set(merged.machines)


def test_the_same_cell_of_one_machine_is_kept_once_and_the_newest_time_counts(atlas, tmp_path):
    newer = changed(made_up(tmp_path / "newer", operations=1, sizes=2), 3.0, hostname="Atlas.local")
    info = json.loads((newer / RUN).read_text())
    (newer / RUN).write_text(json.dumps(info | {"started": STARTED["borea"]}))
    summary = read_rows(newer / SUMMARY, SummaryRow)
    lost = summary.index[0]
    summary.loc[lost, ["verdict", "reason"]] = "UNAVAILABLE", "it was not there"
    summary.loc[lost, "median_s"] = float("nan")
    write_frame(summary, newer / SUMMARY)
    old, new = load_run(atlas), load_run(newer)
    for order in ([atlas, newer], [newer, atlas]):
        merged = merge(order, tmp_path / f"both-{order[0].name}")
        assert merged.info["measured_twice"] == len(new.summary)
        assert len(merged.summary) == len(old.summary)
        assert not merged.summary.duplicated(list(KEY)).any()
        key = [name for name in KEY if name != "machine"]
        found = merged.summary.set_index(key)["median_s"]
        for row in new.summary.iloc[1:].to_dict("records"):
            expected = row["median_s"]
            assert found[tuple(row[k] for k in key)] == expected or pd.isna(expected)
        first = old.summary.iloc[0]
        assert found[tuple(first[k] for k in key)] == first["median_s"]  # a time is not lost to none
        per_cell = merged.samples.groupby([*KEY, "round", "twin", "block"]).size()
        assert (per_cell == 1).all()
        assert not merged.info["turns"]  # rounds of two runs are no pairs


def test_a_machine_in_another_state_is_another_machine(atlas, tmp_path):
    other = changed(made_up(tmp_path / "other", operations=1), hostname="Atlas.local")
    info = json.loads((other / RUN).read_text())
    (other / RUN).write_text(json.dumps(info | {"versions": {**info["versions"], "torch": "9.2"}}))
    merged = merge([atlas, other], tmp_path / "both")
    assert list(merged.machines) == ["atlas-local", "atlas-local-2"]
    assert merged.info["versions"] == {"numpy": "9.0"}


def test_merged_runs_can_be_merged(atlas, borea, tmp_path):
    first = merge([atlas], tmp_path / "first")
    assert first.info["host"]["cpu"] == "Imaginary"  # of one machine it is a run like any other
    merged = merge([tmp_path / "first", borea], tmp_path / "both")
    direct = merge([borea, atlas], tmp_path / "direct")
    assert merged.machines == direct.machines
    assert len(merged.summary) == len(direct.summary)


def test_a_run_of_one_machine_is_compared_with_that_machine_alone(atlas, borea, tmp_path):
    merged = merge([atlas, borea], tmp_path / "both")
    frame = compare(atlas, merged)
    of_atlas = frame[frame["machine"] == "atlas-local"]
    assert set(of_atlas["word"]) <= {"same", "unclear"}
    assert (frame[frame["machine"] == "borea-local"]["word"] == "new").all()


def test_machines_are_never_compared_in_silence(atlas, borea, tmp_path):
    both = merge([atlas, borea], tmp_path / "both")
    machines = {name: dict(entry) for name, entry in both.machines.items()}
    machines["borea-local"] |= {"host": {**machines["borea-local"]["host"], "cores": 64}}
    moved = replace(both, info={**both.info, "machines": machines})
    with pytest.raises(BadInput, match=r"not of a kind \(borea-local: cores: 2 before, 64 after\)"):
        compare(both, moved)
    assert compare(both, moved, force=True)["reason"].str.startswith("forced: borea-local").any()
    alone = merge([borea], tmp_path / "alone")
    with pytest.raises(BadInput, match="no machine is in both: atlas-local before, borea-local after"):
        compare(atlas, alone)
    forced = compare(atlas, alone, force=True)
    assert forced["ratio"].median() == pytest.approx(10, rel=0.1)
    assert forced["reason"].str.startswith("forced: no machine is in both").any()


def test_the_report_of_several_machines_tells_them_apart(atlas, borea, tmp_path):
    merged = merge([atlas, borea], tmp_path / "both")
    said = markdown(merged)
    assert "| atlas-local | Imaginary |" in said
    assert "float32, on borea-local" in said
    page = html(merged)
    assert "<title>multigrad report · 2 machines" in page
    assert "borea-local: Machine" in page
    chosen = {chart.name: chart.chosen_by for chart in charts(Figures.of(merged))}
    assert all("machine" in chosen[name] for name in ("time", "calls", "roofline", "noise"))


def test_the_report_of_one_machine_says_nothing_of_machines(atlas):
    figures = Figures.of(load_run(atlas))
    rows = [row for chart in charts(figures) for row in chart.rows]
    assert rows
    assert not [row for row in rows if "machine" in row]
    assert not [chart for chart in charts(figures) if "machine" in chart.chosen_by]


def test_a_run_from_before_there_was_a_machine_is_read(atlas):
    for name, row_class in ((SUMMARY, SummaryRow), (SAMPLES, SampleRow)):
        frame = read_rows(atlas / name, row_class)
        write_frame(frame.drop(columns="machine"), atlas / name)
        assert read_rows(atlas / name, row_class).equals(frame)


def test_what_cannot_be_merged_is_one_line(atlas, borea, tmp_path):
    merge([atlas, borea], tmp_path / "both")
    with pytest.raises(BadInput, match="already holds a run"):
        merge([atlas], tmp_path / "both")
    with pytest.raises(BadInput, match="no folder"):
        merge([tmp_path / "none"], tmp_path / "more")
    info = json.loads((borea / RUN).read_text())
    (borea / RUN).write_text(json.dumps(info | {"own_operations": {"operation_0": "mine.py"}}))
    with pytest.raises(BadInput, match=r"operation_0 is of the catalogue in .*a and of mine.py in .*b: rename"):
        merge([atlas, borea], tmp_path / "more")
    with pytest.raises(BadInput, match="is of several machines"):
        measure(against=tmp_path / "both")
    with pytest.raises(BadInput, match="pyperf's JSON is of one machine"):
        export(tmp_path / "both", "pyperf")


def test_the_command_says_what_it_left_out(atlas, tmp_path):
    newer = changed(made_up(tmp_path / "newer", operations=1, sizes=2), hostname="Atlas.local")
    words = ["merge", str(atlas), str(newer), "--out", str(tmp_path / "both")]
    done = subprocess.run([sys.executable, "-m", "multigrad.bench.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cells were measured twice on one machine" in done.stdout
    assert f"Results: {tmp_path / 'both'}" in done.stdout

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from made_up_run import made_up_events
from multigrad.bench.report.columns import columns_markdown
from multigrad.bench.store.events import EndEvent, read_event
from multigrad.bench.store.folder import JOURNAL, new_run, write_text
from multigrad.bench.store.frames import read_rows, to_frame, type_of, write_frame
from multigrad.bench.store.journal import Journal, journal_events
from multigrad.bench.store.rows import SampleRow, SummaryRow
from multigrad.bench.store.run import read_info

from multigrad import BadInput


def read_journal(folder):
    """Return all events of a journal."""
    begin, events = journal_events(folder)
    return [begin, *events]


def filled(row_class, **values):
    """A row with a value of the right type in every field."""
    made = {}
    for i, f in enumerate(dataclasses.fields(row_class)):
        kind, _ = type_of(row_class, f.name)
        made[f.name] = {str: f'a "{f.name}", ü', int: i, float: i + 0.1, bool: True}[kind]
    return row_class(**{**made, **values})


def summary(path, *rows):
    write_frame(to_frame(rows or [filled(SummaryRow, verdict="PASS")], SummaryRow), path)
    return path


@pytest.mark.parametrize("row_class", [SummaryRow, SampleRow])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_table_comes_back_as_it_went(tmp_path, row_class, suffix):
    rows = [filled(row_class), dataclasses.replace(filled(row_class), dtype="float32")]
    if row_class is SummaryRow:
        rows.append(dataclasses.replace(filled(row_class, verdict="GAP"), median_s=None, reason=""))
    frame = to_frame(rows, row_class)
    path = tmp_path / f"table{suffix}"
    write_frame(frame, path)
    pd.testing.assert_frame_equal(read_rows(path, row_class), frame)


def test_the_same_table_is_the_same_bytes(tmp_path):
    frame = to_frame([filled(SampleRow)], SampleRow)
    for name in ("a.csv.gz", "b.csv.gz"):
        write_frame(frame, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_the_columns_of_the_summary_are_those_of_the_design():
    names = [f.name for f in dataclasses.fields(SummaryRow)]
    design = (
        "operation variant mode backend device dtype sizes threads precision median_s ci_low_s ci_high_s min_s q1_s "
        "q3_s processes blocks first_call_s dispatch_s to_device_s to_host_s flops bytes gflop_per_s gbyte_per_s "
        "roof_percent peak_bytes verdict flags"
    )
    assert names[: len(design.split())] == design.split()


def damaged(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def put(lines, row, column, text):
    header = lines[0].split(",")
    frame = [line.split(",") for line in lines]
    frame[row - 1][header.index(column)] = text
    return [",".join(line) for line in frame]


def plain(**values):
    """A row without a comma in its texts, so that a test may split its line."""
    made = {f.name: "x" for f in dataclasses.fields(SummaryRow) if type_of(SummaryRow, f.name)[0] is str}
    return filled(SummaryRow, **{**made, "verdict": "PASS", **values})


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty; wanted a number"), ("nan", "is nan; wanted a number"), ("fast", "is 'fast'; wanted a number")],
)
def test_what_is_no_number_is_refused_with_file_row_and_column(tmp_path, text, said):
    path = summary(tmp_path / "summary.csv", plain(), plain())
    damaged(path, lambda lines: put(lines, 3, "median_s", text))
    with pytest.raises(BadInput) as caught:
        read_rows(path, SummaryRow)
    assert str(caught.value) == f"{path}: row 3: column 'median_s' {said}"


def test_a_missing_column_is_named(tmp_path):
    path = summary(tmp_path / "summary.csv", plain())
    damaged(path, lambda lines: [lines[0].replace("ci_low_s", "low"), *lines[1:]])
    with pytest.raises(BadInput, match=r"summary.csv: row 1: column 'ci_low_s' is missing"):
        read_rows(path, SummaryRow)


def test_a_column_that_came_later_may_be_missing(tmp_path):
    path = summary(tmp_path / "summary.csv", filled(SummaryRow, verdict="PASS", collectives="all-reduce 2"))
    assert set(read_rows(path, SummaryRow)["collectives"]) == {"all-reduce 2"}
    older = pd.read_csv(path).drop(columns="collectives")
    older.to_csv(path, index=False)
    frame = read_rows(path, SummaryRow)
    assert set(frame["collectives"]) == {""}
    assert [*frame.columns] == [f.name for f in dataclasses.fields(SummaryRow)]


def test_a_row_cut_short_is_named(tmp_path):
    path = summary(tmp_path / "summary.csv", plain(), plain())
    damaged(path, lambda lines: [*lines[:-1], lines[-1][:20]])
    with pytest.raises(BadInput, match=r"summary.csv: row 3: found \d+ values, wanted \d+"):
        read_rows(path, SummaryRow)


def test_a_cell_without_a_right_result_may_have_no_numbers(tmp_path):
    path = summary(tmp_path / "summary.csv", plain(verdict="UNAVAILABLE", median_s=None))
    assert read_rows(path, SummaryRow)["median_s"].isna().all()


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b damaged", gzip.compress(b"operation\n\xff\n", mtime=0)])
def test_a_damaged_compressed_file_is_one_line(tmp_path, data):
    path = tmp_path / "samples.csv.gz"
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_rows(path, SampleRow)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 99}'])
def test_a_damaged_run_json_is_one_line(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BadInput, match=r"run\.json") as caught:
        read_info(tmp_path)
    assert "\n" not in str(caught.value)


def test_new_runs_have_folders_of_their_own(tmp_path):
    folders = {new_run(tmp_path, "here") for _ in range(5)}
    assert len(folders) == 5


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot make .*; choose another folder with --out"):
        new_run(tmp_path / "file", "here")


def test_a_full_disk_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(BadInput, match="0 MiB free on its disk; a run needs"):
        new_run(tmp_path, "here")


def test_a_write_that_fails_leaves_neither_half_a_file_nor_harms_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    write_text(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match=r"cannot write .*report.md: No space left on device"):
        write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]
    assert path.read_text() == "old"


def test_a_journal_belongs_to_one_process(tmp_path):
    journal = Journal(tmp_path, new=True)
    with pytest.raises(BadInput, match="two runs do not mix"):
        Journal(tmp_path, new=True)
    with pytest.raises(BadInput, match="another process is writing it"):
        Journal(tmp_path, new=False)
    journal.close()
    Journal(tmp_path, new=False).close()


def test_half_a_last_line_is_no_damage_but_half_a_line_within_is(tmp_path):
    path = tmp_path / JOURNAL
    begin = made_up_events()[0]
    path.write_text(json.dumps(begin) + '\n{"event": "ce')
    assert read_journal(tmp_path) == [read_event("", begin)]
    journal = Journal(tmp_path, new=False)
    journal.append(EndEvent("complete"))
    journal.close()
    assert read_journal(tmp_path) == [read_event("", begin), EndEvent("complete")]
    path.write_text(json.dumps(begin) + '\n{"event"\n{}\n')
    with pytest.raises(BadInput, match=r"journal.jsonl: row 2: not JSON"):
        read_journal(tmp_path)


def test_a_full_disk_during_the_run_is_one_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path, new=True)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match=r"No space left on device; what is in it is kept, --resume goes on"):
        journal.append(EndEvent("complete"))
    journal.close()


def test_every_column_is_documented():
    text = columns_markdown()
    for row_class in (SummaryRow, SampleRow):
        for f in dataclasses.fields(row_class):
            assert f"| `{f.name}` |" in text
            assert f.metadata["doc"].endswith(".")


def test_the_documentation_of_the_results_is_fresh():
    path = Path(__file__).parents[2] / "results" / "README.md"
    assert path.read_text(encoding="utf-8") == columns_markdown(), (
        "run: python -m multigrad.bench.report.columns results/README.md"
    )

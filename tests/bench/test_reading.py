"""What is read of a run's folder, damaged in ways that have a name; test_fuzz_files.py has those that have none."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil

import pytest
from made_up_run import made_up, made_up_events, made_up_fleet
from multigrad.bench import load_run, merge
from multigrad.bench.analysis.load import write_run
from multigrad.bench.store import frames
from multigrad.bench.store.events import read_event
from multigrad.bench.store.folder import BEFORE, JOURNAL, MATRIX, RUN, SAMPLES, SUMMARY
from multigrad.bench.store.journal import Journal, journal_events

from multigrad import BadInput


def read_journal(folder):
    """Return all events of a journal."""
    begin, events = journal_events(folder)
    return [begin, *events]


@pytest.fixture
def folder(tmp_path):
    return made_up(tmp_path / "run", operations=1, sizes=1, rounds=1, blocks=2)


def changed(folder, change):
    path = folder / RUN
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda info: info.update(noise_floor="small"), "noise_floor is 'small'; wanted float | null"),
        (lambda info: info.update(noise_floor=float("inf")), "noise_floor is inf; wanted float <= 1e"),
        (lambda info: info.update(threads=2), "threads is 2; wanted array"),
        (lambda info: info.update(host=None), "host is None; wanted object"),
        (lambda info: info["host"].update(gpus=[1]), r"host.gpus\[0\] is 1; wanted str"),
        (lambda info: info["peaks"]["flop_per_s"][0].pop("value"), r"peaks.flop_per_s\[0\].value is missing"),
        (
            lambda info: info["peaks"]["bandwidth"][0].update(by_size=[]),
            r"peaks.bandwidth\[0\].by_size is an array of length 0; wanted array",
        ),
        (lambda info: info["pairs"][0].update(ratio=0), r"pairs\[0\].ratio is 0; wanted float >= 1e-24"),
        (lambda info: info["protocol"].update(rounds=-1), "protocol.rounds is -1; wanted int >= 0"),
        (lambda info: info.update(machines={"a": {}}), r"machines\[...\].host is missing"),
        (lambda info: info.update(study={"name": "x", "question": "?", "cells": []}), "study.cells is empty"),
    ],
)
def test_a_wrong_key_of_run_json_is_named(folder, change, said):
    changed(folder, change)
    with pytest.raises(BadInput, match=rf"run\.json: {said}"):
        load_run(folder)


def recompressed(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read: Compressed file ended"),
        (lambda data: data[:40] + bytes(20) + data[60:], "cannot be read: Error -3 while decompressing"),
        (lambda data: gzip.compress(b"x" * 2**21), "a line has more than 1048576 bytes"),
        (lambda data: gzip.compress(b"\n" * 2**21), "row 1: column 'operation' is missing"),
        (lambda data: gzip.compress(gzip.decompress(data) + b"\x00\n"), "row 20: found 1 values"),
    ],
)
def test_damaged_samples_are_one_line(folder, change, said):
    recompressed(folder / SAMPLES, change)
    with pytest.raises(BadInput, match=said) as caught:
        load_run(folder)
    assert "samples.csv.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("median_s", "inf", "column 'median_s' is 'inf'; wanted a number <= 1000000000.0"),
        ("median_s", "-1", "column 'median_s' is '-1'; wanted a number >= 1e-15"),
        ("median_s", "1e308", "column 'median_s' is '1e308'; wanted a number <= 1000000000.0"),
        ("threads", "1e300", "column 'threads' is '1e300'; wanted a whole number <= 9007199254740992"),
        ("threads", "inf", "column 'threads' is 'inf'; wanted a whole number"),
        ("threads", "9" * 5000, "column 'threads' is '9999"),
        ("blocks", "-3", "column 'blocks' is '-3'; wanted a whole number >= 0"),
        ("peak_bytes", "inf", r"column 'peak_bytes' is 'inf'; wanted a number"),
    ],
)
def test_a_number_out_of_range_is_named(folder, column, text, said):
    path = folder / SUMMARY
    header, first, *rest = path.read_text().splitlines()
    values = first.split(",")
    values[header.split(",").index(column)] = text
    path.write_text("\n".join([header, ",".join(values), *rest]) + "\n")
    with pytest.raises(BadInput) as caught:
        load_run(folder)
    assert f"summary.csv: row 2: {said}" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_table_that_a_spreadsheet_wrote_is_read(folder):
    before = load_run(folder).summary
    path = folder / SUMMARY
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_run(folder).summary.equals(before)


def test_a_column_that_is_there_twice_is_named(folder):
    path = folder / SUMMARY
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",threads", *(f"{line},1" for line in lines[1:])]) + "\n")
    with pytest.raises(BadInput, match="row 1: column 'threads' is there twice"):
        load_run(folder)


def test_more_rows_than_any_run_has_are_refused(folder, monkeypatch):
    monkeypatch.setattr(frames, "MAX_ROWS", 3)
    with pytest.raises(BadInput, match=r"summary\.csv has more than 3 rows"):
        load_run(folder)


@pytest.mark.parametrize("name", [RUN, SUMMARY, SAMPLES, MATRIX])
@pytest.mark.parametrize(
    ("put", "said"),
    [
        (os.mkdir, "is a folder"),
        (os.mkfifo, "is a pipe"),
        (lambda path: os.symlink("/dev/zero", path), "is a device"),
        (lambda path: os.symlink(path, path), "cannot be read"),
    ],
)
def test_what_is_no_file_is_one_line(folder, name, put, said):
    (folder / name).unlink()
    put(folder / name)
    with pytest.raises(BadInput, match=f"{name} {said}"):
        load_run(folder)


def test_a_run_beside_itself_is_read_once(folder):
    (folder / BEFORE).symlink_to(folder)
    run = load_run(folder)
    assert run.before is not None
    assert run.before.before is None


def test_a_merge_of_a_folder_whose_other_side_is_a_file_is_one_line(folder):
    shutil.copytree(folder, folder / BEFORE)
    run = load_run(folder)
    shutil.rmtree(folder / BEFORE)
    (folder / BEFORE).write_text("")
    with pytest.raises(BadInput, match=r"cannot make .*before"):
        write_run(run)
    with pytest.raises(BadInput, match="holds a run"):
        merge([folder], folder)


# The journal


def journal(folder, events):
    folder.mkdir(exist_ok=True)
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / JOURNAL).write_text("".join(f"{line}\n" for line in lines))
    return folder


def event(kind, events):
    return next(one for one in events if one["event"] == kind and (kind != "cell" or "blocks" in one))


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("cell", {"cell": 4}, "cell is 4; wanted one of 4 cells, counted from 0"),
        ("cell", {"cell": -1}, "cell is -1; wanted int >= 0"),
        ("cell", {"twin": 3}, "twin is 3; wanted int <= 2"),
        ("cell", {"blocks": []}, "blocks is an array of length 0; wanted array of length >= 1"),
        ("cell", {"blocks": [["latency", 8]]}, "blocks[0] is an array of length 2; wanted "),
        (
            "cell",
            {"blocks": [["latency", 0, 1e-3, None, 1e-3, 0, None, None, None, 0, 0]]},
            "blocks[0][1] is 0; wanted",
        ),
        (
            "cell",
            {"blocks": [["pipelined", 8, 1e-3, None, 1e-3, 0, None, None, None, 0, 0]]},
            "blocks has none of kind",
        ),
        ("cell", {"calls": {"pipelined": 8}}, "calls lacks 'latency', a kind of its blocks"),
        ("cell", {"calls": {"x" * 5000: 8}}, "calls lacks 'latency', a kind of its blocks"),
        ("cell", {"blocks": [["x" * 5000, 8, 1e-3, None, 1e-3, 0, None, None, None, 0, 0]]}, "calls lacks 'xxx"),
        ("cell", {"load": None}, "load is None; wanted"),
        ("cell", {"reason": ["x"]}, "reason is an array of length 1; wanted str"),
        ("worker", {"facts": {"empty_s": {"eager": "long"}}}, "facts.empty_s[...] is str; wanted float | null"),
        ("peaks", {"flop_per_s": {"float32": 0}}, "flop_per_s[...]: wanted float >= 1.0"),
        ("memory", {"cell": 99}, "cell is 99; wanted one of 4 cells"),
        ("cost", {"cell": 99}, "cell is 99; wanted one of 4 cells"),
        ("cost", {"model": [1]}, "model is an array of length 1; wanted "),
        ("wall", {"wall_s": float("nan")}, "wall_s is nan; wanted float >= 0.0"),
        ("spent", {"event": "spell"}, "event is 'spell': Invalid value 'spell'"),
        ("spent", {"event": "portion"}, "number is missing"),
        ("spent", {"event": "run"}, "info is missing"),
    ],
)
def test_a_wrong_event_is_named_by_its_row(tmp_path, kind, change, said):
    events = made_up_events()
    number = events.index(event(kind, events))
    events[number] = {**events[number], **change}
    if number == len(events) - 1:
        events.append(events[-1])
    with pytest.raises(BadInput) as caught:
        load_run(journal(tmp_path, events))
    assert f"journal.jsonl: row {number + 1}: {said}" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda begin: begin["plan"]["twins"].append(9), "plan.twins is 9; wanted one of 4 cells"),
        (lambda begin: begin["plan"]["refused"].update({"4": ["GAP", ""]}), "plan.refused is 4; wanted one of 4 cells"),
        (lambda begin: begin["plan"]["refused"].update({"x": ["GAP", ""]}), "plan.refused names the cell 'x'"),
        (lambda begin: begin["plan"]["cells"][0].update(device="cpu:0"), "plan.cells[0].device"),
        (lambda begin: begin["plan"]["cells"][0].update(size={"m": 10**30}), "plan.cells[0].size[...]: wanted int"),
        (lambda begin: begin["plan"]["cells"][0].pop("dtype"), "plan.cells[0].dtype is missing"),
        (lambda begin: begin["protocol"].update(alarms=2), "protocol.alarms is 2; wanted float < 1"),
        (lambda begin: begin.pop("protocol"), "protocol is missing"),
        (lambda begin: begin["info"].update(schema=99), "info.schema is 99; this version reads 1"),
    ],
)
def test_a_wrong_plan_is_named(tmp_path, change, said):
    events = made_up_events()
    change(events[0])
    with pytest.raises(BadInput) as caught:
        load_run(journal(tmp_path, events))
    assert f"journal.jsonl: row 1: {said}" in str(caught.value)


def test_an_event_within_a_portion_is_named(tmp_path):
    events = made_up_fleet()
    event("cell", events[1]["events"])["cell"] = 7
    with pytest.raises(BadInput, match=r"row 2: events\[6\].cell is 7; wanted one of 4 cells"):
        load_run(journal(tmp_path, events))
    events = made_up_fleet()
    events[1]["number"] = 5
    with pytest.raises(BadInput, match="row 2: number is 5, which is none of the portions of row 1"):
        load_run(journal(tmp_path, events))


@pytest.mark.parametrize("damage", ['{"event": "end"', "\x00" * 50, '{"event": "cell", "cell": 99}', "[" * 5000])
@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_damaged_last_row_is_left_out_and_said(tmp_path, caplog, damage, ending):
    events = made_up_events()
    path = journal(tmp_path, events) / JOURNAL
    sound = path.read_bytes()
    path.write_bytes(sound + damage.encode() + ending.encode())
    with caplog.at_level(logging.WARNING):
        assert read_journal(tmp_path) == [read_event("", event) for event in events]
    assert f"journal.jsonl: row {len(events) + 1}: " in caplog.text
    assert "it is the last row, and is left out" in caplog.text
    Journal(tmp_path, new=False).close()
    assert path.read_bytes() == sound, "whoever goes on writes after the last sound row"


def test_a_file_in_which_no_run_begins_is_not_cut(tmp_path):
    path = tmp_path / JOURNAL
    path.write_text("mine\n")
    Journal(tmp_path, new=False).close()
    assert path.read_text() == "mine\n"
    with pytest.raises(BadInput, match="row 1: no run begins here"):
        read_journal(tmp_path)


def test_half_a_surrogate_pair_survives_the_journal_and_the_reports(tmp_path):
    journal = Journal(tmp_path, new=True)
    events = made_up_events()
    events[0]["info"]["command"] = "multigrad bench \udcff.py"
    for one in events:
        journal.append(read_event("", one))
    journal.close()
    assert load_run(tmp_path).info["command"] == "multigrad bench \udcff.py"
    assert load_run(tmp_path).info["command"] == "multigrad bench \udcff.py"

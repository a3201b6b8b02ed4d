"""What a person sees fits the terminal, whatever its width; a pipe gets plain text; progress is for a person alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up_run import made_up
from multigrad.bench import cli, load_run
from multigrad.bench.cli import matrix_table, terminal, timing_tables
from multigrad.bench.measurement import job, measure
from multigrad.bench.report.quantities import seconds
from multigrad.bench.store.frames import read_rows
from multigrad.bench.store.rows import SummaryRow
from test_ci_outputs import frame, row
from test_cli import ROOT

from multigrad import operations

WIDTHS = (60, 80, 100, 160)
PLACES = (("numpy", "eager"), ("strict", "eager"), ("torch", "eager"), ("torch", "compiled"), ("jax", "eager"))


def catalogue(names: list[str], devices: tuple[str, ...] = ("cpu",)) -> pd.DataFrame:
    """A matrix of operations on every place, in two dtypes, by autodiff too where there is one; one is wrong."""
    rows = []
    for name in names:
        rows.append(row(operation=name, backend="exact", dtype="arb", reason="certified at 1 point"))
        for device in devices:
            for backend, mode in PLACES if device == "cpu" else PLACES[2:]:
                where = {"operation": name, "backend": backend, "mode": mode, "device": device}
                rows += [row(**where, dtype=dtype) for dtype in ("float32", "bfloat16")]
                wrong = name == "qr" and (backend, mode) == ("jax", "eager")
                if mode == "eager" and backend in ("torch", "jax"):
                    verdict, reason = ("FAIL", "off by a lot") if wrong else ("PASS", "")
                    rows.append(row(verdict, reason, **where, variant="autodiff", ratio=3.0 if wrong else 0.12))
    return frame(*rows)


def printed(capsys: pytest.CaptureFixture[str], matrix: pd.DataFrame) -> list[str]:
    matrix_table.show_matrix(matrix)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_whole_catalogue_has_a_line_for_each_operation_in_any_width(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = printed(capsys, catalogue([*operations()]))
    start = next(i for i, line in enumerate(lines) if "───" in line) + 1
    table = lines[start : lines.index("", start)]
    assert max(map(len, table)) <= columns
    assert re.fullmatch(r" qr +✓ +✓--✓ +✓-✗✓ +✓--✓ +✓✓✓✓ +3", table[0])
    names = "".join(line[: lines[start - 2].index("proof")].strip() for line in table)
    assert len(table) == len(operations()) or columns < 80
    assert sorted(names) == sorted("".join(operations()))  # a long one may be folded, none is cut
    assert sum(line.count("✗") for line in table) == 1


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cuda")])
def test_few_operations_have_their_figures_where_there_is_room(
    columns: int, devices: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = printed(capsys, catalogue(["qr", "relu"], devices))
    table = [line for line in lines if re.match(r" +(qr|relu|autodiff|half precision|─)", line)]
    assert max(map(len, table)) <= columns
    figures = "".join(lines).count("✓ 0.5")
    places = len(PLACES) + (len(PLACES[2:]) if len(devices) > 1 else 0)
    assert figures == (2 * 2 * places if columns >= 15 + 9 * places else 0)
    assert any("✗" in line for line in table)


@pytest.mark.parametrize("count", [1, 40])
def test_what_is_excused_lends_its_figure_to_no_pass(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = list(operations())[:count]
    rows = [row(operation=name, ratio=0.25) for name in names]
    gap = row("GAP", "known to be far off", operation=names[0], regime="tiny", ratio=1e15)
    text = " ".join(printed(capsys, frame(*rows, gap)))
    assert "0.25" in text
    assert "1e15" not in text


@pytest.mark.parametrize("columns", WIDTHS)
def test_timings_and_comparisons_fit_and_lose_nothing(
    columns: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run = load_run(made_up(tmp_path / "run", operations=1, sizes=1))
    timing_tables.show_summary(run)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert max(map(len, lines)) <= columns
    medians = [seconds(x).split()[0] for x in run.summary["median_s"].dropna()]
    assert all(any(median in line.split() for line in lines) for median in medians)


def test_the_answer_in_words_comes_first_then_a_table_with_marks_only_where_a_time_is_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = load_run(made_up(tmp_path / "run", operations=1, sizes=1))
    flags = ["died" if (b, v) == ("torch", "analytic") else "spread-within" for b, v in
             run.summary[["backend", "variant"]].itertuples(index=False)]  # fmt: skip
    timing_tables.show_summary(replace(run, summary=run.summary.assign(flags=flags)))
    said = capsys.readouterr().out.replace("\u202f", " ")
    first, table, *_ = re.split(r"^operation_0, m=8 k=8, float32$", said, flags=re.MULTILINE)
    assert "Fastest: JAX compiled, " in first
    assert "Not compared: PyTorch compiled and PyTorch eager (a process died at it)." in " ".join(first.split())
    head = next(line for line in table.splitlines() if line.strip())
    assert head.split() == ["time", "÷", "fastest", "gain"]
    assert re.search(r"^ JAX compiled +[\d.]+ µs ±6 % +fastest +\d\.\d \(\d\.\d+–\d\.\d+\)$", table, flags=re.MULTILINE)
    assert re.search(r"^ PyTorch eager +[\d.]+ µs ±6 % +!$", table, flags=re.MULTILINE)
    assert "! not compared: PyTorch compiled, PyTorch eager (a process died at it)" in table
    assert len(re.findall("unsteady", table)) == 1


def test_timings_without_a_gap_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = load_run(made_up(tmp_path / "run", operations=1, sizes=1))
    timing_tables.show_summary(replace(run, summary=run.summary[run.summary["median_s"].notna()]))
    assert "UNAVAILABLE" not in capsys.readouterr().out


def test_what_is_piped_has_a_width_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.width() == terminal.PIPED_WIDTH
    said = "\n".join(printed(capsys, catalogue(["qr", "relu"], ("cpu", "cuda"))))
    assert "\x1b" not in said
    assert 80 < max(map(len, said.splitlines())) <= terminal.PIPED_WIDTH
    assert not re.search(r" +$", said, flags=re.MULTILINE)


def in_terminal(*arguments: str, columns: int = 80, **environment: str) -> tuple[str, str]:
    """Run a command in a pseudo-terminal; return what it wrote on standard output and on standard error."""
    variables = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    variables |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
    ends = [pty.openpty() for _ in range(2)]
    for _, theirs in ends:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "multigrad.bench.cli", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=ends[0][1], stderr=ends[1][1])
    heard: list[bytearray] = [bytearray(), bytearray()]

    def listen(ours: int, into: bytearray) -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while data := os.read(ours, 65536):
                into += data

    threads = [threading.Thread(target=listen, args=(ends[i][0], heard[i])) for i in range(2)]
    for (_, theirs), thread in zip(ends, threads, strict=True):
        os.close(theirs)
        thread.start()
    process.wait(120)
    for (ours, _), thread in zip(ends, threads, strict=True):
        thread.join(10)
        os.close(ours)
    return heard[0].decode(), heard[1].decode()


CHECK = ("check", "relu_regression", "--backend", "numpy", "--dtype", "float64")


def test_a_terminal_has_colours_and_a_line_of_progress() -> None:
    said, progress = in_terminal(*CHECK)
    assert "\x1b[32m✓" in said
    assert "relu_regression" in said
    steps = re.findall(r"(\d+)/(\d+)", progress)
    assert steps
    assert all(int(done) <= int(total) for done, total in steps)
    assert "relu_regression" in progress
    assert "checking" in progress
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", progress)
    assert max(len(line) for line in re.split(r"[\r\n]", plain)) <= 80


def test_no_color_is_obeyed() -> None:
    said, progress = in_terminal(*CHECK, NO_COLOR="1")
    assert "✓ PASS" in said
    coloured = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|4[0-9]|9[0-7])m")
    assert not coloured.search(said)
    assert not coloured.search(progress)


def test_a_pipe_gets_no_escape_and_no_progress() -> None:
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "multigrad.bench.cli", *CHECK]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_progress_says_what_runs_and_counts_what_is_done() -> None:
    told: list[tuple[int, int, str]] = []
    from multigrad import check

    check("relu_regression", backend="numpy", dtype="float64", progress=lambda *step: told.append(step))
    done = [step[0] for step in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == told[-1][1]
    assert {step[1] for step in told} == {told[0][1]}
    assert any(text == "relu_regression: the truth" for _, _, text in told)
    assert any(text.startswith("relu_regression analytic eager on numpy/cpu float64") for _, _, text in told)


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["multigrad", *map(str, arguments)])
    with pytest.raises(SystemExit):
        cli.main()
    return capsys.readouterr().out


def test_what_a_program_reads_is_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(made_up(tmp_path / "run", operations=1, sizes=1))
    monkeypatch.setattr(measure, "measure", lambda *_, **__: run)
    monkeypatch.setattr(job, "run_job", lambda *_, **__: run)

    def rows(path: Path) -> Any:
        return read_rows(path, SummaryRow)

    found = json.loads(command(capsys, monkeypatch, "bench", "--json", "--csv", tmp_path / "times.csv"))
    medians = [None if x != x else pytest.approx(x, rel=1e-8) for x in run.summary["median_s"]]
    assert [r["median_s"] for r in found] == medians
    assert len(rows(tmp_path / "times.csv")) == len(run.summary)
    against = json.loads(command(capsys, monkeypatch, "bench", "--json", "--against", tmp_path / "run"))
    assert [len(against[name]) for name in ("summary", "comparison")] == [len(found), len(found) - 1]
    done = json.loads(command(capsys, monkeypatch, "run", "--json"))
    assert done["folder"] == str(run.folder)
    assert [len(done[name]) for name in ("matrix", "summary")] == [len(run.matrix), len(found)]
    both = ("compare", tmp_path / "run", tmp_path / "run", "--csv", tmp_path / "words.csv", "--json")
    compared = json.loads(command(capsys, monkeypatch, *both))
    assert len(pd.read_csv(tmp_path / "words.csv")) == len(compared) == len(found) - 1

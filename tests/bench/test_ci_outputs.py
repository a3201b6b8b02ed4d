"""What CI systems read is well formed, says what the matrix says, and malicious text in it does no harm."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import sys
from pathlib import Path
from typing import Any

import junitparser
import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from multigrad.bench import cli
from multigrad.bench.cli import inventory, matrix_table, terminal
from multigrad.bench.report import github
from multigrad.bench.report.junit import junit
from multigrad.bench.report.markdown import matrix
from multigrad.bench.report.markup import escape
from multigrad.bench.report.plain import shown, visible
from multigrad.bench.report.verdicts import SYMBOLS
from multigrad.bench.store.frames import read_rows, to_frame, write_frame
from test_cli import BROKEN, ROOT

from multigrad import BadInput, load_operations
from multigrad.matrix.rows import MatrixRow
from multigrad.verdict.words import VERDICTS

EVIL = (
    "<script>alert(1)</script>",
    "=cmd()|' /C calc'!A0",
    "two\nlines\r\n::error::forged",
    "::stop-commands::x",
    "##[error]forged",
    "\u202etxt.exe\u2066\u200f\u061c",
    "]]><failure/>",
    "\x1b[2J\x1b]0;title\x07\x00\ufffe\udcff",
    "[bold red]markup[/bold red] :smile: [/]",
    "`code` *b* | cell | @everyone #1 &amp; &lt; 100%",
    "@SUM(1)",
    "+1",
    "-2",
    "'=already",
    "\t=tab",
)
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def row(verdict: str = "PASS", reason: str = "", **values: Any) -> MatrixRow:
    given = {"operation": "f", "output": "x_bar", "backend": "numpy", "device": "cpu", "mode": "eager", "seed": 0}
    given |= {"variant": "analytic", "dtype": "float64", "regime": "gaussian", "sizes": "n=3", "ratio": 0.5}
    given |= {"max_abs_error": 0.0, "max_ulp": 0.5, "bitwise_equal_to_numpy": None}
    return MatrixRow(**given | {"verdict": verdict, "reason": reason} | values)


def frame(*rows: MatrixRow) -> Any:
    return to_frame(rows, MatrixRow)


EVERY = frame(
    row(),
    row("FAIL", "∂f/∂x is 0.5 × the true gradient: a factor 2 is missing", backend="torch"),
    row("FAIL", "again", backend="torch", output="value"),
    row("PASS", backend="torch", output="y_bar"),
    row("INCONCLUSIVE", "the bound is too wide", dtype="bfloat16"),
    row("NOTE", "worse than usual", dtype="float32"),
    row("GAP", "notyet: no scan", backend="jax", output="*", ratio=np.nan),
    row("UNAVAILABLE", "no CUDA device", backend="cupy", device="cuda", mode="*", variant="*", dtype="*", output="*"),
    row("PASS", operation="g"),
)
EVILS = frame(
    *(row("FAIL", text, operation=text, backend=text, dtype=text) for text in EVIL),
    *(row("INCONCLUSIVE", text, operation=text, backend=text, mode="compiled") for text in EVIL),
    *(row("UNAVAILABLE", text, operation=text, backend=text, mode="*") for text in EVIL),
)


def cases(text: str) -> dict[str, junitparser.TestCase]:
    suites = junitparser.JUnitXml.fromstring(text.encode())
    return {f"{case.classname} {case.name}": case for suite in suites for case in suite}


def test_a_parser_of_junit_reads_every_verdict() -> None:
    text = junit(EVERY)
    suites = junitparser.JUnitXml.fromstring(text.encode())
    assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (7, 1, 0, 3)
    assert [(s.name, s.tests, s.failures, s.skipped) for s in suites] == [("f", 6, 1, 3), ("g", 1, 0, 0)]
    found = cases(text)
    assert found["f.numpy/cpu eager analytic float64"].is_passed
    (failure,) = found["f.torch/cpu eager analytic float64"].result
    assert isinstance(failure, junitparser.Failure)
    assert failure.message == "FAIL: ∂f/∂x is 0.5 × the true gradient: a factor 2 is missing (and 1 more)"
    assert "f ∂f/∂x on torch/cpu" in failure.text
    assert "again" in failure.text
    for name, message in (
        ("f.numpy/cpu eager analytic bfloat16", "INCONCLUSIVE: the bound is too wide"),
        ("f.jax/cpu eager analytic float64", "GAP: notyet: no scan"),
        ("f.cupy/cuda *", "UNAVAILABLE: no CUDA device"),
    ):
        (skipped,) = found[name].result
        assert isinstance(skipped, junitparser.Skipped)
        assert skipped.message == message
    assert "worse than usual" in found["f.numpy/cpu eager analytic float32"].system_out


THEIRS = frame(
    row(),
    row("FINDING", "torch's autodiff is NaN here; yours is right", backend="torch", variant="autodiff"),
    row("INCONCLUSIVE", "too wide", backend="torch", variant="autodiff", output="value"),
    row("PORTABILITY", "f.py:3 `x[0]`: write x[i, ...]", backend="strict", output="*", dtype="*", ratio=np.nan),
)


def test_what_is_no_failure_of_the_gradient_is_skipped_unless_it_shall_fail() -> None:
    for fail_on, failures in ((None, 0), ("finding", 1), ("portability", 1), ("all", 2)):
        text = junit(THEIRS, fail_on)
        assert f'failures="{failures}" errors="0" skipped="{2 - failures}"' in text.splitlines()[1]
    (failure,) = cases(junit(THEIRS, "finding"))["f.torch/cpu eager autodiff float64"].result
    assert failure.message == "FINDING: torch's autodiff is NaN here; yours is right"


def test_what_shall_fail_is_annotated_as_an_error() -> None:
    assert [line.split()[0] for line in github.annotated(THEIRS, [])] == ["::warning"]
    assert [line.split()[0] for line in github.annotated(THEIRS, [], "all")] == ["::error"] * 3


def test_every_verdict_has_a_sign_and_is_worded_in_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(SYMBOLS) == set(VERDICTS)
    matrix_table.show_matrix(THEIRS)
    for text in ("\n".join(matrix(THEIRS)).replace("\\", ""), capsys.readouterr().out):
        assert "yours is right" in text
        assert "write x[i, ...]" in text


def test_the_cases_of_junit_are_the_places_of_the_matrix() -> None:
    keys = ["operation", "backend", "device", "mode", "variant", "dtype"]
    assert len(cases(junit(EVERY))) == len(EVERY[keys].drop_duplicates())


def test_what_holds_everywhere_is_quoted_before_what_was_asked_on_a_kink() -> None:
    rows = frame(
        row("FAIL", "beside a kink", regime="kink", ratio=9.0), row("FAIL", "lost a 2"), row("FAIL", "worst", ratio=8.0)
    )
    (failure,) = cases(junit(rows))["f.numpy/cpu eager analytic float64"].result
    assert failure.message == "FAIL: worst (and 2 more)"
    (line,) = github.annotated(rows, [])
    assert line.endswith(": worst (and 2 more)")


def test_malicious_text_stays_text_in_junit() -> None:
    text = junit(EVILS)
    suites = junitparser.JUnitXml.fromstring(text.encode())
    assert not CONTROLS.search(text)
    assert "<script" not in text
    assert "]]>" not in text
    assert (suites.tests, suites.failures, suites.skipped) == (3 * len(EVIL), len(EVIL), 2 * len(EVIL))
    assert [s.name for s in suites] == [visible(name).replace("\ufffe", "⟨U+FFFE⟩") for name in EVIL]


def test_commands_of_github_are_escaped_as_its_documentation_wants() -> None:
    said = github.command("error", "50 %\r\nnext: a, b", file="a,b:c%.py", line=3)
    assert said == "::error file=a%2Cb%3Ac%25.py,line=3::50 %25%0D%0Anext: a, b"


def test_annotations_stand_at_the_operation_s_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(ROOT))
    ops = load_operations([str(BROKEN / "factor_dropped.py")])
    rows = frame(row("FAIL", "lost", operation="factor_dropped"), row("INCONCLUSIVE", "wide", operation="elsewhere"))
    error, warning = github.annotated(rows, ops)
    found = re.match(r"::error file=examples/broken/factor_dropped\.py,line=(\d+),title=([^:]*)::FAIL .*lost$", error)
    assert found is not None
    source = (BROKEN / "factor_dropped.py").read_text().splitlines()
    assert source[int(found[1]) - 1].startswith("@operation")
    assert warning.startswith("::warning title=multigrad%3A elsewhere INCONCLUSIVE::INCONCLUSIVE ")


def test_a_source_outside_of_the_workspace_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    (op,) = load_operations([str(BROKEN / "factor_dropped.py")])
    assert github.source(op) == {}


def test_malicious_text_is_one_line_and_no_command_of_github() -> None:
    lines = github.annotated(EVILS, [])
    assert len(lines) == 2 * len(EVIL)
    for line in lines:
        assert line.splitlines() == [line]
        assert not CONTROLS.search(line)
        assert re.fullmatch(r"::(error|warning) title=[^:,]*::.*", line)


def test_what_is_printed_meanwhile_is_no_command() -> None:
    file = io.StringIO()
    with github.commands_stopped(file):
        print("::error::forged", file=file)
    first, forged, last = file.getvalue().splitlines()
    assert first.startswith("::stop-commands::")
    assert last == f"::{first.removeprefix('::stop-commands::')}::"
    assert len(last) > 30
    assert forged == "::error::forged"


def test_a_summary_is_appended_and_is_never_longer_than_github_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setattr(github, "SUMMARY_BYTES", 600)
    github.write_summary(EVERY, path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n# multigrad check\n")
    assert text.endswith("The rest is left out: a summary may have 1 MiB.\n")
    assert path.stat().st_size <= 600


def test_malicious_text_stays_text_in_markdown() -> None:
    text = "\n\n".join(matrix(EVILS))
    assert not CONTROLS.search(text)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert not re.findall(r"<(?!/?(?:h[1-6]|p|ul|li|table|thead|tbody|tr|th|td)\b)", page)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    assert not re.search(r"@\w|#\d|[<>]", text)


def test_a_text_that_is_shown_is_the_text_where_nothing_is_hidden() -> None:
    assert shown("∂f/∂x̄  μ 数 :smile: [red]") == "∂f/∂x̄  μ 数 :smile: [red]"
    assert escape("plain words, 1.5 × x") == "plain words, 1.5 × x"


@pytest.mark.parametrize("text", [*EVIL, "''=twice", "'quoted'", "", "a\rb", 'say "x", y'])
def test_a_text_comes_back_from_csv_and_is_no_formula_in_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.csv"
    write_frame(frame(row("FAIL", text, operation=text, ratio=-0.5)), path)
    with path.open(encoding="utf-8", newline="") as file:
        (cells,) = csv.DictReader(file)
    assert not [
        cell for name, cell in cells.items() if cell[:1] in {*"=+@\t\r"} or (cell[:1] == "-" and name != "ratio")
    ]
    (back,) = read_rows(path, MatrixRow).to_dict("records")
    # Half a surrogate pair has no place in UTF-8.
    wanted = text.encode(errors="backslashreplace").decode()
    assert (back["operation"], back["reason"], back["ratio"]) == (wanted, wanted, -0.5)


def test_every_column_of_text_is_guarded(tmp_path: Path) -> None:
    names = [f.name for f in dataclasses.fields(MatrixRow) if f.type == "str"]
    assert len(names) > 9
    write_frame(frame(row(**dict.fromkeys(names, "=1"))), tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().count("'=1") == len(names)


def test_malicious_text_moves_no_cursor_in_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix_table.show_matrix(EVILS, verbose=True)
    terminal.show_frame("\x1b[2Jtitle", EVILS)
    inventory.show_findings(pd.DataFrame([{"good": True, "what": ":smile: [b]", "found": EVIL[7], "advice": EVIL[8]}]))
    terminal.say("\x1b[2J[bold]said[/bold]\nsecond line")
    said = capsys.readouterr().out
    assert not CONTROLS.search(said)
    assert "[bold]said[/bold]\nsecond line" in said
    assert "[bold red]markup[/bold red] :smile: [/]" in said
    assert "FAIL [bold red]markup" in said
    assert ":smile: [b]" in said
    assert not [line for line in said.splitlines() if line.startswith("::error")]


def test_a_message_of_the_command_line_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["multigrad", "check", "\x1b[2J\u202enowhere.py"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert "⟨U+001B⟩[2J⟨U+202E⟩nowhere.py" in said
    assert not CONTROLS.search(said)


def test_a_check_writes_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, xml = tmp_path / "summary.md", tmp_path / "out.xml"
    monkeypatch.setenv(github.SUMMARY, str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(ROOT))
    asked = ["check", str(BROKEN / "factor_dropped.py"), "--backend", "numpy", "--dtype", "float64"]
    monkeypatch.setattr(sys, "argv", ["multigrad", *asked, "--github", "--junit", str(xml)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().out
    (error,) = [line for line in said.splitlines() if line.startswith("::error ")]
    assert error.startswith("::error file=examples/broken/factor_dropped.py,line=")
    assert error.count("a factor 2 is missing") == 3
    assert said.index("::stop-commands::") < said.index("Is the formula right?") < said.index("::error ")
    assert "✗" in summary.read_text(encoding="utf-8")
    (failure,) = cases(xml.read_text(encoding="utf-8"))["factor_dropped.numpy/cpu eager analytic float64"].result
    assert "a factor 2 is missing" in failure.message


def test_github_needs_a_summary_and_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(github.SUMMARY, raising=False)
    with pytest.raises(BadInput, match="--github is for a step of GitHub Actions"):
        github.summary_file()

"""The page of an operation: its formula as it is, its words harmless, its figures from the results, and fresh."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from multigrad.bench import cli
from multigrad.bench.report import drawing
from multigrad.bench.report.docstring import described, prose
from multigrad.bench.report.markup import code, fenced, plain
from multigrad.bench.report.pages import RESULTS, docs, pages
from multigrad.bench.report.results import Results
from multigrad.bench.store.folder import MATRIX, RUN, SUMMARY
from multigrad.bench.store.frames import to_frame, write_frame
from multigrad.bench.store.rows import SummaryRow
from multigrad.bench.store.run import read_info
from multigrad.bench.store.schema import SCHEMA

from multigrad import BadInput, operations
from multigrad.matrix.rows import MatrixRow
from multigrad.proof.certificate import Certified, read_certificate, write_certificate

ROOT = Path(__file__).parents[2]

OURS = '''
"""One of one's own."""
from multigrad import operation


@operation("(n)->()", sizes={"tiny": {"n": 3}, "large": {"n": 100000}})
def ours(xp, x, *, power=2):
    """The sum of squares | <b>loud</b> *stars* $x$.

    f = Σᵢ xᵢ².  With nothing more to say:

        x̄ = 2 f̄ x

    See :func:`relu_regression` and ``power`` of $5. At x = 0 the derivative is taken to be 0.

    Source: eq. 3 of nobody. Smooth: there is no kink.
    """

    def pullback(f_bar):
        return 2 * f_bar * x

    return xp.sum(x * x), pullback
'''


@pytest.fixture
def ours(tmp_path: Path) -> str:
    path = tmp_path / "ours.py"
    path.write_text(OURS, encoding="utf-8")
    return str(path)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results about `ours`."""
    folder = tmp_path / "results"
    folder.mkdir()
    verdict = MatrixRow(
        operation="ours",
        output="x_bar",
        backend="numpy",
        device="cpu",
        mode="eager",
        variant="analytic",
        dtype="float64",
        regime="gaussian",
        sizes="n=3",
        verdict="PASS",
        ratio=0.25,
        max_abs_error=1e-16,
        max_ulp=1.5,
        bitwise_equal_to_numpy=True,
        reason="",
        seed=0,
    )
    gap = replace(verdict, backend="torch", mode="compiled", verdict="GAP", ratio=float("nan"), reason="notyet: <ask>")
    write_frame(to_frame([verdict, gap], MatrixRow), folder / MATRIX)
    write_frame(to_frame([timed("analytic", 1e-3), timed("autodiff", 3e-3)], SummaryRow), folder / SUMMARY)
    info = {"schema": SCHEMA, "host": {"cpu": "Imaginary", "processors": 2}, "versions": {"numpy": "9"}}
    (folder / RUN).write_text(json.dumps(info), encoding="utf-8")
    return folder


def timed(variant: str, seconds: float, **more: Any) -> SummaryRow:
    facts: dict[str, Any] = {
        "operation": "ours", "variant": variant, "mode": "eager", "backend": "torch", "device": "cpu",
        "dtype": "float64", "sizes": "n=100000", "threads": 2, "precision": "strict", "median_s": seconds,
        "ci_low_s": 0.9 * seconds, "ci_high_s": 1.1 * seconds, "processes": 3, "blocks": 9, "verdict": "PASS",
        "flags": "", "reason": "", "size": "large", "headline": "latency", "calls": 8, "bound": "memory",
    }  # fmt: skip
    hints = SummaryRow.__annotations__
    return SummaryRow(**{name: facts.get(name, 1.0) for name in hints} | more)


def page(ours: str, out: Path, *runs: Path) -> str:
    docs([ours], out=out, runs=runs)
    return (out / "ours.md").read_text(encoding="utf-8")


def described_of(doc: str) -> str:
    op = operations()["linear_map"]

    def function(xp: Any, C: Any, x: Any) -> Any: ...

    function.__doc__ = doc
    return "\n\n".join(described(replace(op, function=function)))


@pytest.mark.parametrize("op", operations().values(), ids=operations())
def test_every_docstring_has_a_formula_and_a_source(op: Any) -> None:
    body, _, literature = described(op)
    assert "```text\n" in body
    assert literature


def test_a_formula_stands_as_it_is_and_what_introduces_it_is_prose() -> None:
    body = described_of("A title.\n\nY = XW.  With *Z* = XW:\n\n    X̄ = ȲWᵀ\n      + `1` <b>\n\nSource: none.")
    assert r"Y = XW. With \*Z\* = XW:" in body
    assert "```text\nX̄ = ȲWᵀ\n  + `1` <b>\n```" in body


def test_a_docstring_of_one_line_has_no_formula() -> None:
    assert described_of("A title.") == "\n\n\n\n"


def test_what_is_said_of_kinks_stands_by_itself() -> None:
    body, kinks, literature = described(operations()["relu_regression"])
    assert "taken to be 0" in kinks
    assert "taken to be 0" not in body
    _, kinks, literature = described(operations()["linear_map"])
    assert kinks == "Linear: there is no kink."
    assert literature == "The Matrix Cookbook (2012), eq. 69 and 70."


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a | b <i>*c*</i> [d](e) _f_ `", r"a \| b &lt;i&gt;\*c\*&lt;/i&gt; \[d\](e) \_f\_ \`"),
        ("$x$ ~~y~~ & #1", "&#36;x&#36; &#126;&#126;y&#126;&#126; &amp; #\u20601"),
        ("- no list", r"\- no list"),
        ("1. no list", r"1\. no list"),
    ],
)
def test_text_means_itself_in_markdown(text: str, markdown: str) -> None:
    assert plain(text) == markdown


def test_roles_and_code_in_a_docstring_are_links_and_code() -> None:
    said = prose("as :func:`~a.b.relu` of ``x|y`` - or :func:`c`.", {"relu"})
    assert said == r"as [`relu`](relu.md) of `x\|y` - or `c`."
    assert code("`") == "`` ` ``"
    assert fenced("```", "text") == "````text\n```\n````"


def test_a_page_without_results_says_what_to_run(ours: str, tmp_path: Path) -> None:
    text = page(ours, tmp_path / "out")
    assert "Not certified yet: run `multigrad check --certificate" in text
    assert "Not checked yet: run `multigrad check ours`." in text
    assert "Not measured yet: run `multigrad bench ours`." in text
    assert "The sum of squares \\| &lt;b&gt;loud&lt;/b&gt; \\*stars\\* &#36;x&#36;." in text
    assert "[`relu_regression`](relu_regression.md) and `power` of &#36;5." in text
    assert "[source](../ours.py#L6)" in text
    assert "def pullback(f_bar):" in text
    assert "| `power` | parameter | default `2` |  |" in text
    assert not (tmp_path / "out" / "ours.svg").exists()
    assert not (tmp_path / "out" / "index.md").exists()


def test_a_page_shows_verdicts_and_times_of_the_results(ours: str, results: Path, tmp_path: Path) -> None:
    text = page(ours, tmp_path / "out", results)
    assert "| numpy eager | analytic | ✓ 0.25 (1.5 ulp) |" in text
    assert "- GAP torch compiled float64: notyet: &lt;ask&gt;" in text
    assert "### large: n=100000, float64, 2 threads" in text
    assert r"| torch eager | 1 ms \[0.9, 1.1\] | 3 ms \[2.7, 3.3\] | 3.00× |" in text
    assert "Measured on Imaginary, 2 processors; numpy 9." in text
    assert "](ours.svg)" in text
    assert (tmp_path / "out" / "ours.svg").exists()


def test_a_page_shows_nothing_of_another_operation_of_its_name(ours: str, results: Path, tmp_path: Path) -> None:
    info = read_info(results)
    (results / RUN).write_text(json.dumps({**info, "own_operations": {"ours": "ours.py"}}), encoding="utf-8")
    assert "| torch eager | 1 ms" in page(ours, tmp_path / "out", results)
    (results / RUN).write_text(json.dumps({**info, "own_operations": {}}), encoding="utf-8")
    text = page(ours, tmp_path / "out", results)
    assert "Not measured yet" in text
    assert "Not checked yet" in text


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("preempted", r"| 1 ms \[0.9, 1.1\] | 3 ms \[2.7, 3.3\] | 3.00× |"),
        ("died", r"| ! 1 ms \[0.9, 1.1\] (a process died at it) | 3 ms \[2.7, 3.3\] | (3.00×) |"),
    ],
)
def test_only_a_time_that_cannot_be_trusted_is_marked_and_its_ratio_stands_in_brackets(
    ours: str, results: Path, tmp_path: Path, flag: str, line: str
) -> None:
    rows = [timed("analytic", 1e-3, flags=flag), timed("autodiff", 3e-3)]
    write_frame(to_frame(rows, SummaryRow), results / SUMMARY)
    assert line in page(ours, tmp_path / "out", results)


def test_a_page_shows_the_certificate(ours: str, results: Path, tmp_path: Path) -> None:
    write_certificate(results / "certificates.json", [ours])
    (one,) = read_certificate(results / "certificates.json")
    assert isinstance(one, Certified)
    catalogue = page(ours, tmp_path / "out", results)
    assert "Not certified yet" not in catalogue
    assert re.search(r"\| `n=3` \| ∂f/∂x \| 2 gaussian \| every entry \| \d+ \| (\d+|exact) \| ", catalogue)


def test_a_certificate_that_was_changed_is_refused(ours: str, results: Path, tmp_path: Path) -> None:
    path = results / "certificates.json"
    write_certificate(path, [ours])
    path.write_text(path.read_text(encoding="utf-8").replace('"points": 2', '"points": 9'), encoding="utf-8")
    with pytest.raises(BadInput, match="changed after it was written"):
        page(ours, tmp_path / "out", results)


def test_two_machines_are_told_apart(ours: str, results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_frame(to_frame([timed("analytic", 2e-3)], SummaryRow), other / SUMMARY)
    text = page(ours, tmp_path / "out", results, other)
    assert r"| torch eager (other) | 2 ms" in text
    assert r"| torch eager (results) | 1 ms" in text


def test_a_check_names_what_is_stale_missing_or_superfluous(tmp_path: Path) -> None:
    out = tmp_path / "out"
    docs(out=out, runs=())
    assert set(docs(out=out, runs=(), check=True)["state"]) == {"fresh"}
    (out / "linear_map.md").write_text("edited", encoding="utf-8")
    (out / "relu_regression.md").rename(out / "gone.md")
    (out / "notes.md").write_text("A person's own.", encoding="utf-8")
    frame = docs(out=out, runs=(), check=True)
    states = {Path(file).name: state for file, state in zip(frame["file"], frame["state"], strict=True)}
    assert {name: state for name, state in states.items() if state != "fresh"} == {
        "linear_map.md": "stale",
        "relu_regression.md": "missing",
        "gone.md": "superfluous",
    }
    docs(out=out, runs=())
    assert (out / "notes.md").exists()
    assert not (out / "gone.md").exists()
    assert set(docs(out=out, runs=(), check=True)["state"]) == {"fresh"}


def test_pages_do_not_depend_on_the_folder_that_one_is_in(
    ours: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = page(ours, tmp_path / "out", results)
    monkeypatch.chdir(tmp_path)
    assert set(docs(["ours.py"], out="out", runs=["results"], check=True)["state"]) == {"fresh"}
    assert page("ours.py", Path("out"), Path("results")) == first


FIGURES = (
    {"where": "torch eager", "dtype": "float64", "size": "large", "variant": "analytic", "median_s": 1e-3,
     "low_s": 9e-4, "high_s": 1.1e-3, "barred": False},
    {"where": "torch eager", "dtype": "float64", "size": "large", "variant": "autodiff", "median_s": 2e-3,
     "low_s": 1.9e-3, "high_s": 2.1e-3, "barred": True},
)  # fmt: skip


def test_a_picture_is_the_same_whenever_it_is_drawn_and_knows_what_it_shows() -> None:
    svg = drawing.stamped(FIGURES)
    assert svg == drawing.stamped(FIGURES)
    assert drawing.is_fresh(svg, FIGURES)
    assert not drawing.is_fresh(svg, FIGURES[:1])
    assert not drawing.is_fresh(svg.replace("analytic", "analytical"), FIGURES)
    assert not drawing.is_fresh("<svg/>", FIGURES)
    assert "large, float64" in svg
    assert all(colour in svg for colour in drawing.COLOURS[:2])


def test_a_picture_is_told_fresh_without_being_drawn(
    ours: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page(ours, tmp_path / "out", results)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert set(docs([ours], out=tmp_path / "out", runs=[results], check=True)["state"]) == {"fresh"}
    (tmp_path / "out" / "ours.svg").unlink()
    with pytest.raises(BadInput, match=r'pip install "multigrad\[docs\]"'):
        docs([ours], out=tmp_path / "out", runs=[results])


def test_the_index_has_every_operation() -> None:
    *_, index = pages(list(operations().values()), Results.read(()), ROOT / "docs" / "operations", index=True)
    assert index.name == "index.md"
    assert all(f"]({name}.md)" in index.text for name in operations())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        docs(out=tmp_path, runs=[tmp_path / "nowhere"])


def test_the_command_writes_checks_and_ends_with_1_when_pages_are_stale(
    ours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["docs", ours, "--check"], monkeypatch) == 1
    assert "missing: docs/operations/ours.md" in capsys.readouterr().out
    assert run_command(["docs", ours], monkeypatch) == 0
    assert run_command(["docs", ours, "--check"], monkeypatch) == 0
    assert run_command(["docs", ours, "--run", "nowhere"], monkeypatch) == 3


def run_command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["multigrad", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_pages_of_the_catalogue_are_fresh() -> None:
    frame = docs(out=ROOT / "docs" / "operations", runs=sorted(ROOT.glob(RESULTS)), check=True)
    stale = frame[frame["state"] != "fresh"]
    assert stale.empty, f"run `multigrad docs`: {as_text(stale)}"


def as_text(frame: pd.DataFrame) -> str:
    return ", ".join(f"{Path(file).name} {state}" for file, state in zip(frame["file"], frame["state"], strict=True))

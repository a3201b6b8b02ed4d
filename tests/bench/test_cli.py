"""The command line keeps its word: one clear line and exit code 3 for bad input, 1 for a wrong gradient."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from multigrad.bench import cli

from multigrad import matrix

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "examples" / "broken"


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def multigrad(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["multigrad", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return run


def mine(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


GOOD = """
from multigrad import operation

@operation("(n)->()")
def square(xp, x):
    "f = sum of squares"
    return xp.sum(x * x), lambda f_bar: 2 * f_bar * x
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chek"], "No such command 'chek'"),
        (["check", "--nonsense"], "--nonsense"),
        (["check", "relu_regresion"], "did you mean 'relu_regression'"),
        (["check", "--backend", "nunpy"], "did you mean 'numpy'"),
        (["bench", "--study", "gradbench", "--dtype", "float32"], "found --dtype too"),
        (["bench", "--study", "gradbench", "--rounds", "0"], "wanted at least 1"),
        (["check", "--dtype", "float33"], "no dtype named 'float33'"),
        (["check", "--device", "tpu"], "no device named 'tpu'"),
        (["check", "--device", "tpu:2"], "no device named 'tpu:2'; there are cpu"),
        (["check", "--device", "cpu:x"], "no device named 'cpu:x'; wanted one such as cpu or cuda, or a mesh"),
        (["check", "--devices", "0"], "no device named 'cpu:0'; wanted one such as cpu or cuda, or a mesh"),
        (["check", "--devices", "8", "--mesh", "4x2"], "--devices 8 and --mesh 4x2 both say"),
        (["bench", "--device", "cpu:4", "--devices", "8"], "--device cpu:4 and --devices 8 both say"),
        (["run", "--device", "cpu:4", "--mesh", "4x2"], "--device cpu:4 and --mesh 4x2 both say"),
        (["check", "linear_map", "--devices", "2", "--backend", "numpy"], "numpy: numpy has no mesh of devices"),
        (["bench", "--study", "gradbench", "--devices", "2"], "found --devices too"),
        (["check", "--mode", "fast"], "no mode named 'fast'"),
        (["check", "--fail-on", "findings"], "no verdict to fail on is named 'findings'; there are all, finding"),
        (["check", "--precision", "loose"], "no precision named 'loose'"),
        (["check", "linear_map", "--size", "vast"], "linear_map has no size 'vast'; it has tiny"),
        (["check", "nowhere.py"], "no file nowhere.py"),
        (["bench", "relu_regresion"], "did you mean 'relu_regression'"),
        (["bench", "--backend", "nunpy"], "did you mean 'numpy'"),
        (["bench", "linear_map", "--out", "/proc/nowhere"], "choose another folder with --out"),
        (["run", "linear_map", "--out", "/proc/nowhere"], "choose another folder with --out"),
        (["run", "relu_regresion"], "did you mean 'relu_regression'"),
        (["report", "nowhere"], "no folder nowhere"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_3(multigrad, arguments: list[str], words: str) -> None:  # type: ignore[no-untyped-def]
    said = multigrad(*arguments)
    assert said.code == 3
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "defines no operation"),
        ("1 / 0", "raised on import (line 1): ZeroDivisionError"),
        (GOOD.replace('"(n)->()"', '"(n),(m)->()"'), "the signature (n),(m)->() has 2 inputs, the function has 1"),
    ],
)
@pytest.mark.parametrize("command", ["check", "bench", "run"])
def test_a_file_that_cannot_be_used_is_one_clear_line(
    multigrad, tmp_path: Path, command: str, text: str, words: str
) -> None:  # type: ignore[no-untyped-def]
    said = multigrad(command, mine(tmp_path, text), *([] if command == "check" else ["--out", tmp_path]))
    assert said.code == 3
    assert words in said.err
    assert said.err.count("\n") == 1


NAMED = {
    "factor_dropped": ("∂f/∂W", "a factor 2 is missing"),
    "transposed": ("∂f/∂x", "in place of `C @ y_bar`"),
    "mask_lost": ("∂f/∂W", "xp.where(Z > 0, R_bar, 0)"),
}


def test_a_wrong_gradient_exits_1_and_is_named(multigrad) -> None:  # type: ignore[no-untyped-def]
    files = [BROKEN / f"{name}.py" for name in NAMED]
    said = multigrad("check", *files, "--backend", "numpy", "--dtype", "float32", "--regime", "gaussian")
    assert said.code == 1
    wrong = [line for line in said.out.splitlines() if line.startswith("FAIL")]
    for name, (output, words) in NAMED.items():
        named = [line for line in wrong if name in line and output in line]
        assert any("the formula" in line and words in line for line in named), name
        assert any("numpy/cpu" in line and "× the bound" in line for line in named), name


def test_a_right_gradient_exits_0_and_a_missing_framework_is_worded(multigrad, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = multigrad(
        "check", mine(tmp_path, GOOD), "--backend", "numpy,cupy", "--dtype", "float32", "--regime", "gaussian"
    )
    assert said.code == 0
    assert "proven with false-pass probability" in said.out
    assert "UNAVAILABLE cupy/cuda: " in said.out


NAN_IN_AUTODIFF = """
from multigrad import operation

@operation("(n)->(n)", sizes={"tiny": {"n": 4}})
def root(xp, x):
    S = x > 0
    r = xp.where(S, xp.sqrt(xp.where(S, x, 0 * x)), 0 * x)
    return r, lambda y_bar: xp.where(S, y_bar / (2 * xp.where(S, r, 1 + 0 * r)), 0 * x)
"""


def test_a_finding_about_a_framework_fails_only_where_it_is_asked_to(  # type: ignore[no-untyped-def]
    multigrad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What to fail on says how a check ends, and nothing that it does: its rows are found once.
    monkeypatch.setattr("multigrad.matrix.check", once(matrix.check))
    command = ["check", mine(tmp_path, NAN_IN_AUTODIFF), "--backend", "torch", "--dtype", "float64", "--mode", "eager"]
    for fail_on, code in ((None, 0), ("finding", 1), ("all", 1), ("portability,finding", 1), ("portability", 0)):
        said = multigrad(*command, *([] if fail_on is None else ["--fail-on", fail_on]))
        assert said.code == code, fail_on
        assert "FINDING root ∂f/∂x autodiff on torch/cpu eager" in said.out
        assert "torch's autodiff is NaN here; yours is right" in said.out


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that returns again what the first call returned."""
    results: list[Any] = []

    def called(*args: Any, **kwargs: Any) -> Any:
        if not results:
            results.append(function(*args, **kwargs))
        return results[0]

    return called


def test_ones_own_gradient_is_not_held_against_a_native_form_of_its_name(multigrad) -> None:  # type: ignore[no-untyped-def]
    options = ("--backend", "torch", "--dtype", "float64", "--mode", "eager", "--regime", "gaussian", "--json")
    said = multigrad("check", ROOT / "examples" / "my_gradient.py", *options)
    assert said.code == 0
    rows = json.loads(said.out)
    assert {row["operation"] for row in rows} == {"gaussian_nll"}
    assert {"analytic", "autodiff"} == {row["variant"] for row in rows if row["backend"] == "torch"} - {"*"}


@pytest.mark.parametrize("options", [["--variant", "native"], ["--dtype", "bfloat16"], ["--mode", "compiled"]])
def test_a_check_that_compared_nothing_is_an_error(multigrad, options: list[str]) -> None:  # type: ignore[no-untyped-def]
    said = multigrad("check", "linear_map", "--backend", "numpy", "--regime", "gaussian", *options)
    assert said.code == 3
    assert said.err.startswith("multigrad: nothing was compared: ")


def test_json_is_read_by_a_program(multigrad, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = multigrad("check", mine(tmp_path, GOOD), "--backend", "numpy", "--regime", "gaussian", "--json")
    rows = json.loads(said.out)
    assert {row["verdict"] for row in rows} <= {"PASS", "NOTE", "UNAVAILABLE"}
    listed = json.loads(multigrad("list", "--json").out)
    assert "numpy" in {row["backend"] for row in listed["backends"]}

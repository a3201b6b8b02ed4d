"""Whatever a person gives, a command ends with one line and a documented exit code: situation → exit code → line."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fast_protocol import FAST
from multigrad.bench import cli, load_run, measure
from multigrad.bench.store.folder import JOURNAL, SUMMARY
from test_cli import GOOD, Said, mine, once
from test_cli import multigrad as _multigrad

from multigrad import BadInput, matrix
from multigrad.ops import elsewhere
from multigrad.process import child as worker
from multigrad.process.entry import WORKER
from multigrad.proof import certificate

multigrad = _multigrad  # the fixture that runs a command line here

HEAD = """import ctypes, functools, os, subprocess, sys, threading, time
import numpy as np
from multigrad import operation
"""
ONE = ("--backend", "numpy", "--dtype", "float64", "--regime", "gaussian", "--json")
LINE = HEAD.count("\n") + 1


def made(
    signature: str = '"(n)->()"',
    *,
    options: str = "",
    arguments: str = "xp, x",
    body: str = "return xp.sum(x * x), lambda f_bar: 2 * f_bar * x",
) -> str:
    return f"{HEAD}@operation({signature}{options})\ndef f({arguments}):\n    {body}\n"


def sized(size: str) -> str:
    return made(options=f", sizes={{'a': {size}}}")


def drawn(function: str) -> str:
    return made(options=f", inputs={function}")


def called(expression: str, before: str = "") -> str:
    return f"{HEAD}{before}f = operation('(n)->()')({expression})\n"


ON_IMPORT = {
    "sys.exit(0)": ("sys.exit(0)", f"mine.py ended the process on import (line {LINE}): sys.exit(0)"),
    "sys.exit(5)": ("sys.exit(5)", "sys.exit(5)"),
    "os._exit(0)": ("os._exit(0)", "mine.py cannot be imported: ended with exit code 0"),
    "os._exit(5)": ("os._exit(5)", "mine.py cannot be imported: ended with exit code 5"),
    "a crash": ("ctypes.string_at(0)", "mine.py cannot be imported: killed by SIGSEGV"),
    "Ctrl-C by itself": ("raise KeyboardInterrupt", f"raised on import (line {LINE}): KeyboardInterrupt"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "recursion": ("def g(): g()\ng()", "RecursionError"),
    "closed descriptors": ("os.closerange(0, 100)\n" + GOOD, "mine.py cannot be imported: ended with exit code 1"),
    "an unprintable exception": (
        "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E",
        "raised on import (line 6): E",
    ),
    "another NumPy": ("np.sum = lambda *a, **k: 0\n" + GOOD, "mine.py replaces numpy.sum"),
    "another LAPACK": ("np.linalg.solve = lambda a, b: b\n" + GOOD, "mine.py replaces numpy.linalg.solve"),
}

WHOLE = {
    **{situation: (HEAD + text, words) for situation, (text, words) in ON_IMPORT.items()},
    "nothing": ("", "mine.py defines no operation"),
    "null bytes": ("x = 1\0", "null bytes"),
    "no program": ("def f(:", "SyntaxError"),
    "a negative size": (sized("{'n': -3}"), "n is -3; wanted a whole number of 1 or more"),
    "a size of zero": (sized("{'n': 0}"), "n is 0; wanted a whole number"),
    "a size of 10**12": (sized("{'n': 10**12}"), "size 'a' has inputs of 7.28 TiB in float64; wanted 1 TiB at most"),
    "a size of text": (sized("{'n': 'three'}"), "n is 'three'; wanted a whole number"),
    "a size of None": (sized("{'n': None}"), "n is None; wanted a whole number"),
    "a size of 3.0": (sized("{'n': 3.0}"), "n is 3.0; wanted a whole number"),
    "a size of NaN": (sized("{'n': float('nan')}"), "n is nan; wanted a whole number"),
    "a size of True": (sized("{'n': True}"), "n is True; wanted a whole number"),
    "an empty size": (sized("{}"), "size 'a' lacks 'n'"),
    "a size that is none": (sized("3"), "sizes has 'a': 3; wanted a name and a dictionary"),
    "no size": (made(options=", sizes={}"), "sizes is empty"),
    "a list of sizes": (made(options=", sizes=[3]"), "sizes is list"),
    "a superscript digit": (made('"(²)->()"'), "has the dimension '²'; wanted a name, or a number from 1"),
    "an Arabic digit": (made('"(٣)->()"'), "has the dimension '٣'"),
    "a dimension of 0": (made('"(0)->()"'), "has the dimension '0'"),
    "a dimension of 10**12": (made('"(999999999999)->()"'), "has inputs of 7.28 TiB"),
    "a dimension of 5,000 digits": (made(f'"({"9" * 5000})->()"'), "wanted a name, or a number from 1"),
    "no signature": (f"{HEAD}@operation\ndef f(xp, x): pass\n", "the signature is function; wanted @operation with"),
    "a signature that is a number": (made("3"), "the signature is int"),
    "inputs= raises": (drawn("lambda draw, n: 1 / 0"), "inputs= raised ZeroDivisionError: division by zero"),
    "inputs= exits": (drawn("lambda draw, n: sys.exit(0)"), "inputs= raised SystemExit: 0"),
    "inputs= gives None": (drawn("lambda draw, n: None"), "inputs= returned NoneType; wanted one array for each of x"),
    "inputs= gives one number": (drawn("lambda draw, n: 3.0"), "inputs= returned float"),
    "inputs= gives one array of no dimension": (drawn("lambda draw, n: np.float64(3)"), "inputs= returned float64"),
    "inputs= gives too many": (drawn("lambda draw, n: [draw(n), draw(n)]"), "f takes 1 inputs (x), found 2"),
    "inputs= gives another shape": (drawn("lambda draw, n: [draw(n, n)]"), "x has shape (3, 3); wanted (n)"),
    "inputs= gives text": (drawn("lambda draw, n: ['abc']"), "inputs= gave x the dtype <U3; wanted numbers"),
    "inputs= gives ragged rows": (
        drawn("lambda draw, n: [[[1, 2], [3]]]"),
        "inputs= returned what is no array",
    ),
    "inputs= takes no size": (drawn("lambda draw: [draw(3)]"), "inputs= raised TypeError"),
    "inputs= is a number": (drawn("5"), "inputs is int; wanted a function"),
    "a parameter that is an object": (made(arguments="xp, x, *, p=object()"), "parameter p is object; wanted a plain"),
    "a parameter that is an array": (made(arguments="xp, x, *, p=np.ones(3)"), "parameter p is ndarray"),
    "a parameter that is a function": (made(arguments="xp, x, *, p=len"), "parameter p is builtin_function_or_method"),
    "a parameter without a default": (made(arguments="xp, x, *, p"), "parameter p has no default"),
    "no such dtype": (made(options=", dtypes=('float33',)"), "no dtype named 'float33'"),
    "no dtype": (made(options=", dtypes=()"), "no dtype named 'none'"),
    "nondifferentiable is a number": (made(options=", nondifferentiable=3"), "nondifferentiable has 3"),
    "a partial function": (called("functools.partial(print)"), "an operation is a function written with def"),
    "a lambda": (called("lambda xp, x: (xp.sum(x), lambda g: g + 0 * x)"), "written with def; found '<lambda>'"),
    "a class": (called("int"), "written with def; found type"),
    "a callable object": (called("A()", "class A:\n    def __call__(self, xp, x): pass\n"), "with def; found A"),
    "a method": (called("A().m", "class A:\n    def m(self, xp, x): pass\n"), "written with def; found method"),
    "a coroutine": (called("g", "async def g(xp, x): pass\n"), "g is a coroutine or a generator"),
    "a generator": (called("g", "def g(xp, x):\n    yield x\n"), "g is a coroutine or a generator"),
    "a name that is not UTF-8": (called("g", "def g(xp, x): pass\ng.__name__ = 'a\\udcff'\n"), "found 'a\\udcff'"),
    "a name that is a path": (called("g", "def g(xp, x): pass\ng.__name__ = '../g'\n"), "found '../g'"),
    "two of one name": (made() + made(), "mine.py has two operations named f (lines 5 and 11); rename one"),
    "two of one name, made by a function": (
        HEAD
        + "def make(k):\n    @operation('(n)->()')\n    def f(xp, x): return xp.sum(k * x), lambda g: g * k + 0 * x\n"
        + "    return f\ntwo, three = make(2), make(3)\n",
        "mine.py has two operations named f",
    ),
}


def refused(said: Said, words: str) -> None:
    assert said.code == 3
    assert words in said.err
    assert said.err.startswith("multigrad: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize("situation", WHOLE)
def test_a_file_that_cannot_be_used_is_one_line(multigrad: Any, tmp_path: Path, situation: str) -> None:
    text, words = WHOLE[situation]
    path = tmp_path / "mine.py"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(multigrad("check", path, *ONE), words)


@pytest.mark.parametrize("command", ["bench", "run", "docs"])
@pytest.mark.parametrize("text", ["import sys; sys.exit(0)", "import os; os._exit(0)"])
def test_no_command_ends_with_a_file_that_it_reads(multigrad: Any, tmp_path: Path, command: str, text: str) -> None:
    refused(multigrad(command, mine(tmp_path, text), "--out", tmp_path), "mine.py ")


def test_a_file_that_hangs_is_given_up(multigrad: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "TIMEOUT_S", 2.0)
    words = "mine.py cannot be imported: gave no sign for 2 s and was killed"
    refused(multigrad("check", mine(tmp_path, "while True: pass"), *ONE), words)


def test_what_is_no_file_of_python_is_one_line(multigrad: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "binary.py").write_bytes(bytes(range(256)))
    for name, words in (
        ("pipe.py", "is no file"),
        ("folder.py", "is no file"),
        ("loop.py", "no file"),
        ("latin.py", "SyntaxError"),
        ("binary.py", "null bytes"),
        (f"{'n' * 300}.py", "File name too long"),
        (os.fsdecode(b"\xff.py"), "no file"),
    ):
        refused(multigrad("check", tmp_path / name, *ONE), words)
    refused(multigrad("check", "/dev/zero", *ONE), "/dev/zero is no file")


ROWS = 6
"""Of the check in ``ONE``: two sizes, the formula and two outputs each."""

GUARDED = {
    "forks": "os.fork()",
    "starts a thread": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "starts a process": "subprocess.Popen(['sleep', '600'])",
    "starts itself": "if not os.environ.get('AGAIN'): subprocess.run([sys.executable, __file__], env={**os.environ, "
    "'AGAIN': '1'})",
    "prints": "print('not JSON'); os.write(1, b'not JSON')",
    "prints as it computes": "",
}


@pytest.mark.parametrize("situation", GUARDED)
def test_what_a_file_does_besides_changes_no_answer(multigrad: Any, tmp_path: Path, situation: str) -> None:
    body = "print('not JSON'); return xp.sum(x * x), lambda f_bar: 2 * f_bar * x"
    text = made(body=body).replace(HEAD, f"{HEAD}{GUARDED[situation]}\n")
    said = multigrad("check", mine(tmp_path, text), *ONE)
    assert said.code == 0
    rows = json.loads(said.out)
    assert len(rows) == ROWS
    assert {row["verdict"] for row in rows} == {"PASS"}
    assert said.err == ""
    assert not descendants()


def descendants() -> list[str]:
    """Return the commands of processes that were started by a worker and are still there."""
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        mark = f"MULTIGRAD_TEST={os.getpid()}".encode()
        if state != "Z" and mark in variables and f"{WORKER}=1".encode() in variables:
            left.append(command)
    return left


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIGRAD_TEST", str(os.getpid()))


INSIDE = {
    "sys.exit(0)": "sys.exit(0)",
    "sys.exit(0) in the pullback": "return xp.sum(x * x), lambda f_bar: sys.exit(0)",
    "os._exit(0)": "os._exit(0)",
    "Ctrl-C": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "recursion": "return f(xp, x)",
    "no memory": "xp.zeros(10**14); return xp.sum(x * x), lambda f_bar: 2 * f_bar * x",
}


@pytest.mark.parametrize("situation", INSIDE)
def test_an_operation_cannot_end_a_check_well(multigrad: Any, tmp_path: Path, situation: str) -> None:
    said = multigrad("check", mine(tmp_path, made(body=INSIDE[situation])), *ONE)
    assert said.code in (1, 3)
    assert "Traceback" not in said.err


def test_an_operation_of_this_process_cannot_end_it() -> None:
    def leave() -> Any:
        yield {"begin": 3}
        sys.exit(0)

    *_, death = worker.run_here(leave())
    assert death == worker.Death("the operation ended the process: sys.exit(0)", 3)


# Scripts that check themselves


SCRIPT = """
import os, sys
from pathlib import Path
from multigrad import check, operation

with Path("runs").open("a") as file:
    file.write(f"{__name__}\\n")

@operation("(n)->()")
def square(xp, x):
    "f = sum of squares"
    return xp.sum(x * x), lambda f_bar: 2 * f_bar * x

"""
CALL = """frame = check(square, backend="numpy", dtype="float64", regime="gaussian")
print("result", frame["verdict"].iloc[0], len(frame))
"""
SCRIPTS = {
    "without a guard": SCRIPT + CALL,
    "with a guard": SCRIPT + "if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in CALL.splitlines()),
    "that exits": SCRIPT + CALL + "sys.exit(0)\n",
    "that measures too": SCRIPT
    + CALL
    + "from multigrad.bench.measurement.measure import measure\nfrom multigrad.bench.plan.protocol import Protocol\n"
    + "run = measure(square, backend='numpy', dtype='float64', variant='analytic', size='tiny', quick=True, rounds=1)\n"
    + "assert len(run.summary)\n",
    "an exported notebook": "#!/usr/bin/env python\n# coding: utf-8\n\n# In[1]:\n"
    + SCRIPT
    + "# In[2]:\n"
    + CALL
    + "frame\n",
}


def python(folder: Path, *words: str) -> Said:
    ended = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    return Said(ended.returncode, ended.stdout, ended.stderr)


SHORTER = ("that exits", "an exported notebook")
"""Scripts that begin like one of the others: run by hand."""


@pytest.mark.parametrize(
    "situation", [pytest.param(name, marks=[pytest.mark.long] * (name in SHORTER)) for name in SCRIPTS]
)
def test_a_script_that_checks_itself_runs_once(tmp_path: Path, situation: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPTS[situation])
    said = python(tmp_path, "script.py")
    assert said.code == 0
    assert said.out == f"result PASS {ROWS}\n"
    warned = "" if "with a guard" in situation else "script.py calls multigrad's check while it is imported"
    assert warned in said.err
    assert said.err.count("\n") == bool(warned)
    assert (tmp_path / "runs").read_text().split().count("__main__") == 1
    assert not descendants()


def test_a_command_finds_the_operations_of_such_a_script(multigrad: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    said = multigrad("check", mine(tmp_path, SCRIPT + CALL), *ONE)
    assert said.code == 0
    assert "mine.py calls multigrad's check while it is imported" in said.err
    assert said.err.count("\n") == 1


def test_code_of_the_command_line_runs_once(tmp_path: Path) -> None:
    said = python(tmp_path, "-c", SCRIPT + CALL)
    assert (said.code, said.out, said.err) == (0, f"result PASS {ROWS}\n", "")
    assert (tmp_path / "runs").read_text() == "__main__\n"


def test_a_script_that_pytest_collects_runs_once(tmp_path: Path) -> None:
    test = SCRIPT + "def test_square():\n" + "".join(f"    {line}\n" for line in CALL.splitlines())
    (tmp_path / "test_script.py").write_text(test)
    said = python(tmp_path, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_script.py")
    assert said.code == 0
    assert said.out.count(f"result PASS {ROWS}") == 1
    assert not descendants()


@pytest.mark.parametrize(
    "name",
    ["multigrad.mutation.kill:kill_matrix", "multigrad.proof.certificate:verify"],
)
def test_every_entry_point_does_nothing_in_a_worker(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import import_module

    monkeypatch.setenv(WORKER, "1")
    module, _, function = name.partition(":")
    assert len(getattr(import_module(module), function)(0)) == 0


def test_every_function_that_starts_workers_is_an_entry_point() -> None:
    from multigrad.bench.fleet import fleet
    from multigrad.bench.measurement import doctor, job, study
    from multigrad.bench.report import pages, writing

    from multigrad.backend import scheduler
    from multigrad.mutation import kill
    from multigrad.proof import certificate, conventions

    functions = [matrix.check, kill.kill_matrix, conventions.conventions, cli.main]
    functions += [certificate.write_certificate, certificate.verify, scheduler.use_scheduler, measure]
    functions += [study.measure_study, job.run_job, fleet.run_fleet, doctor.examine, pages.docs, writing.write_reports]
    for function in functions:
        assert hasattr(function, "__wrapped__"), function.__name__


# Reading runs no code


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A file whose import leaves a mark."""
    path = tmp_path / "payload.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{GOOD}")
    return path


@pytest.fixture
def received(payload: Path, square: str, tmp_path: Path) -> Path:
    """An unfinished run whose journal names that file."""

    def interrupt(done: int, total: int, text: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    asked: dict[str, Any] = {"backend": "numpy", "dtype": "float64", "variant": "analytic"}
    with pytest.raises(KeyboardInterrupt):
        measure(square, **asked, threads=1, mode="eager", protocol=FAST, folder=folder, progress=interrupt)
    (folder / SUMMARY).unlink()
    path = folder / JOURNAL
    path.write_text(path.read_text().replace(square.partition("::")[0], str(payload)))
    return folder


def test_a_report_of_a_received_run_loads_nothing_that_it_names(multigrad: Any, received: Path, tmp_path: Path) -> None:
    assert str(tmp_path / "payload.py") in (received / JOURNAL).read_text()
    assert multigrad("report", received).code == 0
    assert not (tmp_path / "ran").exists()


def test_a_received_run_goes_on_only_with_the_file_that_it_names(multigrad: Any, received: Path, payload: Path) -> None:
    said = multigrad("bench", "--resume", received)
    refused(said, f"names square of {payload}, which is code; to let it run: multigrad bench {payload} --resume")
    refused(multigrad("bench", "--resume", received, received / "payload.py"), "which is code")
    assert not payload.with_name("ran").exists()
    assert multigrad("bench", payload, "--resume", received).code == 0
    assert payload.with_name("ran").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"source": "numpy"', '"source": "payload:BACKEND"', "names the backend payload:BACKEND, which is code"),
        ('"seed": 0', '"against_commit": "HEAD", "seed": 0', "runs the code of another commit"),
    ],
)
def test_a_received_run_names_no_backend_and_no_commit(
    multigrad: Any, received: Path, payload: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    monkeypatch.syspath_prepend(payload.parent)
    path = received / JOURNAL
    path.write_text(path.read_text().replace(str(payload) + "::square", "linear_map").replace(old, new, 1))
    refused(multigrad("bench", "--resume", received), words)
    assert not payload.with_name("ran").exists()


def test_a_received_certificate_names_code_and_runs_none(multigrad: Any, tmp_path: Path, payload: Path) -> None:
    content = {
        "format": certificate.FORMAT,
        "version": certificate.VERSION,
        "certified": [
            {
                **dict.fromkeys([f.name for f in fields(certificate.Certified)], 1),
                "operation": "square",
                "reference": "payload.py::square",
                "source_sha256": "0",
                "output": "x_bar",
                "size": {"n": 3},
                "regime": "gaussian",
                "passed": True,
            }
        ],
    }
    path = tmp_path / "received.json"
    path.write_text(json.dumps({**content, "sha256": certificate._digest(content)}))
    words = f"names square of {payload}, which is code; to let it run: multigrad verify {path} {payload}"
    refused(multigrad("verify", path), words)
    assert not (tmp_path / "ran").exists()
    said = multigrad("verify", path, payload)
    assert said.code == 1
    assert "the source has changed since" in " ".join(said.out.split())
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("operation = 'payload.py'", "names operations of payload.py, which is code"),
        ("backend = 'payload:BACKEND'", "names the backend payload:BACKEND, which is code"),
    ],
)
def test_a_received_study_names_code_and_runs_none(
    multigrad: Any, tmp_path: Path, payload: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(f"question = 'Which?'\n[answer]\nkind = 'overhead'\n[[cells]]\n{line}\n")
    refused(multigrad("bench", "--study", path, "--out", tmp_path), words)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit(0)", "study.py ended the process on import (line 1): sys.exit(0)"),
        ("import os; os._exit(0)", "study.py cannot be imported: ended with exit code 0"),
        ("x = 1", "study.py defines no STUDY"),
        ("STUDY = {'question': object()}", "STUDY is more than numbers, texts and lists"),
    ],
)
def test_a_study_of_python_is_imported_by_a_worker(multigrad: Any, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "study.py"
    path.write_text(text)
    refused(multigrad("bench", "--study", path, "--out", tmp_path), words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit(0)", "its answer ended the process (line 4): sys.exit(0)"),
        ("return 1 / 0", "ZeroDivisionError"),
        ("return 'yes'", "its answer is str; wanted a data frame and a sentence"),
    ],
)
def test_a_study_cannot_end_the_process_that_asks(tmp_path: Path, body: str, words: str) -> None:
    from made_up_run import made_up
    from multigrad.bench.analysis.answer import answer
    from multigrad.bench.plan.study import study

    path = tmp_path / "mine.py"
    cells = "[{'operation': 'linear_map'}]"
    path.write_text(f"import sys\nSTUDY = {{'question': 'Which?', 'cells': {cells}}}\ndef answer(run):\n    {body}\n")
    with pytest.raises(BadInput, match=re.escape(words)):
        answer(study(path), load_run(made_up(tmp_path / "run")))


# What no table has


def test_an_internal_error_is_one_line_and_has_its_traceback_on_request(
    multigrad: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("multigrad.matrix.check", fail)
    refused(multigrad("check"), "internal error: RuntimeError: two lines (--debug shows the traceback)")
    for words in (["--debug", "check"], ["check", "--debug"]):
        said = multigrad(*words)
        assert said.code == 3
        assert "Traceback" in said.err


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    return mine(tmp_path, GOOD.replace("2 * f_bar", "3 * f_bar"))


def test_a_verdict_is_printed_whatever_the_width(multigrad: Any, wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multigrad.matrix.check", once(matrix.check))
    for name, value in (("COLUMNS", "0"), ("COLUMNS", "1"), ("COLUMNS", "²"), ("LINES", "²")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            said = multigrad("check", wrong, *ONE[:-1])
        assert said.code == 1
        assert said.err == ""
        assert "∂f/∂x is 1.5 × the true gradient" in said.out
        assert "✗" in said.out


FEWER_STREAMS = (("2>&-", 1, True), ("<&-", 1, True), (">&- 2>&-", 1, False))


@pytest.mark.parametrize(
    ("streams", "code", "seen"),
    [
        (">&-", 1, True),
        ("<&- >&- 2>&-", 1, False),
        (">/dev/full", 3, False),
        *(pytest.param(*row, marks=pytest.mark.long) for row in FEWER_STREAMS),
    ],
)
def test_a_verdict_survives_a_stream_that_is_not_there(wrong: Path, streams: str, code: int, seen: bool) -> None:
    command = f"{sys.executable} -m multigrad.bench.cli check {wrong} {' '.join(ONE[:-1])} {streams}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert ended.returncode == code
    assert ("∂f/∂x is 1.5 × the true gradient" in ended.stdout + ended.stderr) == seen
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [("docs", "linear_map", "-o"), ("docs", "linear_map", "--check", "-o")])
def test_json_names_a_path_that_no_text_can_hold(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The name of a file is bytes; those that are no UTF-8 come as half a surrogate pair."""
    command = [sys.executable, "-m", "multigrad.bench.cli", *words, b"\xff", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.stderr == ""
    assert [row["file"] for row in json.loads(ended.stdout)]


# Any command line


def random_words(rng: random.Random, files: list[str]) -> list[str]:
    """Return a command with some of its arguments and options, good values among bad ones.

    What it would do by default takes minutes, so it is asked for one small operation on one backend and one dtype.
    """
    import typer

    words = ["", "0", "-1", "1", "1e9", "nan", "²", "nothing", "numpy", "float64", "tiny", "gaussian", "a,b", "::", "/"]
    words += ["linear_map", "payload:BACKEND", "cpu:2", "eager", "analytic", "\udcff", "x" * 300, "--", *files]
    values = {"backend": "numpy", "dtype": "float64", "regime": "gaussian", "mode": "eager", "variant": "analytic"}
    small = {"ops": ["mine.py"], "quick": ["--quick"], **{k: [f"--{k}", value] for k, value in values.items()}}
    command: Any = typer.main.get_command(cli.app)
    name = rng.choice(sorted(command.commands))
    parameters = command.commands[name].params
    chosen = [name]
    for parameter in parameters:
        if parameter.name == "fleet" or rng.random() > 2 / len(parameters):
            chosen += small.get(parameter.name, [])
        elif parameter.param_type_name == "argument" or rng.random() < 0.05:
            chosen.append(rng.choice(words))
        else:
            option = rng.choice(parameter.opts)
            chosen += [option] if getattr(parameter, "is_flag", False) else [option, rng.choice(words)]
    return chosen


@pytest.mark.long
def test_any_command_line_ends_with_a_documented_code(tmp_path: Path) -> None:
    """Run by hand; MULTIGRAD_COMMAND_LINES says how many."""
    (tmp_path / "run").mkdir()
    (tmp_path / "damaged.json").write_text("{")
    (tmp_path / "inputs.npz").write_bytes(b"PK")
    mine(tmp_path, GOOD)
    files = ["mine.py", "mine.py::square", "nowhere.py", "damaged.json", "inputs.npz", "run", "."]
    rng = random.Random(int(os.environ.get("MULTIGRAD_SEED", "0")))
    count = int(os.environ.get("MULTIGRAD_COMMAND_LINES", "2000"))
    codes: dict[int, int] = {}
    cut = 0
    for number in range(count):
        if number % 20 == 0:
            print(f"{number} command lines: exit codes {codes}, {cut} stopped after 20 s", flush=True)  # noqa: T201
        words = random_words(rng, files)
        command = [sys.executable, "-m", "multigrad.bench.cli", *words]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _, errors = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:  # a good command line: it checks or measures the whole catalogue
            process.kill()
            process.communicate()
            cut += 1
            continue
        assert "Traceback" not in errors, words
        assert "internal error" not in errors, (words, errors)
        assert process.returncode in (0, 1, 2, 3), (words, process.returncode, errors)
        codes[process.returncode] = codes.get(process.returncode, 0) + 1
    print(f"{count} command lines: exit codes {dict(sorted(codes.items()))}, {cut} stopped after 20 s")  # noqa: T201

"""The journal of a check: rows on disk as they come, and a check that goes on from them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from multigrad import BadInput, check
from multigrad.matrix import run
from multigrad.process.child import Death

GRADIENT = """
import multigrad

@multigrad.operation("(n)->(n)")
def cubed(xp, x):
    \"\"\"x³.\"\"\"
    return x**3, lambda y_bar: 3 * x**2 * y_bar
"""

HOW = {"backend": ["numpy", "strict"], "dtype": ["float64", "float32"]}


def rows(frame):
    return sorted(json.loads(frame.to_json(orient="records")), key=lambda row: json.dumps(row, sort_keys=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rows of a check that nobody interrupted, its journal, and how many pieces of work it had."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "cubed.py").write_text(GRADIENT)
    done = []
    frame = check(
        str(folder / "cubed.py"), **HOW, journal=folder / "all.jsonl", progress=lambda i, n, text: done.append(n)
    )
    return folder, rows(frame), (folder / "all.jsonl").read_bytes(), done[-1]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_check_that_goes_on_has_the_same_rows_and_does_less(whole, share, tmp_path):
    _, wanted, journal, total = whole
    lines = journal.splitlines(keepends=True)
    kept = lines[: 1 + int(share * (len(lines) - 1))]
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"".join(kept) + b'{"key": "cut sh')
    done = [0]
    frame = check(str(whole[0] / "cubed.py"), **HOW, resume=path, progress=lambda i, n, text: done.append(n))
    assert rows(frame) == wanted
    cells = sum(line.startswith(b'{"key": "[\\"cell') for line in kept)
    # The truth of a case is no row: the formula of an operation is judged again while one of its cells is left.
    assert done[-1] == (total - cells if share < 1 else 0)
    assert cells or share < 0.5
    again = [0]
    assert (
        rows(check(str(whole[0] / "cubed.py"), **HOW, resume=path, progress=lambda i, n, text: again.append(n)))
        == wanted
    )
    assert again[-1] == 0


def test_an_operation_that_was_changed_is_judged_anew(whole, tmp_path):
    _, _, journal, total = whole
    file = tmp_path / "cubed.py"
    file.write_text(GRADIENT.replace("3 * x**2", "2 * x**2"))
    path = tmp_path / "old.jsonl"
    path.write_bytes(journal.replace(str(whole[0]).encode(), str(tmp_path).encode()))
    done = []
    frame = check(str(file), **HOW, resume=path, progress=lambda i, n, text: done.append(n))
    assert done[-1] == total
    assert "FAIL" in set(frame["verdict"])
    assert "factor" in " ".join(frame["reason"])
    assert rows(check(str(file), **HOW, resume=path)) == rows(frame)


def test_what_another_multigrad_has_judged_is_judged_anew(whole, tmp_path, monkeypatch):
    folder, wanted, journal, total = whole
    path = tmp_path / "old.jsonl"
    path.write_bytes(journal)
    monkeypatch.setattr("multigrad.matrix.journal.code_hash", lambda *beside: "another")
    done = []
    frame = check(str(folder / "cubed.py"), **HOW, resume=path, progress=lambda i, n, text: done.append(n))
    assert done[-1] == total
    assert rows(frame) == wanted


def test_a_check_that_was_killed_leaves_its_rows(whole, tmp_path):
    folder, wanted, _, _ = whole
    path = tmp_path / "killed.jsonl"
    command = [sys.executable, "-m", "multigrad.bench.cli", "check", str(folder / "cubed.py"), "--journal", str(path)]
    command += ["--backend", "numpy,strict", "--dtype", "float64,float32"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < 4):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert path.read_bytes().count(b"\n") >= 4
    assert rows(check(str(folder / "cubed.py"), **HOW, resume=path)) == wanted


@pytest.mark.parametrize("target", [run.TRUTH_WORKER, run.DIAGNOSIS_WORKER])
def test_what_a_worker_said_before_it_died_is_kept(target, whole, tmp_path, monkeypatch):
    file = tmp_path / "cubed.py"
    file.write_text(GRADIENT.replace("3 * x**2", "2 * x**2"))
    start = run._Work._start

    def dying(self, name, arguments, environment):
        for message in start(self, name, arguments, environment):
            task = int(next(iter(arguments["cases"]))) if name == target else None
            if name == target and ("end" in message or name == run.DIAGNOSIS_WORKER):
                yield Death("died", task)
                return
            yield message

    monkeypatch.setattr(run._Work, "_start", dying)
    path = tmp_path / "x.jsonl"
    frame = check(str(file), **HOW, journal=path)
    wrong = frame[(frame["backend"] == "exact") & (frame["verdict"] == "FAIL")]
    assert len(wrong)
    monkeypatch.undo()
    assert rows(check(str(file), **HOW, resume=path)) == rows(frame)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no journal of a check"),
        ("[1]\n", "is no journal of a check"),
        ("no json\n", "is no journal of a check"),
        ('{"check": 99}\n', "its schema is 99"),
        ('{"check": 1}\n{"rows": []}\n', "no rows of a check stand here"),
        ('{"check": 1}\n{"key": "x", "rows": [{"row": {}}]}\n', "no rows of a check stand here"),
    ],
)
def test_what_is_no_journal_is_refused(text, said, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        check("relu", backend="numpy", resume=path)
    assert path.read_text() == text


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("mine")
    with pytest.raises(BadInput, match="is there already; go on with it"):
        check("relu", journal=path)
    with pytest.raises(BadInput, match="cannot write"):
        check("relu", journal=tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(BadInput, match="both given"):
        check("relu", journal=tmp_path / "new", resume=path)
    assert path.read_text() == "mine"

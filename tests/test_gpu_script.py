"""The script for a GPU, rehearsed on the CPU: every stage leaves its files, whatever ends it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multigrad import operations
from tests.gpu import smoke, summary
from tests.gpu.select_operations import spread

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tests" / "gpu" / "run_all.sh"
STAGES = ("smoke", "eager", "compiled", "everything", "study")


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [str(SCRIPT), "--device", "cpu", *arguments, str(folder)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def stages(folder: Path) -> dict[str, list[str]]:
    lines = [line.split("\t") for line in (folder / "stages.tsv").read_text(encoding="utf-8").splitlines()]
    return {name: values for name, *values in lines}


def begins(folder: Path, stage: str) -> int:
    path = folder / "stages.tsv"
    return sum(line.startswith(f"{stage}\t\t") for line in path.read_text().splitlines()) if path.exists() else 0


def rows(folder: Path, stage: str) -> list[dict]:
    return list(summary.rows(folder / f"{stage}.jsonl"))


def test_a_rehearsal_on_the_cpu_leaves_the_files_of_every_stage(tmp_path):
    process = started(tmp_path, "--backend", "numpy", "--ops", "relu", "--minutes", "9")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    # The study is one of torch, CuPy and JAX.
    assert {*stages(tmp_path)} == {"smoke", "eager", "everything"}
    assert {code for *_, code in stages(tmp_path).values()} == {"0"}
    assert (tmp_path / "here.txt").read_text() == "numpy\n"
    assert {row["verdict"] for row in rows(tmp_path, "eager")} == {"PASS"}
    assert {row["backend"] for row in rows(tmp_path, "eager")} == {"exact", "numpy"}
    assert len(rows(tmp_path, "eager")) > 10
    assert {row["dtype"] for row in rows(tmp_path, "everything")} >= {"float16", "float32", "float64"}
    assert (tmp_path / "summary.md").read_text() in said


def test_operations_are_taken_from_every_file_in_turns():
    chosen = spread(40)
    assert len({*chosen}) == 40
    families = [operations()[name].function.__module__ for name in chosen]
    count = len({op.function.__module__ for op in operations().values()})
    assert len({*families[:count]}) == count


def test_a_summary_tells_a_failure_from_what_was_stopped(tmp_path, capsys):
    def tell(*lines: str) -> int:
        (tmp_path / "stages.tsv").write_text("".join(f"{line}\n" for line in lines))
        return summary.main(tmp_path)

    assert tell("smoke\t\t30\t", "smoke\t9\t30\t0") == 0
    assert tell("smoke\t9\t30\t0", "eager\t\t226\t") == 2
    assert "killed" in capsys.readouterr().out
    assert tell("smoke\t9\t30\t0", "eager\t226\t226\t124") == 2
    assert "at its limit" in capsys.readouterr().out
    row = {"row": {"verdict": "FAIL"}}
    (tmp_path / "eager.jsonl").write_text(
        json.dumps({"check": 1}) + "\n" + json.dumps({"rows": [row]}) + '\n{"rows": ['
    )
    assert tell("smoke\t9\t30\t0", "eager\t226\t226\t124") == 1
    assert "1 FAIL" in capsys.readouterr().out


class Rounding:
    """A session whose products have inputs of so many bits."""

    def __init__(self, bits):
        self.bits = bits

    def to_device(self, array, dtype):
        import numpy as np

        significand, exponent = np.frexp(array)
        return np.ldexp(np.rint(significand * 2.0**self.bits) / 2.0**self.bits, exponent).astype(dtype)

    def to_numpy(self, array):
        return array

    def reset_peak_memory(self):
        pass

    def wait(self, arrays):
        pass

    def peak_memory(self):
        return 4 * smoke.ENTRIES * self.bits

    def events(self, call):
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * self.bits


def test_smoke_notices_tensorfloat_a_wrong_peak_and_events_that_run_late(monkeypatch):
    monkeypatch.setattr(smoke, "EVENT_SIDE", 512)
    assert smoke.precision(Rounding(24), "strict")[0] == smoke.PASS
    assert smoke.precision(Rounding(11), "strict")[0] == smoke.FAIL
    assert smoke.precision(Rounding(11), "tf32")[0] == smoke.PASS
    assert smoke.precision(Rounding(24), "tf32")[0] == smoke.NOTE
    monkeypatch.setattr(smoke, "ENTRIES", 2**10)
    assert [smoke.memory(Rounding(count), "strict")[0] for count in (1, 2, 3)] == [smoke.FAIL, smoke.PASS, smoke.FAIL]
    assert smoke.events(Rounding(3), "strict")[0] == smoke.FAIL
    assert smoke.events(Rounding(1), "strict")[0] == smoke.PASS


def test_a_check_that_was_killed_goes_on_from_its_rows(tmp_path):
    first = started(tmp_path, "--backend", "numpy", "--ops", "relu")
    journal = tmp_path / "eager.jsonl"
    while first.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = journal.read_bytes()
    assert stages(tmp_path)["smoke"][-1] == "0"
    process = started(tmp_path, "--backend", "numpy", "--ops", "relu")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    whole = before[: before.rindex(b"\n") + 1]
    assert journal.read_bytes().startswith(whole)
    assert stages(tmp_path)["eager"][-1] == "0"


def test_two_runs_do_not_mix_in_one_folder(tmp_path):
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = started(tmp_path)
        said, _ = process.communicate()
    assert process.returncode == 3
    assert "another run is still at work in" in said
    assert not (tmp_path / "stages.tsv").exists()


@pytest.mark.long
def test_killed_in_every_stage_it_leaves_files_and_goes_on(tmp_path):
    arguments = ("--backend", "torch,jax", "--ops", "relu_regression", "--minutes", "60")
    for stage in STAGES:
        begun = begins(tmp_path, stage)
        process = started(tmp_path, *arguments)
        while process.poll() is None and begins(tmp_path, stage) == begun:
            time.sleep(0.05)
        journal = tmp_path / f"{stage}.jsonl"
        while stage not in ("smoke", "study") and not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
            time.sleep(0.05)
        time.sleep(2)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert (tmp_path / f"{stage}.log").exists()
        before = {path: path.read_bytes() for path in tmp_path.glob("*.jsonl") if path.stem != "smoke"}
        print(stage, {path.name: len(was) for path, was in before.items()}, stages(tmp_path), flush=True)  # noqa: T201
    process = started(tmp_path, *arguments)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert {*stages(tmp_path)} == {*STAGES}
    for path, was in before.items():
        assert path.read_bytes().startswith(was[: was.rfind(b"\n") + 1])
    print(said)  # noqa: T201


@pytest.mark.long
def test_stages_that_hit_their_limits_leave_their_rows_and_the_next_call_goes_on(tmp_path):
    arguments = ("--backend", "numpy,torch", "--ops", "relu_regression")
    first = started(tmp_path, *arguments, "--minutes", "1")
    said, _ = first.communicate()
    assert first.returncode in (1, 2), said
    process = started(tmp_path, *arguments, "--minutes", "20")
    said, _ = process.communicate()
    assert process.returncode == 0, said

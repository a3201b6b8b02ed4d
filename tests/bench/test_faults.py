"""Faults, for real: no memory, a full disk, a broken import, two runs at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fast_protocol import FAST
from multigrad.bench import load_run, measure
from multigrad.bench.store.folder import FREE_BYTES, JOURNAL

from multigrad import BadInput, check

ONE = {"protocol": FAST, "dtype": "float64", "threads": 1, "mode": "eager"}


def verdicts(run):
    return {(row["operation"], row["variant"]): row["verdict"] for row in run.summary.to_dict("records")}


def test_a_cell_that_has_no_memory_costs_itself_alone(square, cube):
    run = measure([square, cube], backend="fake_backends:CONFINED", variant=["forward", "analytic"], **ONE)
    assert verdicts(run) == {
        ("square", "forward"): "PASS",
        ("square", "analytic"): "FAIL",
        ("cube", "forward"): "PASS",
        ("cube", "analytic"): "PASS",
    }
    assert "MemoryError: Unable to allocate" in run.summary[run.summary["verdict"] == "FAIL"]["reason"].iloc[0]


def test_a_compiler_that_takes_too_long_is_asked_once_and_is_no_fault_of_the_gradient(square):
    frame = check(square, backend="fake_backends:SLOW_COMPILER", timeout_s=2)
    frame = frame[frame["dtype"].isin(["float64", "float32"])]  # NumPy has these
    compiled = frame[frame["mode"] == "compiled"]
    assert set(compiled["verdict"]) == {"UNAVAILABLE"}
    assert compiled["reason"].str.startswith("its compiler gave no sign for ").all()
    assert compiled["dtype"].nunique() == 2
    # Each of the two workers asks it once, and the second cell hears what the first had to wait for.
    assert compiled["reason"].nunique() <= 2
    assert set(frame[(frame["mode"] == "eager") & (frame["variant"] == "analytic")]["verdict"]) <= {"PASS", "NOTE"}


def test_a_framework_that_crashes_at_import_is_worded(square):
    run = measure(square, backend=["fake_backends:BROKEN_IMPORT", "fake_backends:BUSY"], variant="forward", **ONE)
    dead, alive = run.summary.to_dict("records")
    assert dead["verdict"] == "FAIL"
    assert dead["reason"] == "worker ended with exit code 1: ImportError: libnothing.so: cannot open shared object file"
    assert alive["verdict"] == "PASS"


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for a run and not much more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = FREE_BYTES + 2**21
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    with contextlib.suppress(OSError), path.with_name("rest").open("wb", buffering=0) as file:
        while True:
            file.write(b"x")


def test_a_disk_that_fills_up_during_a_run_loses_nothing(square, cube, small_disk):
    folder = small_disk / "run"

    def progress(done, total, text):
        if done == 3:
            fill(small_disk / "filler")

    with pytest.raises(BadInput, match="No space left on device; what is in it is kept, --resume goes on"):
        measure([square, cube], backend="fake_backends:BUSY", folder=folder, progress=progress, **ONE)
    for name in ("filler", "rest"):
        (small_disk / name).unlink(missing_ok=True)
    assert not list(folder.glob(".*"))
    kept = load_run(folder)
    assert len(kept.samples.groupby(["operation", "variant", "round", "twin"])) >= 3
    whole = measure([square, cube], backend="fake_backends:BUSY", resume=folder)
    assert whole.info["state"] == "complete"
    assert (whole.summary["verdict"] == "PASS").sum() == 4


def test_a_full_disk_is_refused_before_the_work(square, small_disk):
    fill(small_disk / "filler")
    with pytest.raises(BadInput) as caught:
        measure(square, backend="fake_backends:BUSY", out=small_disk, **ONE)
    assert "\n" not in str(caught.value)
    assert "multigrad" not in str(caught.value) or "choose another folder" in str(caught.value)


SCRIPT = """
import sys
from pathlib import Path
from fast_protocol import FAST
from multigrad.bench.measurement.measure import measure
measure(sys.argv[2], backend="fake_backends:HUNG", dtype="float64", threads=1, mode="eager", variant="analytic",
        protocol=FAST, folder=Path(sys.argv[1]))
"""


def test_two_runs_at_once_do_not_mix(square, tmp_path):
    folder = tmp_path / "run"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), square], env=environment)
    try:
        while not (folder / JOURNAL).exists():
            assert process.poll() is None, "the first run ended before the second began"
            time.sleep(0.02)
        before = (folder / JOURNAL).stat().st_ino
        with pytest.raises(BadInput, match="two runs do not mix"):
            measure(square, backend="fake_backends:BUSY", folder=folder, **ONE)
        with pytest.raises(BadInput, match="another process is writing it"):
            measure(resume=folder)
        assert (folder / JOURNAL).stat().st_ino == before
    finally:
        process.kill()
        process.wait()


def test_a_damaged_journal_is_one_line_and_can_be_mended(square, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / JOURNAL).write_text('{"event": "cell"}\n')
    for use in (lambda: measure(resume=folder), lambda: load_run(folder)):
        with pytest.raises(BadInput, match=r"journal.jsonl: row 1: no run begins here"):
            use()

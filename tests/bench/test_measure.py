from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_backends
import numpy as np
import pytest
from fast_protocol import FAST
from multigrad.bench import Protocol, load_run, measure
from multigrad.bench.store.folder import JOURNAL, SUMMARY

from multigrad import BadInput
from multigrad.process import child as worker

ONE = {"protocol": FAST, "dtype": "float64", "threads": 1, "mode": "eager"}
UNTWINNED = Protocol(**{**vars(FAST), "twins": 0})
"""Without the second process of the same cell that the noise floor is made of."""
CALL_S = fake_backends.CALL_S


def cells(run, **wanted):
    frame = run.summary
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame.to_dict("records")


FAULTS = {
    "killed": "worker killed by SIGKILL (out of memory?)",
    "left": "worker ended with exit code 7",
    "raised": "raised RuntimeError: no such kernel",
    "killed_late": "worker killed by SIGKILL (out of memory?)",
    "raised_late": "raised RuntimeError: no such kernel",
}


@pytest.fixture(scope="module")
def together(square, cube):
    """A run of devices of every kind, side by side."""
    names = ["QUEUE", "FORGETFUL", "WRONG", "BUSY", "STILLBORN", *(name.upper() for name in FAULTS)]
    return measure(
        [square, cube], backend=[f"fake_backends:{name}" for name in names], **{**ONE, "protocol": UNTWINNED}
    )


@pytest.fixture(scope="module")
def busy(square, tmp_path_factory):
    """A run of one device, as it is asked for without a mode."""
    options = {"protocol": FAST, "dtype": "float64", "threads": 1}
    return measure(square, backend="fake_backends:BUSY", out=tmp_path_factory.mktemp("out"), machine="Here", **options)


@pytest.mark.long
def test_a_device_that_works_off_a_queue_is_timed_right(together):
    cell = {"backend": "queue", "operation": "square", "variant": "analytic"}
    (row,) = cells(together, **cell)
    assert row["min_s"] == pytest.approx(CALL_S, rel=0.05)
    pipelined = together.samples
    for column, value in {**cell, "kind": "pipelined"}.items():
        pipelined = pipelined[pipelined[column] == value]
    assert (pipelined["block_s"] / pipelined["calls"]).min() == pytest.approx(CALL_S, rel=0.05)
    assert row["dispatch_s"] < 0.2 * CALL_S


@pytest.mark.long
def test_without_the_wait_the_same_device_is_under_measured(together):
    (row,) = cells(together, backend="forgetful", operation="square", variant="analytic")
    assert row["median_s"] < 0.2 * CALL_S


def test_a_run_has_its_noise_floor_peaks_and_facts(busy):
    assert busy.noise_floor is not None
    assert busy.noise_floor >= 0
    assert busy.info["peaks"]["flop_per_s"][0]["value"] > 0
    assert busy.info["peaks"]["bandwidth"][0]["bytes_per_s"] > 0
    assert busy.info["state"] == "complete"
    assert busy.info["workers"][0]["facts"]["environment"]["OMP_NUM_THREADS"] == "1"
    assert len(busy.info["workers"][0]["facts"]["cpus"]) == 1
    assert sorted(p.name for p in busy.folder.iterdir()) == ["run.json", "samples.csv.gz", "summary.csv"]


def test_a_run_comes_back_from_its_files(busy):
    assert busy.folder.parent.name == "here"
    again = load_run(busy.folder)
    assert again.info == json.loads(json.dumps(busy.info))
    assert again.summary.equals(busy.summary)
    assert again.samples.equals(busy.samples)


def test_every_block_of_every_process_is_kept(busy):
    (row,) = cells(busy, variant="forward", mode="eager")
    blocks = busy.samples[(busy.samples["variant"] == "forward") & (busy.samples["mode"] == "eager")]
    kept = blocks[(blocks["twin"] == 0) & (blocks["kind"] == "latency")]
    assert len(kept) == row["blocks"] >= 2 * FAST.process_blocks
    assert set(kept["round"]) == {0, 1}
    assert set(busy.samples["twin"]) == {0, 1}
    assert kept["calls"].nunique() == 1


def test_a_known_inaccuracy_is_a_worded_gap_and_has_no_time():
    backends = ["fake_backends:EXCUSED", "fake_backends:TOO_WRONG"]
    run = measure("tanh", backend=backends, variant="native", **{**ONE, "size": "tiny", "protocol": UNTWINNED})
    (excused,), (wrong,) = (cells(run, backend=name) for name in ("excused", "too_wrong"))
    assert (excused["verdict"], wrong["verdict"]) == ("GAP", "FINDING")
    assert excused["reason"].endswith("× the bound: One percent is added.")
    assert np.isnan(excused["median_s"])
    assert np.isnan(wrong["median_s"])


def test_a_wrong_result_has_no_time(together):
    (row,) = cells(together, backend="wrong", operation="square", variant="analytic")
    assert row["verdict"] == "FAIL"
    assert np.isnan(row["median_s"])
    assert row["blocks"] == 0


def test_what_cannot_be_done_is_a_worded_row(square):
    everything = {"variant": ["forward", "analytic", "autodiff", "native"], "mode": ["eager", "compiled"]}
    dtypes = ["float64", "bfloat16"]
    run = measure(square, backend="fake_backends:BUSY", protocol=UNTWINNED, dtype=dtypes, threads=1, **everything)
    assert len(run.summary) == 4 * 2 * 2
    assert cells(run, mode="compiled")[0]["reason"] == "busy has no compiler"
    assert cells(run, mode="eager", variant="native")[0]["verdict"] == "UNAVAILABLE"
    assert cells(run, mode="eager", variant="forward", dtype="bfloat16")[0]["reason"] == "busy has no bfloat16 on cpu"
    assert all(row["reason"] for row in cells(run) if row["verdict"] == "UNAVAILABLE")


def test_unless_asked_for_compiled_is_analytic_against_autodiff_alone(busy):
    assert set(busy.summary[busy.summary["mode"] == "compiled"]["variant"]) == {"analytic", "autodiff"}


def costs_its_own_cell(run, fault, reason):
    assert len(cells(run, backend=fault)) == 8
    (lost,) = cells(run, backend=fault, operation="square", variant="analytic")
    assert (lost["verdict"], lost["reason"]) == ("FAIL", reason)
    for name, variant in (("square", "forward"), ("cube", "forward"), ("cube", "analytic")):
        (row,) = cells(run, backend=fault, operation=name, variant=variant)
        assert row["verdict"] == "PASS"
        assert row["processes"] == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_its_own_cell(together, fault):
    costs_its_own_cell(together, fault, FAULTS[fault])


def test_a_worker_that_hangs_costs_its_own_cell(square, cube):
    # So long that a worker on a busy machine is not taken for one that hangs.
    protocol = Protocol(**{**vars(UNTWINNED), "cell_timeout_s": 10.0})
    run = measure([square, cube], backend="fake_backends:HUNG", **{**ONE, "protocol": protocol})
    costs_its_own_cell(run, "hung", "worker gave no sign for 10 s and was killed")


def test_a_worker_that_never_starts_costs_its_cells_and_no_other(together):
    for row in cells(together, backend="stillborn", variant="forward"):
        assert (row["verdict"], row["reason"]) == ("FAIL", "worker ended with exit code 9")
    assert {row["verdict"] for row in cells(together, backend="busy", variant="forward")} == {"PASS"}


def test_memory_is_what_a_call_takes_for_a_moment(square):
    protocol = Protocol(**{**vars(UNTWINNED), "rounds": 1, "memory": True})
    (row,) = cells(measure(square, backend="fake_backends:GREEDY", variant="forward", **{**ONE, "protocol": protocol}))
    assert row["peak_bytes"] == pytest.approx(2**26, rel=0.05)
    assert row["peak_how"] == "VmHWM after reset"


def test_two_runs_do_not_mix(square, busy):
    with pytest.raises(BadInput, match="two runs do not mix"):
        measure(square, backend="fake_backends:BUSY", variant="forward", folder=busy.folder, **ONE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "fake_backends:NONE"}, "wanted module:ATTRIBUTE"),
        ({"variant": "backward"}, "no variant named 'backward'"),
        ({"mode": "fast"}, "no mode named 'fast'"),
        ({"dtype": "float128"}, "no dtype named 'float128'"),
        ({"size": "huge"}, "square has no size 'huge'; it has only"),
        ({"threads": 10_000}, "threads is 10000; wanted 1 to"),
        ({"rounds": 0}, "rounds is 0"),
        ({"device": "tpu"}, "no device named 'tpu'; there are cpu"),
    ],
)
def test_bad_usage_is_one_line(square, options, said):
    with pytest.raises(BadInput) as caught:
        measure(square, **{"backend": "fake_backends:BUSY", **options})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


SCRIPT = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored
from fast_protocol import FAST
from multigrad.bench.measurement.measure import measure

ended = {0}

def progress(done, total, text):
    array_libraries = {"numpy", "pandas", "torch", "jax"} & set(sys.modules)
    if done not in ended:  # a line for each that has ended, none for one that begins
        print(done, total, sorted(array_libraries), flush=True)
        sys.stdin.readline()  # whoever reads the line says when to go on
    ended.add(done)

measure(sys.argv[3:], backend=sys.argv[2], dtype="float64", threads=1, mode="eager", protocol=FAST,
        folder=Path(sys.argv[1]), progress=progress)
"""


def start(folder, *operations, backend="fake_backends:BUSY"):
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), backend, *operations],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_the_parent_imports_no_array_library_while_it_measures(square, tmp_path):
    with start(tmp_path / "run", square, backend="numpy") as process:
        lines = process.communicate()[0].splitlines()  # without anybody to wait for
    assert lines
    assert all(line.endswith("[]") for line in lines)


def children_of(pid):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


def gone(pid):
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def ended_cells(process, number):
    """Return when that many cells have ended; the run stands still at the last of them."""
    for _ in range(number - 1):
        assert process.stdout.readline()
        print(file=process.stdin, flush=True)
    assert process.stdout.readline()


def test_a_killed_run_is_rebuilt_and_goes_on_with_what_is_missing(square, cube, tmp_path):
    folder = tmp_path / "run"
    with start(folder, square, cube) as process:
        ended_cells(process, 3)
        workers = children_of(process.pid)
        assert workers
        process.kill()
        process.wait()
    while not all(map(gone, workers)):  # one that stays fails this test by never ending
        time.sleep(0.05)
    with (folder / JOURNAL).open("a") as file:
        file.write('{"event": "cell", "half')
    before = load_run(folder)
    assert before.info["state"] == "interrupted"
    assert 3 <= len(before.samples.groupby(["operation", "variant", "round", "twin"])) < 10
    after = measure([square, cube], backend="fake_backends:BUSY", resume=folder)
    assert after.info["state"] == "complete"
    assert (after.summary["verdict"] == "PASS").sum() == 4
    assert (after.summary[after.summary["verdict"] == "PASS"]["processes"] == 2).all()
    kept = before.samples.merge(after.samples, how="inner")
    assert len(kept) == len(before.samples)
    with pytest.raises(BadInput, match="it is complete"):
        measure([square, cube], backend="fake_backends:BUSY", resume=folder)


def test_ctrl_c_leaves_a_readable_run(square, cube, tmp_path):
    folder = tmp_path / "run"
    with start(folder, square, cube) as process:
        ended_cells(process, 2)
        print(file=process.stdin, flush=True)
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    assert (folder / SUMMARY).exists()
    run = load_run(folder)
    assert run.info["state"] == "interrupted"
    assert (run.summary["verdict"] == "PASS").any()
    assert measure([square, cube], backend="fake_backends:BUSY", resume=folder).info["state"] == "complete"


def echo(arguments):
    yield {"affinity": sorted(os.sched_getaffinity(0)), "variables": dict(os.environ)}


def test_a_worker_has_its_environment_and_processors_before_it_starts(monkeypatch):
    monkeypatch.setenv("GONE", "1")
    cpu = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    (said,) = worker.run("test_measure:echo", {}, environment={"SET": "2", "GONE": None}, cpus=[cpu])
    assert said["affinity"] == [cpu]
    assert said["variables"]["SET"] == "2"
    assert "GONE" not in said["variables"]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("share", "times"), [(True, 2), (False, 4)])
def test_first_calls_are_cold_where_they_are_reported(square, tmp_path, monkeypatch, share, times):
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    protocol = Protocol(**{**vars(UNTWINNED), "share_compiled": share, "peak_rounds": 0})
    measure(square, backend="fake_backends:COLD", variant=["forward", "analytic"], **{**ONE, "protocol": protocol})
    assert (tmp_path / "log").read_text().splitlines() == ["cold"] * times


@pytest.mark.parametrize(("share", "same"), [(True, True), (False, False)])
def test_only_later_rounds_of_the_same_half_find_what_was_compiled(tmp_path, share, same):
    from multigrad.bench.measurement.record import Record
    from multigrad.bench.measurement.workers import Workers
    from multigrad.bench.plan.cells import OTHER, Work

    record = Record(None, Protocol(share_compiled=share), None)
    workers = Workers(record, tmp_path, None)

    def folder(number, twin, threads=2):
        item = Work("jax", "jax", "cpu", threads, "strict", number, twin, ())
        return workers._environment(item)["JAX_COMPILATION_CACHE_DIR"]

    assert (folder(0, 0) == folder(1, 0)) is same
    assert len({folder(0, 0), folder(0, 1), folder(0, OTHER), folder(0, 0, threads=1)}) == 4


def eat(arguments):
    yield {"begin": 5}
    bytearray(2**33)
    yield {"end": 5}


def test_a_limit_on_the_address_space_is_a_death_with_its_reason():
    *_, death = worker.run("test_measure:eat", {}, address_space_bytes=2**31)
    assert death == worker.Death("ended with exit code 1: MemoryError", 5)

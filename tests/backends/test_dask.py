"""Dask's own: where the chunks are, what is computed anew, and what is said of a scheduler that cannot be used."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import multigrad
from multigrad.backend import backends
from multigrad.backend.placement import split_axes
from multigrad.backend.scheduler import VARIABLE, use_scheduler
from multigrad.data.errors import BadInput
from multigrad.ops.find import operations
from multigrad.process.child import Death, run

if backends()["dask"].missing("cpu"):
    pytest.skip(backends()["dask"].missing("cpu"), allow_module_level=True)

ROOT = Path(__file__).parents[2]


def work(what, **arguments):
    rows = list(run(f"tests.backends.dask_work:{what}", arguments))
    deaths = [row.reason for row in rows if isinstance(row, Death)]
    assert not deaths, deaths
    return rows


def test_arguments_are_cut_along_the_split_dimension_alone():
    for row in work("chunks"):
        op = operations()[row["operation"]]
        axes = split_axes(op, [tuple(s) for s in row["shapes"]])
        for blocks, shape, axis in zip(row["blocks"], row["shapes"], axes, strict=True):
            assert [b > 1 for b in blocks] == [i == axis and shape[i] > 1 for i in range(len(shape))], row


def test_a_chunk_has_no_more_bytes_than_it_may_and_every_thread_has_one():
    (row,) = work("lengths")
    assert row["large"] * row["step"] <= row["chunk_bytes"] < (row["large"] + 1) * row["step"]
    assert row["small"] == [4, 4, 1]
    assert row["wide"] == 1


def test_a_function_called_again_computes_again():
    (row,) = work("again")
    assert row["calls"] == [row["blocks"], 2 * row["blocks"]]


def test_a_chunk_that_raises_says_so():
    (row,) = work("raising")
    assert row["raised"] == "LinAlgError: Singular matrix"


def test_linear_algebra_is_numpys_for_every_matrix_of_a_batch_in_chunks():
    rows = work("linear_algebra")
    assert len(rows) > 10
    for row in rows:
        assert row["equal"], row
        assert row["batch_chunks"] > 1, row


def test_rows_are_scattered_chunk_by_chunk():
    (row,) = work("scatters")
    assert row["equal"]
    assert row["chunks"] > 1


def test_an_empty_array_has_the_results_that_numpy_gives_it():
    names = ["amax", "gru_cell", "kronecker_product", "least_squares", "lstm_cell", "pseudo_inverse", "solve", "sort"]
    frame = multigrad.check(names, backend="dask", dtype="float64", regime="empty")
    numbers = frame[frame["backend"] == "dask"]
    assert set(names) <= set(numbers["operation"])
    assert set(numbers["verdict"]) == {"PASS"}, numbers[numbers["verdict"] != "PASS"].to_string()


def test_one_thread_is_one_thread_and_no_process_is_started():
    (row,) = work("one_thread")
    assert row["settings"]["threads"] == row["settings"]["workers"] == 1
    assert set(row["blas"]) == {1}
    assert row["children"] == 0  # so none can be left behind


def test_a_worker_that_was_stopped_is_not_lost():
    found = list(run("tests.backends.dask_work:stopped", {}))
    assert found == [{"ttl": None}, {"turn": 1}, {"sums": [6.0, 6.0]}]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def scheduler():
    """Start schedulers and workers; end them all."""
    processes = []

    def start(*preload, workers=1):
        address = f"tcp://127.0.0.1:{free_port()}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        port = address.rpartition(":")[2]
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port]
        processes.append(subprocess.Popen([*command, "--no-dashboard"], **quiet))
        for _ in range(workers):
            command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
            command += ["--nthreads", "1", *(f"--preload={path}" for path in preload)]
            processes.append(subprocess.Popen(command, **quiet))
        (row,) = work("arrived", address=address, workers=workers)
        assert row["workers"] == workers
        return address

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # so that there is something to bring back, and what a test sets goes with it
    monkeypatch.delenv(VARIABLE)


def test_a_scheduler_that_is_there_is_used_and_recorded(scheduler):
    address = scheduler(workers=2)
    use_scheduler(address, ["dask"])
    assert os.environ[VARIABLE] == address
    (row,) = work("remote")
    assert row["settings"]["scheduler"] == address
    assert row["settings"]["workers"] == 2
    assert row["processes"] == 2
    assert row["right"]


def test_versions_that_differ_are_one_line(scheduler, tmp_path):
    preload = tmp_path / "older.py"  # a worker imports it twice
    preload.write_text(
        "from distributed import versions\n"
        "if not hasattr(versions, 'true'):\n"
        "    versions.true = versions._version_cached\n"
        "    versions._version_cached = lambda name: '1.26.0' if name == 'numpy' else versions.true(name)\n"
    )
    with pytest.raises(BadInput, match=r"has numpy 1\.26\.0 on tcp://.*, and here it is \d.*: install the same there"):
        use_scheduler(scheduler(str(preload)), ["dask"])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler at tcp://127.0.0.1:1"),
        ("nonsense://here", "no Dask scheduler at nonsense://here"),
        ("tcp://no.such.host.invalid:8786", "no Dask scheduler at tcp://no.such.host.invalid:8786"),
    ],
)
def test_no_scheduler_at_the_address_is_one_line(address, said):
    started = time.monotonic()
    with pytest.raises(BadInput, match=said) as caught:
        use_scheduler(address, ["dask"])
    assert "\n" not in str(caught.value)
    assert "dask scheduler" in str(caught.value)
    assert time.monotonic() - started < 30


def test_a_scheduler_is_for_backends_that_can_use_one():
    with pytest.raises(BadInput, match="--scheduler is for dask; found numpy"):
        use_scheduler("tcp://127.0.0.1:1", ["numpy"])


def test_a_scheduler_without_workers_is_one_line(scheduler):
    with pytest.raises(BadInput, match="has no workers; start some"):
        use_scheduler(scheduler(workers=0), ["dask"])


HIDDEN = """
import importlib.abc, sys

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hide())
"""


@pytest.mark.parametrize("module", ["multigrad", "array_api_compat"])
def test_a_worker_without_what_it_needs_is_one_line(scheduler, module, tmp_path):
    preload = tmp_path / "hide.py"
    preload.write_text(HIDDEN.format(module=module))
    with pytest.raises(BadInput, match=rf"has workers without {module} \(tcp://.*\): install") as caught:
        use_scheduler(scheduler(str(preload)), ["dask"])
    assert "\n" not in str(caught.value)


def test_the_command_line_ends_with_code_3_before_anything_is_written(tmp_path):
    command = [
        sys.executable,
        "-m",
        "multigrad.bench.cli",
        "run",
        "relu",
        "--quick",
        "--scheduler",
        "tcp://127.0.0.1:1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "no Dask scheduler at tcp://127.0.0.1:1" in done.stderr
    assert not list(tmp_path.iterdir())

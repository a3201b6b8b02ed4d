from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from multigrad.bench import load_run, measure
from multigrad.bench.fleet.cluster import kind_of
from multigrad.bench.plan.cells import KEY

from multigrad import BadInput, __version__

pytest.importorskip("distributed", reason='distributed is not installed (pip install "multigrad[dask]")')

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CPU = ("--resources", "cpu=1")
KEY = list(KEY)

SCRIPT = """
import sys
from pathlib import Path
from fast_protocol import FAST
from multigrad.bench.fleet.fleet import run_fleet
from multigrad.bench.plan.protocol import Protocol

def progress(done, total, text):
    print(done, total, text, flush=True)

address, out, resume, *ops = sys.argv[1:]
given = {"ops": ops, **({"resume": Path(resume)} if resume else {"out": Path(out)})}
protocol = Protocol(**{**vars(FAST), "cell_timeout_s": 600.0})
run = run_fleet(address=address, backend=["fake_backends:LOGGED"], dtype=["float64"], mode=["eager"], threads=1,
                variant=["forward", "analytic"], protocol=protocol, progress=progress, patience_s=5.0, **given)
print(run.folder)
"""


@pytest.fixture
def environment(tmp_path):
    """What schedulers, workers and clients find: this source, the fakes, and where the fakes write down each call."""
    path = os.pathsep.join([str(HERE), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "FAKE_LOG": str(tmp_path / "calls"), "COLUMNS": "200", "NO_COLOR": "1"}


class Cluster:
    """A scheduler of Dask and its workers, each a process of its own on this machine."""

    def __init__(self, folder, environment):
        self.file, self.environment = folder / "scheduler.json", environment
        self.processes, self.machines = [], []
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)]
        self.scheduler = self.start("scheduler", *options)
        self.wait(lambda: self.file.exists() and self.file.read_text())  # the file is there before its text
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, *words):
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def worker(self, *options):
        plain = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        self.machines.append(self.start("worker", self.address, *plain, *options))
        return self.machines[-1]

    def workers(self, count, *options):
        """Start workers, and return them when the scheduler knows them."""
        started = [self.worker(*options) for _ in range(count)]
        self.wait_for(sum(process.poll() is None for process in self.machines))
        return started

    def wait_for(self, count):
        code = (
            "import sys, distributed\n"
            "with distributed.Client(sys.argv[1]) as client:\n"
            "    client.wait_for_workers(int(sys.argv[2]), timeout=600)"
        )
        subprocess.run([sys.executable, "-c", code, self.address, str(count)], check=True, stderr=subprocess.DEVNULL)

    def wait(self, condition, seconds=600):
        deadline = time.monotonic() + seconds  # ends a test that hangs: nothing is said of how long it takes
        while not condition():
            assert time.monotonic() < deadline, "the cluster did not come up"
            time.sleep(0.05)

    def run(self, *words):
        """Run the command line and return what became of it."""
        return subprocess.run(
            [sys.executable, "-m", "multigrad.bench.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def measuring(self, folder, *ops, resume=""):
        """Begin to measure, and return the process: it prints a line for each portion that begins or ends."""
        words = [sys.executable, "-c", SCRIPT, self.address, str(folder), str(resume), *ops]
        process = subprocess.Popen(
            words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def cluster(tmp_path, environment):
    with contextlib.closing(Cluster(tmp_path, environment)) as made:
        yield made


def measuring_children(process):
    """Return the processes that measure for a worker of Dask."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "multigrad.worker" in " ".join(child.cmdline())
        ]
    return []


def finished(journal):
    """Return the portions in a journal that came back, by number."""
    if not journal.exists():
        return {}
    events = [json.loads(line) for line in journal.read_text().split("\n")[:-1]]
    return {e["number"]: e for e in events if e["event"] == "portion"}


def blocks_of(portion):
    return sorted(block[2] for e in portion["events"] if e["event"] == "cell" for block in e.get("blocks", ()))


def named(reference):
    return reference.rpartition("::")[2]


def spans(run):
    (entry,) = run.machines.values()
    return sorted((one["began"], one["ended"]) for one in entry["runs"])


def kill_one_in_the_middle(cluster, workers, out, ops, after, rng):
    """Measure, kill -9 the worker that is measuring when so many portions are back, and check what there is then."""
    log = Path(cluster.environment["FAKE_LOG"])
    process = cluster.measuring(out, *ops)
    cluster.wait(lambda: list(out.glob("fleet/*/journal.jsonl")))
    (journal,) = out.glob("fleet/*/journal.jsonl")
    cluster.wait(lambda: len(finished(journal)) >= after and any(map(measuring_children, workers)))
    time.sleep(rng.uniform(0, 1.5))
    cluster.wait(lambda: any(map(measuring_children, workers)))
    victim = next(w for w in workers if measuring_children(w))
    orphans = measuring_children(victim)
    kept = finished(journal)
    victim.kill()
    victim.wait()
    psutil.wait_procs(orphans, timeout=600)
    assert not any(orphan.is_running() for orphan in orphans), "the killed worker's measuring children live on"
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    run = load_run(journal.parent)
    assert run.info["state"] == "complete"
    assert not run.summary.duplicated(KEY).any()
    assert run.summary["operation"].value_counts().to_dict() == dict.fromkeys(map(named, ops), 2)
    assert set(run.matrix["operation"]) == set(map(named, ops))
    assert (run.matrix["verdict"] == "PASS").all()
    assert (run.summary["verdict"] == "PASS").all(), run.summary["reason"].tolist()
    assert (run.summary["processes"] == 2).all()
    there = set(run.samples["block_s"])
    assert all(set(blocks_of(portion)) <= there for portion in kept.values())
    ends = spans(run)
    assert len(ends) == len(ops)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ends))
    # Every single call that was made anywhere, also by those who were killed: nobody's lie between another's.
    calls = sorted((float(at), name) for _, name, _, at in (line.split() for line in log.read_text().splitlines()))
    changes = sum(one[1] != other[1] for one, other in itertools.pairwise(calls))
    assert len(ops) - 1 <= changes <= len(ops)
    log.unlink()
    return victim


def test_a_fleet_loses_a_machine_and_no_portion(cluster, square, cube, tmp_path):
    workers = cluster.workers(3, *CPU)
    kill_one_in_the_middle(cluster, workers, tmp_path / "out", [square, cube], 0, random.Random(0))


@pytest.mark.long
def test_a_fleet_loses_a_machine_ten_times_and_no_portion(cluster, square, cube, tmp_path):
    rng = random.Random(0)
    more = tmp_path / "more.py"
    text = Path(square.partition("::")[0]).read_text()
    more.write_text(text.replace("def square", "def third").replace("def cube", "def fourth"))
    ops = [square, cube, f"{more}::third", f"{more}::fourth"]
    workers = cluster.workers(3, *CPU)
    for number in range(10):
        victim = kill_one_in_the_middle(cluster, workers, tmp_path / f"out{number}", ops, rng.randrange(2), rng)
        workers.remove(victim)
        workers += cluster.workers(1, *CPU)


def test_two_workers_of_one_machine_never_measure_at_the_same_time(tmp_path, environment):
    code = (
        "import time\n"
        "from multigrad.bench.fleet.measuring import alone\n"
        "with alone():\n"
        "    began = time.monotonic()\n"
        "    time.sleep(0.3)\n"
        "    print(began, time.monotonic())"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    found = sorted(tuple(map(float, one.communicate()[0].split())) for one in several)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))


@pytest.mark.long
def test_when_the_last_machine_is_lost_what_is_missing_is_recorded_and_a_resumed_run_has_it(
    cluster, square, cube, tmp_path
):
    (worker,) = cluster.workers(1, *CPU)
    process = cluster.measuring(tmp_path, square, cube)
    cluster.wait(lambda: list(tmp_path.glob("fleet/*/journal.jsonl")))
    (journal,) = tmp_path.glob("fleet/*/journal.jsonl")
    cluster.wait(lambda: len(finished(journal)) == 1)
    kept = finished(journal)
    worker.kill()
    worker.wait()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    run = load_run(journal.parent)
    assert run.info["state"] == "interrupted"
    lost = run.summary[run.summary["verdict"] == "UNAVAILABLE"]
    assert set(lost["reason"]) == {"lost: for 5 s there was no machine left that offers cpu"}
    assert set(lost["machine"]) == {""}
    assert (run.summary["verdict"] == "PASS").sum() == 2
    with pytest.raises(BadInput, match="is a fleet's run; multigrad run --fleet ADDRESS --resume"):
        measure(resume=journal.parent)
    cluster.workers(1, *CPU)
    resumed = cluster.measuring(tmp_path, square, cube, resume=journal.parent)
    _, errors = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, errors
    run = load_run(journal.parent)
    assert (run.summary["verdict"] == "PASS").all()
    assert run.info["state"] == "complete"
    assert len(run.summary) == 4
    assert set(blocks_of(next(iter(kept.values())))) <= set(run.samples["block_s"])


@pytest.mark.long
def test_a_portion_that_kills_its_machines_comes_to_an_end(tmp_path, environment):
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
    with contextlib.closing(Cluster(tmp_path, environment)) as cluster:
        cluster.workers(3, *CPU)
        words = ["--backend", "fake_backends:DEADLY", "--quick", "--out", str(tmp_path / "out")]
        done = cluster.run("run", "linear_map", "--fleet", cluster.address, *words)
    assert done.returncode == 1, done.stderr  # a correctness failure, as where a worker dies at home
    (folder,) = (tmp_path / "out" / "fleet").iterdir()
    run = load_run(folder)
    assert run.info["state"] == "complete"
    assert set(run.summary["verdict"]) == {"FAIL"}
    assert run.summary["reason"].str.startswith("died: 2 workers were lost at it, the last at tcp://127.0.0.1").all()


@pytest.mark.long
def test_when_the_scheduler_dies_what_is_finished_is_readable(cluster, square, cube, tmp_path):
    cluster.workers(1, *CPU)
    process = cluster.measuring(tmp_path, square, cube)
    cluster.wait(lambda: list(tmp_path.glob("fleet/*/journal.jsonl")))
    (journal,) = tmp_path.glob("fleet/*/journal.jsonl")
    cluster.wait(lambda: len(finished(journal)) == 1)
    cluster.scheduler.kill()
    _, errors = process.communicate(timeout=600)
    assert errors.strip().splitlines()[-1].endswith(f"run --fleet ADDRESS --resume {journal.parent} goes on")
    assert "BadInput: the scheduler is gone" in errors
    run = load_run(journal.parent)
    assert run.info["state"] == "interrupted"
    assert (run.summary["verdict"] == "PASS").all()
    assert len(run.summary) == 2


def test_when_the_coordinator_is_gone_the_machines_stop(cluster, square, cube, tmp_path):
    (worker,) = cluster.workers(1, *CPU)
    process = cluster.measuring(tmp_path, square, cube, "linear_map", "relu_regression")
    cluster.wait(lambda: measuring_children(worker))
    process.kill()
    process.communicate()
    cluster.wait(lambda: not measuring_children(worker))
    (journal,) = tmp_path.glob("fleet/*/journal.jsonl")
    assert len(finished(journal)) <= 1
    assert load_run(journal.parent).info["state"] == "interrupted"


def refused(done):
    """Return the one line that a command that was refused wrote."""
    assert done.returncode == 3, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_wrong_address_and_one_where_nobody_is_are_one_line_each(tmp_path, environment):
    def run(address):
        words = [sys.executable, "-m", "multigrad.bench.cli", "run", "--fleet", address, "--out", str(tmp_path)]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600)

    assert "'here' is no address of a scheduler; wanted tcp://host:port" in refused(run("here"))
    assert "no scheduler answers at tcp://127.0.0.1:9" in refused(run("tcp://127.0.0.1:9"))
    assert not list(tmp_path.rglob("journal.jsonl"))


def test_resume_without_a_fleet_is_refused(tmp_path, environment):
    words = [sys.executable, "-m", "multigrad.bench.cli", "run", "--resume", str(tmp_path)]
    assert "wanted --fleet too" in refused(subprocess.run(words, env=environment, capture_output=True, text=True))


def test_a_fleet_of_the_wrong_machines_is_refused(cluster, tmp_path):
    out = ("--out", str(tmp_path / "out"))
    cluster.workers(1)
    assert "no worker offers cpu (of 1 workers: 1 offer nothing)" in refused(
        cluster.run("run", "--fleet", cluster.address, *out)
    )
    cluster.workers(1, "--resources", "cpu=1 atlas=1")
    assert "no worker offers gpu" in refused(cluster.run("run", "--fleet", cluster.address, "--device", "cuda", *out))
    assert "no worker offers borea and cpu (of 2 workers" in refused(
        cluster.run("run", "--fleet", cluster.address, "--machine", "borea", *out)
    )
    assert not (tmp_path / "out").exists()


def test_a_worker_of_another_version_is_refused(cluster, tmp_path):
    cases = {
        "import multigrad\nmultigrad.__version__ = '0.0.0'": f"has multigrad 0.0.0, here it is {__version__}",
        "import distributed\ndistributed.__version__ = '1.0'": "has distributed 1.0, here it is ",
        "import sys\nsys.modules['multigrad'] = None": "cannot run multigrad: ",
    }
    for preload, said in cases.items():
        (tmp_path / "changed.py").write_text(preload)
        (worker,) = cluster.workers(1, *CPU, "--preload", str(tmp_path / "changed.py"))
        assert said in refused(cluster.run("run", "--fleet", cluster.address, "--out", str(tmp_path / "out")))
        assert not (tmp_path / "out").exists()
        worker.terminate()
        worker.wait()


def test_a_worker_without_the_framework_says_so_in_every_cell(cluster, tmp_path):
    cluster.environment["FAKE_ABSENT"] = "1"
    cluster.workers(1, *CPU)
    del cluster.environment["FAKE_ABSENT"]
    words = ["--backend", "fake_backends:ABSENT", "--out", str(tmp_path / "out"), "--quick"]
    done = cluster.run("run", "linear_map", "--fleet", cluster.address, *words)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "out" / "fleet").iterdir()
    run = load_run(folder)
    assert set(run.summary["verdict"]) == {"UNAVAILABLE"}
    assert "not installed" in run.summary["reason"].iloc[0]


def test_the_kind_of_a_device_is_a_tag():
    assert [kind_of(name) for name in ("cpu", "cpu:8", "cuda", "cuda:2", "xpu")] == ["cpu"] * 2 + ["gpu"] * 3

"""What a fleet's run costs whoever coordinates it: bytes, messages, seconds of the processor, files.

    python tests/benchmarks/fleet_scale.py [--quick] [--cells 1000 10000] [--tasks 10000] [--out results/fleet_scale.md]

Portions are made up: as many cells, processes and blocks as a full run has, with figures of as many digits. They go the
way of real ones: compressed, unpacked, into the journal, into the tables. The tasks of the scheduler are empty ones.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import figures
import psutil

WAYS = (("forward", "eager"), ("analytic", "eager"), ("autodiff", "eager"), ("analytic", "compiled"))
PLACES = [(backend, *way) for backend in ("numpy", "torch", "jax") for way in WAYS][:10]
CELLS = 2 * len(PLACES)
"""Cells of a portion: an operation on three frameworks, in several ways, at two sizes."""
ROUNDS, LATENCY, PIPELINED = 5, 31, 5
"""Processes of a cell, and blocks of either kind in each: what a full run has."""
BACKENDS = ("numpy", "torch", "jax")
QUIETER = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
}
"""What lets a worker of Dask rest while it waits."""
LINES = ["| what | cells | figure |", "| --- | ---: | ---: |"]


def tell(what: str, cells: int | str, figure: str) -> None:
    """Keep a line of the table, and print it."""
    LINES.append(f"| {what} | {cells} | {figure} |")
    print(f"{what} ({cells} cells): {figure}", flush=True)


def portion(number: int, host: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return what one machine would have answered."""
    from dataclasses import asdict

    from multigrad.bench.plan.cells import Cell, Plan
    from multigrad.bench.plan.protocol import FULL

    cells = tuple(
        Cell("linear_map", f"operation_{number}", variant, mode, backend, backend, "cpu", "float32", "",
             (("m", m), ("k", 64), ("n", 64)), 2, "strict")
        for backend, variant, mode in PLACES
        for m in (64, 512)
    )  # fmt: skip
    info = {"schema": 1, "started": "2026-11-21T13:00:00+0000", "seed": 0, "precision": "strict", "threads": [2]}
    info |= {"host": host, "versions": {"numpy": "2.4.6", "torch": "2.13.0", "jax": "0.10.2"}, "git": {}}
    plan = Plan(cells, {}, (0,), 0).to_json()
    events: list[dict[str, Any]] = [{"event": "run", "info": info, "plan": plan, "protocol": asdict(FULL)}]
    band = {"bytes_per_s": 3e10, "array_bytes": 2**27, "in_cache": False, "by_size": [[2**16, 2e11], [2**27, 3e10]]}
    for one in BACKENDS:
        peaks = {"backend": one, "device": "cpu", "threads": 2, "precision": "strict", "round": 0, "twin": 0}
        events.append({"event": "peaks", **peaks, "flop_per_s": {"float32": 2e11}, "bandwidth": band})
    for process in range(ROUNDS):
        events += _worker_events(process)
        for i in range(CELLS):
            events += [_cell_event(i, process, twin, rng) for twin in ((0, 1) if i == 0 else (0,))]
    events += [{"event": "wall", "wall_s": 60.0}, {"event": "end", "state": "complete"}]
    row = {"operation": f"operation_{number}", "output": "X_bar", "backend": "numpy", "device": "cpu", "mode": "eager",
           "variant": "analytic", "dtype": "float32", "regime": "gaussian", "sizes": "m=5 k=4 n=3",
           "verdict": "PASS", "max_abs_error": 1e-7, "max_ulp": 1.25, "bitwise_equal_to_numpy": True, "reason": "",
           "seed": 0}  # fmt: skip
    matrix = [{**row, "ratio": rng.random()} for _ in range(8 * CELLS)]
    known = {"event": "portion", "number": number, "operation": f"operation_{number}", "devices": ["cpu"]}
    return {**known, "worker": "tcp://10.0.0.1:40000", "events": events, "matrix": matrix}


def _worker_events(process: int) -> Iterator[dict[str, Any]]:
    pools = [{"user_api": "blas", "internal_api": "openblas", "version": "0.3.30", "num_threads": 2}] * 2
    facts = {"import_s": 0.41, "first_operation_s": 0.01, "device_name": "", "settings": {"threads": 2}, "cpus": [0, 1]}
    facts |= {"thread_pools": pools, "busy_threads": 1.93, "empty_s": {"eager": 4e-7}, "timer_step_s": 1e-8}
    facts |= {"environment": {f"VARIABLE_{i}": "2" for i in range(8)}, "load": 1.0, "turns": True}
    for one in BACKENDS:
        group = f"{one} cpu 2 strict"
        yield {"event": "worker", "round": process, "twin": 0, "group": group, "facts": facts}


def _cell_event(cell: int, process: int, twin: int, rng: random.Random) -> dict[str, Any]:
    def block(kind: str, turn: int) -> list[Any]:
        seconds = 5e-3 * rng.lognormvariate(0, 0.02)
        return [kind, 8, seconds, seconds / 3, seconds * 1.9, 0, None, None, 0.0, 0, turn]

    blocks = [block("latency", i // 6) for i in range(LATENCY)]
    blocks += [block("pipelined", 0) for _ in range(PIPELINED)]
    known = {
        "event": "cell",
        "cell": cell,
        "round": process,
        "twin": twin,
        "group": f"{PLACES[cell // 2][0]} cpu 2 strict",
    }
    times = {name: rng.random() for name in ("first_call_s", "to_device_s", "to_host_s", "setup_s", "load", "wait_s")}
    more = {"warm": True, "warmup_s": 0.1, "timed_s": 0.25, "calls": {"latency": 8, "pipelined": 8}}
    judged = {"verdict": "PASS", "reason": "", "ratio": rng.random(), "digest": "0" * 64}
    return {**known, **judged, **times, **more, "blocks": blocks, "began": 1.7e9, "ended": 1.7e9 + 1.5}


def spent(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and the seconds of the processor that it took."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def coordinate(count: int, machines: int = 10) -> None:
    """Take in as many cells as a coordinator would, and write tables and report."""
    from multigrad.bench import write_reports
    from multigrad.bench.analysis.combine import of_portions
    from multigrad.bench.analysis.load import write_run
    from multigrad.bench.fleet.measuring import packed as pack
    from multigrad.bench.store import machine
    from multigrad.bench.store.events import read_event
    from multigrad.bench.store.journal import Journal, journal_events

    rng, host = random.Random(0), machine.describe()
    answers = max(1, count // CELLS)
    begin = {"event": "run", "info": {"schema": 1, "started": "", "seed": 0}, "portions": [], "request": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        journal = Journal(folder, new=True)
        journal.append(read_event("", begin))
        took_s, sizes, packed_sizes = 0.0, 0, 0
        for number in range(answers):
            made = portion(number, {**host, "hostname": f"machine-{number % machines}"}, rng)
            packed = pack(made)
            sizes, packed_sizes = sizes + len(json.dumps(made)), packed_sizes + len(packed)

            def take(packed: bytes = packed) -> None:
                journal.append(read_event("", json.loads(gzip.decompress(packed))))

            took_s += spent(take)[1]
        journal.close()
        tell("JSON of a portion", count, f"{sizes / answers / 1e3:.0f} kB, {sizes / count / 1e3:.2f} kB a cell")
        said = f"{packed_sizes / answers / 1e3:.0f} kB, {packed_sizes / count / 1e3:.2f} kB a cell"
        tell("the same, compressed: what goes over the wire", count, said)
        tell("unpack a portion and write it down", count, f"{1e3 * took_s / answers:.1f} ms")
        begin, events = journal_events(folder)
        run, seconds = spent(lambda: of_portions(begin, events, folder))
        tell("assemble", count, f"{seconds:.1f} s, {1e3 * seconds / count:.2f} ms a cell")
        _, seconds = spent(lambda: write_run(run))
        tell("write the tables", count, f"{seconds:.1f} s, {1e3 * seconds / count:.2f} ms a cell")
        if count <= 10_000:
            _, seconds = spent(lambda: write_reports(folder))
            tell("write the report", count, f"{seconds:.1f} s")
        for path in sorted(folder.iterdir()):
            tell(path.name, count, f"{path.stat().st_size / 1e6:.2f} MB")
        tell("most memory until here", count, f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def nothing(number: int) -> bytes:
    """Be an empty portion."""
    return b"x" * 100


def on_the_loopback() -> tuple[int, int]:
    """Return bytes and packets that this machine has sent to itself."""
    folder = Path("/sys/class/net/lo/statistics")
    return int((folder / "tx_bytes").read_text()), int((folder / "tx_packets").read_text())


def schedule(tasks: int) -> None:
    """Hand out empty tasks as portions are handed out, to two workers."""
    import queue

    import distributed

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "scheduler.json"
        plain = ["--no-dashboard", "--host", "127.0.0.1"]
        dask = [sys.executable, "-m", "dask"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), *plain], **quiet
        )
        while not file.exists():
            time.sleep(0.05)
        options = ["--scheduler-file", str(file), *plain, "--nthreads", "1", "--no-nanny", "--resources", "cpu=1"]
        without = {**os.environ, **QUIETER}
        workers = [subprocess.Popen([*dask, "worker", *options], env=env, **quiet) for env in (None, without)]
        with distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(2)
            time.sleep(2)
            idle = [sum(psutil.Process(p.pid).cpu_times()[:2]) for p in workers]
            lo = on_the_loopback()
            time.sleep(10)
            idle = [sum(psutil.Process(p.pid).cpu_times()[:2]) - b for p, b in zip(workers, idle, strict=True)]
            sent = [after - before for after, before in zip(on_the_loopback(), lo, strict=True)]
            tell("an idle Dask worker", "–", f"{100 * idle[0] / 10:.1f} % of a core")
            said = f"{100 * idle[1] / 10:.1f} % of a core"
            tell("one without profile, whose monitor looks every 10 s", "–", said)
            said = f"{sent[0] / 20:.0f} bytes in {sent[1] / 20:.1f} packets"
            tell("what one says in a second, with the answers", "–", said)
            account = psutil.Process(scheduler.pid)
            before_s, lo, mine = sum(account.cpu_times()[:2]), on_the_loopback(), time.process_time()
            done: queue.SimpleQueue[Any] = queue.SimpleQueue()

            def hand(number: int) -> None:
                future = client.submit(nothing, number, resources={"cpu": 1}, pure=False)
                future.add_done_callback(done.put)

            started = time.perf_counter()
            for number in range(tasks):
                if number >= 2:
                    done.get().result()
                hand(number)
            for _ in range(2):
                done.get().result()
            wall_s = time.perf_counter() - started
            scheduler_s = sum(account.cpu_times()[:2]) - before_s
            sent = [after - before for after, before in zip(on_the_loopback(), lo, strict=True)]
            tell(f"scheduler's processor, of {tasks} empty tasks", "–", f"{1e3 * scheduler_s / tasks:.2f} ms a task")
            client_s = time.process_time() - mine
            tell("client's processor", "–", f"{1e3 * client_s / tasks:.2f} ms a task")
            tell("from task to task on two workers", "–", f"{1e3 * wall_s / tasks:.2f} ms a task")
            said = f"{sent[0] / tasks / 1e3:.1f} kB in {sent[1] / tasks:.1f} packets"
            tell("all messages of a task, results of 100 bytes", "–", said)
            _, seconds = spent(lambda: client.scheduler_info(n_workers=-1))
            size = len(repr(client.scheduler_info(n_workers=-1)["workers"])) / 2
            tell("count the machines", "–", f"{size / 1e3:.1f} kB a machine, {1e3 * seconds:.1f} ms for two")
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short version: 1000 cells, 500 tasks")
    parser.add_argument("--cells", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--tasks", type=int, default=10_000, help="0: none")
    parser.add_argument("--out", type=Path, help="a file for the table; lines are added to one that is there")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (figures.ROOT, figures.FAKES)]
    tasks = min(chosen.tasks, 500) if chosen.quick else chosen.tasks
    if tasks:
        schedule(tasks)
    for count in [1000] if chosen.quick else chosen.cells:
        coordinate(count)
    if chosen.out:
        lines = LINES[2:] if chosen.out.exists() else LINES
        with chosen.out.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

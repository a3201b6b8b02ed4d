"""The same work by other tools: pyperf on a NumPy operation, torch.utils.benchmark on a torch operation.

    python tests/benchmarks/agreement.py [--quick] [--repetitions 20]

The forward part of relu_regression (float32) on one thread, each time in a fresh process on the same processor,
in turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import figures

SIZE = {"m": 128, "k": 512, "n": 128}
"""Temporaries of 64 KiB: with larger ones malloc maps and trims as the history of a process has it, which differs."""


def prepared(name: str) -> tuple[Callable[..., Any], list[Any]]:
    """The very function that the harness times, with arguments of the same shapes."""
    from multigrad import operations
    from multigrad.backend import backend

    op = operations()["relu_regression"]
    session = backend(name).open("cpu", threads=1)
    arrays = [session.to_device(a, "float32") for a in op.make_inputs(SIZE, 0)]
    return session.function(op, {}, "forward", "eager"), arrays


def by_pyperf(environment: dict[str, str], cpu: int) -> float:
    """Seconds per call by ``pyperf timeit``, in one process."""
    setup = "from agreement import prepared; f, a = prepared('numpy')"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        arguments = ["-p", "1", "-n", "20", "-w", "3", "--copy-env", "--affinity", str(cpu), "-o", str(out)]
        command = [sys.executable, "-m", "pyperf", "timeit", *arguments, "-s", setup, "f(*a)"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
        runs = json.loads(out.read_text())["benchmarks"][0]["runs"]
    return statistics.median(value for run in runs for value in run.get("values", ()))


def by_torch(arguments: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Worker: seconds per call by torch.utils.benchmark."""
    from torch.utils.benchmark import Timer

    f, a = prepared("torch")
    timer = Timer("f(*a)", globals={"f": f, "a": a}, num_threads=1)
    timer.blocked_autorange(min_run_time=0.2)
    yield {"median_s": timer.blocked_autorange(min_run_time=0.5).median}


def main() -> None:
    chosen = figures.options(__doc__)
    from multigrad.bench.measurement.measure import measure
    from multigrad.bench.plan.protocol import FULL, Protocol
    from multigrad.bench.store import machine

    from multigrad.backend import backend
    from multigrad.process import child as worker

    cpu = machine.physical_cpus()[0]
    protocol = Protocol(**{**vars(FULL), "rounds": 1, "extra_rounds": 0, "memory": False, "twins": 0, "peak_rounds": 0})
    wanted = {"device": "cpu", "mode": "eager", "variant": "forward", "dtype": "float32", "threads": 1, "size": SIZE}
    ours: dict[str, list[float]] = {"numpy": [], "torch": []}
    theirs: dict[str, list[float]] = {"numpy": [], "torch": []}
    for seed in range(chosen.repetitions):
        for name in ours:
            run = measure("relu_regression", backend=name, protocol=protocol, seed=seed, **wanted)
            ours[name].append(float(run.summary["median_s"].iloc[0]))
            environment = backend(name).environment("cpu", 1, "strict")
            if name == "numpy":
                theirs[name].append(by_pyperf(environment, cpu))
                continue
            target = "agreement:by_torch"
            (said,) = worker.run(target, {}, environment=environment, cpus=[cpu])
            assert isinstance(said, dict), said
            theirs[name].append(said["median_s"])
    for name, tool in (("numpy", "pyperf"), ("torch", "torch.utils.benchmark")):
        pairs = [a / b for a, b in zip(ours[name], theirs[name], strict=True)]
        # Within a pair, which followed each other: what disturbs the machine for minutes disturbs both alike.
        ratio = statistics.median(pairs)
        of_medians = statistics.median(ours[name]) / statistics.median(theirs[name])
        found = f"pairs {figures.quartiles(pairs)}; ratio of the medians {of_medians:.4f}"
        figures.figure(f"our median_s over that of {tool} ({name})", found, "0.95 to 1.05", 0.95 < ratio < 1.05)


if __name__ == "__main__":
    main()

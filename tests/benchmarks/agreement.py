"""The same work by other tools: pyperf on a NumPy operation, torch.utils.benchmark on a torch operation.

    python tests/benchmarks/agreement.py [--quick] [--repetitions 20]

The forward part of relu_regression (medium, float32) on one thread, each time in a fresh process on the same processor,
in turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import figures

SIZE = {"m": 512, "k": 256, "n": 256}
NUMPY_SETUP = """
import numpy as np
rng = np.random.default_rng(0)
X, W, Y = (rng.standard_normal(shape).astype("float32") for shape in ((512, 256), (256, 256), (512, 256)))
def forward(X, W, Y):
    R = Y - np.maximum(X @ W, 0)
    return np.sum(R * R)
"""


def by_pyperf(environment: dict[str, str], cpu: int) -> float:
    """Seconds per call by ``pyperf timeit``, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        arguments = ["-p", "1", "-n", "20", "-w", "3", "--copy-env", "--affinity", str(cpu), "-o", str(out)]
        command = [sys.executable, "-m", "pyperf", "timeit", *arguments, "-s", NUMPY_SETUP, "forward(X, W, Y)"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
        runs = json.loads(out.read_text())["benchmarks"][0]["runs"]
    return statistics.median(value for run in runs for value in run.get("values", ()))


def by_torch(arguments: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Worker: seconds per call by torch.utils.benchmark."""
    import torch
    from torch.utils.benchmark import Timer

    m, k, n = (arguments["size"][s] for s in "mkn")
    X, W, Y = (torch.randn(shape) for shape in ((m, k), (k, n), (m, n)))

    def forward(X: Any, W: Any, Y: Any) -> Any:
        R = Y - torch.clamp(X @ W, min=0)
        return (R * R).sum()

    timer = Timer("forward(X, W, Y)", globals={"forward": forward, "X": X, "W": W, "Y": Y}, num_threads=1)
    timer.blocked_autorange(min_run_time=0.2)
    yield {"median_s": timer.blocked_autorange(min_run_time=0.5).median}


def main() -> None:
    chosen = figures.options(__doc__)
    from multigrad.bench import machine
    from multigrad.bench.measure import measure
    from multigrad.bench.protocol import FULL, Protocol

    from multigrad import worker
    from multigrad.backend import backend

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
            (said,) = worker.run(target, {"size": SIZE}, environment=environment, cpus=[cpu])
            assert isinstance(said, dict), said
            theirs[name].append(said["median_s"])
    for name, tool in (("numpy", "pyperf"), ("torch", "torch.utils.benchmark")):
        ratio = statistics.median(ours[name]) / statistics.median(theirs[name])
        pairs = figures.quartiles([a / b for a, b in zip(ours[name], theirs[name], strict=True)])
        found = f"{ratio:.4f}; pairs {pairs}"
        figures.figure(f"our median_s over that of {tool} ({name})", found, "0.95 to 1.05", 0.95 < ratio < 1.05)


if __name__ == "__main__":
    main()

"""JAX returns before its device is done: what is timed without waiting, and what the harness says.

    python tests/benchmarks/jax_pitfall.py [--quick] [--repetitions 20]

The same jitted gradient of relu_regression (large, float32), by the harness and by a bare loop with
jax.block_until_ready in a process of its own with the same environment and processors, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import figures

SIZE = {"m": 2048, "k": 512, "n": 512}
"""Of so long a call that a block is one: then both medians are of single calls."""


def bare(arguments: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Worker: seconds per call, waited for and not."""
    import jax
    import numpy as np

    rng = np.random.default_rng(0)
    m, k, n = (arguments["size"][s] for s in "mkn")
    X, W, Y = (jax.numpy.asarray(rng.standard_normal(shape), "float32") for shape in ((m, k), (k, n), (m, n)))

    def f(X: Any, W: Any, Y: Any) -> Any:
        R = Y - jax.numpy.maximum(X @ W, 0)
        return (R * R).sum()

    @jax.jit
    def gradient(X: Any, W: Any, Y: Any, f_bar: Any) -> Any:
        value, pullback = jax.vjp(f, X, W, Y)
        return value, *pullback(f_bar)

    f_bar = jax.numpy.float32(1.25)
    for _ in range(20):
        jax.block_until_ready(gradient(X, W, Y, f_bar))
    waited, unwaited = [], []
    for _ in range(arguments["calls"]):
        start = time.perf_counter()
        jax.block_until_ready(gradient(X, W, Y, f_bar))
        waited.append(time.perf_counter() - start)
    for _ in range(10):
        start = time.perf_counter()
        outputs = gradient(X, W, Y, f_bar)
        unwaited.append(time.perf_counter() - start)
        jax.block_until_ready(outputs)
    yield {"waited_s": statistics.median(waited), "unwaited_s": statistics.median(unwaited)}


def main() -> None:
    chosen = figures.options(__doc__)
    from multigrad.bench.measurement.measure import measure
    from multigrad.bench.plan.protocol import FULL, Protocol
    from multigrad.bench.store import machine

    from multigrad.backend import backend
    from multigrad.process import child as worker

    cpus = machine.physical_cpus()
    protocol = Protocol(**{**vars(FULL), "rounds": 1, "extra_rounds": 0, "memory": False, "twins": 0, "peak_rounds": 0})
    environment = backend("jax").environment("cpu", len(cpus), "strict")
    wanted = {"backend": "jax", "device": "cpu", "mode": "compiled", "variant": "autodiff", "dtype": "float32"}
    ours, dispatched, theirs, unwaited = [], [], [], []
    for seed in range(chosen.repetitions):
        run = measure("relu_regression", size=SIZE, protocol=protocol, seed=seed, **wanted)
        (row,) = run.summary.to_dict("records")
        arguments = {"size": SIZE, "calls": 100}
        (said,) = worker.run("jax_pitfall:bare", arguments, environment=environment, cpus=cpus)
        assert isinstance(said, dict), said
        ours.append(row["median_s"])
        dispatched.append(row["dispatch_s"] / row["median_s"])
        theirs.append(said["waited_s"])
        unwaited.append(said["unwaited_s"])
        print(f"ours {ours[-1]:.6f} s, bare {theirs[-1]:.6f} s, bare without waiting {unwaited[-1]:.6f} s", flush=True)
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    # Within a pair, which followed each other: what disturbs the machine for minutes disturbs both alike.
    ratio = statistics.median(pairs)
    of_medians = statistics.median(ours) / statistics.median(theirs)
    share = statistics.median(dispatched)
    figures.figure("dispatch_s over median_s", figures.quartiles(dispatched), "far below 1 (0.2)", share < 0.2)
    found = f"pairs {figures.quartiles(pairs)}; ratio of the medians {of_medians:.4f}"
    figures.figure("median_s over the bare loop's", found, "0.97 to 1.03", 0.97 < ratio < 1.03)


if __name__ == "__main__":
    main()

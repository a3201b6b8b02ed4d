"""Operations on data that is four times the memory of the whole cluster, each result judged where its chunks are.

    python tests/benchmarks/dask_beyond_memory.py [--limit 320] [--workers 2] [--times 4] [--operation gmm] [--write]

Every worker is a process with a limit on its memory, in MiB: beyond it Dask ends it, near it chunks go to the disk.
The data are drawn by the workers, chunk by chunk, each from a seed of its own. Integers have to come out exactly, by
int64 in NumPy; other numbers within the bounds of float64. ``--write`` puts the table into results.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import distributed
import figures
import numpy as np
import parts
import psutil

from multigrad.backend import backend
from multigrad.backend.placement import split_axes, split_symbol
from multigrad.backend.scheduler import VARIABLE
from multigrad.ops.find import operations
from multigrad.ops.text import sizes_text
from multigrad.truth.references import bounded
from multigrad.verdict.judge import joined, judge
from multigrad.verdict.words import FAIL, INCONCLUSIVE

DTYPE = "float64"
CHUNK_BYTES = 2**20
WAVE = 64
"""So many chunks are judged before what was found out about them is fetched."""
TABLE = Path(__file__).resolve().parents[2] / "results" / "dask_beyond_memory.csv"

PROBLEMS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "relu_regression": ("integers", {"k": 32, "n": 32}),
    "linear_map": ("integers", {"n": 256}),
    "softmax_cross_entropy": ("gaussian", {"k": 64}),
    "layer_norm": ("gaussian", {"n": 256}),
    "gmm": ("gaussian", {"d": 32, "k": 3, "t": 496}),
}
"""By operation: how its numbers are drawn, and its dimensions but for the one that is split."""


def drawn(seed: Sequence[int], shape: tuple[int, ...], kind: str, below: int) -> np.ndarray:
    """Draw one chunk on the worker that will have it."""
    rng = np.random.default_rng(seed)
    if kind == "labels":
        return rng.integers(0, below, shape)
    if kind == "integers":
        return rng.integers(-2, 3, shape).astype(np.float64)
    return rng.standard_normal(shape)


def on_workers(number: int, shape: tuple[int, ...], axis: int, length: int, kind: str, below: int) -> da.Array:
    count = shape[axis]
    lengths = [(n,) for n in shape]
    lengths[axis] = tuple(min(length, count - i) for i in range(0, count, length))
    name = f"drawn-{number}-{dask.base.tokenize(shape, kind, time.time())}"
    graph = {}
    for i, n in enumerate(lengths[axis]):
        key = (name, *(i if a == axis else 0 for a in range(len(shape))))
        part = tuple(n if a == axis else m for a, m in enumerate(shape))
        graph[key] = (drawn, [number, i], part, kind, below)
    return da.Array(graph, name, tuple(lengths), np.int64 if kind == "labels" else np.float64)


def exactly(name: str, arrays: Sequence[np.ndarray], found: Mapping[str, np.ndarray]) -> tuple[bool, dict[str, Any]]:
    """Evaluate one chunk in int64: whether what is split is equal, and what the chunk adds to each sum."""
    whole = [np.rint(a).astype(np.int64) for a in arrays]
    if name == "relu_regression":
        X, W, Y, f_bar = whole
        Z = X @ W
        R = np.maximum(Z, 0) - Y
        Y_bar = -2 * f_bar * R
        S = np.where(Z > 0, Y_bar, 0)
        split, sums = {"X_bar": -(S @ W.T), "Y_bar": Y_bar}, {"value": np.sum(R * R), "W_bar": -(X.T @ S)}
    else:
        C, x, y_bar = whole
        split, sums = {"value": C @ x, "C_bar": np.multiply.outer(y_bar, x)}, {"x_bar": y_bar @ C}
    return all(np.array_equal(found[n], a) for n, a in split.items()), sums


def looked_at(name: str, symbol: str, arrays: Sequence[np.ndarray], found: Mapping[str, np.ndarray]) -> parts.Part:
    part = parts.judge_part(operations()[name], {}, DTYPE, symbol, arrays, found)
    ctypes.CDLL(None).malloc_trim(0)  # what judging took goes back: a worker that keeps it has none left for chunks
    return part


@dataclass
class Watch:
    """Looks at the resident memory of some processes, twenty times a second."""

    processes: Mapping[str, int]
    peaks: dict[str, int] = field(default_factory=dict)
    spilled: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        return self

    def look(self) -> None:
        found = {name: psutil.Process(pid) for name, pid in self.processes.items()}
        while not self.ended.wait(0.05):
            for name, process in found.items():
                with contextlib.suppress(psutil.NoSuchProcess):  # Dask ended it, which the row says
                    self.peaks[name] = max(self.peaks.get(name, 0), process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        for name, pid in self.processes.items():
            if name != "scheduler" and psutil.pid_exists(pid):
                self.peaks[name] = max(self.peaks[name], high_water(pid))


def high_water(pid: int) -> int:
    """Return the most resident memory a process ever had, in bytes, by the kernel."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def on_disk(dask_worker: Any) -> int:
    return int(dask_worker.data.spilled_total.disk)


def chunks(array: da.Array) -> list[Any]:
    """Return the futures of the chunks of a computed array, in order."""
    return [array.dask[key] for key in dask.core.flatten(array.__dask_keys__())]


def by_part(axes: Sequence[int | None], arrays: Sequence[da.Array]) -> list[list[Any]]:
    """Return for each part the futures of its arrays."""
    futures = [chunks(a) for a in arrays]
    count = max(map(len, futures))
    return [[f[i] if axis is not None else f[0] for f, axis in zip(futures, axes, strict=True)] for i in range(count)]


def judged(client: Any, op: Any, symbol: str, arrays: Any, axes: Any, outputs: Any) -> tuple[str, str, float]:
    """Return the worst verdict, what it says and the largest error over bound."""
    given = dict(zip(op.inputs, op.signature.inputs, strict=True))
    shapes = [*op.signature.outputs, *(given[n] for n in op.gradients)]
    named = dict(zip(op.outputs, outputs, strict=True))
    split = {n: chunks(named[n]) for n, shape in zip(op.outputs, shapes, strict=True) if symbol in shape}
    parted = by_part(axes, arrays)
    found = [{n: futures[i] for n, futures in split.items()} for i in range(len(parted))]
    looks: list[parts.Part] = []
    for i in range(0, len(parted), WAVE):  # what is found out is small, and all of it would be too much for a worker
        wave = zip(parted[i : i + WAVE], found[i : i + WAVE], strict=True)
        looks += client.gather([client.submit(looked_at, op.name, symbol, a, b, pure=False) for a, b in wave])
    words = []
    for name in op.outputs:
        if name in split:
            words.append(joined(look.judgements[name] for look in looks))
            continue
        references = [look.sums[name] for look in looks]
        if op.name == "gmm":
            total = of_points(op, references, name, client.gather(parted[0]))
        else:
            total = parts.summed(references, DTYPE)
        words.append(judge(np.asarray(named[name].compute()), total, DTYPE))
    worst = joined(words)
    return worst.verdict, worst.reason, worst.ratio


def of_points(op: Any, references: Sequence[Any], name: str, arrays: Sequence[np.ndarray]) -> Any:
    """Return the truth about a mixture of all points: F(all) = Σ F(part) − (parts − 1) F(no points).

    F(no points) = 2 F(one point) − F(that point twice). The operation adds up over all points before it has done with
    a sum: what one part rounds, the whole may round as often as there are parts.
    """
    number, count = op.outputs.index(name), len(references)
    x, *rest = arrays
    once, twice = (bounded(op, [p, *rest], {}, DTYPE, hull=False)[number] for p in (x[:1], x[[0, 0]]))
    minus = replace(
        once,
        value=(1 - count) * (2 * once.value - twice.value),
        bound=(count - 1) * (2 * once.bound + twice.bound),
        probable=(count - 1) * (2 * once.probable + twice.probable),
    )
    total = parts.summed([*references, minus], DTYPE)
    return replace(total, bound=count * total.bound, probable=count * total.probable)


def exact(client: Any, op: Any, arrays: Any, axes: Any, outputs: Any) -> bool:
    """Tell whether every number is the one that int64 gives."""
    named = dict(zip(op.outputs, outputs, strict=True))
    parted = by_part(axes, arrays)
    split = {n: chunks(a) for n, a in named.items() if a.npartitions == len(parted) > 1}
    looks = client.gather(
        [
            client.submit(exactly, op.name, part, {n: f[i] for n, f in split.items()}, pure=False)
            for i, part in enumerate(parted)
        ]
    )
    sums = [one for _, one in looks]
    assert {*split, *sums[0]} == set(op.outputs)
    return all(equal for equal, _ in looks) and all(
        np.array_equal(named[n].compute(), sum(one[n] for one in sums)) for n in sums[0]
    )


def measure(name: str, limit: int, workers: int, times: float, folder: str) -> dict[str, Any]:
    """Run one operation on a cluster of its own and return its row."""
    regime, size = PROBLEMS[name]
    op = operations()[name]
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=limit,
        local_directory=folder,
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        os.environ[VARIABLE] = cluster.scheduler_address
        session: Any = backend("dask").open("cpu")
        client = session.client
        pids = client.run(os.getpid)
        with Watch({**{f"worker {i}": pid for i, pid in enumerate(pids.values())}, "scheduler": os.getpid()}) as watch:
            clock = [time.perf_counter()]
            symbol, arrays, axes = made(op, regime, size, limit * workers * times)
            session.wait(arrays)
            clock.append(time.perf_counter())
            print(f"{name}: made in {clock[1] - clock[0]:.0f} s", flush=True)
            outputs = session.function(op, {}, "analytic", "eager")(*arrays)
            session.wait(outputs)
            clock.append(time.perf_counter())
            print(f"{name}: computed in {clock[2] - clock[1]:.0f} s", flush=True)
            spilled = sum(client.run(on_disk).values())
            verdict, reason, ratio, equal = "", "", 0.0, None
            if regime == "integers":
                equal = exact(client, op, arrays, axes, outputs)
            else:
                verdict, reason, ratio = judged(client, op, symbol, arrays, axes, outputs)
            clock.append(time.perf_counter())
        ended = {*client.run(os.getpid).values()} != {*pids.values()}
        client.close()
    data = sum(a.nbytes for a in arrays)
    row = {
        "operation": name,
        "sizes": sizes_text({**size, symbol: max(max(a.shape, default=0) for a in arrays)}),
        "dtype": DTYPE,
        "regime": regime,
        "workers": workers,
        "limit_bytes": limit,
        "data_bytes": data,
        "output_bytes": sum(a.nbytes for a in outputs),
        "chunk_bytes": CHUNK_BYTES,
        "chunks": max(a.npartitions for a in arrays),
        "spilled_bytes": spilled,
        "worker_peak_bytes": max(p for n, p in watch.peaks.items() if n != "scheduler"),
        "scheduler_peak_bytes": watch.peaks["scheduler"],
        "workers_ended": ended,
        "make_s": clock[1] - clock[0],
        "compute_s": clock[2] - clock[1],
        "judge_s": clock[3] - clock[2],
        "verdict": verdict,
        "ratio": ratio,
        "equal_to_int64": equal,
        "reason": reason,
    }
    good = verdict not in (FAIL, INCONCLUSIVE) and equal is not False and not ended
    under = row["worker_peak_bytes"] <= limit
    found = (
        f"{data / 2**30:.2f} GiB of data, {data / limit / workers:.2f} × the cluster's memory, {row['chunks']} chunks; "
        f"peak {row['worker_peak_bytes'] >> 20} of {limit >> 20} MiB, {spilled / 2**30:.2f} GiB on disk; made in "
        f"{row['make_s']:.0f} s, computed in {row['compute_s']:.0f} s, judged in {row['judge_s']:.0f} s; "
        + (f"{verdict}, ratio {ratio:.2g} {reason}" if equal is None else f"int64 {'equal' if equal else 'NOT EQUAL'}")
    )
    figures.figure(name, found, "right, and under the limit", good and under)
    return row


def made(op: Any, regime: str, size: Mapping[str, int], data: float) -> tuple[str, list[da.Array], tuple[Any, ...]]:
    """Return the split dimension, and inputs and cotangents that have so many bytes, not yet drawn, with their axes."""
    given = [*op.signature.inputs, *op.signature.outputs]
    few = {s: size.get(s, 10**6) for s in op.signature.symbols}
    symbol = split_symbol(op, [tuple(few[s] for s in shape) for shape in op.signature.inputs])
    assert symbol is not None
    assert symbol not in size
    step = 8 * sum(int(np.prod([size[s] for s in shape if s != symbol])) for shape in given if symbol in shape)
    few[symbol] = -(-int(data) // step)
    shapes = [tuple(few[s] for s in shape) for shape in given]
    axes = split_axes(op, shapes, symbol)
    widest = max(int(np.prod(s)) // few[symbol] for s, axis in zip(shapes, axes, strict=True) if axis is not None)
    length = CHUNK_BYTES // (8 * widest)
    small = op.make_inputs({**few, symbol: 2}, 0, regime) if op.draw is not None else None
    arrays = []
    for number, (shape, axis) in enumerate(zip(shapes, axes, strict=True)):
        name = op.inputs[number] if number < len(op.inputs) else ""
        labels = name != "" and name not in op.gradients and op.name == "softmax_cross_entropy"
        kind = "labels" if labels else regime
        if axis is not None:
            arrays.append(on_workers(number, shape, axis, length, kind, size.get("k", 0)))
        elif small is not None and name:
            arrays.append(da.from_array(small[number], chunks=-1))
        else:
            arrays.append(da.from_array(drawn([number], shape, kind, 0) if shape else np.asarray(3.0), chunks=-1))
    return symbol, arrays, axes


def main() -> None:
    # A worker that pauses at four fifths of its limit, for memory that is no chunk's, never goes on; at the limit it is
    # ended.
    dask.config.set({"distributed.scheduler.worker-ttl": None, "distributed.worker.memory.pause": False})
    # A freed chunk goes back to the system, so that what a worker holds is its chunks and no heap full of holes.
    dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**16})
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "error"  # workers read it: they say whenever they go to the disk
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=320, help="MiB of each worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=float, default=4.05, help="data over the memory of the whole cluster")
    parser.add_argument("--operation", action="append", choices=PROBLEMS)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    for name in chosen.operation or PROBLEMS:
        with tempfile.TemporaryDirectory(prefix="multigrad-dask-") as folder:
            row = measure(name, chosen.limit << 20, chosen.workers, chosen.times, folder)
        if chosen.write:
            import pandas as pd  # not above: every worker imports this file, and would have it in its memory

            TABLE.parent.mkdir(exist_ok=True)
            older = pd.read_csv(TABLE) if TABLE.is_file() else pd.DataFrame({"operation": []})
            frame = pd.concat([older[older["operation"] != name], pd.DataFrame([row])])
            frame.to_csv(TABLE, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()

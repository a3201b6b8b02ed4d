"""What Dask costs on data that fits into memory: its time over NumPy's, by the size of a chunk.

    python tests/benchmarks/dask_overhead.py [--quick] [--repetitions 20] [--processes] [--write]

Value and gradients of two operations in float32, both backends with all cores, in one process and in turns; the figure
is the median of the ratios. With ``--processes`` Dask runs on a cluster with a process for each core instead of one
with threads. ``--write`` puts the table into results.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import figures
import pandas as pd
from multigrad.backends import dask_backend
from threadpoolctl import threadpool_limits

from multigrad.backend import backend
from multigrad.backend.scheduler import VARIABLE
from multigrad.ops.find import operations
from multigrad.ops.text import sizes_text
from multigrad.truth.inputs import dtype_arrays

SIZES = {"relu_regression": {"m": 8192, "k": 1024, "n": 1024}, "linear_map": {"m": 32768, "n": 4096}}
CHUNK_BYTES = [2**i for i in range(20, 28)]
DTYPE = "float32"
WANTED = 1.3
TABLE = Path(__file__).resolve().parents[2] / "results" / "dask_overhead.csv"


def duration(session: Any, function: Callable[..., Any], arrays: list[Any]) -> float:
    start = time.perf_counter()
    outputs = function(*arrays)
    session.wait(outputs)
    return time.perf_counter() - start


def measure(name: str, repetitions: int, cluster: str) -> list[dict[str, Any]]:
    """Return a row for each size of a chunk."""
    threads = len(os.sched_getaffinity(0))
    plain = backend("numpy").open("cpu", threads=threads)
    dask = backend("dask").open("cpu", threads=threads)
    op = operations()[name]
    size = SIZES[name]
    given = dtype_arrays(op, size, 0, "gaussian", DTYPE)
    there = plain.place(op, given, DTYPE)
    alone = plain.function(op, {}, "analytic", "eager")
    chunked = dask.function(op, {}, "analytic", "eager")
    default = dask_backend.CHUNK_BYTES
    rows = []
    for chunk_bytes in CHUNK_BYTES:
        dask_backend.CHUNK_BYTES = chunk_bytes
        arrays = dask.place(op, given, DTYPE)
        times: dict[str, list[float]] = {"numpy": [], "dask": []}
        for turn in range(repetitions + 2):
            with threadpool_limits(threads):
                first = duration(plain, alone, there)
            second = duration(dask, chunked, arrays)
            if turn >= 2:
                times["numpy"].append(first)
                times["dask"].append(second)
        ratios = [d / n for d, n in zip(times["dask"], times["numpy"], strict=True)]
        ratio = statistics.median(ratios)
        rows.append(
            {
                "operation": name,
                "sizes": sizes_text(size),
                "dtype": DTYPE,
                "threads": threads,
                "cluster": cluster,
                "chunk_bytes": chunk_bytes,
                "chunks": arrays[0].numblocks[0],
                "numpy_s": statistics.median(times["numpy"]),
                "dask_s": statistics.median(times["dask"]),
                "ratio": ratio,
                "repetitions": repetitions,
            }
        )
        what = f"{name}, {arrays[0].numblocks[0]} chunks of at most {chunk_bytes >> 20} MiB, {cluster}"
        figures.figure(what, figures.quartiles(ratios), f"at most {WANTED}", ratio <= WANTED)
        del arrays
    dask_backend.CHUNK_BYTES = default
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--operation", action="append", choices=SIZES)
    chosen = parser.parse_args()
    repetitions = chosen.repetitions or (5 if chosen.quick else figures.REPETITIONS)
    if chosen.processes:
        import distributed

        cluster = distributed.LocalCluster(
            n_workers=len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
        )
        os.environ[VARIABLE] = cluster.scheduler_address
    kind = "processes" if chosen.processes else "threads"
    rows = [row for name in chosen.operation or SIZES for row in measure(name, repetitions, kind)]
    if chosen.write:
        frame = pd.DataFrame(rows)
        if TABLE.is_file():
            older = pd.read_csv(TABLE)
            same = older.set_index(["operation", "cluster"]).index.isin(frame.set_index(["operation", "cluster"]).index)
            frame = pd.concat([older[~same], frame])
        TABLE.parent.mkdir(exist_ok=True)
        frame.to_csv(TABLE, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()

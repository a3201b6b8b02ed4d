"""A run that nobody measured: as many cells and samples as are asked for, with figures that look like a run's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from multigrad.bench.analysis.flags import FLAGS
from multigrad.bench.store.folder import MATRIX, RUN, SAMPLES, SUMMARY
from multigrad.bench.store.frames import blank, to_frame, write_frame
from multigrad.bench.store.rows import SampleRow, SummaryRow
from multigrad.bench.store.schema import SCHEMA

from multigrad.matrix.rows import MatrixRow

PLACES = (("numpy", "eager"), ("torch", "eager"), ("torch", "compiled"), ("jax", "eager"), ("jax", "compiled"))
PACE = {"numpy": 3.0, "torch": 1.5, "jax": 1.2}


def made_up(
    folder: Path,
    *,
    operations: int = 4,
    sizes: int = 4,
    rounds: int = 2,
    blocks: int = 5,
    names: dict[int, str] | None = None,
    reason: str = "∂f/∂x is 0.5 × the true gradient: a factor 2 is missing",
    memory: bool = True,
) -> Path:
    """Write a run and return its folder: one cell in twelve is flagged, one operation fails on numpy.

    A cell is an operation × size × place × variant (numpy has no autodiff); a sample is a cell × round × block.
    """
    rng = np.random.default_rng(0)
    called = [(names or {}).get(i, f"operation_{i}") for i in range(operations)]
    cells = [
        _cell(rng, name, 8 * 4**s, backend, mode, variant, memory)
        for name in called
        for s in range(sizes)
        for backend, mode in PLACES
        for variant in (("analytic",) if backend == "numpy" else ("analytic", "autodiff"))
    ]
    absent = _row(SummaryRow, operation=called[0], backend="cupy", device="cuda", mode="eager", variant="analytic",
                  dtype="float32", verdict="UNAVAILABLE", reason="no CUDA device", median_s=None)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_frame(to_frame([*cells, absent], SummaryRow), folder / SUMMARY)
    write_frame(_samples(rng, cells, rounds, blocks), folder / SAMPLES)
    write_frame(to_frame(_matrix(rng, called, reason), MatrixRow), folder / MATRIX)
    (folder / RUN).write_text(json.dumps(INFO), encoding="utf-8")
    return folder


INFO: dict[str, Any] = {
    "schema": SCHEMA,
    "command": "multigrad run --quick",
    "started": "2026-11-21T13:07:43+0000",
    "seed": 0,
    "precision": "strict",
    "threads": [2],
    "git": {"commit": "0123456789abcdef", "changed": False},
    "host": {"cpu": "Imaginary", "processors": 2, "cores": 2, "gpus": [], "memory_bytes": 2**34},
    "versions": {"numpy": "9.0", "torch": "9.1"},
    "environment": {"OMP_NUM_THREADS": "2"},
    "noise_floor": 0.021,
    "pairs": [{"cell": "operation_0", "ratio": 1.02, "low": 0.99, "high": 1.05, "steady": True}],
    "turns": False,
    "peaks": {
        "flop_per_s": [{"device": "cpu", "threads": 2, "precision": "strict", "dtype": "float32", "value": 2e11}],
        "bandwidth": [{"device": "cpu", "threads": 2, "bytes_per_s": 3e10, "by_size": [[2**16, 2e11], [2**27, 3e10]]}],
    },
    "protocol": {"rounds": 2},
    "workers": [{"group": "numpy cpu 2 strict", "facts": {"settings": {"threads": 2}, "cpus": [0, 1]}}],
}


def _row(row_class: type, **values: Any) -> Any:
    filled = {name: 1.0 if value is None else value for name, value in blank(row_class).items()}
    return row_class(**{**filled, **values})


def _cell(rng: Any, name: str, n: int, backend: str, mode: str, variant: str, memory: bool) -> SummaryRow:
    flops, moved = 2.0 * n**3, 12.0 * n**2
    pace = PACE[backend] * (0.7 if mode == "compiled" else 1.0) * (1.7 if variant == "autodiff" else 1.0)
    median = float((2e-6 + flops / 1e11) * pace * rng.uniform(0.8, 1.25))
    flag = str(rng.choice([*FLAGS][:8])) if rng.random() < 1 / 12 else ""
    row: SummaryRow = _row(
        SummaryRow, operation=name, variant=variant, mode=mode, backend=backend, device="cpu", dtype="float32",
        sizes=f"m={n} k={n}", size=f"n{n}", threads=2, precision="strict", median_s=median, ci_low_s=0.95 * median,
        ci_high_s=1.06 * median, processes=2, blocks=10, flops=flops, bytes=moved, gflop_per_s=flops / median / 1e9,
        first_call_s=0.4 if mode == "compiled" else 20 * median, roof_percent=100 * flops / 2e11 / median,
        peak_bytes=moved * (3 if variant == "autodiff" else 2) if memory else None, verdict="PASS", flags=flag,
        reason="", headline="latency", calls=8, bound="compute",
    )  # fmt: skip
    return row


def _samples(rng: Any, cells: list[SummaryRow], rounds: int, blocks: int) -> pd.DataFrame:
    n = len(cells) * rounds * blocks
    frame = to_frame([_row(SampleRow)], SampleRow)
    frame = frame.loc[frame.index.repeat(n)].reset_index(drop=True)
    for name in ("operation", "variant", "mode", "backend", "device", "dtype", "sizes", "threads", "precision"):
        frame[name] = np.repeat(np.array([getattr(cell, name) for cell in cells], dtype=object), rounds * blocks)
    frame["threads"] = frame["threads"].astype("int64")
    frame["kind"], frame["calls"], frame["waited_s"] = "latency", 8, 0.0
    frame["round"] = np.tile(np.repeat(np.arange(rounds), blocks), len(cells))
    frame["block"] = np.tile(np.arange(blocks), len(cells) * rounds)
    medians = np.repeat([cell.median_s for cell in cells], rounds * blocks)
    frame["block_s"] = 8 * medians * rng.lognormal(0, 0.02, n)
    frame["cpu_s"] = frame["block_s"]
    return frame


def _matrix(rng: Any, names: list[str], reason: str) -> list[MatrixRow]:
    rows: list[MatrixRow] = []
    common = {"device": "cpu", "sizes": "m=5 k=4", "bitwise_equal_to_numpy": None, "seed": 0, "output": "x_bar"}
    for i, name in enumerate(names):
        rows.append(_row(MatrixRow, **common, operation=name, backend="exact", mode="eager", variant="analytic",
                         dtype="arb", regime="gaussian", verdict="PASS", ratio=0.0, max_ulp=0.0,
                         reason="certified at 1 point"))  # fmt: skip
        for backend, mode in PLACES:
            for variant in ("analytic",) if backend == "numpy" else ("analytic", "autodiff"):
                wrong = i == len(names) - 1 and backend == "numpy"
                rows.append(_row(MatrixRow, **common, operation=name, backend=backend, mode=mode, variant=variant,
                                 dtype="float32", regime="gaussian", verdict="FAIL" if wrong else "PASS",
                                 ratio=7e5 if wrong else float(rng.uniform(0.1, 0.9)),
                                 max_ulp=9e6 if wrong else float(rng.integers(0, 40)) / 4,
                                 reason=reason if wrong else ""))  # fmt: skip
    absent = {**common, "device": "cuda", "output": "*"}
    rows.append(_row(MatrixRow, **absent, operation=names[0], backend="cupy", mode="*", variant="*", dtype="*",
                     regime="*", verdict="UNAVAILABLE", ratio=np.nan, max_ulp=np.nan,
                     reason="no CUDA device"))  # fmt: skip
    return rows


def made_up_events(operation: str = "relu_regression") -> list[dict[str, Any]]:
    """Return the events of a run of one machine as its journal holds them: two cells with times, two without."""
    host = {**INFO["host"], "hostname": "imaginary", "python": "CPython 9.9", "system": "Linux", "architecture": "x"}
    info = {**{name: INFO[name] for name in ("schema", "command", "started", "seed", "precision", "threads", "git")},
            "host": host, "versions": INFO["versions"], "environment": INFO["environment"]}  # fmt: skip
    cell = {"reference": operation, "operation": operation, "variant": "analytic", "mode": "eager",
            "source": "numpy", "backend": "numpy", "device": "cpu", "dtype": "float32", "size_name": "small",
            "size": {"m": 8, "k": 8, "n": 8}, "threads": 2, "precision": "strict"}  # fmt: skip
    cells = [cell, {**cell, "variant": "forward"}, {**cell, "variant": "native"}, {**cell, "dtype": "float64"}]
    plan = {"cells": cells, "refused": {"2": ["GAP", "never: no native variant"]}, "twins": [0], "seed": 0}
    events: list[dict[str, Any]] = [{"event": "run", "info": info, "plan": plan, "protocol": {"rounds": 2}}]
    group = {"group": "numpy cpu 2 strict"}
    facts = {"import_s": 0.1, "first_operation_s": 1e-3, "settings": {"threads": 2}, "cpus": [0, 1],
             "empty_s": {"eager": 1e-6}, "turns": True, "device_name": "Imaginary"}  # fmt: skip
    place = {"backend": "numpy", "device": "cpu", "threads": 2, "precision": "strict"}
    band = {"bytes_per_s": 3e10, "array_bytes": 2**20, "in_cache": False, "by_size": [[2**16, 2e11], [2**27, 3e10]]}
    models = ((0, [2048.0, 768.0]), (1, None), (3, [2048.0, 1536.0]))
    events += [{"event": "cost", "cell": index, "model": model} for index, model in models]
    for number in range(2):
        for twin in (0, 1):
            where = {"round": number, "twin": twin}
            events.append({"event": "worker", **where, **group, "facts": facts})
            if not twin:
                peaks = {"flop_per_s": {"float32": 2e11}, "bandwidth": None if number else band}
                events.append({"event": "peaks", **where, **place, **peaks})
            for index in (0, 1) if not twin else (0,):
                blocks = [
                    [kind, 8, 1e-3 * (1 + 0.01 * b), 9e-4, 1e-3, 0, 2e9, None, 1e-6, 0, b // 2]
                    for kind in ("latency", "pipelined")
                    for b in range(6)
                ]
                events.append({"event": "cell", "cell": index, **where, **group, "verdict": "PASS", "reason": "",
                               "ratio": 0.5, "bitwise": True, "digest": f"d{index}", "first_call_s": 0.1,
                               "to_device_s": 1e-5, "to_host_s": 1e-5, "setup_s": 0.2, "load": 0.5, "wait_s": 1e-6,
                               "warm": True, "warmup_s": 0.01, "timed_s": 0.02,
                               "calls": {"latency": 8, "pipelined": 8}, "blocks": blocks,
                               "began": 1.8e9, "ended": 1.8e9 + 1})  # fmt: skip
        events.append({"event": "cell", "cell": 3, "round": number, "twin": 0, "verdict": "FAIL", "died": True,
                       "reason": "worker was killed by SIGSEGV", "began": 1.8e9, "ended": 1.8e9})  # fmt: skip
    events.append({"event": "memory", "cell": 0, "peak_bytes": 4096, "reason": "VmHWM after reset"})
    events.append({"event": "spent", "what": "workers", "seconds": 1.0})
    events.append({"event": "wall", "wall_s": 2.0})
    events.append({"event": "end", "state": "interrupted"})
    return events


def made_up_fleet() -> list[dict[str, Any]]:
    """Return the events of a fleet's run: two portions, of which one came to nothing."""
    names = ("relu_regression", "linear_map")
    portions = [
        {"number": i, "reference": name, "operation": name, "tag": "cpu", "devices": ["cpu"]}
        for i, name in enumerate(names)
    ]
    request = {**dict.fromkeys(("backend", "dtype", "mode", "variant", "size", "threads", "machine")), "asked": False,
               "precision": "strict", "quick": True, "seed": 0, "protocol": {"rounds": 2}}  # fmt: skip
    info = {name: INFO[name] for name in ("schema", "command", "started", "seed")}
    answers = [
        {"event": "portion", "number": i, "operation": name, "devices": ["cpu"], "worker": f"tcp://10.0.0.{i}:1",
         "matrix": [vars(row) for row in _matrix(np.random.default_rng(0), [name], "")],
         "events": made_up_events(name), "gone": bool(i)}
        for i, name in enumerate(names)
    ]  # fmt: skip
    return [
        {"event": "run", "info": info, "portions": portions, "request": request},
        *answers,
        {"event": "wall", "wall_s": 1.0},
        {"event": "end", "state": "complete"},
    ]

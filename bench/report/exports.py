"""A run in the formats that other tools read: github-action-benchmark, Bencher, pyperf.

Cells without a right result have no time and are left out. Names are the cell's key in one line, the same in every run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.errors import BadInput

from ..analysis.load import load_run
from ..plan.cells import KEY
from ..store.folder import write_text
from ..store.rows import text
from ..store.run import Run

if TYPE_CHECKING:
    import pandas as pd


def name(row: Mapping[Any, Any]) -> str:
    """Return the name of a cell: everything that makes it the same cell in another run."""
    parts = [str(row[k]) for k in KEY if k not in ("threads", "precision", "machine")]
    machine = f"/{row['machine']}" if row["machine"] else ""
    return f"{'/'.join(parts)}/{row['threads']} threads/{row['precision']}{machine}"


def _timed(run: Run) -> list[dict[Any, Any]]:
    return run.summary[run.summary["median_s"].notna()].to_dict("records")


def github_action_benchmark(run: Run) -> list[dict[str, Any]]:
    """Return the list that github-action-benchmark reads as ``customSmallerIsBetter``.

    Source: README of github-action-benchmark, tool ``customSmallerIsBetter``: name, unit, value, range, extra.
    """
    return [
        {
            "name": name(row),
            "unit": "s",
            "value": row["median_s"],
            "range": f"{row['ci_low_s']:.4g} – {row['ci_high_s']:.4g}",
            "extra": _extra(run, row),
        }
        for row in _timed(run)
    ]


def _extra(run: Run, row: Mapping[Any, Any]) -> str:
    flags = text(row["flags"])
    lines = [f"{row['processes']} processes, {row['blocks']} blocks", f"verdict: {row['verdict']}"]
    lines += [f"flags: {flags}"] if flags else []
    lines += [f"noise floor: {run.noise_floor:.3f}"] if run.noise_floor is not None else []
    return "\n".join(lines)


def bencher(run: Run) -> dict[str, Any]:
    """Return Bencher's metric format (BMF): ``{benchmark: {measure: {value, lower_value, upper_value}}}``.

    ``latency`` is one of Bencher's own measures, in nanoseconds; ``memory`` and ``first-call`` are added where known.

    Source: https://bencher.dev/docs/reference/bencher-metric-format/.
    """
    return {name(row): dict(_measures(row)) for row in _timed(run)}


def _measures(row: Mapping[Any, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    low, high = (1e9 * row[column] for column in ("ci_low_s", "ci_high_s"))
    yield "latency", {"value": 1e9 * row["median_s"], "lower_value": low, "upper_value": high}
    for measure, column, scale in (("first-call", "first_call_s", 1e9), ("memory", "peak_bytes", 1.0)):
        # The only value that differs from itself is NaN: nothing is known.
        if row[column] == row[column]:
            yield measure, {"value": scale * row[column]}


def pyperf(run: Run) -> dict[str, Any]:
    """Return the suite that pyperf loads, so that its ``compare_to`` and ``stats`` work: a run for each process.

    Source: https://pyperf.readthedocs.io/en/latest/api.html, "pyperf JSON", version 1.0.
    """
    kinds = {tuple(row[k] for k in KEY): row for row in _timed(run)}
    samples = run.samples[run.samples["twin"] == 0]
    runs_of: dict[str, list[dict[str, Any]]] = {}
    loops: dict[str, int] = {}
    for group, blocks in samples.groupby([*KEY, "round"], sort=False):
        row = kinds.get(tuple(group)[:-1])
        steady = blocks[blocks["kind"] == row["headline"]] if row is not None else blocks[:0]
        if row is None or steady.empty:
            continue
        runs_of.setdefault(name(row), []).append(_pyperf_run(steady))
        loops[name(row)] = int(steady["calls"].iloc[0])
    if not runs_of:
        raise BadInput("the run has no times to export")
    if len(run.machines) > 1:
        raise BadInput(f"pyperf's JSON is of one machine; the run is of {', '.join(run.machines)}")
    host = run.info.get("host", {})
    common = {
        "unit": "second",
        "hostname": host.get("hostname", ""),
        "platform": f"{host.get('system', '')} {host.get('architecture', '')}".strip(),
        "cpu_model_name": host.get("cpu", ""),
        "cpu_count": host.get("processors", 0),
    }
    benchmarks = [
        {"metadata": {"name": key, "loops": loops[key], "inner_loops": 1}, "runs": processes}
        for key, processes in runs_of.items()
    ]
    return {"version": "1.0", "metadata": common, "benchmarks": benchmarks}


def _pyperf_run(blocks: pd.DataFrame) -> dict[str, Any]:
    values = (blocks["block_s"] / blocks["calls"]).tolist()
    metadata: dict[str, Any] = {"loops": int(blocks["calls"].iloc[0])}
    load = float(blocks["load"].iloc[0])
    if not math.isnan(load):
        metadata["load_avg_1min"] = load
    return {"metadata": metadata, "values": values}


FORMATS: Mapping[str, Callable[[Run], Any]] = {
    "github-action-benchmark": github_action_benchmark,
    "bencher": bencher,
    "pyperf": pyperf,
}
"""Each format by the name that a command takes."""


def export(run: Path | Run, format: str, path: Path | None = None) -> str:
    """Return a run as JSON text in one of :data:`FORMATS`, and write it to a file if one is given.

    Raises:
        BadInput: no such format, or a run that cannot be read or has no times.
    """
    if format not in FORMATS:
        raise BadInput(f"no format named {format!r}; there are {', '.join(FORMATS)}")
    text = (
        json.dumps(FORMATS[format](run if isinstance(run, Run) else load_run(run)), indent=1, ensure_ascii=False) + "\n"
    )
    if path is not None:
        write_text(Path(path), text)
    return text

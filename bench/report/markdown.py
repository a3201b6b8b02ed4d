"""A run as one Markdown page: for a pull request, or for reading where there is no browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multigrad.matrix.rows import sentence
from multigrad.ops.text import derivative_name
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
    VERDICTS,
)

from ..store.run import Run
from .conclusions import conclusions
from .figures import Figures
from .markup import escape, table
from .quantities import figure, percent, seconds
from .verdicts import SYMBOLS, worst

if TYPE_CHECKING:
    import pandas as pd


def markdown(run: Run | Figures) -> str:
    """Return the whole report."""
    figures = Figures.of(run)
    run, answer = figures.run, list(map(escape, conclusions(figures)))
    parts = ["# multigrad report", *answer, *_setting(run), *matrix(run.matrix), *_timings(run.summary), *_again(run)]
    return "\n\n".join(parts) + "\n"


def _setting(run: Run) -> list[str]:
    if len(run.machines) > 1:
        return [_machines(run)]
    host = run.info.get("host", {})
    facts = {
        "machine": host.get("cpu", "unknown"),
        "device": ", ".join(host.get("gpus", [])) or "no GPU",
        "processors": host.get("processors", ""),
        "started": run.info.get("started", ""),
        "commit": (run.info.get("git") or {}).get("commit", ""),
        "seed": run.info.get("seed", ""),
    }
    return [table(["what", "value"], facts.items())]


def _machines(run: Run) -> str:
    rows = []
    for name, entry in run.machines.items():
        host, floor = entry["host"], entry["noise_floor"]
        gpus = ", ".join(host.get("gpus", [])) or "no GPU"
        cells = int((run.summary["machine"] == name).sum())
        rows.append([name, host.get("cpu", "unknown"), gpus, host.get("processors", ""), percent(floor), cells])
    return table(["machine", "processor", "device", "processors", "noise floor", "cells"], rows)


def matrix(frame: pd.DataFrame | None) -> list[str]:
    """Return the correctness matrix as paragraphs: what is amiss, the grid, its legend, the notes, what is not here."""
    if frame is None or frame.empty:
        return ["## Is it right?", "This run has no correctness matrix: it was timed only."]
    parts = ["## Is it right?"]
    bad = frame[frame["verdict"].isin([FAIL, INCONCLUSIVE])]
    if len(bad):
        parts.append("\n".join(f"- {escape(sentence(row))}" for row in bad.to_dict("records")))
    else:
        parts.append(f"Nothing failed: {int(frame['ratio'].notna().sum())} outputs were compared.")
    here = frame[frame["verdict"] != UNAVAILABLE]
    column = here["backend"] + "/" + here["device"] + " " + here["mode"]
    columns = list(dict.fromkeys(column))
    rows = []
    for (name, variant), group in here.groupby(["operation", "variant"], sort=False):
        cells = [_cell(group[column.loc[group.index] == c]) for c in columns]
        rows.append([name, variant, *cells])
    parts.append("Largest error divided by its bound, over outputs, dtypes and regimes:")
    parts.append(table(["operation", "variant", *columns], rows))
    parts.append("\n".join(f"- {SYMBOLS[v][0]} {v}: {meaning}" for v, meaning in VERDICTS.items()))
    for title, verdicts in (("Findings", (FINDING, PORTABILITY)), ("Notes", (NOTE,))):
        rows_of = frame[frame["verdict"].isin(verdicts)]
        if len(rows_of):
            parts.append(f"### {title}")
            what = [f"- {escape(sentence(row))}" for row in rows_of.head(20).to_dict("records")]
            more = f"\n- … and {len(rows_of) - 20} more in matrix.csv" if len(rows_of) > 20 else ""
            parts.append("\n".join(what) + more)
    missing = frame[frame["verdict"] == UNAVAILABLE]
    if len(missing):
        parts.append("### Not here")
        kinds = missing[["backend", "device", "reason"]].drop_duplicates().itertuples(index=False)
        parts.append("\n".join(f"- {escape(b)}/{escape(d)}: {escape(r)}" for b, d, r in kinds))
    return parts


def _cell(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    outputs = " ".join(derivative_name(o) for o in dict.fromkeys(rows[rows["verdict"] == FAIL]["output"]))
    return f"{SYMBOLS[worst(rows['verdict'])][0]} {figure(rows['ratio'].max())} {outputs}".strip()


def _timings(frame: pd.DataFrame | None) -> list[str]:
    if frame is None or frame.empty:
        return ["## What does it cost?", "This run has no timings: it was checked only."]
    parts = ["## What does it cost?"]
    timed = frame[frame["median_s"].notna()]
    keys = ["operation", "dtype", "sizes", "threads", "precision", "machine"]
    for (name, dtype, sizes, threads, precision, machine), rows in timed.groupby(keys, sort=False, dropna=False):
        setting = f"{threads} threads, {escape(precision)}{f', {escape(machine)}' if machine else ''}"
        parts.append(f"### {escape(name)}, {escape(dtype)}, {escape(sizes)} ({setting})")
        columns = [
            "backend",
            "variant",
            "mode",
            "median",
            "95 % interval",
            "first call",
            "GFLOP/s",
            "% of roof",
            "flags",
        ]
        body = [
            [
                f"{row['backend']}/{row['device']}",
                row["variant"],
                row["mode"],
                seconds(row["median_s"]),
                f"{seconds(row['ci_low_s'])} – {seconds(row['ci_high_s'])}",
                seconds(row["first_call_s"]),
                figure(row["gflop_per_s"]),
                figure(row["roof_percent"]),
                row["flags"] or "",
            ]
            for row in rows.sort_values("median_s").to_dict("records")
        ]
        if (rows["collectives"] != "").any():
            columns.append("collectives")
            for cells, collectives in zip(body, rows.sort_values("median_s")["collectives"], strict=True):
                cells.append(collectives)
        parts.append(table(columns, body))
    untimed = frame[frame["median_s"].isna()]
    if len(untimed):
        parts.append("### Without a time")
        kinds = untimed[["operation", "backend", "device", "verdict", "reason"]].drop_duplicates()
        parts.append(table(["operation", "backend", "device", "verdict", "reason"], kinds.itertuples(index=False)))
    return parts


def _again(run: Run) -> list[str]:
    command = run.info.get("command")
    return ["## Again", f"    {' '.join(command) if isinstance(command, list) else command}"] if command else []

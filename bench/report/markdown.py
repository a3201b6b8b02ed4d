"""A run as one Markdown page: for a pull request, or for reading where there is no browser."""

from __future__ import annotations

import math
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

from ..analysis.problems import Problem
from ..store.run import Run
from .conclusions import conclusions, problem_title
from .doubts import notes
from .figures import Figures
from .lines import COLUMNS, lines
from .markup import escape, table
from .quantities import figure, percent
from .verdicts import SYMBOLS, worst

if TYPE_CHECKING:
    import pandas as pd


def markdown(run: Run | Figures) -> str:
    """Return the whole report."""
    figures = Figures.of(run)
    run, answer = figures.run, list(map(escape, conclusions(figures).paragraphs()))
    parts = ["# multigrad report", *answer, *_setting(run), *matrix(run.matrix), *_timings(figures), *_again(run)]
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


def _timings(figures: Figures) -> list[str]:
    frame = figures.run.summary
    if frame is None or frame.empty:
        return ["## What is fastest here?", "This run has no timings: it was checked only."]
    parts = ["## What is fastest here, and what does deriving by hand gain?"]
    parts += [
        "A gain is how many times as long the framework's own autodiff takes as the hand-derived gradient; in brackets "
        "and after ± are 95 % intervals."
    ]
    for problem in figures.problems:
        parts.append(f"### {escape(problem_title(problem, figures))}")
        parts.append(_times(problem, figures))
        noted = notes([*problem.places, *problem.others], figures.names)
        parts += ["\n".join(f"- {escape(note)}" for note in noted)] if noted else []
    untimed = frame[frame["median_s"].isna()]
    if len(untimed):
        parts.append("### Without a time")
        kinds = untimed[["operation", "backend", "device", "verdict", "reason"]].drop_duplicates()
        parts.append(table(["operation", "backend", "device", "verdict", "reason"], kinds.itertuples(index=False)))
    return parts


def _times(problem: Problem, figures: Figures) -> str:
    columns = [*COLUMNS, "GFLOP/s"]
    body = [
        [*line.texts, "" if math.isnan(rate := line.one.row["gflop_per_s"]) else f"{rate:.3g}"]
        for line in lines(problem, figures)
    ]
    collectives = [line.one.row["collectives"] for line in lines(problem, figures)]
    if any(collectives):
        columns.append("collectives")
        body = [[*cells, more] for cells, more in zip(body, collectives, strict=True)]
    return table(columns, body, right=range(1, 1 + len(COLUMNS)))


def _again(run: Run) -> list[str]:
    command = run.info.get("command")
    return ["## Again", f"    {' '.join(command) if isinstance(command, list) else command}"] if command else []

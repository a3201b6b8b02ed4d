"""The correctness matrix of the HTML page: failures, a grid with details, notes, and what is not here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multigrad.ops.text import derivative_name
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
    VERDICTS,
)

from ..store.rows import place
from .names import numpy_first
from .quantities import figure
from .verdicts import HALF, SYMBOLS, worst, worst_sentence

if TYPE_CHECKING:
    import pandas as pd


ANALYTIC = "analytic"


@dataclass(frozen=True)
class Detail:
    """A cell of the matrix: its sign, and what is told of it when somebody points at it."""

    sign: str
    verdict: str
    ratio: str
    lines: Sequence[str]


def matrix(frame: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return what the page shows of the matrix: failures, a grid, notes, what is not here."""
    if frame is None or frame.empty:
        return None
    here = frame[(frame["verdict"] != UNAVAILABLE) & (frame["backend"] != "exact")]
    here = here.assign(where=[place(row) for row in here[["backend", "device", "mode"]].to_dict("records")])
    places = numpy_first(here["where"])
    proofs = {
        str(name): _detail(rows) for name, rows in frame[frame["backend"] == "exact"].groupby("operation", sort=False)
    }
    rows = []
    half = here["dtype"].isin(HALF)
    for low, some in ((False, here[~half]), (True, here[half])):
        for (name, variant), group in some.groupby(["operation", "variant"], sort=False):
            by_place = {str(where): _detail(of_place) for where, of_place in group.groupby("where", sort=False)}
            formula = proofs.get(str(name)) if variant == ANALYTIC and not low else None
            cells = [formula, *(by_place.get(where) for where in places)]
            states = [cell.verdict for cell in cells if cell is not None]
            label = f"{variant}, half precision" if low else str(variant)
            row = {"operation": str(name), "variant": label, "cells": cells, "verdict": worst(states)}
            rows.append({**row, "low": low, "first": variant != ANALYTIC})
    failed = {row["operation"] for row in rows if row["verdict"] == FAIL}
    names = list(dict.fromkeys(row["operation"] for row in rows))
    # What failed comes first, then the matrix's order; the hand-derived gradient before the others.
    rows.sort(key=lambda r: (r["operation"] not in failed, names.index(r["operation"]), r["low"], r["first"]))
    return {
        "failures": _sentences(frame, FAIL),
        "places": ["the formula", *places],
        "rows": rows,
        "legend": [(SYMBOLS[v][0], v, VERDICTS[v]) for v in SYMBOLS if v != UNAVAILABLE],
        "worded": [(verdict, sentences) for verdict in AMISS if (sentences := _sentences(frame, verdict))],
        "gaps": _alike(frame[frame["verdict"] == GAP]),
        "absent": _alike(frame[frame["verdict"] == UNAVAILABLE]),
        "compared": int(frame["ratio"].notna().sum()),
    }


AMISS = (INCONCLUSIVE, FINDING, PORTABILITY, NOTE)
"""What does not fail and is said in words, in this order."""


def _sentences(frame: pd.DataFrame, verdict: str, most: int = 50) -> list[str]:
    """Return a sentence for each place of a verdict, its worst; the rest is counted."""
    keys = ["operation", "output", "backend", "device", "mode", "variant"]
    lines = []
    for _, rows in frame[frame["verdict"] == verdict].groupby(keys, sort=False):
        lines.append(worst_sentence(rows))
    return lines[:most] + ([f"… and {len(lines) - most} more in matrix.csv"] if len(lines) > most else [])


def _alike(rows: pd.DataFrame) -> list[str]:
    keys = ["backend", "device", "reason"]
    return [
        f"{backend}/{device}: {reason} ({', '.join(dict.fromkeys(cells['operation']))})"
        for (backend, device, reason), cells in rows.groupby(keys, sort=False)
    ]


def _detail(rows: pd.DataFrame) -> Detail:
    verdict = worst(rows["verdict"])
    ratio = float(rows["ratio"].max())
    lines = []
    for dtype, of_dtype in rows.groupby("dtype", sort=False):
        worst_here = worst(of_dtype["verdict"])
        largest, ulp = float(of_dtype["ratio"].max()), float(of_dtype["max_ulp"].max())
        figures = [worst_here]
        figures += [f"error ÷ bound {figure(largest)}"] if not math.isnan(largest) else []
        figures += [f"largest error {figure(ulp)} ulp"] if math.isfinite(ulp) else []
        lines.append(f"{dtype}: {', '.join(figures)}")
        alike = of_dtype[of_dtype["verdict"] == worst_here]
        telling = alike.sort_values("ratio", ascending=False, kind="stable").iloc[0]
        if telling["reason"]:
            what = "" if telling["output"] == "*" else f"{derivative_name(telling['output'])}, {telling['regime']}: "
            lines.append(f"{what}{telling['reason']}")
    return Detail(SYMBOLS[verdict][0], verdict, "" if math.isnan(ratio) else figure(ratio), lines)

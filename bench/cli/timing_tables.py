"""Timings in the terminal: of a run, of its sweeps, of its machines, and of two runs side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..analysis.scaling import sweeps
from ..report.names import listed
from ..report.plain import visible
from ..report.quantities import figure, interval, percent, quotient, seconds
from ..report.verdicts import SYMBOLS
from ..store.rows import place, text
from .terminal import new_table, say, show, show_frame

if TYPE_CHECKING:
    import pandas as pd

    from ..store.run import Run


def show_summary(frame: pd.DataFrame) -> None:
    """Print the timings: one table for each operation, dtype and size; then what has no time, with the reason."""
    timed = frame[frame["median_s"].notna()]
    keys = ["operation", "dtype", "sizes", "threads", "precision", "machine"]
    for group, rows in timed.groupby(keys, sort=False, dropna=False):
        name, dtype, sizes, threads, precision, machine = group
        where = f", {machine}" if text(machine) else ""
        title = f"{name}  {dtype}  {sizes}  ({threads} thread{'s' if threads != 1 else ''}, {precision}{where})"
        columns = ["where", "variant", "time [95 %]", "1st call", "roof", "÷ auto"]
        table = new_table(columns, columns[2:])
        for row in rows.to_dict("records"):
            roof = row["roof_percent"]
            table.add_row(
                visible(place(row)),
                row["variant"],
                _marked(row),
                seconds(row["first_call_s"]),
                "" if math.isnan(roof) else f"{roof:.0f} %",
                _against_autodiff(row, rows),
            )
        show(table, title)
    flags = Counter(flag for flags in timed["flags"].map(text) for flag in flags.split())
    if flags:
        counts = ", ".join(f"{flag} {count}" for flag, count in flags.most_common())
        say(f"! no winner, for it is doubtful: {counts} (the column `flags`)", "yellow")
    _show_untimed(frame[frame["median_s"].isna()])


def _marked(row: Mapping[Any, Any]) -> Text:
    time = interval(row["median_s"], row["ci_low_s"], row["ci_high_s"])
    return Text.assemble(("! ", "bold yellow"), time) if text(row["flags"]) else Text(time)


def _show_untimed(frame: pd.DataFrame) -> None:
    worded = frame.assign(reason=frame["reason"].map(text))
    # What a framework has not by its nature is in the table of backends; here it would only hide what is amiss.
    nature = [f"{b} has no" for b in worded["backend"]]
    worded = worded.loc[[not r.startswith(n) for r, n in zip(worded["reason"], nature, strict=True)]]
    for (name, device, verdict, reason), rows in worded.groupby(["backend", "device", "verdict", "reason"], sort=False):
        line = f"{verdict} {name}/{device}: {reason} ({listed(rows['operation'])}; {len(rows)} cells)"
        say(visible(line), SYMBOLS[str(verdict)][1])


def _against_autodiff(row: Mapping[Any, Any], rows: pd.DataFrame) -> str:
    if row["variant"] not in ("analytic", "native"):
        return ""
    same = rows[(rows["backend"] == row["backend"]) & (rows["device"] == row["device"]) & (rows["mode"] == row["mode"])]
    theirs = same[same["variant"] == "autodiff"]["median_s"]
    return f"{row['median_s'] / theirs.iloc[0]:.2f}" if len(theirs) else ""


def show_machines(run: Run) -> None:
    """Print which machines a run is of, and what of several runs was left out."""
    columns = ["machine", "processor", "device", "noise floor", "runs", "cells with a time"]
    table = new_table(columns, columns[3:])
    for name, entry in run.info["machines"].items():
        floor = entry["noise_floor"]
        timed = run.summary[(run.summary["machine"] == name) & run.summary["median_s"].notna()]
        host = entry["host"]
        figures = ("" if floor is None else percent(floor), str(len(entry["runs"])), str(len(timed)))
        table.add_row(name, visible(host.get("cpu", "")), visible(", ".join(host.get("gpus", []))), *figures)
    show(table, "Machines (times of one are never compared with another's)")
    twice = run.info.get("measured_twice")
    if twice:
        say(f"{twice} cells were measured twice on one machine: of each the newest time is kept", "yellow")


def show_scaling(run: Run) -> None:
    """Print how time and memory grow, where a run has a sweep of sizes."""
    frame = sweeps(run)
    if frame.empty:
        return
    columns = [
        "operation",
        "variant",
        "where",
        "dtype",
        "sizes",
        "time ~ nᵖ, p [95 %]",
        "call costs",
        "until n",
        "memory p",
    ]
    table = new_table(columns, columns[5:])
    for row in frame.to_dict("records"):
        low, high = figure(row["exponent_low"]), figure(row["exponent_high"])
        exponent = f"{figure(row['exponent'])} [{low}, {high}]"
        sizes = f"{row['swept']} {row['n_low']:.0f}…{row['n_high']:.0f}"
        where = (row["operation"], row["variant"], visible(place(row)), row["dtype"], sizes)
        rest = (exponent, seconds(row["constant_s"]), figure(row["overhead_until_n"]), figure(row["memory_exponent"]))
        table.add_row(*where, *rest)
    show(table, "How time grows: a + b nᵖ, n the geometric mean of the dimensions that change")


WORD_STYLES = {
    "slower": "bold red",
    "new failure": "bold red",
    "missing": "yellow",
    "faster": "green",
    "fixed": "green",
}


def show_comparison(frame: pd.DataFrame, means: pd.DataFrame) -> None:
    """Print a comparison: every cell that is not the same, the count of words, the geometric means."""
    columns = ["operation", "variant", "where", "dtype", "sizes", "after ÷ before [95 %]", "word"]
    table = new_table(columns, columns[5:6])
    for row in frame[frame["word"] != "same"].to_dict("records"):
        word = Text(str(row["word"]), WORD_STYLES.get(str(row["word"]), ""))
        ratio = quotient(row["ratio"], row["ratio_low"], row["ratio_high"])
        where = (row["operation"], row["variant"], visible(place(row)), row["dtype"], row["sizes"])
        table.add_row(*where, ratio, word)
    show(table, "Cell by cell (what is the same is left out)")
    counts = frame["word"].value_counts()
    say(" · ".join(f"{count} {word}" for word, count in counts.items()))
    for noted in frame.attrs.get("noted", ()):
        say(f"noted: {noted}", "yellow")
    show_frame("Geometric means of after ÷ before, flagged cells left out", means)

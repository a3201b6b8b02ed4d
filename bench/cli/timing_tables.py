"""Timings in the terminal: of a run, of its sweeps, of its machines, and of two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..analysis.scaling import sweeps
from ..report.conclusions import conclusions, problem_title
from ..report.doubts import notes
from ..report.figures import Figures
from ..report.lines import COLUMNS, lines
from ..report.names import listed
from ..report.plain import visible
from ..report.quantities import figure, percent, quotient, seconds
from ..report.verdicts import SYMBOLS
from ..store.rows import place, text
from .terminal import new_table, say, say_prose, show, show_frame, width

if TYPE_CHECKING:
    import pandas as pd

    from ..analysis.problems import Problem
    from ..store.run import Run


def show_summary(run: Run) -> None:
    """Print what a run says of speed in words, then a table for each problem, then what has no time and why."""
    figures = Figures.of(run)
    for said in conclusions(figures).paragraphs():
        say_prose(said)
        say("")
    for problem in figures.problems:
        _show_problem(problem, figures)
    _show_untimed(figures.run.summary[figures.run.summary["median_s"].isna()])


READ_FIRST = 4
"""How many columns a narrow terminal has room for."""

WIDE = 100
"""Columns of text from which there is room for all."""


def _show_problem(problem: Problem, figures: Figures) -> None:
    """Print the times of a problem, and below what is noted about them."""
    columns = COLUMNS if width() >= WIDE else COLUMNS[:READ_FIRST]
    table = new_table(columns, columns[1:])
    for line in lines(problem, figures):
        style = "bold" if line.one.tied else "yellow" if line.one.barred else ""
        table.add_row(*(Text(text, style) for text in line.texts[: len(columns)]))
    show(table, problem_title(problem, figures))
    for note in notes([*problem.places, *problem.others], figures.names):
        say_prose(note, "yellow" if note.startswith("!") else "dim")
    say("")


def _show_untimed(frame: pd.DataFrame) -> None:
    worded = frame.assign(reason=frame["reason"].map(text))
    # What a framework has not by its nature is in the table of backends; here it would only hide what is amiss.
    nature = [f"{b} has no" for b in worded["backend"]]
    worded = worded.loc[[not r.startswith(n) for r, n in zip(worded["reason"], nature, strict=True)]]
    for (name, device, verdict, reason), rows in worded.groupby(["backend", "device", "verdict", "reason"], sort=False):
        line = f"{verdict} {name}/{device}: {reason} ({listed(rows['operation'])}; {len(rows)} cells)"
        say(visible(line), SYMBOLS[str(verdict)][1])


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
    show_frame("Geometric means of after ÷ before", means)

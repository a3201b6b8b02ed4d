"""A comparison as Markdown, for a pull request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.compare import REGRESSIONS, WORDS, geometric_means
from ..store.rows import place, text
from .markup import escape
from .quantities import seconds

if TYPE_CHECKING:
    import pandas as pd


def markdown(frame: pd.DataFrame, *, title: str = "Benchmark") -> str:
    """Return a comparison as Markdown for a pull request: what wants attention in a table, the rest folded away."""
    counts = frame["word"].value_counts()
    said = ", ".join(f"{counts[word]} {word}" for word in WORDS if word in counts)
    parts = [f"### {escape(title)}", f"{len(frame)} cells: {said or 'none'}."]
    noted = frame.attrs.get("noted", [])
    if noted:
        parts.append(f"Noted: {escape('; '.join(noted))}.")
    order = {word: i for i, word in enumerate(WORDS)}
    rows = sorted(frame.to_dict("records"), key=lambda row: order[row["word"]])
    quiet = ("same", "unclear", "not comparable")
    loud = [row for row in rows if row["word"] not in quiet]
    rest = [row for row in rows if row["word"] in quiet]
    if loud:
        parts.append(_markdown_table(loud))
    if rest:
        names = ", ".join(word for word in quiet if word in counts)
        parts.append(f"<details><summary>{len(rest)} cells: {names}</summary>\n\n{_markdown_table(rest)}\n\n</details>")
    means = geometric_means(frame, ("backend", "mode"))
    lines = ["| geometric mean of | after ÷ before | cells | left out |", "|---|--:|--:|--:|"]
    for mean in means.to_dict("records"):
        name = "all" if mean["backend"] == "all" else f"{mean['backend']} {mean['mode']}"
        figure = "–" if math.isnan(mean["geometric_mean"]) else f"{mean['geometric_mean']:.3f}"
        lines.append(f"| {escape(name)} | {figure} | {mean['cells']} | {mean['excluded']} |")
    parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Mapping[Any, Any]]) -> str:
    lines = ["| cell | before | after | after ÷ before [95 %] | |", "|---|--:|--:|--:|---|"]
    for row in rows:
        names = (row["operation"], row["variant"], place(row), row["dtype"], row["sizes"])
        ratio = (
            "–" if math.isnan(row["ratio"]) else f"{row['ratio']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
        )
        why = [f"**{row['word']}**" if row["word"] in REGRESSIONS else row["word"]]
        why += [f"({text(row['flags'])})"] if text(row["flags"]) else []
        why += [text(row["reason"])] if text(row["reason"]) else []
        told = (" ".join(map(escape, names)), seconds(row["before_s"]), seconds(row["after_s"]), ratio)
        lines.append(f"| {' | '.join(told)} | {why[0]} {escape(' '.join(why[1:]))} |")
    return "\n".join(lines)

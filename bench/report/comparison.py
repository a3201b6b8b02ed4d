"""A comparison as Markdown, for a pull request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.compare import REGRESSIONS, WORDS, geometric_means
from ..store.rows import place, text
from .doubts import said
from .markup import escape, grid, table
from .quantities import quotient, seconds

if TYPE_CHECKING:
    import pandas as pd


def markdown(frame: pd.DataFrame, *, title: str = "Benchmark") -> str:
    """Return a comparison as Markdown for a pull request: what wants attention in a table, the rest folded away."""
    counts = frame["word"].value_counts()
    words = ", ".join(f"{counts[word]} {word}" for word in WORDS if word in counts)
    parts = [f"### {escape(title)}", f"{len(frame)} cells: {words or 'none'}."]
    noted = frame.attrs.get("noted", [])
    if noted:
        parts.append(f"Noted: {escape('; '.join(noted))}.")
    order = {word: i for i, word in enumerate(WORDS)}
    rows = sorted(frame.to_dict("records"), key=lambda row: order[row["word"]])
    quiet = ("same", "unclear", "not comparable")
    loud = [row for row in rows if row["word"] not in quiet]
    rest = [row for row in rows if row["word"] in quiet]
    if loud:
        parts.append(_cells(loud))
    if rest:
        names = ", ".join(word for word in quiet if word in counts)
        parts.append(f"<details><summary>{len(rest)} cells: {names}</summary>\n\n{_cells(rest)}\n\n</details>")
    means = geometric_means(frame, ("backend", "mode"))
    rows_of_means = []
    for mean in means.to_dict("records"):
        name = "all" if mean["backend"] == "all" else f"{mean['backend']} {mean['mode']}"
        figure = "–" if math.isnan(mean["geometric_mean"]) else f"{mean['geometric_mean']:.3f}"
        rows_of_means.append([name, figure, mean["cells"], mean["excluded"]])
    parts.append(table(["geometric mean of", "after ÷ before", "cells", "left out"], rows_of_means, right=range(1, 4)))
    return "\n\n".join(parts) + "\n"


def _cells(rows: Sequence[Mapping[Any, Any]]) -> str:
    lines = []
    for row in rows:
        names = (row["operation"], row["variant"], place(row), row["dtype"], row["sizes"])
        word = f"**{row['word']}**" if row["word"] in REGRESSIONS else row["word"]
        why = [f"({noted})"] if (noted := said(row["flags"])) else []
        why += [text(row["reason"])] if text(row["reason"]) else []
        ratio = quotient(row["ratio"], row["ratio_low"], row["ratio_high"]) or "–"
        times = (seconds(row["before_s"]), seconds(row["after_s"]), ratio)
        lines.append([" ".join(map(escape, names)), *times, f"{word} {escape(' '.join(why))}"])
    return grid(["cell", "before", "after", "after ÷ before [95 %]", ""], lines, right=range(1, 4))

"""Which checks notice a wrong gradient, as Markdown: the shares of mutants that each one killed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from multigrad.mutation.checks import CORRECT, OURS
from multigrad.mutation.shares import kill_shares

from .markup import grid

if TYPE_CHECKING:
    import pandas as pd


def kill_markdown(frame: pd.DataFrame) -> str:
    """Return the kill shares as a Markdown table, after a sentence on the mutants."""
    mutants = frame[frame["mutant"] != CORRECT][["operation", "mutant", "equivalent"]].drop_duplicates()
    sentence = (
        f"{len(mutants)} mutants of {frame['operation'].nunique()} operations; "
        f"{int(mutants['equivalent'].sum())} are shown equivalent by ball arithmetic."
    )
    rows = []
    for row in kill_shares(frame).to_dict("records"):
        name = f"**{row['check']}**" if row["check"] == "multigrad" else row["check"]
        rows.append(
            [
                f"of these: {name}" if row["check"] in OURS else name,
                f"{row['killed']} of {row['mutants']}",
                _percent(row["share"]),
                f"{row['wrong_formula_killed']} of {row['wrong_formula_mutants']}",
                _percent(row["wrong_formula_share"]),
                str(row["false_alarms"]),
            ]
        )
    columns = ["check", "wrong gradients killed", "share", "of those, wrong at a size given to all", "share",
               "correct operations rejected"]  # fmt: skip
    return f"{sentence}\n\n{grid(columns, rows, right=range(1, len(columns)))}\n"


def _percent(share: float) -> str:
    # Rounded down: what is not all must not look like all.
    return "nan %" if math.isnan(share) else f"{math.floor(1000 * share) / 10:.1f} %"

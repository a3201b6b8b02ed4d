"""Verdicts on rows: their signs, the worst of several, the row to quote, and what makes a check end with an error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from multigrad.matrix.rows import PROOF_DIED, failing, sentence
from multigrad.ops.implementation import FORMS
from multigrad.ops.text import derivative_name
from multigrad.truth.case import DEFAULT_REGIMES
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PASS,
    PORTABILITY,
    UNAVAILABLE,
)

from .names import listed

if TYPE_CHECKING:
    import pandas as pd


SYMBOLS = {
    FAIL: ("✗", "bold red"),
    INCONCLUSIVE: ("?", "yellow"),
    FINDING: ("†", "magenta"),
    PORTABILITY: ("‡", "magenta"),
    NOTE: ("~", "cyan"),
    PASS: ("✓", "green"),
    GAP: ("○", "dim"),
    UNAVAILABLE: ("·", "dim"),
}
"""Each verdict's sign and style, worst first."""

HALF = ("bfloat16", "float16")


def worst(verdicts: Iterable[str]) -> str:
    """Return the worst of some verdicts."""
    present = set(verdicts)
    return next((v for v in SYMBOLS if v in present), UNAVAILABLE)


def telling(rows: pd.DataFrame) -> dict[Any, Any]:
    """Return the row to quote of several: what holds everywhere before what was asked on a kink, the worst first."""
    asked = rows.assign(kink=rows["regime"] == "kink")
    first: Any = asked.sort_values(["kink", "ratio"], ascending=[True, False], kind="stable").index[0]
    row: dict[Any, Any] = rows.loc[first].to_dict()
    return row


def more(rows: pd.DataFrame) -> str:
    """Return how many more rows there are than the one that is quoted."""
    return f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""


def worst_sentence(rows: pd.DataFrame) -> str:
    """Return a sentence on the row of the largest ratio, and how many more there are."""
    row = rows.sort_values("ratio", ascending=False, kind="stable").iloc[0].to_dict()
    return sentence(row) + more(rows)


def is_wrong(frame: pd.DataFrame, fail_on: str | None = None) -> bool:
    """Tell whether any row is a correctness failure.

    Args:
        frame: rows with a verdict.
        fail_on: what fails besides a FAIL, as for :func:`multigrad.matrix.failing`.
    """
    return "verdict" in frame and bool(frame["verdict"].isin(failing(fail_on)).any())


def without_verdict(frame: pd.DataFrame) -> str:
    """Name the formulas that were to be judged and have no verdict, the outputs no number of which could be judged, and
    the implementations that did not run.

    Returns:
        Names with reasons, in one line; empty where there is none.
    """
    asked = frame[(frame["backend"] == "exact") & (frame["regime"] != "kink")]
    names: list[str] = []
    for name, rows in asked.groupby("operation", sort=False):
        open_rows = rows[rows["verdict"].isin([INCONCLUSIVE, UNAVAILABLE])]
        died = open_rows[open_rows["reason"].str.startswith(PROOF_DIED)]
        if not rows["verdict"].isin([PASS, FAIL]).any() or len(died):
            names.append(f"the formula of {name} ({(died if len(died) else open_rows)['reason'].iloc[0]})")
    numbers = frame[(frame["backend"] != "exact") & (frame["variant"] == "analytic") & (frame["output"] != "*")]
    numbers = numbers[numbers["regime"].isin([*DEFAULT_REGIMES, "file"])]
    for key, rows in numbers.groupby(["operation", "output"], sort=False):
        name, output = map(str, key)
        if INCONCLUSIVE in set(rows["verdict"]) and not rows["verdict"].isin([PASS, NOTE, FAIL]).any():
            names.append(f"{name} {derivative_name(output)} ({rows['reason'].iloc[0]})")
    brought = frame[~frame["variant"].isin([*FORMS, "*"]) & (frame["backend"] != "exact")]
    for key, rows in brought.groupby(["operation", "variant"], sort=False):
        if not rows["verdict"].isin([PASS, NOTE, FAIL, INCONCLUSIVE]).any():
            names.append(f"{' '.join(map(str, key))} ({rows['reason'].iloc[0]})")
    return listed(names, most=3)

"""The times of a problem as lines of text, for a terminal and for Markdown: the places first, then other variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..analysis.intervals import Interval
from ..analysis.problems import Problem, Timed
from .doubts import label, reach_of
from .figures import Figures
from .quantities import factor, figure, give_or_take, seconds, span

COLUMNS = ("", "time", "÷ fastest", "gain", "1st call", "% of roof")
"""What a line says, first what a person reads first."""


@dataclass(frozen=True)
class Line:
    """What is said of one time."""

    texts: tuple[str, ...]
    """By :data:`COLUMNS`."""
    one: Timed


def lines(problem: Problem, figures: Figures) -> list[Line]:
    """Return a line for each time of a problem: places as they are ranked, then each other variant, fastest first."""
    gains = {where: _with_span(gain.ratio) for where, gain in problem.over_autodiff.items() if not gain.barred}
    others = sorted(problem.others, key=lambda one: (one.variant == "forward", one.variant, one.row["median_s"]))
    return [
        Line(_texts(one.row, label(one, figures.names), _beside(one), gain), one)
        for one, gain in [*((one, gains.get(one.where, "")) for one in problem.places), *((one, "") for one in others)]
    ]


def _texts(row: Mapping[str, Any], name: str, beside: str, gain: str) -> tuple[str, ...]:
    time = f"{seconds(row['median_s'])} {give_or_take(reach_of(row))}".strip()
    return name, time, beside, gain, seconds(row["first_call_s"]), figure(row["roof_percent"])


def _beside(one: Timed) -> str:
    """Write how many times as long as the fastest a time is, ``!`` where it is not compared."""
    if one.barred:
        return "!"
    if one.over_best is None:
        return ""
    return "fastest" if one.over_best.low == one.over_best.high else _with_span(one.over_best)


def _with_span(ratio: Interval) -> str:
    return f"{factor(ratio.estimate)} ({span(ratio.low, ratio.high)})"

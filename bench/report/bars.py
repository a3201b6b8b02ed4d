"""The page's first chart: at each problem a bar for each place, relative to the fastest, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..analysis.intervals import Interval
from ..analysis.problems import Problem, Timed, Total
from ..store.rows import place
from .conclusions import MOST, Paragraph, conclusions
from .doubts import notes, reach_of, words
from .figures import Figures
from .plots import looks
from .quantities import give_or_take, multiple, seconds, span

STUB = 0.04
"""Share of the width at which the shortest bar ends: what is fastest has a bar too."""

TICKS = 3
"""How many marks a scale has room for on a phone."""


@dataclass(frozen=True)
class Bar:
    """Where a bar ends and its interval lies, in percent of the width."""

    end: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A place in a chart."""

    where: str
    colour: str
    time: str
    """How long it takes; empty where the line is of several problems."""
    ratio: str
    """How many times as long as the fastest takes: ``fastest``, ``tie`` or the factor; why there is none."""
    reach: str
    """The interval of that factor; empty for the fastest."""
    bar: Bar | None
    """The hand-derived gradient's."""
    other: Bar | None
    """Autodiff's."""
    gain: str
    """What deriving by hand gains here; empty where it is not known."""
    gain_reach: str
    """The interval of that."""
    word: str
    """`faster`, `slower`, `same` or `unclear`: what the hand-derived gradient is; empty where it is not known."""
    best: bool
    """Whether it is in the fastest group."""


@dataclass(frozen=True)
class Panel:
    """A problem, or all of them together: the words, and a line for each place."""

    said: Paragraph
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    """Marks of the scale: where, in percent of the width, and what stands there."""
    notes: Sequence[str] = ()
    """What is doubtful about its times."""

    @property
    def autodiff(self) -> bool:
        """Whether autodiff has bars."""
        return any(line.other for line in self.lines)


@dataclass(frozen=True)
class Chart:
    """All panels."""

    right: str
    """Is it right?"""
    wrong: bool
    """Whether anything failed."""
    whole: Panel | None
    first: Sequence[Panel]
    """Those that are shown at once."""
    rest: Sequence[Panel]
    silent: str
    """Why there is no panel, where there is none."""


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale from the least to the greatest factor that is shown."""

    least: float
    most: float

    @classmethod
    def of(cls, ratios: Iterable[Interval]) -> Scale:
        """Make room for all factors; for their intervals as far as they do not squeeze the bars."""
        there = [ratio.estimate for ratio in ratios]
        return cls(min([1.0, *there]), max([1.5, *there]) * 1.1)

    def at(self, ratio: float) -> float:
        """Return where a factor lies, in percent of the width; what is beyond lies at the end."""
        share = math.log(max(ratio, 1e-9) / self.least) / math.log(self.most / self.least)
        return 100 * min(1.0, max(0.0, STUB + (1 - STUB) * share))

    def bar(self, ratio: Interval | None) -> Bar | None:
        """Return the bar of a factor."""
        return Bar(self.at(ratio.estimate), self.at(ratio.low), self.at(ratio.high)) if ratio else None

    def ticks(self) -> list[tuple[float, str]]:
        """Return the marks: 1, 2, 5, of a wider range 1, 3, 10 … or powers of ten; of those as many as have room."""
        reach = self.most / self.least
        steps = (1, 2, 5) if reach < 10 else (1, 3) if reach < 100 else (1,)
        values = [step * 10.0**power for power in range(-3, 7) for step in steps]
        inside = [value for value in values if self.least <= value <= self.most]
        return [
            (self.at(value), f"{value:,g}\u202f×".replace(",", "\u202f"))
            for value in inside[:: math.ceil(len(inside) / TICKS)]
        ]


def chart(figures: Figures) -> Chart:
    """Return the chart of a run."""
    found = figures.problems
    said = conclusions(figures)
    colours = {where: colour for where, (colour, _) in looks(figures.cells).items()}
    panels = [_panel(p, text, figures, colours) for p, text in zip(found, said.problems, strict=True)]
    whole = _whole(said.whole, figures, colours) if said.whole else None
    return Chart(said.right, said.wrong, whole, panels[:MOST], panels[MOST:], said.silent)


def _compared(problem: Problem) -> list[Timed]:
    """Return the times that have a bar: those that are ranked, and autodiff's."""
    return [*problem.places, *(one for one in problem.others if one.variant == "autodiff")]


def _panel(problem: Problem, said: Paragraph, figures: Figures, colours: Mapping[str, str]) -> Panel:
    scale = Scale.of(one.over_best for one in _compared(problem) if one.over_best)
    autodiff = {one.where: one for one in problem.others if one.variant == "autodiff"}
    gains = problem.over_autodiff
    lines = []
    for one in problem.places:
        other, gain = autodiff.get(place(one.row)), gains.get(one.where)
        ratio, reach = _ratio(one, len(problem.fastest) > 1)
        lines.append(
            Line(
                where=figures.names[one.where],
                colour=colours[one.where],
                time=seconds(one.row["median_s"]),
                ratio=ratio,
                reach=reach,
                bar=scale.bar(one.over_best),
                other=scale.bar(other.over_best if other else None),
                gain=multiple(gain.ratio.estimate) if gain and not gain.barred else "",
                gain_reach=span(gain.ratio.low, gain.ratio.high) if gain and not gain.barred else "",
                word=gain.word if gain and not gain.barred else "",
                best=one.tied,
            )
        )
    return Panel(said, lines, scale.ticks(), notes(_compared(problem), figures.names))


def _ratio(one: Timed, tie: bool) -> tuple[str, str]:
    """Return how a time stands beside the fastest, and the interval of that."""
    if one.over_best is None:
        return ", ".join(words(one.barred)), ""
    if one.over_best.low == one.over_best.high:
        return "fastest", give_or_take(reach_of(one.row))
    said = multiple(one.over_best.estimate)
    return f"{said} (tie)" if one.tied and tie else said, span(one.over_best.low, one.over_best.high)


def _whole(said: Paragraph, figures: Figures, colours: Mapping[str, str]) -> Panel:
    """Return the words on all problems; of many, which have no panel each, the bars too."""
    totals = figures.totals if len(figures.problems) > MOST else []
    scale = Scale.of(one.over_best for one in totals)
    return Panel(said, [_total(one, figures, scale, colours) for one in totals], scale.ticks())


def _total(one: Total, figures: Figures, scale: Scale, colours: Mapping[str, str]) -> Line:
    return Line(
        where=figures.names[one.where],
        colour=colours[one.where],
        time=f"{one.wins} of {one.problems}",
        ratio=multiple(one.over_best.estimate),
        reach=span(one.over_best.low, one.over_best.high),
        bar=scale.bar(one.over_best),
        other=None,
        gain="",
        gain_reach="",
        word="",
        best=one is figures.totals[0],
    )

"""What a run says of each problem: which places are fastest and by how much, and what deriving by hand gains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multigrad.verdict.words import THEIRS

from ..plan.cells import KEY, VARIANTS
from ..store.rows import place_of, text
from ..store.run import Run
from . import intervals
from .compare import key_of, margins_of, times_of
from .flags import barring
from .intervals import Interval, Word
from .times import PROBLEM, Times

OURS = "analytic"
RANKED = (OURS, *(variant for variant in VARIANTS if variant not in (OURS, "forward")))
"""The variants that compute a gradient; the places of the first that there is are ranked."""


@dataclass(frozen=True)
class Timed:
    """One variant at one place (backend, device, mode) in a problem."""

    row: Mapping[str, Any]
    """Its row of the summary."""
    where: str
    """Its place in words: `torch compiled`; of an implementation with its name, `torch eager fused`."""
    over_best: Interval | None
    """Its time over that of the best; exactly 1 for the best, None where :attr:`barred` says why there is none."""
    tied: bool
    """Whether it belongs to the fastest group: the best, and those whose interval reaches down to it, within 5 %."""
    barred: tuple[str, ...]
    """The flags that make its time meaningless; see :data:`.flags.BARRING`."""

    @property
    def variant(self) -> str:
        """`analytic`, `autodiff`, `native`, `forward`, or the name of an implementation."""
        return str(self.row["variant"])


@dataclass(frozen=True)
class Gain:
    """What deriving by hand, or an implementation, gains at one place: another form's time over its own."""

    where: str
    ratio: Interval
    word: Word
    """What the hand-derived gradient, or the implementation, is: `faster`, `slower`, `same` or `unclear`."""
    barred: tuple[str, ...]
    ours: Mapping[str, Any]
    """The row of the summary of the hand-derived one, or of the implementation."""
    theirs: Mapping[str, Any]
    """That of the other form, at the same place."""


@dataclass(frozen=True)
class Problem:
    """An operation at a size in a dtype, with threads, precision and machine: what all its times are answers to."""

    operation: str
    dtype: str
    sizes: str
    threads: int
    precision: str
    machine: str
    ranked: str
    """The variant whose places are ranked: `analytic`, or the first there is."""
    places: Sequence[Timed]
    """The ranked variant's and every implementation, fastest first; those that are barred at the end."""
    others: Sequence[Timed]
    """Every other variant that was timed; a forward part, which is no gradient, has no :attr:`Timed.over_best`."""
    gains: Sequence[Gain]
    """Of the hand-derived gradient over autodiff, by place, in the order of :attr:`places`."""
    brought: Sequence[Gain]
    """Of each implementation over each form that the framework brings at its place, likewise."""

    @property
    def over_autodiff(self) -> Mapping[str, Gain]:
        """What is gained over autodiff, by place, of the hand-derived gradient and of implementations."""
        brought = (gain for gain in self.brought if gain.theirs["variant"] == "autodiff")
        return {gain.where: gain for gain in (*self.gains, *brought)}

    @property
    def fastest(self) -> Sequence[Timed]:
        """The fastest group: the best first, then those that tie with it."""
        return [one for one in self.places if one.tied]


@dataclass(frozen=True)
class Total:
    """How one place does over all problems that every ranked place has a time for."""

    where: str
    over_best: Interval
    """Geometric mean of its time over the best place's in each problem."""
    problems: int
    wins: int
    """In how many it is in the fastest group."""


def problems(run: Run) -> list[Problem]:
    """Return the problems of a run that have a time, in the order of its summary."""
    times, margins = times_of(run), margins_of(run)
    grouped: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    rows: list[dict[str, Any]] = run.summary[run.summary["median_s"].notna()].to_dict("records")  # type: ignore[assignment]
    for row in rows:
        if key_of(row) in times:
            grouped.setdefault(tuple(row[name] for name in PROBLEM), []).append(row)
    return [
        _problem(dict(zip(PROBLEM, known, strict=True)), rows, times, margins.get(known[-1], 0.0))
        for known, rows in grouped.items()
    ]


def _problem(known: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], times: Times, unexplained: float) -> Problem:
    variants = [variant for variant in RANKED if any(row["variant"] == variant for row in rows)]
    ranked = variants[0] if variants else str(rows[0]["variant"])
    ranks = {ranked, *(row["variant"] for row in rows if row["variant"] not in VARIANTS)}
    ours = sorted((row for row in rows if row["variant"] in ranks), key=lambda row: row["median_s"])
    best = _best([row for row in ours if not barring(text(row["flags"]))], times)

    def timed(row: Mapping[str, Any]) -> Timed:
        barred = barring(text(row["flags"]))
        if row is best:
            return Timed(row, place_of(row), Interval(1.0, 1.0, 1.0), True, barred)
        if best is not None:
            barred = barring(text(row["flags"]), text(best["flags"]))
        if best is None or barred or (row["variant"] == "forward" and ranked != "forward"):
            return Timed(row, place_of(row), None, False, barred)
        ratio = times.ratio(key_of(row), key_of(best))
        # NaN where nothing is known of the noise: then nobody can tell them apart.
        tied = row["variant"] in ranks and not ratio.low > 1 + intervals.margin(unexplained)
        return Timed(row, place_of(row), ratio, tied, barred)

    found = [timed(row) for row in ours]
    places = sorted(found, key=lambda one: one.over_best.estimate if one.over_best else math.inf)
    derived = [one.row for one in places if one.variant == OURS]
    gains = [gain for row in derived for gain in _gains(row, ("autodiff",), rows, times, unexplained)]
    own = [one.row for one in places if one.variant not in VARIANTS]
    brought = [gain for row in own for gain in _gains(row, THEIRS, rows, times, unexplained)]
    others = [timed(row) for row in rows if row["variant"] not in ranks]
    return Problem(**known, ranked=ranked, places=places, others=others, gains=gains, brought=brought)


def _best(ours: Sequence[Mapping[str, Any]], times: Times) -> Mapping[str, Any] | None:
    """Return the fastest of some rows, which need not have the least median: turns of one rotation are compared."""
    if not ours:
        return None
    return min(ours, key=lambda row: times.ratio(key_of(row), key_of(ours[0])).estimate)


def _gains(
    ours: Mapping[str, Any], over: Sequence[str], rows: Sequence[Mapping[str, Any]], times: Times, unexplained: float
) -> list[Gain]:
    """Return what one time gains over the times of other forms at the same place."""
    same = [name for name in KEY if name != "variant"]
    gains = []
    for theirs in rows:
        if theirs["variant"] in over and all(theirs[name] == ours[name] for name in same):
            turned = times.ratio(key_of(ours), key_of(theirs))
            barred = barring(text(ours["flags"]), text(theirs["flags"]))
            word: Word = "unclear" if barred else intervals.word(turned, unexplained)
            ratio = Interval(1 / turned.estimate, 1 / turned.high, 1 / turned.low)
            gains.append(Gain(place_of(ours), ratio, word, barred, ours, theirs))
    return gains


def totals(found: Sequence[Problem]) -> list[Total]:
    """Rank the places over the problems that they share, the fastest first; none for fewer than two problems.

    A place that has a time in fewer than half of the problems is left out, so that it does not keep the others from
    being compared. The interval is that of the ratios it is the mean of.
    """
    times = [{one.where: one for one in problem.places if one.over_best} for problem in found]
    often = Counter(where for by_place in times for where in by_place)
    wide = [where for where, count in often.items() if 2 * count >= len(found)]
    shared = [by_place for by_place in times if all(where in by_place for where in wide)]
    if len(shared) < 2 or len(wide) < 2:
        return []
    ranked = []
    for where in wide:
        ratios = [ratio for by_place in shared if (ratio := by_place[where].over_best)]
        wins = sum(by_place[where].tied for by_place in shared)
        ranked.append(Total(where, _mean(ratios), len(shared), wins))
    return sorted(ranked, key=lambda one: one.over_best.estimate)


def _mean(ratios: Sequence[Interval]) -> Interval:
    """Return the geometric mean of independent ratios, whose errors add up as their squares."""
    middle = math.fsum(math.log(ratio.estimate) for ratio in ratios) / len(ratios)
    reach = math.sqrt(math.fsum((math.log(ratio.high / ratio.low) / 2) ** 2 for ratio in ratios)) / len(ratios)
    return Interval(*(math.exp(x) for x in (middle, middle - reach, middle + reach)))

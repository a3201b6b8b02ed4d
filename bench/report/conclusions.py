"""What a run says, in words: is it right, what is fastest here, what does deriving by hand gain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multigrad.ops.implementation import FORMS
from multigrad.ops.text import derivative_name
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    INCONCLUSIVE,
    PORTABILITY,
    THEIRS,
    UNAVAILABLE,
)

from ..analysis.intervals import Interval, geometric_mean
from ..analysis.problems import Gain, Problem, Timed
from .doubts import reach_of, words
from .figures import Figures
from .names import joined, listed
from .quantities import give_or_take, multiple, seconds, span
from .verdicts import is_wrong

MOST = 4
"""How many problems have a paragraph at the top: as many as a screen holds."""

NAMED = 4
"""How many places a paragraph compares with the fastest; its table has all."""

Names = Mapping[str, str]
"""What a reader calls each place."""


@dataclass(frozen=True)
class Paragraph:
    """What is said of one problem, or of all together."""

    title: str
    fastest: str
    """Which place is fastest, and how long it takes."""
    rest: str
    """How the others stand beside it; may be empty."""
    gain: str
    """What deriving by hand gains."""

    @property
    def gain_headline(self) -> str:
        """The beginning of :attr:`gain`: what it is at the fastest place."""
        return re.split(r" \(|[;.]$|; ", self.gain)[0]

    @property
    def text(self) -> str:
        """The whole paragraph."""
        return " ".join(part for part in (f"{self.title}.", self.fastest, self.rest, self.gain) if part)


@dataclass(frozen=True)
class Conclusions:
    """The answer of a run."""

    right: str
    """Is it right?"""
    wrong: bool
    """Whether anything failed."""
    whole: Paragraph | None
    """All problems together; None for fewer than two."""
    problems: Sequence[Paragraph]
    """Each problem, in the order of :attr:`.figures.Figures.problems`."""
    silent: str
    """Why nothing is said of speed, where there is no problem."""

    def paragraphs(self) -> list[str]:
        """Return the answer as paragraphs, of at most :data:`MOST` problems."""
        if not self.problems:
            return [self.right, self.silent]
        whole = [self.whole.text] if self.whole else []
        each = [one.text for one in self.problems[:MOST]]
        left = len(self.problems) - MOST
        if left > 0:
            each.append(f"{left} more {'problems are' if left > 1 else 'problem is'} in the tables.")
        # Of a few, each has its word first; of many nobody reads so long.
        return [self.right, *(whole + each if left > 0 else each + whole)]


NOTHING_TIMED = "Nothing was timed, so nothing is known about speed."
NO_SAMPLES = "This run keeps no samples, so its times, which the tables have, are not compared."


def conclusions(figures: Figures) -> Conclusions:
    """Say what a run shows."""
    found = figures.problems
    each = [paragraph(one, figures) for one in found]
    silent = NO_SAMPLES if figures.cells else NOTHING_TIMED
    wrong = is_wrong(figures.run.summary) or (figures.run.matrix is not None and is_wrong(figures.run.matrix))
    return Conclusions(_right(figures), wrong, _whole(figures) if len(found) > 1 else None, each, silent)


def paragraph(problem: Problem, figures: Figures) -> Paragraph:
    """Say which place is fastest at one problem, how the others stand beside it, and what deriving by hand gains."""
    own = {one.where for one in problem.places if one.variant not in FORMS}
    names = figures.names
    if own and problem.ranked != "analytic":
        names = {where: name if where in own else f"{name} {problem.ranked}" for where, name in names.items()}
    ranked = [one for one in problem.places if one.over_best is not None]
    rest = [_beside(problem, names), _faster_still(problem, names), _left_out(problem, names)]
    if not ranked:
        fastest = f"No time of {_what(problem)} can be trusted."
    elif len(problem.places) == 1:
        fastest = f"Only {names[ranked[0].where]} was timed: {_time(ranked[0])}."
    else:
        tied = [names[one.where] for one in problem.fastest]
        tie = ", which tie" if len(tied) > 1 else ""
        of = "" if problem.ranked == "analytic" or own else f" for {_what(problem)}"
        fastest = f"Fastest{of}: {joined(tied)}{tie}, {_time(problem.fastest[0])}."
    gain = " ".join(filter(None, (_gain(problem, names), _brought(problem, names))))
    return Paragraph(problem_title(problem, figures), fastest, " ".join(filter(None, rest)), gain)


def problem_title(problem: Problem, figures: Figures) -> str:
    """Name a problem; threads, precision and machine only where the run has several."""
    parts = [problem.operation, problem.sizes, problem.dtype]
    several = {name: len({getattr(p, name) for p in figures.problems}) > 1 for name in ("threads", "precision")}
    if several["threads"]:
        parts.append(f"{problem.threads} thread{'' if problem.threads == 1 else 's'}")
    if several["precision"]:
        parts.append(problem.precision)
    if figures.machine:
        parts.append(f"on {problem.machine}")
    return ", ".join(filter(None, parts))


WHAT = {
    "analytic": "the hand-derived gradient",
    "autodiff": "autodiff",
    "native": "the framework's own form",
    "forward": "the forward part",
}
"""Each variant in words."""


def _what(problem: Problem) -> str:
    return WHAT[problem.ranked]


def _time(one: Timed) -> str:
    reach = give_or_take(reach_of(one.row))
    time = seconds(one.row["median_s"]).replace(" ", "\u202f")
    return f"{time} ({reach})" if reach else time


def _beside(problem: Problem, names: Names) -> str:
    """Say how much longer the places take that do not tie with the best; the first of them with its interval."""
    there = [(one.over_best, names[one.where]) for one in problem.places if one.over_best and not one.tied]
    slower = sorted(there, key=lambda one: one[0].estimate)
    if not slower:
        return ""
    (first, where), *others = slower
    shown = [f"{where} takes {multiple(first.estimate)} as long ({_span(first)})"]
    shown += [f"{name} {multiple(ratio.estimate)}" for ratio, name in others]
    if len(shown) > NAMED + 1:
        shown[NAMED:] = [f"{len(shown) - NAMED} more up to {multiple(slower[-1][0].estimate)}"]
    return f"{', '.join(shown)}."


def _faster_still(problem: Problem, names: Names) -> str:
    """Name the other variant that is fastest, if it is faster than every place that is ranked."""
    faster = [(o.over_best.estimate, o.over_best, o) for o in problem.others if o.over_best and o.over_best.high < 1]
    if not faster:
        return ""
    ratio, reach, other = min(faster, key=lambda one: one[0])
    form = {"native": "form with its fused functions"}.get(other.variant, WHAT[other.variant])
    where = names[other.where]
    return f"{where}'s own {form} is faster still: {multiple(ratio)} ({_span(reach)})."


def _left_out(problem: Problem, names: Names) -> str:
    """Name the places whose times are meaningless, with the reason."""
    barred: dict[str, list[str]] = {}
    for one in problem.places:
        if one.over_best is None:
            barred.setdefault(", ".join(words(one.barred)), []).append(names[one.where])
    reasons = [f"{joined(mine)} ({why})" for why, mine in barred.items()]
    return f"Not compared: {', '.join(reasons)}." if reasons else ""


def _gain(problem: Problem, names: Names) -> str:
    if problem.ranked != "analytic" and problem.brought:
        return ""
    if problem.ranked != "analytic":
        return "The hand-derived gradient was not timed, so what it gains is not known."
    if not problem.gains:
        return "Autodiff was not timed beside it, so what deriving by hand gains is not known."
    sound = [gain for gain in problem.gains if not gain.barred]
    if not sound:
        why = ", ".join(words(dict.fromkeys(flag for gain in problem.gains for flag in gain.barred)))
        return f"What deriving by hand gains is not known, for no time of autodiff beside it can be trusted ({why})."
    return f"Deriving by hand {'; it '.join(_clauses(sound, names))}."


def _brought(problem: Problem, names: Names) -> str:
    """Say of each implementation what it gains over the forms that the framework brings at its place."""
    sentences = []
    for where in dict.fromkeys(gain.where for gain in problem.brought):
        clauses = [
            clause
            for form in THEIRS
            for gain in problem.brought
            if gain.where == where and gain.theirs["variant"] == form and not gain.barred
            for clause in _clauses([gain], names, WHAT[form])
        ]
        if clauses:
            said = "; it ".join(clause.replace(f" on {names[where]}", "") for clause in clauses)
            sentences.append(f"{names[where]} {said}.")
    return " ".join(sentences)


def _clauses(gains: Sequence[Gain], names: Names, other: str = "autodiff") -> list[str]:
    """Say where one form is faster than another, where it is slower, and where it is neither."""
    clauses = []
    for verb, what, mine in (
        ("gains", f"over {other}", [g for g in gains if g.word == "faster"]),
        ("takes", f"as long as {other}", [g for g in gains if g.word == "slower"]),
        ("probably gains", f"over {other}", [g for g in gains if g.word == "unclear" and g.ratio.low > 1]),
        ("probably takes", f"as long as {other}", [g for g in gains if g.word == "unclear" and g.ratio.high < 1]),
    ):
        ratios = [gain.ratio if verb.endswith("gains") else _turned(gain.ratio) for gain in mine]
        factors = [_on(ratio, names[gain.where]) for ratio, gain in zip(ratios, mine, strict=True)]
        clauses += [f"{verb} {_listed(factors, what)}"] if factors else []
    for how, mine in (
        (f"ties with {other}", [g for g in gains if g.word == "same"]),
        (
            f"ties with {other} within the noise",
            [g for g in gains if g.word == "unclear" and g.ratio.low <= 1 <= g.ratio.high],
        ),
    ):
        where = [f"{names[gain.where]} ({_span(gain.ratio)})" for gain in mine]
        clauses += [f"{how} on {joined(where)}"] if where else []
    return clauses


def _listed(factors: Sequence[str], what: str) -> str:
    """Join factors with their places; what they are factors of is said at the first."""
    return joined(factors).replace("× ", f"× {what} ", 1)


def _on(ratio: Interval, where: str) -> str:
    return f"{multiple(ratio.estimate)} on {where} ({_span(ratio)})"


def _span(ratio: Interval) -> str:
    return span(ratio.low, ratio.high)


def _turned(ratio: Interval) -> Interval:
    """Return the quotient the other way round."""
    return Interval(1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low)


def _whole(figures: Figures) -> Paragraph:
    """Rank the places over the problems that they share, and say how often and by how much deriving by hand gains."""
    found, ranked, names = figures.problems, figures.totals, figures.names
    if not ranked:
        places = {one.where for problem in found for one in problem.places}
        why = "Only one place was timed" if len(places) == 1 else "No problem has a sound time at every place"
        return Paragraph(f"Over {len(found)} problems", f"{why}, so there is no ranking over all.", "", _gains(figures))
    best, *others = ranked
    shared = best.problems
    which = "problems" if shared == len(found) else f"of {len(found)} problems, those with a sound time at every place"
    if best.wins == shared:
        fastest = f"Fastest: {names[best.where]}, alone or in a tie, in each."
    else:
        near = f"{multiple(best.over_best.estimate)} the best time ({_span(best.over_best)})"
        fastest = f"Nearest to the best: {names[best.where]}, {near} on average, fastest or tied in {best.wins}."
    rest = [f"{names[one.where]} {multiple(one.over_best.estimate)} ({_span(one.over_best)})" for one in others]
    told = f"On average {listed(rest, NAMED)} beside the best." if rest else ""
    return Paragraph(f"Over {shared} {which}", fastest, told, _gains(figures))


def _gains(figures: Figures) -> str:
    """Count where deriving by hand is faster than autodiff, with the geometric mean of its gain place by place."""
    sound = [gain for problem in figures.problems for gain in problem.gains if not gain.barred]
    if not sound:
        return "No time of autodiff stands beside one of the hand-derived gradient, so what that gains is not known."
    by_place: dict[str, list[float]] = {}
    for gain in sound:
        by_place.setdefault(gain.where, []).append(gain.ratio.estimate)
    counts = [[gain.word for gain in sound].count(word) for word in ("faster", "slower")]
    places = [f"{multiple(geometric_mean(ratios))} on {figures.names[where]}" for where, ratios in by_place.items()]
    return (
        f"Deriving by hand is faster than autodiff in {counts[0]} of {len(sound)} comparisons, slower in {counts[1]}, "
        f"and within the noise of it in {len(sound) - sum(counts)}; on average autodiff takes "
        f"{_listed(places, 'as long')}."
    )


def _right(figures: Figures) -> str:
    matrix = figures.run.matrix
    summary = figures.run.summary
    wrong = sorted(set(summary[summary["verdict"] == FAIL]["operation"]))
    timed = f" At the sizes that were timed, {', '.join(wrong)} failed." if wrong else ""
    if matrix is None or matrix.empty:
        if summary.empty:
            return "Nothing was judged in this run."
        judged = "Only the results that were timed were judged"
        return f"{judged}, and {'some failed.' + timed if wrong else 'none of them failed.'}"
    failed = matrix[matrix["verdict"] == FAIL]
    compared = int(matrix["ratio"].notna().sum())
    doubtful = int((matrix["verdict"] == INCONCLUSIVE).sum())
    by_place = matrix.groupby(matrix["backend"] + "/" + matrix["device"], sort=False)["verdict"]
    absent = [str(where) for where, verdicts in by_place if (verdicts == UNAVAILABLE).all()]
    more = [f"{doubtful} are inconclusive"] if doubtful else []
    findings = int((matrix["verdict"] == FINDING).sum())
    more += [f"{findings} of the frameworks' own forms are off"] if findings else []
    abroad = int((matrix["verdict"] == PORTABILITY).sum())
    more += [f"{abroad} {'is' if abroad == 1 else 'are'} not portable"] if abroad else []
    more += [f"{', '.join(absent)} {'was' if len(absent) == 1 else 'were'} not here"] if absent else []
    tail = f"; {', and '.join(more)}" if more else ""
    if failed.empty:
        return f"Nothing failed: {compared} outputs were compared with the truth{tail}.{timed}"
    which = dict.fromkeys(
        op if output == "*" else f"{op} {derivative_name(output)}"
        for op, output in zip(failed["operation"], failed["output"], strict=True)
    )
    return f"{len(failed)} of {compared} compared outputs failed: {listed(which, 5)}{tail}.{timed}"

"""What a run shows, in three sentences: which backend is fastest where, what deriving by hand gains, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from multigrad.ops.text import derivative_name
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    INCONCLUSIVE,
    PORTABILITY,
    UNAVAILABLE,
)

from ..analysis.intervals import geometric_mean
from .figures import Figures, Row
from .standings import question, standings


def conclusions(figures: Figures) -> list[str]:
    """Return a sentence on which backend is fastest where, one on analytic against autodiff, one on what failed."""
    return [_fastest(figures), _gain(figures), _failed(figures)]


def _fastest(figures: Figures) -> str:
    ours = [cell for cell in figures.cells if cell["variant"] == "analytic"]
    if not ours:
        return "Nothing was timed: which backend is fastest is not known."
    asked = len({question(cell) for cell in ours})
    ranked = [s for s in standings(ours) if s.questions]
    if not ranked:
        return _why_nothing_is_fastest(figures, ours)
    winners = sorted((s for s in ranked if s.wins), key=lambda s: -s.wins)
    wins = ", ".join(f"{s.where} in {s.wins}" for s in winners) or "none in any"
    best = ranked[0]
    clear = sum(s.wins for s in winners)
    on = ", on one machine" if figures.machine else ""
    return (
        f"Of {asked} timed problems (an operation at a size in a dtype{on}) the hand-derived gradient is clearly "
        f"fastest on {wins}, and {asked - clear} have no clear winner; over all of them {best.where} is nearest "
        f"to the best, at {best.mean:.2f} times its time (geometric mean of {best.questions})."
    )


def _why_nothing_is_fastest(figures: Figures, ours: Sequence[Row]) -> str:
    places = dict.fromkeys(cell["where"] for cell in ours)
    if len(places) == 1:
        return f"Only {next(iter(places))} was timed: there is nothing to compare it with."
    flags = Counter(flag for cell in ours for flag in cell["flags"].split())
    most = ", ".join(flag for flag, _ in flags.most_common(2))
    often = f" (most often {most}; multigrad doctor says what disturbs a machine)" if most else ""
    return f"No two places have a time that is free of flags for the same problem{often}: nothing is fastest."


def _gain(figures: Figures) -> str:
    pairs = figures.speed_ups
    if not pairs:
        return "No cell was timed both hand-derived and by autodiff: what deriving by hand gains is not known."
    steady = [p for p in pairs if not p["flags"]]
    if not steady:
        return f"All {len(pairs)} comparisons with autodiff are flagged: what deriving by hand gains is unclear."
    by_place: dict[str, list[float]] = {}
    for p in steady:
        by_place.setdefault(p["where"], []).append(p["ratio"])
    places = ", ".join(f"{where} {geometric_mean(ratios):.2f}" for where, ratios in by_place.items())
    words = [p["word"] for p in steady]
    left = len(pairs) - len(steady)
    return (
        f"The frameworks' own autodiff takes {geometric_mean(p['ratio'] for p in steady):.2f} times as long as "
        f"the hand-derived gradient (geometric mean of {len(steady)} pairs; {places}): the hand-derived one is "
        f"faster in {words.count('faster')}, slower in {words.count('slower')}, the same or unclear in "
        f"{len(words) - words.count('faster') - words.count('slower')}"
        + (f", and {left} flagged pairs are left out." if left else ".")
    )


def _failed(figures: Figures) -> str:
    matrix = figures.run.matrix
    summary = figures.run.summary
    wrong = sorted(set(summary[summary["verdict"] == FAIL]["operation"]))
    timed = f" At the sizes that were timed, {', '.join(wrong)} failed." if wrong else ""
    if matrix is None or matrix.empty:
        said = "This run has no correctness matrix: only the results that were timed were judged"
        return f"{said}, and {'some failed.' + timed if wrong else 'none of these failed.'}"
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
    names = ", ".join(list(which)[:5]) + (f" and {len(which) - 5} more" if len(which) > 5 else "")
    return f"{len(failed)} of {compared} compared outputs failed: {names}{tail}.{timed}"

"""How places and variants stand beside each other: mean time over the best, and wins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.intervals import geometric_mean

QUESTION = ("operation", "dtype", "sizes", "threads", "precision", "machine")
"""What has to be the same for two times to be answers to one question."""


def question(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a time answers: the values of :data:`QUESTION`."""
    return tuple(cell.get(name, "") for name in QUESTION)


@dataclass(frozen=True)
class Standing:
    """How one place does with one variant, beside all the others."""

    where: str
    variant: str
    mean: float
    """Geometric mean of its time over the best time, over the questions that it and another answer without a flag."""
    questions: int
    wins: int
    """How often it is the fastest, with its whole interval below every other's."""
    flagged: int
    """Cells that are left out for their flags."""


def standings(cells: Sequence[Mapping[str, Any]]) -> list[Standing]:
    """Return how places and variants stand, the fastest first; only times of one machine are compared."""
    questions: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for cell in cells:
        questions.setdefault(question(cell), []).append(cell)
    ratios: dict[tuple[str, str], list[float]] = {(c["where"], c["variant"]): [] for c in cells}
    wins = dict.fromkeys(ratios, 0)
    for asked in questions.values():
        steady = sorted((c for c in asked if not c["flags"]), key=lambda c: c["median_s"])
        if len(steady) < 2:
            continue
        first, *rest = steady
        wins[first["where"], first["variant"]] += all(first["ci_high_s"] < other["ci_low_s"] for other in rest)
        for cell in steady:
            ratios[cell["where"], cell["variant"]].append(cell["median_s"] / first["median_s"])
    ranked = [
        Standing(
            *key,
            mean=geometric_mean(ratios[key]),
            questions=len(ratios[key]),
            wins=wins[key],
            flagged=sum(bool(c["flags"]) for c in cells if (c["where"], c["variant"]) == key),
        )
        for key in ratios
    ]
    return sorted(ranked, key=lambda s: (math.isnan(s.mean), s.mean))

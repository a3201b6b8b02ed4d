"""What is doubtful about times, in words: what only informs stands beside a time, what bars it says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..analysis.flags import barring
from ..analysis.problems import Timed
from ..store.rows import text
from .names import listed
from .quantities import give_or_take, reach

WORDS = {
    "spread-within": "unsteady",
    "spread-turns": "unsteady",
    "spread-between": "unsteady",
    "one-process": "one process only",
    "few-blocks": "few repetitions",
    "short-block": "short repetitions",
    "slow-first-block": "slow at first",
    "not-warm": "not warm",
    "overhead-bound": "mostly the cost of a call",
    "host-bound": "the device waits for the host",
    "oversubscribed": "more threads ran than were allowed",
    "threads-unverified": "threads not as told",
    "preempted": "disturbed by other programs",
    "crowded": "never had the processors to itself",
    "throttled": "the processor slowed down",
    "above-roof": "faster than the machine can be",
    "clocks-disagree": "the device's clock tells of another time",
    "no-cost": "no cost model",
    "died": "a process died at it",
}
"""Each flag in a few words."""

NAMED = 3
"""How many times a note names, the least steady first."""

UNSAID = frozenset({"no-cost"})
"""Flags that say nothing about a time."""


def words(flags: Iterable[str]) -> list[str]:
    """Return what flags say of a time, each word once."""
    return list(dict.fromkeys(WORDS.get(flag, flag) for flag in flags if flag not in UNSAID))


def said(flags: Any) -> str:
    """Return what a row's flags say of its time, in one line; ``!`` where it is meaningless."""
    line = ", ".join(words(text(flags).split()))
    return f"! {line}" if barring(text(flags)) else line


def notes(times: Sequence[Timed], names: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that is noted about times, with whose they are; what bars a time comes first.

    Args:
        times: of one problem.
        names: of places, see :func:`.names.place_names`.
    """
    barred: dict[str, list[str]] = {}
    informs: dict[str, list[str]] = {}
    for one in sorted(times, key=lambda one: -reach_of(one.row)):
        name = label(one, names)
        for word in words(one.barred):
            barred.setdefault(word, []).append(name)
        for word in words(flag for flag in text(one.row["flags"]).split() if flag not in one.barred):
            shown = f"{name} {give_or_take(reach_of(one.row))}" if word == WORDS["spread-within"] else name
            informs.setdefault(word, []).append(shown)
    bars = [f"! not compared: {listed(mine)} ({word})" for word, mine in barred.items()]
    return [*bars, *(f"{word}: {listed(mine, NAMED)}" for word, mine in informs.items())]


def reach_of(row: Mapping[str, Any]) -> float:
    """Return how far the interval of a row's time reaches from it, as a share of it."""
    return reach(row["median_s"], row["ci_low_s"], row["ci_high_s"])


def label(one: Timed, names: Mapping[str, str]) -> str:
    """Name a time in a list of all variants: the hand-derived gradient's by its place alone, as an implementation's."""
    return f"{names[one.where]} {one.variant}" if one.variant in ("autodiff", "native", "forward") else names[one.where]

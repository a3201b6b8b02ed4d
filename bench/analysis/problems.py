"""What a run says of each problem: which places are fastest and by how much, and what deriving by hand gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..store.run import Run
from .intervals import Interval, Word


@dataclass(frozen=True)
class Timed:
    """One variant at one place (backend, device, mode) in a problem."""

    row: Mapping[str, Any]
    """Its row of the summary."""
    where: str
    """Its place in words: `torch compiled`."""
    over_best: Interval | None
    """Its time over that of the best; exactly 1 for the best, None where :attr:`barred` says why there is none."""
    tied: bool
    """Whether it belongs to the fastest group: the best, and those whose times nobody can tell from the best's."""
    barred: tuple[str, ...]
    """The flags that make its time meaningless; see :data:`.flags.BARRING`."""

    @property
    def variant(self) -> str:
        """`analytic`, `autodiff`, `native` or `forward`."""
        return str(self.row["variant"])


@dataclass(frozen=True)
class Gain:
    """What deriving by hand gains at one place: autodiff's time over that of the hand-derived gradient."""

    where: str
    ratio: Interval
    word: Word
    """What the hand-derived gradient is: `faster`, `slower`, `same` or `unclear`."""
    barred: tuple[str, ...]
    ours: Mapping[str, Any]
    """The row of the summary of the hand-derived one."""
    theirs: Mapping[str, Any]


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
    """The ranked variant's, fastest first; those that are barred at the end."""
    others: Sequence[Timed]
    """Every other variant that was timed; a forward part, which is no gradient, has no :attr:`Timed.over_best`."""
    gains: Sequence[Gain]
    """By place, in the order of :attr:`places`."""

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
    raise NotImplementedError


def totals(found: Sequence[Problem]) -> list[Total]:
    """Rank the places over the problems that they share, the fastest first; none for fewer than two problems."""
    raise NotImplementedError

"""The times of a run's cells as their processes took them, and the quotients of any two with their intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from multigrad.backend import device_kind

from ..plan.cells import KEY
from ..plan.protocol import FULL, Protocol
from . import intervals
from .intervals import Interval, Ratio
from .moderation import Comparison, Estimate, Noise

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Key = Any
"""What names a cell, and can be hashed."""

Turns = Mapping[int, "np.ndarray"]
"""By round, the logarithm of the seconds per call in each turn, in order; NaN for a turn that is worth nothing."""

PROBLEM = ("operation", "dtype", "sizes", "threads", "precision", "machine")
"""The columns that have to be the same for two times to be answers to one question."""

PLACE = ("backend", "device", "mode")
"""The columns that say where a cell was measured."""


Blocks = tuple["np.ndarray", "np.ndarray", "np.ndarray"]
"""Of the blocks of a process, in order: seconds per call, the number of the turn, whether others kept it waiting."""


def turns_of(rounds: Mapping[int, Blocks], protocol: Protocol) -> Turns:
    """Return the turns of a cell's processes; those of a process of which others disturbed every block are left out.

    If they disturbed all processes of the cell, it is kept as it is: the interval and a flag say how it was.

    Args:
        rounds: the blocks of each process, by round.
        protocol: says how slow a first block may be.
    """
    import numpy as np

    calm = {r: blocks for r, blocks in rounds.items() if not blocks[2].all()}
    if not calm:
        calm = {r: (values, turns, np.zeros_like(lost)) for r, (values, turns, lost) in rounds.items()}
    return {r: np.log(intervals.turn_medians(*blocks, protocol.slow_first_block)) for r, blocks in calm.items()}


@dataclass(frozen=True)
class Times:
    """The times of cells that were measured in the same rounds."""

    turns: Mapping[Key, Turns]
    problem: Mapping[Key, tuple[Any, ...]]
    """What each cell is an answer to: cells of one problem are compared. The last entry is the machine."""
    place: Mapping[Key, tuple[Any, ...]]
    """Where each cell was measured: cells of one place have the same noise."""
    level: float = FULL.level

    @classmethod
    def of(cls, summary: pd.DataFrame, samples: pd.DataFrame, protocol: Protocol = FULL) -> Times:
        """Take the headline's blocks of a run's tables; a cell is named by its values of `KEY`."""
        headline = dict(zip(summary[list(KEY)].itertuples(index=False, name=None), summary["headline"], strict=True))
        own = samples[samples["twin"] == 0]
        per_call = (own["block_s"] / own["calls"]).to_numpy()
        turn, kind, lost = own["turn"].to_numpy(), own["kind"].to_numpy(), _kept_waiting(own, protocol)
        blocks: dict[Key, dict[int, Blocks]] = {}
        # Numbers of rows: a frame for each of thousands of processes would take seconds.
        for group, numbers in own.reset_index(drop=True).groupby([*KEY, "round"], sort=True).indices.items():
            names: tuple[Any, ...] = tuple(group)  # type: ignore[arg-type]  # the key of several columns
            mine = numbers[kind[numbers] == headline.get(names[:-1])]
            if len(mine):
                blocks.setdefault(names[:-1], {})[int(names[-1])] = per_call[mine], turn[mine], lost[mine]
        turns = {key: turns_of(rounds, protocol) for key, rounds in blocks.items()}
        problem, place = (
            {key: tuple(key[KEY.index(name)] for name in names) for key in turns} for names in (PROBLEM, PLACE)
        )
        return cls(turns, problem, place, protocol.level)

    def __contains__(self, cell: Key) -> bool:
        return cell in self.turns

    def rounds(self, cell: Key) -> np.ndarray:
        """Return the logarithm of the seconds per call of each of a cell's processes; empty for an unknown cell."""
        import numpy as np

        return np.array([np.nanmedian(t) for t in self.turns.get(cell, {}).values()])

    def quotients(self, after: Key, before: Key) -> np.ndarray:
        """Return the logarithm of after / before in each round that both have.

        It is the median over the turns: two turns of one number followed each other, so they saw the same machine, and
        what that does to both is not in their quotient.
        """
        import numpy as np

        one, other = self.turns.get(after, {}), self.turns.get(before, {})
        rows = [_differences(one[r], other[r]) for r in one if r in other]
        return np.array([np.median(row) for row in rows if len(row)])

    def time(self, cell: Key) -> Interval:
        """Return a cell's seconds per call; with NaN for ends where nothing is known of the noise."""
        return self.estimate(cell).time(self.level)

    def ratio(self, after: Key, before: Key) -> Ratio:
        """Return after / before."""
        pair = self._pair(after, before)
        if not len(pair.rounds):  # they have no round in common
            return self.estimate(after).less(self.estimate(before)).ratio(self.level)
        return Estimate.of(pair, self._of_pairs.get(self._machine(after))).ratio(self.level)

    def estimate(self, cell: Key) -> Estimate:
        """Return the logarithm of a cell's seconds per call."""
        return Estimate.of(self._alone(cell), self._of_cells.get(self._machine(cell)))

    def _alone(self, cell: Key) -> Comparison:
        return Comparison(self.rounds(cell), (self.place[cell],))

    def _pair(self, after: Key, before: Key) -> Comparison:
        return Comparison(self.quotients(after, before), (self.place[after], self.place[before]))

    def _machine(self, cell: Key) -> Any:
        return self.problem[cell][-1]

    @cached_property
    def _of_cells(self) -> Mapping[Any, Noise]:
        """By machine, how the processes of a cell differ."""
        pools: dict[Any, list[list[Comparison]]] = {}
        for cell in self.turns:
            pools.setdefault(self._machine(cell), []).append([self._alone(cell)])
        return _pooled(pools)

    @cached_property
    def _of_pairs(self) -> Mapping[Any, Noise]:
        """By machine, how the quotients of two cells of one problem differ between rounds."""
        problems: dict[tuple[Any, ...], list[Key]] = {}
        for cell in self.turns:
            problems.setdefault(self.problem[cell], []).append(cell)
        pools: dict[Any, list[list[Comparison]]] = {}
        for problem, cells in problems.items():
            pairs = [self._pair(*pair) for pair in itertools.combinations(cells, 2)]
            pools.setdefault(problem[-1], []).append(pairs)
        return _pooled(pools)


def beside(before: Times, after: Times) -> Times:
    """Put two sides that took turns together: a cell is named by 0 (before) or 1 (after) and its name there."""
    both = list(enumerate((before, after)))
    return Times(
        {(side, key): turns for side, times in both for key, turns in times.turns.items()},
        # Each cell is compared with itself on the other side, and with nothing else.
        {(side, key): (key, times.problem[key][-1]) for side, times in both for key in times.turns},
        {(side, key): times.place[key] for side, times in both for key in times.turns},
        after.level,
    )


def _pooled(pools: Mapping[Any, Iterable[Sequence[Comparison]]]) -> dict[Any, Noise]:
    found = {machine: Noise.of(groups) for machine, groups in pools.items()}
    return {machine: noise for machine, noise in found.items() if noise is not None}


def _differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the differences of the turns that both have; of processes that share none, that of their medians."""
    import numpy as np

    common = min(len(one), len(other))
    found = one[:common] - other[:common]
    found = found[~np.isnan(found)]
    return found if len(found) else np.array([np.nanmedian(one) - np.nanmedian(other)])


def _kept_waiting(blocks: pd.DataFrame, protocol: Protocol) -> np.ndarray:
    """Tell of each block whether others kept it waiting."""
    block_s, waited_s, cpu_s, switches = (
        blocks[name].to_numpy(dtype=float) for name in ("block_s", "waited_s", "cpu_s", "involuntary_switches")
    )
    on_cpu: np.ndarray = (blocks["device"].map(device_kind) == "cpu").to_numpy()
    kept: np.ndarray = (
        intervals.kept_waiting(block_s, waited_s, cpu_s, switches, idle_share=protocol.idle_share) & on_cpu
    )
    return kept

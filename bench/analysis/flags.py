"""What is doubtful about the time of a cell, from the blocks of its processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multigrad.backend import device_kind

from ..plan.cells import PIPELINED, Cell, headline
from ..plan.protocol import Protocol
from ..store.events import CellEvent
from ..store.rows import Block
from ..store.schema import Facts
from . import intervals
from .times import Blocks

if TYPE_CHECKING:
    import numpy as np


FLAGS = {
    "spread-within": "the blocks of a turn differ by more than 10 % (interquartile range over median)",
    "spread-turns": "the medians of the turns of a process differ by more than 10 % (interquartile range over median)",
    "spread-between": "the medians of the processes differ by more than 5 % (interquartile range over median)",
    "one-process": "one process only: nothing is known about the noise between processes",
    "few-blocks": "a process had fewer blocks than the protocol asks for, because a call is so long",
    "short-block": "a block lasts less than 1 ms",
    "slow-first-block": "the first block is more than 10 % slower than the others of its turn, and is left out",
    "not-warm": "the time per call was not steady when the warm-up ended",
    "overhead-bound": "less than three times an empty operation that is called the same way, waited for or pipelined: "
    "what is measured is the call",
    "host-bound": "on an accelerator, to make a call takes the host 80 % of its time or more: the device waits for it",
    "oversubscribed": "more threads ran than were allowed",
    "threads-unverified": "the framework reports another number of threads than it was given",
    "preempted": "in one block of five or more, threads were ready and had no processor for a tenth of the time",
    "crowded": "others kept every block waiting, and their median is more than 1.5 times the fastest: none says how "
    "long a call takes alone",
    "throttled": "the clock fell by more than 10 %, or the GPU's driver gave a reason for slowing down",
    "above-roof": "faster than the roof allows: the cost model or a peak is wrong",
    "clocks-disagree": "the device's own events tell of another time than the host's clock, by more than 5 % and than "
    "half the interval",
    "no-cost": "there is no cost model for it",
    "died": "a worker died at it in one round; the time is from the others",
}
"""What a flag means."""

BARRING = frozenset({"above-roof", "clocks-disagree", "crowded", "died", "oversubscribed", "threads-unverified"})
"""The flags that make a time meaningless: it has no word, and is no winner. The others inform: what they warn of is in
the interval, and blocks that were disturbed are left out."""

OVERHEAD = "overhead-bound"
"""The flag that makes the quotient of two times meaningless where both have it: what is compared is two calls of
nothing."""


def barring(*sides: str) -> tuple[str, ...]:
    """Return the flags that bar a word between sides, each with its flags as the summary writes them."""
    flags = [set(side.split()) for side in sides]
    both = {OVERHEAD} if len(flags) > 1 and all(OVERHEAD in side for side in flags) else set()
    return tuple(sorted(set().union(*flags) & BARRING | both))


@dataclass(frozen=True)
class Process:
    """What one process said about one cell."""

    event: CellEvent
    facts: Facts
    """What its worker said about itself."""

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks, in order of time."""
        return self.event.blocks or ()

    def per_call(self, kind: str) -> np.ndarray:
        """Return seconds per call of the blocks of a kind."""
        import numpy as np

        return np.array([b.per_call_s for b in self.blocks if b.kind == kind])

    def turns(self, kind: str) -> np.ndarray:
        """Return the number of the turn of each of these."""
        import numpy as np

        return np.array([b.turn for b in self.blocks if b.kind == kind])

    def lost(self, cell: Cell, protocol: Protocol) -> np.ndarray:
        """Tell of each block of the cell's headline whether others kept it waiting for a processor."""
        import numpy as np

        found = [
            (b.block_s, math.nan if b.waited_s is None else b.waited_s, b.cpu_s, b.involuntary_switches)
            for b in self.blocks
            if b.kind == headline(cell.device)
        ]
        lost = intervals.kept_waiting(*np.array(found, dtype=float).T, idle_share=protocol.idle_share)
        return lost & (device_kind(cell.device) == "cpu")

    def headline(self, cell: Cell, protocol: Protocol) -> Blocks:
        """Return the blocks of the cell's headline."""
        kind = headline(cell.device)
        return self.per_call(kind), self.turns(kind), self.lost(cell, protocol)


def _empty(facts: Facts, kind: str) -> Mapping[str, float | None]:
    """Return the seconds of an empty operation by mode, called as the blocks of a kind call theirs."""
    if kind == PIPELINED and facts.empty_pipelined_s:  # an older run has none
        return facts.empty_pipelined_s
    return facts.empty_s or {}


def dispatch_s(mine: Sequence[Process]) -> float:
    """Return the seconds that the host takes to make a call, the lesser of two medians.

    In a block a full queue makes the host wait, as if it were at work; a call with an empty queue finds cold caches.
    """
    import numpy as np

    in_blocks = [b.dispatch_s / b.calls for p in mine for b in p.blocks if b.dispatch_s is not None]
    single = [s for p in mine if isinstance(s := p.event.dispatch_s, float)]
    return float(min(np.median(each) for each in (in_blocks, single) if each))


def event_ratio(mine: Sequence[Process]) -> float | None:
    """Return the time of pipelined blocks by the device's events over that by the host's clock; None without events."""
    import numpy as np

    ratios = [r for p in mine if isinstance(r := p.event.event_ratio, float)]
    return float(np.median(ratios)) if ratios else None


def clocks_disagree(ratio: float | None, time: intervals.Interval, protocol: Protocol) -> bool:
    """Tell whether two clocks disagree by more than both the least effect worth a word and half the interval."""
    if ratio is None:
        return False
    half = (time.high - time.low) / (2 * time.estimate)
    return abs(ratio - 1) > max(protocol.effect, 0.0 if math.isnan(half) else half)


def flags_of(cell: Cell, mine: Sequence[Process], protocol: Protocol) -> list[str]:
    """Return what is doubtful about a cell's blocks."""
    import numpy as np

    kind = headline(cell.device)
    series = [p.per_call(kind) for p in mine]
    blocks = [b for p in mine for b in p.blocks if b.kind == kind]
    every = np.concatenate(series)
    medians = [float(np.median(s)) for s in series]
    empty = [e for p in mine if (e := _empty(p.facts, kind).get(cell.mode)) is not None]
    on_cpu = device_kind(cell.device) == "cpu"
    lost = [p.lost(cell, protocol) for p in mine]
    first, spreads, of_turns = [], [], []
    for process, values, out in zip(mine, series, lost, strict=True):
        turns = process.turns(kind)
        beside = values[(turns == 0) & ~out][1:]
        if not out[0] and len(beside):
            first.append(values[0] / np.median(beside))
        medians_of_turns = intervals.turn_medians(values, turns, np.zeros(len(values), dtype=bool))
        spreads.append(intervals.relative_spread((values / medians_of_turns[turns])[~out]))
        of_turns.append(intervals.relative_spread(medians_of_turns))
    clocks = [c for b in blocks if (c := b.device_clock_hz or b.clock_hz) is not None]
    busy = np.median([b.cpu_s / b.block_s for b in blocks])
    threads = [t for p in mine if (t := (p.facts.settings or {}).get("threads")) is not None]
    found = {
        "spread-within": np.median(spreads) > protocol.spread_within,
        "spread-turns": np.median(of_turns) > protocol.spread_within,
        "spread-between": intervals.relative_spread(medians) > protocol.spread_between,
        "one-process": len(mine) == 1,
        "few-blocks": min(map(len, series)) < protocol.process_blocks,
        "short-block": np.median([b.block_s for b in blocks]) < protocol.short_block_s,
        "slow-first-block": bool(first) and np.median(first) > protocol.slow_first_block,
        "not-warm": not all(p.event.warm for p in mine),
        "overhead-bound": bool(empty) and np.median(medians) < protocol.overhead_factor * np.median(empty),
        # A CPU is host and device in one, also where a framework returns before it is done.
        "host-bound": kind == PIPELINED and dispatch_s(mine) >= protocol.host_share * np.median(medians),
        "oversubscribed": on_cpu and busy > protocol.busy_share * cell.threads,
        "threads-unverified": on_cpu and any(t != cell.threads for t in threads),
        "preempted": np.concatenate(lost).mean() >= protocol.lost_blocks,
        "crowded": all(out.all() for out in lost) and np.median(every) > protocol.crowded * every.min(),
        "throttled": (bool(clocks) and min(clocks) < protocol.clock_drop * max(clocks))
        or any(b.throttle_reasons for b in blocks),
    }
    return [name for name, yes in found.items() if yes]

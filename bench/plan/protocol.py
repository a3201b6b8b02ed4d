"""Every constant of a measurement, in one place, with its reason and, where it has one, its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from msgspec import Meta

from multigrad.data.decode import Amount, Count


def _because(default: Any, reason: str) -> Any:
    return field(default=default, metadata={"doc": reason})


@dataclass(frozen=True)
class Protocol:
    """How a measurement is made. The defaults are those of a full run; :data:`QUICK` and :data:`GATE` differ."""

    rounds: Count = _because(
        5,
        "Processes per cell. Noise lives between processes: identical builds have differed by 11 % while each process "
        "claimed ±0. Five give an interval from lowest to highest that covers the median in 94 % of cases (1 − 2/2⁵).",
    )
    extra_rounds: Count = _because(
        1, "Further processes for cells that are unstable between processes: more blocks would not help them."
    )
    warmup_calls: Count = _because(3, "The first calls after the first one still fill caches and branch predictors.")
    warmup_s: Amount = _because(0.1, "A clock governor needs tens of milliseconds to reach its speed.")
    warmup_window: Count = _because(5, "Calls whose median is compared with the median of as many before them.")
    warmup_agreement: Amount = _because(0.05, "Two successive medians that differ by less are called steady.")
    warmup_limit_s: Amount = _because(2.0, "After this the cell is measured all the same, and flagged `not-warm`.")
    block_s: Amount = _because(
        5e-3,
        "Long against a scheduler's tick (1 to 4 ms), so that one tick is not the result; and no longer, because the "
        "mean of a block feels every disturbance in it, and the median of blocks does not.",
    )
    block_timer_steps: Count = _because(1000, "A block is read to 0.1 % of the timer's resolution.")
    block_waits: Count = _because(100, "The one wait at the end of a pipelined block is at most 1 % of it.")
    turns: Count = _because(
        12,
        "Turns per process and cell, at the least. Two cells are compared by the quotients of their turns. On a "
        "virtual machine others take a third or a half of a processor for 20 to 500 ms, which is most or all of a "
        "turn: the median of twelve is not moved by four.",
    )
    turn_s: Amount = _because(
        0.025,
        "All cells of one problem, in all workers of a round, take turns, so that what is compared is timed within the "
        "same second: others slow a virtual machine in phases. A turn has five blocks for a median, because in the "
        "first the threads of a process that stood still find their processors again. Of a call that is longer, a turn "
        "is one call.",
    )
    lead_in_s: Amount = _because(
        0.05,
        "A turn begins with a call that is not timed, for the caches that others filled, unless a call is longer than "
        "this, for which half of all calls would not be timed: to fill a last cache of 32 MiB takes some 3 ms.",
    )
    process_blocks: Count = _because(5, "Fewer have no quartiles worth the name: `few-blocks`.")
    process_s: Amount = _because(
        0.15,
        "The least time in blocks per process and cell that others did not keep waiting: half of its turns. Below, it "
        "takes further turns.",
    )
    process_limit_s: Amount = _because(1.5, "The most; then unstable cells need more processes, not more blocks.")
    tries: Count = _because(
        3,
        "Blocks that others kept waiting for a processor do not count towards the least time, until this many times as "
        "much is spent: then the cell is kept as it is, and flagged.",
    )
    moving_share: Amount = _because(
        0.2,
        "Share of the time that may go, on a CPU, into moving the inputs to other addresses between blocks. Where "
        "arrays lie decides how they share a cache: the same call elsewhere differs by 10 %, and a process with one "
        "place would report its luck (Curtsinger and Berger, Stabilizer, ASPLOS 2013).",
    )
    other_blocks: Count = _because(3, "Blocks of the kind that is not the headline: a median in the last turn.")
    kept_outputs_bytes: Count = _because(
        2**28, "A pipelined block on the CPU keeps every output until its wait; this many bytes of them at most."
    )
    held_share: Amount = _because(
        0.25,
        "Share of the memory that the arrays of the cells that take turns may fill, in all workers together: as much "
        "again is needed while they compute, and half is left to the frameworks and to others. Beyond it the cells of "
        "a problem take turns in groups.",
    )
    cell_timeout_s: Amount = _because(
        600.0, "A worker that gives no sign for so long hangs: no compiler of a catalogue operation has needed it."
    )
    level: Annotated[float, Meta(gt=0, lt=1)] = _because(0.95, "Confidence of every interval.")
    spread_within: Amount = _because(
        0.10,
        "Interquartile range over median of the blocks of a turn, and of the turns of a process; above is "
        "`spread-within` and `spread-turns`.",
    )
    spread_between: Amount = _because(
        0.05,
        "Interquartile range over median of the process medians; above is `spread-between`.",
    )
    short_block_s: Amount = _because(1e-3, "A block below is at the mercy of one interrupt: `short-block`.")
    slow_first_block: Amount = _because(1.1, "First block over the median of the others; above is `slow-first-block`.")
    overhead_factor: Amount = _because(3.0, "Below so many empty operations, what is measured is the call itself.")
    host_share: Amount = _because(
        0.8,
        "Host time of a call over its pipelined time; from there on, on an accelerator, it is `host-bound`: a faster "
        "device would gain little.",
    )
    dispatch_calls: Count = _because(
        21, "Calls on an empty queue, whose median is the host's time for a call: as many as are waited for."
    )
    empty_calls: Count = _because(200, "Of an empty operation; the first half are to warm up.")
    empty_limit_s: Amount = _because(0.1, "Or for so long: where an empty operation takes 10 ms, ten tell its size.")
    busy_share: Amount = _because(
        1.1, "CPU time over wall time and threads; above, more threads ran than were allowed."
    )
    idle_share: Amount = _because(
        0.9, "Share of a block in which the processors were its own; below, on the CPU, it was kept waiting by others."
    )
    lost_blocks: Amount = _because(
        0.2,
        "Share of such blocks above which the cell is `preempted`: up to then the median would not feel them. They are "
        "left out, and are all there is where nothing else is.",
    )
    crowded: Amount = _because(
        1.5,
        "Median over the fastest block, where every block was kept waiting: above, it is `crowded`. A library that "
        "spins while it waits takes ten times as long. Of 790 pairs that were timed beside busy programs, 1.5 left no "
        "word wrong, 2 left three.",
    )
    clock_drop: Amount = _because(0.9, "Clock over the fastest clock seen in the cell; below is `throttled`.")
    effect: Amount = _because(0.05, "A change of less is not worth a word.")
    alarms: Annotated[float, Meta(gt=0, lt=1)] = _because(
        0.01, "Share of equals that may be called faster or slower: a matrix of 100 cells then has one false word."
    )
    floor_factor: Amount = _because(
        2.0, "A change must be this many times what A/A pairs differ by beyond their intervals."
    )
    twins: Count = _because(1, "A/A pairs for each backend: cells measured twice, in processes of their own.")
    roof_percent_limit: Amount = _because(105.0, "Above its roof a cell is a mistake of the model, not a triumph.")
    peak_s: Amount = _because(0.3, "Time for each peak (a large product, a copy, a triad); the best pass counts.")
    peak_product_flops: Amount = _because(
        2e9, "Of the product whose rate is the peak on a CPU: side 1000, far into the regime that BLAS is tuned for."
    )
    peak_product_device_flops: Amount = _because(
        1e12, "The same on an accelerator: side 8000 fills its multiprocessors."
    )
    peak_patience_s: Amount = _because(1.0, "A product that would take longer is not tried; a smaller one is the peak.")
    peak_rounds: Count = _because(
        2, "Rounds in which peaks are measured: one process may be disturbed, and a roof that is too low accuses."
    )
    peak_smallest_bytes: Count = _because(
        2**14,
        "The smallest arrays of the bandwidth test, three of which fill a first-level cache of 48 KiB; from there to "
        "the largest in steps of 4, because what fits a cache has the bandwidth of that cache.",
    )
    peak_caches: Amount = _because(
        4.0, "Arrays of the bandwidth test over the last cache, as STREAM demands (McCalpin, run rules)."
    )
    peak_array_bytes: Count = _because(
        2**31, "No array of the bandwidth test is larger; virtual machines report caches they do not have alone."
    )
    memory: bool = _because(True, "Whether memory is measured, in one further process for each cell.")
    memory_noise_bytes: Count = _because(2**16, "Peaks below are pages of the allocator, not arrays: no fit uses them.")
    share_compiled: bool = _because(
        True,
        "Whether the later rounds find what a compiler wrote in the first. The folder is empty when a run begins, so "
        "the first call of round 0 is cold either way, and it is the one that is reported.",
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Protocol:
        """Read it from a JSON object; constants that only another version knows are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


FULL = Protocol()
"""What a result that is shown to others is measured with."""

GATE = Protocol(rounds=10)
"""What a regression gate is measured with: twice the processes, so that a tenth is found and noise is not."""

QUICK = Protocol(
    rounds=3,
    extra_rounds=0,
    warmup_s=0.02,
    warmup_limit_s=0.2,
    turns=8,
    process_s=0.12,
    process_limit_s=0.8,
    other_blocks=1,
    twins=2,
    peak_s=0.1,
    peak_array_bytes=2**25,
    memory=False,
)
"""A first look in minutes: no memory, and three processes. With two, one that was disturbed would be half of all there
is, and of differences of 30 % one in fifty would be missed (`tests/benchmarks/words.py`)."""

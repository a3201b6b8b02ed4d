"""From the journal of a run to its tables: medians, intervals, roofs and flags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from multigrad.backend import device_kind

from ..plan.cells import KEY, LATENCY, OTHER, PIPELINED, Cell, Plan, headline
from ..plan.protocol import Protocol
from ..store.folder import BEFORE
from ..store.frames import blank, to_frame
from ..store.rows import Block, SampleRow, SummaryRow
from ..store.run import Run
from ..timing import roofline
from . import intervals

if TYPE_CHECKING:
    import numpy as np

Event = dict[str, Any]

FLAGS = {
    "spread-within": "the blocks of a turn differ by more than 10 % (interquartile range over median)",
    "spread-turns": "the medians of the turns of a process differ by more than 10 % (interquartile range over median)",
    "spread-between": "the medians of the processes differ by more than 5 % (interquartile range over median)",
    "one-process": "one process only: nothing is known about the noise between processes",
    "few-blocks": "a process had fewer blocks than the protocol asks for, because a call is so long",
    "short-block": "a block lasts less than 1 ms",
    "slow-first-block": "the first block is more than 10 % slower than the others of its turn: it was not warm",
    "not-warm": "the time per call was not steady when the warm-up ended",
    "overhead-bound": "less than three times an empty operation: what is measured is the call",
    "oversubscribed": "more threads ran than were allowed",
    "threads-unverified": "the framework reports another number of threads than it was given",
    "preempted": "in one block of five or more, threads were ready and had no processor for a tenth of the time",
    "throttled": "the clock fell by more than 10 %, or the GPU's driver gave a reason for slowing down",
    "above-roof": "faster than the roof allows: the cost model or a peak is wrong",
    "no-cost": "there is no cost model for it",
    "died": "a worker died at it in one round; the time is from the others",
}
"""What a flag means."""

NOT_OF_PAIRS = frozenset({"spread-turns", "spread-between", "preempted"})
"""The flags that bar no word between sides that took turns: the machine changed from turn to turn or from process to
process, but for both; others took the processor away, but such blocks are left out of pairs."""

UNSTEADY = {"spread-within", "spread-turns", "spread-between", "preempted", "throttled", "not-warm"}
"""The flags that speak of the machine's noise."""


@dataclass(frozen=True)
class Process:
    """What one process said about one cell."""

    event: Event
    facts: Event
    """What its worker said about itself."""
    blocks: list[Block]

    def per_call(self, kind: str) -> np.ndarray:
        """Return seconds per call of the blocks of a kind."""
        import numpy as np

        return np.array([b.block_s / b.calls for b in self.blocks if b.kind == kind])

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

    def per_turn(self, cell: Cell, protocol: Protocol) -> np.ndarray:
        """Return the median seconds per call of each turn at the cell's headline, without the blocks that were lost."""
        kind = headline(cell.device)
        return intervals.turn_medians(self.per_call(kind), self.turns(kind), self.lost(cell, protocol))


def assemble(events: Sequence[Event], folder: Path | None) -> Run:
    """Make the run of its journal's events, with that of the other commit if there was one."""
    run = _one_side(events, folder)
    if run.info.get("against_commit") is None:
        return run
    before = _one_side(_other_side(events), None if folder is None else folder / BEFORE)
    before.info["noise_floor"] = run.noise_floor
    return replace(run, before=before)


def _other_side(events: Sequence[Event]) -> list[Event]:
    """Return the events of the other commit's workers, as if the run had been theirs."""
    begin = events[0]
    commit = {"commit": begin["info"]["against_commit"], "changed": False}
    info = {**begin["info"], "git": commit, "against_commit": None}
    found = [{**begin, "info": info, "plan": {**begin["plan"], "twins": []}}]
    for event in events[1:]:
        if event["event"] in ("cell", "worker"):
            if event["twin"] == OTHER:
                found.append({**event, "twin": 0})
        elif event["event"] != "memory":
            found.append(event)
    return found


def _one_side(events: Sequence[Event], folder: Path | None) -> Run:
    begin = events[0]
    plan, protocol = Plan.from_json(begin["plan"]), Protocol.of(begin["protocol"])
    processes = _processes(events)
    peaks = Peaks.of(events)
    memory = {e["cell"]: e for e in events if e["event"] == "memory"}
    models = {e["cell"]: e["model"] for e in events if e["event"] == "cost"}
    untimed = _without_time(events)
    rows = [
        _summary_row(plan, i, processes, memory.get(i), models.get(i), peaks, protocol, untimed.get(i, []))
        for i in range(len(plan.cells))
    ]
    # Another commit may have workers that take none.
    turns = [bool(e["facts"].get("turns")) for e in events if e["event"] == "worker" and e["twin"] != OTHER]
    in_turns = bool(turns) and all(turns)
    floor, pairs = _noise_floor(plan, processes, protocol, in_turns)
    end = next((e for e in reversed(events) if e["event"] == "end"), {"state": "interrupted"})
    workers = [{k: v for k, v in e.items() if k != "event"} for e in events if e["event"] == "worker"]
    info = {
        **begin["info"],
        "state": end["state"],
        "noise_floor": floor,
        "pairs": pairs,
        "turns": in_turns,
        "peaks": peaks.to_json(),
        "wall_s": sum(e["wall_s"] for e in events if e["event"] == "wall"),
        "timed_s": sum(e.get("timed_s", 0) + e.get("warmup_s", 0) for e in events if e["event"] == "cell"),
        "spent_s": {
            what: sum(e["seconds"] for e in events if e["event"] == "spent" and e["what"] == what)
            for what in ("references", "workers", "memory")
        },
        "protocol": begin["protocol"],
        "workers": workers,
    }
    return Run(folder, info, to_frame(rows, SummaryRow), to_frame(_sample_rows(plan, processes), SampleRow))


Processes = dict[tuple[int, int], list[Process]]
"""(cell, twin) → its processes, by round."""


def _processes(events: Sequence[Event]) -> Processes:
    facts = {(e["round"], e["twin"], e["group"]): e["facts"] for e in events if e["event"] == "worker"}
    found: Processes = {}
    for e in events:
        if e["event"] == "cell" and "blocks" in e and e["twin"] != OTHER:
            blocks = [Block(*values) for values in e["blocks"]]
            process = Process(e, facts.get((e["round"], e["twin"], e["group"]), {}), blocks)
            found.setdefault((e["cell"], e["twin"]), []).append(process)
    return {key: sorted(members, key=lambda p: p.event["round"]) for key, members in found.items()}


def _without_time(events: Sequence[Event]) -> dict[int, list[Event]]:
    """Return, by index of the cell, the answers that are no time."""
    found: dict[int, list[Event]] = {}
    for e in events:
        if e["event"] == "cell" and e["twin"] == 0 and "blocks" not in e:
            found.setdefault(e["cell"], []).append(e)
    return found


@dataclass(frozen=True)
class Peaks:
    """The best that any worker of the run saw: the roof is the machine's, not a framework's."""

    flop_per_s: Mapping[tuple[str, int, str, str], float]
    """(device, threads, precision, dtype) → FLOP/s."""
    bandwidth: Mapping[tuple[str, int], Event]
    """(device, threads) → what :class:`.roofline.Bandwidth` holds."""

    @classmethod
    def of(cls, events: Sequence[Event]) -> Peaks:
        """Collect them."""
        rates: dict[tuple[str, int, str, str], float] = {}
        bandwidth: dict[tuple[str, int], Event] = {}
        for e in (e for e in events if e["event"] == "peaks"):
            for dtype, rate in e["flop_per_s"].items():
                key = (e["device"], e["threads"], e["precision"], dtype)
                rates[key] = max(rate, rates.get(key, 0.0))
            place, found = (e["device"], e["threads"]), e["bandwidth"]
            if found:
                bandwidth[place] = _better(found, bandwidth.get(place))
        return cls(rates, bandwidth)

    @classmethod
    def best(cls, found: Iterable[Event]) -> Peaks:
        """Return the best of what several ``run.json`` of one machine hold, each as :meth:`to_json` wrote it."""
        events: list[Event] = []
        for peaks in found:
            for rate in peaks["flop_per_s"]:
                known = {**rate, "flop_per_s": {rate["dtype"]: rate["value"]}, "bandwidth": None}
                events.append({**known, "event": "peaks"})
            events += [{**b, "event": "peaks", "flop_per_s": {}, "bandwidth": b} for b in peaks["bandwidth"]]
        return cls.of(events)

    def roof(self, row: Mapping[str, Any], limit: float) -> tuple[Event, bool] | None:
        """Return a cell's place under the roof, and whether it lies above; None where no roof is known.

        Args:
            row: its ``device``, ``threads``, ``precision``, ``dtype``, ``median_s``, ``flops`` and ``bytes``.
            limit: the percent of the roof above which it is a mistake.
        """
        rate = self.flop_per_s.get((row["device"], row["threads"], row["precision"], row["dtype"]))
        band = self.bandwidth.get((row["device"], row["threads"]))
        if rate is None or band is None:
            return None
        at = roofline.bandwidth_at(band["by_size"], row["bytes"])
        roof = roofline.place(row["median_s"], row["flops"], row["bytes"], rate, at)
        return {"roof_percent": roof.percent, "bound": roof.binds}, roof.percent > limit

    def to_json(self) -> Event:
        """Return them as ``run.json`` holds them."""
        return {
            "flop_per_s": [
                dict(zip(("device", "threads", "precision", "dtype"), k, strict=True), value=v)
                for k, v in self.flop_per_s.items()
            ],
            "bandwidth": [{"device": d, "threads": t, **v} for (d, t), v in self.bandwidth.items()],
        }


def _better(found: Event, known: Event | None) -> Event:
    """Return the best of two measurements of bandwidth, size by size."""
    if known is None:
        return found
    best = max(found, known, key=lambda one: one["bytes_per_s"])
    sizes = dict(sorted((size, rate) for one in (found, known) for size, rate in one["by_size"]))
    rates = {
        size: max(rate for one in (found, known) for other, rate in one["by_size"] if other == size) for size in sizes
    }
    return {**best, "by_size": [[size, rate] for size, rate in rates.items()]}


def _summary_row(
    plan: Plan,
    index: int,
    processes: Processes,
    memory: Event | None,
    model: Sequence[float] | None,
    peaks: Peaks,
    protocol: Protocol,
    without_time: Sequence[Event],
) -> SummaryRow:
    cell = plan.cells[index]
    mine = processes.get((index, 0), [])
    wrong = [e for e in without_time if not e.get("died")]
    if index in plan.refused:
        refusal = plan.refused[index]
        return _row(cell, verdict=refusal.verdict, reason=refusal.reason)
    if wrong or not mine:
        said = (wrong or list(without_time) or [{"verdict": "UNAVAILABLE", "reason": "the run ended before it"}])[0]
        return _row(cell, verdict=said["verdict"], reason=said["reason"], ratio=said.get("ratio"))
    values, flags = _figures(cell, mine, model, peaks, protocol)
    if without_time:
        flags.append("died")
    notes = [p.event for p in mine if p.event["verdict"] == "NOTE"]
    reason = "; ".join(dict.fromkeys([*(e["reason"] for e in notes), *(e["reason"] for e in without_time)]))
    return _row(
        cell,
        **values,
        verdict="NOTE" if notes else "PASS",
        flags=" ".join(f for f in FLAGS if f in flags),
        reason=reason,
        ratio=max(p.event["ratio"] for p in mine),
        peak_bytes=memory.get("peak_bytes") if memory else None,
    )


def _row(cell: Cell, **values: Any) -> SummaryRow:
    known = dict(zip(KEY, cell.key, strict=True))
    return SummaryRow(
        **{**blank(SummaryRow), **known, "size": cell.size_name, "headline": headline(cell.device), **values}
    )


def _figures(
    cell: Cell, mine: Sequence[Process], model: Sequence[float] | None, peaks: Peaks, protocol: Protocol
) -> tuple[dict[str, Any], list[str]]:
    import numpy as np

    kind = headline(cell.device)
    series = [p.per_call(kind) for p in mine]
    every = np.concatenate(series)
    estimate = intervals.interval(series, level=protocol.level, resamples=protocol.resamples)
    both = {k: intervals.median_of_medians([p.per_call(k) for p in mine]) for k in (LATENCY, PIPELINED)}
    dispatch = [b.dispatch_s / b.calls for p in mine for b in p.blocks if b.dispatch_s is not None]
    values = {
        "median_s": estimate.estimate,
        "ci_low_s": estimate.low,
        "ci_high_s": estimate.high,
        "min_s": float(every.min()),
        "q1_s": float(np.quantile(every, 0.25)),
        "q3_s": float(np.quantile(every, 0.75)),
        "processes": len(mine),
        "blocks": len(every),
        "dispatch_s": float(np.median(dispatch)),
        "latency_s": both[LATENCY],
        "pipelined_s": both[PIPELINED],
        "calls": mine[0].event["calls"][kind],
        "collectives": mine[0].event.get("collectives", ""),
        "to_device_s": _median(p.event["to_device_s"] for p in mine),
        "to_host_s": _median(p.event["to_host_s"] for p in mine),
    }
    # Later rounds share what the first compiled, and begin together.
    cold = mine[:1] if protocol.share_compiled else mine
    values |= {name: _median(p.facts.get(name) for p in cold) for name in ("import_s", "first_operation_s")}
    values |= {
        name: _median(p.event.get(name) for p in cold) for name in ("first_call_s", "trace_s", "lower_s", "compile_s")
    }
    flags = flags_of(cell, mine, protocol)
    roof, more = _roof(cell, estimate.estimate, model, peaks, protocol)
    return {**values, **roof}, flags + more


def _median(values: Any) -> float | None:
    import numpy as np

    there = [v for v in values if v is not None]
    return float(np.median(there)) if there else None


def flags_of(cell: Cell, mine: Sequence[Process], protocol: Protocol) -> list[str]:
    """Return what is doubtful about a cell's blocks."""
    import numpy as np

    kind = headline(cell.device)
    series = [p.per_call(kind) for p in mine]
    blocks = [b for p in mine for b in p.blocks if b.kind == kind]
    medians = [float(np.median(s)) for s in series]
    empty = [e for p in mine if (e := p.facts.get("empty_s", {}).get(cell.mode)) is not None]
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
    threads = [t for p in mine if (t := p.facts.get("settings", {}).get("threads")) is not None]
    found = {
        "spread-within": np.median(spreads) > protocol.spread_within,
        "spread-turns": np.median(of_turns) > protocol.spread_within,
        "spread-between": intervals.relative_spread(medians) > protocol.spread_between,
        "one-process": len(mine) == 1,
        "few-blocks": min(map(len, series)) < protocol.process_blocks,
        "short-block": np.median([b.block_s for b in blocks]) < protocol.short_block_s,
        "slow-first-block": bool(first) and np.median(first) > protocol.slow_first_block,
        "not-warm": not all(p.event["warm"] for p in mine),
        "overhead-bound": bool(empty) and np.median(medians) < protocol.overhead_factor * np.median(empty),
        "oversubscribed": on_cpu and busy > protocol.busy_share * cell.threads,
        "threads-unverified": on_cpu and any(t != cell.threads for t in threads),
        "preempted": np.concatenate(lost).mean() >= protocol.lost_blocks,
        "throttled": (bool(clocks) and min(clocks) < protocol.clock_drop * max(clocks))
        or any(b.throttle_reasons for b in blocks),
    }
    return [name for name, yes in found.items() if yes]


def _roof(
    cell: Cell, seconds: float, model: Sequence[float] | None, peaks: Peaks, protocol: Protocol
) -> tuple[dict[str, Any], list[str]]:
    if model is None:
        return {}, ["no-cost"]
    flops, moved = model
    values: dict[str, Any] = {"flops": flops, "bytes": moved}
    values |= {"gflop_per_s": flops / seconds / 1e9, "gbyte_per_s": moved / seconds / 1e9}
    known = {"device": cell.device, "threads": cell.threads, "precision": cell.precision, "dtype": cell.dtype}
    found = peaks.roof({**known, **values, "median_s": seconds}, protocol.roof_percent_limit)
    if found is None:
        return values, []
    roof, above = found
    return {**values, **roof}, ["above-roof"] if above else []


def _noise_floor(
    plan: Plan, processes: Processes, protocol: Protocol, in_turns: bool
) -> tuple[float | None, list[Event]]:
    told: list[Event] = []
    for index in plan.twins:
        first, second = (processes.get((index, twin)) for twin in (0, 1))
        if first and second:
            cell = plan.cells[index]
            found = {*flags_of(cell, first, protocol), *flags_of(cell, second, protocol)}
            paired = _paired_ratio(cell, second, first, protocol) if in_turns else None
            kind = headline(cell.device)
            ratio = paired or intervals.ratio([p.per_call(kind) for p in second], [p.per_call(kind) for p in first])
            unsteady = UNSTEADY - NOT_OF_PAIRS if paired else UNSTEADY
            figures = {"ratio": ratio.estimate, "low": ratio.low, "high": ratio.high}
            told.append({"cell": cell.text, **figures, "steady": not found & unsteady})
    # Unsteady cells are barred from winning by their flags: they need not make the steady ones doubtful.
    floor = intervals.noise_floor(pair["ratio"] for pair in [p for p in told if p["steady"]] or told)
    return (None if floor is None or math.isnan(floor) else floor), told


def _paired_ratio(
    cell: Cell, after: Sequence[Process], before: Sequence[Process], protocol: Protocol
) -> intervals.Interval | None:
    sides = [{p.event["round"]: p.per_turn(cell, protocol) for p in side} for side in (after, before)]
    return intervals.paired_ratio(sides[0], sides[1])


def _sample_rows(plan: Plan, processes: Processes) -> list[SampleRow]:
    rows = []
    for (index, twin), members in sorted(processes.items()):
        for process in members:
            for number, block in enumerate(process.blocks):
                rows.append(_sample_row(plan.cells[index], twin, number, process.event, block))
    return rows


def _sample_row(cell: Cell, twin: int, number: int, event: Event, block: Block) -> SampleRow:
    known = dict(zip(KEY, cell.key, strict=True))
    return SampleRow(**known, round=event["round"], twin=twin, block=number, load=event["load"], **asdict(block))

"""From the journal of a run to its tables: medians, intervals, roofs and flags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from ..plan.cells import KEY, LATENCY, OTHER, PIPELINED, Cell, Plan, headline
from ..plan.protocol import Protocol
from ..store.events import (
    Begin,
    CellEvent,
    CostEvent,
    EndEvent,
    Event,
    MemoryEvent,
    PeaksEvent,
    SpentEvent,
    WallEvent,
    WorkerEvent,
)
from ..store.folder import BEFORE
from ..store.frames import blank, to_frame
from ..store.rows import Block, SampleRow, SummaryRow
from ..store.run import Run
from ..store.schema import Facts
from . import intervals
from .flags import FLAGS, Process, clocks_disagree, dispatch_s, event_ratio, flags_of
from .peaks import Peaks
from .times import PLACE, PROBLEM, Times, turns_of


def assemble(begin: Begin, plan: Plan, events: Sequence[Event], folder: Path | None) -> Run:
    """Make the run of its journal's events, with that of the other commit if there was one.

    Args:
        begin: the first event.
        plan: the cells.
        events: the others.
        folder: where the run will lie.
    """
    run = _one_side(begin, plan, events, folder)
    commit = begin.info.get("against_commit")
    if commit is None:
        return run
    info = {**begin.info, "git": {"commit": commit, "changed": False}, "against_commit": None}
    other = _one_side(
        msgspec.structs.replace(begin, info=info),
        replace(plan, twins=()),
        _other_side(events),
        None if folder is None else folder / BEFORE,
    )
    other.info["noise_floor"] = run.noise_floor
    return replace(run, before=other)


def _other_side(events: Sequence[Event]) -> list[Event]:
    """Return the events of the other commit's workers, as if the run had been theirs."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, CellEvent | WorkerEvent):
            if event.twin == OTHER:
                kept.append(msgspec.structs.replace(event, twin=0))
        elif not isinstance(event, MemoryEvent):
            kept.append(event)
    return kept


def _one_side(begin: Begin, plan: Plan, events: Sequence[Event], folder: Path | None) -> Run:
    written = begin.protocol or {}
    protocol = Protocol.of(written)
    cells = [e for e in events if isinstance(e, CellEvent)]
    workers = [e for e in events if isinstance(e, WorkerEvent)]
    spent = [e for e in events if isinstance(e, SpentEvent)]
    processes = _processes(cells, workers)
    peaks = Peaks.of([e for e in events if isinstance(e, PeaksEvent)])
    memory = {e.cell: e for e in events if isinstance(e, MemoryEvent)}
    models = {e.cell: e.model for e in events if isinstance(e, CostEvent)}
    untimed = _without_time(cells)
    times = _times(plan, processes, protocol)
    rows = [
        _summary_row(plan, i, processes, times, memory.get(i), models.get(i), peaks, protocol, untimed.get(i, []))
        for i in range(len(plan.cells))
    ]
    # Another commit may have workers that take none.
    turns = [bool(e.facts.turns) for e in workers if e.twin != OTHER]
    in_turns = bool(turns) and all(turns)
    pairs = _pairs(plan, times)
    info = {
        **begin.info,
        "state": next((e.state for e in reversed(events) if isinstance(e, EndEvent)), "interrupted"),
        "noise_floor": intervals.noise_floor(pair["ratio"] for pair in pairs),
        "pairs": pairs,
        "turns": in_turns,
        "peaks": peaks.to_json(),
        "wall_s": sum(e.wall_s for e in events if isinstance(e, WallEvent)),
        "timed_s": sum(e.timed_s + e.warmup_s for e in cells),
        "spent_s": {
            what: sum(e.seconds for e in spent if e.what == what) for what in ("references", "workers", "memory")
        },
        "protocol": written,
        "workers": [{k: v for k, v in msgspec.to_builtins(e).items() if k != "event"} for e in workers],
    }
    return Run(folder, info, to_frame(rows, SummaryRow), to_frame(_sample_rows(plan, processes), SampleRow))


Processes = dict[tuple[int, int], list[Process]]
"""(cell, twin) → its processes, by round."""


def _processes(cells: Iterable[CellEvent], workers: Iterable[WorkerEvent]) -> Processes:
    facts = {(e.round, e.twin, e.group): e.facts for e in workers}
    processes: Processes = {}
    for e in cells:
        if e.blocks and e.twin != OTHER:
            process = Process(e, facts.get((e.round, e.twin, e.group or ""), Facts()))
            processes.setdefault((e.cell, e.twin), []).append(process)
    return {key: sorted(members, key=lambda p: p.event.round) for key, members in processes.items()}


def _without_time(cells: Iterable[CellEvent]) -> dict[int, list[CellEvent]]:
    """Return, by index of the cell, the answers that are no time."""
    untimed: dict[int, list[CellEvent]] = {}
    for e in cells:
        if e.twin == 0 and not e.blocks:
            untimed.setdefault(e.cell, []).append(e)
    return untimed


def _summary_row(
    plan: Plan,
    index: int,
    processes: Processes,
    times: Times,
    memory: MemoryEvent | None,
    model: Sequence[float] | None,
    peaks: Peaks,
    protocol: Protocol,
    without_time: Sequence[CellEvent],
) -> SummaryRow:
    cell = plan.cells[index]
    mine = processes.get((index, 0), [])
    wrong = [e for e in without_time if not e.died]
    if index in plan.refused:
        refusal = plan.refused[index]
        return _row(cell, verdict=refusal.verdict, reason=refusal.reason)
    if wrong or not mine:
        answers = wrong or without_time
        if not answers:
            return _row(cell, verdict="UNAVAILABLE", reason="the run ended before it")
        return _row(cell, verdict=answers[0].verdict, reason=answers[0].reason, ratio=answers[0].ratio)
    values, flags = _figures(cell, mine, times.time((index, 0)), model, peaks, protocol)
    if without_time:
        flags.append("died")
    notes = [p.event for p in mine if p.event.verdict == "NOTE"]
    guards = [p.event.note for p in mine if p.event.note]
    reason = "; ".join(dict.fromkeys([*(e.reason for e in notes), *(e.reason for e in without_time), *guards]))
    return _row(
        cell,
        **values,
        verdict="NOTE" if notes else "PASS",
        flags=" ".join(f for f in FLAGS if f in flags),
        reason=reason,
        ratio=max(p.event.ratio for p in mine if p.event.ratio is not None),
        peak_bytes=memory.peak_bytes if memory else None,
        peak_how=memory.reason if memory else "",
    )


def _row(cell: Cell, **values: Any) -> SummaryRow:
    known = dict(zip(KEY, cell.key, strict=True))
    return SummaryRow(
        **{**blank(SummaryRow), **known, "size": cell.size_name, "headline": headline(cell.device), **values}
    )


def _times(plan: Plan, processes: Processes, protocol: Protocol) -> Times:
    """Return the times by index and twin of a cell."""
    turns, problem, where = {}, {}, {}
    for (index, twin), members in processes.items():
        cell = plan.cells[index]
        turns[index, twin] = turns_of({p.event.round: p.headline(cell, protocol) for p in members}, protocol)
        named = dict(zip(KEY, cell.key, strict=True))
        problem[index, twin] = tuple(named[name] for name in PROBLEM)
        where[index, twin] = tuple(named[name] for name in PLACE)
    return Times(turns, problem, where, protocol.level)


def _figures(
    cell: Cell,
    mine: Sequence[Process],
    time: intervals.Interval,
    model: Sequence[float] | None,
    peaks: Peaks,
    protocol: Protocol,
) -> tuple[dict[str, Any], list[str]]:
    import numpy as np

    kind = headline(cell.device)
    series = [p.per_call(kind) for p in mine]
    every = np.concatenate(series)
    ratio = event_ratio(mine)
    both = {k: intervals.median_of_medians([p.per_call(k) for p in mine]) for k in (LATENCY, PIPELINED)}
    values = {
        "median_s": time.estimate,
        "ci_low_s": _known(time.low),
        "ci_high_s": _known(time.high),
        "min_s": float(every.min()),
        "q1_s": float(np.quantile(every, 0.25)),
        "q3_s": float(np.quantile(every, 0.75)),
        "processes": len(mine),
        "blocks": len(every),
        "dispatch_s": dispatch_s(mine),
        "event_ratio": ratio,
        "latency_s": both[LATENCY],
        "pipelined_s": both[PIPELINED],
        "calls": (mine[0].event.calls or {})[kind],
        "collectives": mine[0].event.collectives or "",
        "to_device_s": _median(p.event.to_device_s for p in mine),
        "to_host_s": _median(p.event.to_host_s for p in mine),
    }
    # Later rounds share what the first compiled, and begin together.
    cold = mine[:1] if protocol.share_compiled else mine
    values |= {name: _median(getattr(p.facts, name) for p in cold) for name in ("import_s", "first_operation_s")}
    values |= {
        name: _median(getattr(p.event, name) for p in cold)
        for name in ("first_call_s", "trace_s", "lower_s", "compile_s")
    }
    flags = flags_of(cell, mine, protocol)
    if clocks_disagree(ratio, time, protocol):
        flags.append("clocks-disagree")
    roof, more = _roof(cell, time.estimate, model, peaks, protocol)
    return {**values, **roof}, flags + more


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _median(values: Iterable[Any]) -> float | None:
    import numpy as np

    there = [v for v in values if v is not None and v is not msgspec.UNSET]
    return float(np.median(there)) if there else None


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


def _pairs(plan: Plan, times: Times) -> list[dict[str, Any]]:
    """Return the A/A pairs: cells that were measured twice in the same rounds."""
    pairs: list[dict[str, Any]] = []
    for index in plan.twins:
        halves = (index, 1), (index, 0)
        if all(half in times.turns for half in halves):
            ratio = times.ratio(*halves)
            figures = {"ratio": ratio.estimate, "low": _known(ratio.low), "high": _known(ratio.high)}
            pairs.append({"cell": plan.cells[index].text, **figures})
    return pairs


def _sample_rows(plan: Plan, processes: Processes) -> list[SampleRow]:
    rows = []
    for (index, twin), members in sorted(processes.items()):
        for process in members:
            for number, block in enumerate(process.blocks):
                rows.append(_sample_row(plan.cells[index], twin, number, process.event, block))
    return rows


def _sample_row(cell: Cell, twin: int, number: int, event: CellEvent, block: Block) -> SampleRow:
    known = dict(zip(KEY, cell.key, strict=True))
    return SampleRow(**known, round=event.round, twin=twin, block=number, load=event.load or 0.0, **asdict(block))

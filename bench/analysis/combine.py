"""Several runs put together into one, where every row says which machine it came from.

Times of different machines stand beside each other and are never compared. A machine is its host together with all that
has to stay the same for its times to be comparable: processors and devices, Python, versions, the source's commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.matrix.rows import MatrixRow

from ..plan.cells import KEY
from ..plan.protocol import FULL
from ..store.events import Begin, CellEvent, EndEvent, Event, PortionEvent, WallEvent
from ..store.frames import to_frame
from ..store.machine import host_name
from ..store.rows import SampleRow, SummaryRow
from ..store.run import Run, named
from ..store.schema import SCHEMA
from .assemble import assemble
from .fingerprint import HOST, fingerprint
from .peaks import Peaks

if TYPE_CHECKING:
    import pandas as pd


OF_A_MACHINE = ("host", "versions", "git", "environment", "protocol")
"""What ``run.json`` says once for each machine, of its newest run; where all agree, of the run too."""

JUDGED = ("operation", "output", "backend", "device", "mode", "variant", "dtype", "regime", "sizes", "seed", "machine")
"""The columns that make a row of the matrix the same in another run."""


def of_portions(begin: Begin, events: Iterable[Event], folder: Path | None) -> Run:
    """Make the run of a fleet from its journal: its first event and the others, of which one is looked at at a time.

    Of a portion that was handed out again the last answer counts.
    """
    parts: dict[int, Run] = {}
    state, wall_s = "interrupted", 0.0
    for event in events:
        if isinstance(event, PortionEvent):
            parts[event.number] = _of_portion(event)
        elif isinstance(event, WallEvent):
            wall_s += event.wall_s
        elif isinstance(event, EndEvent):
            state = event.state
    return together([run for _, run in sorted(parts.items())], folder, {**begin.info, "state": state, "wall_s": wall_s})


def _of_portion(answer: PortionEvent) -> Run:
    begin, *events = answer.events
    if not (isinstance(begin, Begin) and begin.plan):  # its type has made sure of it
        raise TypeError("the events of a portion are no journal")
    run = assemble(begin, begin.plan.plan(), events, None)
    spans = [(e.began, e.ended) for e in events if isinstance(e, CellEvent) and e.began and e.ended]
    began, ended = zip(*spans, strict=True) if spans else ((), ())
    span = {"began": min(began), "ended": max(ended)} if spans else {}
    run.info["portion"] = {"operation": answer.operation, "devices": answer.devices, "worker": answer.worker, **span}
    return replace(run, folder=None, matrix=to_frame(answer.matrix, MatrixRow))


@dataclass
class Part:
    """What one run has of one machine."""

    name: str
    """The machine's; empty where nobody knows it, for nothing ran."""
    info: Mapping[str, Any]
    """What ``run.json`` says of it."""
    label: Mapping[str, Any]
    """Which run it was, or which portion of one."""
    run: Run
    rows: str | None
    """Value of the column ``machine`` in the run; None is all rows."""

    def frame(self, name: str, number: int) -> pd.DataFrame | None:
        """Return its rows of a table, with the machine and the part's number."""
        frame: pd.DataFrame | None = getattr(self.run, name)
        if frame is None:
            return None
        mine = frame if self.rows is None else frame[frame["machine"] == self.rows]
        return named(mine, self.name).assign(part=number)


def together(runs: Sequence[Run], folder: Path | None, info: Mapping[str, Any]) -> Run:
    """Return one run with the rows of all; nothing is written.

    Args:
        runs: the runs.
        folder: where the run will lie.
        info: what ``run.json`` shall say besides, or instead.
    """
    parts = _parts(sorted(runs, key=lambda run: str(run.info.get("started", ""))))
    summary, twice = _newest(_joined(parts, "summary", SummaryRow), KEY, wanted="median_s")
    samples = _joined(parts, "samples", SampleRow)
    if twice:
        kept = summary[[*KEY, "part"]]
        samples = samples.merge(kept, on=[*KEY, "part"])
    matrix = None
    if any(part.run.matrix is not None for part in parts):
        matrix, _ = _newest(_joined(parts, "matrix", MatrixRow), JUDGED)
        matrix = matrix.drop(columns="part").reset_index(drop=True)
    machines = {name: _entry(mine) for name, mine in _by_name(parts).items() if name}
    # The same operation from several runs of a machine: their rounds have nothing to do with each other.
    sources = summary[summary["median_s"].notna()].groupby(["machine", "operation"])["part"].nunique()
    turns = all(bool(part.info.get("turns")) for part in parts if part.name) and bool((sources <= 1).all())
    summary = _under_common_roofs(summary.drop(columns="part").reset_index(drop=True), machines)
    samples = samples.drop(columns="part").reset_index(drop=True)
    common = _common([part.run.info for part in parts], machines)
    return Run(folder, {**common, "turns": turns, "measured_twice": twice, **info}, summary, samples, matrix)


def _parts(runs: Sequence[Run]) -> list[Part]:
    """Return what each run has of each machine, and give every machine one name."""
    parts: list[Part] = []
    known: dict[str, str] = {}
    for run in runs:
        for rows, info in run.machines.items():
            named = bool(run.info.get("machines"))
            name = _named(info, known) if "host" in info else ""
            started = {"run": run.folder.name if run.folder else "", "started": run.info.get("started", "")}
            label = run.info.get("portion") or started
            parts.append(Part(name, info, label, run, rows if named else None))
        if run.info.get("machines") and (run.summary["machine"] == "").any():
            label = {"run": run.folder.name if run.folder else ""}
            parts.append(Part("", {}, label, run, ""))  # what never ran anywhere
    return parts


def _named(info: Mapping[str, Any], known: dict[str, str]) -> str:
    """Return the machine's name: its host's, with a number where the host is known in another state."""
    host = info["host"]
    same = [{what: host.get(what) for what in ("hostname", "python", *HOST)}, info.get("versions"), info.get("git")]
    identity = json.dumps(same, sort_keys=True)
    if identity not in known:
        first = host_name(host)
        taken = {*known.values()}
        others = (f"{first}-{n}" for n in range(2, len(taken) + 3))
        known[identity] = first if first not in taken else next(n for n in others if n not in taken)
    return known[identity]


def _by_name(parts: Iterable[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.name, []).append(part)
    return found


def _joined(parts: Sequence[Part], name: str, row_class: type) -> pd.DataFrame:
    import pandas as pd

    frames = [frame for i, part in enumerate(parts) if (frame := part.frame(name, i)) is not None and len(frame)]
    empty = to_frame([], row_class).assign(part=0)
    return pd.concat(frames, ignore_index=True) if frames else empty


def _newest(frame: pd.DataFrame, key: Sequence[str], wanted: str = "") -> tuple[pd.DataFrame, int]:
    """Return the rows of the newest part for each key, and how many are left out.

    Args:
        frame: with a column ``part``, older ones first.
        key: the columns that make a row the same in another part.
        wanted: a column: a part in which it is empty gives way to an older one in which it is not.
    """
    import numpy as np

    order = frame["part"].to_numpy(dtype=float)
    if wanted:
        order = order + np.where(frame[wanted].notna(), order.max(initial=0.0) + 1.0, 0.0)
    ranked = frame.assign(order=order)
    best = ranked.groupby(list(key), sort=False, dropna=False)["order"].transform("max")
    kept = frame[order == best.to_numpy()]
    return kept, len(frame) - len(kept)


def _entry(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what ``run.json`` says of a machine: of its newest run, with the best and the worst of all."""
    infos = [part.info for part in parts]
    floors = [floor for info in infos if (floor := info.get("noise_floor")) is not None]
    workers: dict[str, dict[str, Any]] = {}
    for worker in (worker for info in infos for worker in info.get("workers") or ()):
        workers.setdefault(str(worker.get("group")), worker)
    runs = [one for part in parts for one in part.info.get("runs") or [part.label]]
    made = {
        **{name: infos[-1].get(name) for name in OF_A_MACHINE},
        "precision": _words(infos),
        "threads": sorted({count for info in infos for count in info.get("threads") or ()}),
        "noise_floor": max(floors, default=None),
        "pairs": [pair for info in infos for pair in info.get("pairs") or ()],
        "peaks": Peaks.best(info["peaks"] for info in infos if info.get("peaks")).to_json(),
        "turns": all(bool(info.get("turns")) for info in infos),
        "workers": list(workers.values()),
        "timed_s": sum(info.get("timed_s", 0.0) for info in infos),
        "runs": runs,
    }
    return {**made, "fingerprint": fingerprint(made)}


def _words(infos: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(sorted({word for info in infos for word in str(info.get("precision", "")).split()}))


def _common(infos: Sequence[Mapping[str, Any]], machines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ``run.json`` says of all together; of one machine what it says of that."""
    floors = [floor for entry in machines.values() if (floor := entry["noise_floor"]) is not None]
    alike = {name: _agreed([entry.get(name) or {} for entry in machines.values()]) for name in OF_A_MACHINE}
    if len(machines) > 1:
        del alike["host"]  # half of one would be nobody's
    seeds = {info.get("seed") for info in infos}
    return {
        "schema": SCHEMA,
        "started": min((str(info.get("started", "")) for info in infos), default=""),
        "seed": seeds.pop() if len(seeds) == 1 else None,
        **(next(iter(machines.values())) if len(machines) == 1 else {}),
        **alike,
        "precision": _words(infos),
        "threads": sorted({count for info in infos for count in info.get("threads") or ()}),
        "own_operations": {name: file for info in infos for name, file in (info.get("own_operations") or {}).items()},
        "state": "complete" if all(info.get("state") == "complete" for info in infos) else "interrupted",
        "noise_floor": max(floors, default=None),
        "wall_s": sum(info.get("wall_s", 0.0) for info in infos),
        "timed_s": sum(info.get("timed_s", 0.0) for info in infos),
        "machines": machines,
    }


def _agreed(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all of them hold."""
    first, *rest = values or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}


def _under_common_roofs(summary: pd.DataFrame, machines: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Hold the cells of a machine that has several runs against the best peaks that any of these saw."""
    import pandas as pd

    several = {name: entry for name, entry in machines.items() if len(entry["runs"]) > 1}
    peaks = {name: Peaks.best([entry["peaks"]]) for name, entry in several.items()}
    modelled = summary["median_s"].notna() & summary["flops"].notna() & summary["machine"].isin([*several])
    columns = {name: summary[name].tolist() for name in ("roof_percent", "bound", "flags")}
    rows: Any = summary[modelled].to_dict("records")
    for i, row in zip(summary.index[modelled], rows, strict=True):
        limit = (several[row["machine"]]["protocol"] or {}).get("roof_percent_limit", FULL.roof_percent_limit)
        found = peaks[row["machine"]].roof(row, limit)
        if found is not None:
            roof, above = found
            flags = [flag for flag in str(row["flags"]).split() if flag != "above-roof" or above]
            for name, value in {**roof, "flags": " ".join(flags)}.items():
                columns[name][i] = value
    made = {name: pd.Series(values, summary.index, dtype=summary[name].dtype) for name, values in columns.items()}
    return summary.assign(**made)

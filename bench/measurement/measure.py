"""Measure operations on backends: what ``multigrad bench`` does, as a function.

This process stays idle while a worker times: it imports no array library until the last worker has ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

from multigrad.data.errors import BadInput
from multigrad.ops.find import Operations, files_of, given_operations
from multigrad.ops.operation import DTYPES
from multigrad.ops.selection import Selection, Selectors
from multigrad.process.entry import entry_point
from multigrad.process.pool import Progress

from ..analysis.load import load_run
from ..plan.cells import Cell, Plan, Refusal, again, cells, of_cells
from ..plan.protocol import FULL, QUICK, Protocol
from ..store.events import Begin, Event, PlanValues
from ..store.journal import Journal
from ..store.machine import allowed_cpus, physical_cpus
from ..store.run import Run, no_run
from . import worktree
from .conductor import Conductor
from .info import folder_of, run_info
from .record import Record
from .resume import Given, resumed


@entry_point(no_run)
def measure(
    ops: Operations = None,
    *,
    rounds: int | None = None,
    protocol: Protocol | None = None,
    resume: Path | None = None,
    against: Path | None = None,
    against_commit: str | None = None,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
    **selectors: Unpack[Selectors],
) -> Run:
    """Time every cell of operations × backends × devices × variants × modes × dtypes × sizes × threads.

    Unless others are named, a run has float32, every variant eager and analytic and autodiff compiled. A quick run has
    three rounds, the size ``small`` (else the middle one) and no memory; a full run has five rounds, the size
    ``medium`` and the largest, and memory at the largest. Later rounds find what a compiler wrote in the first.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        rounds: processes per cell; None is what the protocol says.
        protocol: other constants than those of a full or quick run.
        resume: folder of an unfinished run, whose missing cells are measured; everything but ``progress`` is taken
            from it. What of its code is neither the catalogue's nor one of the backends there are has to be given once
            more: files as ``ops``, ``module:ATTRIBUTE`` as ``backend``, and a commit as ``against_commit``.
        against: folder of an older run, whose cells (those that have a time) are measured again, by its protocol and
            seed; of the other arguments only ``ops`` and ``backend`` count, to find what is not in the catalogue.
        against_commit: a commit that measures the same cells in the same rounds, interleaved; what it found is the
            run's ``before``.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results; None makes one from its GPU or processor.
        progress: told about every finished measurement.
        **selectors: what is timed: the fields of :class:`multigrad.ops.selection.Selection` but ``regime``.

    Returns:
        The run: its folder, ``summary`` (one row per cell) and ``samples`` (one row per block) as data frames.

    Raises:
        BadInput: an unknown name, nothing to measure, or a folder that cannot be written to.
        KeyboardInterrupt: after what was measured has been made readable.
    """
    selection = selected(ops, selectors)
    if resume is not None:
        return resumed(Path(resume), Given(files_of(selection.ops), selection.backend or (), against_commit), progress)
    older = None if against is None else _one_machine(Path(against))
    chosen = protocol or (QUICK if selection.quick else Protocol.of(older.info["protocol"]) if older else FULL)
    chosen = with_rounds(chosen, rounds)
    plan = plan_of(selection, chosen) if older is None else _again(older, selection, chosen)
    more: dict[str, Any] = {}
    if older is not None and older.folder is not None:
        more["against"] = older.folder.name
    if against_commit is not None:
        more["against_commit"] = worktree.commit(worktree.repository(c.reference for c in plan.cells), against_commit)
    return measure_plan(plan, chosen, more=more, out=out, folder=folder, machine=machine, progress=progress)


def selected(ops: Operations, selectors: Selectors) -> Selection:
    """Return what is timed.

    Raises:
        TypeError: an argument that there is none of, such as ``regime``, which is a check's.
    """
    selection = Selection.of(ops, **selectors)
    if selection.regime is not None:
        raise TypeError("regime says how a check draws its inputs; what is timed has none")
    if selection.derivative is not None:
        raise TypeError("derivative says what a check judges; what is timed has none")
    return selection


def measure_selected(selection: Selection, folder: Path, progress: Progress | None) -> Run:
    """Time what is selected, by the protocol of a full or a quick run, into a folder."""
    protocol = QUICK if selection.quick else FULL
    return measure_plan(plan_of(selection, protocol), protocol, folder=folder, progress=progress)


def _one_machine(folder: Path) -> Run:
    run = load_run(folder)
    if len(run.machines) > 1:
        raise BadInput(f"{folder} is of several machines ({', '.join(run.machines)}); wanted a run of this one")
    return run


def _again(older: Run, selection: Selection, protocol: Protocol) -> Plan:
    ops, seed, own = given_operations(selection.ops), older.info["seed"], older.info.get("own_operations")
    return again(older.summary, ops, selection.backend, seed=seed, twins=protocol.twins, own=own)


def plan_of(selection: Selection, protocol: Protocol) -> Plan:
    """Return the plan of the cells that are selected.

    Raises:
        BadInput: as :func:`cells_of`; or all of them are refused.
    """
    return of_cells(cells_of(selection), twins=protocol.twins, seed=selection.seed, quick=selection.quick)


def with_rounds(protocol: Protocol, rounds: int | None) -> Protocol:
    """Return a protocol with another number of processes per cell; None leaves it.

    Raises:
        BadInput: fewer than one.
    """
    if rounds is None:
        return protocol
    if rounds < 1:
        raise BadInput(f"rounds is {rounds}; wanted at least 1")
    return replace(protocol, rounds=rounds)


def cells_of(selection: Selection) -> dict[Cell, Refusal | None]:
    """Return the cells that are selected, each with why it is refused, or None.

    Raises:
        BadInput: an unknown name, or more threads than there are processors.
    """
    operations = given_operations(selection.ops)
    for name in selection.dtype or ():
        if name not in DTYPES:
            raise BadInput(f"no dtype named {name!r}; there are {', '.join(DTYPES)}")
    return cells(replace(selection, ops=operations, threads=tuple(thread_counts(selection.threads))))


def thread_counts(threads: Sequence[int] | None) -> Sequence[int]:
    """Return the counts of threads that are asked for; of None one for each physical core.

    Raises:
        BadInput: more than there are processors, or fewer than one.
    """
    most = len(allowed_cpus())
    for count in threads or ():
        if not 1 <= count <= most:
            raise BadInput(f"threads is {count}; wanted 1 to {most}, the processors there are")
    return threads or [len(physical_cpus())]


def measure_plan(
    plan: Plan,
    protocol: Protocol,
    *,
    more: Mapping[str, Any] | None = None,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Measure the cells of a plan; the arguments are those of :func:`measure`.

    Args:
        plan: the cells.
        protocol: the constants.
        more: what ``run.json`` shall say besides.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results.
        progress: told about every finished measurement.
    """
    info = {**run_info(plan), **(more or {})}
    with folder_of(plan, info["host"], out, folder, machine) as own_folder:
        record = Record(plan, protocol, Journal(own_folder, new=True), progress)
        begin = Begin(info, PlanValues.of(plan), asdict(protocol))
        return Conductor(record, begin, None if out is None and folder is None else own_folder).run()


def events_of(plan: Plan, protocol: Protocol, progress: Progress | None = None) -> list[Event]:
    """Measure the cells of a plan and return what a journal would hold; nothing is kept here."""
    with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
        record = Record(plan, protocol, Journal(Path(scratch), new=True), progress)
        Conductor(record, Begin(run_info(plan), PlanValues.of(plan), asdict(protocol)), None).run()
    return record.events

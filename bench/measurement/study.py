"""A study is measured, or its references are found beforehand: the cells that answer its question."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from multigrad.ops.find import Operations, files_of, operations
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Selection, Selectors
from multigrad.process.entry import entry_point
from multigrad.process.pool import Progress

from ..plan.cells import Cell, Plan, Refusal, of_cells
from ..plan.protocol import FULL, QUICK, Protocol
from ..plan.study import Study, study
from ..store.machine import thread_count
from ..store.run import Run, no_run
from .measure import cells_of, measure_plan, with_rounds
from .references import keep_references
from .resume import Given


@entry_point(no_run)
def measure_study(
    name: str | Path | Study,
    *,
    ops: Operations = None,
    protocol: Protocol | None = None,
    rounds: int | None = None,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
    **selectors: Unpack[Selectors],
) -> Run:
    """Measure the cells of a study; :func:`multigrad.bench.analysis.answer.answer` then has its answer.

    Args:
        name: of a study, its file, or the study.
        ops: the files of operations that a TOML file names: it is data, and they are code; and names of the catalogue,
            if not all of the study's operations are wanted.
        protocol: other constants than those of a full or quick run.
        rounds: processes per cell; None is what the protocol says.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results.
        progress: told about every finished measurement.
        **selectors: ``quick``: three rounds instead of five, and no memory; ``seed`` of inputs and orders; ``backend``
            and ``device``: only these, instead of those of the study. What a TOML file names as ``module:ATTRIBUTE``
            has to be given here.

    Raises:
        TypeError: another argument, which the study says itself.
        BadInput: there is no such study, or nothing to measure.
    """
    chosen = name if isinstance(name, Study) else study(name)
    asked = _asked("measure_study", ops, selectors)
    constants = with_rounds(protocol or (QUICK if asked.quick else FULL), rounds)
    plan = plan_of_study(chosen, asked, constants)
    places: dict[str, Any] = {"out": out, "folder": folder, "machine": machine}
    return measure_plan(plan, constants, more={"study": chosen.to_json()}, progress=progress, **places)


@entry_point(lambda: 0)
def prepare_study(
    name: str | Path | Study,
    references: Path,
    *,
    ops: Operations = None,
    progress: Progress | None = None,
    **selectors: Unpack[Selectors],
) -> int:
    """Find the references of a study and keep them in a folder; nothing is timed.

    A run finds them there where the environment variable ``MULTIGRAD_REFERENCES`` names the folder, on any machine with
    the same code.

    Args:
        name: of a study, its file, or the study.
        references: the folder.
        ops: as in :func:`measure_study`.
        progress: told about every reference.
        **selectors: as in :func:`measure_study`. A reference does not depend on ``backend`` and ``device``.

    Returns:
        How many cells have a reference.

    Raises:
        TypeError: another argument, which the study says itself.
        BadInput: there is no such study, nothing to measure, or the folder cannot be written to.
    """
    asked = _asked("prepare_study", ops, selectors)
    constants = QUICK if asked.quick else FULL
    plan = plan_of_study(name if isinstance(name, Study) else study(name), asked, constants)
    return keep_references(plan, constants, Path(references), progress)


def _asked(function: str, ops: Operations, selectors: Selectors) -> Selection:
    if strays := {*selectors} - {"backend", "device", "quick", "seed"}:
        raise TypeError(f"{function}() has no argument {min(strays)!r}: a study says what is measured")
    return Selection.of(ops, **selectors)


def plan_of_study(chosen: Study, asked: Selection, protocol: Protocol) -> Plan:
    """Return the plan of the cells of a study.

    Args:
        chosen: the study.
        asked: operations that its file may load, and the backends and devices that stand instead of its own.
        protocol: the constants.

    Raises:
        BadInput: it names what is not there or was not given, or there is nothing to measure.
    """
    cells: dict[Cell, Refusal | None] = {}
    given = Given(files_of(asked.ops), asked.backend or ())
    named = _named(asked.ops)
    for table in chosen.cells:
        wanted = {("ops" if k == "operation" else k): v for k, v in table.items()}
        if "threads" in wanted:
            wanted["threads"] = _threads(wanted["threads"])
        wanted |= {k: v for k, v in (("backend", asked.backend), ("device", asked.device)) if v is not None}
        selection = Selection.of(**wanted)
        if chosen.data is not None:
            _permit(selection, chosen.data, given)
        cells |= {
            cell: refusal for cell, refusal in cells_of(selection).items() if not named or cell.operation in named
        }
    return of_cells(cells, twins=protocol.twins, seed=asked.seed, quick=asked.quick)


def _named(ops: Operations) -> set[str]:
    """Return the operations of the catalogue among what was given beside a study: only these are measured."""
    given = [ops] if isinstance(ops, str | Operation) else ops or ()
    return {str(one) for one in given if str(one) in operations()}


def _permit(selection: Selection, file: Path, given: Given) -> None:
    """Make sure that what a file names was given too, as far as it is code.

    Raises:
        BadInput: it was not.
    """
    operations = [selection.ops] if isinstance(selection.ops, str | Operation) else selection.ops
    for reference in operations or ():
        given.reference(str(reference), str(file), f"multigrad bench --study {file} FILE")
    for source in selection.backend or ():
        given.source(source, str(file))


def _threads(given: Any) -> list[int]:
    counts = given if isinstance(given, list) else [given]
    return list(dict.fromkeys(thread_count(count) for count in counts))

"""A study is measured: the cells that answer its question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multigrad.ops.loading import entry_point, files_of
from multigrad.ops.operation import Operations

from ..plan.cells import Cell, Refusal, of_cells
from ..plan.protocol import FULL, QUICK, Protocol
from ..plan.study import Study, study
from ..store.machine import thread_count
from ..store.run import Run, no_run
from .measure import Given, Progress, as_list, cells_of, measure_plan, with_rounds


@entry_point(no_run)
def measure_study(
    name: str | Path | Study,
    *,
    ops: Operations = None,
    quick: bool = False,
    protocol: Protocol | None = None,
    rounds: int | None = None,
    backend: str | Sequence[str] | None = None,
    seed: int = 0,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Measure the cells of a study; :func:`answer` then has its answer.

    Args:
        name: of a study, its file, or the study.
        ops: the files of operations that a TOML file names: it is data, and they are code.
        quick: two rounds instead of five, and no memory.
        protocol: other constants than those of a full or quick run.
        rounds: processes per cell; None is what the protocol says.
        backend: only these, instead of those of the study; ``module:ATTRIBUTE`` of a TOML file has to be given here.
        seed: seed of inputs and orders.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results.
        progress: told about every finished measurement.

    Raises:
        BadInput: there is no such study, or nothing to measure.
    """
    chosen = name if isinstance(name, Study) else study(name)
    constants = with_rounds(protocol or (QUICK if quick else FULL), rounds)
    cells: dict[Cell, Refusal | None] = {}
    given = Given(files_of(ops), as_list(backend) or [])
    for table in chosen.cells:
        wanted = {("ops" if k == "operation" else k): v for k, v in table.items()}
        if "threads" in wanted:
            wanted["threads"] = _threads(wanted["threads"])
        if backend is not None:
            wanted["backend"] = backend
        if chosen.data is not None:
            _permit(wanted, chosen.data, given)
        cells |= cells_of(**wanted)
    plan = of_cells(cells, twins=constants.twins, seed=seed, quick=quick)
    more = {"study": chosen.to_json()}
    places: dict[str, Any] = {"out": out, "folder": folder, "machine": machine}
    return measure_plan(plan, constants, more=more, progress=progress, **places)


def _permit(wanted: Mapping[str, Any], file: Path, given: Given) -> None:
    """Make sure that what a file names was given too, as far as it is code.

    Raises:
        BadInput: it was not.
    """
    for reference in as_list(wanted.get("ops")) or ():
        given.reference(str(reference), str(file), f"multigrad bench --study {file} FILE")
    for source in as_list(wanted.get("backend")) or ():
        given.source(str(source), str(file))


def _threads(given: Any) -> list[int]:
    counts = given if isinstance(given, list) else [given]
    return list(dict.fromkeys(thread_count(count) for count in counts))

"""The main job: check, time and report, into one folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from multigrad.backend import cuda_device_count
from multigrad.matrix.frame import check
from multigrad.ops.find import Operations, given_operations
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Selection, Selectors
from multigrad.process.entry import entry_point
from multigrad.process.pool import Progress

from ..report.writing import write_reports
from ..store.folder import MATRIX, new_run
from ..store.frames import write_frame
from ..store.machine import describe, machine_name, slug
from ..store.run import Run, no_run
from .measure import measure_selected, selected

if TYPE_CHECKING:
    import pandas as pd

QUICK_CHECK_DTYPES = ("float32",)
"""A quick run checks what it times, and leaves the other types to `multigrad check`."""
QUICK_OPERATIONS = ("relu_regression", "linear_map")
"""The two that the project began with: a first look in minutes. The whole catalogue takes hours to time."""


@entry_point(no_run)
def run_job(
    ops: Operations = None,
    *,
    out: Path = Path("results"),
    machine: str | None = None,
    progress: Progress | None = None,
    **selectors: Unpack[Selectors],
) -> Run:
    """Check operations, time those that are right, and write tables and reports into ``out/<machine>/<run>/``.

    The arguments are those of :func:`multigrad.check` and :func:`.measure.measure`; a quick run of no operation in
    particular is one of :data:`QUICK_OPERATIONS`.

    Returns:
        The run, with its matrix.

    Raises:
        BadInput: an unknown name, or a folder that cannot be written to: before any work.
    """
    selection = selected(chosen_operations(ops, quick=selectors.get("quick", False)), selectors)
    name = machine or machine_name(describe(), cuda_device_count() > 0)
    folder = new_run(Path(out), slug(name))
    matrix = check_selected(selection, _saying("checking", progress))
    write_frame(matrix, folder / MATRIX)
    run = replace(measure_selected(selection, folder, _saying("timing", progress)), matrix=matrix)
    write_reports(run)
    return run


def chosen_operations(ops: Operations, *, quick: bool) -> list[Operation]:
    """Return the operations of a run: those that are given, else all, or in a quick run the two it has."""
    return given_operations(QUICK_OPERATIONS if quick and ops is None else ops)


def check_selected(selection: Selection, progress: Progress | None) -> pd.DataFrame:
    """Return the matrix of what is going to be timed: every dtype, or in a quick run those that it times.

    The matrix has no rows of the forward part.
    """
    return check(
        selection.ops,
        backend=selection.backend,
        device=selection.device,
        dtype=selection.dtype or (QUICK_CHECK_DTYPES if selection.quick else None),
        mode=selection.mode,
        variant=judged_variants(selection),
        seed=selection.seed,
        precision=selection.precision,
        progress=progress,
    )


def judged_variants(selection: Selection) -> tuple[str, ...] | None:
    """Return the variants that have rows in the matrix; None is all."""
    return tuple(name for name in selection.variant or () if name != "forward") or None


def _saying(what: str, progress: Progress | None) -> Progress | None:
    """Let the progress say which of the two it is."""
    return None if progress is None else lambda done, total, text: progress(done, total, f"{what} {text}")

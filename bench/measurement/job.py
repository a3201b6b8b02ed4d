"""The main job: check, time and report, into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multigrad.backend import cuda_device_count
from multigrad.matrix.frame import check
from multigrad.matrix.run import Progress
from multigrad.ops.find import Operations, given_operations
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision
from multigrad.process.entry import entry_point

from ..report.writing import write_reports
from ..store import files as store
from ..store import machine as machines
from .measure import measure

QUICK_CHECK_DTYPES = ("float32",)
"""A quick run checks what it times, and leaves the other types to `multigrad check`."""
QUICK_OPERATIONS = ("relu_regression", "linear_map")
"""The two that the project began with: a first look in minutes. The whole catalogue takes hours to time."""


@entry_point(store.no_run)
def run_job(
    ops: Operations = None,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | Sequence[str] | None = None,
    dtype: str | Sequence[str] | None = None,
    threads: int | None = None,
    precision: Precision = "strict",
    quick: bool = False,
    seed: int = 0,
    out: Path = Path("results"),
    machine: str | None = None,
    progress: Progress | None = None,
) -> store.Run:
    """Check operations, time those that are right, and write tables and reports into ``out/<machine>/<run>/``.

    The arguments are those of :func:`multigrad.check` and :func:`.measure.measure`; a quick run of no operation in
    particular is one of :data:`QUICK_OPERATIONS`.

    Returns:
        The run, with its matrix.

    Raises:
        BadInput: an unknown name, or a folder that cannot be written to: before any work.
    """
    chosen = chosen_operations(ops, quick=quick)
    name = machine or machines.machine_name(machines.describe(), cuda_device_count() > 0)
    folder = store.new_run(Path(out), machines.slug(name))
    matrix = check(
        chosen,
        backend=backend,
        device=device,
        dtype=checked_dtypes(dtype, quick=quick),
        seed=seed,
        precision=precision,
        progress=_saying("checking", progress),
    )
    store.write_frame(matrix, folder / store.MATRIX)
    measure(
        chosen,
        backend=backend,
        device=device,
        dtype=dtype,
        threads=threads,
        precision=precision,
        quick=quick,
        seed=seed,
        folder=folder,
        progress=_saying("timing", progress),
    )
    write_reports(folder)
    return store.load_run(folder)


def chosen_operations(ops: Operations, *, quick: bool) -> list[Operation]:
    """Return the operations of a run: those that are given, else all, or in a quick run the two it has."""
    return given_operations(QUICK_OPERATIONS if quick and ops is None else ops)


def checked_dtypes(dtype: str | Sequence[str] | None, *, quick: bool) -> str | Sequence[str] | None:
    """Return the dtypes that a run checks: those that are given, else all (None), or in a quick run what it times."""
    return dtype or (QUICK_CHECK_DTYPES if quick else None)


def _saying(what: str, progress: Progress | None) -> Progress | None:
    """Let the progress say which of the two it is."""
    return None if progress is None else lambda done, total, text: progress(done, total, f"{what} {text}")

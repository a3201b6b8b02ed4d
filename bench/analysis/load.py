"""Runs are read from their folders, rebuilt from their journals, and written."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from multigrad.data.errors import BadInput
from multigrad.matrix import MatrixRow

from ..store.folder import BEFORE, JOURNAL, MATRIX, RUN, SAMPLES, SCALING, SUMMARY, write_text
from ..store.frames import read_rows, to_frame, write_frame
from ..store.journal import journal_events
from ..store.rows import SampleRow, SummaryRow
from ..store.run import Run, read_info
from .assemble import assemble
from .combine import of_portions
from .scaling import scaling

if TYPE_CHECKING:
    import pandas as pd


def load_run(folder: Path) -> Run:
    """Read a run. One that was killed is first rebuilt from its journal.

    Raises:
        BadInput: there is none, or a file is damaged.
    """
    run = _one_side(Path(folder))
    beside = Path(folder) / BEFORE
    return replace(run, before=_one_side(beside)) if os.path.lexists(beside / RUN) else run


def _one_side(folder: Path) -> Run:
    if not os.path.isdir(folder):
        raise BadInput(f"no folder {folder}; wanted the folder of a run, such as results/<machine>/<run>")
    if os.path.lexists(folder / JOURNAL) and not os.path.lexists(folder / SUMMARY):
        rebuild(folder)
    info = read_info(folder)
    tables: dict[str, pd.DataFrame | None] = {}
    for name, row_class in ((SUMMARY, SummaryRow), (SAMPLES, SampleRow), (MATRIX, MatrixRow)):
        tables[name] = read_rows(folder / name, row_class) if os.path.lexists(folder / name) else None
    if tables[SUMMARY] is None and tables[MATRIX] is None:
        raise BadInput(f"{folder} holds neither {SUMMARY} nor {MATRIX}")
    empty = to_frame([], SummaryRow), to_frame([], SampleRow)
    summary, samples = (e if t is None else t for e, t in zip(empty, (tables[SUMMARY], tables[SAMPLES]), strict=True))
    return Run(folder, info, summary, samples, tables[MATRIX])


def rebuild(folder: Path) -> Run:
    """Write the tables of a run from its journal, and return the run.

    Raises:
        BadInput: there is no journal, or it is damaged.
    """
    folder = Path(folder)
    begin, events = journal_events(folder)
    run = assemble(begin, begin.plan.plan(), [*events], folder) if begin.plan else of_portions(begin, events, folder)
    write_run(run)
    return run


def write_run(run: Run) -> None:
    """Write the tables and ``run.json`` of a run into its folder."""
    if run.folder is None:
        return
    if run.before is not None and run.before.folder is not None:
        try:
            run.before.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {run.before.folder}: {error.strerror}") from error
        write_run(run.before)
    if run.matrix is not None:
        write_frame(run.matrix, run.folder / MATRIX)
    write_frame(run.samples, run.folder / SAMPLES)
    sweeps = scaling(run)
    if len(sweeps):
        write_frame(sweeps, run.folder / SCALING)
    write_frame(run.summary, run.folder / SUMMARY)
    write_text(run.folder / RUN, json.dumps(run.info, indent=1, ensure_ascii=False) + "\n")

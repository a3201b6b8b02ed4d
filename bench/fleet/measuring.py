"""Measuring a portion on one machine of a fleet, alone: the side of a Dask worker."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from multigrad.backend import THREAD_VARIABLES
from multigrad.data.errors import BadInput
from multigrad.process.pool import Progress

from ..measurement.job import check_selected
from ..measurement.measure import events_of, thread_counts
from ..plan.cells import Cell, Plan, Refusal, of_cells
from ..plan.protocol import Protocol
from ..store.events import Event, to_json
from ..store.machine import slug
from .cluster import check_versions, versions
from .portions import Portion, Request


class Unwanted(Exception):
    """Whoever asked for a portion has given it up or is gone."""


def measure_portion(
    portion_json: Mapping[str, Any], request_json: Mapping[str, Any], wanted_versions: Mapping[str, str]
) -> bytes:
    """Check and time one operation on this machine, alone; the worker's side.

    Returns:
        Compressed JSON: ``events``, as a journal holds them; ``matrix``, its rows; ``worker``, who measured. Or
        ``refused``, where the versions are not the client's; or ``nothing``: why nothing can be measured here.
    """
    from distributed import get_worker

    here = get_worker()
    worker, key = here.address, here.get_current_task()

    def heed(done: int, total: int, text: str) -> None:
        # Dask stops no task that runs: this one looks itself, whenever a cell begins or ends.
        task = here.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Unwanted(f"nobody waits for {text} any more")

    try:
        check_versions(wanted_versions, versions(), f"the worker {worker}")
    except BadInput as error:
        return packed({"refused": str(error)})
    portion = Portion.from_json(portion_json)
    request = Request.from_json(request_json)
    # What a nanny sets for Dask's own work: ours say themselves how many threads they have.
    for name in (*THREAD_VARIABLES, "MALLOC_TRIM_THRESHOLD_"):
        os.environ.pop(name, None)
    try:
        threads = thread_counts(request.selection.threads)[0]
        cells = request.cells(portion, threads)
    except BadInput as error:
        return packed({"nothing": f"{worker}: {error}"})
    with alone():
        heed(0, 0, portion.operation)  # it may have waited for long
        rows = _checked(portion, request, heed)
        return packed({"worker": worker, "matrix": rows, "events": [*map(to_json, _timed(cells, request, heed))]})


def packed(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as compressed JSON."""
    return gzip.compress(
        json.dumps(answer, ensure_ascii=False).encode(errors="backslashreplace"), compresslevel=6, mtime=0
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other worker of this user measures on this machine; the kernel gives way when a process dies."""
    path = Path(tempfile.gettempdir()) / f"multigrad-{slug(getpass.getuser())}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checked(portion: Portion, request: Request, progress: Progress) -> list[dict[str, Any]]:
    """Return the rows of the matrix; none where nothing can be compared here, for reasons that the cells have too."""
    try:
        frame = check_selected(request.of_portion(portion), progress)
    except BadInput:
        return []
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _timed(cells: Mapping[Cell, Refusal | None], request: Request, progress: Progress) -> list[Event]:
    selection = request.selection
    try:
        plan = of_cells(cells, twins=request.protocol["twins"], seed=selection.seed, quick=selection.quick)
    except BadInput:  # all of them are refused, each with its reason
        plan = Plan(tuple(cells), {i: r for i, r in enumerate(cells.values()) if r}, (), selection.seed)
    return events_of(plan, Protocol.of(request.protocol), progress)

"""``run``, the main job: check, time and report, on this machine or on those of a fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multigrad.data.errors import BadInput

from .exits import GOOD, WRONG
from .options import (
    AsJson,
    Backends,
    DeviceCount,
    Devices,
    Dtypes,
    Machine,
    Mesh,
    Ops,
    Out,
    PrecisionName,
    Scheduler,
    Seed,
    Threads,
    selectors,
    split,
    use_scheduler,
)
from .output import print_json

Quick = Annotated[
    bool,
    typer.Option("--quick", help="Few sizes and rounds of two operations, unless others are named: done in minutes."),
]
Fleet = Annotated[
    str | None,
    typer.Option("--fleet", help="tcp://host:port of a Dask scheduler whose workers measure; --machine is a tag."),
]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with an unfinished run of a fleet.")]


def run(
    ops: Ops = None,
    backend: Backends = None,
    device: Devices = None,
    devices: DeviceCount = None,
    mesh: Mesh = None,
    dtype: Dtypes = None,
    threads: Threads = None,
    precision: PrecisionName = "strict",
    scheduler: Scheduler = None,
    quick: Quick = False,
    fleet: Fleet = None,
    resume: Resume = None,
    seed: Seed = 0,
    out: Out = Path("results"),
    machine: Machine = None,
    as_json: AsJson = False,
) -> None:
    """Check, time and report: the main job."""
    from ..measurement.job import run_job
    from ..report.verdicts import is_wrong
    from ..report.writing import written
    from .matrix_table import show_matrix
    from .terminal import progress, say
    from .timing_tables import show_machines, show_summary

    use_scheduler(scheduler, backend)
    if resume is not None and fleet is None:
        raise BadInput(
            f"--resume goes on with a fleet's run; wanted --fleet too (or: multigrad bench --resume {resume})"
        )
    wanted = selectors(backend=backend, device=device, devices=devices, mesh=mesh, dtype=dtype, threads=threads,
                       precision=precision, quick=quick, seed=seed)  # fmt: skip
    with progress("run") as tick:
        if fleet is None:
            job = run_job(split(ops), **wanted, out=out, machine=machine, progress=tick)
        else:
            from ..fleet.fleet import run_fleet

            job = run_fleet(split(ops), **wanted, address=fleet, resume=resume, out=out, machine=machine, progress=tick)
    assert job.matrix is not None
    assert job.folder is not None
    if as_json:
        print_json({"folder": str(job.folder), "matrix": job.matrix, "summary": job.summary})
    else:
        show_matrix(job.matrix)
        show_summary(job.summary)
        if fleet is not None:
            show_machines(job)
        for line in (f"Results: {job.folder}", *written(job.folder)):
            say(line)
    raise typer.Exit(WRONG if is_wrong(job.matrix) or is_wrong(job.summary) else GOOD)

"""``run``, the main job: check, time and report, on this machine or on those of a fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multigrad.data.errors import BadInput

from . import options
from .exits import GOOD, WRONG
from .options import selectors, split, use_scheduler
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
    ops: options.Ops = None,
    backend: options.Backends = None,
    device: options.Devices = None,
    devices: options.DeviceCount = None,
    mesh: options.Mesh = None,
    dtype: options.Dtypes = None,
    implementation: options.Implementations = None,
    threads: options.Threads = None,
    precision: options.PrecisionName = "strict",
    scheduler: options.Scheduler = None,
    quick: Quick = False,
    fleet: Fleet = None,
    resume: Resume = None,
    seed: options.Seed = 0,
    out: options.Out = Path("results"),
    machine: options.Machine = None,
    as_json: options.AsJson = False,
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
                       precision=precision, implementation=implementation, quick=quick, seed=seed)  # fmt: skip
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
        show_summary(job)
        if fleet is not None:
            show_machines(job)
        for line in (f"Results: {job.folder}", *written(job.folder)):
            say(line)
    raise typer.Exit(WRONG if is_wrong(job.matrix) or is_wrong(job.summary) else GOOD)

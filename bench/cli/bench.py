"""``bench``: timing tables of a selection, of a study's question, or against another run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multigrad.data.errors import BadInput

from . import options
from .exits import GOOD, SLOWER, WRONG
from .options import regression_words, selectors, split, use_scheduler
from .output import print_json, write_csv

if TYPE_CHECKING:
    import pandas as pd

    from ..store.run import Run

Rounds = Annotated[int | None, typer.Option("--rounds", help="Fresh processes for each backend.")]
Quick = Annotated[bool, typer.Option("--quick", help="Few sizes and rounds: a first look in minutes.")]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with an unfinished run.")]
Study = Annotated[
    str | None, typer.Option("--study", help="Ask a question: a study's name (`multigrad list`) or file.")
]
Against = Annotated[
    str | None, typer.Option("--against", help="Measure an older run's cells again and compare; exit 2 if slower.")
]
AgainstCommit = Annotated[
    str | None, typer.Option("--against-commit", help="Measure that commit too, interleaved, and compare.")
]
Export = Annotated[
    list[str] | None, typer.Option("--export", help="FORMAT=FILE: github-action-benchmark, bencher or pyperf.")
]
Prepare = Annotated[
    Path | None,
    typer.Option(
        "--prepare",
        help="Of a study: only find its references and keep them in this folder, for MULTIGRAD_REFERENCES to name.",
    ),
]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Of a study: also write its answer to this file.")]


def bench(
    ops: options.Ops = None,
    backend: options.Backends = None,
    device: options.Devices = None,
    devices: options.DeviceCount = None,
    mesh: options.Mesh = None,
    dtype: options.Dtypes = None,
    mode: options.Modes = None,
    variant: options.Variants = None,
    implementation: options.Implementations = None,
    size: options.Sizes = None,
    threads: options.Threads = None,
    precision: options.PrecisionName = "strict",
    scheduler: options.Scheduler = None,
    rounds: Rounds = None,
    quick: Quick = False,
    resume: Resume = None,
    study: Study = None,
    prepare: Prepare = None,
    against: Against = None,
    against_commit: AgainstCommit = None,
    fail_on: options.FailOn = None,
    export: Export = None,
    markdown: Markdown = None,
    seed: options.Seed = 0,
    out: options.Out = Path("results"),
    machine: options.Machine = None,
    as_json: options.AsJson = False,
    csv: options.AsCsv = None,
) -> None:
    """Print timing tables; a wrong result has no time."""
    from ..analysis.compare import find_run
    from ..measurement import measure
    from .terminal import progress

    use_scheduler(scheduler, backend)
    where: dict[str, Any] = {"rounds": rounds, "quick": quick, "seed": seed, "out": out, "machine": machine}
    if study is not None:
        _refuse_beside_study(devices=devices, mesh=mesh, dtype=dtype, mode=mode, variant=variant,
                             implementation=implementation, size=size, threads=threads, resume=resume, against=against,
                             against_commit=against_commit, export=export)  # fmt: skip
        chosen = {"ops": split(ops), "backend": split(backend), "device": split(device)}
        if prepare is not None:
            prepare_references(study, prepare, {**chosen, "quick": quick, "seed": seed})
        bench_study(study, {**chosen, **where}, markdown, as_json, csv)
    if prepare is not None:
        raise BadInput("--prepare finds the references of a study; wanted --study too")
    if markdown is not None:
        raise BadInput("--markdown writes the answer of a study; wanted --study too")
    older = None if against is None else find_run(against, out)
    wanted = selectors(backend=backend, device=device, devices=devices, mesh=mesh, dtype=dtype, mode=mode,
                       variant=variant, implementation=implementation, size=size, threads=threads,
                       precision=precision)  # fmt: skip
    with progress("timing") as tick:
        run = measure.measure(split(ops), **wanted, **where, resume=resume, against=older,
                              against_commit=against_commit, progress=tick)  # fmt: skip
    _export(run, export)
    write_csv(run.summary, csv)
    _show(run, older if older is not None else run.before, as_json, fail_on)


def _refuse_beside_study(**options: object) -> None:
    if stray := [name for name, given in options.items() if given]:
        option = f"--{stray[0].replace('_', '-')}"
        raise BadInput(f"a study says what is measured; found {option} too: leave it out, or write a study of it")


def _show(run: Run, before: Path | Run | None, as_json: bool, fail_on: str | None) -> None:
    """Print a run, compared with another one if there is one, and end with the code that they ask for."""
    from ..analysis.compare import compare, failing, geometric_means
    from ..report.verdicts import is_wrong
    from .terminal import say
    from .timing_tables import show_comparison, show_scaling, show_summary

    comparison: pd.DataFrame | None = None if before is None else compare(before, run)
    if as_json:
        print_json(run.summary if comparison is None else {"summary": run.summary, "comparison": comparison})
    else:
        show_summary(run)
        show_scaling(run)
        say(f"Results: {run.folder}")
        if comparison is not None:
            show_comparison(comparison, geometric_means(comparison))
    if is_wrong(run.summary):
        raise typer.Exit(WRONG)
    slower = comparison is not None and len(failing(comparison, regression_words(fail_on)))
    raise typer.Exit(SLOWER if slower else GOOD)


def _export(run: Run, files: list[str] | None) -> None:
    from ..report.exports import export

    for text in files or ():
        name, given, path = text.partition("=")
        if not given:
            raise BadInput(f"--export {text!r} has no file; wanted FORMAT=FILE, such as pyperf=times.json")
        export(run, name, Path(path))


def prepare_references(name: str, folder: Path, options: dict[str, Any]) -> None:
    """Find the references of a study, keep them in a folder, and exit."""
    from ..measurement.study import prepare_study
    from .terminal import progress, say

    with progress("references") as tick:
        count = prepare_study(name, folder, **options, progress=tick)
    say(f"{count} cells have a reference in {folder}; MULTIGRAD_REFERENCES={folder} lets a run find them there")
    raise typer.Exit(GOOD)


def bench_study(name: str, options: dict[str, Any], markdown: Path | None, as_json: bool, csv: Path | None) -> None:
    """Measure what a study asks for, print its answer, and exit."""
    from ..analysis.answer import answer
    from ..measurement.study import measure_study
    from ..plan.study import study
    from ..report.verdicts import is_wrong
    from .terminal import progress, say, show_frame
    from .timing_tables import show_summary

    chosen = study(name)
    with progress(chosen.name) as tick:
        run = measure_study(chosen, **options, progress=tick)
    frame, sentence = answer(chosen, run)
    if markdown is not None:
        from ..report.answers import write_answer

        write_answer(markdown, chosen, run)
    write_csv(frame, csv)
    if as_json:
        print_json(frame)
    else:
        show_summary(run)
        show_frame(chosen.question, frame)
        say(f"{sentence}\nResults: {run.folder}")
    raise typer.Exit(WRONG if is_wrong(run.summary) else GOOD)

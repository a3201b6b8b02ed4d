"""The command line. Nothing heavy is imported to print help: each command imports what it needs."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multigrad.data.errors import BadInput
from multigrad.process.entry import entry_point

from ..report.plain import visible
from . import streams

if TYPE_CHECKING:
    import pandas as pd

DEBUG = "--debug"

GOOD, WRONG, SLOWER, UNUSABLE = 0, 1, 2, 3
"""Exit codes: all is well; a correctness failure; a regression; bad usage or unreadable data."""

app = typer.Typer(
    name="multigrad",
    help="Write a gradient once, prove it, run it on every array framework, see what it costs.",
    epilog="Exit codes: 0 good, 1 a correctness failure, 2 a regression, 3 bad usage or unreadable data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Ops = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OP|FILE]…", help="Catalogue names, files (my_gradient.py) or file::name. None: all."),
]
Backends = Annotated[
    list[str] | None,
    typer.Option("--backend", "-b", help="A backend, such as torch; may be repeated or separated by commas."),
]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device", help="cpu or cuda, or a mesh: cpu:8, cuda:2, cpu:4x2. Default: every one a backend knows."
    ),
]
DeviceCount = Annotated[
    int | None,
    typer.Option("--devices", help="Split arrays among so many devices of each kind. 8 makes cpu into cpu:8."),
]
Mesh = Annotated[
    str | None, typer.Option("--mesh", help="The same for a mesh of two axes. 4x2 makes cpu into cpu:4x2.")
]
Dtypes = Annotated[
    list[str] | None, typer.Option("--dtype", "-d", help="float64, float32, bfloat16 or float16; repeatable.")
]
Modes = Annotated[list[str] | None, typer.Option("--mode", help="eager or compiled. Default: both.")]
Variants = Annotated[
    list[str] | None, typer.Option("--variant", help="forward, analytic, autodiff or native. Default: all.")
]
Sizes = Annotated[list[str] | None, typer.Option("--size", help="A named size, as in `multigrad list`, or largest.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="strict, or tf32 for float32 products.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a row, instead of a table.")]
AsCsv = Annotated[Path | None, typer.Option("--csv", help="Also write every row to this file, as CSV.")]
Threads = Annotated[int | None, typer.Option("--threads", "-t", help="Threads of each worker. Default: all cores.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Run Dask on the scheduler at this address, tcp://host:port.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that holds <machine>/<run>/.")]
FailOn = Annotated[
    str | None, typer.Option("--fail-on", help="Words that make the exit code 2, such as slower,missing; or none.")
]
Machine = Annotated[str | None, typer.Option("--machine", help="Name of this machine in the results.")]


def _split(values: list[str] | None) -> list[str] | None:
    return [part for value in values for part in value.split(",") if part] if values else None


def _devices(device: list[str] | None, count: int | None, mesh: str | None) -> list[str] | None:
    """Return the devices that are asked for, each as the mesh that is asked for."""
    if count is None and mesh is None:
        return _split(device)
    if count is not None and mesh is not None:
        raise BadInput(f"--devices {count} and --mesh {mesh} both say how many devices there are; wanted one of them")
    kinds = _split(device) or ["cpu"]
    option = f"--mesh {mesh}" if count is None else f"--devices {count}"
    if meshes := [name for name in kinds if ":" in name]:
        raise BadInput(f"--device {meshes[0]} and {option} both say how many devices there are; wanted one of them")
    return kinds if count == 1 else [f"{kind}:{mesh if count is None else count}" for kind in kinds]


def _precision(value: str) -> Any:
    if value not in ("strict", "tf32"):
        raise BadInput(f"no precision named {value!r}; there are strict, tf32")
    return value


def _use_scheduler(address: str | None, backends: list[str] | None) -> None:
    if address is not None:
        from multigrad.backend.scheduler import use_scheduler

        use_scheduler(address, _split(backends))


@app.command("list", epilog="Example: multigrad list")
def list_(as_json: AsJson = False) -> None:
    """Show operations and backends: what is here, what is missing and how to install it."""
    from ..report import tables

    if as_json:
        frames = {"operations": tables.operations_frame(), "backends": tables.backends_frame()}
        _print_json({**frames, "studies": tables.studies_frame()})
        return
    tables.show_operations()
    tables.show_backends()
    tables.show_frame("Studies: multigrad bench --study NAME", tables.studies_frame())


@app.command(epilog="Example: multigrad check my_gradient.py --backend numpy,torch --dtype float32")
def check(
    ops: Ops = None,
    backend: Backends = None,
    device: Devices = None,
    devices: DeviceCount = None,
    mesh: Mesh = None,
    dtype: Dtypes = None,
    mode: Modes = None,
    variant: Variants = None,
    size: Annotated[str | None, typer.Option("--size", help="A named size. Default: the smallest.")] = None,
    regime: Annotated[
        list[str] | None, typer.Option("--regime", help="How inputs are drawn: gaussian, integers, …; default all.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--inputs", help="An .npz file with one array for each input, by name.")
    ] = None,
    seed: Seed = 0,
    precision: PrecisionOption = "strict",
    timeout: Annotated[
        float, typer.Option("--timeout", min=1.0, help="Seconds without a sign after which a worker is killed.")
    ] = 60.0,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
    csv: AsCsv = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML for a CI system.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="In GitHub Actions: write the step's summary and annotate the source.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            help="What fails besides a FAIL: all, finding, portability, inconclusive, unavailable (with commas).",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every row, not only what is amiss.")] = False,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Prove the formulas and write what was proven to this file.")
    ] = None,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Instead: make wrong gradients of each operation and see who notices.")
    ] = False,
    kinks: Annotated[
        bool, typer.Option("--kinks", help="Instead: what each framework's autodiff returns where there is a kink.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where --mutants writes its table.")] = Path("results"),
) -> None:
    """Print the correctness matrix; exit 1 if anything is wrong."""
    from multigrad.matrix.frame import check as run_check
    from multigrad.matrix.rows import failing

    from ..report import tables
    from ..report.terminal import progress

    _use_scheduler(scheduler, backend)
    failing(fail_on)  # an unknown word is said before the work, not after it
    summary = _github_summary(as_json) if github else None
    formulas = None if as_json or github else tables.Formulas()
    if kinks:
        _check_kinks(as_json)
    if mutants:
        _check_mutants(_split(ops), _split(backend), out, as_json)
    if certificate is not None:
        _certify(_split(ops), seed, certificate)
    with progress("checking") as tick:
        frame = run_check(
            _split(ops),
            backend=_split(backend),
            device=_devices(device, devices, mesh),
            dtype=_split(dtype),
            mode=_split(mode),
            variant=_split(variant),
            size=size,
            regime=_split(regime),
            inputs=inputs,
            seed=seed,
            precision=_precision(precision),
            timeout_s=timeout,
            progress=tick,
            tell=formulas,
        )
    _write_csv(frame, csv)
    if junit is not None:
        from ..report.junit import write_junit

        write_junit(frame, junit, fail_on)
    if as_json:
        _print_json(frame)
    elif summary is not None:
        _tell_github(frame, _split(ops), summary, verbose, fail_on)
    else:
        tables.show_matrix(frame, verbose=verbose, formulas=formulas is None or not formulas.shown)
    if tables.is_wrong(frame, fail_on):
        raise typer.Exit(WRONG)
    if open_questions := tables.without_verdict(frame):
        raise BadInput(f"no verdict on {open_questions}; this is no pass")
    raise typer.Exit(GOOD)


def _github_summary(as_json: bool) -> Path:
    from ..report.github import summary_file

    if as_json:
        raise BadInput("--github and --json both print for a program; wanted one of them (--csv FILE has every row)")
    return summary_file()


def _tell_github(frame: pd.DataFrame, ops: list[str] | None, summary: Path, verbose: bool, fail_on: str | None) -> None:
    from multigrad.ops.find import given_operations

    from ..report import github, tables

    github.write_summary(frame, summary)
    with github.commands_stopped(sys.stdout):
        tables.show_matrix(frame, verbose=verbose)
    for line in github.annotated(frame, given_operations(ops), fail_on):
        print(line)  # noqa: T201 - the runner reads the output


def _check_kinks(as_json: bool) -> None:
    from multigrad.proof.conventions import conventions

    from ..report import tables

    frame = conventions()
    if as_json:
        _print_json(frame)
    else:
        tables.show_frame("What autodiff returns at a kink", frame)
    raise typer.Exit(GOOD)


def _check_mutants(ops: list[str] | None, backends: list[str] | None, out: Path, as_json: bool) -> None:
    from multigrad.mutation.kill import kill_matrix
    from multigrad.mutation.shares import kill_markdown, kill_shares, survivors

    from ..report import tables
    from ..report.terminal import progress, say
    from ..store.files import write_frame, write_text

    with progress("mutants") as tick:
        frame = kill_matrix(ops, backends=backends, progress=tick)
    write_frame(frame, out / "kill_matrix.csv")
    write_text(out / "kill_matrix.md", kill_markdown(frame))
    left = survivors(frame)
    if as_json:
        _print_json({"shares": kill_shares(frame), "survivors": left})
    else:
        tables.show_frame("Who notices a wrong gradient", kill_shares(frame))
        if len(left):
            tables.show_frame("Wrong gradients that multigrad did not notice", left)
        say(f"Written: {out / 'kill_matrix.csv'}, {out / 'kill_matrix.md'}")
    raise typer.Exit(WRONG if len(left) else GOOD)


def _certify(ops: list[str] | None, seed: int, path: Path) -> None:
    from multigrad.proof.certificate import write_certificate

    from ..report import tables
    from ..report.terminal import say

    frame = write_certificate(path, ops, seed=seed)
    passed = int(frame["passed"].sum())
    say(f"Certificate: {passed} of {len(frame)} gradients certified, written to {path}")
    if passed < len(frame):
        tables.show_frame("Not certified", frame[~frame["passed"]][["operation", "output", "size", "regime"]])
        raise typer.Exit(WRONG)


@app.command(epilog="Example: multigrad verify out.json")
def verify(
    certificate: Annotated[Path, typer.Argument(help="A file that `multigrad check --certificate` wrote.")],
    ops: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]…", help="The files with its operations, where they are not the catalogue's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Repeat the proofs of a certificate; exit 1 if one does not come out again."""
    from multigrad.proof.certificate import verify as run_verify

    from ..report import tables

    frame = run_verify(certificate, _split(ops))
    if as_json:
        _print_json(frame)
    else:
        tables.show_frame(f"Certificate {certificate}", frame)
    raise typer.Exit(WRONG if tables.is_wrong(frame) else GOOD)


@app.command(epilog="Example: multigrad bench relu_regression --backend numpy,torch --dtype float32 --size large")
def bench(
    ops: Ops = None,
    backend: Backends = None,
    device: Devices = None,
    devices: DeviceCount = None,
    mesh: Mesh = None,
    dtype: Dtypes = None,
    mode: Modes = None,
    variant: Variants = None,
    size: Sizes = None,
    threads: Threads = None,
    precision: PrecisionOption = "strict",
    scheduler: Scheduler = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Fresh processes for each backend.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few sizes and rounds: a first look in minutes.")] = False,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with an unfinished run.")] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Ask a question: a study's name (`multigrad list`) or file.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Measure an older run's cells again and compare; exit 2 if slower.")
    ] = None,
    against_commit: Annotated[
        str | None, typer.Option("--against-commit", help="Measure that commit too, interleaved, and compare.")
    ] = None,
    fail_on: FailOn = None,
    export: Annotated[
        list[str] | None, typer.Option("--export", help="FORMAT=FILE: github-action-benchmark, bencher or pyperf.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Of a study: also write its answer to this file.")
    ] = None,
    seed: Seed = 0,
    out: Out = Path("results"),
    machine: Machine = None,
    as_json: AsJson = False,
    csv: AsCsv = None,
) -> None:
    """Print timing tables; a wrong result has no time."""
    from ..analysis import compare as comparing
    from ..measurement.measure import measure
    from ..report import tables
    from ..report.terminal import progress, say

    _use_scheduler(scheduler, backend)
    if study is not None:
        stray: dict[str, object] = {
            "--device": device,
            "--devices": devices,
            "--mesh": mesh,
            "--dtype": dtype,
            "--mode": mode,
            "--variant": variant,
        }
        stray |= {"--size": size, "--threads": threads, "--resume": resume, "--against": against}
        stray |= {"--against-commit": against_commit, "--export": export}
        if found := [name for name, given in stray.items() if given]:
            raise BadInput(f"a study says what is measured; found {found[0]} too: leave it out, or write a study of it")
        _bench_study(study, _split(ops), _split(backend), quick, rounds, seed, out, machine, markdown, as_json, csv)
    if markdown is not None:
        raise BadInput("--markdown writes the answer of a study; wanted --study too")
    older = None if against is None else comparing.find_run(against, out)
    with progress("timing") as tick:
        run = measure(
            _split(ops),
            backend=_split(backend),
            device=_devices(device, devices, mesh),
            dtype=_split(dtype),
            mode=_split(mode),
            variant=_split(variant),
            size=_split(size),
            threads=threads,
            precision=_precision(precision),
            rounds=rounds,
            quick=quick,
            resume=resume,
            against=older,
            against_commit=against_commit,
            seed=seed,
            out=out,
            machine=machine,
            progress=tick,
        )
    _export(run, export)
    _write_csv(run.summary, csv)
    before = older if older is not None else run.before
    frame = None if before is None else comparing.compare(before, run)
    if as_json:
        _print_json(run.summary if frame is None else {"summary": run.summary, "comparison": frame})
    else:
        tables.show_summary(run.summary)
        tables.show_scaling(run)
        say(f"Results: {run.folder}")
        if frame is not None:
            tables.show_comparison(frame, comparing.geometric_means(frame))
    if tables.is_wrong(run.summary):
        raise typer.Exit(WRONG)
    slower = frame is not None and len(comparing.failing(frame, _fail_words(fail_on)))
    raise typer.Exit(SLOWER if slower else GOOD)


def _fail_words(text: str | None) -> tuple[str, ...]:
    from ..analysis import compare as comparing

    return comparing.parse_words(text) if text else comparing.REGRESSIONS


def _export(run: Any, wanted: list[str] | None) -> None:
    from ..report.exports import export

    for one in wanted or ():
        name, given, path = one.partition("=")
        if not given:
            raise BadInput(f"--export {one!r} has no file; wanted FORMAT=FILE, such as pyperf=times.json")
        export(run, name, Path(path))


def _bench_study(
    name: str,
    files: list[str] | None,
    backend: list[str] | None,
    quick: bool,
    rounds: int | None,
    seed: int,
    out: Path,
    machine: str | None,
    markdown: Path | None,
    as_json: bool,
    csv: Path | None,
) -> None:
    from ..measurement import study as studying
    from ..report import tables
    from ..report.terminal import progress, say

    chosen = studying.study(name)
    with progress(chosen.name) as tick:
        run = studying.measure_study(
            chosen,
            ops=files,
            quick=quick,
            rounds=rounds,
            backend=backend,
            seed=seed,
            out=out,
            machine=machine,
            progress=tick,
        )
    frame, sentence = studying.answer(chosen, run)
    if markdown is not None:
        from ..report.answers import write_answer

        write_answer(markdown, chosen, run)
    _write_csv(frame, csv)
    if as_json:
        _print_json(frame)
    else:
        tables.show_summary(run.summary)
        tables.show_frame(chosen.question, frame)
        say(f"{sentence}\nResults: {run.folder}")
    raise typer.Exit(WRONG if tables.is_wrong(run.summary) else GOOD)


@app.command(epilog="Example: multigrad report results/my-machine/20261120-150000-ab12")
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    svg: Annotated[Path | None, typer.Option("--svg", help="Also write the charts as SVG into this folder.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Also write the charts as PNG into this folder.")] = None,
    chart: Annotated[
        list[str] | None, typer.Option("--chart", help="Only this chart, such as speed-up; repeatable.")
    ] = None,
) -> None:
    """Write report.md and report.html into the folder of a run and print where they lie."""
    from ..report.terminal import say
    from ..report.writing import write_reports

    for line in write_reports(run, svg=svg, png=png, wanted=_split(chart) or ()):
        say(line)


@app.command(epilog="Example: multigrad docs --check")
def docs(
    ops: Ops = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.")] = Path("docs/operations"),
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="A folder of results; repeatable. Default: results/catalogue*.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a page is not fresh.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a page for each operation from its docstring, its source and the results."""
    from ..report.pages import docs as run_docs
    from ..report.terminal import progress, say

    with progress("pages") as tick:
        frame = run_docs(_split(ops), out=out, runs=run, check=check, progress=tick)
    changed = frame[frame["state"] != "fresh"]
    if as_json:
        _print_json(frame)
    else:
        for state, rows in changed.groupby("state", sort=False):
            say(f"{state}: {', '.join(rows['file'])}")
        said = "; multigrad docs writes what is not" if check and len(changed) else ""
        say(f"{len(frame)} files, {len(frame) - len(changed)} fresh{said}")
    raise typer.Exit(WRONG if check and len(changed) else GOOD)


@app.command(epilog="Example: multigrad compare results/mine/20261120-150000-ab12 results/mine/20261120-160000-cd34")
def compare(
    before: Annotated[str, typer.Argument(help="Folder of the run to compare with.")],
    after: Annotated[str, typer.Argument(help="Folder of the run to judge.")],
    force: Annotated[
        bool, typer.Option("--force", help="Compare also what ran under other conditions; marked.")
    ] = False,
    fail_on: FailOn = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write a table for a pull request.")] = None,
    as_json: AsJson = False,
    csv: AsCsv = None,
) -> None:
    """Say cell by cell: faster, slower, same or unclear; exit 2 on a regression."""
    from ..analysis import compare as comparing
    from ..report import tables
    from ..store.files import write_text

    frame = comparing.compare(comparing.find_run(before), comparing.find_run(after), force=force)
    if markdown is not None:
        write_text(markdown, comparing.markdown(frame))
    _write_csv(frame, csv)
    if as_json:
        _print_json(frame)
    else:
        tables.show_comparison(frame, comparing.geometric_means(frame))
    raise typer.Exit(SLOWER if len(comparing.failing(frame, _fail_words(fail_on))) else GOOD)


@app.command(epilog="Example: multigrad run --quick")
def run(
    ops: Ops = None,
    backend: Backends = None,
    device: Devices = None,
    devices: DeviceCount = None,
    mesh: Mesh = None,
    dtype: Dtypes = None,
    threads: Threads = None,
    precision: PrecisionOption = "strict",
    scheduler: Scheduler = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Few sizes and rounds of two operations, unless others are named: done in minutes."
        ),
    ] = False,
    fleet: Annotated[
        str | None,
        typer.Option("--fleet", help="tcp://host:port of a Dask scheduler whose workers measure; --machine is a tag."),
    ] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with an unfinished run of a fleet.")] = None,
    seed: Seed = 0,
    out: Out = Path("results"),
    machine: Machine = None,
    as_json: AsJson = False,
) -> None:
    """Check, time and report: the main job."""
    from ..measurement.job import run_job
    from ..report import tables
    from ..report.terminal import progress, say
    from ..report.writing import written

    _use_scheduler(scheduler, backend)
    if resume is not None and fleet is None:
        raise BadInput(
            f"--resume goes on with a fleet's run; wanted --fleet too (or: multigrad bench --resume {resume})"
        )
    wanted: dict[str, Any] = {"backend": _split(backend), "dtype": _split(dtype)}
    wanted |= {
        "device": _devices(device, devices, mesh),
        "threads": threads,
        "precision": _precision(precision),
        "quick": quick,
        "seed": seed,
    }
    with progress("run") as tick:
        if fleet is None:
            job = run_job(_split(ops), **wanted, out=out, machine=machine, progress=tick)
        else:
            from ..fleet.fleet import run_fleet

            more: dict[str, Any] = {"address": fleet, "resume": resume}
            job = run_fleet(_split(ops), **wanted, **more, out=out, machine=machine, progress=tick)
    assert job.matrix is not None
    assert job.folder is not None
    if as_json:
        _print_json({"folder": str(job.folder), "matrix": job.matrix, "summary": job.summary})
    else:
        tables.show_matrix(job.matrix)
        tables.show_summary(job.summary)
        if fleet is not None:
            tables.show_machines(job)
        say(f"Results: {job.folder}")
        for line in written(job.folder):
            say(line)
    raise typer.Exit(WRONG if tables.is_wrong(job.matrix) or tables.is_wrong(job.summary) else GOOD)


@app.command(epilog="Example: multigrad merge results/atlas/RUN results/borea/RUN --out results/both")
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; merged ones too.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new run.")],
    as_json: AsJson = False,
    csv: AsCsv = None,
) -> None:
    """Put separately made runs together; every row says which machine it came from."""
    from ..analysis.merge import merge as run_merge
    from ..report import tables
    from ..report.terminal import say

    made = run_merge(runs, out)
    _write_csv(made.summary, csv)
    if as_json:
        _print_json({"folder": str(made.folder), "summary": made.summary})
    else:
        tables.show_machines(made)
        say(f"Results: {made.folder}")


@app.command(epilog="Example: multigrad doctor")
def doctor(
    noise: Annotated[bool, typer.Option("--noise", help="Also measure the noise floor; takes 20 seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what on this machine would spoil a measurement, and what to do about it."""
    from ..measurement.doctor import examine
    from ..report import tables

    findings = examine(noise=noise)
    if as_json:
        _print_json(findings)
    else:
        tables.show_findings(findings)


def _print_json(value: Any) -> None:
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False))  # noqa: T201 - this is the command's output


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, str):
        return value
    # pandas writes NaN and infinity as null, which is what JSON can hold; of a microsecond ten decimals are not enough.
    return json.loads(value.to_json(orient="records", double_precision=15))


def _write_csv(frame: pd.DataFrame, path: Path | None) -> None:
    from ..store.files import write_frame

    if path is not None:
        write_frame(frame, path)


@app.callback()
def common(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an internal error.")] = False,
) -> None:
    """Write a gradient once, prove it, run it on every array framework, see what it costs."""


@entry_point(lambda: None)
def main() -> None:
    """Run the command line and exit with the documented code."""
    # A reader that has gone (`| head`) is no error of ours.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    streams.open_all()
    words = sys.argv[1:]
    debug = DEBUG in words
    code = _code([word for word in words if word != DEBUG], debug=debug)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or _refuse(f"standard output: {error.strerror or error}")
        streams.give_up()
    sys.exit(code or GOOD)


def _code(words: list[str], *, debug: bool) -> int:
    """Run the command line and return the exit code; whatever goes wrong is one line."""
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    try:
        code = int(app(words, standalone_mode=False) or GOOD)
    except BadInput as error:
        code = _refuse(str(error))
    except usage_error as error:
        code = _refuse(f"{error.format_message()} (see multigrad --help)")
    except (KeyboardInterrupt, typer.Abort):
        print("multigrad: interrupted; what was measured is kept", file=sys.stderr)  # noqa: T201
        code = 130
    except OSError as error:
        code = _refuse(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - here, and nowhere else, is the end of every exception
        if debug:
            traceback.print_exc()
        said = type(error).__name__
        with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
            said += f": {visible(str(error)):.300}"
        code = _refuse(f"internal error: {said} ({DEBUG} shows the traceback)")
    return code


def _refuse(message: str) -> int:
    print(f"multigrad: {visible(message)}", file=sys.stderr)  # noqa: T201
    return UNUSABLE

"""``check``, with what ``--kinks``, ``--mutants`` and ``--certificate`` make of it, and ``verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multigrad.data.errors import BadInput

from . import options
from .exits import GOOD, WRONG
from .options import selectors, split, use_scheduler
from .output import print_json, write_csv

if TYPE_CHECKING:
    import pandas as pd

Size = Annotated[str | None, typer.Option("--size", help="A named size. Default: the smallest.")]
Regimes = Annotated[
    list[str] | None, typer.Option("--regime", help="How inputs are drawn: gaussian, integers, …; default all.")
]
Derivatives = Annotated[
    list[str] | None,
    typer.Option("--derivative", help="reverse or forward. Default: reverse, and forward where it is hand-derived."),
]
Orders = Annotated[
    list[str] | None,
    typer.Option("--order", help="Order of the derivatives: 1, 2 (∂²f/∂x²·v) or 1,2 for both. Default: 1."),
]
Inputs = Annotated[Path | None, typer.Option("--inputs", help="An .npz file with one array for each input, by name.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1.0, help="Seconds without a sign after which a worker is killed.")
]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="Write every row to this new file as it is known, so that --resume can go on."),
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", help="Go on with the same check, which was interrupted and wrote this file by --journal."),
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML for a CI system.")]
Github = Annotated[
    bool, typer.Option("--github", help="In GitHub Actions: write the step's summary and annotate the source.")
]
FailingVerdicts = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        help="What fails besides a FAIL: all, finding, portability, inconclusive, unavailable (with commas).",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every row, not only what is amiss.")]
Certificate = Annotated[
    Path | None, typer.Option("--certificate", help="Prove the formulas and write what was proven to this file.")
]
Mutants = Annotated[
    bool, typer.Option("--mutants", help="Instead: make wrong gradients of each operation and see who notices.")
]
Kinks = Annotated[
    bool, typer.Option("--kinks", help="Instead: what each framework's autodiff returns where there is a kink.")
]
MutantsFolder = Annotated[Path, typer.Option("--out", "-o", help="Where --mutants writes its table.")]


def check(
    ops: options.Ops = None,
    backend: options.Backends = None,
    device: options.Devices = None,
    devices: options.DeviceCount = None,
    mesh: options.Mesh = None,
    dtype: options.Dtypes = None,
    mode: options.Modes = None,
    variant: options.Variants = None,
    implementation: options.Implementations = None,
    size: Size = None,
    regime: Regimes = None,
    derivative: Derivatives = None,
    order: Orders = None,
    inputs: Inputs = None,
    seed: options.Seed = 0,
    precision: options.PrecisionName = "strict",
    timeout: Timeout = 60.0,
    scheduler: options.Scheduler = None,
    as_json: options.AsJson = False,
    csv: options.AsCsv = None,
    junit: Junit = None,
    journal: JournalFile = None,
    resume: Resume = None,
    github: Github = False,
    fail_on: FailingVerdicts = None,
    verbose: Verbose = False,
    certificate: Certificate = None,
    mutants: Mutants = False,
    kinks: Kinks = False,
    out: MutantsFolder = Path("results"),
) -> None:
    """Print the correctness matrix; exit 1 if anything is wrong."""
    from multigrad import matrix

    from .matrix_table import Formulas, show_matrix
    from .terminal import progress

    use_scheduler(scheduler, backend)
    matrix.failing(fail_on)  # an unknown word is refused before the work, not after it
    summary = _github_summary(as_json) if github else None
    formulas = None if as_json or github else Formulas()
    if kinks:
        check_kinks(as_json)
    if mutants:
        check_mutants(split(ops), split(backend), out, as_json)
    if certificate is not None:
        certify(split(ops), seed, certificate)
    wanted = selectors(backend=backend, device=device, devices=devices, mesh=mesh, dtype=dtype, mode=mode,
                       variant=variant, implementation=implementation, size=size, regime=regime,
                       derivative=derivative, precision=precision, seed=seed)  # fmt: skip
    with progress("checking") as tick:
        frame = matrix.check(split(ops), **wanted, inputs=inputs, timeout_s=timeout, order=_orders(order),
                             journal=journal, resume=resume, progress=tick, tell=formulas)  # fmt: skip
    write_csv(frame, csv)
    if junit is not None:
        from ..report.junit import write_junit

        write_junit(frame, junit, fail_on)
    if as_json:
        print_json(frame)
    elif summary is not None:
        _tell_github(frame, split(ops), summary, verbose, fail_on)
    else:
        show_matrix(frame, verbose=verbose, formulas=formulas is None or not formulas.shown)
    _exit(frame, fail_on)


def _orders(values: list[str] | None) -> list[int]:
    """Return the orders of derivatives that an option names.

    Raises:
        BadInput: one is no number.
    """
    names = split(values) or ["1"]
    if unknown := [name for name in names if not name.isdecimal()]:
        raise BadInput(f"--order {unknown[0]} is no number; wanted 1, 2 or 1,2")
    return list(map(int, names))


def _exit(frame: pd.DataFrame, fail_on: str | None) -> None:
    """End with the code that the verdicts ask for."""
    from ..report.verdicts import is_wrong, without_verdict

    if is_wrong(frame, fail_on):
        raise typer.Exit(WRONG)
    if open_questions := without_verdict(frame):
        raise BadInput(f"no verdict on {open_questions}; this is no pass")
    raise typer.Exit(GOOD)


def _github_summary(as_json: bool) -> Path:
    from ..report.github import summary_file

    if as_json:
        raise BadInput("--github and --json both print for a program; wanted one of them (--csv FILE has every row)")
    return summary_file()


def _tell_github(frame: pd.DataFrame, ops: list[str] | None, summary: Path, verbose: bool, fail_on: str | None) -> None:
    from multigrad.ops.find import given_operations

    from ..report import github
    from .matrix_table import show_matrix

    github.write_summary(frame, summary)
    with github.commands_stopped(sys.stdout):
        show_matrix(frame, verbose=verbose)
    for line in github.annotated(frame, given_operations(ops), fail_on):
        print(line)  # noqa: T201 - the runner reads the output


def check_kinks(as_json: bool) -> None:
    """Print what each framework's autodiff returns at a kink, and exit."""
    from multigrad.proof.conventions import conventions

    from .terminal import show_frame

    frame = conventions()
    if as_json:
        print_json(frame)
    else:
        show_frame("What autodiff returns at a kink", frame)
    raise typer.Exit(GOOD)


def check_mutants(ops: list[str] | None, backends: list[str] | None, out: Path, as_json: bool) -> None:
    """Make wrong gradients, print and write who notices them, and exit; with 1 if multigrad misses one."""
    from multigrad.mutation.kill import kill_matrix
    from multigrad.mutation.shares import kill_shares, survivors
    from multigrad.ops.find import given_operations
    from multigrad.ops.pushforward import derived

    from ..report.kill_matrix import kill_markdown
    from ..store.folder import write_text
    from ..store.frames import write_frame
    from .terminal import progress, say, show_frame

    with progress("mutants") as tick:
        frame = kill_matrix(derived(given_operations(ops), None), backends=backends, progress=tick)
    write_frame(frame, out / "kill_matrix.csv")
    write_text(out / "kill_matrix.md", kill_markdown(frame))
    left = survivors(frame)
    if as_json:
        print_json({"shares": kill_shares(frame), "survivors": left})
    else:
        show_frame("Who notices a wrong gradient", kill_shares(frame))
        if len(left):
            show_frame("Wrong gradients that multigrad did not notice", left)
        say(f"Written: {out / 'kill_matrix.csv'}, {out / 'kill_matrix.md'}")
    raise typer.Exit(WRONG if len(left) else GOOD)


def certify(ops: list[str] | None, seed: int, path: Path) -> None:
    """Prove the formulas and write the certificate; exit with 1 if one is not certified."""
    from multigrad.proof.certificate import write_certificate

    from .terminal import say, show_frame

    frame = write_certificate(path, ops, seed=seed)
    passed = int(frame["passed"].sum())
    say(f"Certificate: {passed} of {len(frame)} gradients certified, written to {path}")
    if passed < len(frame):
        show_frame("Not certified", frame[~frame["passed"]][["operation", "output", "size", "regime"]])
        raise typer.Exit(WRONG)


def verify(
    certificate: Annotated[Path, typer.Argument(help="A file that `multigrad check --certificate` wrote.")],
    ops: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]…", help="The files with its operations, where they are not the catalogue's."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Repeat the proofs of a certificate; exit 1 if one does not come out again."""
    from multigrad.proof.certificate import verify as repeat_proofs

    from ..report.verdicts import is_wrong
    from .terminal import show_frame

    frame = repeat_proofs(certificate, split(ops))
    if as_json:
        print_json(frame)
    else:
        show_frame(f"Certificate {certificate}", frame)
    raise typer.Exit(WRONG if is_wrong(frame) else GOOD)

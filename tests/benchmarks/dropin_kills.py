"""Wrong gradients through the drop-ins: the catalogue's mutants as autograd.Functions, custom_vjps and NumPy pairs.

`python -m tests.benchmarks.dropin_kills OPERATION… [--every N] [--csv FILE]` puts them to `multigrad.gradcheck`,
`check_grads` and `check_grad`, and to torch's, JAX's and SciPy's own with their defaults, on the same functions and
inputs. A file that is there already is gone on with.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from multigrad.bench.report.markup import grid

import multigrad
from multigrad.backend import backend
from multigrad.data.errors import one_line
from multigrad.diagnosis import alternatives
from multigrad.mutation.checks import CORRECT, serve
from multigrad.mutation.mutants import mutants
from multigrad.ops.operation import Operation
from multigrad.ops.reach import reaching_sizes, scaled_sizes
from multigrad.ops.sizes import small_sizes
from multigrad.truth.inputs import dtype_arrays
from tests.multigrad.dropin_forms import Vector, as_jax, as_torch, reference_of

TIMEOUT_S = 60
"""A mutant that hangs is killed by its own slowness."""

FURTHER_SIZES = 12
"""At so many more sizes, and on kinks, what passed at the small ones is tried, as a person may give any inputs."""


@dataclass(frozen=True)
class Row:
    """One mutant before one check."""

    operation: str
    mutant: int
    kind: str
    line: int
    change: str
    check: str
    killed: bool
    equivalent: bool
    """Whether ball arithmetic shows that the mutant is as right as the original."""
    hidden: bool
    """Whether the interface hides the mistake: what the function returns is right."""
    reason: str
    seconds: float


def with_gradcheck(original: Operation, mutant: Operation, parameters: Any, arrays: Sequence[np.ndarray]) -> None:
    import torch

    given = [torch.tensor(a, requires_grad=d) for a, d in zip(arrays, original.differentiable, strict=False)]
    multigrad.gradcheck(as_torch(mutant, parameters), given, reference_of(original, parameters))


def with_check_grads(original: Operation, mutant: Operation, parameters: Any, arrays: Sequence[np.ndarray]) -> None:
    inputs = arrays[: len(original.inputs)]
    chosen = [a for a, d in zip(inputs, original.differentiable, strict=True) if d]
    function = as_jax(mutant, parameters, inputs)
    multigrad.check_grads(function, chosen, order=1, reference=reference_of(original, parameters, inputs))


def with_check_grad(original: Operation, mutant: Operation, parameters: Any, arrays: Sequence[np.ndarray]) -> None:
    count = len(original.inputs)
    right, wrong = (Vector(op, parameters, arrays[:count], arrays[count:]) for op in (original, mutant))
    multigrad.check_grad(right.value, wrong.gradient, right.start)


ANEW = "the pullback is made anew at every call, so nothing is kept that could be wrong"
HIDDEN = {
    **{(form, kind): ANEW for form in ("custom_vjp", "NumPy pair") for kind in ("second-call", "shared-buffer")},
    ("custom_vjp", "change-inputs"): "arrays of JAX cannot be written to",
    ("autograd.Function", "not-summed"): "torch sums a gradient that broadcasts to its input, so it arrives right",
}
"""The kinds of mistake that a form does not let through to anybody: what arrives is right."""

FORMS = {
    "multigrad.gradcheck": "autograd.Function",
    "gradcheck": "autograd.Function",
    "gradcheck fast": "autograd.Function",
    "multigrad.check_grads": "custom_vjp",
    "check_grads": "custom_vjp",
    "multigrad.check_grad": "NumPy pair",
    "scipy check_grad": "NumPy pair",
}
"""The form in which each check is given a gradient."""

OURS = {
    "multigrad.gradcheck": with_gradcheck,
    "multigrad.check_grads": with_check_grads,
    "multigrad.check_grad": with_check_grad,
}
"""Our drop-ins."""


def killed_by(call: Callable[[], None]) -> str:
    """Return why a check rejects; nothing if it accepts."""

    def hang(*_: Any) -> None:
        raise TimeoutError(f"took more than {TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(TIMEOUT_S)
    try:
        # That something is wrong is enough here; what a person waits for, its name, takes a second.
        with warnings.catch_warnings(), np.errstate(all="ignore"), mock.patch.object(alternatives, "SECONDS", 0.0):
            warnings.simplefilter("ignore")
            call()
    except Exception as error:  # noqa: BLE001 - it raises in many ways
        return one_line(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return ""


def rivals() -> dict[str, Callable[..., str]]:
    """Return the checks of torch, JAX and SciPy with their defaults."""
    sessions = [backend(name).open("cpu", threads=1) for name in ("torch", "jax", "numpy")]
    return {name: check for session in sessions for name, check in session.checkers().items()}


def judged(original: Operation, every: int, checks: Sequence[str] = (), *, others: bool = True) -> Iterator[Row]:
    """Put the operation itself and its mutants to the drop-ins and their rivals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mutant may be odd Python
        made = [(CORRECT, "correct", 0, "", original)]
        made += [(m.number, m.kind, m.line, m.change, m.operation) for m in mutants(original)[::every]]
    small = [original.size(name) for name in small_sizes(original)]
    theirs = rivals() if others else {}
    ours = {name: check for name, check in OURS.items() if not checks or name in checks}
    for number, kind, line, change, mutant in made:
        said = {name: _tried(original, mutant, small, check) for name, check in ours.items()}
        survived = [name for name, (reason, _) in said.items() if not reason and number != CORRECT]
        equivalent = number == CORRECT or (bool(survived) and _equivalent(original, number))
        for name in () if equivalent else survived:
            reason, seconds = _tried(original, mutant, _further(original), ours[name])
            if not reason:
                reason, more = _tried(original, mutant, small, ours[name], "kink")
                seconds += more
            said[name] = reason, said[name][1] + seconds
        said |= {name: _asked(original, mutant, small, rival) for name, rival in theirs.items()}
        for name, (reason, seconds) in said.items():
            hidden = HIDDEN.get((FORMS[name], kind), "")
            shown = reason or hidden
            yield Row(
                original.name, number, kind, line, change, name, bool(reason), equivalent, bool(hidden), shown, seconds
            )


def _further(op: Operation) -> list[Any]:
    small = [op.size(name) for name in small_sizes(op)]
    return [*reaching_sizes(op, small)[0], *itertools.islice(scaled_sizes(op, small), FURTHER_SIZES)]


def _tried(
    original: Operation, mutant: Operation, sizes: Sequence[Any], check: Any, regime: str = "gaussian"
) -> tuple[str, float]:
    started = time.perf_counter()
    for size in sizes:
        try:
            arrays = dtype_arrays(original, size, 0, regime, "float64")
        except Exception:  # noqa: BLE001 - a size made up may not fit
            continue
        _, parameters = original.split(size)
        reason = killed_by(lambda p=parameters, a=arrays: check(original, mutant, p, a))
        if reason:
            return reason, time.perf_counter() - started
    return "", time.perf_counter() - started


def _asked(
    original: Operation, mutant: Operation, sizes: Sequence[Any], rival: Callable[..., str]
) -> tuple[str, float]:
    started, reason = time.perf_counter(), ""
    for size in sizes:
        arrays = dtype_arrays(original, size, 0, "gaussian", "float64")
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            reason = rival(mutant, original.split(size)[1], arrays)
        if reason:
            break
    return reason, time.perf_counter() - started


def _equivalent(original: Operation, number: int) -> bool:
    arguments = {"group": "equivalence", "backend": "exact", "items": {"0": (original.reference, number)}}
    return any(m["answer"]["equivalent"] for m in serve(arguments) if "answer" in m)


def table(rows: Sequence[Row]) -> str:
    """Return the shares of mutants that each check killed, as Markdown."""
    wrong = {(r.operation, r.mutant) for r in rows if not r.equivalent}
    made = {(r.operation, r.mutant) for r in rows if r.mutant != CORRECT}
    lines = []
    for check, form in FORMS.items():
        of_check = [r for r in rows if r.check == check]
        counted = [r for r in of_check if (r.operation, r.mutant) in wrong and (form, r.kind) not in HIDDEN]
        killed = sum(r.killed for r in counted)
        alarms = sum(r.killed for r in of_check if r.mutant == CORRECT)
        if counted:
            # Rounded down: what is not all must not look like all.
            share = f"{math.floor(1000 * killed / len(counted)) / 10:.1f} %"
            name = f"**{check}**" if check in OURS else check
            lines.append([form, name, f"{killed} of {len(counted)}", share, str(alarms)])
    columns = ["gradient as", "check", "wrong gradients killed", "share", "right functions rejected"]
    operations = len({r.operation for r in rows})
    equivalent = len(made - wrong)
    text = f"{len(made)} mutants of {operations} operations; {equivalent} are shown equivalent by ball arithmetic."
    return f"{text}\n\n{grid(columns, lines, right=range(2, len(columns)))}\n"


def read(path: Path) -> list[Row]:
    """Read the rows of a file; none where there is none."""
    if not path.is_file():
        return []
    kinds = {"mutant": int, "line": int, "seconds": float}
    truths = ("killed", "equivalent", "hidden")
    with path.open(newline="") as file:
        return [
            Row(**{k: v == "True" if k in truths else kinds.get(k, str)(v) for k, v in row.items()})
            for row in csv.DictReader(file)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", nargs="*")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--check", action="append", default=[])
    parser.add_argument("--alone", action="store_true", help="leave out the checks of others")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--table", action="store_true", help="print the table of the file and do nothing else")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(read(chosen.csv)))
        return
    catalogue = multigrad.operations()
    done = {row.operation for row in read(chosen.csv)} if chosen.csv else set()
    for name in chosen.operations or list(catalogue):
        if name in done:
            continue
        rows = list(judged(catalogue[name], chosen.every, chosen.check, others=not chosen.alone))
        if chosen.csv:
            new = not chosen.csv.exists()
            with chosen.csv.open("a", newline="") as file:
                writer = csv.DictWriter(file, [f.name for f in fields(Row)])
                if new:
                    writer.writeheader()
                writer.writerows(asdict(row) for row in rows)
        for check in dict.fromkeys(row.check for row in rows):
            of_check = [row for row in rows if row.check == check and not row.equivalent and not row.hidden]
            alarms = [row.reason for row in rows if row.check == check and row.mutant == CORRECT and row.killed]
            seconds = sum(row.seconds for row in rows if row.check == check)
            share = f"{sum(row.killed for row in of_check)} of {len(of_check)}"
            print(f"{name:24} {check:24} {share:>14} {seconds:8.1f} s {alarms or ''}", flush=True)
        for row in rows:
            if row.check in OURS and row.mutant != CORRECT and not row.killed and not row.equivalent and not row.hidden:
                print(f"    survives {row.check}: {row.mutant} {row.kind} line {row.line}: {row.change}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

"""Second derivatives through the drop-ins: wrong ones are killed, right ones raise no alarm.

`python -m tests.benchmarks.second_order A.csv B.csv [--count N M] [--seconds S] [--seed S] [--out FILE.md]` puts right
ones to `multigrad.gradcheck` and `check_grads` with ``order=2``: N operations of the catalogue, handed over to torch
and JAX, and M functions written by hand. Each has a row in its file; one that is there already is gone on with. With
``--out``, the mutants of :mod:`tests.benchmarks.second_order_mutants` follow, before these and before torch's
gradgradcheck and JAX's check_grads(order=2) with their defaults.
"""

from __future__ import annotations

import argparse
import collections
import csv
import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from multigrad.bench.report.markup import grid

import multigrad
from multigrad import BadInput, GradientError
from multigrad.data.errors import one_line
from multigrad.diagnosis import alternatives
from multigrad.ops.operation import Operation
from multigrad.ops.sizes import small_sizes
from multigrad.ops.text import sizes_text
from multigrad.truth.inputs import dtype_arrays
from tests.benchmarks.second_order_mutants import FUNCTIONS, MUTANTS, for_jax, for_torch, reference
from tests.multigrad.dropin_forms import reference_of

REGIMES = ("gaussian", "gaussian", "integers", "wide", "cancellation", "kink")
FORMS = ("to_torch", "to_torch", "to_jax")
"""In turn; JAX compiles anew for every size."""
RIGHT, ALARM, OPEN, REFUSED = "right", "ALARM", "cannot be judged", "refused"


@dataclass(frozen=True)
class Trial:
    """One right second derivative at one place."""

    number: int
    form: str
    operation: str
    sizes: str
    regime: str
    dtype: str
    verdict: str
    reason: str
    seconds: float


def trials(seed: int = 0, first: int = 0, forms: Sequence[str] = FORMS) -> Iterator[Trial]:
    """Judge right functions for ever, the catalogue's in turn; each number stands for the same one in every run."""
    ops = list(multigrad.operations().values())
    for number in itertools.count(first):
        rng = np.random.default_rng([seed, number])
        op, form = ops[number % len(ops)], forms[number // len(ops) % len(forms)]
        dtype, regime = ("float64", "float32")[int(rng.integers(2))], REGIMES[int(rng.integers(len(REGIMES)))]
        names = small_sizes(op)
        size = op.size(names[int(rng.integers(len(names)))])
        started = time.perf_counter()
        verdict, reason = judged(op, size, form, regime, dtype, int(rng.integers(2**31)))
        seconds = time.perf_counter() - started
        yield Trial(number, form, op.name, sizes_text(size), regime, dtype, verdict, reason, seconds)


def handwritten(seed: int = 0, first: int = 0) -> Iterator[Trial]:
    """Judge right Functions and custom_vjps for ever, those that mutants are made of."""
    for number in itertools.count(first):
        rng = np.random.default_rng([seed, number])
        name, form = [*FUNCTIONS][number % len(FUNCTIONS)], [*CHECKS][number // len(FUNCTIONS) % len(CHECKS)]
        dtype, scale = ("float64", "float32")[int(rng.integers(2))], float(rng.choice([0.25, 1.0, 2.0]))
        started = time.perf_counter()
        arrays = [(scale * rng.standard_normal(s)).astype(dtype) for s in FUNCTIONS[name].shapes]
        check = next(iter(CHECKS[form](name, None, arrays).values()))
        verdict, reason = verdict_of(check)
        yield Trial(number, form, name, "", f"× {scale:g}", dtype, verdict, reason, time.perf_counter() - started)


def verdict_of(check: Callable[[], Any]) -> tuple[str, str]:
    """Return the verdict of a check, and why."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check()
    except GradientError as error:
        return (OPEN if all(OPEN in line for line in str(error).splitlines()) else ALARM), str(error)
    except BadInput as error:
        return REFUSED, str(error)
    return RIGHT, ""


def judged(op: Operation, size: Mapping[str, Any], form: str, regime: str, dtype: str, seed: int) -> tuple[str, str]:
    """Return the verdict on an operation that is handed over, and why."""
    try:
        with np.errstate(all="ignore"):
            arrays = dtype_arrays(op, size, seed, regime, dtype)[: len(op.inputs)]
    except Exception as error:  # noqa: BLE001 - its generator has no such inputs
        return REFUSED, one_line(error)
    _, parameters = op.split(size)
    check = {"to_torch": in_torch, "to_jax": in_jax}[form]
    return verdict_of(lambda: check(op, parameters, arrays, dtype))


def in_torch(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], dtype: str) -> None:
    import torch

    given = [
        torch.tensor(a, dtype=getattr(torch, dtype) if a.dtype.kind == "f" else None, requires_grad=d)
        for a, d in zip(arrays, op.differentiable, strict=True)
    ]
    multigrad.gradcheck(multigrad.to_torch(op, **parameters), given, reference_of(op, parameters), order=2)


def in_jax(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], dtype: str) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    given = [jax.numpy.asarray(a.astype(dtype) if a.dtype.kind == "f" else a) for a in arrays]
    held = [None if d else a for a, d in zip(given, op.differentiable, strict=True)]
    function = multigrad.to_jax(op, **parameters)

    def of_differentiable(*chosen: Any) -> Any:
        rest = iter(chosen)
        return function(*(next(rest) if a is None else a for a in held))

    chosen = [a for a, d in zip(given, op.differentiable, strict=True) if d]
    # Compiled: thousands of operations one by one take minutes.
    multigrad.check_grads(jax.jit(of_differentiable), chosen, order=2, reference=reference_of(op, parameters, arrays))


@dataclass(frozen=True)
class Kill:
    """One function before one check."""

    form: str
    check: str
    function: str
    what: str
    """What is wrong; empty for the right one."""
    killed: bool
    reason: str


def drawn(name: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in FUNCTIONS[name].shapes]


def torch_checks(name: str, edit: tuple[str, str] | None, arrays: Sequence[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """Return the checks of a function in torch, each as a call that raises."""
    import torch

    inputs = [torch.tensor(a, requires_grad=True) for a in arrays]
    function = for_torch(name, edit)
    return {
        "**multigrad.gradcheck(order=2)**": lambda: multigrad.gradcheck(function, inputs, reference(name), order=2),
        "torch.autograd.gradgradcheck": lambda: torch.autograd.gradgradcheck(function, inputs),
    }


def jax_checks(name: str, edit: tuple[str, str] | None, arrays: Sequence[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """Return the checks of a function in JAX, each as a call that raises."""
    import jax
    import jax.test_util

    jax.config.update("jax_enable_x64", True)
    arguments = [jax.numpy.asarray(a) for a in arrays]
    function = for_jax(name, edit)
    return {
        "**multigrad.check_grads(order=2)**": lambda: multigrad.check_grads(function, arguments, order=2),
        "jax.test_util.check_grads(order=2)": lambda: jax.test_util.check_grads(function, arguments, 2, modes=["rev"]),
    }


CHECKS = {"autograd.Function": torch_checks, "custom_vjp": jax_checks}


def kills(mutants: Sequence[tuple[str, str, str, str]] = MUTANTS, forms: Sequence[str] = (*CHECKS,)) -> Iterator[Kill]:
    """Put right functions and mutants of them to every check."""
    right = [(name, None, "") for name in dict.fromkeys(name for name, *_ in mutants)]
    for name, edit, what in (*right, *((name, (old, new), what) for name, old, new, what in mutants)):
        for form in forms:
            for check, call in CHECKS[form](name, edit, drawn(name)).items():
                reason = ""
                try:
                    # That something is wrong is enough here; its name takes a second.
                    with warnings.catch_warnings(), mock.patch.object(alternatives, "SECONDS", 0.0):
                        warnings.simplefilter("ignore")
                        call()
                except Exception as error:  # noqa: BLE001 - it raises in many ways
                    reason = one_line(error)
                yield Kill(form, check, name, what, bool(reason), reason)


def table(rows: Sequence[Kill]) -> str:
    """Return what each check killed, as Markdown."""
    lines = []
    for form, check in dict.fromkeys((row.form, row.check) for row in rows):
        of_check = [row for row in rows if row.check == check]
        wrong, right = [r for r in of_check if r.what], [r for r in of_check if not r.what]
        killed = f"{sum(r.killed for r in wrong)} of {len(wrong)}"
        lines.append([form, check, killed, f"{sum(r.killed for r in right)} of {len(right)}"])
    columns = ["gradient as", "check", "wrong second derivatives killed", "right ones rejected"]
    return grid(columns, lines, right=(2, 3))


def counted(rows: Sequence[Trial]) -> str:
    """Return the verdicts on right functions, as Markdown, and the alarms."""
    cells = []
    for form, dtype in sorted({(row.form, row.dtype) for row in rows}):
        verdicts = collections.Counter(row.verdict for row in rows if (row.form, row.dtype) == (form, dtype))
        cells.append([form, dtype, *(str(verdicts[word]) for word in (RIGHT, ALARM, OPEN, REFUSED))])
    columns = ["gradient as", "dtype", "right", "alarms", "cannot be judged", "refused"]
    alarms = [
        f"- {row.number} {row.form} {row.operation} {row.sizes} {row.regime} {row.dtype}: {row.reason}"
        for row in rows
        if row.verdict == ALARM
    ]
    return "\n".join([grid(columns, cells, right=range(2, 6)), *alarms])


def of_matrices(files: Sequence[Path]) -> str:
    """Count the outputs that matrices of order 2 compared, by backend and variant, as Markdown."""
    counts: dict[tuple[str, str], collections.Counter[str]] = {}
    seen = set()  # every file has the formulas
    for file in files:
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                place = row["backend"], row["variant"]
                key = *place, row["mode"], row["operation"], row["output"], row["dtype"], row["regime"], row["sizes"]
                if row["output"] != "*" and row["verdict"] != "UNAVAILABLE" and key not in seen:
                    seen.add(key)
                    counts.setdefault(place, collections.Counter())[row["verdict"]] += 1
    verdicts = ("PASS", "NOTE", "FAIL", "FINDING", "INCONCLUSIVE")
    cells = [[*place, *(str(found[verdict]) for verdict in verdicts)] for place, found in sorted(counts.items())]
    return grid(["backend", "variant", *verdicts], cells, right=range(2, 7))


def page(found: Sequence[Kill], rows: Sequence[Trial], matrices: Sequence[Path]) -> str:
    """Return the results, as Markdown."""
    names = {row.operation for row in rows if row.form in FORMS}
    return f"""# Second derivatives

`python -m tests.benchmarks.second_order` writes this page.

{len(MUTANTS)} functions have a right first derivative and a wrong second one: a detached residual, a factor, a sign, a
dropped cross-term, a transpose. Each is a torch.autograd.Function and a jax.custom_vjp in float64. Every check has its
defaults; JAX's is asked for reverse mode, the only one that a custom_vjp has.

{table(found)}

{len(rows)} right ones: {len(names)} operations of the catalogue, handed over by `to_torch` and `to_jax`, at drawn
sizes, regimes and seeds, and the {len(FUNCTIONS)} functions that the mutants are made of, at drawn inputs of three
scales. What cannot be judged has a bound that is too wide to see anything, and the message says so.

{counted(rows)}

Every operation of the catalogue in the matrix, `multigrad check --order 2` with float64 and float32 and the regimes
gaussian and integers: outputs by verdict. NumPy and torch run eagerly at all small sizes, JAX compiled at the smallest.
`exact` is the formula, in ball arithmetic.

{of_matrices(matrices)}
"""


def continued(file: Path, trials: Callable[..., Iterator[Trial]], count: int, seconds: float, seed: int) -> list[Trial]:
    """Go on with a file of trials until it has so many, or the time is over, and return them."""
    kinds: dict[str, Any] = {"number": int, "seconds": float}
    rows: list[Trial] = []
    if file.is_file():
        with file.open(newline="") as lines:
            rows = [Trial(**{k: kinds.get(k, str)(v) for k, v in row.items() if k}) for row in csv.DictReader(lines)]
    started = time.perf_counter()
    with file.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, [f.name for f in fields(Trial)])
        if not rows:
            writer.writeheader()
        for row in itertools.islice(trials(seed, len(rows)), max(0, count - len(rows))):
            rows.append(row)
            writer.writerow(asdict(replace(row, reason=row.reason.replace("\n", " | ")[:1000])))
            lines.flush()
            if time.perf_counter() - started > seconds:
                break
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path, help="the trials of the catalogue's operations")
    parser.add_argument("functions", type=Path, help="the trials of functions written by hand")
    parser.add_argument("--count", type=int, nargs=2, default=(1_000, 1_000), help="of each")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--matrix", type=Path, nargs="*", default=[], help="what `multigrad check --csv` wrote")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    of_catalogue, of_functions = chosen.count
    rows = continued(chosen.catalogue, trials, of_catalogue, chosen.seconds, chosen.seed)
    rows += continued(chosen.functions, handwritten, of_functions, chosen.seconds, chosen.seed)
    print(counted(rows))
    if chosen.out is not None:
        found = list(kills())
        chosen.out.write_text(page(found, rows, chosen.matrix), encoding="utf-8")
        print(table(found))


if __name__ == "__main__":
    main()

"""How much of a framework's public functions is imported, and how its own autograd is judged on them.

`python -m tests.benchmarks.coverage jax [NAME…] [--module M]` calls every differentiable public function at the inputs
of `coverage_jax.py`, imports it by `from_jax`, and judges the framework's gradient as the drop-ins do. Rows are in
`results/coverage_jax.csv`, which is gone on with; `--table` writes the table into `docs/coverage.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from multigrad.bench.report.markup import grid

from multigrad.backend import backend
from multigrad.data.errors import one_line
from multigrad.diagnosis import alternatives
from multigrad.dropins.judge import Asked, Trial
from multigrad.verdict.words import FAIL, INCONCLUSIVE, NOTE, PASS, UNAVAILABLE
from tests.benchmarks.coverage_cases import Case

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "coverage.md"
TIMEOUT_S = 120
DTYPES = ("float64", "float32")

UNDERFLOW = 1e-290
"""What separates no two derivatives."""

MISSING = ""
"""The verdict on what is not imported."""

WORST_FIRST = (MISSING, FAIL, UNAVAILABLE, INCONCLUSIVE, NOTE, PASS)
VERDICTS = (FAIL, NOTE, PASS)
"""What counts as judged."""


@dataclass(frozen=True)
class Row:
    """One call of one function in one dtype."""

    module: str
    name: str
    call: str
    """Its arguments."""
    dtype: str
    verdict: str
    """On the framework's values and gradients; empty where the function is not imported."""
    sentence: str
    """What is missing or wrong."""
    seconds: float


@dataclass(frozen=True)
class Framework:
    """What this script needs of a framework."""

    name: str
    array: Callable[[np.ndarray, str], Any]
    """An array of real numbers in a dtype."""
    constant: Callable[[np.ndarray], Any]
    """An array that is no input."""
    real: Callable[[Any], tuple[Any, ...]]
    """The arrays of real numbers in what a function returned."""
    modules: Mapping[str, tuple[Mapping[str, list[Case]], Mapping[str, str]]]
    """For each module the inputs, and the reasons for what has none."""

    @property
    def csv(self) -> Path:
        return ROOT / "results" / f"coverage_{self.name}.csv"


def jax_framework() -> Framework:
    import jax
    from jax import numpy

    from tests.benchmarks.coverage_jax import MODULES

    backend("jax").open("cpu", threads=1)  # in 64 bits

    def real(result: Any) -> tuple[Any, ...]:
        leaves = [numpy.asarray(leaf) for leaf in jax.tree_util.tree_leaves(result)]
        return tuple(leaf for leaf in leaves if numpy.issubdtype(leaf.dtype, numpy.inexact))

    # Inside a trace an array of JAX's is a tracer; one of NumPy's has its values at hand.
    return Framework("jax", lambda a, dtype: numpy.asarray(a, dtype=dtype), lambda a: a, real, MODULES)


def torch_framework() -> Framework:
    import torch

    from tests.benchmarks.coverage_torch import MODULES

    def real(result: Any) -> tuple[Any, ...]:
        values = result if isinstance(result, tuple | list) else (result,)
        return tuple(v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point())

    def array(numbers: np.ndarray, dtype: str) -> Any:
        return torch.tensor(numbers, dtype=getattr(torch, dtype), requires_grad=True)

    return Framework("torch", array, torch.tensor, real, MODULES)


FRAMEWORKS = {"jax": jax_framework, "torch": torch_framework}


def public(module: str) -> list[str]:
    """Return the public names of a module."""
    return [name for name in dir(importlib.import_module(module)) if not name.startswith("_")]


def judged(framework: Framework, module: str, name: str, case: Case, dtype: str = "float64") -> Row:
    """Import one function at one case, and judge the framework's gradient."""
    function = getattr(importlib.import_module(module), name)

    def called(*arrays: Any) -> Any:
        return framework.real(case.call(function, list(arrays), constant))

    def constant(numbers: np.ndarray) -> Any:
        return framework.constant(numbers.astype(dtype) if numbers.dtype.kind == "f" else numbers)

    called.__name__ = name
    started = time.perf_counter()
    arrays = [framework.array(a, dtype) for a in case.arrays(name)]
    with _quick():
        verdict, sentence = _said(framework, called, arrays)
    return Row(module, name, str(case), dtype, verdict, sentence, time.perf_counter() - started)


def _said(framework: Framework, function: Callable[..., Any], arrays: Sequence[Any]) -> tuple[str, str]:
    here = backend(framework.name)
    try:
        candidate = here.candidate(function, arrays)
        op = here.traced(function, None, example=tuple(given.array for given in candidate.inputs))
    except Exception as error:  # noqa: BLE001 - a framework raises in many ways
        return MISSING, one_line(error)
    try:
        trial = Trial(candidate, Asked(op))
        problems = list(trial.problems())
    except Exception as error:  # noqa: BLE001 - what cannot be judged is a row
        return UNAVAILABLE, one_line(error)
    if problems:
        return (INCONCLUSIVE if all("cannot be judged" in p for p in problems) else FAIL), problems[0]
    gradients = [r for truth in trial.truths.values() for r in truth.references[len(trial.shapes) :]]
    on_kink = any((r.hull > r.bound + UNDERFLOW).any() for r in gradients)
    return (NOTE, "on a kink; within the subdifferential") if on_kink else (PASS, "")


@contextlib.contextmanager
def _quick() -> Iterator[None]:
    """Stop what takes too long, and search for no names of mistakes."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIMEOUT_S)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), mock.patch.object(alternatives, "SECONDS", 0.0):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def worst(rows: Iterable[Row]) -> Row:
    """Return the row of the worst verdict."""
    return min(rows, key=lambda row: WORST_FIRST.index(row.verdict))


def by_name(rows: Iterable[Row], dtype: str = "float64") -> dict[tuple[str, str], list[Row]]:
    """Return the rows of each function, in order."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.dtype == dtype:
            found.setdefault((row.module, row.name), []).append(row)
    return found


def shares(rows: Sequence[Row]) -> str:
    """Return for each module how many functions are imported and judged, as Markdown."""
    lines = []
    for module in dict.fromkeys(row.module for row in rows):
        said = [worst(of).verdict for (owner, _), of in by_name(rows).items() if owner == module]
        calls = [row for row in rows if row.module == module]
        count = len(said)
        cells = [count - said.count(MISSING), sum(v in VERDICTS for v in said)]
        cells += [said.count(v) for v in (PASS, NOTE, FAIL)]
        share = f"{100 * cells[1] // count} %"
        lines.append([f"`{module}`", str(count), *map(str, cells[:2]), share, *map(str, cells[2:]), str(len(calls))])
    columns = ["module", "differentiable", "imported", "judged", "share", PASS, NOTE, FAIL, "calls"]
    return grid(columns, lines, right=range(1, len(columns)))


def table(rows: Sequence[Row]) -> str:
    """Return the worst verdict on each function, as Markdown."""
    narrow = by_name(rows, "float32")
    lines = []
    for key, of in by_name(rows).items():
        said = worst(of)
        also = worst(narrow[key]) if key in narrow else None
        shown = said if said.sentence or also is None else also
        where = f"`({_cell(shown.call)})`: " if shown.sentence and len(of) > 1 else ""
        imported = "no" if said.verdict == MISSING else "yes"
        lines.append(
            [
                f"`{key[0]}.{key[1]}`",
                str(len(of)),
                imported,
                said.verdict or "–",
                (also.verdict if also else "") or "–",
                f"{where}{_cell(shown.sentence)}",
            ]
        )
    return grid(["function", "calls", "imported", "float64", "float32", "what is said"], lines, right=[1])


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def read(path: Path) -> list[Row]:
    """Read the rows of a file; none where there is none."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**row | {"seconds": float(row["seconds"])}) for row in csv.DictReader(file)]


def write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | {"seconds": f"{row.seconds:.2f}"} for row in rows)


def with_table(page: str, name: str, text: str) -> str:
    """Return a page with a generated part replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{text}\n{m[2]}", page, flags=re.DOTALL)


def generated(page: str, framework: str, rows: Sequence[Row]) -> str:
    """Return the page with the tables of a framework."""
    page = with_table(page, f"shares_{framework}", shares(rows))
    return with_table(page, f"coverage_{framework}", table(rows))


def cases(framework: Framework) -> Iterator[tuple[str, str, Case]]:
    """Yield module, name and case of every call."""
    for module, (inputs, _) in framework.modules.items():
        for name, several in inputs.items():
            for case in several:
                yield module, name, case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--module", action="append")
    parser.add_argument("--dtype", action="append", choices=DTYPES)
    parser.add_argument("--keep", action="store_true", help="write no file")
    parser.add_argument("--table", action="store_true", help="write the tables of the page and do nothing else")
    chosen = parser.parse_args()
    framework = FRAMEWORKS[chosen.framework]()
    rows = {(r.module, r.name, r.call, r.dtype): r for r in read(framework.csv)}
    wanted = {(m, n, str(c), d): c for m, n, c in cases(framework) for d in DTYPES}
    if not chosen.table:
        for (module, name, text, dtype), case in wanted.items():
            key = (module, name, text, dtype)
            named = name in chosen.names if chosen.names else key not in rows
            if named and module in (chosen.module or [module]) and dtype in (chosen.dtype or [dtype]):
                rows[key] = row = judged(framework, module, name, case, dtype)
                if row.verdict != PASS:
                    print(f"{row.verdict or 'MISSING':12} {module}.{name}({text}) {dtype}: {row.sentence}", flush=True)
                if not chosen.keep:
                    write(framework.csv, (rows[k] for k in wanted if k in rows))
    kept = [rows[key] for key in wanted if key in rows]
    if not chosen.keep:
        write(framework.csv, kept)
        if PAGE.is_file():
            text = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(generated(text, framework.name, kept), encoding="utf-8")
    print(shares(kept))


if __name__ == "__main__":
    main()

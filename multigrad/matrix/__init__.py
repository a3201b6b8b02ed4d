"""The correctness matrix: every operation on every backend, each output judged and worded.

One process first finds the truth (:mod:`multigrad.truth.find`): it certifies the formulas and writes, for every case,
the inputs, the certified values and the bounds. Then every backend, in a process of its own, computes the same cases
and judges what it got.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import queue
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import (
    Backend,
    Session,
    Unavailable,
    backend,
    backends,
    device_kind,
    mesh_shape,
)
from ..backend.placement import rounded, undivided
from ..backend.refusals import judge_error, worded
from ..backend.roundoff import Roundoff, probe
from ..data.columns import doc
from ..data.errors import BadInput, one_line
from ..diagnosis.diagnose import Evidence, diagnose
from ..ops.draw import REGIMES
from ..ops.find import Operations, given_operations, load_operations
from ..ops.operation import DTYPES, Operation
from ..ops.reach import reaching_sizes
from ..ops.selection import Precision
from ..ops.sizes import small_sizes
from ..ops.text import derivative_name
from ..process import child as worker
from ..process.entry import entry_point, no_rows
from ..process.pool import Lost, work_through
from ..truth.aim import survey
from ..truth.beside import judge_case
from ..truth.case import DEFAULT_REGIMES, RESIZED, SMOOTH, Case, Truth, Unknown, Unserved
from ..truth.certified import true_gradients
from ..truth.files import read_truth, write_truth, write_unknown
from ..truth.find import find_truth
from ..truth.formula import diagnose_formula, judge_formula
from ..truth.inputs import check_served, read_inputs
from ..truth.variant import judge_variant
from ..verdict.formats import FORMATS
from ..verdict.judge import (
    ALL,
    FAIL,
    FAIL_ON,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PASS,
    PORTABILITY,
    THEIRS,
    UNAVAILABLE,
    VERDICTS,
    Judgement,
    Reference,
    blamed,
    judge_entries,
)
from .relations import Structure, relations, structure

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, str], None]
"""Called with cells done, cells in all, and what is running: as one begins, and as it ends."""

Tell = Callable[[Sequence[Mapping[str, Any]], bool, Sequence[str]], None]
"""Called with rows as they come, whether those on the formulas are complete, and the names of all operations."""

TIMEOUT_S = 60.0
"""Seconds without a sign after which a worker of a check is killed: small sizes take milliseconds, a compiler half a
minute."""


@dataclass(frozen=True)
class MatrixRow:
    """One output of one cell of the correctness matrix."""

    operation: str = doc("Name of the operation.")
    output: str = doc(
        "`value`, or `X_bar` for the gradient with respect to X; `*` where the whole cell has one answer."
    )
    backend: str = doc("Name of the backend; `exact` for the verdict on the formula itself.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    mode: str = doc("`eager` or `compiled`.")
    variant: str = doc("`analytic` (hand-derived), `autodiff` (the framework's own) or `native` (its fused functions).")
    dtype: str = doc("Floating-point type of inputs and outputs; `arb` for ball arithmetic.")
    regime: str = doc(
        "How the inputs were drawn, `aimed` at the branches of the formula, or `file`; or the relation that was tried; "
        "or `roundoff`, the probe."
    )
    sizes: str = doc("Dimensions and parameters, such as `m=5 k=4 n=3`.")
    verdict: str = doc("PASS, NOTE, FAIL, FINDING, PORTABILITY, INCONCLUSIVE, UNAVAILABLE or GAP.")
    ratio: float = doc("Largest error divided by its bound; above 1 is a FAIL.")
    max_abs_error: float = doc("Largest absolute error.")
    max_ulp: float = doc("Largest error in units in the last place of the true value in that dtype.")
    bitwise_equal_to_numpy: bool | None = doc(
        "Whether the analytic result on NumPy has the same bits; empty if unknown."
    )
    reason: str = doc("What is wrong, missing or worth knowing, with figures; empty for a plain PASS.")
    seed: int = doc("Seed of the inputs.")
    collectives: str = doc(
        "On a mesh, the collective operations that the compiler put in, as `all-reduce 2`, or `none`; else empty.", ""
    )
    machine: str = doc("Machine that it was computed on; empty in a run of one machine.", default="")


COLUMNS = tuple(f.name for f in fields(MatrixRow))

PROOF_DIED = "the proof died: "
"""What the reason of a row begins with whose proof died; how it died follows."""

_IDENTITY = ("operation", "output", "backend", "device", "mode", "variant", "dtype", "regime", "sizes", "seed")
"""The columns that make a row the same one when it is said again."""


class GradientError(AssertionError):
    """A gradient is wrong; the message says which, where and by how much."""


@dataclass(frozen=True)
class Cell:
    """What one backend computes once: a case, in one mode and variant."""

    case: int
    """Index of the case."""
    mode: str
    variant: str
    relations: bool = False
    """Whether the relations are tried as well."""


EVERY = "all"
RELATIONS = "relations"
EAGER_ONLY = ("empty", "length-1", "strided", "nonfinite")
"""Regimes that would be compiled anew for their own shapes, or that a compiler may answer in its own way."""


@entry_point(no_rows(COLUMNS))
def check(
    ops: Operations = None,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | Sequence[str] | None = None,
    dtype: str | Sequence[str] | None = None,
    mode: str | Sequence[str] | None = None,
    variant: str | Sequence[str] | None = None,
    size: str | None = None,
    regime: str | Sequence[str] | None = None,
    inputs: str | os.PathLike[str] | None = None,
    seed: int = 0,
    precision: Precision = "strict",
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> pd.DataFrame:
    """Judge operations on backends and return one row per output, with the columns of :class:`MatrixRow`.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        backend: names, or ``module:ATTRIBUTE``; None is every backend there is.
        device: ``cpu``, ``cuda``, or a mesh of several, such as ``cpu:8`` or ``cpu:4x2``; None is every single device
            that a backend knows. For a mesh the dimension that is split (:mod:`multigrad.backend.placement`) is rounded
            up to a multiple, on every backend.
        dtype: names; None is every one that operation and backend have.
        mode: ``eager``, ``compiled``; None is both.
        variant: ``analytic``, ``autodiff``, ``native``; None is all.
        size: a named size; None is every one that is small enough for ball arithmetic.
        regime: how inputs are drawn, of :data:`multigrad.ops.draw.REGIMES`; ``relations`` for the relations alone,
            ``all`` for everything. None is gaussian and integers, the kinks and branches of the formula, the relations,
            and in the first dtype also empty, length-1 and strided.
        inputs: an .npz file with one array per input, by name, instead of drawn ones.
        seed: seed of everything that is drawn.
        precision: what float32 products may be computed in.
        timeout_s: seconds after which a worker that gives no sign is killed; as many times longer as more processes
            want to run than there are processors.
        progress: told about every cell, as it begins and as it ends.
        tell: given rows as soon as they are known, see :meth:`Plan.run`.

    Raises:
        BadInput: an unknown name, or a file that does not fit.
    """
    import pandas as pd

    plan = Plan.make(
        given_operations(ops),
        backends=_names(backend),
        devices=_names(device),
        dtypes=_names(dtype),
        modes=_names(mode),
        variants=_names(variant),
        size=size,
        regimes=_names(regime),
        inputs=inputs,
        seed=seed,
        precision=precision,
        timeout_s=timeout_s,
    )
    if not plan.work:
        raise BadInput(f"nothing to compare: {_why_nothing(plan.known)}")
    rows = _named_once(plan.rows(progress, tell))
    if not any(row["verdict"] == FAIL or (row["compared"] and row["backend"] != "exact") for row in rows):
        raise BadInput(f"nothing was compared: {_why_nothing(rows)}")
    frame = pd.DataFrame(rows)
    frame["bitwise_equal_to_numpy"] = _equal_to_numpy(frame)
    # Which worker was first is chance; the order of the operations is not.
    place = {op.name: i for i, op in enumerate(plan.ops.values())}
    frame = frame.sort_values("operation", key=lambda names: names.map(place), kind="stable")
    return frame[list(COLUMNS)].reset_index(drop=True)


def assert_gradients(
    ops: Operations, *, fail_on: str | Iterable[str] = ("inconclusive",), **options: Any
) -> pd.DataFrame:
    """Do what :func:`check` does, and raise if anything is wrong.

    Args:
        ops: as for :func:`check`.
        fail_on: what fails besides a FAIL, as for :func:`failing`.
        options: as for :func:`check`.

    Raises:
        GradientError: a verdict is one that fails; the message names operation, output, backend and figures.
        BadInput: as :func:`check`.
    """
    verdicts = failing(fail_on)
    frame = check(ops, **options)
    bad = frame[frame["verdict"].isin(verdicts)]
    if len(bad):
        raise GradientError("\n".join(sentence(row) for row in bad.to_dict("records")))
    return frame


def failing(words: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the verdicts that fail.

    Args:
        words: of :data:`multigrad.verdict.judge.FAIL_ON`, or ``all``; commas separate them in a text.
            A FAIL always fails.

    Raises:
        BadInput: an unknown word; the message has those that there are.
    """
    verdicts = {FAIL}
    for word in words.split(",") if isinstance(words, str) else words or ():
        if word == ALL:
            verdicts |= {*FAIL_ON.values()} - {UNAVAILABLE}
        elif word in FAIL_ON:
            verdicts.add(FAIL_ON[word])
        else:
            raise BadInput(f"no verdict to fail on is named {word!r}; there are {', '.join((ALL, *FAIL_ON))}")
    return tuple(verdict for verdict in VERDICTS if verdict in verdicts)


def _named_once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with what is not portable said once of each operation: every cell meets the same first place."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        key = row["operation"], row["backend"]
        if row["verdict"] == PORTABILITY and key in seen:
            continue
        seen |= {key} if row["verdict"] == PORTABILITY else set()
        kept.append(row)
    return kept


def sentence(row: Mapping[Any, Any]) -> str:
    """Say one row in one line."""
    where = "the formula" if row["backend"] == "exact" else f"{row['backend']}/{row['device']} {row['mode']}"
    variant = "" if row["variant"] == "analytic" else f" {row['variant']}"
    where += f" of {row['machine']}" if row.get("machine") else ""
    what = row["operation"] if row["output"] == "*" else f"{row['operation']} {derivative_name(row['output'])}"
    return f"{row['verdict']} {what}{variant} on {where} {row['dtype']} {row['regime']}: {row['reason']}"


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    return [names] if isinstance(names, str) else list(names) if names is not None else None


KINDS = ("cpu", "cuda")


def _devices(names: list[str] | None) -> list[str]:
    _known("device", [device_kind(name) for name in names or ()], KINDS)
    return [*KINDS] if names is None else names


def _known(kind: str, names: list[str] | None, known: Iterable[str]) -> list[str]:
    known = list(known)
    for name in names or ():
        if name not in known:
            raise BadInput(f"no {kind} named {name!r}; there are {', '.join(known)}")
    return known if names is None else names


@dataclass(frozen=True)
class Plan:
    """What is to be checked: the cases, and for each backend and device its cells."""

    ops: Mapping[str, Operation]
    """The operations, by reference."""
    cases: list[Case]
    work: Mapping[tuple[str, str], list[Cell]]
    """(backend, device) → cells."""
    known: list[dict[str, Any]]
    """Rows that are known without computing: what is not here."""
    precision: Precision
    isolated: bool
    """Whether every backend can have its own process: every operation can be found again from its reference."""
    kinks: bool = False
    """Whether the formula is held against the subdifferential at kinks."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """How a worker finds a backend, by its name, where it stands in no folder and no entry point."""
    timeout_s: float = TIMEOUT_S
    """Seconds without a sign after which a worker is killed, on an idle machine."""

    @classmethod
    def make(
        cls,
        ops: list[Operation],
        *,
        backends: list[str] | None,
        devices: list[str] | None,
        dtypes: list[str] | None,
        modes: list[str] | None,
        variants: list[str] | None,
        size: str | None,
        regimes: list[str] | None,
        inputs: str | os.PathLike[str] | None,
        seed: int,
        precision: Precision,
        timeout_s: float = TIMEOUT_S,
    ) -> Plan:
        """Make the plan; see :func:`check` for the arguments."""
        wanted_dtypes = _known("dtype", dtypes, DTYPES)
        chosen_modes = _known("mode", modes, ("eager", "compiled"))
        chosen_variants = _known("variant", variants, ("analytic", "autodiff", "native"))
        chosen_regimes = _regimes(regimes, inputs is not None)
        path = "" if inputs is None else str(Path(inputs).resolve())
        by_reference = {op.reference or f"#{i}": op for i, op in enumerate(ops)}
        chosen_devices = _devices(devices)
        meshes = [shape for name in chosen_devices if (shape := mesh_shape(name))]
        cases: list[Case] = []
        for reference, op in by_reference.items():
            chosen = [each if path else rounded(op, each, meshes) for each in _chosen_sizes(op, size, path)]
            kinds = [r for r in chosen_regimes if r != RELATIONS]
            if not kinds:
                kinds, chosen = ["gaussian"], chosen[:1]
            for regime, dtype in itertools.product(kinds, wanted_dtypes):
                if dtype in op.dtypes and (regimes is not None or _by_default(op, regime, dtype, wanted_dtypes)):
                    plain = Case(reference, op.name, chosen[0], regime, dtype, seed, path, precision)
                    cases += _of_regime(op, plain, chosen)
        work: dict[tuple[str, str], list[Cell]] = {}
        known: list[dict[str, Any]] = []
        for one in _backends(backends):
            for name in chosen_devices:
                if device_kind(name) not in one.devices:
                    continue
                reason = one.missing(name)
                if reason:
                    known += [_worded(op.name, one.name, name, UNAVAILABLE, reason, seed) for op in ops]
                else:
                    tried = RELATIONS in chosen_regimes
                    work[one.name, name] = _cells(one, cases, chosen_modes, chosen_variants, relations=tried)
        isolated = all(op.reference for op in ops)
        kinks = _KINK in chosen_regimes or regimes is None
        sources = {backend(source).name: source for source in backends or ()}
        return cls(by_reference, cases, work, known, precision, isolated, kinks, sources, timeout_s)

    def rows(self, progress: Progress | None = None, tell: Tell | None = None) -> list[dict[str, Any]]:
        """Carry the plan out and return its rows, each once, as it was known last."""
        rows: list[dict[str, Any]] = []
        undiagnosed: dict[tuple[Any, ...], int] = {}
        for batch, judged in self.run(progress):
            for row in batch:
                identity = tuple(row[name] for name in _IDENTITY)
                if row["undiagnosed"]:
                    undiagnosed[identity] = len(rows)
                elif identity in undiagnosed and row["backend"] == "exact":
                    rows[undiagnosed.pop(identity)] = row
                    continue
                rows.append(row)
            if tell:
                tell(batch, judged, [op.name for op in self.ops.values()])
        return rows

    def run(self, progress: Progress | None = None) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """Judge the formulas, then let every backend work.

        Yields:
            Rows as they come, and whether all formulas have been judged.

        A row on a wrong formula comes twice: at once with the figures, and later with the name of the mistake.
        """
        total = len(self.cases) + sum(map(len, self.work.values()))
        done: list[str] = []

        def tick(text: str, *, ended: bool) -> None:
            if ended:
                done.append(text)
            if progress:
                progress(len(done), total, text)

        yield self.known, False
        with tempfile.TemporaryDirectory(prefix="multigrad-") as folder:
            lanes = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
            parts = max(1, lanes // max(1, len(self.work))) if self.isolated else 1
            with ThreadPoolExecutor(lanes if self.isolated else 1) as pool:
                # Whole operations: what is known of one holds for all of its cases.
                several = min(lanes, len(self.ops)) if self.isolated else 1
                judging = [partial(self._judge_formulas, folder, part, several, tick) for part in range(several)]
                for batch in _as_they_come(pool, judging):
                    yield batch, False
                yield [], True
                # NumPy opens at once: its verdicts come first.
                places = sorted(self.work, key=lambda key: key[0] != "numpy")
                shares = [(key, part) for key in places for part in range(parts)]
                working = [partial(self._run_backend, *key, part, parts, folder, tick) for key, part in shares]
                for batch in _as_they_come(pool, working):
                    yield batch, True

    def _start(self, target: str, arguments: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Any]:
        if self.isolated:
            timeout_s = self.timeout_s * busy()
            return worker.run(f"{__name__}:{target}", arguments, environment=environment, timeout_s=timeout_s)
        functions: dict[str, Callable[..., Iterator[Any]]] = {
            "truth_worker": truth_worker,
            "diagnosis_worker": diagnosis_worker,
            "backend_worker": backend_worker,
        }
        return worker.run_here(functions[target](arguments, self.ops))

    def _judge_formulas(
        self, folder: str, part: int, parts: int, tick: Callable[..., None]
    ) -> Iterator[list[dict[str, Any]]]:
        """Judge the formulas of some operations and write the truth of their cases, then name the mistakes."""
        references = {*itertools.islice(self.ops, part, None, parts)}
        cases = [i for i, case in enumerate(self.cases) if case.reference in references]

        def start(pending: list[int]) -> Iterator[Any]:
            given = {str(i): asdict(self.cases[i]) for i in pending}
            arguments = {"folder": folder, "cases": given, "kinks": self.kinks and len(pending) == len(cases)}
            return self._start("truth_worker", arguments, SINGLE_THREADED)

        wrong: dict[int, list[dict[str, Any]]] = {}
        for message in work_through(cases, start):
            if isinstance(message, Lost):
                write_unknown(folder, message.task, message.reason)
                yield [_failed_case(self.cases[message.task], message.reason)]
            elif "begin" in message:
                tick(f"{self.cases[message['begin']].operation}: the truth", ended=False)
            elif "rows" in message:
                yield message["rows"]
                if undiagnosed := [row for row in message["rows"] if row["undiagnosed"]]:
                    wrong[message["case"]] = undiagnosed
            elif "end" in message:
                tick(f"{self.cases[message['end']].operation}: the truth", ended=True)
        yield from self._diagnose(wrong)

    def _diagnose(self, wrong: Mapping[int, list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
        """Name the mistakes in worker processes of their own: what dies or hangs there costs a sentence."""

        def start(pending: list[int]) -> Iterator[Any]:
            rows = {str(i): wrong[i] for i in pending}
            arguments = {"rows": rows, "cases": {str(i): asdict(self.cases[i]) for i in pending}}
            return self._start("diagnosis_worker", arguments, SINGLE_THREADED)

        for message in work_through([*wrong], start):
            if not isinstance(message, Lost) and "rows" in message:
                yield message["rows"]

    def _share(self, cells: list[Cell], part: int, parts: int) -> list[int]:
        """Return the cells that one of several workers of a backend takes: whole functions, so none compiles twice."""
        functions: dict[tuple[Any, ...], int] = {}
        for cell in cells:
            case = self.cases[cell.case]
            functions.setdefault((case.reference, case.sizes, cell.mode, cell.variant, case.dtype), len(functions))
        numbers = []
        for i, cell in enumerate(cells):
            case = self.cases[cell.case]
            number = functions[case.reference, case.sizes, cell.mode, cell.variant, case.dtype]
            numbers += [i] if number % parts == part else []
        return numbers

    def _run_backend(
        self, name: str, device: str, part: int, parts: int, folder: str, tick: Callable[..., None]
    ) -> Iterator[list[dict[str, Any]]]:
        cells = self.work[name, device]
        source = self.sources.get(name, name)
        environment = backend(source).environment(device, 1, self.precision)
        share = self._share(cells, part, parts)

        def start(pending: list[int]) -> Iterator[Any]:
            arguments = {
                "folder": folder,
                "backend": source,
                "device": device,
                "precision": self.precision,
                "cases": {str(cells[i].case): asdict(self.cases[cells[i].case]) for i in pending},
                "cells": {str(i): asdict(cells[i]) for i in pending},
            }
            return self._start("backend_worker", arguments, environment)

        for message in work_through(share, start):
            if isinstance(message, Lost):
                cell = cells[message.task]
                judgement = worded(FAIL, message.reason)
                yield [_row(self.cases[cell.case], cell, name, device, "*", judgement)]
            elif "probe" in message:
                yield [] if part else [_probed(name, device, message["probe"], self.cases[0].seed)]
            elif "unavailable" in message:
                operations = dict.fromkeys(self.cases[cells[i].case].operation for i in share)
                reason, seed = message["unavailable"], self.cases[0].seed
                yield [] if part else [_worded(o, name, device, UNAVAILABLE, reason, seed) for o in operations]
            elif "begin" in message:
                tick(self._text(cells[message["begin"]], name, device), ended=False)
            elif "rows" in message:
                yield message["rows"]
            elif "end" in message:
                tick(self._text(cells[message["end"]], name, device), ended=True)

    def _text(self, cell: Cell, name: str, device: str) -> str:
        case = self.cases[cell.case]
        return f"{case.operation} {cell.variant} {cell.mode} on {name}/{device} {case.dtype}"


SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""What a worker is told that computes with balls: there is nothing for a second thread to do."""


def _as_they_come(
    pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], Iterator[list[dict[str, Any]]]]]
) -> Iterator[list[dict[str, Any]]]:
    """Run jobs side by side and yield what each of them yields, in the order of time."""
    batches: queue.SimpleQueue[list[dict[str, Any]] | None] = queue.SimpleQueue()

    def run(job: Callable[[], Iterator[list[dict[str, Any]]]]) -> None:
        try:
            for batch in job():
                batches.put(batch)
        finally:
            batches.put(None)

    futures = [pool.submit(run, job) for job in jobs]
    running = len(futures)
    while running:
        batch = batches.get()
        if batch is None:
            running -= 1
        else:
            yield batch
    for future in futures:
        future.result()


def busy() -> float:
    """Return by how much longer everything may take now than on an idle machine; at least 1."""
    try:
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    except OSError:
        return 1.0


_KINK = "kink"
AIMED = "aimed"
"""How the inputs were drawn, of a row of the formula: so that they meet its branches."""


def _regimes(names: list[str] | None, file: bool) -> list[str]:
    if file:
        return ["file"]
    if names is None:
        return [*DEFAULT_REGIMES, *SHAPES, RELATIONS]
    found = _known("regime", names, (*REGIMES, RELATIONS, EVERY))
    return [*REGIMES, RELATIONS] if EVERY in found else list(dict.fromkeys(found))


SHAPES = ("strided", "length-1", "empty")
"""Regimes of layout and shape that are tried by default, in one dtype: what goes wrong there is the same in all."""


def _by_default(op: Operation, regime: str, dtype: str, dtypes: Sequence[str]) -> bool:
    return regime not in SHAPES or dtype == next(d for d in dtypes if d in op.dtypes)


def _of_regime(op: Operation, plain: Case, sizes: Sequence[Mapping[str, Any]]) -> Iterator[Case]:
    """Make the cases of one regime: ordinary ones at every size, the others at the smallest."""
    smallest = dict(sizes[0])
    symbols = [s for s in op.signature.symbols if s in smallest]
    if plain.regime in (*DEFAULT_REGIMES, "file"):
        yield from (replace(plain, size=size) for size in sizes)
    elif plain.regime == "empty":
        yield from (replace(plain, size={**smallest, symbol: 0}) for symbol in symbols)
    elif plain.regime == "length-1":
        yield replace(plain, size={**smallest, **dict.fromkeys(symbols, 1)})
    elif plain.regime == "nonfinite":
        yield from (replace(plain, size=smallest, poisoned=name) for name in op.gradients)
    else:
        yield replace(plain, size=smallest)


def _chosen_sizes(op: Operation, size: str | None, path: str) -> list[dict[str, Any]]:
    if path:
        return [read_inputs(op, path)]
    return [op.size(name) for name in ([size] if size else small_sizes(op))]


def _backends(names: list[str] | None) -> list[Backend]:
    return list(backends().values()) if names is None else [backend(name) for name in names]


def _cells(
    one: Backend, cases: list[Case], modes: list[str], variants: list[str], *, relations: bool = False
) -> list[Cell]:
    first: dict[str, str] = {}
    tried: set[tuple[str, str]] = set()
    for case in cases:
        first.setdefault(case.reference, case.sizes)
    cells = []
    for i, case in enumerate(cases):
        ordinary = case.regime in (*DEFAULT_REGIMES, "file")
        for mode, variant in itertools.product(modes, variants):
            if mode not in one.modes or variant not in one.variants:
                continue
            # Another formula (autodiff's) rounds, overflows and passes NaN on elsewhere: its bounds are not known.
            if not ordinary and (variant != "analytic" or (mode != "eager" and case.regime in EAGER_ONLY)):
                continue
            # To compile takes seconds: the hand-derived gradient at the smallest size. What a framework makes of its
            # own autodiff when it compiles is its own affair.
            if mode == "eager" or (variant == "analytic" and case.sizes == first[case.reference]):
                key = case.reference, case.dtype
                here = relations and (mode, variant) == ("eager", "analytic") and key not in tried
                tried |= {key} if here else set()
                cells.append(Cell(i, mode, variant, here))
    # Modes and variants of one operation lie together, so that a worker compiles each function once.
    order = {c: n for n, c in enumerate(cells)}

    def together(cell: Cell) -> tuple[Any, ...]:
        case = cases[cell.case]
        return case.reference, case.sizes, cell.mode, cell.variant, case.dtype, order[cell]

    return sorted(cells, key=together)


class _RaisesThere(Exception):
    """A pullback raises at a shape without entries, or of length 1; the message says what."""


def _judgements(op: Operation, case: Case) -> dict[str, Judgement]:
    judgements = judge_case(op, case)
    if case.regime in RESIZED and "*" in judgements and judgements["*"].verdict == FAIL:
        raise _RaisesThere(judgements["*"].reason)
    return judgements


def truth_worker(arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None) -> Iterator[dict[str, Any]]:
    """Judge each case's formula, say so, and write its truth; the worker's side of the first step."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    refuted: dict[str, set[str]] = {}
    seen: set[str] = set()
    told: set[tuple[str, ...]] = set()
    for key, values in arguments["cases"].items():
        case, number = Case(**values), int(key)
        yield {"begin": number}
        op = _find(case, ops)
        first = case.reference not in seen and arguments.get("kinks")
        if first:
            seen.add(case.reference)
            yield {"case": number, "rows": [*_at_reaching_sizes(op, case)]}
        try:
            check_served(op, case)
            ground = case.regime if case.regime in (*SMOOTH, "empty") else "gaussian"
            identity = (case.reference, case.sizes, ground)
            if identity not in wrong:
                judgements = _judgements(op, case)
                wrong[identity] = [output for output, j in judgements.items() if j.verdict == FAIL]
                shown = case if case.regime == "file" else replace(case, regime=ground)
                rows = [_formula_row(shown, output, j) for output, j in judgements.items()]
                yield {"case": number, "rows": [{**row, "undiagnosed": row["verdict"] == FAIL} for row in rows]}
            here = wrong.get(identity, [])
            refuted.setdefault(case.reference, set()).update(here)
            _write_truth(arguments["folder"], number, op, case, here, {*here, *refuted[case.reference]})
        except Unserved as error:
            write_unknown(arguments["folder"], key, str(error), unserved=True)
            yield {"case": number, "rows": [*_once(told, case, "*", worded(UNAVAILABLE, str(error)))]}
        except Unknown as error:
            write_unknown(arguments["folder"], key, str(error))
        except Exception as error:
            if case.regime not in RESIZED:
                raise
            said = str(error) if isinstance(error, _RaisesThere) else f"raised {one_line(error)}"
            reason = f"its forward part has this case, its pullback {said}"
            write_unknown(arguments["folder"], key, reason, unserved=True)
            # A division by the number of rows is wrong; a pullback that has no row to join refuses the case.
            verdict = FAIL if ZeroDivisionError.__name__ in said else UNAVAILABLE
            yield {"case": number, "rows": [*_once(told, case, "*", worded(verdict, reason))]}
        if first:
            yield {"case": number, "rows": [*_surveyed(op, case)]}
        yield {"end": number}


def diagnosis_worker(
    arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None
) -> Iterator[dict[str, Any]]:
    """Name the mistakes in formulas that have been judged wrong; the worker's side."""
    for key, values in arguments["cases"].items():
        case, rows = Case(**values), arguments["rows"][key]
        yield {"begin": int(key)}
        try:
            reasons = diagnose_formula(_find(case, ops), case, [row["output"] for row in rows])
        except Exception:  # noqa: BLE001 - the verdict stands, with its figures
            reasons = {}
        named = [{**row, "reason": reasons.get(row["output"], row["reason"])} for row in rows]
        yield {"rows": [{**row, "undiagnosed": False} for row in named]}
        yield {"end": int(key)}


def _at_reaching_sizes(op: Operation, case: Case) -> Iterator[dict[str, Any]]:
    """Certify the formula where it runs the lines of the pullback that no small size runs, and name those left over."""
    small = [op.size(name) for name in small_sizes(op)]
    try:
        further, never = reaching_sizes(op, small)
    except BadInput:
        return  # no source, no lines: an operation made at a prompt
    for size in further:
        there = replace(case, size=size, regime="gaussian")
        yield from (_formula_row(there, output, j) for output, j in judge_formula(op, there).items())
    if never:
        lines = ", ".join(map(str, never))
        reason = f"no size was found that runs line {lines} of the pullback: what it says there is not certified"
        yield _formula_row(replace(case, regime="gaussian"), "*", worded(INCONCLUSIVE, reason))


def _once(told: set[tuple[str, ...]], case: Case, output: str, judgement: Judgement) -> Iterator[dict[str, Any]]:
    """Word what is the same in every dtype, once."""
    key = (case.reference, case.sizes, case.regime, judgement.reason)
    if key not in told:
        told.add(key)
        yield _formula_row(case, output, judgement)


def _write_truth(
    folder: str, key: int, op: Operation, case: Case, wrong: Sequence[str], refuted: Iterable[str]
) -> None:
    refuted = tuple(sorted(refuted))
    write_truth(folder, key, replace(find_truth(op, case, wrong), refuted=refuted))
    if case.precision != "strict" and case.dtype == "float32":
        # What a framework may do it need not: the probe decides which bounds are held against it.
        strict = find_truth(op, replace(case, precision="strict"), wrong)
        write_truth(folder, f"{key}-strict", replace(strict, refuted=refuted))


def _formula_row(case: Case, output: str, judgement: Judgement) -> dict[str, Any]:
    return _row(case, Cell(-1, "eager", "analytic"), "exact", "cpu", output, judgement, dtype="arb")


def _surveyed(op: Operation, case: Case) -> Iterator[dict[str, Any]]:
    """Judge the formula on its kinks and at inputs that are aimed at its branches, at the smallest size."""
    here = replace(case, size=next(iter(op.sizes.values())), regime=_KINK, inputs="")
    reason = "no entry lies on a kink"
    try:
        found = survey(op, here.size, case.seed)
    except Exception as error:  # noqa: BLE001 - what is wrong with the operation as a whole is said beside the formula
        found, reason = None, one_line(error)
    for output, judgement in found.kinks.items() if found else ():
        yield _formula_row(here, output, judgement)
    for output, judgement in found.aimed.items() if found and not case.inputs else ():
        yield _formula_row(replace(here, regime=AIMED), output, judgement)
    if case.regime == _KINK and not (found and found.kinks):
        yield _formula_row(here, "*", worded(UNAVAILABLE, f"no kink to judge: {reason}"))


def backend_worker(
    arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None
) -> Iterator[dict[str, Any]]:
    """Compute and judge the cells of one backend on one device; the worker's side of the second step."""
    name, device = arguments["backend"], arguments["device"]
    try:
        session = backend(name).open(device, threads=1 if ops is None else None, precision=arguments["precision"])
    except (Unavailable, BadInput) as error:
        yield {"unavailable": str(error)}
        return
    dtypes = dict.fromkeys(arguments["cases"][str(c["case"])]["dtype"] for c in arguments["cells"].values())
    probed = _probe(session, dtypes)
    yield from ({"probe": found} for found in _lower_precision(probed, arguments["precision"]))
    bench = _Bench(session, arguments["folder"], arguments["precision"], probed)
    for key, values in arguments["cells"].items():
        cell = Cell(**values)
        case = Case(**arguments["cases"][str(cell.case)])
        yield {"begin": int(key)}
        yield {"rows": list(bench.check(cell, case, _find(case, ops)))}
        yield {"end": int(key)}


def _probe(session: Session, dtypes: Iterable[str]) -> Mapping[str, Roundoff]:
    try:
        return probe(session, dtypes)
    except Exception:  # noqa: BLE001 - a backend without matrix products fails in the cells, which say more
        return {}


def _lower_precision(probed: Mapping[str, Roundoff], precision: str) -> Iterator[dict[str, str]]:
    for dtype, found in probed.items():
        if found.degraded:
            allowed = precision != "strict" and dtype == "float32" and found.product >= 11
            reason = f"{found}, as the precision {precision} allows" if allowed else str(found)
            yield {"dtype": dtype, "verdict": NOTE if allowed else FAIL, "reason": reason}


def _find(case: Case, ops: Mapping[str, Operation] | None) -> Operation:
    return ops[case.reference] if ops is not None else load_operations([case.reference])[0]


FUNCTIONS_KEPT = 64
"""Functions that a worker keeps, compiled ones among them, before it lets go of all memory that they hold."""


@dataclass
class _Bench:
    """A session with what its cells share."""

    session: Session
    folder: str
    precision: str
    probed: Mapping[str, Roundoff]
    functions: dict[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    collectives: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What the compiler put into each compiled function."""
    structures: dict[str, Structure] = field(default_factory=dict)

    def check(self, cell: Cell, case: Case, op: Operation) -> Iterator[dict[str, Any]]:
        """Compute and judge one cell, and try the relations where it is the one for them."""
        yield from self._cell(cell, case, op)
        gap = self.session.backend.gap(op, case.dtype, cell.mode, cell.variant, self.session.device)
        if cell.relations and gap is None and case.dtype in self.session.dtypes:
            for words, judgement in self._relations(case, op):
                here = replace(case, regime=f"relation: {words}")
                yield self._without_answer(here, cell, judgement)

    def _cell(self, cell: Cell, case: Case, op: Operation) -> Iterator[dict[str, Any]]:
        session, name, device = self.session, self.session.backend.name, self.session.device
        if cell.variant == "native" and session.native_form(op) is None:
            return  # nothing is missing: there is no other way to write it
        gap = session.backend.gap(op, case.dtype, cell.mode, cell.variant, device)
        try:
            known = self._truth(case, cell)
        except Unserved:
            return  # said once, beside the formula
        except Unknown as error:
            if case.regime not in RESIZED:  # a shape that was tried, not asked for
                yield _row(case, cell, name, device, "*", worded(INCONCLUSIVE, str(error)))
            return
        try:
            outputs = self._compute(cell, case, op, known)
        except Unavailable as error:
            yield _row(case, cell, name, device, "*", worded(UNAVAILABLE, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a framework raises belongs to this cell alone
            if gap is not None and gap.raises in {c.__name__ for c in type(error).__mro__}:
                yield _row(case, cell, name, device, "*", worded(GAP, f"{gap.kind}: {gap.reason}"))
            else:
                _, parameters = op.split(case.size)
                judgement = judge_error(session, op, parameters, known.arrays, case.dtype, cell.variant, error)
                if judgement.verdict == FAIL and case.regime in RESIZED:
                    # NumPy has this shape; that another framework refuses it says nothing of the gradient.
                    judgement = replace(judgement, verdict=UNAVAILABLE)
                if cell.variant in THEIRS and judgement.verdict == FAIL:
                    judgement = replace(judgement, reason=f"{name}'s {cell.variant} {judgement.reason}")
                yield self._without_answer(case, cell, judgement)
        else:
            if gap is not None:
                reason = f"a gap is recorded ({gap.reason}) but the cell runs: remove the gap"
                yield _row(case, cell, name, device, "*", worded(FAIL, reason))
                return
            yield from self._judged(cell, case, op, known, outputs)

    def _without_answer(self, case: Case, cell: Cell, judgement: Judgement) -> dict[str, Any]:
        """Return the row of what has no figures for single outputs."""
        name, device = self.session.backend.name, self.session.device
        if judgement.verdict == PORTABILITY:
            case = replace(case, size={}, regime="*", dtype="*")
        return _row(case, cell, name, device, "*", judgement)

    def _truth(self, case: Case, cell: Cell) -> Truth:
        found = self.probed.get(case.dtype)
        strict = case.precision != "strict" and case.dtype == "float32" and found is not None and found.product >= 24
        return read_truth(self.folder, f"{cell.case}-strict" if strict else cell.case)

    def _compute(self, cell: Cell, case: Case, op: Operation, known: Truth) -> tuple[Any, ...]:
        session = self.session
        if case.dtype not in session.dtypes:
            raise Unavailable(f"{session.backend.name} has no {case.dtype} on {session.device}")
        _, parameters = op.split(case.size)
        key = self._key(cell, case)
        if key not in self.functions:
            if len(self.functions) == FUNCTIONS_KEPT:
                # Not after every cell: what a framework has compiled for one serves the next.
                self.functions.clear()
                session.release()
            self.functions[key] = session.function(op, parameters, cell.variant, cell.mode)  # type: ignore[arg-type]
        if case.regime == "strided":
            arrays = [_strided(session, a, case.dtype if a.dtype.kind == "f" else None) for a in known.arrays]
        else:
            arrays = session.place(op, known.arrays, case.dtype)
        outputs: tuple[Any, ...] = self.functions[key](*arrays)
        session.wait(outputs)
        if cell.mode == "compiled" and key not in self.collectives:
            self.collectives[key] = session.collectives(self.functions[key], *arrays)
        return outputs

    def _key(self, cell: Cell, case: Case) -> tuple[str, ...]:
        return case.reference, case.sizes, cell.mode, cell.variant, case.dtype

    def _judged(
        self, cell: Cell, case: Case, op: Operation, known: Truth, outputs: Sequence[Any]
    ) -> Iterator[dict[str, Any]]:
        references = known.outputs(cell.variant)
        hosts = [self.session.to_numpy(array) for array in outputs]
        silent = [known.note and np.all(r.excused) for r in references]
        if all(silent):
            reason = f"nothing to compare: every entry of every output may be touched by {known.note}"
            name, device = self.session.backend.name, self.session.device
            yield _row(case, cell, name, device, "*", worded(UNAVAILABLE, reason))
        for i, (output, array, host, reference) in enumerate(zip(op.outputs, outputs, hosts, references, strict=True)):
            if silent[i]:
                continue
            if case.regime in BOUNDLESS:
                why = f"may be touched by {known.note}" if known.note else f"may overflow in {case.dtype}"
                judgement = judge_entries(host, reference, case.dtype, why, boundless=True)
            else:
                _, parameters = op.split(case.size)
                judgement = judge_variant(
                    op, parameters, case.dtype, cell.variant, lambda: known.arrays, i, host, reference
                )
            if case.regime in RESIZED and judgement.verdict == INCONCLUSIVE:
                continue  # one number less its own mean: there is nothing to hold a bound against
            judgement = self.session.backend.worded(judgement, op, cell.variant)
            kind = self.session.dtype_name(array)
            if cell.variant in THEIRS and judgement.verdict == FAIL:
                judgement, of_formula = self._against_forward(cell, case, op, known, i, host, judgement)
                yield from of_formula
            if kind != case.dtype and judgement.verdict != FAIL:
                judgement = worded(FAIL, f"has dtype {kind}, wanted {case.dtype}")
            elif judgement.verdict in (FAIL, NOTE):
                judgement = self._explained(judgement, case, op, known.arrays, references, i, host)
            if cell.variant in THEIRS and judgement.verdict == FAIL:
                judgement = self._attributed(cell, case, op, known, i, host, judgement)
            if not judgement.reason:
                shapes = [a.shape for a in known.arrays[: len(op.inputs)]]
                whole = undivided(op, shapes, mesh_shape(self.session.device))
                judgement = replace(judgement, reason=f"every device has the whole: {whole}" if whole else "")
            row = _row(
                case, cell, self.session.backend.name, self.session.device, output, judgement, digest=_digest(host)
            )
            yield {**row, "collectives": self.collectives.get(self._key(cell, case), "")}

    def _against_forward(
        self,
        cell: Cell,
        case: Case,
        op: Operation,
        known: Truth,
        number: int,
        host: np.ndarray,
        judgement: Judgement,
    ) -> tuple[Judgement, list[dict[str, Any]]]:
        """Judge a form that is not ours, and is off, by the derivative of the forward part, which is what it computes.

        Returns:
            The judgement, and a row about the formula where that is what differs.
        """
        output, reference = op.outputs[number], known.outputs(cell.variant)[number]
        value = number < len(op.signature.outputs)
        if value or host.shape != reference.value.shape or not np.isfinite(host).all():
            return judgement, []
        if {output, "*"} & {*known.refuted}:
            reason = "not judged: the formula is wrong, and its bounds with it"
            return worded(UNAVAILABLE, reason), []
        _, parameters = op.split(case.size)
        for _, high, low in true_gradients(op, known.arrays, parameters, [output]):
            apart = np.abs((high - reference.value) - (reference.rest - low))
            if high.shape != reference.value.shape or not (apart > reference.bound).any():
                break
            right = replace(reference, value=high, rest=low)
            share = f"{int(np.sum(apart > reference.bound))} of {apart.size} entries"
            reason = (
                f"{derivative_name(output)} differs from the derivative of the forward part in {share}, "
                f"by up to {float(np.max(apart)):.3g}"
            )
            wrong = replace(worded(FAIL, reason), ratio=float("inf"), compared=apart.size)
            judged = judge_variant(op, parameters, case.dtype, cell.variant, lambda: known.arrays, number, host, right)
            if judged.verdict == FAIL:
                judged = worded(UNAVAILABLE, "not judged: the formula is wrong, and its bounds with it")
            return judged, [_formula_row(case, output, wrong)]
        return judgement, []

    def _attributed(
        self,
        cell: Cell,
        case: Case,
        op: Operation,
        known: Truth,
        number: int,
        host: np.ndarray,
        judgement: Judgement,
    ) -> Judgement:
        """Say whose number is off, and whether the hand-derived one is right there."""
        what = f"{self.session.backend.name}'s {cell.variant}"
        yours = "; yours is right" if self._ours_is_right(case, op, known, number) else ""
        if np.isnan(judgement.ratio) or host.shape != known.references[number].value.shape:  # another dtype or shape
            return replace(judgement, reason=f"{what} {judgement.reason}{yours}")
        finite = np.isfinite(known.references[number].value)
        for word, where in (("NaN", np.isnan(host) & finite), ("infinite", np.isinf(host) & finite)):
            if where.any():
                return replace(judgement, reason=f"{what} is {word} here{yours}: {judgement.reason}")
        return replace(judgement, reason=f"{what} is off here{yours}: {judgement.reason}")

    def _ours_is_right(self, case: Case, op: Operation, known: Truth, number: int) -> bool:
        _, parameters = op.split(case.size)
        session = self.session
        try:
            function = session.function(op, parameters, "analytic", "eager")
            outputs = function(*session.place(op, known.arrays, case.dtype))
            session.wait(outputs)
            host = session.to_numpy(outputs[number])
        except Exception:  # noqa: BLE001 - its own cell says what it raised
            return False
        judged = judge_variant(
            op, parameters, case.dtype, "analytic", lambda: known.arrays, number, host, known.references[number]
        )
        return judged.verdict in (PASS, NOTE) and op.outputs[number] not in known.refuted

    def _explained(
        self,
        judgement: Judgement,
        case: Case,
        op: Operation,
        arrays: Sequence[np.ndarray],
        references: Sequence[Reference],
        number: int,
        host: np.ndarray,
    ) -> Judgement:
        """Name the mistake in a number that is off, before the figures."""
        found = self.probed.get(case.dtype)
        if found is not None and found.degraded:
            return replace(judgement, reason=f"{self.session.backend.name} {found}; {judgement.reason}")
        finite = np.isfinite(references[number].value).all() and np.isfinite(references[number].bound).all()
        if judgement.verdict == NOTE or not finite or host.size == 0 or references[number].value.size == 0:
            return judgement
        judged = (number, *range(len(op.signature.outputs), len(op.outputs)))
        true = {op.outputs[j]: references[j].value for j in judged}
        bound, roundoff = references[number].bound, FORMATS[case.dtype].unit_roundoff
        computed = host.astype(np.float64)
        evidence = Evidence.of(op, case.size, arrays, op.outputs[number], computed, true, bound, roundoff)
        try:
            return replace(judgement, reason=f"{diagnose(evidence)}; {judgement.reason}")
        except (ArithmeticError, ValueError, IndexError, np.linalg.LinAlgError):
            return judgement  # the figures alone, rather than no verdict

    def _relations(self, case: Case, op: Operation) -> Iterator[tuple[str, Judgement]]:
        if case.reference not in self.structures:
            self.structures[case.reference] = structure(op, case.size, case.seed)
        degraded = case.dtype in self.probed and self.probed[case.dtype].degraded
        yield from relations(
            self.session,
            op,
            case.size,
            case.dtype,
            seed=case.seed,
            precision=self.precision if degraded else "strict",
            known=self.structures[case.reference],
            raised=lambda error, arrays: judge_error(
                self.session, op, op.split(case.size)[1], arrays, case.dtype, "analytic", error
            ),
        )


BOUNDLESS = ("wide", "cancellation", "huge", "tiny", "nonfinite")
"""Regimes in which an entry may have no bound: it overflows, or it hears of a NaN."""


def _strided(session: Session, array: np.ndarray, dtype: str | None) -> Any:
    """Put an array on the device as a view: a matrix transposed, a vector as every other entry of another."""
    if array.ndim == 0:
        return session.to_device(array, dtype)
    if array.ndim == 1:
        return session.to_device(np.repeat(array, 2), dtype)[::2]
    turned = np.ascontiguousarray(np.swapaxes(array, -1, -2))
    return session.xp.matrix_transpose(session.to_device(turned, dtype))


def _digest(array: np.ndarray) -> str:
    # Adding zero makes −0 into +0: they are equal numbers.
    return hashlib.sha256(np.ascontiguousarray(array + 0.0).tobytes()).hexdigest()


def _row(
    case: Case,
    cell: Cell,
    name: str,
    device: str,
    output: str,
    judgement: Judgement,
    *,
    dtype: str | None = None,
    digest: str = "",
) -> dict[str, Any]:
    row = MatrixRow(
        operation=case.operation,
        output=output,
        backend=name,
        device=device,
        mode=cell.mode,
        variant=cell.variant,
        dtype=dtype or case.dtype,
        regime=case.regime,
        sizes=case.sizes,
        verdict=blamed(judgement.verdict, cell.variant),
        ratio=judgement.ratio,
        max_abs_error=judgement.max_abs_error,
        max_ulp=judgement.max_ulp,
        bitwise_equal_to_numpy=None,
        reason=judgement.reason,
        seed=case.seed,
    )
    return {**asdict(row), "digest": digest, "compared": judgement.compared, "undiagnosed": False}


def _worded(operation: str, name: str, device: str, verdict: str, reason: str, seed: int) -> dict[str, Any]:
    case = Case("", operation, {}, "*", "*", seed)
    return _row(case, Cell(-1, "*", "*"), name, device, "*", worded(verdict, reason))


def _probed(name: str, device: str, found: Mapping[str, str], seed: int) -> dict[str, Any]:
    case = Case("", "*", {}, "roundoff", found["dtype"], seed)
    judgement = worded(found["verdict"], found["reason"])
    return _row(case, Cell(-1, "eager", "*"), name, device, "*", judgement)


def _failed_case(case: Case, reason: str) -> dict[str, Any]:
    judgement = worded(INCONCLUSIVE, f"{PROOF_DIED}{reason}")
    return _row(case, Cell(-1, "eager", "analytic"), "exact", "cpu", "*", judgement, dtype="arb")


def _why_nothing(rows: list[dict[str, Any]]) -> str:
    reasons = dict.fromkeys(f"{r['backend']}: {r['reason']}" for r in rows if r["reason"])
    return "; ".join(itertools.islice(reasons, 4)) or "no operation, backend and dtype go together"


def _equal_to_numpy(frame: pd.DataFrame) -> list[bool | None]:
    keys = ["operation", "output", "dtype", "regime", "sizes", "seed"]
    is_numpy = (frame["backend"] == "numpy") & (frame["variant"] == "analytic") & (frame["digest"] != "")
    bits = {tuple(row[k] for k in keys): row["digest"] for row in frame[is_numpy].to_dict("records")}
    answers: list[bool | None] = []
    for row in frame.to_dict("records"):
        theirs = bits.get(tuple(row[k] for k in keys))
        answers.append(None if theirs is None or not row["digest"] else theirs == row["digest"])
    return answers

"""The correctness matrix: every operation on every backend, each output judged and worded.

One process first finds the truth (:mod:`multigrad.truth`): it certifies the formulas and writes, for every case, the
inputs, the certified values and the bounds. Then every backend, in a process of its own, computes the same cases and
judges what it got.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import truth, worker
from .backend import Backend, Precision, Session, Unavailable, backend, backends
from .operation import DTYPES, BadInput, Operation, load_operations
from .truth import Case, derivative_name
from .verdict import FAIL, GAP, INCONCLUSIVE, UNAVAILABLE, Judgement, judge

if TYPE_CHECKING:
    import pandas as pd

    Operations = Operation | str | Sequence[Operation | str] | None

Progress = Callable[[int, int, str], None]
"""Called with cells done, cells in all, and what is running."""


def _doc(text: str) -> Any:
    return field(metadata={"doc": text})


@dataclass(frozen=True)
class MatrixRow:
    """One output of one cell of the correctness matrix."""

    operation: str = _doc("Name of the operation.")
    output: str = _doc(
        "`value`, or `X_bar` for the gradient with respect to X; `*` where the whole cell has one answer."
    )
    backend: str = _doc("Name of the backend; `exact` for the verdict on the formula itself.")
    device: str = _doc("`cpu` or `cuda`.")
    mode: str = _doc("`eager` or `compiled`.")
    variant: str = _doc(
        "`analytic` (hand-derived), `autodiff` (the framework's own) or `native` (its fused functions)."
    )
    dtype: str = _doc("Floating-point type of inputs and outputs; `arb` for ball arithmetic.")
    regime: str = _doc("How the inputs were drawn, or `file`.")
    sizes: str = _doc("Dimensions and parameters, such as `m=5 k=4 n=3`.")
    verdict: str = _doc("PASS, NOTE, FAIL, INCONCLUSIVE, UNAVAILABLE or GAP.")
    ratio: float = _doc("Largest error divided by its bound; above 1 is a FAIL.")
    max_abs_error: float = _doc("Largest absolute error.")
    max_ulp: float = _doc("Largest error in units in the last place of the true value in that dtype.")
    bitwise_equal_to_numpy: bool | None = _doc(
        "Whether the analytic result on NumPy has the same bits; empty if unknown."
    )
    reason: str = _doc("What is wrong, missing or worth knowing, with figures; empty for a plain PASS.")
    seed: int = _doc("Seed of the inputs.")


COLUMNS = tuple(f.name for f in fields(MatrixRow))


class GradientError(AssertionError):
    """A gradient is wrong; the message says which, where and by how much."""


@dataclass(frozen=True)
class Cell:
    """What one backend computes once: a case, in one mode and variant."""

    case: int
    """Index of the case."""
    mode: str
    variant: str


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
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Judge operations on backends and return one row per output, with the columns of :class:`MatrixRow`.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        backend: names; None is every backend there is.
        device: ``cpu``, ``cuda``; None is every device that a backend knows.
        dtype: names; None is every one that operation and backend have.
        mode: ``eager``, ``compiled``; None is both.
        variant: ``analytic``, ``autodiff``, ``native``; None is all.
        size: a named size; None is every one that is small enough for ball arithmetic.
        regime: how inputs are drawn; None is all that :mod:`multigrad.truth` names.
        inputs: an .npz file with one array per input, by name, instead of drawn ones.
        seed: seed of everything that is drawn.
        precision: what float32 products may be computed in.
        progress: told about every finished cell.

    Raises:
        BadInput: an unknown name, or a file that does not fit.
    """
    import pandas as pd

    plan = Plan.make(
        _operations(ops),
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
    )
    rows = [row for rows in plan.run(progress) for row in rows]
    if not any(row["compared"] and row["backend"] != "exact" for row in rows):
        raise BadInput(f"nothing was compared: {_why_nothing(rows)}")
    frame = pd.DataFrame(rows)
    frame["bitwise_equal_to_numpy"] = _equal_to_numpy(frame)
    return frame[list(COLUMNS)].reset_index(drop=True)


def assert_gradients(ops: Operations, **options: Any) -> pd.DataFrame:
    """Do what :func:`check` does, and raise if anything is wrong.

    Raises:
        GradientError: a verdict is FAIL or INCONCLUSIVE; the message names operation, output, backend and figures.
    """
    frame = check(ops, **options)
    bad = frame[frame["verdict"].isin([FAIL, INCONCLUSIVE])]
    if len(bad):
        raise GradientError("\n".join(sentence(row) for row in bad.to_dict("records")))
    return frame


def sentence(row: Mapping[Any, Any]) -> str:
    """Say one row in one line."""
    where = "the formula" if row["backend"] == "exact" else f"{row['backend']}/{row['device']} {row['mode']}"
    variant = "" if row["variant"] == "analytic" else f" {row['variant']}"
    what = row["operation"] if row["output"] == "*" else f"{row['operation']} {derivative_name(row['output'])}"
    return f"{row['verdict']} {what}{variant} on {where} {row['dtype']} {row['regime']}: {row['reason']}"


def _operations(ops: Operations) -> list[Operation]:
    if ops is None:
        return load_operations()
    found: list[Operation] = []
    for op in [ops] if isinstance(ops, Operation | str) else ops:
        found.extend([op] if isinstance(op, Operation) else load_operations([op]))
    if not found:
        raise BadInput("no operation to check")
    return found


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    return [names] if isinstance(names, str) else list(names) if names is not None else None


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
    ) -> Plan:
        """Make the plan; see :func:`check` for the arguments."""
        wanted_dtypes = _known("dtype", dtypes, DTYPES)
        chosen_modes = _known("mode", modes, ("eager", "compiled"))
        chosen_variants = _known("variant", variants, ("analytic", "autodiff", "native"))
        chosen_regimes = ["file"] if inputs else _known("regime", regimes, truth.REGIMES)
        path = "" if inputs is None else str(Path(inputs).resolve())
        by_reference = {op.reference or f"#{i}": op for i, op in enumerate(ops)}
        cases = []
        for reference, op in by_reference.items():
            for chosen in _chosen_sizes(op, size, path):
                for regime, dtype in itertools.product(chosen_regimes, wanted_dtypes):
                    if dtype in op.dtypes:
                        cases.append(Case(reference, op.name, chosen, regime, dtype, seed, path, precision))
        work: dict[tuple[str, str], list[Cell]] = {}
        known: list[dict[str, Any]] = []
        for one in _backends(backends):
            for name in _known("device", devices, ("cpu", "cuda")):
                if name not in one.devices:
                    continue
                reason = one.missing(name)
                if reason:
                    known += [_worded(op.name, one.name, name, UNAVAILABLE, reason, seed) for op in ops]
                else:
                    work[one.name, name] = _cells(one, cases, chosen_modes, chosen_variants)
        isolated = all(op.reference for op in ops)
        return cls(by_reference, cases, work, known, precision, isolated)

    def run(self, progress: Progress | None = None) -> Iterator[list[dict[str, Any]]]:
        """Find the truth, then let every backend work; yield the rows as they come."""
        total = len(self.cases) + sum(map(len, self.work.values()))
        count = itertools.count(1)

        def tick(text: str) -> None:
            if progress:
                progress(next(count), total, text)

        yield self.known
        with tempfile.TemporaryDirectory(prefix="multigrad-") as folder:
            yield self._find_truth(folder, tick)
            lanes = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
            with ThreadPoolExecutor(lanes if self.isolated else 1) as pool:
                futures = [pool.submit(self._run_backend, *key, folder, tick) for key in self.work]
                for future in futures:
                    yield future.result()

    def _call(self, target: str, arguments: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Any]:
        if self.isolated:
            return worker.run(f"{__name__}:{target}", arguments, environment=environment)
        functions: dict[str, Callable[..., Iterator[Any]]] = {
            "truth_worker": truth_worker,
            "backend_worker": backend_worker,
        }
        return functions[target](arguments, self.ops)

    def _find_truth(self, folder: str, tick: Callable[[str], None]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        pending = list(range(len(self.cases)))
        while pending:
            arguments = {"folder": folder, "cases": {str(i): asdict(self.cases[i]) for i in pending}}
            for message in self._call("truth_worker", arguments, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}):
                if isinstance(message, worker.Death):
                    lost = message.task if message.task is not None else pending[0]
                    truth.write_unknown(folder, lost, message.reason)
                    rows.append(_failed_case(self.cases[lost], message.reason))
                    pending.remove(lost)
                elif "case" in message:
                    rows.extend(message["rows"])
                    pending.remove(message["case"])
                    tick(f"{self.cases[message['case']].operation}: the truth")
        return rows

    def _run_backend(self, name: str, device: str, folder: str, tick: Callable[[str], None]) -> list[dict[str, Any]]:
        cells = self.work[name, device]
        one = backend(name)
        rows: list[dict[str, Any]] = []
        pending = list(range(len(cells)))
        while pending:
            arguments = {
                "folder": folder,
                "backend": name,
                "device": device,
                "precision": self.precision,
                "cases": {str(cells[i].case): asdict(self.cases[cells[i].case]) for i in pending},
                "cells": {str(i): asdict(cells[i]) for i in pending},
            }
            environment = one.environment(device, 1, self.precision)
            for message in self._call("backend_worker", arguments, environment):
                if isinstance(message, worker.Death):
                    lost = message.task if message.task is not None else pending[0]
                    case = self.cases[cells[lost].case]
                    rows.append(_row(case, cells[lost], name, device, "*", _worded_judgement(FAIL, message.reason)))
                    pending.remove(lost)
                elif "unavailable" in message:
                    operations = dict.fromkeys(self.cases[cells[i].case].operation for i in pending)
                    reason = message["unavailable"]
                    rows += [_worded(o, name, device, UNAVAILABLE, reason, self.cases[0].seed) for o in operations]
                    pending = []
                elif "cell" in message:
                    rows.extend(message["rows"])
                    pending.remove(message["cell"])
                    case = self.cases[cells[message["cell"]].case]
                    tick(f"{case.operation}: {name}/{device} {cells[message['cell']].mode} {case.dtype}")
        return rows


def _chosen_sizes(op: Operation, size: str | None, path: str) -> list[dict[str, Any]]:
    if path:
        return [truth.read_inputs(op, path)]
    return [op.size(name) for name in ([size] if size else truth.small_sizes(op))]


def _backends(names: list[str] | None) -> list[Backend]:
    return list(backends().values()) if names is None else [backend(name) for name in names]


def _cells(one: Backend, cases: list[Case], modes: list[str], variants: list[str]) -> list[Cell]:
    first: dict[str, str] = {}
    for case in cases:
        first.setdefault(case.reference, case.sizes)
    cells = []
    for i, case in enumerate(cases):
        for mode, variant in itertools.product(modes, variants):
            if mode not in one.modes or variant not in one.variants:
                continue
            # To compile takes seconds: the hand-derived gradient at the smallest size. What a framework makes of its
            # own autodiff when it compiles is its own affair.
            if mode == "eager" or (variant == "analytic" and case.sizes == first[case.reference]):
                cells.append(Cell(i, mode, variant))
    # Modes and variants of one operation lie together, so that a worker compiles each function once.
    order = {c: n for n, c in enumerate(cells)}

    def together(cell: Cell) -> tuple[Any, ...]:
        case = cases[cell.case]
        return case.reference, case.sizes, cell.mode, cell.variant, case.dtype, order[cell]

    return sorted(cells, key=together)


def truth_worker(arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None) -> Iterator[dict[str, Any]]:
    """Certify each case and write its truth; the worker's side of the first step."""
    wrong: dict[str, list[str]] = {}
    for key, values in arguments["cases"].items():
        case = Case(**values)
        yield {"begin": int(key)}
        op = _find(case, ops)
        rows = []
        identity = f"{case.reference} {case.sizes}"
        if identity not in wrong:
            judgements = truth.judge_formula(op, case)
            wrong[identity] = [output for output, j in judgements.items() if j.verdict == FAIL]
            cell = Cell(int(key), "eager", "analytic")
            rows = [_row(case, cell, "exact", "cpu", o, j, dtype="arb") for o, j in judgements.items()]
        try:
            truth.write(arguments["folder"], int(key), truth.find(op, case, wrong[identity]))
        except truth.Unknown as error:
            truth.write_unknown(arguments["folder"], int(key), str(error))
        yield {"case": int(key), "rows": rows}


def backend_worker(
    arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None
) -> Iterator[dict[str, Any]]:
    """Compute and judge the cells of one backend on one device; the worker's side of the second step."""
    name, device = arguments["backend"], arguments["device"]
    try:
        session = backend(name).open(device, threads=1 if ops is None else None, precision=arguments["precision"])
    except Unavailable as error:
        yield {"unavailable": str(error)}
        return
    functions: dict[tuple[str, ...], Callable[..., Any]] = {}
    for key, values in arguments["cells"].items():
        cell = Cell(**values)
        case = Case(**arguments["cases"][str(cell.case)])
        yield {"begin": int(key)}
        rows = list(_check_cell(session, cell, case, _find(case, ops), arguments["folder"], functions))
        yield {"cell": int(key), "rows": rows}


def _find(case: Case, ops: Mapping[str, Operation] | None) -> Operation:
    return ops[case.reference] if ops is not None else load_operations([case.reference])[0]


def _check_cell(
    session: Session, cell: Cell, case: Case, op: Operation, folder: str, functions: dict[tuple[str, ...], Any]
) -> Iterator[dict[str, Any]]:
    name, device = session.backend.name, session.device
    if cell.variant == "native" and session.native(op.name) is None:
        return  # nothing is missing: there is no other way to write it
    gap = session.backend.gap(op.name, case.dtype, cell.mode, cell.variant, device)
    try:
        known = truth.read(folder, cell.case)
        outputs = _compute(session, cell, case, op, known, functions)
    except truth.Unknown as error:
        yield _row(case, cell, name, device, "*", _worded_judgement(INCONCLUSIVE, str(error)))
    except Unavailable as error:
        yield _row(case, cell, name, device, "*", _worded_judgement(UNAVAILABLE, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a framework raises belongs to this cell alone
        lines = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {lines[0] if lines else ''}"
        if gap is not None and gap.raises in {c.__name__ for c in type(error).__mro__}:
            yield _row(case, cell, name, device, "*", _worded_judgement(GAP, f"{gap.kind}: {gap.reason}"))
        else:
            yield _row(case, cell, name, device, "*", _worded_judgement(FAIL, f"raised {said}"))
    else:
        if gap is not None:
            reason = f"a gap is recorded ({gap.reason}) but the cell runs: remove the gap"
            yield _row(case, cell, name, device, "*", _worded_judgement(FAIL, reason))
            return
        for output, array, found in zip(op.outputs, outputs, known.outputs(cell.variant), strict=True):
            host = session.to_numpy(array)
            judgement = judge(host, found, case.dtype)
            kind = session.dtype_name(array)
            if kind != case.dtype and judgement.verdict != FAIL:
                judgement = _worded_judgement(FAIL, f"has dtype {kind}, wanted {case.dtype}")
            yield _row(case, cell, name, device, output, judgement, digest=_digest(host))


def _compute(
    session: Session,
    cell: Cell,
    case: Case,
    op: Operation,
    known: truth.Truth,
    functions: dict[tuple[str, ...], Callable[..., Any]],
) -> tuple[Any, ...]:
    if case.dtype not in session.dtypes:
        raise Unavailable(f"{session.backend.name} has no {case.dtype} on {session.device}")
    _, parameters = op.split(case.size)
    key = (case.reference, case.sizes, cell.mode, cell.variant, case.dtype)
    if key not in functions:
        functions.clear()
        session.release()
        functions[key] = session.function(op, parameters, cell.variant, cell.mode)  # type: ignore[arg-type]
    arrays = [session.to_device(a, case.dtype if a.dtype.kind == "f" else None) for a in known.arrays]
    outputs: tuple[Any, ...] = functions[key](*arrays)
    session.wait(outputs)
    return outputs


def _digest(array: np.ndarray) -> str:
    # Adding zero makes −0 into +0: they are equal numbers.
    return hashlib.sha256(np.ascontiguousarray(array + 0.0).tobytes()).hexdigest()


def _worded_judgement(verdict: str, reason: str) -> Judgement:
    nan = float("nan")
    return Judgement(verdict, nan, nan, nan, nan, 0, reason)


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
        verdict=judgement.verdict,
        ratio=judgement.ratio,
        max_abs_error=judgement.max_abs_error,
        max_ulp=judgement.max_ulp,
        bitwise_equal_to_numpy=None,
        reason=judgement.reason,
        seed=case.seed,
    )
    return {**asdict(row), "digest": digest, "compared": judgement.compared}


def _worded(operation: str, name: str, device: str, verdict: str, reason: str, seed: int) -> dict[str, Any]:
    case = Case("", operation, {}, "*", "*", seed)
    return _row(case, Cell(-1, "*", "*"), name, device, "*", _worded_judgement(verdict, reason))


def _failed_case(case: Case, reason: str) -> dict[str, Any]:
    judgement = _worded_judgement(INCONCLUSIVE, f"the proof {reason}")
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

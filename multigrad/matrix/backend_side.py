"""A backend's side of a check: opens it, computes the cells, and judges what came back or what was raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..backend.limits import Unavailable
from ..backend.refusals import judge_error
from ..backend.registry import backend
from ..backend.roundoff import Roundoff, probe
from ..backend.session import NATIVE, Session
from ..data.errors import BadInput
from ..ops.implementation import HALVES
from ..ops.operation import Operation
from ..truth.arithmetic import Arithmetic
from ..truth.case import (
    NONFINITE,
    RESIZED,
    Case,
    Truth,
    Unknown,
    Unserved,
)
from ..truth.files import read_truth
from ..truth.find import in_arithmetic
from ..verdict.judge import Judgement, worded
from ..verdict.words import FAIL, GAP, INCONCLUSIVE, NOTE, OURS, PORTABILITY, THEIRS, UNAVAILABLE
from .outputs import Outputs
from .plan import Cell, operation_of, unavailable_row
from .relations import relations
from .rows import JudgedRow, message_of
from .structure import Structure, structure

FUNCTIONS_KEPT = 64
"""Functions that a worker keeps, compiled ones among them, before it lets go of all memory that they hold."""


def backend_worker(
    arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None
) -> Iterator[dict[str, Any]]:
    """Compute and judge the cells of one backend on one device; the worker's side of the second step."""
    one, device, precision = backend(arguments["backend"]), arguments["device"], arguments["precision"]
    cases = {int(number): Case(**values) for number, values in arguments["cases"].items()}
    cells = {int(number): Cell(**values) for number, values in arguments["cells"].items()}
    seed = next(iter(cases.values())).seed
    try:
        session = one.open(device, threads=1 if ops is None else None, precision=precision)
    except (Unavailable, BadInput) as error:
        operations = dict.fromkeys(cases[cell.case].operation for cell in cells.values())
        rows = [unavailable_row(operation, one.name, device, str(error), seed) for operation in operations]
        yield message_of(rows if arguments["first"] else ())
        return
    probed = _probed(session, dict.fromkeys(cases[cell.case].dtype for cell in cells.values()))
    yield message_of(_lower_precision(session, probed, precision, seed) if arguments["first"] else ())
    bench = _Bench(session, arguments["folder"], precision, probed, arguments["hung"])
    for number, cell in cells.items():
        case = cases[cell.case]
        yield {"begin": number}
        yield message_of(bench.check(cell, case, operation_of(case, ops)))
        yield {"end": number}


def _probed(session: Session, dtypes: Iterable[str]) -> Mapping[str, Roundoff]:
    try:
        return probe(session, dtypes)
    except Exception:  # noqa: BLE001 - a backend without matrix products fails in the cells, which say more
        return {}


def _lower_precision(
    session: Session, probed: Mapping[str, Roundoff], precision: str, seed: int
) -> Iterator[JudgedRow]:
    """Return a row for each dtype in which products have fewer bits than it says."""
    for dtype, roundoff in probed.items():
        if roundoff.degraded:
            allowed = precision != "strict" and dtype == "float32" and roundoff.product >= 11
            reason = f"{roundoff}, as the precision {precision} allows" if allowed else str(roundoff)
            case = Case("", "*", {}, "roundoff", dtype, seed)
            judgement = worded(NOTE if allowed else FAIL, reason)
            yield Cell(-1, "eager", "*").row(case, session.backend.name, session.device, "*", judgement)


@dataclass
class _Bench:
    """A session with what its cells share."""

    session: Session
    folder: str
    precision: str
    probed: Mapping[str, Roundoff]
    hung: Mapping[str, str]
    """By reference, what is said of operations whose compiling took too long: they are not compiled again."""
    functions: dict[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    collectives: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What the compiler put into each compiled function."""
    structures: dict[str, Structure] = field(default_factory=dict)

    def check(self, cell: Cell, case: Case, op: Operation) -> Iterator[JudgedRow]:
        """Compute and judge one cell, and try the relations where it is the one for them."""
        yield from self._cell(cell, case, op)
        gap = self.session.backend.gap(op, case.dtype, cell.mode, cell.variant, self.session.device)
        if cell.relations and gap is None and case.dtype in self.session.dtypes:
            for words, judgement in self._relations(cell, case, op):
                yield self._row(cell, replace(case, regime=f"relation: {words}"), judgement)

    def _cell(self, cell: Cell, case: Case, op: Operation) -> Iterator[JudgedRow]:
        session = self.session
        if cell.variant == NATIVE and session.implementation(op, NATIVE) is None:
            return  # nothing is missing: there is no other way to write it
        gap = session.backend.gap(op, case.dtype, cell.mode, cell.variant, session.device)
        try:
            truth = self._truth(cell, case, op)
        except Unserved:
            return  # said once, beside the formula
        except Unknown as error:
            if case.regime not in RESIZED:  # a shape that was tried, not asked for
                yield self._row(cell, case, worded(INCONCLUSIVE, str(error)))
            return
        try:
            outputs = self._compute(cell, case, op, truth)
        except Unavailable as error:
            yield self._row(cell, case, worded(UNAVAILABLE, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a framework raises belongs to this cell alone
            if gap is not None and gap.raises in {c.__name__ for c in type(error).__mro__}:
                yield self._row(cell, case, worded(GAP, f"{gap.kind}: {gap.reason}"))
            else:
                yield self._row(cell, case, self._raised(cell, case, op, truth, error))
        else:
            if gap is not None:
                reason = f"a gap is recorded ({gap.reason}) but the cell runs: remove the gap"
                yield self._row(cell, case, worded(FAIL, reason))
                return
            collectives = self.collectives.get(cell.function(case), "")
            judged = Outputs(session, cell, case, op, truth, self.probed.get(case.dtype), collectives)
            yield from judged.rows(outputs)

    def _row(self, cell: Cell, case: Case, judgement: Judgement) -> JudgedRow:
        """Return the row of what has no figures for single outputs."""
        if judgement.verdict == PORTABILITY:
            case = replace(case, size={}, regime="*", dtype="*")
        return cell.row(case, self.session.backend.name, self.session.device, "*", judgement)

    def _raised(self, cell: Cell, case: Case, op: Operation, truth: Truth, error: Exception) -> Judgement:
        _, parameters = op.split(case.size)
        judgement = judge_error(self.session, op, parameters, truth.arrays, case.dtype, cell.variant, error)
        if judgement.verdict == FAIL and case.regime in RESIZED:
            # That NumPy has this shape says nothing of the gradient.
            return replace(judgement, verdict=UNAVAILABLE)
        if case.regime == NONFINITE and (reason := self.session.backend.breaks_down(error)):
            return worded(UNAVAILABLE, f"{reason.rstrip('.')}: {judgement.reason}")
        if cell.variant == OURS or judgement.verdict != FAIL:
            return judgement
        if cell.variant in THEIRS:
            return replace(judgement, reason=f"{self.session.backend.name}'s {cell.variant} {judgement.reason}")
        if cell.mode == "compiled":
            # Eager, it is judged; what a compiler cannot follow says nothing of a gradient.
            return replace(judgement, verdict=UNAVAILABLE, reason=f"does not compile: {judgement.reason}")
        return judgement

    def _truth(self, cell: Cell, case: Case, op: Operation) -> Truth:
        roundoff = self.probed.get(case.dtype)
        strict = case.precision != "strict" and case.dtype == "float32" and roundoff and roundoff.product >= 24
        truth = read_truth(self.folder, f"{cell.case}-strict" if strict else cell.case)
        arithmetic = self._arithmetic(cell, case, op)
        return truth if arithmetic is None else in_arithmetic(op, case, truth, arithmetic)

    def _arithmetic(self, cell: Cell, case: Case, op: Operation) -> Arithmetic | None:
        """Return what a half is computed in where that is known to be more than itself: it is said, or was probed."""
        if case.dtype not in HALVES:
            return None
        if cell.variant == OURS and cell.mode == "eager" and case.dtype in self.probed:
            return Arithmetic.established(case.dtype, self.probed[case.dtype].accumulation)
        given = self.session.implementation(op, cell.variant)
        said = None if given is None else given.accumulate
        return None if said is None else Arithmetic(case.dtype, accumulate=said)

    def _compute(self, cell: Cell, case: Case, op: Operation, truth: Truth) -> tuple[Any, ...]:
        session = self.session
        if case.dtype not in session.dtypes:
            raise Unavailable(f"{session.backend.name} has no {case.dtype} on {session.device}")
        if cell.mode == "compiled" and case.reference in self.hung:
            raise Unavailable(self.hung[case.reference])
        key = cell.function(case)
        if key not in self.functions:
            if len(self.functions) == FUNCTIONS_KEPT:
                # Not after every cell: what a framework has compiled for one serves the next.
                self.functions.clear()
                session.release()
            _, parameters = op.split(case.size)
            self.functions[key] = session.function(op, parameters, cell.variant, cell.mode)  # type: ignore[arg-type]
        if case.regime == "strided":
            arrays = [_strided(session, a, case.dtype if a.dtype.kind == "f" else None) for a in truth.arrays]
        else:
            arrays = session.place(op, truth.arrays, case.dtype)
        outputs: tuple[Any, ...] = self.functions[key](*arrays)
        session.wait(outputs)
        if cell.mode == "compiled" and key not in self.collectives:
            self.collectives[key] = session.collectives(self.functions[key], *arrays)
        return outputs

    def _relations(self, cell: Cell, case: Case, op: Operation) -> Iterator[tuple[str, Judgement]]:
        if case.reference not in self.structures:
            self.structures[case.reference] = structure(op, case.size, case.seed)
        degraded = case.dtype in self.probed and self.probed[case.dtype].degraded
        yield from relations(
            self.session,
            op,
            case.size,
            case.dtype,
            variant=cell.variant,
            seed=case.seed,
            precision=self.precision if degraded else "strict",
            known=self.structures[case.reference],
        )


def _strided(session: Session, array: np.ndarray, dtype: str | None) -> Any:
    """Put an array on the device as a view: a matrix transposed, a vector as every other entry of another."""
    if array.ndim == 0:
        return session.to_device(array, dtype)
    if array.ndim == 1:
        return session.to_device(np.repeat(array, 2), dtype)[::2]
    turned = np.ascontiguousarray(np.swapaxes(array, -1, -2))
    return session.xp.matrix_transpose(session.to_device(turned, dtype))

"""The formulas' side of a check: judges each formula, writes the truth of each case, and names the mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..data.errors import BadInput, one_line
from ..ops.operation import Operation
from ..ops.reach import reaching_sizes
from ..ops.sizes import small_sizes
from ..truth.aim import survey
from ..truth.beside import judge_case
from ..truth.case import RESIZED, SMOOTH, Case, Unknown, Unserved
from ..truth.files import write_truth, write_unknown
from ..truth.find import find_truth
from ..truth.formula import diagnose_formula, judge_formula
from ..truth.inputs import check_served
from ..verdict.judge import Judgement, worded
from ..verdict.words import FAIL, INCONCLUSIVE, UNAVAILABLE
from .plan import operation_of
from .rows import AIMED, KINK, JudgedRow, judged_row, message_of, rows_of


def truth_worker(arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None) -> Iterator[dict[str, Any]]:
    """Judge each case's formula, say so, and write its truth; the worker's side of the first step."""
    formulas = _Formulas(arguments["folder"])
    surveyed: set[str] = set()
    for key, values in arguments["cases"].items():
        case = Case(**values)
        yield {"begin": int(key)}
        op = operation_of(case, ops)
        first = arguments["kinks"] and case.reference not in surveyed
        surveyed.add(case.reference)
        if first:
            yield message_of(_at_reaching_sizes(op, case))
        for rows in formulas.judged(int(key), op, case):
            yield message_of(rows)
        if first:
            yield message_of(_surveyed(op, case))
        yield {"end": int(key)}


def diagnosis_worker(
    arguments: Mapping[str, Any], ops: Mapping[str, Operation] | None = None
) -> Iterator[dict[str, Any]]:
    """Name the mistakes in formulas that have been judged wrong; the worker's side."""
    for key, values in arguments["cases"].items():
        case, rows = Case(**values), rows_of(arguments["rows"][key])
        yield {"begin": int(key)}
        try:
            reasons = diagnose_formula(operation_of(case, ops), case, [judged.row.output for judged in rows])
        except Exception:  # noqa: BLE001 - the verdict stands, with its figures
            reasons = {}
        named = [replace(j.row, reason=reasons.get(j.row.output, j.row.reason)) for j in rows]
        yield message_of(replace(j, row=row, undiagnosed=False) for j, row in zip(rows, named, strict=True))
        yield {"end": int(key)}


class _RaisesThere(Exception):
    """A pullback raises at a shape without entries, or of length 1; the message says what."""


class _Formulas:
    """What is known of the formulas so far: each is judged once for each size and kind of inputs."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.wrong: dict[tuple[str, str, str], list[str]] = {}
        self.refuted: dict[str, set[str]] = {}
        self.worded: set[tuple[str, ...]] = set()

    def judged(self, number: int, op: Operation, case: Case) -> Iterator[Sequence[JudgedRow]]:
        """Judge the formula in a case, then write the case's truth, or why there is none."""
        try:
            check_served(op, case)
            ground = case.regime if case.regime in (*SMOOTH, "empty") else "gaussian"
            identity = (case.reference, case.sizes, ground)
            if identity not in self.wrong:
                judgements = _judgements(op, case)
                self.wrong[identity] = [output for output, j in judgements.items() if j.verdict == FAIL]
                shown = case if case.regime == "file" else replace(case, regime=ground)
                rows = [judged_row(shown, output, judgement) for output, judgement in judgements.items()]
                yield [replace(row, undiagnosed=row.row.verdict == FAIL) for row in rows]
            wrong = self.wrong[identity]
            refuted = self.refuted.setdefault(case.reference, set())
            refuted.update(wrong)
            self._write(number, op, case, wrong, tuple(sorted(refuted)))
        except Unserved as error:
            write_unknown(self.folder, number, str(error), unserved=True)
            yield self._once(case, worded(UNAVAILABLE, str(error)))
        except Unknown as error:
            write_unknown(self.folder, number, str(error))
        except Exception as error:
            if case.regime not in RESIZED:
                raise
            raised = str(error) if isinstance(error, _RaisesThere) else f"raised {one_line(error)}"
            reason = f"its forward part has this case, its pullback {raised}"
            write_unknown(self.folder, number, reason, unserved=True)
            # A division by the number of rows is wrong; a pullback that has no row to join refuses the case.
            verdict = FAIL if ZeroDivisionError.__name__ in raised and op.has_pullback else UNAVAILABLE
            yield self._once(case, worded(verdict, reason))

    def _once(self, case: Case, judgement: Judgement) -> list[JudgedRow]:
        """Word what is the same in every dtype, once."""
        key = (case.reference, case.sizes, case.regime, judgement.reason)
        if key in self.worded:
            return []
        self.worded.add(key)
        return [judged_row(case, "*", judgement)]

    def _write(self, number: int, op: Operation, case: Case, wrong: Sequence[str], refuted: tuple[str, ...]) -> None:
        write_truth(self.folder, number, replace(find_truth(op, case, wrong), refuted=refuted))
        if case.precision != "strict" and case.dtype == "float32":
            # What a framework may do it need not: the probe decides which bounds are held against it.
            strict = find_truth(op, replace(case, precision="strict"), wrong)
            write_truth(self.folder, f"{number}-strict", replace(strict, refuted=refuted))


def _judgements(op: Operation, case: Case) -> dict[str, Judgement]:
    judgements = judge_case(op, case)
    if case.regime in RESIZED and "*" in judgements and judgements["*"].verdict == FAIL:
        raise _RaisesThere(judgements["*"].reason)
    return judgements


def _at_reaching_sizes(op: Operation, case: Case) -> Iterator[JudgedRow]:
    """Certify the formula where it runs the lines of the pullback that no small size runs, and name those left over."""
    try:
        further, never = reaching_sizes(op, [op.size(name) for name in small_sizes(op)])
    except BadInput:
        return  # no source, no lines: an operation made at a prompt
    for size in further:
        there = replace(case, size=size, regime="gaussian")
        yield from (judged_row(there, output, judgement) for output, judgement in judge_formula(op, there).items())
    if never:
        lines = ", ".join(map(str, never))
        reason = f"no size was found that runs line {lines} of the pullback: what it says there is not certified"
        yield judged_row(replace(case, regime="gaussian"), "*", worded(INCONCLUSIVE, reason))


def _surveyed(op: Operation, case: Case) -> Iterator[JudgedRow]:
    """Judge the formula on its kinks and at inputs that are aimed at its branches, at the smallest size."""
    here = replace(case, size=next(iter(op.sizes.values())), regime=KINK, inputs="")
    kinks: Mapping[str, Judgement] = {}
    aimed: Mapping[str, Judgement] = {}
    reason = "no entry lies on a kink"
    try:
        if op.has_pullback:
            surveyed = survey(op, here.size, case.seed)
            kinks, aimed = surveyed.kinks, {} if case.inputs else surveyed.aimed
        else:
            reason = "it has no pullback of its own"
    except Exception as error:  # noqa: BLE001 - what is wrong with the operation as a whole is said beside the formula
        reason = one_line(error)
    yield from (judged_row(here, output, judgement) for output, judgement in kinks.items())
    there = replace(here, regime=AIMED)
    yield from (judged_row(there, output, judgement) for output, judgement in aimed.items())
    if case.regime == KINK and not kinks:
        yield judged_row(here, "*", worded(UNAVAILABLE, f"no kink to judge: {reason}"))

"""What one cell computed, output by output: judged, and what is wrong named, with whose number it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend.device import mesh_shape
from ..backend.placement import undivided
from ..backend.roundoff import Roundoff
from ..backend.session import Session
from ..diagnosis.diagnose import Evidence, diagnose, with_figures
from ..ops.operation import Operation
from ..ops.text import derivative_name
from ..truth.arithmetic import Arithmetic
from ..truth.case import RESIZED, Case, Truth
from ..truth.certified import true_gradients
from ..truth.find import in_arithmetic
from ..truth.variant import judge_variant, seen_right
from ..verdict.formats import FORMATS
from ..verdict.judge import Judgement, Reference, judge_entries, worded
from ..verdict.words import FAIL, INCONCLUSIVE, NOTE, OURS, PASS, THEIRS, UNAVAILABLE
from .plan import Cell
from .rows import JudgedRow, judged_row

BOUNDLESS = ("wide", "cancellation", "huge", "tiny", "nonfinite")
"""Regimes in which an entry may have no bound: it overflows, or it hears of a NaN."""

REFUTED = "not judged: the formula is wrong, and its bounds with it"


@dataclass(frozen=True)
class Outputs:
    """The outputs of one cell, with all that they are judged by."""

    session: Session
    cell: Cell
    case: Case
    op: Operation
    truth: Truth
    roundoff: Roundoff | None
    """What the backend really computes in, where that could be probed."""
    collectives: str
    """What the compiler put in on a mesh."""

    def rows(self, outputs: Sequence[Any]) -> Iterator[JudgedRow]:
        """Return a row for each output, and for each formula that turns out to be wrong."""
        note = self.truth.note
        hosts = [self.session.to_numpy(array) for array in outputs]
        references = self.truth.outputs(self.cell.variant)
        silent = [bool(note) and bool(np.all(r.excused)) for r in references]
        if all(silent):
            reason = f"nothing to compare: every entry of every output may be touched by {note}"
            yield self._row("*", worded(UNAVAILABLE, reason))
        for i, (array, host, reference) in enumerate(zip(outputs, hosts, references, strict=True)):
            if not silent[i]:
                yield from self._judged(i, host, reference, self.session.dtype_name(array))

    def _row(self, output: str, judgement: Judgement, digest: str = "") -> JudgedRow:
        session = self.session
        return self.cell.row(self.case, session.backend.name, session.device, output, judgement, digest)

    def _judged(self, number: int, host: np.ndarray, reference: Reference, kind: str) -> Iterator[JudgedRow]:
        case, op, output = self.case, self.op, self.op.outputs[number]
        theirs = self.cell.variant in THEIRS
        if case.regime in BOUNDLESS:
            note = self.truth.note
            why = f"may be touched by {note}" if note else f"may overflow in {case.dtype}"
            judgement = judge_entries(host, reference, case.dtype, why, boundless=True)
        else:
            judgement = self._judgement(number, host, reference, self.cell.variant)
            if judgement.verdict == INCONCLUSIVE:
                judgement = seen_right(host, number, case.dtype, self._with_bounds) or judgement
        if case.regime in RESIZED and judgement.verdict == INCONCLUSIVE:
            return  # one number less its own mean: there is nothing to hold a bound against
        judgement = self.session.backend.worded(judgement, op, self.cell.variant, self.cell.mode, case.regime)
        if self.cell.variant != OURS and judgement.verdict == FAIL:
            judgement, of_formula = self._against_forward(number, host, reference, judgement)
            if of_formula is not None:
                yield judged_row(case, output, of_formula)
        if kind != case.dtype and judgement.verdict != FAIL:
            judgement = worded(FAIL, f"has dtype {kind}, wanted {case.dtype}")
        elif judgement.verdict in (FAIL, NOTE):
            judgement = self._explained(number, host, judgement)
        if theirs and judgement.verdict == FAIL:
            judgement = self._attributed(number, host, judgement)
        if not judgement.reason:
            shapes = [a.shape for a in self.truth.arrays[: len(op.inputs)]]
            whole = undivided(op, shapes, mesh_shape(self.session.device))
            judgement = replace(judgement, reason=f"every device has the whole: {whole}" if whole else "")
        judged = self._row(output, judgement, _digest(host))
        yield replace(judged, row=replace(judged.row, collectives=self.collectives))

    def _judgement(self, number: int, host: np.ndarray, reference: Reference, variant: str) -> Judgement:
        _, parameters = self.op.split(self.case.size)
        arithmetic = self.truth.arithmetic or self.case.arithmetic
        return judge_variant(
            self.op, parameters, arithmetic, variant, lambda: self.truth.arrays, number, host, reference
        )

    def _with_bounds(self, arithmetic: Arithmetic) -> Sequence[Reference]:
        return in_arithmetic(self.op, self.case, self.truth, arithmetic).outputs(self.cell.variant)

    def _against_forward(
        self, number: int, host: np.ndarray, reference: Reference, judgement: Judgement
    ) -> tuple[Judgement, Judgement | None]:
        """Judge a form that is not ours, and is off, by the derivative of the forward part, which is what it computes.

        Returns:
            The judgement, and one on the formula where that is what differs.
        """
        op, output = self.op, self.op.outputs[number]
        value = number < len(op.signature.outputs)
        if value or host.shape != reference.value.shape or not np.isfinite(host).all():
            return judgement, None
        if {output, "*"} & {*self.truth.refuted}:
            return worded(UNAVAILABLE, REFUTED), None
        _, parameters = op.split(self.case.size)
        for _, high, low in true_gradients(op, self.truth.arrays, parameters, [output]):
            apart = np.abs((high - reference.value) - (reference.rest - low))
            if high.shape != reference.value.shape or not (apart > reference.bound).any():
                break
            share = f"{int(np.sum(apart > reference.bound))} of {apart.size} entries"
            reason = (
                f"{derivative_name(output)} differs from the derivative of the forward part in {share}, "
                f"by up to {float(np.max(apart)):.3g}"
            )
            wrong = replace(worded(FAIL, reason), ratio=float("inf"), compared=apart.size)
            again = self._judgement(number, host, replace(reference, value=high, rest=low), self.cell.variant)
            return worded(UNAVAILABLE, REFUTED) if again.verdict == FAIL else again, wrong
        return judgement, None

    def _attributed(self, number: int, host: np.ndarray, judgement: Judgement) -> Judgement:
        """Say whose number is off, and whether the hand-derived one is right there."""
        what = f"{self.session.backend.name}'s {self.cell.variant}"
        yours = "; yours is right" if self._is_right(number, OURS) else ""
        value = self.truth.references[number].value
        if np.isnan(judgement.ratio) or host.shape != value.shape:  # another dtype or shape
            return replace(judgement, reason=f"{what} {judgement.reason}{yours}")
        finite = np.isfinite(value)
        for word, where in (("NaN", np.isnan(host) & finite), ("infinite", np.isinf(host) & finite)):
            if where.any():
                return replace(judgement, reason=f"{what} is {word} here{yours}: {judgement.reason}")
        return replace(judgement, reason=f"{what} is off here{yours}: {judgement.reason}")

    def _is_right(self, number: int, variant: str) -> bool:
        """Tell whether a variant is right where its arguments are contiguous and nothing is compiled."""
        _, parameters = self.op.split(self.case.size)
        session = self.session
        try:
            function = session.function(self.op, parameters, variant, "eager")
            outputs = function(*session.place(self.op, self.truth.arrays, self.case.dtype))
            session.wait(outputs)
            host = session.to_numpy(outputs[number])
        except Exception:  # noqa: BLE001 - its own cell says what it raised
            return False
        judgement = self._judgement(number, host, self.truth.outputs(variant)[number], variant)
        return judgement.verdict in (PASS, NOTE) and self.op.outputs[number] not in self.truth.refuted

    def _explained(self, number: int, host: np.ndarray, judgement: Judgement) -> Judgement:
        """Name the mistake in a number that is off, before the figures."""
        op, arrays, references = self.op, self.truth.arrays, self.truth.outputs(self.cell.variant)
        if self.roundoff is not None and self.roundoff.degraded:
            return replace(judgement, reason=f"{self.session.backend.name} {self.roundoff}; {judgement.reason}")
        value, bound = references[number].value, references[number].bound
        finite = np.isfinite(value).all() and np.isfinite(bound).all()
        if judgement.verdict == NOTE or not finite or host.size == 0 or value.size == 0:
            return judgement
        here = (number, *range(len(op.signature.outputs), len(op.outputs)))
        true = {op.outputs[i]: references[i].value for i in here}
        computed, roundoff = host.astype(np.float64), FORMATS[self.case.dtype].unit_roundoff
        kept = self.truth.arithmetic
        inside = kept.unit_roundoff if kept is not None and kept.accumulate else None
        name = op.outputs[number]
        foreign = self.cell.variant not in (OURS, "forward", *THEIRS)
        if self.case.regime == "strided" and foreign and self._is_right(number, self.cell.variant):
            how = "depends on strides: it is right where inputs are contiguous"
            return replace(judgement, reason=f"{derivative_name(name)} {how}; {judgement.reason}")
        evidence = Evidence.of(
            op, self.case.size, arrays, name, computed, true, bound, roundoff, inside, foreign=foreign
        )
        try:
            return replace(judgement, reason=with_figures(diagnose(evidence), judgement.reason))
        except (ArithmeticError, ValueError, IndexError, np.linalg.LinAlgError):
            return judgement  # the figures alone, rather than no verdict


def _digest(array: np.ndarray) -> str:
    # Adding zero makes −0 into +0: they are equal numbers.
    return hashlib.sha256(np.ascontiguousarray(array + 0.0).tobytes()).hexdigest()

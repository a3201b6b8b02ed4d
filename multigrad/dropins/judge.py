"""The judgement on a candidate: its values and gradients at given inputs, for several cotangents and conducts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend.candidate import Candidate, Computed, Evaluated
from ..data.errors import BadInput, one_line
from ..diagnosis.conduct import same_bits
from ..diagnosis.diagnose import Evidence, diagnose, with_figures
from ..matrix.frame import GradientError
from ..ops.derived import gradient_operation, with_gradients
from ..ops.implementation import HALVES
from ..ops.operation import DTYPES
from ..ops.text import derivative_name
from ..truth.arithmetic import Arithmetic
from ..truth.case import Truth, Unknown
from ..truth.given import truths_at, with_bounds_of
from ..truth.inputs import output_shapes
from ..truth.variant import judge_variant, seen_right
from ..verdict.formats import FORMATS
from ..verdict.judge import Judgement, Reference, judge_entries, passed, worded
from ..verdict.words import FAIL, INCONCLUSIVE, NOTE, PASS, UNAVAILABLE
from .reference import as_operation

VARIANT = "implementation"
"""What is judged is another formula than the reference's: by mixed stability."""

SMALLER = 0.25
"""The cotangents of the second draw are so many times as large as those of the first."""


FREEDOM = 32.0
"""How many times as far as the reference's own backward pass another formula may be off, in float64 and float32.

Right formulas with other intermediate results were up to 17 times as far off, at inputs of wide range.
"""

ROUNDINGS = {"float64": FREEDOM, "float32": FREEDOM, "float16": FREEDOM, "bfloat16": 8.0}
"""By how many roundings of the largest entry one may be off."""


NOT_DIFFERENTIABLE = "its backward pass cannot be differentiated"

CUT_OFF = "its backward pass cuts {} off from its inputs: .detach(), .data, no_grad, once_differentiable or NumPy"


@dataclass(frozen=True)
class Asked:
    """What a person says of his function."""

    reference: Any
    accumulate: str | None = None
    """What it computes in where its inputs are halves; None: in their dtype."""
    deterministic: bool = True
    """Whether the same inputs give the same bits."""
    seed: int = 0
    """Of the cotangents."""
    order: int = 1
    """Of the derivatives that are judged; 2 is both."""


def check_candidate(candidate: Candidate, asked: Asked, *, raise_exception: bool = True) -> bool:
    """Judge a candidate.

    Returns:
        True; False where it is wrong and nothing is to be raised.

    Raises:
        GradientError: it is wrong, or cannot be judged; one line for each output and conduct.
        BadInput: it cannot be evaluated, or does not go with its reference.
    """
    problems = list(_problems(candidate, asked))
    if problems and raise_exception:
        raise GradientError("\n".join(f"{candidate.name}: {problem}" for problem in problems))
    return not problems


def _problems(candidate: Candidate, asked: Asked) -> Iterator[str]:
    """Yield what is wrong; with the second derivative only where nothing is with the first."""
    trial = Trial(candidate, asked)
    problems = list(trial.problems())
    yield from problems
    if asked.order > 1 and not problems:
        yield from _of_second_order(trial)


def _of_second_order(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with the gradient of a candidate's gradient."""
    candidate = trial.candidate.differentiated(trial.draws["first"])
    reference = gradient_operation(with_gradients(trial.op, tuple(trial.gradients)))
    try:
        second = Trial(candidate, replace(trial.asked, reference=reference))
    except BadInput as error:
        if error.__cause__ is None:
            raise
        yield f"{NOT_DIFFERENTIABLE}: {candidate.backward} raised {one_line(error.__cause__)}"
        return
    problems = list(second.problems())
    cut = [derivative_name(second.op.outputs[i]) for i in second.first.cut_off()] if problems else []
    why = f"; {CUT_OFF.format(', '.join(cut))}" if cut else ""
    yield from (f"{problem}{why}" for problem in problems)


class Wrong(Exception):
    """A candidate does what no gradient may; the message says what."""


class Trial:
    """One candidate with its reference."""

    def __init__(self, candidate: Candidate, asked: Asked) -> None:
        self.candidate, self.asked = candidate, asked
        self.arrays = [given.array for given in candidate.inputs]
        for i, array in enumerate(self.arrays):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise BadInput(f"input {i} has an entry that is not finite; there is no truth to compare with")
        kinds = [given.dtype for given in candidate.inputs if given.dtype in DTYPES]
        self.dtype = max(kinds, key=DTYPES.index)
        self.arithmetic = Arithmetic(self.dtype, accumulate=asked.accumulate if self.dtype in HALVES else None)
        self.first = self._evaluate()
        self.op = as_operation(asked.reference, candidate)
        self.size = self.op.check_inputs(self.arrays)
        self.shapes = self._checked_shapes(self.first)
        self.gradients = {
            name: given for name, given in zip(self.op.inputs, candidate.inputs, strict=True) if given.wanted
        }

    def problems(self) -> Iterator[str]:
        """Yield what is wrong, a sentence each; nothing if all is right."""
        self.draws = self._drawn()
        try:
            found = truths_at(self.op, self.arrays, list(self.draws.values()), self.arithmetic)
        except Unknown as error:
            yield f"cannot be judged: {error}"
            return
        self.truths = dict(zip(self.draws, found, strict=True))
        for stage in (self._plain, self._again, self._zero, self._views, self._alone):
            try:
                sentences = list(stage())
            except Wrong as error:
                sentences = [str(error)]
            yield from sentences
            if sentences:
                return

    def _evaluate(self, *, strided: bool = False) -> Evaluated:
        try:
            return self.candidate.evaluate(strided=strided)
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(f"{self.candidate.name} raised {one_line(error)} at these inputs") from error

    def _checked_shapes(self, evaluated: Evaluated) -> list[tuple[int, ...]]:
        """Compare number and shapes of the values with the reference's, and return the shapes.

        Raises:
            BadInput: they differ, or a value is of integers.
        """
        name, reference = self.candidate.name, f"the reference {self.op.name}"
        wanted = output_shapes(self.op, self.size, self.arrays)
        found = [v.array.shape for v in evaluated.values]
        if len(found) != len(wanted):
            raise BadInput(
                f"{name} returned {_counted(found)} and {reference} {_counted(wanted)}; wanted the same number"
            )
        for i, (ours, theirs) in enumerate(zip(wanted, found, strict=True)):
            if ours != theirs:
                which = self.op.outputs[i]
                raise BadInput(f"{which} of {name} has shape {theirs}, of {reference} {ours}; wanted the same function")
        for i, value in enumerate(evaluated.values):
            if value.dtype not in DTYPES and self.candidate.takes_cotangents:
                raise BadInput(
                    f"{self.op.outputs[i]} of {name} is {value.dtype}; wanted floating-point outputs: "
                    "leave it out in a lambda"
                )
        return wanted

    def _drawn(self) -> dict[str, list[np.ndarray]]:
        """Draw the cotangents, by what they are for; each number is one that every value's dtype has."""
        if not self.candidate.takes_cotangents:
            return {"first": [np.ones(shape) for shape in self.shapes]}
        narrowest = max((self.dtype, *(v.dtype for v in self.first.values)), key=DTYPES.index)
        draws: dict[str, list[np.ndarray]] = {}
        for number, (name, scale) in enumerate((("first", 1.0), ("second", SMALLER))):
            drawn = self.op.make_cotangents(self.shapes, self.asked.seed + number)
            draws[name] = [FORMATS[narrowest].round(scale * c) for c in drawn]
        draws["zero"] = [np.zeros(shape) for shape in self.shapes]
        if len(self.shapes) > 1:
            for i in range(len(self.shapes)):
                draws[self.op.outputs[i]] = [c if j == i else 0 * c for j, c in enumerate(draws["first"])]
        return draws

    def _gradients(self, evaluated: Evaluated, cotangents: Sequence[np.ndarray | None]) -> list[Computed]:
        try:
            return evaluated.gradients(cotangents)
        except BadInput:
            raise
        except Exception as error:
            self._check_unchanged(evaluated)  # torch refuses to go on with what was written into
            raise Wrong(f"{self.candidate.backward} raised {one_line(error)}") from error

    def _plain(self) -> Iterator[str]:
        """The values and the gradients for both draws; an output that one of them shows may be open in the other."""
        open_: dict[str, list[str]] = {}
        plain = [name for name in ("first", "second") if name in self.draws]
        for name in plain:
            computed = [*self.first.values, *self._gradients(self.first, self.draws[name])]
            self._check_unchanged(self.first)
            sentences = []
            for output, judgement in self._judged(name, computed):
                if judgement.verdict == FAIL:
                    sentences.append(judgement.reason)
                elif judgement.verdict in (INCONCLUSIVE, UNAVAILABLE) and output not in self.op.value_names:
                    advice = self._advice() if judgement.verdict == INCONCLUSIVE else ""
                    open_.setdefault(output, []).append(f"{judgement.reason}{advice}")
            if sentences:
                yield from sentences
                return
        for output, reasons in open_.items():
            if len(reasons) == len(plain):
                yield f"{derivative_name(output)} cannot be judged: {reasons[0]}"

    def _advice(self) -> str:
        halves = self.dtype in HALVES and self.asked.accumulate is None
        return '; pass accumulate="float32" if it computes in float32 and rounds once at the end' if halves else ""

    def _again(self) -> Iterator[str]:
        """What may not change from call to call: the numbers, the inputs, and what was returned before."""
        cotangents, backward = self.draws["first"], self.candidate.backward
        before = self._gradients(self.first, cotangents)
        second = self._evaluate()
        others = {
            f"called twice, {backward} gives": [
                *self.first.values,
                *self._gradients(self.first, cotangents),
            ],
            "evaluated twice, it gives": [*second.values, *self._gradients(second, cotangents)],
        }
        for evaluated in (self.first, second):
            self._check_unchanged(evaluated)
        if self.first.overwritten():
            yield f"a later call of {backward} overwrote what the first returned: both return the same arrays"
            return
        names = [*self.op.outputs[: len(self.shapes)], *(self.op.gradient_name(n) for n in self.gradients)]
        for what, again in others.items():
            if not self.asked.deterministic:
                yield from self._failures("first", again, f"{what} another result that is wrong: ")
                continue
            for name, a, b in zip(names, [*self.first.values, *before], again, strict=True):
                if not same_bits(a.array, b.array):
                    apart = float(np.max(np.abs(a.array.astype(np.float64) - b.array.astype(np.float64))))
                    yield (
                        f"{what} other bits in {derivative_name(name)}, up to {apart:.3g} apart; pass "
                        "deterministic=False if it adds in another order each time"
                    )

    def _check_unchanged(self, evaluated: Evaluated) -> None:
        for i in evaluated.changed():
            raise Wrong(f"it changes its input {self._input(i)}: it writes into an array that is not its own")

    def _input(self, number: int) -> str:
        names = self.op.inputs
        return names[number] if number < len(names) else f"argument {number}"

    def _zero(self) -> Iterator[str]:
        if "zero" in self.draws:
            evaluated = self._evaluate()
            computed = [*evaluated.values, *self._gradients(evaluated, self.draws["zero"])]
            yield from self._failures("zero", computed, "for a zero cotangent, ")

    def _views(self) -> Iterator[str]:
        """The same numbers laid out otherwise. Whoever refuses that says so, and is not wrong."""
        if not self.candidate.has_strides:
            return
        name = "second" if "second" in self.draws else "first"
        try:
            evaluated = self.candidate.evaluate(strided=True)
            computed = [*evaluated.values, *evaluated.gradients(self.draws[name])]
        except Exception:  # noqa: BLE001 - it raises in many ways
            return
        yield from self._failures(name, computed, "it depends on strides: where inputs or cotangents are views, ")
        self._check_unchanged(evaluated)

    def _alone(self) -> Iterator[str]:
        """One value differentiated at a time, the others unused."""
        for i, name in enumerate(self.op.outputs[: len(self.shapes)] if len(self.shapes) > 1 else ()):
            evaluated = self._evaluate()
            alone = [c if j == i else None for j, c in enumerate(self.draws[name])]
            try:
                computed = [*evaluated.values, *self._gradients(evaluated, alone)]
            except Wrong as error:
                raise Wrong(f"where {name} alone is used, {error}") from error
            yield from self._failures(name, computed, f"where {name} alone is used, ")

    def _failures(self, draw: str, computed: Sequence[Computed], prefix: str) -> Iterator[str]:
        for _, judgement in self._judged(draw, computed):
            if judgement.verdict == FAIL:
                yield f"{prefix}{judgement.reason}"

    def _judged(self, draw: str, computed: Sequence[Computed]) -> Iterator[tuple[str, Judgement]]:
        """Judge values and gradients for one draw, and name what is wrong."""
        names = [*self.op.outputs[: len(self.shapes)], *(self.op.gradient_name(n) for n in self.gradients)]
        truth = self.truths[draw]
        for name, one in zip(names, computed, strict=True):
            number = self.op.outputs.index(name)
            reference = truth.outputs(VARIANT)[number]
            arguments = (self.op, self.op.parameters, self.arithmetic, VARIANT)
            with np.errstate(all="ignore"):
                judgement = judge_variant(*arguments, lambda: truth.arrays, number, one.array, reference)
                if judgement.verdict == NOTE and (reference.hull > 0).any():
                    # Inputs that are off by a rounding leave every tie open; what is right on it is known.
                    judgement = self._on_kinks(one.array, reference, judgement)
                if judgement.verdict in (FAIL, INCONCLUSIVE) and self._of_another_formula(one.array, reference):
                    judgement = passed(one.array.size)
            if judgement.verdict == INCONCLUSIVE and self.dtype in HALVES and self._seen_right(draw, number, one.array):
                judgement = passed(one.array.size)
            if judgement.verdict != FAIL and (misfit := self._misfit(name, one)):
                judgement = worded(FAIL, misfit)
            elif judgement.verdict == FAIL:
                judgement = replace(judgement, reason=self._named(name, number, one.array, truth, judgement))
            yield name, judgement

    def _on_kinks(self, found: np.ndarray, reference: Reference, judgement: Judgement) -> Judgement:
        off = reference.excused | (reference.hull == 0)
        there = judge_entries(found, replace(reference, excused=off), self.dtype, "lies on no kink")
        return there if there.verdict == FAIL else judgement

    def _of_another_formula(self, found: np.ndarray, reference: Reference) -> bool:
        """Whether an array is off by no more than another formula may be.

        Each entry may be off by some roundings of the largest: s(1 − s) is 0 where a sigmoid has a derivative of 10⁻²⁰.
        """
        if self.arithmetic.accumulate:
            return False
        freedom = 1.0 if self.dtype in HALVES else FREEDOM
        largest = np.abs(reference.value) + reference.hull  # what lies at the end of a subdifferential rounds as well
        scale = float(np.max(largest, where=np.isfinite(largest), initial=0.0))
        floor = ROUNDINGS[self.dtype] * FORMATS[self.dtype].unit_roundoff * scale
        bound = freedom * (reference.bound - reference.hull) + reference.hull + floor
        judgement = judge_entries(found, replace(reference, bound=bound), self.dtype, f"may overflow in {self.dtype}")
        return judgement.verdict in (PASS, NOTE)

    def _seen_right(self, draw: str, number: int, found: np.ndarray) -> bool:
        """Whether an array lies within a narrower bound, where its own is too wide to see anything."""
        truth = self.truths[draw]
        right = seen_right(
            found, number, self.dtype, lambda narrow: with_bounds_of(self.op, truth, narrow).outputs(VARIANT)
        )
        return right is not None

    def _misfit(self, name: str, one: Computed) -> str:
        """Say what is wrong with an array's dtype or place; nothing if that is right."""
        given = {self.op.gradient_name(n): given for n, given in self.gradients.items()}.get(name)
        if given is None:
            devices = dict.fromkeys(g.device for g in self.candidate.inputs)
            narrower = one.dtype in DTYPES and DTYPES.index(one.dtype) > DTYPES.index(self.dtype)
            if narrower and self.candidate.takes_cotangents:
                return f"{derivative_name(name)} has dtype {one.dtype}, wanted {self.dtype}"
            return (
                ""
                if one.device in devices
                else f"{derivative_name(name)} is on {one.device}, wanted {' or '.join(devices)}"
            )
        if one.dtype != given.dtype:
            return f"{derivative_name(name)} has dtype {one.dtype}, wanted {given.dtype}"
        return (
            "" if one.device == given.device else f"{derivative_name(name)} is on {one.device}, wanted {given.device}"
        )

    def _named(self, name: str, number: int, found: np.ndarray, truth: Truth, judgement: Judgement) -> str:
        """Name the mistake in a number that is off, before the figures."""
        references = truth.outputs(VARIANT)
        value, bound = references[number].value, references[number].bound
        if not (np.isfinite(value).all() and np.isfinite(bound).all() and found.size and value.size):
            return f"{derivative_name(name)}: {judgement.reason}"
        here = (number, *range(len(self.shapes), len(self.op.outputs)))
        true = {self.op.outputs[i]: references[i].value for i in here}
        roundoff, inside = FORMATS[self.dtype].unit_roundoff, None
        if self.arithmetic.accumulate:
            inside = self.arithmetic.unit_roundoff
        computed = found.astype(np.float64)
        evidence = Evidence.of(
            self.op, self.size, truth.arrays, name, computed, true, bound, roundoff, inside, foreign=True
        )
        if not self.candidate.takes_cotangents:
            evidence = replace(evidence, cotangents=())
        try:
            with np.errstate(all="ignore"):
                said = diagnose(evidence)
        except (ArithmeticError, ValueError, IndexError, np.linalg.LinAlgError):
            said = derivative_name(name)
        if name in self.op.value_names:
            said = f"{name} is not that of the reference {self.op.name}: {said.replace('true gradient', 'true value')}"
        return with_figures(said, judgement.reason)


def _counted(values: Sequence[Any]) -> str:
    return f"{len(values)} array{'' if len(values) == 1 else 's'}"

"""The truth about a case: its inputs, the certified values, and how far an honest evaluation may be from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import BadInput, one_line
from ..data.standard import numpy_standard
from ..namespaces import bounds
from ..namespaces.cost import cost
from ..ops.operation import Operation
from ..verdict.formats import FORMATS
from ..verdict.judge import Reference
from .arithmetic import Arithmetic
from .case import DEFAULT_REGIMES, Case, Truth, Unknown, Unserved
from .certified import BASIS_ENTRIES, certified, halves, true_gradients
from .inputs import case_arrays, check_served
from .references import bounded, rebounded

xp = numpy_standard()

EXACT_FLOPS = 4e6
"""Above so many operations the truth is a float64 evaluation with its own error bound: balls would take minutes."""


HALVINGS = 6
"""How many times drawn inputs may be halved where an operation leaves the range of a format."""


def find_truth(op: Operation, case: Case, wrong: Sequence[str] = ()) -> Truth:
    """Find the truth of a case.

    Args:
        op: the operation.
        case: the case.
        wrong: names of gradients whose formula is known to be wrong; their truth is the derivative of the forward part.

    Raises:
        Unserved: the operation has no such case.
        Unknown: with the reason.
    """
    check_served(op, case)
    try:
        arrays = case_arrays(op, case)
    except BadInput:
        raise
    except Exception as error:
        raise Unknown(one_line(error)) from error
    _, parameters = op.split(case.size)
    if case.regime == "empty":
        return Truth(arrays, _of_empty(op, arrays, parameters, case.dtype))
    certain = _flops(op, case.size, arrays) <= EXACT_FLOPS
    # Far from the ordinary only the hand-derived formula is judged, and the hull is for autodiff.
    hull = case.regime in (*DEFAULT_REGIMES, "file")
    references = bounded(op, arrays, parameters, case.arithmetic, certain=certain, hull=hull)
    if op.draw is None and case.regime in DEFAULT_REGIMES and not case.inputs:
        arrays, references = _within_range(op, case, arrays, references, certain=certain)
    if certain:
        values = certified(op, arrays, parameters)
        references = [_at(r, v) for r, v in zip(references, values, strict=True)]
    if wrong:
        references = _corrected(op, arrays, parameters, references, wrong)
    if case.poisoned:
        return _poisoned(op, case, arrays, parameters, references)
    return Truth(arrays, references)


def _within_range(
    op: Operation, case: Case, arrays: list[np.ndarray], references: list[Reference], *, certain: bool
) -> tuple[list[np.ndarray], list[Reference]]:
    """Halve drawn inputs until no intermediate leaves the format's range, if that does it."""
    _, parameters = op.split(case.size)
    given, of_given = arrays, references
    for _ in range(HALVINGS):
        if not any(r.excused.any() for r in of_given):
            return given, of_given
        halves = [a / 2 if a.dtype.kind == "f" else a for a in given[: len(op.inputs)]]
        given = [*(FORMATS[case.dtype].round(a) if a.dtype.kind == "f" else a for a in halves), *given[len(halves) :]]
        of_given = bounded(op, given, parameters, case.arithmetic, certain=certain)
    return arrays, references


def _of_empty(
    op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any], dtype: str
) -> list[Reference]:
    """Return references for empty arrays: shapes by forward part and inputs, the few numbers by float64 with bounds.

    Raises:
        Unserved: the derivative of the forward part, where that is all there is, is no number.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = op.analytic(xp, parameters)(*arrays)
    if not op.has_pullback and any(np.isnan(v).any() for v in outputs):
        raise Unserved("its forward part has no derivative there")
    count = len(op.signature.outputs)
    given = dict(zip(op.inputs, arrays, strict=False))
    shapes = [np.shape(v) for v in outputs[:count]] + [given[name].shape for name in op.gradients]
    if any(np.any(v) for v in outputs):
        numbers = bounded(op, arrays, parameters, dtype, hull=False)
    else:  # a sum over nothing is zero, in whatever precision
        numbers = [Reference(*([np.zeros(np.shape(v))] * 5)) for v in outputs]
    # A gradient of another shape than its input is wrong; what stands in its place matters no more.
    return [
        r if r.value.shape == shape else Reference(*([np.zeros(shape)] * 5))
        for r, shape in zip(numbers, shapes, strict=True)
    ]


def _poisoned(
    op: Operation,
    case: Case,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    references: Sequence[Reference],
) -> Truth:
    """Put NaN (or infinity) into one entry; what depends on it, by the dataflow of the formula, has no bound."""
    number = op.inputs.index(case.poisoned)
    entry = np.unravel_index(arrays[number].size // 2, arrays[number].shape)
    poison = np.nan if number % 2 == 0 else np.inf
    spoiled = [a.copy() for a in arrays]
    spoiled[number][entry] = poison
    with bounds.context("float64"):
        entered = [bounds.asarray(a) for a in arrays]
        untouched = op.analytic(bounds, parameters)(*entered)
        doubt = np.zeros(arrays[number].shape)
        doubt[entry] = np.inf
        entered[number] = bounds.Array(np.asarray(arrays[number], dtype=np.float64), doubt, doubt)
        outputs = op.analytic(bounds, parameters)(*entered)
    # Where a condition hears of it the bound is the other branch's, which may be finite.
    touched = [
        np.broadcast_to(~(after.worst <= before.worst * (1 + 1e-9)), r.value.shape)
        for after, before, r in zip(outputs, untouched, references, strict=True)
    ]
    word = "NaN" if number % 2 == 0 else "infinity"
    place = f"[{', '.join(str(int(i)) for i in entry)}]" if entry else ""
    kept = [replace(r, bound=np.where(t, np.inf, r.bound), excused=t) for r, t in zip(references, touched, strict=True)]
    return Truth(spoiled, kept, note=f"{word} in {case.poisoned}{place}")


def _flops(op: Operation, size: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> float:
    try:
        return float(cost(op, size, "float64", "analytic").flops)
    except Exception:  # noqa: BLE001 - what the model of costs lacks must not stop the proof
        return 0.0 if sum(a.size for a in arrays) <= BASIS_ENTRIES else float("inf")


def _at(reference: Reference, ball: Any) -> Reference:
    high, low = halves(ball)
    if high.shape != reference.value.shape:
        raise Unknown(f"the formula gives shape {high.shape} in ball arithmetic and {reference.value.shape} in float64")
    return replace(reference, value=high, rest=low)


def _corrected(
    op: Operation,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    references: list[Reference],
    wrong: Sequence[str],
) -> list[Reference]:
    """Put the derivative of the forward part in the place of a formula that is known to be wrong."""
    corrected = list(references)
    if not set(wrong) <= set(op.outputs):
        raise Unknown("the formula is wrong as a whole; there is no derivative to put in its place")
    gradients = true_gradients(op, arrays, parameters, wrong)
    if len(gradients) < len(wrong):
        raise Unknown("the formula is wrong, and here, on a kink, there is no derivative to put in its place")
    for name, high, low in gradients:
        place = op.outputs.index(name)
        old = references[place]
        if old.bound.shape == high.shape:
            # The wrong formula's bound is the best that is known about the size of the rounding errors.
            corrected[place] = replace(old, value=high, rest=low)
        else:
            size = np.full(high.shape, float(np.max(old.bound, initial=0.0)))
            corrected[place] = Reference(high, low, size, size, 0 * size)
    return corrected


def in_arithmetic(op: Operation, case: Case, truth: Truth, arithmetic: Arithmetic) -> Truth:
    """Return the truth of a case with the bounds of another arithmetic in the same dtype.

    Inputs and values stay as they are. So do the bounds of what has a NaN among its inputs, of empty arrays, and of an
    output whose formula is wrong in its shape.

    Args:
        op: the operation.
        case: the case.
        truth: its truth.
        arithmetic: what an evaluation computes in.

    Raises:
        Unknown: with the reason.
    """
    if case.poisoned or case.regime == "empty":
        return truth
    _, parameters = op.split(case.size)
    certain = _flops(op, case.size, truth.arrays) <= EXACT_FLOPS
    kept = rebounded(op, truth.arrays, parameters, truth.references, arithmetic, certain=certain)
    return replace(truth, references=kept, arithmetic=arithmetic)

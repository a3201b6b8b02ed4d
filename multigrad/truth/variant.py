"""The judgement on one output of a variant: our formula by its own bound, another formula by mixed stability."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..namespaces import bounds
from ..ops.operation import Operation
from ..verdict.formats import FORMATS
from ..verdict.judge import Judgement, Reference, judge_entries
from ..verdict.words import FAIL, INCONCLUSIVE, NOTE, PASS
from .arithmetic import Arithmetic, narrower, off_by
from .case import Unknown
from .intermediates import off_through_intermediates
from .references import HAIR

ROUNDINGS = 4
"""By how many an intermediate result may be off: an elementary function, and a step or two."""

SMALL = 1e-8
"""A shift of an input to which its outputs answer in proportion."""


def sensitivity(
    op: Operation, parameters: Mapping[str, Any], arithmetic: str | Arithmetic, arrays: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return how far each entry of each output may move where the inputs are off by one rounding each.

    An input is off by as much, too, as a rounding of what is computed from it alone, which a backward pass may be
    written in (:mod:`.intermediates`).

    Args:
        op: the operation.
        parameters: values of its parameters.
        arithmetic: what is computed in, a dtype or more than that; a rounding is one of what lies between inputs and
            outputs.
        arrays: inputs, then cotangents.
    """
    chosen = Arithmetic.of(arithmetic)
    u = chosen.unit_roundoff
    exact = chosen.analyse(op, parameters, arrays)
    rounded = chosen.analyse(op, parameters, [off_by(a, u * np.abs(a) + HAIR) for a in arrays])
    moved = [np.maximum(b.worst - a.worst, 0) for a, b in zip(exact, rounded, strict=True)]
    try:
        further = _through_intermediates(op, parameters, u, arrays)
    except Exception:  # noqa: BLE001 - what the tape does not know has no intermediate results to speak of
        return moved
    return [np.fmax(a, b) for a, b in zip(moved, further, strict=True)]


def _through_intermediates(
    op: Operation, parameters: Mapping[str, Any], u: float, arrays: Sequence[np.ndarray]
) -> list[np.ndarray]:
    count = len(op.inputs)
    shifts = off_through_intermediates(op, parameters, arrays[:count], ROUNDINGS * u)
    furthest = max(float(np.max(shift, initial=0.0)) for shift in shifts)
    if furthest == 0:  # nothing to add, and nothing to evaluate
        return [np.zeros(())] * len(op.outputs)
    small = min(1.0, SMALL / furthest)
    function = op.analytic(bounds, parameters)
    with bounds.context("float64", u=2.0**-200, underflow=0.0):
        still = function(*map(bounds.asarray, arrays))

        def moved(errors: Sequence[np.ndarray]) -> list[np.ndarray]:
            inputs = [off_by(a, error) for a, error in zip(arrays, errors, strict=False)]
            shifted = function(*inputs, *map(bounds.asarray, arrays[count:]))
            return [np.maximum(b.worst - a.worst, 0) for a, b in zip(still, shifted, strict=True)]

        # In proportion where a shift is far, and as it is where it is not: in halves a slope changes on the way.
        slopes, near = moved([small * shift for shift in shifts]), moved([np.minimum(shift, 1.0) for shift in shifts])
    return [np.fmax(a / small, b) for a, b in zip(slopes, near, strict=True)]


def judge_variant(
    op: Operation,
    parameters: Mapping[str, Any],
    arithmetic: str | Arithmetic,
    variant: str,
    arrays: Callable[[], Sequence[np.ndarray]],
    number: int,
    computed: np.ndarray,
    reference: Reference,
) -> Judgement:
    """Judge one output of a variant: the hand-derived one by its own bound, another formula by mixed stability.

    The bound is a theorem about the hand-derived formula. Autodiff and a framework's function compute the same by
    another formula, which is as good as can be asked for if its result is near that of inputs which are off by one
    rounding each (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.5). So a result of theirs
    that is beyond the bound, and within the bound for such inputs, is a NOTE.

    Args:
        op: the operation.
        parameters: values of its parameters.
        arithmetic: what was computed in, a dtype or more than that.
        variant: ``analytic``, ``forward``, ``autodiff``, ``native``, or the name of an implementation.
        arrays: returns inputs, then cotangents; they may be large, and are wanted by few.
        number: which output it is.
        computed: what was computed.
        reference: the truth about it.
    """
    chosen = Arithmetic.of(arithmetic)
    dtype = chosen.dtype
    judged = judge_entries(computed, reference, dtype, f"may overflow in {dtype}")
    if judged.verdict != FAIL or variant in ("analytic", "forward"):
        return judged
    try:
        wider = reference.bound + sensitivity(op, parameters, chosen, arrays())[number]
    except Exception:  # noqa: BLE001 - then there is no such bound, and the judgement stands
        return judged
    again = judge_entries(computed, replace(reference, bound=wider), dtype, f"may overflow in {dtype}")
    if again.verdict == INCONCLUSIVE:
        return replace(again, reason=f"another right formula may be off by as much: {again.reason}")
    if again.verdict not in (PASS, NOTE):
        return judged
    exact = not np.isfinite(judged.ratio)
    ours = "not exact, as the hand-derived formula is here" if exact else f"{judged.ratio:.3g} × its bound"
    reason = f"{ours}, {again.ratio:.2g} × that of inputs which are off by one rounding"
    return replace(again if exact else judged, verdict=NOTE, reason=reason)


FEW = 4
"""Roundings of the largest number of an output: an error below that, in every entry, is no mistake in a formula."""


def seen_right(
    computed: np.ndarray, number: int, dtype: str, references: Callable[[Arithmetic], Sequence[Reference]]
) -> Judgement | None:
    """Pass what lies within a narrower bound than its own, where that is too wide to see anything.

    It has that bound's accuracy, whatever it was computed in. What is less accurate is not wrong.

    Args:
        computed: one output in a half.
        number: which output it is.
        dtype: the half.
        references: returns the truth about every output with the bounds of an arithmetic.

    Returns:
        A PASS that says within which bound it lies, or None where it lies within none that is narrow.
    """
    for what, reference in _narrow(number, dtype, references):
        judgement = judge_entries(computed, reference, dtype, f"may overflow in {dtype}")
        if judgement.verdict in (PASS, NOTE):
            return replace(judgement, verdict=PASS, reason=f"within {what}")
    return None


def _narrow(
    number: int, dtype: str, references: Callable[[Arithmetic], Sequence[Reference]]
) -> Iterator[tuple[str, Reference]]:
    reference = None
    for arithmetic in narrower(dtype):
        with contextlib.suppress(Unknown):
            reference = references(arithmetic)[number]
            yield f"the bound of {arithmetic}", reference
    if reference is not None:
        size = np.where(np.isfinite(reference.value) & ~reference.excused, np.abs(reference.value), 0.0)
        few = np.full(size.shape, FEW * FORMATS[dtype].unit_roundoff * np.max(size, initial=0.0))
        yield f"{FEW} roundings of its largest number", replace(reference, bound=few, probable=few)

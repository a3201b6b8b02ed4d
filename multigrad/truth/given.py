"""The truth at inputs that somebody gives: certified values and gradients for several cotangents, with their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import BadInput
from ..namespaces import cost, exact
from ..namespaces.exact import ExactArray
from ..namespaces.shared.unsupported import Unsupported
from ..ops.operation import Operation
from ..verdict.judge import Reference
from .arithmetic import Arithmetic
from .case import Truth, Unknown
from .certified import BASIS_ENTRIES, halves
from .evaluation import certify, evaluated
from .find import EXACT_FLOPS
from .limits import narrowed
from .references import bounded


def truths_at(
    op: Operation,
    inputs: Sequence[np.ndarray],
    draws: Sequence[Sequence[np.ndarray]],
    arithmetic: Arithmetic,
) -> list[Truth]:
    """Find the truth at given inputs, for several cotangents.

    Where it takes no more than :data:`multigrad.truth.find.EXACT_FLOPS` operations, values and gradients are evaluated
    in ball arithmetic, and the gradients held against the derivative of the forward part in random directions. On a
    kink there is no derivative. Beyond that they are float64 numbers whose own error is in the bounds.

    Args:
        op: the operation, at the defaults of its parameters.
        inputs: float64 arrays that hold numbers of the arithmetic's dtype, or arrays of integers or booleans.
        draws: cotangents, one list of float64 arrays for each truth. The first is certified.
        arithmetic: what an honest evaluation computes in.

    Raises:
        BadInput: the operation uses what ball arithmetic does not know, or its own gradients are wrong here.
        Unknown: with the reason.
    """
    certain = len(draws) * _flops(op, inputs, draws[0]) <= EXACT_FLOPS
    if not certain and not op.catalogued:
        op = _without_pullback(op)  # which nothing here could certify
    parameters = op.parameters
    try:
        bounds = [bounded(op, [*inputs, *draw], parameters, arithmetic, certain=certain) for draw in draws]
    except Unknown as error:
        if isinstance(error.__cause__, Unsupported):
            raise BadInput(f"the reference {op.name}: {error.__cause__}") from error
        raise
    if not certain:
        return [Truth([*inputs, *draw], references) for draw, references in zip(draws, bounds, strict=True)]
    outputs, bits = evaluated(op, inputs, draws)
    on_kink = any((r.hull > 0).any() for references in bounds for r in references)
    with exact.precision(bits):
        certify(op, inputs, draws[0], outputs[0])
    found = [
        Truth([*inputs, *draw], [_at(r, v) for r, v in zip(references, values, strict=True)])
        for draw, references, values in zip(draws, bounds, outputs, strict=True)
    ]
    return narrowed(op, inputs, draws, found) if on_kink else found


def _without_pullback(op: Operation) -> Operation:
    """Return an operation whose pullback is the tape's, whether it has one of its own or not."""

    def values(xp: Any, *arrays: Any, **parameters: Any) -> Any:
        result = op.function(xp, *arrays, **parameters)
        pair = isinstance(result, tuple | list) and len(result) == 2
        return result[0] if pair and callable(result[1]) else result

    return replace(op, function=values)


def with_bounds_of(op: Operation, truth: Truth, arithmetic: Arithmetic) -> Truth:
    """Return a truth with the bounds of another arithmetic in the same dtype.

    Raises:
        Unknown: the analysis lacks a function.
    """
    others = bounded(op, truth.arrays, op.parameters, arithmetic, certain=True, hull=False)
    pairs = zip(truth.references, others, strict=True)
    kept = [replace(old, bound=new.bound, probable=new.probable, excused=new.excused) for old, new in pairs]
    return replace(truth, references=kept)


def _flops(op: Operation, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> float:
    arrays = [*inputs, *cotangents]
    shapes = [cost.Array(a.shape, "float64" if a.dtype.kind == "f" else str(a.dtype)) for a in arrays]
    try:
        with cost.counting("float64") as counters:
            op.analytic(cost, op.parameters)(*shapes)
    except Exception:  # noqa: BLE001 - what the model of costs lacks must not stop the proof
        return 0.0 if sum(a.size for a in arrays) <= BASIS_ENTRIES else float("inf")
    return float(counters.flops)


def _at(reference: Reference, found: Any) -> Reference:
    if not isinstance(found, ExactArray):
        return reference
    high, low = halves(found)
    if high.shape != reference.value.shape:
        raise Unknown(
            f"the reference gives shape {high.shape} in ball arithmetic and {reference.value.shape} in float64"
        )
    return replace(reference, value=high, rest=low)

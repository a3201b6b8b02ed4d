"""The truth at inputs that somebody gives: certified values and gradients for several cotangents, with their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import BadInput, one_line
from ..namespaces import cost, dual, exact
from ..namespaces.exact import ExactArray
from ..namespaces.shared.unsupported import Unsupported
from ..ops.operation import Operation
from ..verdict.judge import Reference
from .arithmetic import Arithmetic
from .case import Truth, Unknown
from .certified import BASIS_ENTRIES, halves
from .find import EXACT_FLOPS
from .references import bounded

DIRECTIONS = 2
"""In how many random directions the gradients are held against the derivative of the forward part.

One would do: the coordinates are integers of 64 bits, and a wrong gradient agrees in few of those.
"""

CONSTANTS = 1e-12
"""A relative difference that the last digits of constants in a formula explain."""


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
    parameters = op.parameters
    try:
        bounds = [bounded(op, [*inputs, *draw], parameters, arithmetic, certain=certain) for draw in draws]
    except Unknown as error:
        if isinstance(error.__cause__, Unsupported):
            raise BadInput(f"the reference {op.name}: {error.__cause__}") from error
        raise
    if not certain:
        return [Truth([*inputs, *draw], references) for draw, references in zip(draws, bounds, strict=True)]
    outputs, bits = _evaluated(op, inputs, draws)
    with exact.precision(bits):
        _certify(op, inputs, draws[0], outputs[0])
    return [
        Truth([*inputs, *draw], [_at(r, v) for r, v in zip(references, values, strict=True)])
        for draw, references, values in zip(draws, bounds, outputs, strict=True)
    ]


def _flops(op: Operation, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> float:
    arrays = [*inputs, *cotangents]
    shapes = [cost.Array(a.shape, "float64" if a.dtype.kind == "f" else str(a.dtype)) for a in arrays]
    try:
        with cost.counting("float64") as counters:
            op.analytic(cost, op.parameters)(*shapes)
    except Exception:  # noqa: BLE001 - what the model of costs lacks must not stop the proof
        return 0.0 if sum(a.size for a in arrays) <= BASIS_ENTRIES else float("inf")
    return float(counters.flops)


def _evaluated(
    op: Operation, inputs: Sequence[np.ndarray], draws: Sequence[Sequence[np.ndarray]]
) -> tuple[list[list[Any]], int]:
    """Return values and gradients for each draw, in ball arithmetic, and the precision that they needed."""
    count, each = len(inputs), len(draws[0])

    def function(*arrays: Any) -> tuple[Any, ...]:
        value, pullback = op(exact, *arrays[:count], **op.parameters)
        cotangents = [arrays[i : i + each] for i in range(count, len(arrays), each)]
        gradients = [g for bars in cotangents for g in op.gradients_of(pullback(*bars))]
        return *op.values(value), *gradients

    try:
        found = exact.evaluate(function, *inputs, *(c for draw in draws for c in draw))
    except exact.Undecided as error:
        raise Unknown(str(error)) from error
    except Unsupported as error:
        raise BadInput(f"the reference {op.name}: {error}") from error
    except BadInput:
        raise
    except Exception as error:
        raise Unknown(one_line(error)) from error
    values, rest, per = found.outputs[:each], found.outputs[each:], len(op.gradients)
    return [[*values, *rest[i * per : (i + 1) * per]] for i in range(len(draws))], found.bits


def _certify(op: Operation, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray], outputs: list[Any]) -> None:
    """Hold gradients against the derivative of the forward part, in random directions of all inputs together.

    Raises:
        BadInput: they differ.
    """
    rng = np.random.default_rng(0)
    wanted = [n in op.gradients for n in op.inputs]
    drawn = [
        rng.integers(-(2**63), 2**63, (DIRECTIONS, *a.shape)) if w else None
        for a, w in zip(inputs, wanted, strict=True)
    ]
    directions = [None if d is None else exact.lift(d) for d in drawn]

    def derivative(*arrays: Any) -> tuple[Any, ...]:
        forward = op.forward(dual, op.parameters)
        _, tangents = dual.directional_derivatives(forward, arrays[: len(inputs)], directions)
        return (sum(_products(t, c) for t, c in zip(tangents, arrays[len(inputs) :], strict=True)),)

    try:
        truth = exact.lift(exact.evaluate(derivative, *inputs, *cotangents).outputs[0])
    except (exact.Kink, exact.Undecided):
        return
    except Unsupported as error:
        raise BadInput(f"the reference {op.name}: {error}") from error
    chosen = [d for d in directions if d is not None]
    gradients = outputs[len(cotangents) :]
    ours = exact.lift(sum(_products(d, g) for d, g in zip(chosen, gradients, strict=True)))
    scale = exact.lift(sum(_products(abs(d), abs(exact.lift(g))) for d, g in zip(chosen, gradients, strict=True)))
    for a, b, size in zip(ours.elements.flat, truth.elements.flat, scale.elements.flat, strict=True):
        if not a.overlaps(b) and not abs(a - b) <= CONSTANTS * size:
            raise BadInput(
                f"the pullback of the reference {op.name} is not the derivative of its own forward part; "
                "`multigrad check` names the mistake; a reference needs no pullback"
            )


def _products(block: Any, array: Any) -> Any:
    """Return the sum of an array times each slice of a block along its first axis."""
    xp: Any = exact
    flat = xp.reshape(exact.lift(block), (block.shape[0], -1)) if block.ndim > 1 else exact.lift(block)[:, None]
    return xp.matmul(flat, xp.reshape(exact.lift(array), (flat.shape[1],)))


def _at(reference: Reference, found: Any) -> Reference:
    if not isinstance(found, ExactArray):
        return reference
    high, low = halves(found)
    if high.shape != reference.value.shape:
        raise Unknown(
            f"the reference gives shape {high.shape} in ball arithmetic and {reference.value.shape} in float64"
        )
    return replace(reference, value=high, rest=low)

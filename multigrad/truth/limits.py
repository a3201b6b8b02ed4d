"""What a gradient may be on a kink, at given inputs: the limits of the gradients nearby, and what conventions give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..namespaces import dual, exact
from ..ops.operation import Operation
from ..proof.kinks import BITS, NEAR_BITS, PAIRS
from ..proof.ties import replaced, tie_rules
from ..verdict.judge import Reference
from .case import Truth, Unknown
from .evaluation import Place, certify, evaluated

CONVENTION_ENTRIES = 300
"""Up to so many input entries the conventions are asked too; above, the wider hull stays."""


def narrowed(
    op: Operation, inputs: Sequence[np.ndarray], draws: Sequence[Sequence[np.ndarray]], truths: Sequence[Truth]
) -> list[Truth]:
    """Return truths whose hull is the interval of the limiting gradients, entry by entry, conventions included.

    The inputs are moved by about 10⁻³⁰ in random directions and in the opposite ones, where the formula is certified.

    Args:
        op: the operation.
        inputs: the point; it lies on a kink.
        draws: cotangents, a list for each truth.
        truths: what is known of them.
    """
    entries = sum(a.size for a, d in zip(inputs, op.differentiable, strict=True) if d)
    if entries > CONVENTION_ENTRIES:
        return list(truths)
    try:
        samples = [*_beside(op, inputs, draws), *_by_convention(op, inputs, draws)]
    except (Unknown, exact.Undecided):
        return list(truths)
    count = len(op.signature.outputs)
    found = []
    for i, truth in enumerate(truths):
        gradients = truth.references[count:]
        limits = [np.stack([sample[i][k] for sample in samples]) for k in range(len(gradients))]
        between = [_between(r, limit) for r, limit in zip(gradients, limits, strict=True)]
        found.append(replace(truth, references=[*truth.references[:count], *between]))
    return found


def _beside(
    op: Operation, inputs: Sequence[np.ndarray], draws: Sequence[Sequence[np.ndarray]]
) -> Iterator[list[list[np.ndarray]]]:
    """Yield the gradients of every draw at points close by."""
    rng = np.random.default_rng(0)
    count = len(op.signature.outputs)
    for number in range(PAIRS):
        move = [rng.integers(-(2**20), 2**20, a.shape) for a in inputs]
        for sign in (1, -1):
            place = _moved([sign * m for m in move])
            outputs, bits = evaluated(op, inputs, draws, place)
            if number == 0:
                with exact.precision(bits):
                    certify(op, inputs, draws[0], outputs[0], place)
            yield [[exact.midpoints(g) for g in of_draw[count:]] for of_draw in outputs]


def _moved(moves: Sequence[np.ndarray]) -> Place:
    unit = Fraction(1, 2**NEAR_BITS)

    def place(arrays: Sequence[Any]) -> list[Any]:
        return [
            a + exact.lift(unit) * exact.lift(m) if isinstance(a, exact.ExactArray) else a
            for a, m in zip(arrays, moves, strict=True)
        ]

    return place


def _by_convention(
    op: Operation, inputs: Sequence[np.ndarray], draws: Sequence[Sequence[np.ndarray]]
) -> Iterator[list[list[np.ndarray]]]:
    """Yield the gradients of every draw if every tie goes to the first, then to the second."""
    count = len(inputs)
    for second in (False, True):

        def gradients(*arrays: Any) -> tuple[Any, ...]:
            directions = dict.fromkeys(op.gradients)
            derivatives = dual.differentiate(op, op.parameters, arrays[:count], arrays[count:], directions=directions)
            return tuple(d.enclosure for d in derivatives)

        with replaced(dual.FUNCTIONS, tie_rules(second=second)):
            yield [
                [
                    exact.midpoints(g)
                    for g in exact.evaluate(gradients, *inputs, *draw, bits=BITS, width=math.inf).outputs
                ]
                for draw in draws
            ]


def _between(reference: Reference, limits: np.ndarray) -> Reference:
    """Return a reference in the middle of limits, with half their distance as hull, where they lie apart."""
    together = np.concatenate([limits, reference.value[None]])
    low, high = together.min(axis=0), together.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return reference
    apart = (reference.hull > 0) & (high - low > 1e-12 * np.maximum(np.abs(low), np.abs(high)))
    middle = np.where(apart, (low + high) / 2, reference.value)
    return replace(
        reference,
        value=middle,
        rest=np.where(apart, 0.0, reference.rest),
        hull=np.where(apart, (high - low) / 2, 0.0),
    )

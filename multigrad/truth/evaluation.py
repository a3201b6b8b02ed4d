"""Values and gradients at given inputs in ball arithmetic, certified by the derivative of the forward part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data.errors import BadInput, one_line
from ..namespaces import dual, exact
from ..namespaces.shared.unsupported import Unsupported
from ..ops.operation import Operation
from .case import Unknown

Place = Callable[[Sequence[Any]], list[Any]]
"""Moves inputs, which are exact arrays, to where they are wanted."""

DIRECTIONS = 2
"""In how many random directions the gradients are held against the derivative of the forward part.

One would do: the coordinates are integers of 64 bits, and a wrong gradient agrees in few of those.
"""

CONSTANTS = 1e-12
"""A relative difference that the last digits of constants in a formula explain."""


def evaluated(
    op: Operation, inputs: Sequence[np.ndarray], draws: Sequence[Sequence[np.ndarray]], place: Place = list
) -> tuple[list[list[Any]], int]:
    """Return values and gradients for each draw, in ball arithmetic, and the precision that they needed.

    Args:
        op: the operation.
        inputs: NumPy arrays.
        draws: cotangents, a list for each draw.
        place: moves the inputs, as exact arrays, to where they are wanted.

    Raises:
        BadInput: the operation uses what ball arithmetic does not know.
        Unknown: with the reason.
    """
    count, each = len(inputs), len(draws[0])

    def function(*arrays: Any) -> tuple[Any, ...]:
        value, pullback = op(exact, *place(arrays[:count]), **op.parameters)
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


def certify(
    op: Operation,
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    outputs: Sequence[Any],
    place: Place = list,
) -> None:
    """Hold gradients against the derivative of the forward part, in random directions of all inputs together.

    On a kink there is none, and nothing is held against it.

    Args:
        op: the operation.
        inputs: NumPy arrays.
        cotangents: one for each value.
        outputs: what :func:`evaluated` found for them, at the precision of the context.
        place: as there.

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
        _, tangents = dual.directional_derivatives(forward, place(arrays[: len(inputs)]), directions)
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

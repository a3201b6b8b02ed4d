"""Derivatives in many directions at once, and of an operation with respect to each input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import exact
from ..exact import ExactArray, Kink
from .arrays import DualArray, lift, tangent_of
from .kinks import KINKS_MET
from .table import VALUED

if TYPE_CHECKING:
    from ...ops.operation import Operation


def directional_derivatives(
    forward: Callable[..., tuple[Any, ...]], inputs: Sequence[Any], directions: Sequence[Any]
) -> tuple[list[ExactArray], list[ExactArray]]:
    """Differentiate a function of arrays in T directions at once.

    Args:
        forward: ``f(*inputs)`` over this namespace, that returns a tuple of arrays.
        inputs: exact arrays, or integer arrays.
        directions: for each input an exact array of shape (T, *its shape), or None where it is held fixed.

    Returns:
        The values, and their derivatives with a leading axis of length T.

    Raises:
        Kink: the forward part has no derivative at these inputs.
        Undecided: a comparison needs more precision.
    """
    count = next(d.shape[0] for d in directions if d is not None)
    KINKS_MET.clear()
    duals = [DualArray(x, d) if isinstance(x, ExactArray) else x for x, d in zip(inputs, directions, strict=True)]
    outputs = [lift(output) for output in forward(*duals)]
    tangents = [tangent_of(output, count) for output in outputs]
    if KINKS_MET and any(np.asarray(VALUED["isnan"](t)).any() for t in tangents):
        raise Kink(f"no derivative: {', '.join(sorted(set(KINKS_MET)))} at equal values, a kink")
    return [output.value for output in outputs], tangents


@dataclass(frozen=True)
class Derivative:
    """The derivative of ⟨value, cotangent⟩ with respect to one input."""

    name: str
    """The input's."""
    directions: np.ndarray | None
    """Integers of shape (D, *shape of the input), the directions it was taken in; None means every basis direction."""
    enclosure: ExactArray
    """The gradient itself, of the input's shape; or its D products with the directions."""


def choose_directions(
    op: Operation, shapes: Mapping[str, tuple[int, ...]], *, limit: int = 300, count: int = 8, seed: int = 0
) -> dict[str, np.ndarray | None]:
    """Choose for each differentiable input every basis direction (None) or, beyond the limit, random integer ones."""
    rng = np.random.default_rng(seed)
    return {
        name: None if math.prod(shapes[name]) <= limit else rng.integers(-(2**63), 2**63, (count, *shapes[name]))
        for name in op.gradients
    }


def differentiate(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    *,
    directions: Mapping[str, np.ndarray | None] | None = None,
) -> list[Derivative]:
    """Differentiate an operation's forward part alone, at the precision of the context.

    Args:
        op: the operation; its pullback is not called.
        parameters: its keyword parameters.
        inputs: one exact (or integer) array per input, as :func:`multigrad.namespaces.exact.variable` makes them.
        cotangents: one exact array per output.
        directions: from :func:`choose_directions`; by default chosen there.

    Returns:
        One derivative for each differentiable input, in order.

    Raises:
        Kink: no derivative here.
        Undecided: a comparison needs more precision.
    """
    shapes = {name: tuple(x.shape) for name, x in zip(op.inputs, inputs, strict=True)}
    directions = choose_directions(op, shapes) if directions is None else directions
    blocks = {n: _block(directions[n], shapes[n]) for n in op.gradients}
    counts = [block.shape[0] for block in blocks.values()]
    starts = dict(zip(blocks, itertools.accumulate(counts, initial=0), strict=False))
    pushed = [_placed(blocks[n], starts[n], sum(counts)) if n in blocks else None for n in op.inputs]
    _, tangents = directional_derivatives(op.forward(DualArray.namespace, parameters), inputs, pushed)
    total: Any = 0
    for tangent, cotangent in zip(tangents, cotangents, strict=True):
        flat = VALUED["reshape"](tangent, (tangent.shape[0], math.prod(tangent.shape[1:])))
        total = total + VALUED["matmul"](flat, VALUED["reshape"](exact.lift(cotangent), (flat.shape[1],)))
    results = []
    for name, block in blocks.items():
        part = total[starts[name] : starts[name] + block.shape[0]]
        given = directions[name]
        results.append(Derivative(name, given, part if given is not None else VALUED["reshape"](part, shapes[name])))
    return results


def _block(directions: np.ndarray | None, shape: tuple[int, ...]) -> Any:
    if directions is not None:
        return as_variables(directions)
    size = math.prod(shape)
    return VALUED["where"](np.eye(size, dtype=bool).reshape(size, *shape), exact.lift(1), exact.lift(0))


def as_variables(directions: np.ndarray) -> ExactArray:
    """Return random integer directions as an exact array: each entry is one more variable of the polynomial."""
    return ExactArray(exact.lift(directions).elements, (1, 0))


def _placed(block: ExactArray, start: int, count: int) -> Any:
    result = VALUED["zeros"]((count, *block.shape[1:]))
    result[start : start + len(block)] = block
    return result

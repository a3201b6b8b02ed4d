"""Certified values in ball arithmetic: of the hand-derived formula, and of the derivative of the forward part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import one_line
from ..namespaces import dual, exact
from ..ops.operation import Operation
from .case import Unknown

BASIS_ENTRIES = 1500
"""Up to so many entries a derivative is pushed in every basis direction."""


def certified(op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> list[Any]:
    """Evaluate the hand-derived formula in ball arithmetic; return exact arrays.

    Raises:
        Unknown: a kink, a function that balls do not have, or an error of the operation's own.
    """
    try:
        return list(exact.evaluate(op.analytic(exact, parameters), *arrays).outputs)
    except exact.Undecided as error:
        raise Unknown(str(error)) from error
    except Exception as error:
        raise Unknown(one_line(error)) from error


def true_gradients(
    op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any], wanted: Sequence[str]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return the certified derivatives of the forward part, as (``W_bar``, high part, low part).

    Those on a kink, and those too large for every basis direction, are left out.
    """
    count = len(op.inputs)
    names = [n for n in op.gradients if op.gradient_name(n) in wanted]
    sizes = {n: a.size for n, a in zip(op.inputs, arrays, strict=False)}
    if sum(sizes[n] for n in names) > BASIS_ENTRIES:
        return []
    some = replace(op, differentiable=tuple(n in names for n in op.inputs))

    whole = dict.fromkeys(names)

    def derivative(*balls: Any) -> tuple[Any, ...]:
        derivatives = dual.differentiate(some, parameters, balls[:count], balls[count:], directions=whole)
        return tuple(d.enclosure for d in derivatives)

    try:
        outputs = exact.evaluate(derivative, *arrays).outputs
    except exact.Undecided:
        return []
    return [(op.gradient_name(n), *halves(ball)) for n, ball in zip(names, outputs, strict=True)]


def halves(ball: Any) -> tuple[np.ndarray, np.ndarray]:
    """Split the midpoints of an exact array into the nearest float64 and what is left of them."""
    high = np.empty(ball.shape)
    low = np.empty(ball.shape)
    for place in np.ndindex(ball.shape):
        middle = ball.elements[place].mid()
        high[place] = float(middle)
        low[place] = float(middle - high[place]) if np.isfinite(high[place]) else 0.0
    return high, low

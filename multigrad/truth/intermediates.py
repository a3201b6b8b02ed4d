"""How far inputs may be off where another formula rounds what lies between them and the value.

A backward pass is often a formula in what the forward part kept: g s (1 − s) for a sigmoid s. Its error is that of s,
rounded once, which inputs that are off by one rounding each do not explain where s hardly changes with them: they would
have to be off by u |s / s′|.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.standard import numpy_standard
from ..namespaces.tape import Tape, TapeArray, with_pullback
from ..ops.operation import Operation

MOST = 200
"""Of more intermediate results than that none is looked at."""


def off_through_intermediates(
    op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray], unit_roundoff: float
) -> list[np.ndarray]:
    """Return for each input how far its entries may be off: as far as moves an intermediate result by one rounding.

    Only results count that an entry of the input decides alone, as two directions show, and that change with it; and
    only where that is more than two roundings of the entry itself, which explains everything else.

    Args:
        op: the operation.
        parameters: values of its parameters.
        inputs: on the host.
        unit_roundoff: of what is computed in.

    Returns:
        Arrays of the inputs' shapes; zero where there is no such result.
    """
    forward = op.forward
    wanted = [d and x.dtype.kind == "f" for d, x in zip(op.differentiable, inputs, strict=True)]
    shifts = [np.zeros(x.shape) for x in inputs]
    moving = [shift for shift, w in zip(shifts, wanted, strict=True) if w]
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = len(_results(forward, parameters, inputs, wanted))
        # Each is computed once more with all before it: of a long recurrence that would take minutes.
        for number in range(count if count <= MOST else 0):
            value, pullback = _result(forward, parameters, inputs, wanted, number)
            if value.dtype.kind != "f" or not value.size:
                continue
            directions = [np.ones(value.shape), rng.uniform(0.5, 1.5, value.shape)]
            slopes = [pullback(direction) for direction in directions]
            for shift, first, second in zip(moving, *slopes, strict=True):
                if first.shape == value.shape:
                    alone = np.abs(second / directions[1] - first) <= 1e-9 * np.abs(first)
                    off = unit_roundoff * np.abs(value / first)
                    np.maximum(shift, np.where(alone & np.isfinite(off), off, 0.0), out=shift)
    return [
        np.where(shift > 2 * unit_roundoff * np.abs(x), shift, 0.0) for shift, x in zip(shifts, inputs, strict=True)
    ]


def _result(
    forward: Callable[..., Any],
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    wanted: Sequence[bool],
    number: int,
) -> tuple[np.ndarray, Callable[..., Any]]:
    """Return one intermediate result and its pullback."""
    notes: list[TapeArray] = []

    def chosen(xp: Tape, *given: Any) -> Any:
        forward(xp, parameters)(*given)
        return notes[number]

    value, pullback = with_pullback(chosen, _noting(notes), inputs, wanted, {})
    return np.asarray(value), pullback


def _results(
    forward: Callable[..., Any], parameters: Mapping[str, Any], inputs: Sequence[np.ndarray], wanted: Sequence[bool]
) -> list[TapeArray]:
    """Return every intermediate result that depends on an input."""
    notes: list[TapeArray] = []
    with_pullback(lambda xp, *given: forward(xp, parameters)(*given), _noting(notes), inputs, wanted, {})
    return notes


def _noting(notes: list[TapeArray]) -> Tape:
    """Return a tape that puts every result down."""
    noting = Tape(numpy_standard())  # of its own: what tape.over gives is everybody's

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def apply(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            if isinstance(result, TapeArray) and result.node is not None:
                notes.append(result)
            return result

        return apply

    for name, function in vars(noting).items():
        if callable(function) and not isinstance(function, type) and name not in ("base", "linalg"):
            setattr(noting, name, noted(function))
    return noting

"""Calling an operation's function: with a namespace or as NumPy code, with its own pullback or that of the tape."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..data.errors import WrongResult
from ..data.standard import numpy_standard
from .signature import Signature
from .text import described

Pullback = Callable[..., Any]


class Formula(Protocol):
    """What is asked of an operation."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def function(self) -> Callable[..., Any]: ...  # noqa: D102
    @property
    def signature(self) -> Signature: ...  # noqa: D102
    @property
    def differentiable(self) -> tuple[bool, ...]: ...  # noqa: D102
    @property
    def namespaced(self) -> bool: ...  # noqa: D102


def _tape() -> Any:
    # By name, when it is needed: the namespaces stand above operations.
    return importlib.import_module("..namespaces.tape", __package__)


def called(
    op: Formula, function: Callable[..., Any], xp: Any, arrays: Sequence[Any], parameters: Mapping[str, Any]
) -> Any:
    """Call a function of an operation as the operation is written: with the namespace first, or with NumPy."""
    if op.namespaced:
        return function(xp, *arrays, **parameters)
    return _tape().run_numpy(function, xp, arrays, parameters)


def _returned(op: Formula, xp: Any, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    return called(op, op.function, xp, inputs, parameters)


def evaluated(
    op: Formula, xp: Any, inputs: Sequence[Any], parameters: Mapping[str, Any]
) -> tuple[Any, Pullback | None]:
    """Return the value and the operation's own pullback; None where it has none.

    Raises:
        WrongResult: the function returns something else.
    """
    result = _returned(op, xp, inputs, parameters)
    count = len(op.signature.outputs)
    several = isinstance(result, tuple | list)
    if several and len(result) == 2 and callable(result[1]):
        return result[0], result[1]
    if result is None or (several and len(result) != count):
        wanted = "a value" if count == 1 else f"{count} values"
        raise WrongResult(f"{op.name} returned {described(result)}; wanted {wanted}, or (value, pullback)")
    return result, None


def on_tape(op: Formula, xp: Any) -> Callable[..., tuple[Any, Pullback]]:
    """Return ``f(xp, *inputs, **parameters) -> (value, pullback)`` of an operation without a pullback."""
    tape = _tape()
    over = tape.over(xp)

    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        return _returned(op, xp, inputs, parameters)

    def pulled_back(_: Any, *inputs: Any, **parameters: Any) -> tuple[Any, Pullback]:
        pair: tuple[Any, Pullback] = tape.with_pullback(function, over, inputs, op.differentiable, parameters)
        return pair

    return pulled_back


def has_pullback(op: Formula, inputs: Callable[[], Sequence[Any]], parameters: Mapping[str, Any]) -> bool:
    """Tell whether an operation's function returns a pullback, by a run in NumPy; True where it raises.

    Args:
        op: the operation.
        inputs: draws its inputs.
        parameters: its keyword parameters.
    """
    elsewhere: Callable[[], bool] | None = getattr(op.function, "has_pullback", None)
    if elsewhere is not None:  # another process has the function
        return elsewhere()
    xp = numpy_standard()
    import numpy as np

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return evaluated(op, xp, inputs(), parameters)[1] is not None
    except (Exception, SystemExit):  # noqa: BLE001 - what it raises is said where it is judged
        return True

"""An implementation as a function of arrays, with one line for what is no result of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..data.errors import WrongResult
from ..ops.implementation import Implementation
from ..ops.operation import Operation

Array = Any
"""An array of the framework at hand."""


def forward_of(
    operation: Operation, parameters: Mapping[str, Any], made: Implementation, xp: Any
) -> Callable[..., tuple[Array, ...]]:
    """Return ``f(*inputs) -> values`` of an implementation that the framework's autodiff differentiates.

    It raises :class:`WrongResult` where the implementation returns something else than the reference does.
    """
    seen: list[bool] = []

    def forward(*inputs: Array) -> tuple[Array, ...]:
        return _values(operation, made, xp, inputs, made.function(*inputs, **parameters), seen)

    return forward


def with_gradients(
    operation: Operation, parameters: Mapping[str, Any], made: Implementation, xp: Any
) -> Callable[..., tuple[Array, ...]]:
    """Return ``f(*inputs, *cotangents) -> (*values, *gradients)`` of an implementation that has its own gradients.

    It raises :class:`WrongResult` where the implementation returns something else, or takes no cotangent and has more
    than one number as its value.
    """
    count = len(operation.inputs)
    alone = not made.takes_cotangents(count + len(operation.value_names))
    seen: list[bool] = []

    def function(*arrays: Array) -> tuple[Array, ...]:
        if alone and operation.signature.outputs != ((),):
            raise WrongResult(
                f"{made.name} takes the inputs alone, and the value of {operation.name} is no single number; wanted "
                "f(*inputs, *cotangents) -> values, gradients"
            )
        result = made.function(*arrays[: count if alone else len(arrays)], **parameters)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise WrongResult(f"{made.name} returned {_kind(result)}; wanted (values, gradients)")
        values = _values(operation, made, xp, arrays[:count], result[0], seen)
        gradients = operation.gradients_of(result[1], f"{made.name}'s backward pass")
        if alone:
            gradients = tuple(gradient * arrays[count] for gradient in gradients)
        return (*values, *gradients)

    function.__name__ = made.name
    return function


def _values(
    operation: Operation, made: Implementation, xp: Any, inputs: Sequence[Array], result: Any, seen: list[bool]
) -> tuple[Array, ...]:
    """Return what an implementation returned as a tuple of arrays; the first time, they are looked at."""
    if isinstance(result, Mapping):
        raise WrongResult(f"{made.name} returned {_kind(result)}; wanted {', '.join(operation.value_names)} alone")
    values = operation.values(result, made.name)
    if any(isinstance(value, int | float) and not hasattr(value, "shape") for value in values):
        # A loss is often a number of Python's.
        first = next(x for x, d in zip(inputs, operation.differentiable, strict=True) if d)
        values = tuple(xp.asarray(value, dtype=first.dtype) for value in values)
    if not seen:
        _check(operation, made, inputs, values)
        seen.append(True)
    return values


def _check(operation: Operation, made: Implementation, inputs: Sequence[Array], values: Sequence[Array]) -> None:
    """Make sure that values are real and have the shapes of the reference's.

    Raises:
        WrongResult: they are not.
    """
    sizes = operation.check_inputs(inputs)
    for name, value, dimensions in zip(operation.value_names, values, operation.signature.outputs, strict=True):
        wanted = tuple(int(d) if d.isdigit() else sizes.get(d) for d in dimensions)
        found = tuple(value.shape)
        if len(found) != len(wanted) or any(n not in (None, m) for m, n in zip(found, wanted, strict=True)):
            text = f"({','.join(dimensions)})"
            raise WrongResult(f"{made.name} returned {name} of shape {found}; the reference's is {text} = {wanted}")
        if "complex" in str(value.dtype):
            raise WrongResult(f"{made.name} returned {name} of {value.dtype}; only real numbers have a verdict")


def _kind(result: Any) -> str:
    if isinstance(result, Mapping):
        return f"a {type(result).__name__} with {', '.join(map(repr, result))}"
    return f"a {type(result).__name__} of {len(result)}" if isinstance(result, tuple | list) else type(result).__name__

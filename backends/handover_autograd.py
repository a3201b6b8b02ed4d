"""An operation as a primitive of HIPS autograd, whose arrays are NumPy's: autograd calls the hand-derived pullback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autograd.extend import defvjp_argnums, primitive, vspace

from multigrad.backend.handover import gradient_of_each, several
from multigrad.ops.operation import Operation


def handed_over(xp: Any, op: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what :meth:`multigrad.Backend.hand_over` asks for.

    autograd lets nothing be kept but inputs and values, so the forward part is computed again for the pullback.
    """

    def handwritten(*inputs: Any) -> Any:
        op.check_inputs(inputs)
        return op(xp, *inputs, **parameters)[0]

    def pulled_back(cotangents: Any, *inputs: Any) -> Any:
        _, pullback = op(xp, *inputs, **parameters)
        return gradient_of_each(op, pullback(*several(cotangents)))

    handwritten.__name__, handwritten.__doc__ = op.name, op.doc
    pulled_back.__name__ = f"the pullback of {op.name}"  # autograd says so where it is asked for its derivative
    function, backward = primitive(handwritten), primitive(pulled_back)

    def vjp(numbers: Sequence[int], value: Any, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        def gradients(cotangents: Any) -> Any:
            found = backward(cotangents, *inputs)
            return tuple(found[i] if op.differentiable[i] else vspace(inputs[i]).zeros() for i in numbers)

        return gradients

    defvjp_argnums(function, vjp)
    wrapped: Callable[..., Any] = function
    return wrapped

"""The gradient of an operation is an operation: what judges a first derivative judges a second one.

``G(x…, ȳ…) = x̄…``: inputs and cotangents go in, gradients come out. Its own gradients, for cotangents v, are the
derivatives of ⟨∇f, v⟩: by x, ∂²f/∂x²·v, the Hessian of ⟨f, ȳ⟩ times v; by ȳ, J·v. It has no pullback of its own: the
truth about it is the derivative of the pullback of f.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..data.errors import BadInput
from ..data.standard import numpy_standard
from .draw import Draw
from .handed_over import handed_over
from .implementation import Implementation
from .operation import Operation
from .pushforward import derived
from .signature import Signature

NABLA = "∇"
"""What the name and the reference of a gradient begin with."""


@dataclass(frozen=True, eq=False)
class Gradient(Operation):
    """The gradient of an operation, as an operation."""

    of: Operation = field(kw_only=True)
    """The operation whose gradient it is."""

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the gradients of f: ``X_bar``."""
        return tuple(map(self.of.gradient_name, self.of.gradients))

    def gradient_name(self, name: str) -> str:
        """Return ``X_bar_bar`` for an input of f, and ``value_dot`` for its cotangent: J·v is a tangent."""
        return f"{name}_bar_bar" if name in self.of.inputs else f"{name.removesuffix('_bar')}_dot"

    @property
    def made_of(self) -> tuple[Operation, ...]:
        """The operation itself, if it has a pullback of its own."""
        return (self.of,) if self.of.has_pullback else ()

    def followed(self, session: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
        """Return the autodiff of f's forward part, as the backend's autodiff follows it once more."""
        function: Callable[..., tuple[Any, ...]] = session.gradient(
            lambda xp: self.of.forward(xp, parameters), self.of.differentiable
        )
        return function


@functools.cache
def gradient_operation(op: Operation) -> Gradient:
    """Return the gradient of an operation as an operation.

    Its inputs are those of the operation and one cotangent for each value (``value_bar``); its values are the gradients
    of the operation's pullback, or of the tape's where there is none. Each of the operation's implementations that a
    framework differentiates is one of it too.

    Raises:
        BadInput: the operation is a gradient already.
    """
    if isinstance(op, Gradient):
        raise BadInput(f"{op.name} is a gradient already; derivatives of third order are not judged")
    signature = op.signature
    cotangents = tuple(f"{name}_bar" for name in op.value_names)
    inputs = (*signature.inputs, *signature.outputs)
    outputs = tuple(s for s, d in zip(signature.inputs, op.differentiable, strict=True) if d)
    text = "->".join(",".join(f"({','.join(shape)})" for shape in side) for side in (inputs, outputs))
    gradient = Gradient(
        name=f"{NABLA}{op.name}",
        function=_Pulled(op),
        signature=Signature(text, inputs, outputs),
        inputs=(*op.inputs, *cotangents),
        differentiable=(*op.differentiable, *(True for _ in cotangents)),
        parameters=op.parameters,
        sizes=op.sizes,
        draw=functools.partial(_drawn, op),
        dtypes=op.dtypes,
        reference=op.reference and f"{NABLA}{op.reference}",
        implementations=_implementations(op),
        of=op,
    )
    object.__setattr__(gradient, "__doc__", gradient.function.__doc__)
    return gradient


ORDERS = (1, 2)
"""The orders of derivatives that are judged."""


def of_orders(
    ops: Iterable[Operation], orders: int | Iterable[int], derivatives: Sequence[str] | None = None
) -> list[Operation]:
    """Return the operations whose gradients are the derivatives of operations, of one order or of several.

    Args:
        ops: the operations.
        orders: of :data:`ORDERS`.
        derivatives: of the first order, as :func:`multigrad.ops.pushforward.derived` takes them.

    Raises:
        BadInput: an order or a derivative that there is none of, or no order.
    """
    chosen = (orders,) if isinstance(orders, int) else tuple(orders)
    for order in chosen or ("none",):
        if isinstance(order, bool) or order not in ORDERS:
            raise BadInput(f"no order {order!r}; there are {', '.join(map(str, ORDERS))}")

    def of(op: Operation, order: int) -> list[Operation]:
        return derived([op], derivatives) if order == 1 else [gradient_operation(op)]

    return [form for op in ops for order in dict.fromkeys(chosen) for form in of(op, order)]


def with_gradients(op: Operation, names: Sequence[str]) -> Operation:
    """Return an operation that differentiates some of its inputs alone.

    Args:
        op: the operation.
        names: of inputs that it differentiates.
    """
    if tuple(names) == op.gradients:
        return op

    def function(xp: Any, *inputs: Any, **parameters: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
        value, pullback = op(xp, *inputs, **parameters)

        def pulled(*cotangents: Any) -> tuple[Any, ...]:
            gradients = op.gradients_of(pullback(*cotangents))
            return tuple(g for name, g in zip(op.gradients, gradients, strict=True) if name in names)

        return value, pulled

    function.__doc__ = op.function.__doc__
    chosen = tuple(name in names for name in op.inputs)
    return replace(op, function=function, differentiable=chosen, namespaced=True, implementations={}, reference="")


class _Pulled:
    """``f(xp, *inputs, *cotangents, **parameters) -> gradients`` of an operation."""

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.__name__, self.__module__ = f"{NABLA}{op.name}", op.function.__module__
        self.__doc__ = f"The gradient of {op.name}.\n\n{op.doc}"

    def __call__(self, xp: Any, *arrays: Any, **parameters: Any) -> tuple[Any, ...]:
        count = len(self.op.inputs)
        _, pullback = self.op(xp, *arrays[:count], **parameters)
        return self.op.gradients_of(pullback(*arrays[count:]))

    def has_pullback(self) -> bool:
        """None: the truth is the derivative of what this computes."""
        return False


def _drawn(op: Operation, draw: Draw, **size: Any) -> list[Any]:
    """Draw inputs of an operation and cotangents of its values."""
    inputs = op.drawn(draw, size)
    dimensions, parameters = op.check_inputs(inputs), op.split(size)[1]
    if all(s.isdigit() or s in dimensions for shape in op.signature.outputs for s in shape):
        shapes = [tuple(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.outputs]
    else:
        shapes = [tuple(v.shape) for v in op.forward(numpy_standard(), parameters)(*inputs)]
    return [*inputs, *op.make_cotangents(shapes, draw.seed, draw.regime)]


@dataclass(frozen=True)
class _Differentiated:
    """``f(*inputs, *cotangents, **parameters) -> gradients`` of an implementation, by its framework's autodiff."""

    op: Operation
    backend: str
    function: Callable[..., Any]

    def __call__(self, *arrays: Any, **parameters: Any) -> tuple[Any, ...]:
        gradient = _backend(self.backend).gradient(
            lambda *inputs: self.op.values(self.function(*inputs, **parameters)), self.op.differentiable
        )
        gradients: tuple[Any, ...] = gradient(*arrays)
        return gradients


def _implementations(op: Operation) -> dict[tuple[str, str], Implementation]:
    """Return what computes the gradient: implementations with a graph to follow, and the operation handed over.

    One that returns its gradients itself leaves none.
    """
    followed = [made for made in op.implementations.values() if not made.gradients]
    return {
        (made.backend, made.name): replace(made, function=_Differentiated(op, made.backend, made.function))
        for made in (*followed, *handed_over(op))
    }


def _backend(name: str) -> Any:
    # By name, when it is needed: backends stand above operations.
    return importlib.import_module("..backend.registry", __package__).backend(name)

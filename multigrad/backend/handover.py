"""Handing over: an operation as a function of a framework's own, whose backward pass is the hand-derived one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..data.errors import BadInput
from ..ops.find import load_operations
from ..ops.operation import Operation
from .registry import backend
from .session import Array, Backend


def to_torch(op: Operation | str, **parameters: Any) -> Callable[..., Any]:
    """Return ``f(*inputs)`` of tensors that torch.autograd differentiates by the hand-derived pullback.

    It goes through ``backward``, ``torch.func.grad``, ``torch.func.vmap`` and ``torch.compile``, alone and, but for
    ``torch.compile`` over a transform of ``torch.func``, together: there Dynamo would drop the pullback without a word,
    so the function is left out of what is compiled, with a warning, and raises under ``fullgraph=True``. A second
    derivative is torch's own derivative of the pullback.

    Forward mode (``torch.func.jvp``, ``jacfwd``, ``hessian``, ``torch.autograd.forward_ad``) calls the pushforward:
    the hand-derived one, or the transpose of the pullback by the tape. Compiled, there is none. Forward mode over
    forward mode raises NotImplementedError: torch would return 0.

    Args:
        op: an operation, a catalogue name or ``file.py::name``.
        parameters: the operation's parameters, such as ``stride=2``.

    Returns:
        A function that takes the operation's inputs as tensors, in order, and returns its value, or a tuple of them.
        Inputs that the operation does not differentiate (labels) get no gradient. It raises :class:`BadInput` where an
        input is no tensor or does not fit the signature.

    Raises:
        BadInput: no such operation or parameter.
        Unavailable: torch is not here.
    """
    return hand_over("torch", op, parameters)


def to_jax(op: Operation | str, **parameters: Any) -> Callable[..., Any]:
    """Return ``f(*inputs)`` of JAX arrays that JAX differentiates by the hand-derived pullback and pushforward.

    It goes through ``jax.grad``, ``jax.vjp``, ``jax.jit``, ``jax.vmap`` and ``jax.checkpoint`` in any order. A second
    derivative is JAX's own derivative of the pullback. Forward mode (``jax.jvp``, ``jacfwd``, ``linearize``,
    ``hessian``) calls the pushforward: the hand-derived one, or the transpose of the pullback by the tape.

    Args:
        op: an operation, a catalogue name or ``file.py::name``.
        parameters: the operation's parameters, such as ``stride=2``.

    Returns:
        A function that takes the operation's inputs as arrays, in order, and returns its value, or a tuple of them. An
        input that the operation does not differentiate (labels) gets a gradient of zeros, of ``float0`` if it is of
        integers. It raises :class:`BadInput` where an input does not fit the signature.

    Raises:
        BadInput: no such operation or parameter.
        Unavailable: JAX is not here.
    """
    return hand_over("jax", op, parameters)


def to_autograd(op: Operation | str, **parameters: Any) -> Callable[..., Any]:
    """Return ``f(*inputs)`` of NumPy arrays that HIPS autograd differentiates by the hand-derived pullback.

    First derivatives only: a second one raises NotImplementedError.

    Args:
        op: an operation, a catalogue name or ``file.py::name``.
        parameters: the operation's parameters, such as ``stride=2``.

    Returns:
        A function that takes the operation's inputs as arrays, in order, and returns its value, or a tuple of them. It
        raises :class:`BadInput` where an input does not fit the signature.

    Raises:
        BadInput: no such operation or parameter.
        Unavailable: autograd is not installed.
    """
    return hand_over("numpy", op, parameters)


def hand_over(to: Backend | str, op: Operation | str, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return an operation as a function of a backend's own arrays; see :meth:`Backend.hand_over`.

    Raises:
        BadInput: no such backend, operation or parameter.
        Unavailable: the backend is not here, or has no autodiff that takes a pullback.
    """
    ops = [op] if isinstance(op, Operation) else load_operations([op])
    if len(ops) != 1:
        names = ", ".join(one.name for one in ops)
        raise BadInput(f"{op} holds {len(ops)} operations; wanted one of them, such as {op}::{ops[0].name} ({names})")
    (one,) = ops
    unknown = [name for name in parameters if name not in one.parameters]
    if unknown:
        raise BadInput(f"{one.name} has no parameter {unknown[0]!r}; it has {', '.join(one.parameters) or 'none'}")
    return (backend(to) if isinstance(to, str) else to).hand_over(one, parameters)


def several(values: Any) -> tuple[Array, ...]:
    """Return what a function or a pullback gave as a tuple, also where it is one array alone."""
    return tuple(values) if isinstance(values, tuple | list) else (values,)


def gradient_of_each(op: Operation, gradients: Any) -> tuple[Array | None, ...]:
    """Put what a pullback returned in the order of the inputs, None for one that has no gradient.

    Raises:
        BadInput: the pullback returned fewer or more than the operation has.
    """
    returned = several(gradients)
    if len(returned) != len(op.gradients):
        wanted = f"{len(op.gradients)}: {', '.join(op.gradients)}"
        raise BadInput(f"{op.name}'s pullback returned {len(returned)} gradients; wanted {wanted}")
    rest = iter(returned)
    return tuple(next(rest) if differentiable else None for differentiable in op.differentiable)


def wanted_arrays(op: Operation, inputs: Sequence[Any], kind: type, name: str) -> None:
    """Check that what a function was called with are arrays of its framework, as the signature has them.

    Raises:
        BadInput: with the name of the input, what was found and what was wanted.
    """
    for label, array in zip(op.inputs, inputs, strict=False):
        if not isinstance(array, kind):
            raise BadInput(f"{label} is {type(array).__name__}; wanted {name}")
    op.check_inputs(inputs)

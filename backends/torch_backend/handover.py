"""An operation as a torch.autograd.Function: autograd calls the hand-derived pullback."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import Function

from multigrad.backend.handover import gradient_of_each, wanted_arrays
from multigrad.data.errors import BadInput
from multigrad.ops.operation import Operation
from multigrad.ops.pushforward import pushed_forward

from .namespace import array_namespace

Array = torch.Tensor

UNCOMPILED = (
    "torch.compile over a transform of torch.func would drop the hand-derived pullback (pytorch issue 193279), so the "
    "function is left out of what is compiled; put torch.compile inside of the transform, or use backward()"
)


@dataclass(frozen=True)
class Call:
    """An operation with values of its parameters, as a function of tensors that returns value and pullback."""

    op: Operation
    parameters: Mapping[str, Any]
    known: Mapping[str, Any]
    """The namespace for each device."""

    def __call__(self, *inputs: Array) -> Any:
        """Compute."""
        return self.op(self.namespace(*inputs), *inputs, **self.parameters)

    def namespace(self, *inputs: Array) -> Any:
        """Return the namespace for the device of the inputs."""
        return self.known[str(inputs[0].device)]


class Keeping(Function):
    """Autograd's usual way: what the forward part computed is kept for the pullback."""

    @staticmethod
    def forward(ctx: Any, call: Callable[..., Any], op: Operation, *inputs: Array) -> Any:
        """Compute the value; keep the pullback."""
        value, pullback = call(*inputs)
        # What is saved here is freed by a backward pass, and guarded against changes in place. The pullback lives as
        # long as the tensor it hangs on.
        token = torch.empty(0)
        token.pullback = pullback  # type: ignore[attr-defined]
        ctx.save_for_backward(token, *inputs)
        ctx.save_for_forward(*inputs)
        ctx.call, ctx.op = call, op
        # Other objects than those the pullback holds, or they would hold each other for ever.
        return tuple(v.detach() for v in value) if isinstance(value, tuple) else value.detach()

    @staticmethod
    def backward(ctx: Any, *cotangents: Array) -> Any:
        """Call the pullback; where it is to be differentiated itself, it is made again of recorded inputs."""
        token, *inputs = ctx.saved_tensors
        # A hook on what is saved, such as torch.utils.checkpoint's, may have put another tensor in its place.
        pullback = None if torch.is_grad_enabled() else getattr(token, "pullback", None)
        if pullback is None:
            _, pullback = ctx.call(*inputs)
        return None, None, *gradient_of_each(ctx.op, pullback(*cotangents))

    @staticmethod
    def jvp(ctx: Any, *tangents: Array | None) -> Any:
        """Call the pushforward."""
        return pushed(ctx, tangents)


class Recomputing(Function):
    """The way of torch.compile and torch.func, which allow nothing to be kept but inputs and outputs.

    A compiler sees the forward part twice, and computes it once.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(call: Callable[..., Any], op: Operation, *inputs: Array) -> Any:
        """Compute the value."""
        return call(*inputs)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the inputs."""
        ctx.call, ctx.op, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Array) -> Any:
        """Make the pullback again, and call it."""
        _, pullback = ctx.call(*ctx.saved_tensors)
        return None, None, *gradient_of_each(ctx.op, pullback(*cotangents))


class Transformed(Recomputing):
    """The way of torch.func, with a pushforward: a compiler refuses every Function that has one."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Array | None) -> Any:
        """Call the pushforward."""
        return pushed(ctx, tangents)


def pushed(ctx: Any, tangents: Sequence[Array | None]) -> Any:
    """Return the tangents of the values, by the pushforward of the operation that a context holds.

    Args:
        ctx: the context of an autograd.Function.
        tangents: one for each argument of ``forward``; None for one that does not move.
    """
    op, inputs = ctx.op, ctx.saved_tensors[-len(ctx.op.inputs) :]
    given = zip(inputs, tangents[2:], op.differentiable, strict=True)
    moving = [torch.zeros_like(x) if t is None else t for x, t, d in given if d]
    moved = pushed_forward(op, ctx.call.namespace(*inputs), inputs, moving, ctx.call.parameters)
    return moved if len(moved) > 1 else moved[0]


def handed_over(op: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what :meth:`multigrad.Backend.hand_over` asks for."""
    known = namespaces()
    call = Call(op, parameters, known)

    @torch.compiler.disable(reason=UNCOMPILED)
    def uncompiled(*inputs: Array) -> Any:
        refuse_nested_forward_mode(op)
        return Transformed.apply(call, op, *inputs)

    def handwritten(*inputs: Array) -> Any:
        # Function.apply asks the same question, in the same words.
        transformed = torch._C._are_functorch_transforms_active()
        if torch.compiler.is_compiling():
            if transformed:
                warn_of_uncompiled()
                return uncompiled(*inputs)
            return Recomputing.apply(call, op, *inputs)
        wanted_arrays(op, inputs, torch.Tensor, "torch.Tensor")
        if str(inputs[0].device) not in known:
            raise BadInput(f"{op.inputs[0]} is on {inputs[0].device}; wanted one of {', '.join(known)}")
        if transformed:
            refuse_nested_forward_mode(op)
        return (Transformed if transformed else Keeping).apply(call, op, *inputs)

    handwritten.__name__, handwritten.__doc__ = op.name, op.doc
    return handwritten


def refuse_nested_forward_mode(op: Operation) -> None:
    """Refuse forward mode over forward mode, in which torch takes the jvp of an autograd.Function for a constant.

    Raises:
        NotImplementedError: two transforms that are active are forward mode.
    """
    functorch = torch._C._functorch
    active = [one.key() for one in functorch.get_interpreter_stack() or ()]
    if active.count(functorch.TransformType.Jvp) > 1:
        raise NotImplementedError(
            f"{op.name}: forward mode over forward mode: torch would take the jvp of an autograd.Function for a "
            "constant and return 0; wanted torch.func.jacfwd(torch.func.jacrev(f)), which is torch.func.hessian"
        )


@torch.compiler.assume_constant_result
def warn_of_uncompiled() -> None:
    """Warn: so marked, Dynamo runs it while it traces, where all else is only looked at."""
    warnings.warn(UNCOMPILED, stacklevel=2)


@functools.cache
def namespaces() -> Mapping[str, Any]:
    """Return the namespace for each device, ahead of time: Dynamo cannot trace how one is made."""
    kind = torch.accelerator.current_accelerator()
    devices = [] if kind is None else [f"{kind.type}:{i}" for i in range(torch.accelerator.device_count())]
    return {device: array_namespace(device) for device in ("cpu", *devices)}

"""torch functions as graphs of ATen calls: traced for each shape, without computing, and freed of writes in place.

A function is traced twice: as it stands, for its calls and their places; and the graph of that, functional and
decomposed to calls that the table has.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo.config
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.fx import GraphModule, Interpreter, traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from multigrad.data.errors import BadInput
from multigrad.graph.arguments import Found, shown
from multigrad.graph.calls import Graph, Kind
from multigrad.graph.traced import Traced, Tracer, bracketed, is_persons, raised_in

from .aten.decompositions import decompositions
from .aten.rewritten import REWRITTEN
from .aten.table import TABLE
from .fx import STOPPED, Converter, writes_in_place

LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parent))

DTYPES: Mapping[Kind, torch.dtype] = {"real": torch.float64, "whole": torch.int64, "truth": torch.bool}
"""What inputs are traced in."""

VALUES_ASKED = (DataDependentOutputException, DynamicOutputShapeException)
"""What a tensor raises that has a shape and no values."""

ASKING = ("trying to get value out of a tracing tensor", ".numpy() is not supported", "Cannot access data pointer")
"""What torch says where it has no exception of its own for that."""


@dataclass(frozen=True)
class Structure:
    """How leaves make arguments."""

    spec: Any
    """Of the function and its arguments, with modules as leaves."""
    tensors: tuple[tuple[str, ...] | None, ...]
    """For each leaf of it that is a module, the names of the tensors that stand for it."""
    modules: tuple[nn.Module, ...] = field(repr=False, compare=False)


class Applied(nn.Module):
    """A function of modules as a module: what it calls has the parameters that this one is given."""

    def __init__(self, modules: Sequence[nn.Module], function: Callable[..., Any]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.function = function

    def forward(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.function(*arguments)


class TorchTracer(Tracer):
    """Traces functions of tensors, of pytrees of them and of modules, and modules."""

    framework = "torch"
    table = TABLE

    def flattened(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, list[Found]]:
        own = {"": function} if isinstance(function, nn.Module) else {}
        paths, spec = pytree.tree_flatten_with_path((own, arguments))
        found: list[Found] = []
        tensors: list[tuple[str, ...] | None] = []
        modules: list[nn.Module] = []
        for (side, *keys), value in paths:
            path = list(map(_key, keys)) if _key(side) else []
            if isinstance(value, nn.Module):
                parts = list(_tensors(value, path))
                tensors.append(tuple(name for name, _ in parts))
                modules.append(value)
                found += [part for _, part in parts]
            else:
                tensors.append(None)
                found.append(Found(path, value))
        return Structure(spec, tuple(tensors), tuple(modules)), found

    def kind(self, where: str, value: Any) -> Kind | None:
        if isinstance(value, float | complex) and not isinstance(value, np.generic):
            value = np.asarray(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
            value = torch.from_numpy(np.asarray(value, order="C").copy())
        if not isinstance(value, torch.Tensor):
            return None
        if nn.parameter.is_lazy(value):
            raise BadInput(f"{where} has no shape yet; call the module once before")
        if value.layout != torch.strided:
            raise BadInput(f"{where} has the layout {value.layout}; wanted a dense tensor: x.to_dense()")
        if value.is_complex():
            raise BadInput(f"{where} is complex; write real and imaginary part as two tensors")
        if value.is_floating_point():
            return "real"
        return "truth" if value.dtype == torch.bool else "whole"

    def numbers(self, value: Any) -> np.ndarray | None:
        if not isinstance(value, torch.Tensor):
            return np.asarray(value)
        if value.is_meta:
            return None
        array: np.ndarray = (value.double() if value.is_floating_point() else value).detach().cpu().numpy()
        return array

    def parameters(self, function: Callable[..., Any]) -> list[inspect.Parameter]:
        if isinstance(function, nn.Module):
            return shown(function.forward)
        owner = getattr(function, "__self__", None)
        if not (isinstance(owner, type) and issubclass(owner, torch.autograd.Function)):
            return shown(function)
        with_context = owner.setup_context is torch.autograd.Function.setup_context
        return shown(owner.forward)[with_context:]

    def graph(
        self, traced: Traced, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, str]]:
        def converted() -> tuple[Graph, Mapping[str, str]]:
            converter = Converter(traced.name)
            return converter.graph(_traced(traced, shapes, parameters)), converter.missing

        # A thread of its own has nothing of what its caller is in: no_grad, transforms of torch.func, other traces.
        with ThreadPoolExecutor(max_workers=1) as alone:
            return alone.submit(converted).result()


def _key(key: Any) -> Any:
    return getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))


def _tensors(module: nn.Module, path: Sequence[Any]) -> Iterator[tuple[str, Found]]:
    """Yield the parameters of a module, and its buffers, which are not differentiated; each by its own name."""
    for name, parameter in module.named_parameters():
        yield name, Found(_below(path, name), parameter, held=not parameter.requires_grad)
    for name, buffer in module.named_buffers():
        yield name, Found(_below(path, name), buffer, held=True)


def _below(path: Sequence[Any], name: str) -> Sequence[Any]:
    return [*path, *name.split(".")] if path else [name]


def _called(traced: Traced, tensors: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """Call a function with tensors in the place of its inputs."""
    structure: Structure = traced.structure
    rest, modules = iter(traced.filled(tensors)), iter(structure.modules)
    leaves: list[Any] = []
    swapped: dict[str, Any] = {}
    for names in structure.tensors:
        if names is None:
            leaves.append(next(rest))
            continue
        number = sum(isinstance(leaf, nn.Module) for leaf in leaves)
        swapped |= {f"parts.{number}.{name}": next(rest) for name in names}
        leaves.append(next(modules))
    _, arguments = pytree.tree_unflatten(leaves, structure.spec)

    def function(*given: Any) -> Any:
        return traced.function(*given, **parameters)

    if not structure.modules:
        return function(*arguments)
    return torch.func.functional_call(Applied(structure.modules, function), swapped, arguments)


class Watch(TorchFunctionMode):
    """Sees every call of a person's function: notes its place, makes it one of float64, and keeps no_grad in force."""

    def __init__(self, name: str, held: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.name = name
        self.recording = True
        self.still = {id(x): x for x in held}
        """By identity tensors that have no derivative: inputs that are held, constants, what was not recorded."""
        self.aliases: dict[int, torch.Tensor] = {}
        """By identity tensors that were detached from others, whose memory they share."""
        self.entered: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """By identity the tensors that are not of the graph and came to it, and what stands there for each."""
        self.copies: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """By identity integers and conditions that the function found, and the copies that it is given."""
        self.made: dict[int, torch.Tensor] = {}
        """Those copies, and what was computed of them."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch's."""
        if func is torch._C._set_grad_enabled:
            # The forward part of an autograd.Function is not recorded, whatever it says of that itself.
            self.recording = self.recording if _in_forward_part() else args[0]
            return func(*args)
        call = Constant(func, *pytree.tree_map(self._copied, (tuple(args), dict(kwargs or {}))))
        if call.holds(self.entered) and (result := call.result()) is not None:
            self.made |= {id(x): x for x in pytree.tree_leaves(result.value) if isinstance(x, torch.Tensor)}
            return result.value
        place = _place()
        traceback.set_stack_trace([place])
        func, given = INSTEAD.get(func, func), (call.args, call.kwargs)
        if func in INDEXED:
            given = pytree.tree_map(self._without_mask, given)
        args, named = pytree.tree_map(self._entered, given)
        if func in DETACHING:
            detached = _stopped(func(*args, **named), place)
            self.aliases[id(detached)] = detached
            return detached
        tensors = [x for x in pytree.tree_leaves((args, named)) if isinstance(x, torch.Tensor)]
        versions = [x._version for x in tensors]
        result = func(*args, **named)
        recorded = self.recording and not torch.is_inference_mode_enabled()
        for x, version in zip(tensors, versions, strict=True):
            hidden = not recorded and _is_real(x) and not self._is_still(x)
            if x._version != version and (hidden or {id(x), id(x._base)} & self.aliases.keys()):
                raise BadInput(
                    f"{self.name} writes into what has a derivative{bracketed(place)}, and autograd does not see it "
                    f"{'where a tensor is detached' if recorded else 'under no_grad'}; write into a copy"
                )
        return result if recorded else self._unrecorded(result, {id(x) for x in tensors}, place)

    def _unrecorded(self, result: Any, known: Collection[int], place: str) -> Any:
        """Return what a function made without being recorded as what no derivative goes through."""

        def stopped(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or id(value) in known or self._is_still(value):
                return value
            copy = _stopped(value, place)
            if value._base is None:
                self.still[id(copy)] = copy
            return copy

        return pytree.tree_map(stopped, result)

    def _is_still(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor, or that of which it is a part, has no derivative."""
        return id(tensor) in self.still or id(tensor._base) in self.still

    def _copied(self, value: Any) -> Any:
        """Return a copy of integers or conditions that the function found: what it writes is not seen outside."""
        found = isinstance(value, torch.Tensor) and _is_there(value) and not _is_real(value)
        if not found or id(value) in self.made:
            return value
        if id(value) not in self.copies:
            with _disable_current_modes():
                copy = value.detach().clone()
            self.copies[id(value)], self.made[id(copy)] = (value, copy), copy
        return self.copies[id(value)][1]

    def _entered(self, value: Any) -> Any:
        """Return what stands for a value in the graph: a tensor of float64, a copy of one that is there already."""
        if isinstance(value, torch.dtype) and value.is_floating_point:
            return torch.float64
        if not isinstance(value, torch.Tensor):
            return value
        narrow = value.is_floating_point() and value.dtype != torch.float64
        if not narrow and not _is_there(value):
            return value
        if id(value) not in self.entered:
            stand_in = value.to(torch.float64) if narrow else value.clone()
            self.entered[id(value)] = (value, stand_in)
            if _is_there(value):
                self.still[id(stand_in)] = stand_in
        return self.entered[id(value)][1]

    def _without_mask(self, value: Any) -> Any:
        """Return integers in the place of a mask whose conditions are known: they have a shape that is."""
        known = isinstance(value, torch.Tensor) and value.dtype == torch.bool and _is_there(value)
        if not known or id(value) in self.entered:
            return value
        with _disable_current_modes():
            return value.nonzero(as_tuple=True) if value.ndim != 1 else value.nonzero()[:, 0]


WIDE: Mapping[Any, Callable[..., Any]] = dict.fromkeys(
    (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16), torch.Tensor.double
)
"""Casts from one floating-point type to another change nothing."""

INSTEAD = {**WIDE, **REWRITTEN}

DETACHING = (torch.detach, torch.Tensor.detach, torch.Tensor.data.__get__)  # type: ignore[attr-defined]
INDEXED = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)


def _stopped(value: Any, place: str) -> Any:
    """Return a copy of a tensor that no derivative goes through."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    traceback.set_stack_trace([place, STOPPED])
    stopped = value.detach()
    traceback.set_stack_trace([place])
    return stopped.clone()


def _place() -> str:
    """Return the place in a person's code that is being executed; nothing where it is all of a library."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename != __file__:
        if is_persons(frame.f_code.co_filename, LIBRARIES):
            return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        assert frame.f_back is not None
        frame = frame.f_back
    return ""


def _in_forward_part() -> bool:
    """Tell whether the forward part of an ``autograd.Function`` is being executed."""
    apply = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]
    frame = sys._getframe(2)
    while frame.f_code.co_filename != __file__:
        if frame.f_code is apply:
            return True
        assert frame.f_back is not None
        frame = frame.f_back
    return False


def _is_there(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor was there before the trace, or has its values at least."""
    fake = isinstance(tensor, FakeTensor)
    return not fake and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


@dataclass(frozen=True)
class Result:
    """What a call of constants returned."""

    value: Any


@dataclass(frozen=True)
class Constant:
    """A call that may depend on no input.

    Integers and conditions that do not are computed as they come up, so that masks have a shape and conditions a value.
    Real numbers are traced: what they are depends on the dtype that is computed in.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def holds(self, entered: Mapping[int, Any]) -> bool:
        """Tell whether all it takes are integers and conditions that are there and have not entered the graph."""
        tensors = [x for x in pytree.tree_leaves((self.args, self.kwargs)) if isinstance(x, torch.Tensor)]
        if not tensors:
            return self.func in MAKING
        return all(_is_there(x) and not _is_real(x) and id(x) not in entered for x in tensors)

    def result(self) -> Result | None:
        """Compute it; None where it is real or random."""
        with _disable_current_modes(), contextlib.suppress(Drawn), Undrawn():
            value = self.func(*self.args, **self.kwargs)
            made = [x for x in pytree.tree_leaves(value) if isinstance(x, torch.Tensor)]
            return None if any(map(_is_real, made)) else Result(value)
        return None


class Drawn(Exception):
    """Random numbers are asked for."""


class Undrawn(TorchDispatchMode):
    """Lets no random number be drawn."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call what draws none."""
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise Drawn
        return func(*args, **(kwargs or {}))


MAKING = (
    *(torch.arange, torch.eye, torch.full, torch.ones, torch.zeros, torch.tensor),
    *(torch.tril_indices, torch.triu_indices),
)
"""Functions that make a tensor of nothing, and may make it of integers or conditions."""


def _is_real(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _traced(traced: Traced, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]) -> GraphModule:
    """Return the graph of a function, functional and decomposed."""

    def of_tensors(*tensors: torch.Tensor) -> Any:
        held = [x for x, leaf in zip(tensors, traced.inputs, strict=True) if leaf.held]
        with Watch(traced.name, held):
            returned = _called(traced, tensors, parameters)
        values = [value for value in pytree.tree_leaves(returned) if value is not None]
        for value in values:
            if not isinstance(value, torch.Tensor):
                raise BadInput(f"{traced.name} returns a {type(value).__name__}; wanted tensors of real numbers")
        return tuple(values)

    with FakeTensorMode(allow_non_fake_inputs=True):
        given = [
            torch.empty(shape, dtype=DTYPES[leaf.kind], device=_device(leaf.value))
            for shape, leaf in zip(shapes, traced.inputs, strict=True)
            if leaf.kind
        ]
    try:
        with _in_64_bits(), traceback.preserve_node_meta():
            module = make_fx(of_tensors, tracing_mode="fake")(*given)
            module = _functional(module, given, decompositions())
            return _functional(module, given, {}) if writes_in_place(module) else module
    except BadInput:
        raise
    except Exception as error:
        if isinstance(error, VALUES_ASKED) or any(text in str(error) for text in ASKING):
            where = raised_in(error, LIBRARIES)
            raise BadInput(
                f"{traced.name} asks for the value of an input{where}: what it computes, and its shape, must not "
                "depend on one; write torch.where"
            ) from error
        raise traced.untraceable(shapes, error, LIBRARIES) from error


class Lifting(Interpreter):
    """Runs a graph whose constants are tensors of the trace, as its inputs are: something may be written into them."""

    def get_attr(self, *named: Any) -> Any:
        """Return a constant as a tensor of the level that is traced."""
        return torch.ops.aten.lift_fresh(super().get_attr(*named))


def _functional(module: GraphModule, given: Sequence[torch.Tensor], table: Mapping[Any, Any]) -> GraphModule:
    run = torch.func.functionalize(Lifting(module).run)
    return make_fx(run, dict(table), tracing_mode="fake")(*given)


def _device(value: Any) -> torch.device:
    device = value.device if isinstance(value, torch.Tensor) else torch.device("cpu")
    return torch.device("cpu") if device.type == "meta" else device


@contextlib.contextmanager
def _in_64_bits() -> Iterator[None]:
    """Make new tensors of float64, and take no fused kernels, which have no derivative of their own."""
    before, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    log = logging.getLogger(FakeTensor.__module__)
    silent = log.disabled
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    log.disabled = True  # it tells of what is raised as well
    try:
        with sdpa_kernel(SDPBackend.MATH), torch._dynamo.config.patch(error_on_nested_fx_trace=False):
            yield
    finally:
        torch.set_default_dtype(before)
        torch.backends.mha.set_fastpath_enabled(fast)
        log.disabled = silent

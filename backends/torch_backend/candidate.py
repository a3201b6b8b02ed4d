"""Somebody's function of tensors, for :func:`multigrad.gradcheck`: torch's autograd calls the backward pass it has."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from multigrad.backend.candidate import (
    TWICE,
    Candidate,
    Computed,
    Evaluated,
    Given,
    checked_dtype,
    function_name,
    listed,
)
from multigrad.data.errors import BadInput
from multigrad.diagnosis.conduct import same_bits
from multigrad.ops.operation import Operation

from .gradient import gradient


class TorchCandidate(Candidate):
    """A function of tensors at given tensors. Those that require grad are differentiated."""

    wants = "a tensor or a tuple of them"

    def __init__(self, function: Callable[..., Any], inputs: Any) -> None:
        tensors = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, torch.Tensor):
                raise BadInput(
                    f"input {i} is a {type(tensor).__name__}; wanted tensors: close over the rest, "
                    "lambda x, w: f(x, w, stride=2)"
                )
            if tensor.layout != torch.strided:
                raise BadInput(f"input {i} has the layout {tensor.layout}; wanted a dense tensor: x.to_dense()")
            if tensor.is_floating_point() or tensor.is_complex():
                checked_dtype(f"input {i}", _dtype_name(tensor))
        if not any(tensor.requires_grad for tensor in tensors):
            raise BadInput("no input requires grad, so there is no gradient to check; write x.requires_grad_()")
        self.function, self.tensors, self.name = function, tensors, function_name(function)
        self.inputs = [Given(_wide(t), _dtype_name(t), t.requires_grad, str(t.device)) for t in tensors]

    def differentiated(self, cotangents: Sequence[np.ndarray]) -> TorchCandidate:
        """Return the double backward of the function; the cotangents are inputs that require grad."""
        values = self.evaluate().returned
        bars = [
            torch.tensor(np.asarray(c, order="C"), dtype=v.dtype, device=v.device).requires_grad_()
            for c, v in zip(cotangents, values, strict=True)
        ]
        candidate = TorchCandidate(gradient(self.function, [g.wanted for g in self.inputs]), (*self.tensors, *bars))
        candidate.name, candidate.backward = self.name, TWICE
        return candidate

    def evaluate(self, *, strided: bool = False) -> TorchEvaluated:
        """Call the function on copies of the tensors, strided as they are or as views of others."""
        copies = [(_view if strided else _copy)(t.detach()).requires_grad_(t.requires_grad) for t in self.tensors]
        return TorchEvaluated(self, copies, strided)

    def takes(self, function: Callable[..., Any]) -> bool:
        """Tell whether autograd follows it: NumPy refuses tensors that require grad."""
        with contextlib.suppress(Exception):
            return bool(TorchCandidate(function, self.tensors).evaluate().values)
        return False

    def traced(self, function: Callable[..., Any]) -> Operation:
        """Trace it; the parameters of a module are constants."""
        # They bring torch's decompositions, which not every check needs.
        from multigrad.graph.traced import traced_operation

        from .trace import TorchTracer

        tracer = TorchTracer()

        def plain(*tensors: torch.Tensor) -> Any:
            return function(*tensors)

        plain.__name__, plain.__doc__ = function_name(function), function.__doc__
        plain.__signature__ = inspect.Signature(tracer.parameters(function))  # type: ignore[attr-defined]
        called = plain if isinstance(function, torch.nn.Module) else function
        return traced_operation(tracer, called, example=tuple(t.detach() for t in self.tensors))


class TorchEvaluated(Evaluated):
    """One evaluation: the graph is kept, so that its backward pass can be run again."""

    def __init__(self, candidate: TorchCandidate, copies: Sequence[torch.Tensor], strided: bool) -> None:
        self._copies, self._strided, self._name = copies, strided, candidate.name
        self._before = [_host(c) for c in copies]
        with torch.enable_grad():
            returned = candidate.function(*copies)
        self.returned = listed(returned, lambda v: isinstance(v, torch.Tensor), candidate.wants, candidate.name)
        for i, value in enumerate(self.returned):
            if value.is_floating_point() or value.is_complex():
                checked_dtype(f"output {i} of {candidate.name}", _dtype_name(value))
        self.values = [_computed(v) for v in self.returned]
        self._given: list[tuple[torch.Tensor, np.ndarray]] = []

    def gradients(self, cotangents: Sequence[np.ndarray | None]) -> list[Computed]:
        """Call the backward pass; an input that the values do not depend on has a gradient of zeros."""
        leaves = [c for c in self._copies if c.requires_grad]
        pairs = [
            (v, self._cotangent(c, v))
            for v, c in zip(self.returned, cotangents, strict=True)
            if c is not None and v.requires_grad
        ]
        found: Sequence[torch.Tensor | None] = [None] * len(leaves)
        if pairs:
            outputs, bars = zip(*pairs, strict=True)
            try:
                found = torch.autograd.grad(outputs, leaves, bars, retain_graph=True, allow_unused=True)
            except NotImplementedError as error:
                raise BadInput(
                    f"{self._name} has no backward pass: {error}; write @staticmethod def backward(ctx, *cotangents)"
                ) from error
        self._given += [(g, _host(g)) for g in found if g is not None]
        return [_computed(torch.zeros_like(x) if g is None else g) for g, x in zip(found, leaves, strict=True)]

    def changed(self) -> Sequence[int]:
        """Compare the bits of the inputs with what they were."""
        return [
            i for i, (c, b) in enumerate(zip(self._copies, self._before, strict=True)) if not same_bits(_host(c), b)
        ]

    def cut_off(self) -> Sequence[int]:
        """Return the values whose graph ends before it comes to an input."""
        leaves = [c for c in self._copies if c.requires_grad]
        return [i for i, value in enumerate(self.returned) if not _reaches(value, leaves)]

    def overwritten(self) -> bool:
        """Whether gradients that were returned before have other bits now."""
        return not all(same_bits(_host(tensor), before) for tensor, before in self._given)

    def _cotangent(self, array: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        tensor = torch.tensor(np.asarray(array, order="C"), dtype=value.dtype, device=value.device)
        return _view(tensor) if self._strided else tensor


def _reaches(value: torch.Tensor, leaves: Sequence[torch.Tensor]) -> bool:
    """Tell whether the graph of a tensor comes to one of its inputs."""
    inputs, seen, open_ = set(map(id, leaves)), set(), [value.grad_fn]
    while open_:
        node = open_.pop()
        if node is None or node in seen:
            continue
        if id(getattr(node, "variable", None)) in inputs:
            return True
        seen.add(node)
        open_.extend(following for following, _ in node.next_functions)
    return False


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor with its strides; one whose entries share memory is laid out anew."""
    if tensor.is_contiguous() or 0 in tensor.stride():
        return tensor.clone(memory_format=torch.contiguous_format)
    try:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device).copy_(
            tensor
        )
    except RuntimeError:  # some entries share memory
        return tensor.clone(memory_format=torch.contiguous_format)


def _view(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor into a view: a matrix transposed, a vector as every other entry of another."""
    if tensor.ndim == 0:
        return tensor.clone()
    if tensor.ndim == 1:
        return tensor.repeat_interleave(2)[::2]
    return tensor.transpose(-1, -2).clone(memory_format=torch.contiguous_format).transpose(-1, -2)


def _host(tensor: torch.Tensor) -> np.ndarray:
    host = tensor.detach().cpu()
    host = host.float() if host.dtype == torch.bfloat16 else host
    copy: np.ndarray = host.contiguous().numpy(force=True).copy()
    return copy


def _wide(tensor: torch.Tensor) -> np.ndarray:
    return _host(tensor.double() if tensor.is_floating_point() else tensor)


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def _computed(tensor: torch.Tensor) -> Computed:
    return Computed(_host(tensor), _dtype_name(tensor), str(tensor.device))

"""A session of PyTorch on one device: autograd, torch.compile, settings."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from multigrad.backend import Array, Backend, Session, Unavailable, cpu_name, namespace, own_function
from multigrad.data.errors import one_line
from multigrad.extra.hooks import hooks_of
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision

from . import native
from .compiler import missing_compiler, probe_processor
from .namespace import array_namespace, scan

func: Any = torch.func
"""Its annotations say that every result has an auxiliary part."""


@dataclass(frozen=True)
class Autodiff:
    """``f(*inputs, *cotangents) -> (*values, *gradients)`` by torch.autograd.grad.

    Compiled, it is the forward part that goes through torch.compile, as in a training loop: AOTAutograd makes the
    backward graph of it.
    """

    forward: Callable[..., Any]
    wanted: tuple[bool, ...]

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """Return values and gradients."""
        count = len(self.wanted)
        inputs = [a.detach().requires_grad_() if w else a for a, w in zip(arrays[:count], self.wanted, strict=True)]
        values = self.forward(*inputs)
        leaves = [a for a, w in zip(inputs, self.wanted, strict=True) if w]
        pairs = [(v, c) for v, c in zip(values, arrays[count:], strict=True) if v.requires_grad]
        if pairs:
            outputs, cotangents = zip(*pairs, strict=True)
            gradients = torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True, materialize_grads=True)
        else:
            gradients = tuple(torch.zeros_like(a) for a in leaves)
        return (*(v.detach() for v in values), *gradients)

    def transformed(self, *arrays: Array) -> tuple[Array, ...]:
        """Do the same by torch.func, under whose transforms nothing else may stand."""
        count = len(self.wanted)
        of_wanted, chosen = _of_wanted(self.forward, self.wanted, arrays[:count])
        values, pullback = func.vjp(of_wanted, *chosen)
        return (*values, *pullback(tuple(arrays[count:])))


@dataclass(frozen=True)
class BothModes:
    """``f(*inputs, *cotangents, *tangents) -> (*gradients, *tangents)`` by reverse mode, then by forward mode.

    Forward mode is torch.autograd.forward_ad, which calls the ``jvp`` of an autograd.Function of either style.
    """

    forward: Callable[..., Any]
    wanted: tuple[bool, ...]

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """Return the gradients, and the tangents of the values."""
        count, differentiated = len(self.wanted), sum(self.wanted)
        inputs, tangents = arrays[:count], iter(arrays[len(arrays) - differentiated :])
        reverse = Autodiff(self.forward, self.wanted)
        gradients = reverse(*arrays[: len(arrays) - differentiated])[-differentiated:]
        with forward_ad.dual_level():
            moved = (
                forward_ad.make_dual(a, next(tangents)) if w else a for a, w in zip(inputs, self.wanted, strict=True)
            )
            pairs = [forward_ad.unpack_dual(v) for v in self.forward(*moved)]
        return (*gradients, *(torch.zeros_like(p.primal) if p.tangent is None else p.tangent for p in pairs))

    def transformed(self, *arrays: Array) -> tuple[Array, ...]:
        """Do the same by torch.func, under whose transforms nothing else may stand."""
        count, differentiated = len(self.wanted), sum(self.wanted)
        cotangents = arrays[count : len(arrays) - differentiated]
        of_wanted, chosen = _of_wanted(self.forward, self.wanted, arrays[:count])
        _, pullback = func.vjp(of_wanted, *chosen)
        _, moved = func.jvp(of_wanted, chosen, arrays[len(arrays) - differentiated :])
        return (*pullback(cotangents), *moved)


def _of_wanted(
    forward: Callable[..., Any], wanted: Sequence[bool], inputs: Sequence[Array]
) -> tuple[Callable[..., tuple[Array, ...]], tuple[Array, ...]]:
    """Return a forward part as a function of the differentiated inputs alone, and these."""

    def of_wanted(*chosen: Array) -> tuple[Array, ...]:
        rest = iter(chosen)
        return tuple(forward(*(next(rest) if w else a for a, w in zip(inputs, wanted, strict=True))))

    return of_wanted, tuple(a for a, w in zip(inputs, wanted, strict=True) if w)


class Compiled:
    """A function by torch.compile, for the shapes of its first call.

    What Dynamo cannot follow, such as a graph that JAX traced, is first recorded at the level of ATen.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *arrays: Array) -> Any:
        """Call what was compiled.

        Raises:
            TorchDynamoException: it can be neither followed nor recorded.
        """
        return self._first(*arrays) if self.compiled is None else self.compiled(*arrays)

    def _first(self, *arrays: Array) -> Any:
        self.compiled = torch.compile(self.function, dynamic=False, fullgraph=True)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
                return self.compiled(*arrays)
        except Exception as error:
            errors = torch._dynamo.exc
            if not isinstance(error, errors.Unsupported | errors.InternalTorchDynamoError):
                raise
        from torch.fx.experimental.proxy_tensor import make_fx  # a second, and seldom needed

        self.compiled = torch.compile(make_fx(self.function)(*arrays), dynamic=False, fullgraph=True)
        return self.compiled(*arrays)


class TorchSession(Session):
    """torch on one device."""

    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, backend: Backend, device: str) -> None:
        self.backend = backend
        self.device = device
        self.device_name = _device_name(device)
        # Apple's GPUs have no float64.
        self.dtypes = TorchSession.dtypes[1:] if device == "mps" else TorchSession.dtypes
        self._own: Any = None if device == "cpu" else torch.get_device_module(device)
        of_graph = None
        with contextlib.suppress(ImportError, AttributeError):  # a prototype: another version, another place
            of_graph = importlib.import_module("torch._higher_order_ops.scan").scan
        xp = array_namespace(device)
        self.xp = namespace(xp, replace(hooks_of(xp), scan=functools.partial(scan, of_graph)))
        self._compiled = False

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        wanted = None if dtype is None else getattr(torch, dtype)
        result = torch.tensor(np.asarray(array, order="C"), dtype=wanted, device=self.device)
        self.wait([result])
        return result

    def to_numpy(self, array: Any) -> np.ndarray:
        host = array.detach().cpu()
        if host.dtype == torch.bfloat16:
            host = host.float()
        copy: np.ndarray = host.numpy(force=True).copy()  # autograd has tensors of zeros without memory
        return copy

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype).rpartition(".")[2]

    def wait(self, arrays: Sequence[Array]) -> None:
        if self._own is not None:
            self._own.synchronize()

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, BothModes):
            raise Unavailable("torch.compile does not follow torch.autograd.forward_ad")
        if isinstance(function, Autodiff):
            return replace(function, forward=self._compile(function.forward, followed=True))
        return self._compile(function, followed=False)

    def _compile(self, function: Callable[..., Any], *, followed: bool) -> Callable[..., Any]:
        """Compile a function whose steps autograd follows, or does not."""
        if not self._compiled:
            if reason := missing_compiler(self.device):
                raise Unavailable(reason)
            probe_processor(self.device)
            self._compiled = True

        def own(*arrays: Array) -> Any:
            with torch.set_grad_enabled(followed):
                return function(*arrays)

        # Dynamo keeps what it compiled by code object and refuses the ninth function that shares one.
        own.__code__ = own.__code__.replace()
        return Compiled(own)

    def differentiate(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        return Autodiff(forward, tuple(wanted))

    def both_modes(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        return BothModes(forward, tuple(wanted))

    def batched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.func.vmap(getattr(function, "transformed", function))

    def native(self, name: str) -> Callable[..., Any] | None:
        return own_function(native, name)

    def checkers(self) -> dict[str, Callable[..., str]]:
        """Return torch's own gradient checkers: ``f(op, parameters, arrays)`` says why it rejects, or nothing."""
        return {
            "gradcheck": functools.partial(self._gradcheck, False),
            "gradcheck fast": functools.partial(self._gradcheck, True),
        }

    def _gradcheck(self, fast: bool, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
        xp = self.xp

        class Handwritten(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Array) -> Any:
                value, ctx.pullback = op(xp, *inputs, **parameters)
                return value

            @staticmethod
            def backward(ctx: Any, *cotangents: Array) -> Any:
                gradients = ctx.pullback(*cotangents)
                found = iter(gradients if isinstance(gradients, tuple) else (gradients,))
                return tuple(next(found) if d else None for d in op.differentiable)

        inputs = [self.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in arrays[: len(op.inputs)]]
        for tensor, differentiable in zip(inputs, op.differentiable, strict=True):
            tensor.requires_grad_(differentiable)
        torch.manual_seed(0)  # fast mode draws its directions
        try:
            torch.autograd.gradcheck(Handwritten.apply, inputs, fast_mode=fast)
        except Exception as error:  # noqa: BLE001 - it raises in many ways
            return one_line(error)
        return ""

    def reset_peak_memory(self) -> None:
        if hasattr(self._own, "reset_peak_memory_stats"):
            self._own.reset_peak_memory_stats()

    def peak_memory(self) -> int | None:
        # torch.mps knows what is allocated now, and keeps no peak.
        return int(self._own.max_memory_allocated()) if hasattr(self._own, "max_memory_allocated") else None

    def events(self, call: Callable[[], Any]) -> float | None:
        if self._own is None:
            return None
        start, end = (self._own.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e-3

    def release(self) -> None:
        if self._compiled:
            torch._dynamo.reset()
        if self._own is not None:
            self._own.empty_cache()

    def settings(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "blas": _blas(torch.__config__.show()),
        }
        if self.device == "cuda":
            matmul = torch.backends.cuda.matmul
            found |= {
                "cudnn_tf32": torch.backends.cudnn.allow_tf32,
                "float16_reduced_precision_sums": matmul.allow_fp16_reduced_precision_reduction,
                "bfloat16_reduced_precision_sums": matmul.allow_bf16_reduced_precision_reduction,
                "cuda": torch.version.cuda or f"ROCm {torch.version.hip}",
                "cudnn": torch.backends.cudnn.version(),
            }
        return found


def _device_name(device: str) -> str:
    """Return what the first device of a kind calls itself."""
    if device == "cpu":
        return cpu_name()
    if device == "mps":
        return str(torch.backends.mps.get_name())
    return str(torch.get_device_module(device).get_device_name(0))


def _blas(configuration: str) -> list[str]:
    """Return what the build says of its BLAS: the setting, and the line with the vendor's version if there is one."""
    vendor = re.search(r"- (.*Math Kernel Library Version \S+|OpenBLAS.*)", configuration)
    setting = re.search(r"BLAS_INFO=(\w+)", configuration)
    return [found[1] for found in (setting, vendor) if found]


def set_precision(precision: Precision) -> None:
    """Allow or forbid TensorFloat-32 and reduced-precision sums."""
    # The older of torch's two interfaces, alone: reading it after writing the newer one raises, and Inductor reads it
    # (torch 2.13 still does). The newer one is written along.
    torch.set_float32_matmul_precision("highest" if precision == "strict" else "high")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 announces that it will be withdrawn
        torch.backends.cudnn.allow_tf32 = precision != "strict"
    if precision == "strict":
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False

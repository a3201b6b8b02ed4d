"""PyTorch: eager and torch.compile, on the CPU and on CUDA, with torch.autograd."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import re
import shutil
import sysconfig
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Array,
    Backend,
    Gap,
    Inaccuracy,
    Refusal,
    Session,
    Unavailable,
    cpu_name,
    device_kind,
    mesh_shape,
    namespace,
    own_function,
)
from multigrad.data.errors import one_line
from multigrad.extra.blocks import run_in_blocks
from multigrad.extra.recurrence import loop
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision

if TYPE_CHECKING:
    import numpy as np

UNROLLS = "Where autograd follows, torch.compile sees every character: a minute for 16, more than ten for 256."
CANCELS = "GradBench's ‖x‖² + ‖c‖² − 2⟨x, c⟩ cancels where a point is near its centroid."
THROUGH_THE_LARGEST = (
    "The derivative by the largest number, 1 − Σ softmax(x), is 0 but for a rounding of 1, and is added."
)

NUMBER_FIRST = ("copysign", "equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
"""Functions in which torch takes a Python number in the second place only; the standard allows either."""

NUMBER_EITHER = ("atan2", "hypot", "logaddexp", "logical_and", "logical_or", "logical_xor", "nextafter")
"""Functions in which torch takes no Python number."""

CREATION = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")
"""Functions that make an array of nothing, and so would make it on the CPU."""


def array_namespace(torch: Any, device: str) -> Any:
    """Return array-api-compat's namespace with Python numbers made fit to be compiled.

    array-api-compat asks torch.result_type for the dtype of a number, which torch.compile cannot trace
    (``torch.* op returned non-Tensor``), and copies it from the host, for which a GPU has to wait.
    """
    base = importlib.import_module("array_api_compat.torch")

    def number(value: Any, other: Array) -> Array:
        return torch.full((), value, dtype=other.dtype, device=other.device)

    def with_numbers(function: Callable[..., Array], second: bool) -> Callable[..., Array]:
        def call(x1: Any, x2: Any, /) -> Array:
            if not isinstance(x1, torch.Tensor):
                x1 = number(x1, x2)
            elif second and not isinstance(x2, torch.Tensor):
                x2 = number(x2, x1)
            return function(x1, x2)

        return call

    def bounded(function: Callable[..., Array], bound: Callable[..., Array]) -> Callable[..., Array]:
        def call(x1: Any, x2: Any, /) -> Array:
            if not isinstance(x1, torch.Tensor):
                x1, x2 = x2, x1
            return function(x1, x2) if isinstance(x2, torch.Tensor) else bound(x1, x2)

        return call

    own: dict[str, Any] = {name: functools.partial(kind, torch) for name, kind in SYSTEMS.items()}
    own |= {name: with_numbers(getattr(base, name), second=False) for name in NUMBER_FIRST}
    own |= {name: with_numbers(getattr(base, name), second=True) for name in NUMBER_EITHER}
    # Against a number these are what a torch user writes, and one kernel instead of two.
    own["maximum"] = bounded(base.maximum, torch.clamp_min)
    own["minimum"] = bounded(base.minimum, torch.clamp_max)
    # array-api-compat looks up the places of NaN and writes to them one by one; this is one more pass.
    own["sign"] = lambda x: torch.where(torch.isnan(x), x, torch.sign(x))
    own["scatter_diagonal"] = torch.diag_embed
    own["scatter_along_axis"] = lambda X, order, *, axis: torch.empty_like(X).scatter_(axis, order, X)
    if device == "cpu":
        own["in_blocks"] = functools.partial(in_blocks, torch)
        # A GPU adds in an order of its own each time, and what is sorted first adds up as fast there.
        own["scatter_add"] = lambda X, t, v: X.new_zeros((v, *X.shape[1:])).index_add_(0, t, X)
    else:
        own |= {name: functools.partial(getattr(base, name), device=device) for name in CREATION}
    return namespace(base, **own)


def in_blocks(torch: Any, function: Callable[..., Any], arrays: Sequence[Array], **how: Any) -> Any:
    """Return what :func:`multigrad.extra.blocks.in_blocks` asks for; the whole at once where the steps are followed.

    A compiler makes one pass of them by itself, autograd would record every block, and what torch.func maps over a
    batch cannot be written into an array without one.
    """
    recorded = torch.is_grad_enabled() and any(a.requires_grad for a in arrays)
    if torch.compiler.is_compiling() or recorded or torch._C._are_functorch_transforms_active():
        return function(*arrays)
    threads = torch.get_num_threads()
    return run_in_blocks(lambda block, shape: block.new_empty(shape), function, arrays, threads=threads, **how)


UNROLLED = 32
"""So many steps of a recurrence torch.compile may see one by one. It takes six minutes for the 510 of a short lstm."""


def scan(
    torch: Any,
    of_graph: Callable[..., Any] | None,
    step: Callable[..., Any],
    carry: Any,
    xs: Any,
    *,
    reverse: bool = False,
) -> Any:
    """Return what :func:`multigrad.extra.recurrence.scan` asks for; compiled, a long one is a loop in the graph.

    Only where nobody follows the steps: the gradient that torch 2.13 takes of its own scan is wrong by percents where
    the step reads what it was not given.
    """
    count = (xs[0] if isinstance(xs, tuple) else xs).shape[0]
    followed = not torch.compiler.is_compiling() or torch.is_grad_enabled()
    if of_graph is None or followed or count <= UNROLLED:
        return loop(torch.stack, step, carry, xs, reverse=reverse)
    # Only to see whether it has an output: a compiler leaves out what nobody reads.
    silent = step(carry, tuple(x[0, ...] for x in xs) if isinstance(xs, tuple) else xs[0, ...])[1] is None

    def apart(arrays: Any) -> Any:
        # What a step of the graph returns may not be what it was given.
        return tuple(a.clone() for a in arrays) if isinstance(arrays, tuple) else arrays.clone()

    def combined(carry: Any, x: Any) -> Any:
        carry, y = step(carry, x)
        return apart(carry), torch.zeros(()) if silent else apart(y)

    carry, ys = of_graph(combined, carry, xs, reverse=reverse)
    return carry, None if silent else ys


class Eliminated:
    """The factors of :func:`multigrad.extra.elimination.eliminated`. A singular matrix does not raise."""

    def __init__(self, torch: Any, A: Array) -> None:
        self.torch = torch
        self.LU, self.pivots, _ = torch.linalg.lu_factor_ex(A)

    def solve(self, B: Array, *, transposed: bool = False, regular: Any = None) -> Array:
        """Solve with A or its transpose."""
        return self.torch.linalg.lu_solve(self.LU, self.pivots, B, adjoint=transposed)

    def log_abs_det(self) -> Array:
        """Add up the logarithms of the pivots."""
        return self.torch.sum(self.torch.log(self.torch.abs(self.torch.linalg.diagonal(self.LU))), dim=-1)

    def det(self) -> Array:
        """Multiply the pivots."""
        return self._signed(self.torch.linalg.diagonal(self.LU))

    def adjugate(self) -> Array:
        """Solve for the identity, with pivots that are not zero."""
        torch, LU = self.torch, self.LU
        n = LU.shape[-1]
        pivots = torch.linalg.diagonal(LU)
        size = torch.mean(torch.abs(LU), dim=(-2, -1))
        least = torch.finfo(LU.dtype).eps * torch.where(size == 0, 1.0, size)
        moved = torch.where(pivots == 0, least[..., None], 0.0)
        scale = self._signed(pivots + moved)[..., None, None]
        identity = torch.eye(n, dtype=LU.dtype, device=LU.device)
        return torch.linalg.lu_solve(LU + torch.diag_embed(moved), self.pivots, scale * identity)

    def _signed(self, pivots: Array) -> Array:
        places = self.torch.arange(1, pivots.shape[-1] + 1, dtype=self.pivots.dtype, device=pivots.device)
        exchanges = self.torch.sum(self.pivots != places, dim=-1)
        return self.torch.prod(pivots, dim=-1) * (1 - 2 * (exchanges % 2))


class Triangular:
    """Lower triangles; see :func:`multigrad.extra.elimination.triangular`."""

    def __init__(self, torch: Any, L: Array) -> None:
        self.torch, self.L = torch, L

    def solve(self, B: Array, *, transposed: bool = False) -> Array:
        """Solve with L or its transpose."""
        return self.torch.linalg.solve_triangular(self.L.mT if transposed else self.L, B, upper=transposed)

    def inverse(self) -> Array:
        """Solve for the identity."""
        return self.solve(self.torch.eye(self.L.shape[-1], dtype=self.L.dtype, device=self.L.device))


SYSTEMS: Mapping[str, Callable[..., Any]] = {"eliminated": Eliminated, "triangular": Triangular}
"""What the namespace has beyond the standard: see :mod:`multigrad.extra.elimination`."""


@dataclass(frozen=True)
class Autodiff:
    """``f(*inputs, *cotangents) -> (*values, *gradients)`` by torch.autograd.grad.

    Compiled, it is the forward part that goes through torch.compile, as in a training loop: AOTAutograd makes the
    backward graph of it.
    """

    torch: Any
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
            gradients = self.torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True, materialize_grads=True)
        else:
            gradients = tuple(self.torch.zeros_like(a) for a in leaves)
        return (*(v.detach() for v in values), *gradients)


class TorchSession(Session):
    """torch on one device."""

    dtypes = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, backend: Backend, torch: Any, device: str) -> None:
        self.backend = backend
        self.torch = torch
        self.device = device
        self.device_name = torch.cuda.get_device_name(0) if device == "cuda" else cpu_name()
        of_graph = None
        with contextlib.suppress(ImportError, AttributeError):  # a prototype: another version, another place
            of_graph = importlib.import_module("torch._higher_order_ops.scan").scan
        self.xp = namespace(array_namespace(torch, device), scan=functools.partial(scan, torch, of_graph))
        self._compiled = False

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        import numpy as np

        wanted = None if dtype is None else getattr(self.torch, dtype)
        result = self.torch.tensor(np.asarray(array, order="C"), dtype=wanted, device=self.device)
        self.wait([result])
        return result

    def to_numpy(self, array: Any) -> np.ndarray:
        host = array.detach().cpu()
        if host.dtype == self.torch.bfloat16:
            host = host.float()
        copy: np.ndarray = host.numpy().copy()
        return copy

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype).rpartition(".")[2]

    def wait(self, arrays: Sequence[Array]) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
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
            with self.torch.set_grad_enabled(followed):
                return function(*arrays)

        # Dynamo keeps what it compiled by code object and refuses the ninth function that shares one.
        own.__code__ = own.__code__.replace()
        compiled: Callable[..., Any] = self.torch.compile(own, dynamic=False, fullgraph=True)
        return compiled

    def differentiate(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        return Autodiff(self.torch, forward, tuple(wanted))

    def native(self, name: str) -> Callable[..., Any] | None:
        from . import native as native_torch

        return own_function(native_torch, name)

    def checkers(self) -> dict[str, Callable[..., str]]:
        """Return torch's own gradient checkers: ``f(op, parameters, arrays)`` says why it rejects, or nothing."""
        return {
            "gradcheck": functools.partial(self._gradcheck, False),
            "gradcheck fast": functools.partial(self._gradcheck, True),
        }

    def _gradcheck(self, fast: bool, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
        torch, xp = self.torch, self.xp

        class Handwritten(torch.autograd.Function):  # type: ignore[misc,name-defined]
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
        if self.device == "cuda":
            self.torch.cuda.reset_peak_memory_stats()

    def peak_memory(self) -> int | None:
        return int(self.torch.cuda.max_memory_allocated()) if self.device == "cuda" else None

    def events(self, call: Callable[[], Any]) -> float | None:
        if self.device != "cuda":
            return None
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e-3

    def release(self) -> None:
        if self._compiled:
            self.torch._dynamo.reset()
        if self.device == "cuda":
            self.torch.cuda.empty_cache()

    def settings(self) -> Mapping[str, Any]:
        torch = self.torch
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
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
            }
        return found


def _blas(configuration: str) -> list[str]:
    """Return what the build says of its BLAS: the setting, and the line with the vendor's version if there is one."""
    vendor = re.search(r"- (.*Math Kernel Library Version \S+|OpenBLAS.*)", configuration)
    setting = re.search(r"BLAS_INFO=(\w+)", configuration)
    return [found[1] for found in (setting, vendor) if found]


def missing_compiler(device: str) -> str | None:
    """Return why torch.compile cannot work on this machine, or None."""
    if device == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "torch.compile needs triton on CUDA (pip install triton)"
        compilers = [os.environ.get("CC"), "gcc", "clang", "cc"]
    else:
        compilers = [os.environ.get("CXX", "g++")]
    if not any(shutil.which(c) for c in compilers if c):
        return f"torch.compile needs a compiler and found no {compilers[-1]} (apt install g++, or set CXX and CC)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "torch.compile needs Python.h (apt install python3-dev, or a Python that brings it)"
    return None


def probe_processor(device: str) -> None:
    """Let Inductor find out which vector instructions there are, which takes it some 8 s, before anything is timed.

    It does so once in a process, by compiling ten small programs; without caches the first cell would pay for it.
    """
    if device == "cpu":
        with contextlib.suppress(
            ImportError, AttributeError
        ):  # Inductor's own business: another version, another place
            importlib.import_module("torch._inductor.cpu_vec_isa").pick_vec_isa()


def set_precision(torch: Any, precision: Precision) -> None:
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


class TorchBackend(Backend):
    """PyTorch, with the array namespace of array-api-compat."""

    name = "torch"
    module = "torch"
    distributions = ("torch",)
    install = "pip install torch"
    devices = ("cpu", "cuda")
    modes = ("eager", "compiled")
    variants = ("forward", "analytic", "autodiff", "native")
    gaps = tuple(
        Gap("lstm", "*", "notyet", "TimeoutError", UNROLLS, mode="compiled", variant=variant)
        for variant in ("autodiff", "native")
    )
    refusals = (
        Refusal("RuntimeError", r"not implemented for '\w+'", "torch lacks the function in this dtype."),
        Refusal("RuntimeError", "Low precision dtypes not supported", "torch's linear algebra lacks the dtype."),
        Refusal(
            "RuntimeError",
            "in-place operation|an inplace operation",
            "torch.autograd cannot follow what is written in place.",
        ),
        Refusal(
            "RuntimeError", "derivative for .* is not implemented", "torch.autograd has no derivative of the function."
        ),
        Refusal("TorchDynamoException", "", "torch.compile cannot follow the function."),
        Refusal("InductorError", "", "torch.compile cannot compile the function."),
    )
    inaccuracies = (
        Inaccuracy("kmeans", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("kmeans_direction", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("lse", "autodiff", "medium", 1e4, THROUGH_THE_LARGEST),
    )

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        torch = self.load()
        if device == "cuda" and not torch.cuda.is_available():
            raise Unavailable(f"torch {torch.__version__} finds no CUDA device (built for CUDA {torch.version.cuda})")
        if threads is not None:
            torch.set_num_threads(threads)
        set_precision(torch, precision)
        return TorchSession(self, torch, device)

    def hand_over(self, operation: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        self.load()
        from .handover import handed_over

        return handed_over(operation, parameters)

    def missing(self, device: str) -> str | None:
        reason = super().missing(device)
        if device_kind(device) in self.devices and mesh_shape(device):
            return "torch has no mesh of devices in one process: DTensor wants a process for each, all of one program"
        if reason is None and device == "cuda" and (self.version() or "").endswith("+cpu"):
            return f"torch {self.version()} is built without CUDA ({self.install})"
        return reason

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: bool = True
    ) -> dict[str, str]:
        variables = super().environment(device, threads, precision, caches=caches)
        variables["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # else a pool of processes lives on beside what is measured
        if not caches:
            variables["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
        return variables


BACKEND = TorchBackend()

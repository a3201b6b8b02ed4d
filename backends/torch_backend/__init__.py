"""PyTorch: eager and torch.compile, on the CPU, on CUDA and on what else torch has, with torch.autograd.

What imports torch is imported when the backend is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from multigrad.backend import Backend, Gap, Inaccuracy, Refusal, Session, Unavailable, device_kind, mesh_shape
from multigrad.backend.candidate import Candidate
from multigrad.backend.traced import Description
from multigrad.ops.derived import Gradient
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Mode, Precision

from .build import amd_device_count, has_library, missing_kind

UNROLLS = "Where autograd follows, torch.compile sees every character: a minute for 16, more than ten for 256."
CANCELS = "GradBench's ‖x‖² + ‖c‖² − 2⟨x, c⟩ cancels where a point is near its centroid."
THROUGH_THE_LARGEST = (
    "The derivative by the largest number, 1 − Σ softmax(x), is 0 but for a rounding of 1, and is added."
)
EXP_MINUS_ONE = "On a CPU torch.compile (2.13) makes expm1(x) exp(x) − 1, which is 0 for x = -1e-30."


class TorchBackend(Backend):
    """PyTorch, with the array namespace of array-api-compat."""

    name = "torch"
    module = "torch"
    distributions = ("torch",)
    install = "pip install torch"
    devices = ("cpu", "cuda", "mps", "xpu")
    rare = ("mps", "xpu")
    modes = ("eager", "compiled")
    variants = ("forward", "analytic", "autodiff", "native")
    maps = True
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
        Refusal(
            "NotImplementedError", "jvp function for custom autograd.Function", "the autograd.Function has no jvp."
        ),
        Refusal("Exception", "CUDA enabled|NVIDIA driver|no CUDA GPUs", "the code wants a GPU that is not here."),
        Refusal(
            "RuntimeError",
            "0 active drivers",
            "Triton finds no GPU here; TRITON_INTERPRET=1 in the environment runs its kernels on the CPU.",
        ),
        Refusal("TorchDynamoException", "", "torch.compile cannot follow the function."),
        Refusal("InductorError", "", "torch.compile cannot compile the function."),
    )
    breakdowns = (Refusal("_LinAlgError", "", "torch's factorisation breaks down where a number is not finite."),)
    inaccuracies = (
        Inaccuracy("kmeans", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("kmeans_direction", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("lse", "autodiff", "medium", 1e4, THROUGH_THE_LARGEST),
        Inaccuracy("elu", "analytic", "tiny", 1e16, EXP_MINUS_ONE, "tiny", "compiled"),
        Inaccuracy("elu", "analytic", "tiny", 1e4, EXP_MINUS_ONE, "wide", "compiled"),
    )

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        torch = self.load()
        if device == "cuda" and not torch.cuda.is_available():
            raise Unavailable(f"torch {torch.__version__} finds no CUDA device (built for CUDA {torch.version.cuda})")
        if device != "cpu" and getattr(torch.accelerator.current_accelerator(), "type", None) != device:
            raise Unavailable(f"torch {torch.__version__} finds no {device.upper()} device")
        if threads is not None:
            torch.set_num_threads(threads)
        from .session import TorchSession, set_precision

        set_precision(precision)
        return TorchSession(self, device)

    def hand_over(self, operation: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        self.load()
        from .handover import handed_over

        return handed_over(operation, parameters)

    def gradient(self, function: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        self.load()
        from .gradient import gradient

        return gradient(function, wanted)

    def candidate(self, function: Callable[..., Any], inputs: Any) -> Candidate:
        self.load()
        from .candidate import TorchCandidate

        return TorchCandidate(function, inputs)

    def traced(
        self, function: Callable[..., Any], signature: str | None = None, **described: Unpack[Description]
    ) -> Operation:
        self.load()
        from multigrad.graph.traced import traced_operation

        from .trace import TorchTracer

        return traced_operation(TorchTracer(), function, signature, **described)

    def missing(self, device: str) -> str | None:
        reason = super().missing(device)
        if device_kind(device) in self.devices and mesh_shape(device):
            return "torch has no mesh of devices in one process: DTensor wants a process for each, all of one program"
        if reason is None and device == "cuda" and (self.version() or "").endswith("+cpu"):
            return f"torch {self.version()} is built without CUDA ({self.install})"
        return reason or missing_kind(device, self.version())

    def cuda_devices(self) -> int:
        # A build for ROCm calls AMD's GPUs cuda, as its users do.
        return amd_device_count() if has_library("hip") else super().cuda_devices()

    def modes_of(self, operation: Operation) -> tuple[Mode, ...]:
        # AOTAutograd makes a backward graph that cannot be differentiated, and Dynamo follows no autograd.grad.
        return ("eager",) if isinstance(operation, Gradient) else self.modes

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: Path | None = None
    ) -> dict[str, str]:
        variables = super().environment(device, threads, precision, caches=caches)
        variables["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # else a pool of processes lives on beside what is measured
        if caches is not None:
            variables["TORCHINDUCTOR_CACHE_DIR"] = str(caches / "inductor")
            variables["TRITON_CACHE_DIR"] = str(caches / "triton")
            if device_kind(device) == "cuda":  # kernels that torch compiles as it needs them, in a folder that exists
                variables["PYTORCH_KERNEL_CACHE_PATH"] = str(caches)
        return variables


BACKEND = TorchBackend()

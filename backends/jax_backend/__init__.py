"""JAX: eager and jax.jit, on the CPU, on CUDA and on meshes of such devices, with jax.vjp.

What imports jax is imported when the backend is opened.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Unpack

from multigrad.backend import Backend, Inaccuracy, Refusal, Session, Unavailable, device_kind, mesh_shape
from multigrad.backend.candidate import Candidate
from multigrad.backend.traced import Description
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision

CANCELS = "GradBench's ‖x‖² + ‖c‖² − 2⟨x, c⟩ cancels where a point is near its centroid."
THROUGH_THE_LARGEST = (
    "The derivative by the largest number, 1 − Σ softmax(x), is 0 but for a rounding of 1, and is added."
)
EYE_MINUS_EYE = (
    "In JAX's derivative of eigh the factor of an eigenvector's own direction is 1/((1 + λ) − λ) − 1, which is 0 but "
    "for a rounding of λ."
)

CUDA_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")


class JaxBackend(Backend):
    """JAX, whose own jax.numpy follows the standard."""

    name = "jax"
    module = "jax"
    distributions = ("jax",)
    install = "pip install jax"
    devices = ("cpu", "cuda")
    meshes = True
    modes = ("eager", "compiled")
    variants = ("forward", "analytic", "autodiff", "native")
    maps = True
    refusals = (
        Refusal("TypeError", "immutable|does not support item assignment", "JAX's arrays cannot be written into."),
        Refusal("Exception", r"Unsupported dtype \w+", "JAX's linear algebra lacks the dtype."),
        Refusal("ConcretizationTypeError", "", "jax.jit cannot follow what asks for a value."),
        Refusal("JAXTypeError", "", "jax.jit cannot follow what asks for a value."),
        Refusal("JAXIndexError", "", "jax.jit cannot follow a shape that depends on values."),
        Refusal("TypeError", r"can't apply forward-mode autodiff \(jvp\)", "a jax.custom_vjp has no forward mode."),
        Refusal("ValueError", "[Oo]nly interpret mode", "Pallas finds no GPU here; interpret=True runs it on the CPU."),
        Refusal("ValueError", "Reverse-mode differentiation does not work", "JAX's autodiff cannot follow the loop."),
    )
    inaccuracies = (
        Inaccuracy("kmeans", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("kmeans_direction", "native", "k1000", 1e4, CANCELS),
        Inaccuracy("lse", "autodiff", "medium", 1e4, THROUGH_THE_LARGEST),
        *(
            Inaccuracy("spectral_projector", variant, {"b": 200, "n": 4, "k": 2}, 1e3, EYE_MINUS_EYE, "integers")
            for variant in ("autodiff", "native")
        ),
    )

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        # XLA reads them when its client starts, which is below; a process started with them has them already.
        os.environ.update(self.environment(device, threads, precision))
        jax = self.load()
        jax.config.update("jax_platforms", _platforms(device))
        if count := _host_devices(device):
            with contextlib.suppress(RuntimeError):  # it has begun: the session sees how many devices there are
                jax.config.update("jax_num_cpu_devices", count)
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest" if precision == "strict" else "tensorfloat32")
        from .session import JaxSession

        try:
            return JaxSession(self, device)
        except RuntimeError as error:
            raise Unavailable(
                f"jax {jax.__version__} finds no {device} device: {str(error).splitlines()[0]}"
            ) from error

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
        from .candidate import JaxCandidate

        return JaxCandidate(function, inputs)

    def traced(
        self, function: Callable[..., Any], signature: str | None = None, **described: Unpack[Description]
    ) -> Operation:
        self.load()
        from multigrad.graph.traced import traced_operation

        from .trace import JaxTracer

        return traced_operation(JaxTracer(), function, signature, **described)

    def missing(self, device: str) -> str | None:
        reason = super().missing(device)
        if reason is None and device_kind(device) == "cuda" and not any(map(importlib.util.find_spec, CUDA_PLUGINS)):
            return "jax is installed without CUDA (pip install 'jax[cuda13]')"
        return reason

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: Path | None = None
    ) -> dict[str, str]:
        variables = super().environment(device, threads, precision, caches=caches)
        variables["JAX_ENABLE_X64"] = "1"
        variables["JAX_PLATFORMS"] = _platforms(device)
        if count := _host_devices(device):
            variables["JAX_NUM_CPU_DEVICES"] = str(count)
            # XLA has a thread for each device, and all of them wait in a collective: one that does something else, on a
            # busy machine, is waited for in vain, and after 40 seconds XLA ends the process.
            variables["PJRT_NPROC"] = str(4 * count)
        variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        if caches is not None:
            variables["JAX_COMPILATION_CACHE_DIR"] = str(caches / "jax")
        return variables


def _platforms(device: str) -> str:
    return "cpu" if device_kind(device) == "cpu" else "cuda,cpu"


def _host_devices(device: str) -> int | None:
    """Return into how many devices a mesh divides the host's processors; None where it is one, as always."""
    return prod(mesh_shape(device)) if device_kind(device) == "cpu" and mesh_shape(device) else None


BACKEND = JaxBackend()

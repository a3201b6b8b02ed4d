"""JAX: eager and jax.jit, on the CPU, on CUDA and on meshes of such devices, with jax.vjp."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Array,
    Backend,
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
from multigrad.backend.placement import split_axes, split_symbols, undivided
from multigrad.data.errors import one_line
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision

if TYPE_CHECKING:
    import numpy as np

CANCELS = "GradBench's ‖x‖² + ‖c‖² − 2⟨x, c⟩ cancels where a point is near its centroid."
THROUGH_THE_LARGEST = (
    "The derivative by the largest number, 1 − Σ softmax(x), is 0 but for a rounding of 1, and is added."
)
EYE_MINUS_EYE = (
    "In JAX's derivative of eigh the factor of an eigenvector's own direction is 1/((1 + λ) − λ) − 1, which is 0 but "
    "for a rounding of λ."
)

CUDA_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")

CREATION = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")
"""What makes an array on a device of one's choice."""

COLLECTIVE = re.compile(
    r" ((?:ragged-)?all-(?:gather|reduce|to-all)|reduce-scatter|collective-(?:broadcast|permute))(?:-start)?\("
)
"""A collective operation in the text of a compiled program. One that is begun and awaited has one beginning."""


class Eliminated:
    """The factors of :func:`multigrad.extra.elimination.eliminated`. A singular matrix does not raise."""

    def __init__(self, A: Array) -> None:
        self.linalg, self.numpy = (importlib.import_module(name) for name in ("jax.scipy.linalg", "jax.numpy"))
        self.factors = self.linalg.lu_factor(A)

    def solve(self, B: Array, *, transposed: bool = False, regular: Any = None) -> Array:
        """Solve with A or its transpose."""
        return self.linalg.lu_solve(self.factors, B, trans=int(transposed))

    def log_abs_det(self) -> Array:
        """Add up the logarithms of the pivots."""
        numpy = self.numpy
        return numpy.sum(numpy.log(numpy.abs(numpy.linalg.diagonal(self.factors[0]))), axis=-1)

    def det(self) -> Array:
        """Multiply the pivots."""
        return self._signed(self.numpy.linalg.diagonal(self.factors[0]))

    def adjugate(self) -> Array:
        """Solve for the identity, with pivots that are not zero."""
        numpy, (LU, exchanges) = self.numpy, self.factors
        pivots = numpy.linalg.diagonal(LU)
        size = numpy.mean(numpy.abs(LU), axis=(-2, -1))
        least = numpy.finfo(LU.dtype).eps * numpy.where(size == 0, 1, size)
        moved = numpy.where(pivots == 0, least[..., None], 0)
        identity = numpy.eye(LU.shape[-1], dtype=LU.dtype)
        right = self._signed(pivots + moved)[..., None, None] * identity
        return self.linalg.lu_solve((LU + moved[..., None] * identity, exchanges), right)

    def _signed(self, pivots: Array) -> Array:
        exchanges = self.numpy.sum(self.factors[1] != self.numpy.arange(pivots.shape[-1]), axis=-1)
        return self.numpy.prod(pivots, axis=-1) * (1 - 2 * (exchanges % 2))


class Triangular:
    """Lower triangles; see :func:`multigrad.extra.elimination.triangular`."""

    def __init__(self, L: Array) -> None:
        self.linalg, self.numpy = (importlib.import_module(name) for name in ("jax.scipy.linalg", "jax.numpy"))
        self.L = L

    def solve(self, B: Array, *, transposed: bool = False) -> Array:
        """Solve with L or its transpose."""
        return self.linalg.solve_triangular(self.L, B, trans=int(transposed), lower=True)

    def inverse(self) -> Array:
        """Solve for the identity."""
        return self.solve(self.numpy.broadcast_to(self.numpy.eye(self.L.shape[-1], dtype=self.L.dtype), self.L.shape))


def array_namespace(jax: Any, device: str) -> Any:
    """Return jax.numpy with what recurrences, eliminations and scatters ask for; ``device`` is as JAX calls it."""
    numpy = importlib.import_module("jax.numpy")
    place_tracers(jax)
    own = _scatters(numpy, device)
    if device == "cpu":
        own["linalg"] = namespace(numpy.linalg, qr=one_by_one(jax, numpy.linalg.qr))
    return namespace(numpy, scan=jax.lax.scan, eliminated=Eliminated, triangular=Triangular, **own)


def one_by_one(jax: Any, qr: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decomposition that takes the matrices of a batch one after the other, which takes it no longer.

    In jaxlib 0.10.2 one of a whole batch holds a thread of XLA's pool while it waits for its parts, which need a thread
    too: where two threads wait so at once, one in the making of Q and one in a solution with R, they wait for ever.
    """

    @functools.wraps(qr)
    def decomposed(A: Array) -> Any:
        if A.ndim == 2:
            return qr(A)
        factors = jax.lax.map(qr, A.reshape((prod(A.shape[:-2]), *A.shape[-2:])))
        return type(factors)(*(factor.reshape((*A.shape[:-2], *factor.shape[-2:])) for factor in factors))

    return decomposed


def place_tracers(jax: Any) -> None:
    """Let what is traced be on the default device, None, where to ask for its device raises.

    That is so in jax 0.10.2 (jax-ml/jax issue 26000, open): the standard's ``zeros(n, device=x.device)`` cannot be
    compiled. array-api-compat has the same answer, for those who ask it instead of the array. The class is found by
    tracing, so that nothing is touched once JAX answers itself, and no name of its interior has to last.
    """

    def told(x: Any) -> Any:
        if not hasattr(x, "device"):
            tracer: Any = next(c for c in type(x).__mro__ if c.__name__ == "Tracer")
            tracer.device = property(lambda traced: None)
        return x

    jax.eval_shape(told, jax.ShapeDtypeStruct((), "float32"))


def made_whole(jax: Any, mesh: Any, create: Callable[..., Array]) -> Callable[..., Array]:
    """Let what is made where a split array lies be whole on every device: its shape is another."""
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def made(*arguments: Any, device: Any = None, **how: Any) -> Array:
        return create(*arguments, device=None if device is None else whole, **how)

    return made


class JaxSession(Session):
    """JAX on one device, or on a mesh of them."""

    dtypes = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, backend: Backend, jax: Any, device: str) -> None:
        numpy = importlib.import_module("jax.numpy")
        self.backend = backend
        self.jax = jax
        self.numpy = numpy
        self.device = device
        self.kind, shape = device_kind(device), mesh_shape(device)
        self.devices = jax.devices(self.kind)[: prod(shape)]
        if len(self.devices) < prod(shape):
            raise Unavailable(f"{device} wants {prod(shape)} devices, and JAX has {len(self.devices)} in this process")
        self.mesh = self._mesh(shape) if shape else None
        self.device_name = self.devices[0].device_kind if self.kind == "cuda" else cpu_name()
        self.xp = array_namespace(jax, self.kind)
        if self.mesh is not None:
            own = {name: made_whole(jax, self.mesh, getattr(numpy, name)) for name in CREATION}
            self.xp = namespace(self.xp, **own)
        self._mark = 0

    def _mesh(self, shape: tuple[int, ...]) -> Any:
        import numpy as np

        sharding = self.jax.sharding
        names = tuple(f"axis{i}" for i in range(len(shape)))
        # XLA finds out how results are split; explicit axes would ask the operation to say it.
        types = (sharding.AxisType.Auto,) * len(shape)
        return sharding.Mesh(np.array(self.devices).reshape(shape), names, axis_types=types)

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        return self._put(array, dtype, ())

    def _put(self, array: np.ndarray, dtype: str | None, split: Sequence[str | None]) -> Any:
        """Copy an array to the device; to a mesh, with the axis of the mesh along which each of its own is split."""
        import numpy as np

        jax, wanted = self.jax, None if dtype is None else self.numpy.dtype(dtype)
        where = self.devices[0]
        if self.mesh is not None:
            where = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*split))
        # A copy of our own, which XLA may then use where it lies.
        return jax.block_until_ready(jax.device_put(np.array(array, dtype=wanted, order="C"), where))

    def place(self, operation: Operation, arrays: Sequence[np.ndarray], dtype: str) -> list[Array]:
        if self.mesh is None:
            return super().place(operation, arrays, dtype)
        shapes, counts = [a.shape for a in arrays], self.mesh.devices.shape
        inputs = shapes[: len(operation.inputs)]
        symbols = () if undivided(operation, inputs, counts) else split_symbols(operation, inputs, len(counts))
        axes = [split_axes(operation, shapes, symbol) for symbol in symbols]
        placed = []
        for i, array in enumerate(arrays):
            split: list[str | None] = [None] * array.ndim
            for name, of_arrays in zip(self.mesh.axis_names, axes, strict=False):
                if (axis := of_arrays[i]) is not None:
                    split[axis] = name
            placed.append(self._put(array, dtype if array.dtype.kind == "f" else None, split))
        return placed

    def to_numpy(self, array: Any) -> np.ndarray:
        import numpy as np

        host = np.asarray(array)
        return host.astype(np.float32) if host.dtype == self.numpy.bfloat16 else host.copy()

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def wait(self, arrays: Sequence[Array]) -> None:
        self.jax.block_until_ready(arrays)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = self.jax.jit(function)
        return compiled

    def compile_stages(
        self, function: Callable[..., Any], *arrays: Array
    ) -> tuple[Callable[..., Any], dict[str, float]] | None:
        clock = [time.perf_counter()]
        jitted = self.jax.jit(function)
        traced = jitted.trace(*arrays)
        clock.append(time.perf_counter())
        lowered = traced.lower()
        clock.append(time.perf_counter())
        lowered.compile()
        clock.append(time.perf_counter())
        names = ("trace_s", "lower_s", "compile_s")
        # The compiled object is called through Python. The jitted function is called through C++ and finds it.
        return jitted, {name: b - a for name, a, b in zip(names, clock, clock[1:], strict=False)}

    def collectives(self, function: Callable[..., Any], *arrays: Array) -> str:
        if self.mesh is None:
            return ""
        compiled: Any = function
        counts = Counter(COLLECTIVE.findall(compiled.lower(*arrays).compile().as_text()))
        return ", ".join(f"{name} {counts[name]}" for name in sorted(counts)) or "none"

    def differentiate(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        jax, wanted = self.jax, tuple(wanted)
        count = len(wanted)

        def differentiated(*arrays: Array) -> tuple[Array, ...]:
            inputs = arrays[:count]

            def of_wanted(*chosen: Array) -> tuple[Array, ...]:
                rest = iter(chosen)
                return tuple(forward(*(next(rest) if w else a for a, w in zip(inputs, wanted, strict=True))))

            values, pullback = jax.vjp(of_wanted, *(a for a, w in zip(inputs, wanted, strict=True) if w))
            return (*values, *pullback(tuple(arrays[count:])))

        return differentiated

    def native(self, name: str) -> Callable[..., Any] | None:
        from . import native as native_jax

        return own_function(native_jax, name)

    def checkers(self) -> dict[str, Callable[..., str]]:
        """Return JAX's own gradient checker: ``f(op, parameters, arrays)`` says why it rejects, or nothing."""
        return {"check_grads": self._check_grads}

    def _check_grads(self, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
        jax, xp = self.jax, self.xp
        given = [self.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in arrays[: len(op.inputs)]]
        wanted = op.differentiable

        def joined(chosen: Sequence[Array]) -> list[Array]:
            rest = iter(chosen)
            return [next(rest) if w else a for a, w in zip(given, wanted, strict=True)]

        @jax.custom_vjp  # type: ignore[untyped-decorator]
        def handwritten(*chosen: Array) -> Any:
            return op(xp, *joined(chosen), **parameters)[0]

        def forward(*chosen: Array) -> tuple[Any, Any]:
            return handwritten(*chosen), chosen

        def backward(chosen: Any, cotangent: Any) -> tuple[Array, ...]:
            _, pullback = op(xp, *joined(chosen), **parameters)
            gradients = pullback(*(cotangent if isinstance(cotangent, tuple) else (cotangent,)))
            return gradients if isinstance(gradients, tuple) else (gradients,)

        handwritten.defvjp(forward, backward)
        check_grads = importlib.import_module("jax.test_util").check_grads
        try:
            check_grads(handwritten, [a for a, w in zip(given, wanted, strict=True) if w], 1, modes=["rev"])
        except Exception as error:  # noqa: BLE001 - it raises in many ways
            return one_line(error)
        return ""

    def reset_peak_memory(self) -> None:
        self._mark = self._peak() or 0

    def peak_memory(self) -> int | None:
        # JAX cannot reset its mark: where it has not moved, all that is known is that the peak was no higher.
        peak = self._peak()
        return peak if peak is not None and peak > self._mark else None

    def _peak(self) -> int | None:
        if self.kind != "cuda":
            return None
        told = [on.memory_stats() or {} for on in self.devices]
        name = "peak_bytes_in_use"
        return sum(one[name] for one in told) if all(name in one for one in told) else None

    def release(self) -> None:
        self.jax.clear_caches()

    def settings(self) -> Mapping[str, Any]:
        return {
            "threads": _xla_threads(),
            "matmul_precision": self.jax.config.jax_default_matmul_precision,
            "x64": self.jax.config.jax_enable_x64,
            "platform_version": self.devices[0].client.platform_version.splitlines()[0],
        }


def _xla_threads() -> int | None:
    # XLA tells nobody how many threads it started, but it names them.
    names = []
    for task in Path("/proc/self/task").glob("*/comm"):
        try:
            names.append(task.read_text().strip())
        except OSError:
            continue  # it ended while we looked
    count = sum(name.startswith("tf_XLAEigen") for name in names)
    return count or None


def _scatters(numpy: Any, device: str) -> dict[str, Any]:
    """Return what :mod:`multigrad.extra.scatter` asks for."""

    def scatter_along_axis(X: Array, order: Array, *, axis: int) -> Array:
        return numpy.put_along_axis(numpy.zeros_like(X), order, X, axis=axis, inplace=False)

    def scatter_add(X: Array, t: Array, v: int) -> Array:
        return numpy.zeros((v, *X.shape[1:]), dtype=X.dtype).at[t].add(X)

    own: dict[str, Any] = {"scatter_along_axis": scatter_along_axis}
    # A GPU adds in an order of its own each time, and what is sorted first adds up as fast there.
    return own | {"scatter_add": scatter_add} if device == "cpu" else own


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
    refusals = (
        Refusal("TypeError", "immutable|does not support item assignment", "JAX's arrays cannot be written into."),
        Refusal("Exception", r"Unsupported dtype \w+", "JAX's linear algebra lacks the dtype."),
        Refusal("ConcretizationTypeError", "", "jax.jit cannot follow what asks for a value."),
        Refusal("JAXTypeError", "", "jax.jit cannot follow what asks for a value."),
        Refusal("JAXIndexError", "", "jax.jit cannot follow a shape that depends on values."),
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
        try:
            return JaxSession(self, jax, device)
        except RuntimeError as error:
            raise Unavailable(
                f"jax {jax.__version__} finds no {device} device: {str(error).splitlines()[0]}"
            ) from error

    def hand_over(self, operation: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        self.load()
        from .handover import handed_over

        return handed_over(operation, parameters)

    def missing(self, device: str) -> str | None:
        reason = super().missing(device)
        if reason is None and device_kind(device) == "cuda" and not any(map(importlib.util.find_spec, CUDA_PLUGINS)):
            return "jax is installed without CUDA (pip install 'jax[cuda13]')"
        return reason

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: bool = True
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
        if not caches:
            variables["JAX_ENABLE_COMPILATION_CACHE"] = "false"
        return variables


def _platforms(device: str) -> str:
    return "cpu" if device_kind(device) == "cpu" else "cuda,cpu"


def _host_devices(device: str) -> int | None:
    """Return into how many devices a mesh divides the host's processors; None where it is one, as always."""
    return prod(mesh_shape(device)) if device_kind(device) == "cpu" and mesh_shape(device) else None


BACKEND = JaxBackend()

"""A session of JAX on one device or on a mesh: jax.vjp, jax.jit, settings."""

from __future__ import annotations

import contextlib
import importlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy

from multigrad.backend import (
    Array,
    Backend,
    Session,
    Unavailable,
    cpu_name,
    device_kind,
    mesh_shape,
    own_function,
)
from multigrad.backend.placement import split_axes, split_symbols, undivided
from multigrad.data.errors import one_line
from multigrad.ops.operation import Operation

from . import native
from .namespace import array_namespace

COLLECTIVE = re.compile(
    r" ((?:ragged-)?all-(?:gather|reduce|to-all)|reduce-scatter|collective-(?:broadcast|permute))(?:-start)?\("
)
"""A collective operation in the text of a compiled program. One that is begun and awaited has one beginning."""


class JaxSession(Session):
    """JAX on one device, or on a mesh of them."""

    dtypes = ("float64", "float32", "bfloat16", "float16")

    def __init__(self, backend: Backend, device: str) -> None:
        self.backend = backend
        self.device = device
        self.kind, shape = device_kind(device), mesh_shape(device)
        self.devices = jax.devices(self.kind)[: prod(shape)]
        if len(self.devices) < prod(shape):
            raise Unavailable(f"{device} wants {prod(shape)} devices, and JAX has {len(self.devices)} in this process")
        self.mesh = self._mesh(shape) if shape else None
        self.device_name = self.devices[0].device_kind if self.kind == "cuda" else cpu_name()
        self.xp = array_namespace(self.kind)

    def _mesh(self, shape: tuple[int, ...]) -> Any:
        sharding = jax.sharding
        names = tuple(f"axis{i}" for i in range(len(shape)))
        # XLA finds out how results are split; explicit axes would ask the operation to say it.
        types = (sharding.AxisType.Auto,) * len(shape)
        return sharding.Mesh(np.array(self.devices).reshape(shape), names, axis_types=types)

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        return self._put(array, dtype, ())

    def _put(self, array: np.ndarray, dtype: str | None, split: Sequence[str | None]) -> Any:
        """Copy an array to the device; to a mesh, with the axis of the mesh along which each of its own is split."""
        wanted = None if dtype is None else numpy.dtype(dtype)
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
        host = np.asarray(array)
        return host.astype(np.float32) if host.dtype == numpy.bfloat16 else host.copy()

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def wait(self, arrays: Sequence[Array]) -> None:
        jax.block_until_ready(arrays)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = jax.jit(function)
        return compiled

    def compile_stages(
        self, function: Callable[..., Any], *arrays: Array
    ) -> tuple[Callable[..., Any], dict[str, float]] | None:
        clock = [time.perf_counter()]
        jitted = jax.jit(function)
        traced = jitted.trace(*arrays)
        clock.append(time.perf_counter())
        lowered = traced.lower()
        clock.append(time.perf_counter())
        with _kept():
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
        wanted = tuple(wanted)
        count = len(wanted)

        def differentiated(*arrays: Array) -> tuple[Array, ...]:
            inputs = arrays[:count]

            def of_wanted(*chosen: Array) -> tuple[Array, ...]:
                rest = iter(chosen)
                return tuple(forward(*(next(rest) if w else a for a, w in zip(inputs, wanted, strict=True))))

            values, pullback = jax.vjp(of_wanted, *(a for a, w in zip(inputs, wanted, strict=True) if w))
            return (*values, *pullback(tuple(arrays[count:])))

        return differentiated

    def both_modes(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        count, differentiated = len(wanted), sum(wanted)

        def function(*arrays: Array) -> tuple[Array, ...]:
            inputs, last = arrays[:count], len(arrays) - differentiated

            def of_wanted(*chosen: Array) -> tuple[Array, ...]:
                rest = iter(chosen)
                return tuple(forward(*(next(rest) if w else a for a, w in zip(inputs, wanted, strict=True))))

            chosen = tuple(a for a, w in zip(inputs, wanted, strict=True) if w)
            _, pullback = jax.vjp(of_wanted, *chosen)
            _, tangents = jax.jvp(of_wanted, chosen, tuple(arrays[last:]))
            return (*pullback(tuple(arrays[count:last])), *tangents)

        return function

    def batched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        stacked: Callable[..., Any] = jax.vmap(function)
        return stacked

    def native(self, name: str) -> Callable[..., Any] | None:
        return own_function(native, name)

    def checkers(self) -> dict[str, Callable[..., str]]:
        """Return JAX's own gradient checker: ``f(op, parameters, arrays)`` says why it rejects, or nothing."""
        return {"check_grads": self._check_grads}

    def _check_grads(self, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
        xp = self.xp
        given = [self.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in arrays[: len(op.inputs)]]
        wanted = op.differentiable

        def joined(chosen: Sequence[Array]) -> list[Array]:
            rest = iter(chosen)  # arrays of NumPy where JAX's checker moves them
            return [numpy.asarray(next(rest)) if w else a for a, w in zip(given, wanted, strict=True)]

        @jax.custom_vjp
        def handwritten(*chosen: Array) -> Any:
            return op(xp, *joined(chosen), **parameters)[0]

        def forward(*chosen: Array) -> tuple[Any, Any]:
            return handwritten(*chosen), chosen

        def backward(chosen: Any, cotangent: Any) -> tuple[Array, ...]:
            _, pullback = op(xp, *joined(chosen), **parameters)
            cotangents = cotangent if isinstance(cotangent, tuple) else (cotangent,)
            gradients = pullback(*map(numpy.asarray, cotangents))
            return gradients if isinstance(gradients, tuple) else (gradients,)

        handwritten.defvjp(forward, backward)
        check_grads = importlib.import_module("jax.test_util").check_grads
        try:
            check_grads(handwritten, [a for a, w in zip(given, wanted, strict=True) if w], 1, modes=["rev"])
        except Exception as error:  # noqa: BLE001 - it raises in many ways
            return one_line(error)
        return ""

    no_peak = "JAX cannot reset its mark of the peak; a compiled call has a figure, which XLA planned"

    def planned_memory(self, function: Callable[..., Any], *arrays: Array) -> int | None:
        compiled: Any = function
        plan = compiled.lower(*arrays).compile().memory_analysis()  # of one device; all do the same
        if plan is None:
            return None
        beyond = plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
        return int(beyond) * len(self.devices)

    def release(self) -> None:
        jax.clear_caches()

    def make_cold(self) -> None:
        jax.clear_caches()  # eager operations are compiled one by one, and other functions are made of the same ones

    def settings(self) -> Mapping[str, Any]:
        config: Any = jax.config
        return {
            "threads": _xla_threads(),
            "matmul_precision": config.jax_default_matmul_precision,
            "x64": config.jax_enable_x64,
            "platform_version": self.devices[0].client.platform_version.splitlines()[0],
        }


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Let the cache of compiled programs, where there is one, keep what is compiled meanwhile, however quickly that is.

    Not for good: the first call of an eager function would find the operations of another one there.
    """
    config: Any = jax.config
    names = ("jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes")
    before = {name: getattr(config, name) for name in names}
    try:
        for name in names:
            config.update(name, 0)
        yield
    finally:
        for name, value in before.items():
            config.update(name, value)


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

"""What a backend is: the handful of things that a framework has to offer, and the framework opened on a device."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from ..data.errors import one_line
from ..extra.hooks import ATTRIBUTE, Hooks, hooks_of
from ..ops.implementation import Implementation
from ..ops.operation import Operation
from ..ops.selection import Mode, Precision
from .candidate import Candidate
from .device import THREAD_VARIABLES, cuda_device_count, device_kind, mesh_shape, nvml_missing
from .implemented import forward_of, with_gradients
from .limits import Gap, Inaccuracy, Judged, Refusal, Unavailable
from .traced import Description

if TYPE_CHECKING:
    import numpy as np

NATIVE = "native"
"""The name of the implementation that ships with us: as a user of the framework would write it."""

Array = Any
"""An array of whichever framework a session belongs to."""


class Session(ABC):
    """One framework, opened on one device, with threads and precision set. Only one is open in a process."""

    backend: Backend
    device: str
    """One of the backend's :attr:`Backend.devices`, or a mesh of them: ``cpu:8``."""
    device_name: str
    """What the device calls itself, such as ``NVIDIA H200``."""
    xp: Any
    """The array namespace: the framework's own, or as array-api-compat gives it."""
    dtypes: tuple[str, ...]
    """Which of :data:`multigrad.ops.operation.DTYPES` it can compute in."""

    @abstractmethod
    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Array:
        """Copy a NumPy array to the device and return when it is there.

        ``dtype`` is one of :attr:`dtypes` for a floating-point array (values must be representable in it); None keeps
        an integer or boolean array as it is.
        """

    def place(self, operation: Operation, arrays: Sequence[np.ndarray], dtype: str) -> list[Array]:
        """Copy the arguments of an operation to where it shall run: its inputs, and cotangents if there are any.

        Where there are several devices, they are split as :mod:`multigrad.backend.placement` says.

        Args:
            operation: the operation.
            arrays: on the host, in the order of its arguments.
            dtype: one of :attr:`dtypes`, for those that are floating-point.
        """
        return [self.to_device(a, dtype if a.dtype.kind == "f" else None) for a in arrays]

    @abstractmethod
    def to_numpy(self, array: Array) -> np.ndarray:
        """Copy an array to the host, exactly; bfloat16 comes back as float32."""

    @abstractmethod
    def dtype_name(self, array: Array) -> str:
        """Return the name of an array's dtype, such as ``float32``."""

    def wait(self, arrays: Sequence[Array]) -> None:  # noqa: B027 - a synchronous framework has nothing to wait for
        """Return when every one of these arrays has been computed."""

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a function of arrays that returns a tuple of arrays.

        Raises:
            Unavailable: the framework has no compiler here.
        """
        raise Unavailable(f"{self.backend.name} has no compiler")

    def compile_stages(
        self, function: Callable[..., Any], *arrays: Array
    ) -> tuple[Callable[..., Any], dict[str, float]] | None:
        """Compile a function for these arrays ahead of time, each stage timed apart; None where that cannot be done.

        Returns:
            The compiled function as :meth:`compile` would give it, whose first call finds its work done, and seconds by
            stage: ``trace_s``, ``lower_s``, ``compile_s``.
        """
        return None

    def collectives(self, function: Callable[..., Any], *arrays: Array) -> str:
        """Return the collective operations that the compiler put into a compiled function for these arrays.

        Returns:
            Each with its number, as in ``all-gather 1, all-reduce 2``; ``none`` on a mesh that needs none; empty on one
            device, and where the framework does not tell.
        """
        return ""

    @property
    def followed(self) -> Any:
        """The array namespace in which :meth:`differentiate` follows a forward part: :attr:`xp`, or a tape over it."""
        return self.xp

    def differentiate(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents) -> (*values, *gradients)`` by the framework's own autodiff, or by a tape.

        Args:
            forward: ``f(*inputs)`` that returns a tuple of values.
            wanted: for each input, whether its gradient is wanted.

        Raises:
            Unavailable: the framework has no autodiff.
        """
        raise Unavailable(f"{self.backend.name} has no autodiff")

    def both_modes(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents, *tangents) -> (*gradients, *tangents)`` by reverse and forward mode.

        Args:
            forward: ``f(*inputs)`` that returns a tuple of values.
            wanted: for each input, whether it is differentiated; one tangent comes for each that is, and a tangent for
                each value goes.

        Raises:
            Unavailable: the framework has no forward mode.
        """
        raise Unavailable(f"{self.backend.name} has no forward mode of its own")

    def batched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of stacks of arrays, along a new first axis, that computes another one for every item.

        Args:
            function: as :meth:`function` returns it.

        Raises:
            Unavailable: the framework has no transform that does it.
        """
        raise Unavailable(f"{self.backend.name} has no vmap")

    def gradient(self, forward: Callable[[Any], Callable[..., Any]], wanted: Sequence[bool]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents) -> gradients`` by autodiff, which :meth:`differentiate` can follow.

        Args:
            forward: takes the array namespace and returns ``f(*inputs)`` that returns a tuple of values.
            wanted: for each input, whether its gradient is wanted.

        Raises:
            Unavailable: the framework has no autodiff that follows its own.
        """
        return self.backend.gradient(forward(self.xp), wanted)

    def native(self, name: str) -> Callable[..., Any] | None:
        """Return ``f(*inputs, **parameters)`` as a user of this framework would write an operation, or None.

        Args:
            name: of an operation of the catalogue. :meth:`implementation` asks for no other: somebody's own operation
                may have the name and compute something else.
        """
        return None

    def implementation(self, operation: Operation, name: str) -> Implementation | None:
        """Return the implementation of that name that was written for this very operation, or None.

        ``native`` is the one that ships with us.
        """
        if name != NATIVE:
            return operation.implementations.get((self.backend.name, name))
        function = self.native(operation.name) if operation.catalogued else None
        return None if function is None else Implementation(NATIVE, self.backend.name, function)

    def reset_peak_memory(self) -> None:  # noqa: B027 - only a device with an allocator of its own has a peak to reset
        """Start counting the peak of the device's memory anew."""

    def peak_memory(self) -> int | None:
        """Return the peak of the device's memory in bytes since the last reset; None where only the process has one."""
        return None

    no_peak = "the framework does not tell its peak"
    """Why :meth:`peak_memory` of a device with a memory of its own is None."""

    def planned_memory(self, function: Callable[..., Any], *arrays: Array) -> int | None:
        """Return the bytes that a call takes beyond its arguments, as its compiler planned them.

        Args:
            function: compiled by this session.
            arrays: its arguments.

        Returns:
            Bytes of results and temporaries, over all devices; None where no compiler tells.
        """
        return None

    def events(self, call: Callable[[], Any]) -> float | None:
        """Run a call and return its duration in seconds by the device's own events; None where there are none."""
        return None

    def release(self) -> None:  # noqa: B027 - nothing is kept by most frameworks
        """Drop compiled functions and cached memory between cells."""

    def make_cold(self) -> None:  # noqa: B027 - most frameworks share nothing between functions
        """Drop what the first call of a function would share with calls of others; what is compiled may be again."""

    def settings(self) -> Mapping[str, Any]:
        """Return threads and precision as the framework reports them, not as they were asked for."""
        return {}

    def function(
        self, operation: Operation, parameters: Mapping[str, Any], variant: str, mode: Mode
    ) -> Callable[..., tuple[Array, ...]]:
        """Return one variant of an operation as a function of arrays.

        ``forward`` takes the inputs; the others take ``(*inputs, *cotangents)`` and return values, then gradients.

        Raises:
            Unavailable: this session has no such variant or mode.
        """
        if variant == "analytic":
            function = operation.analytic(self.xp, parameters)
        elif variant == "forward":
            function = operation.forward(self.xp, parameters)
        elif variant == "autodiff":
            function = operation.differentiated(self, lambda op: op.followed(self, parameters))
        else:
            made = self.implementation(operation, variant)
            if made is None:
                raise Unavailable(f"{self.backend.name} has no {variant} form of {operation.name}")
            function = self._implemented(operation, parameters, made)
        return self.compile(function) if mode == "compiled" else function

    def _implemented(
        self, operation: Operation, parameters: Mapping[str, Any], made: Implementation
    ) -> Callable[..., tuple[Array, ...]]:
        """Return an implementation as a function of inputs and cotangents."""
        if made.gradients:
            return with_gradients(operation, parameters, made, self.xp)
        return operation.differentiated(self, lambda op: forward_of(op, parameters, made, self.xp))


class Backend(ABC):
    """A framework, not yet imported. One instance named ``BACKEND`` stands in each file of ``backends/``."""

    name: ClassVar[str]
    """Short and unique, such as ``torch``; what ``--backend`` takes."""
    module: ClassVar[str]
    """The framework's top-level module, such as ``cupy``."""
    distributions: ClassVar[tuple[str, ...]]
    """The framework's distribution on the package index (any one of them), for its version."""
    install: ClassVar[str]
    """The line that installs it."""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """The kinds of device it knows: ``cpu``, ``cuda``, or what the framework calls its own."""
    rare: ClassVar[tuple[str, ...]] = ()
    """Those of :attr:`devices` that few machines have: where one is missing it is only tried if it is asked for."""
    meshes: ClassVar[bool] = False
    """Whether it computes on several devices of a kind at once: on ``cpu:8``, ``cuda:2``, ``cpu:4x2``."""
    modes: ClassVar[tuple[Mode, ...]] = ("eager",)
    """``eager`` and, where it has a compiler, ``compiled``."""
    variants: ClassVar[tuple[str, ...]] = ("forward", "analytic")
    """What it can compute; ``autodiff`` and ``native`` where the framework differentiates."""
    maps: ClassVar[bool] = False
    """Whether it has a transform that maps a function over a batch: ``vmap``."""
    taped: ClassVar[bool] = False
    """Whether its ``autodiff`` is the tape of :mod:`multigrad.namespaces.tape`: the framework has none."""
    gaps: ClassVar[tuple[Gap, ...]] = ()
    """What it cannot do."""
    inaccuracies: ClassVar[tuple[Inaccuracy, ...]] = ()
    """What it does with too few digits."""
    refusals: ClassVar[tuple[Refusal, ...]] = ()
    """What it says where it lacks a dtype or a function, or where its compiler or its autodiff cannot follow."""
    breakdowns: ClassVar[tuple[Refusal, ...]] = ()
    """What it says where an algorithm breaks down because a number is not finite."""
    standard: ClassVar[bool] = False
    """Whether it is the array API standard and nothing else: what raises here and runs on NumPy is not portable."""
    scheduler: ClassVar[bool] = False
    """Whether it runs on a scheduler that is there already, see :mod:`multigrad.backend.scheduler`."""

    @abstractmethod
    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        """Import the framework and open it on a device.

        Args:
            device: one of :attr:`devices`, or a mesh of them.
            threads: how many threads the framework may use; None leaves its default.
            precision: what float32 products may be computed in.

        Raises:
            Unavailable: the framework or the device is not here; the message says what to do.
            BadInput: it was given an address where nothing of use is.
        """

    def hand_over(self, operation: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """Return ``f(*inputs)`` of the framework's own arrays, which its autodiff differentiates by the pullback.

        No session is opened and nothing is set: device, threads and precision are the caller's affair.

        Args:
            operation: what is handed over.
            parameters: values of its parameters; those left out have their defaults.

        Raises:
            Unavailable: the framework is not here, or has no autodiff that takes a pullback.
        """
        raise Unavailable(f"{self.name} has no autodiff that takes a pullback")

    def gradient(self, function: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents) -> gradients`` by the framework's autodiff, which can follow it once more.

        Args:
            function: ``f(*inputs)`` of the framework's own arrays, that returns an array or a tuple of them.
            wanted: for each input, whether its gradient is wanted.

        Raises:
            Unavailable: the framework has no autodiff that follows its own.
        """
        raise Unavailable(f"{self.name} has no autodiff that follows its own")

    def candidate(self, function: Callable[..., Any], inputs: Any) -> Candidate:
        """Return somebody's function of the framework's own arrays, at given inputs, for a drop-in to judge.

        Raises:
            Unavailable: the framework is not here, or has no drop-in.
            BadInput: the inputs are none.
        """
        raise Unavailable(f"{self.name} has no drop-in")

    def traced(
        self, function: Callable[..., Any], signature: str | None = None, **described: Unpack[Description]
    ) -> Operation:
        """Return a function of the framework's own arrays as an operation; see :func:`multigrad.from_jax`.

        Args:
            function: what is traced.
            signature: the shapes in gufunc notation.
            described: what else is said of it.

        Raises:
            BadInput: it cannot be traced, or calls what has no array API form.
            Unavailable: the framework is not here, or hands out no graph.
        """
        raise Unavailable(f"{self.name} hands out no graph of a function")

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: Path | None = None
    ) -> dict[str, str]:
        """Return the environment variables that have to be set before the process starts.

        Args:
            device: one of :attr:`devices`, or a mesh of them.
            threads: how many threads every library may use; None leaves their defaults.
            precision: what float32 products may be computed in.
            caches: the folder in which compilers find what was compiled before; None leaves the user's. Where the time
                to compile is measured, the folder is empty.
        """
        variables = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
        if device_kind(device) == "cuda":
            # The driver's tools count by bus; CUDA by speed unless told so, and device 0 must be one and the same.
            variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            if precision == "strict":
                variables["NVIDIA_TF32_OVERRIDE"] = "0"
            if caches is not None:
                variables["CUDA_CACHE_PATH"] = str(caches / "cuda")
        else:
            variables["CUDA_VISIBLE_DEVICES"] = "-1"  # no framework may take a context or memory that nobody uses
        return variables

    def load(self) -> Any:
        """Import the framework.

        Raises:
            Unavailable: it is not installed, or does not load.
        """
        if importlib.util.find_spec(self.module) is None:
            raise Unavailable(f"not installed ({self.install})")
        try:
            return importlib.import_module(self.module)
        except (
            Exception
        ) as error:  # a framework fails to load in more ways than ImportError: drivers, libraries, versions
            raise Unavailable(f"{self.module} is installed but does not load: {one_line(error)}") from error

    def version(self) -> str | None:
        """Return the installed version without importing the framework; None if it is not installed."""
        if importlib.util.find_spec(self.module) is None:
            return None
        for distribution in self.distributions:
            try:
                return importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
        return "unknown"

    def missing(self, device: str) -> str | None:
        """Return why this backend cannot be opened on that device, as far as is known without importing it."""
        kind, count = device_kind(device), prod(mesh_shape(device))
        if kind not in self.devices:
            return f"{self.name} has no device {kind!r}"
        if count > 1 and not self.meshes:
            return f"{self.name} has no mesh of devices"
        if self.version() is None:
            return f"not installed ({self.install})"
        if kind == "cuda" and (there := self.cuda_devices()) < count:
            why = f" ({nvml_missing()})" if nvml_missing() else ""
            return f"{device} wants {count} CUDA devices, found {there}" if there else f"no CUDA device{why}"
        return None

    def cuda_devices(self) -> int:
        """Return how many devices of the kind ``cuda`` the driver knows."""
        return cuda_device_count()

    def default_devices(self) -> tuple[str, ...]:
        """Return the kinds of device that are tried where none is asked for: all but the rare ones that are missing."""
        return tuple(kind for kind in self.devices if kind not in self.rare or self.missing(kind) is None)

    def forms(self, operation: Operation) -> tuple[str, ...]:
        """Return every way to compute an operation here: :attr:`variants`, then the implementations that it has."""
        return (*self.variants, *(name for backend, name in operation.implementations if backend == self.name))

    def modes_of(self, operation: Operation) -> tuple[Mode, ...]:
        """Return those of :attr:`modes` that an operation can be computed in."""
        return self.modes

    def gap(self, operation: Operation, dtype: str, mode: str, variant: str, device: str) -> Gap | None:
        """Return the gap that speaks of that cell, or None."""
        return next((g for g in self.gaps if g.covers(operation, dtype, mode, variant, device)), None)

    def cannot(self, error: BaseException) -> str | None:
        """Return what the framework cannot do, where an exception says that; else None."""
        return next((r.reason for r in self.refusals if r.covers(error)), None)

    def breaks_down(self, error: BaseException) -> str | None:
        """Return what breaks down where a number is not finite, where an exception says that; else None."""
        return next((r.reason for r in self.breakdowns if r.covers(error)), None)

    def worded(self, judged: Judged, operation: Operation, variant: str, mode: str, regime: str) -> Judged:
        """Return what was judged of a form of an operation, as a GAP where it is a known inaccuracy."""
        for inaccuracy in self.inaccuracies:
            if inaccuracy.covers(operation, variant, mode, regime):
                judged = inaccuracy.worded(judged)
        return judged


def own_function(module: types.ModuleType, name: str) -> Callable[..., Any] | None:
    """Return the function of that name that a module defines itself, or None: what it imported does not count."""
    function = vars(module).get(name)
    return function if getattr(function, "__module__", None) == module.__name__ else None


def namespace(module: types.ModuleType, hooks: Hooks | None = None, /, **own: Any) -> types.ModuleType:
    """Return a copy of an array namespace in which some names are the backend's own.

    It keeps the module's name, by which array-api-compat and array-api-extra recognise it.

    Args:
        module: the namespace.
        hooks: what it does beyond the standard; left out, what the module has.
        own: functions by the names of the standard, and the special functions of :mod:`multigrad.data.standard`.
    """
    copy = types.ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module))
    vars(copy).update(own)
    vars(copy)[ATTRIBUTE] = hooks_of(module) if hooks is None else hooks
    return copy

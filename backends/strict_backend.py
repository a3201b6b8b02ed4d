"""array-api-strict: the standard and nothing else, so that a call outside it is noticed. Correctness only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Backend,
    Refusal,
    Session,
    Unavailable,
    cpu_name,
)
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Mode, Precision

from . import numpy_backend
from .taped import TapedSession

if TYPE_CHECKING:
    import numpy as np


class StrictSession(TapedSession):
    """The newest version of the standard that array-api-strict knows, on a device that is not the default one.

    An array that an operation makes without saying on which device lands on the default device and meets the inputs
    nowhere: what would fail on a GPU fails here.
    """

    dtypes = ("float64", "float32")

    def __init__(self, backend: Backend, xp: Any) -> None:
        self.backend = backend
        self.device = "cpu"
        self.device_name = cpu_name()
        self.xp = xp
        self._away = xp.Device("device1")
        self._home = xp.Device("CPU_DEVICE")

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        wanted = None if dtype is None else getattr(self.xp, dtype)
        return self.xp.asarray(array, dtype=wanted, device=self._away, copy=True)

    def to_numpy(self, array: Any) -> np.ndarray:
        import numpy as np

        return np.array(self.xp.asarray(array, device=self._home))

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype).rpartition(".")[2]

    def function(
        self, operation: Operation, parameters: Mapping[str, Any], variant: str, mode: Mode
    ) -> Callable[..., tuple[Any, ...]]:
        if not operation.namespaced:
            raise Unavailable(f"{operation.name} is written with NumPy, not with the standard")
        return super().function(operation, parameters, variant, mode)

    def settings(self) -> dict[str, Any]:
        return {"standard": self.xp.__array_api_version__}


REFUSALS = (
    Refusal(
        "IndexError", r"out-of-bounds (start|stop)s", "a slice ends within the axis: write min(stop, x.shape[axis])"
    ),
    Refusal("IndexError", "multi-axes index only specifies", "an index names every axis: write x[i, ...] for x[i]"),
    Refusal(
        "IndexError", "Fancy indexing __setitem__", "no array of indices can be assigned to: write xp.where, or a sum"
    ),
    Refusal("IndexError", "Integer index arrays are only allowed", "write xp.take(x, indices, axis=axis)"),
    Refusal("IndexError", "masking is only specified", "a mask is the only index: write xp.where(mask, x, 0)"),
    Refusal(
        "IndexError", "Single-axes index", "an index is an integer, a slice, ..., None or an array of the namespace"
    ),
    Refusal("IndexError", "must be array_api_strict arrays", "write xp.asarray for an array of NumPy's"),
    Refusal(
        "ValueError",
        "different devices|mismatched devices|same device",
        "an array is made on the default device: write device=x.device, or xp.zeros_like(x)",
    ),
    Refusal(
        "RuntimeError", "Can't (extract|convert)", "an array is read on the host, by NumPy or float(): write it with xp"
    ),
    Refusal(
        "TypeError",
        "cannot be type promoted|mismatched dtypes|Cannot perform .* with dtypes",
        "kinds of dtype do not mix: write xp.astype(i, x.dtype)",
    ),
    Refusal(
        "TypeError", "Python \\w+ scalars", "a Python number has the kind of the array: write xp.astype(i, x.dtype)"
    ),
    Refusal("TypeError", "Expected Array or Python scalar", "write float(number) for a number of NumPy's"),
    Refusal(
        "TypeError",
        "Only .*floating-point dtypes are allowed",
        "the function takes floating-point arrays: write xp.astype(i, x.dtype)",
    ),
    Refusal("TypeError", "Only .* dtypes are allowed", "the function does not take this dtype: write xp.astype"),
    Refusal(
        "TypeError",
        "array iteration is not allowed",
        "no loop over an array: write for i in range(x.shape[0]): x[i, ...]",
    ),
    Refusal(
        "TypeError",
        "only allowed on arrays with 0 dimensions",
        "a Python number is made of an array without dimensions",
    ),
    Refusal("AttributeError", "", "the function is not in the standard"),
)
"""What strict refuses, with what to write instead."""


class StrictBackend(Backend):
    """array-api-strict, eager only."""

    name = "strict"
    module = "array_api_strict"
    distributions = ("array-api-strict",)
    install = "pip install array-api-strict"
    variants = ("forward", "analytic", "autodiff")
    taped = True
    standard = True
    refusals = REFUSALS
    breakdowns = numpy_backend.BACKEND.breakdowns

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        return StrictSession(self, self.load())


BACKEND = StrictBackend()

"""NumPy: the CPU reference that every other backend is laid beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multigrad.backend import Backend, Precision, Session, Unavailable, cpu_name

if TYPE_CHECKING:
    import numpy as np


class NumPySession(Session):
    """NumPy on the CPU."""

    dtypes = ("float64", "float32", "float16")

    def __init__(self, backend: Backend, numpy: Any) -> None:
        import array_api_compat.numpy as xp

        self.backend = backend
        self.numpy = numpy
        self.device = "cpu"
        self.device_name = cpu_name()
        self.xp = xp

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        return self.numpy.array(array, dtype=dtype, order="C")

    def to_numpy(self, array: Any) -> np.ndarray:
        copy: np.ndarray = self.numpy.array(array)
        return copy

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def settings(self) -> Mapping[str, Any]:
        from threadpoolctl import threadpool_info

        pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
        return {
            "threads": max((p["num_threads"] for p in pools), default=1),
            "blas": [f"{p['internal_api']} {p['version']}" for p in pools],
        }


class NumPyBackend(Backend):
    """NumPy, with the array namespace of array-api-compat."""

    name = "numpy"
    module = "numpy"
    distributions = ("numpy",)
    install = "pip install numpy"

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        numpy = self.load()
        if threads is not None:
            from threadpoolctl import threadpool_limits

            threadpool_limits(threads)
        return NumPySession(self, numpy)


BACKEND = NumPyBackend()

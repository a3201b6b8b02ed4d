"""CuPy: NumPy's functions on CUDA. Autodiff is that of our tape; there is no compiler of whole functions."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.backend import Array, Backend, Refusal, Session, Unavailable
from multigrad.data.errors import one_line
from multigrad.ops.selection import Precision

from .taped import TapedSession

if TYPE_CHECKING:
    import numpy as np


def peak_hook(cupy: Any) -> Any:
    """Return a hook that follows the bytes in use: CuPy's pool knows what it uses now, and keeps no peak."""

    class PeakHook(cupy.cuda.MemoryHook):  # type: ignore[misc]  # CuPy is known only now
        name = "multigrad peak"

        def __init__(self) -> None:
            self.used = self.peak = int(cupy.get_default_memory_pool().used_bytes())

        def malloc_postprocess(self, **event: Any) -> None:
            if event["mem_ptr"]:  # 0 is an allocation that failed
                self.used += event["mem_size"]
                self.peak = max(self.peak, self.used)

        def free_postprocess(self, **event: Any) -> None:
            self.used -= event["mem_size"]

    return PeakHook()


class CuPySession(TapedSession):
    """CuPy on CUDA device 0."""

    dtypes = ("float64", "float32", "float16")

    def __init__(self, backend: Backend, cupy: Any) -> None:
        self.backend = backend
        self.cupy = cupy
        self.device = "cuda"
        self.on = cupy.cuda.Device(0)
        self.on.use()
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"]
        self.device_name = name.decode() if isinstance(name, bytes) else str(name)
        self.xp = importlib.import_module("array_api_compat.cupy")
        self._hook: Any = None

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        result = self.cupy.array(array, dtype=dtype, order="C")
        self.on.synchronize()
        return result

    def to_numpy(self, array: Any) -> np.ndarray:
        host: np.ndarray = self.cupy.asnumpy(array)
        return host

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def wait(self, arrays: Sequence[Array]) -> None:
        self.on.synchronize()

    def reset_peak_memory(self) -> None:
        self._unhook()
        self._hook = peak_hook(self.cupy)
        self._hook.__enter__()

    def peak_memory(self) -> int | None:
        return None if self._hook is None else int(self._hook.peak)

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook.__exit__(None, None, None)
            self._hook = None

    def events(self, call: Callable[[], Any]) -> float | None:
        start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(self.cupy.cuda.get_elapsed_time(start, end)) * 1e-3

    def release(self) -> None:
        self._unhook()  # an open hook would slow every allocation of the cells to come
        self.cupy.get_default_memory_pool().free_all_blocks()

    def settings(self) -> Mapping[str, Any]:
        runtime = self.cupy.cuda.runtime
        return {
            "threads": 1,
            "tf32": os.environ.get("CUPY_TF32", "0") not in ("", "0"),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
        }


class CuPyBackend(Backend):
    """CuPy, with the array namespace of array-api-compat."""

    name = "cupy"
    module = "cupy"
    distributions = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")
    install = "pip install cupy-cuda13x, or cupy-cuda12x for a driver of CUDA 12"
    devices = ("cuda",)
    variants = ("forward", "analytic", "autodiff")
    taped = True
    breakdowns = (Refusal("LinAlgError", "", "CuPy's factorisation breaks down where a number is not finite."),)

    def open(self, device: str = "cuda", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        cupy = self.load()
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # a driver too old, a device taken away: CuPy has one class for all, known only now
            raise Unavailable(f"cupy {cupy.__version__} finds no CUDA device: {one_line(error)}") from error
        if count == 0:
            raise Unavailable("no CUDA device")
        os.environ["CUPY_TF32"] = _tf32(precision)  # read at the first product
        return CuPySession(self, cupy)

    def environment(
        self, device: str, threads: int | None, precision: Precision, *, caches: Path | None = None
    ) -> dict[str, str]:
        variables = super().environment(device, threads, precision, caches=caches)
        variables["CUPY_TF32"] = _tf32(precision)
        if caches is not None:
            variables["CUPY_CACHE_DIR"] = str(caches / "cupy")
        return variables


def _tf32(precision: Precision) -> str:
    return "0" if precision == "strict" else "1"


BACKEND = CuPyBackend()

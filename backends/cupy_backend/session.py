"""A session of CuPy on CUDA: where its arrays lie, how long it works, what memory it uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multigrad.backend import Array, Backend

from ..taped import TapedSession
from .namespace import array_namespace

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
        self.xp = array_namespace(cupy)
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

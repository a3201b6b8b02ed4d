"""CuPy: NumPy's functions on CUDA. Autodiff is that of our tape; there is no compiler of whole functions."""

from __future__ import annotations

import os
from pathlib import Path

from multigrad.backend import Backend, Refusal, Session, Unavailable
from multigrad.data.errors import one_line
from multigrad.ops.selection import Precision


class CuPyBackend(Backend):
    """CuPy, whose namespace is that of array-api-compat without what waits for the device."""

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
        from .session import CuPySession

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

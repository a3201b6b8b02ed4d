"""Devices: what their names mean, what the processor calls itself, and how many CUDA devices there are."""

from __future__ import annotations

import contextlib
import functools
import platform
import re
from pathlib import Path

from ..data.errors import BadInput, one_line

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NPROC",
    "PJRT_NPROC",
)
"""Every variable by which a numerical library learns how many threads it may use."""


def device_kind(device: str) -> str:
    """Return what kind of device a name means: ``cpu`` of ``cpu`` and of the mesh ``cpu:4x2``.

    Raises:
        BadInput: it is no name of a device.
    """
    return _kind_and_shape(device)[0]


def mesh_shape(device: str) -> tuple[int, ...]:
    """Return how many devices lie along each axis of a mesh: ``(8,)`` of ``cpu:8``, ``(4, 2)`` of ``cpu:4x2``.

    Returns:
        Counts from 2; none of a single device.

    Raises:
        BadInput: it is no name of a device.
    """
    return _kind_and_shape(device)[1]


def _kind_and_shape(device: str) -> tuple[str, tuple[int, ...]]:
    kind, colon, counts = device.partition(":")
    if not colon:
        return kind, ()
    shape = tuple(int(n) if re.fullmatch("[1-9][0-9]*", n) else 0 for n in counts.split("x"))
    if not kind or min(shape) < 2 or len(shape) > 2:
        raise BadInput(
            f"no device named {device!r}; wanted one such as cpu or cuda, or a mesh of two or more: cpu:8, or cpu:4x2"
        )
    return kind, shape


@functools.cache
def cpu_name() -> str:
    """Return what the processor calls itself; its architecture where it does not say."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.processor() or platform.machine()


def cuda_device_count() -> int:
    """Return how many NVIDIA devices the driver knows; 0 where :func:`nvml_missing` says why it cannot be asked."""
    return _count_and_reason()[0]


def nvml_missing() -> str:
    """Return why NVML, the driver's library, could not count the NVIDIA devices; empty where it counted them."""
    return _count_and_reason()[1]


@functools.cache
def _count_and_reason() -> tuple[int, str]:
    try:
        import pynvml

        pynvml.nvmlInit()
        count = int(pynvml.nvmlDeviceGetCount())
        pynvml.nvmlShutdown()
    except ImportError:
        return 0, "NVML cannot be asked: pip install nvidia-ml-py"
    except Exception as error:  # no driver, no permission: NVML has a class of its own for each, known only now
        if isinstance(error, pynvml.NVMLError_LibraryNotFound):
            return 0, "no NVIDIA driver: its library NVML is not found"
        return 0, f"NVML does not answer: {one_line(error)}"
    return count, ""

"""What a backend is, and which there are. Whoever writes one imports the names from here."""

from ..data.errors import one_line
from ..ops.selection import Precision
from .device import THREAD_VARIABLES, cpu_name, cuda_device_count, device_kind, mesh_shape, nvml_missing
from .limits import Gap, Inaccuracy, Refusal, Unavailable
from .registry import backend, backends, known_devices
from .session import Array, Backend, Session, namespace, own_function

__all__ = [
    "THREAD_VARIABLES",
    "Array",
    "Backend",
    "Gap",
    "Inaccuracy",
    "Precision",
    "Refusal",
    "Session",
    "Unavailable",
    "backend",
    "backends",
    "cpu_name",
    "cuda_device_count",
    "device_kind",
    "known_devices",
    "mesh_shape",
    "namespace",
    "nvml_missing",
    "one_line",
    "own_function",
]

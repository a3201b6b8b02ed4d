"""What torch is built for. It is asked without importing torch."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
from pathlib import Path


def missing_kind(device: str, version: str | None) -> str | None:
    """Return why an installed torch cannot have a device of that kind, or None where only torch itself can tell."""
    if device == "mps" and (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        return f"torch {version}: no MPS device (that is macOS on Apple silicon)"
    if device == "xpu" and not has_library("xpu"):
        return f"torch {version} is built without XPU (PyTorch has a build of its own for Intel GPUs)"
    return None


NODES = Path("/sys/class/kfd/kfd/topology/nodes")
"""Where AMD's driver lists its processors. One without a GPU has the number 0."""


def amd_device_count() -> int:
    """Return how many GPUs AMD's driver knows; 0 without a driver."""
    numbers = []
    for node in NODES.glob("*/gpu_id"):
        with contextlib.suppress(OSError):
            numbers.append(node.read_text(encoding="utf-8").strip())
    return sum(number not in ("", "0") for number in numbers)


def has_library(kind: str) -> bool:
    """Return whether torch brings its own library for a kind of device, such as libtorch_xpu.so."""
    found = importlib.util.find_spec("torch")
    folders = found.submodule_search_locations if found is not None else None
    return any(any((Path(folder) / "lib").glob(f"*torch_{kind}.*")) for folder in folders or ())

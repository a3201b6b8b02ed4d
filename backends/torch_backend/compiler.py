"""What torch.compile needs of the machine. It is asked without importing torch."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path


def missing_compiler(device: str) -> str | None:
    """Return why torch.compile cannot work on this machine, or None."""
    if device == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "torch.compile needs triton on CUDA (pip install triton)"
        compilers = [os.environ.get("CC"), "gcc", "clang", "cc"]
    else:
        compilers = [os.environ.get("CXX", "g++")]
    if not any(shutil.which(c) for c in compilers if c):
        return f"torch.compile needs a compiler and found no {compilers[-1]} (apt install g++, or set CXX and CC)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "torch.compile needs Python.h (apt install python3-dev, or a Python that brings it)"
    return None


def probe_processor(device: str) -> None:
    """Let Inductor find out which vector instructions there are, which takes it some 8 s, before anything is timed.

    It does so once in a process, by compiling ten small programs; without caches the first cell would pay for it.
    """
    if device == "cpu":
        with contextlib.suppress(
            ImportError, AttributeError
        ):  # Inductor's own business: another version, another place
            importlib.import_module("torch._inductor.cpu_vec_isa").pick_vec_isa()

"""What torch.compile needs of the machine. It is asked without importing torch."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

TRITON = ("cuda", "xpu")
"""The kinds of device for which Inductor writes Triton kernels."""


def missing_compiler(device: str) -> str | None:
    """Return why torch.compile cannot work on this machine, or None."""
    if device in TRITON:
        if importlib.util.find_spec("triton") is None:
            return f"torch.compile needs triton on {device.upper()} (pip install triton)"
        compilers = [os.environ.get("CC"), "gcc", "clang", "cc"]
    else:
        compilers = [os.environ.get("CXX", "g++")]
    if not any(shutil.which(c) for c in compilers if c):
        return f"torch.compile needs a compiler and found no {compilers[-1]} (apt install g++, or set CXX and CC)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "torch.compile needs Python.h (apt install python3-dev, or a Python that brings it)"
    return None


def probe_processor(device: str) -> None:
    """Let Inductor find out which vector instructions there are, before anything is timed.

    It compiles and loads a program or two for each set of instructions that the processor has, which takes it 8 to 20
    s, once in a process. Where the compiler knows the flags of every set, which takes it 0.1 s, the answer is known.
    """
    if device != "cpu":
        return
    with contextlib.suppress(ImportError, AttributeError):  # Inductor's own business: another version, another place
        sets = importlib.import_module("torch._inductor.cpu_vec_isa")
        options = importlib.import_module("torch._inductor.config").cpp
        there = sets.x86_isa_checker()
        mine = [one for one in sets.supported_vec_isa_list if all(name in there for name in str(one).split())]
        if options.vec_isa_ok is None and mine and all(_knows_flags(one.build_arch_flags()) for one in mine):
            options.vec_isa_ok = True
        sets.pick_vec_isa()


def _knows_flags(flags: str) -> bool:
    """Tell whether the compiler takes these flags."""
    command = [os.environ.get("CXX", "g++"), *flags.split(), "-x", "c++", "-c", os.devnull, "-o", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0

"""Memory of one call: how far the resident set grows beyond what was there, in a process that measures nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Keeps glibc from moving its thresholds: freed arrays go back to the kernel, and growth is seen whole."""


def _status(name: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _reset_high_water_mark() -> bool:
    # Linux 4.0: writing 5 sets VmHWM to the present resident set.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        return True
    return False


def _give_back() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def growth(call: Callable[[], Any]) -> tuple[int | None, str]:
    """Run a call and return by how many bytes the resident set peaked above what it was before, and how that was found.

    The call should have run before, so that what a framework loads and compiles once is not counted.
    """
    _give_back()
    if _reset_high_water_mark():
        before = _status("VmRSS")
        call()
        after = _status("VmHWM")
        if before is not None and after is not None:
            return max(0, after - before), "VmHWM after reset"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if after > before:
        return (after - before) * 1024, "growth of the high-water mark"
    # A mark that did not move says only that the peak was lower than an earlier one, perhaps the parent's.
    return None, "the high-water mark did not move and cannot be reset here"

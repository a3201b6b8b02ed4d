"""What on this machine would spoil a measurement, and what to do about it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from multigrad.backend import backends

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str = field(metadata={"doc": "What was looked at."})
    found: str = field(metadata={"doc": "What was found, with its unit."})
    good: bool = field(metadata={"doc": "Whether it leaves timings alone."})
    advice: str = field(default="", metadata={"doc": "What to do where it does not."})


def examine() -> pd.DataFrame:
    """Look at everything and return one row per finding, with the columns of :class:`Finding`."""
    import pandas as pd

    looks = (
        _processor,
        _governor,
        _turbo,
        _load,
        _busy_processes,
        _threads_per_core,
        _quota,
        _clock,
        _compiler,
        _devices,
    )
    return pd.DataFrame([asdict(finding) for look in looks for finding in look()])


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _processor() -> Iterator[Finding]:
    info = _read("/proc/cpuinfo") or ""
    name = next(
        (line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown"
    )
    cores, threads = psutil.cpu_count(logical=False) or 0, psutil.cpu_count() or 0
    memory = psutil.virtual_memory()
    yield Finding("processor", f"{name}: {cores} cores, {threads} threads", True)
    free = memory.available / 2**30
    advice = "close something: a worker that swaps measures the disk" if free < 2 else ""
    yield Finding("free memory", f"{free:.1f} GiB of {memory.total / 2**30:.1f} GiB", free >= 2, advice)


def _governor() -> Iterator[Finding]:
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        yield Finding("frequency governor", "not visible (a virtual machine?)", True)
    else:
        good = governor == "performance"
        yield Finding(
            "frequency governor", governor, good, "" if good else "sudo cpupower frequency-set -g performance"
        )


def _turbo() -> Iterator[Finding]:
    no_turbo, boost = (
        _read("/sys/devices/system/cpu/intel_pstate/no_turbo"),
        _read("/sys/devices/system/cpu/cpufreq/boost"),
    )
    if no_turbo == "0" or boost == "1":
        yield Finding(
            "turbo", "on: the clock depends on heat and on the neighbours", False, "compare interleaved rounds only"
        )
    elif no_turbo == "1" or boost == "0":
        yield Finding("turbo", "off", True)


def _load() -> Iterator[Finding]:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    good = load < 0.25 * cores
    advice = "" if good else "wait until the machine is quiet"
    yield Finding("load, one minute", f"{load:.2f} on {cores} processors", good, advice)


def _busy_processes() -> Iterator[Finding]:
    processes = [p for p in psutil.process_iter(["name"]) if p.pid != os.getpid()]
    for process in processes:
        try:
            process.cpu_percent()
        except psutil.Error:
            continue
    time.sleep(0.3)
    busy = []
    for process in processes:
        try:
            percent = process.cpu_percent()
        except psutil.Error:
            continue
        if percent > 10:
            busy.append(f"{process.info['name']} {percent:.0f} %")
    advice = "stop them, or measure elsewhere" if busy else ""
    yield Finding("other busy processes", ", ".join(busy[:4]) or "none", not busy, advice)


def _threads_per_core() -> Iterator[Finding]:
    cores, threads = psutil.cpu_count(logical=False) or 1, psutil.cpu_count() or 1
    if threads > cores:
        yield Finding(
            "hyper-threads", f"{threads // cores} per core", True, "workers are bound to one thread of each core"
        )


def _quota() -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    all_of_them = os.cpu_count() or 1
    if usable < all_of_them:
        yield Finding("affinity", f"{usable} of {all_of_them} processors", True, "this process may use no more")
    limit = _read("/sys/fs/cgroup/cpu.max")
    if limit and not limit.startswith("max"):
        quota, period = map(int, limit.split())
        good = quota >= usable * period
        advice = "" if good else "the container is throttled: give it whole processors, or use --threads"
        yield Finding("container quota", f"{quota / period:.2f} processors", good, advice)


def _clock() -> Iterator[Finding]:
    steps = []
    for _ in range(1000):
        start = now = time.perf_counter()
        while now == start:
            now = time.perf_counter()
        steps.append(now - start)
    step = min(steps)
    good = step < 1e-6
    yield Finding("clock resolution", f"{step * 1e9:.0f} ns", good, "" if good else "short blocks are measured badly")


def _compiler() -> Iterator[Finding]:
    found = next((path for path in map(shutil.which, ("g++", "clang++", "c++")) if path), None)
    advice = "" if found else "torch.compile needs one on the CPU: install g++"
    yield Finding("C++ compiler", Path(found).name if found else "none", bool(found), advice)


def _devices() -> Iterator[Finding]:
    for one in backends().values():
        for device in one.devices:
            reason = one.missing(device)
            found = reason or f"version {one.version()}"
            # A framework that is absent spoils nothing: it is one column less.
            yield Finding(f"{one.name}/{device}", found, True)

"""What was measured on: host, processors, caches, devices, versions, and what could disturb a measurement."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from multigrad.backend import THREAD_VARIABLES, cpu_name, nvml_missing

from .gpu import gpus

UNSET_VARIABLES = (
    "CUDA_CACHE_DISABLE",
    "CUDA_CACHE_PATH",
    "CUPY_CACHE_DIR",
    "CUPY_CACHE_IN_MEMORY",
    "CUPY_CACHE_SAVE_CUDA_SOURCE",
    "GOMP_CPU_AFFINITY",
    "GOMP_SPINCOUNT",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_DYNAMIC",
    "OMP_DYNAMIC",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_WAIT_POLICY",
    "PYTORCH_KERNEL_CACHE_PATH",
    "TORCHINDUCTOR_AUTOGRAD_CACHE",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES",
    "TORCHINDUCTOR_FX_GRAPH_CACHE",
    "TORCHINDUCTOR_FX_GRAPH_REMOTE_CACHE",
    "TRITON_ALWAYS_COMPILE",
    "TRITON_CACHE_DIR",
    "TRITON_CACHE_MANAGER",
    "USE_PYTORCH_KERNEL_CACHE",
)
"""Taken away from workers: they would move threads, or say what is kept of compiled code, and where."""

_MATTERS = re.compile(
    r"(OMP|OPENBLAS|MKL|KMP|GOMP|BLIS|XLA|JAX|TORCH|PYTORCH|TORCHINDUCTOR|TRITON|NVIDIA|CUDA|CUBLAS|CUBLASLT|CUDNN|CUFFT"
    r"|CUSOLVER|CUSPARSE|NCCL|CUPY|MALLOC|GLIBC|NUMPY|THP|DASK)_\w+|LD_PRELOAD|MULTIGRAD_SCHEDULER"
)


def environment_that_matters(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that thread pools, compilers, allocators, devices and schedulers go by."""
    wanted = {*THREAD_VARIABLES, *UNSET_VARIABLES}
    return {k: v for k, v in sorted(environment.items()) if k in wanted or _MATTERS.fullmatch(k)}


def allowed_cpus() -> list[int]:
    """Return the logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def physical_cpus() -> list[int]:
    """Return one allowed logical processor for each physical core."""
    chosen: dict[str, int] = {}
    for cpu in allowed_cpus():
        core = _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)
        chosen.setdefault(core, cpu)
    return sorted(chosen.values())


def thread_count(threads: Any) -> Any:
    """Return a number of threads; ``all`` is one for each physical core."""
    return len(physical_cpus()) if threads == "all" else threads


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _caches() -> dict[int, int]:
    """Return the size in bytes of each level of cache that processor 0 sees."""
    found: dict[int, int] = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, size = _read(index / "level"), re.fullmatch(r"(\d+)([KMG]?)", _read(index / "size"))
        if level.isdigit() and size and _read(index / "type") != "Instruction":
            found[int(level)] = int(size[1]) * {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}[size[2]]
    return found


def last_cache_bytes() -> int:
    """Return the size of the last level of cache that processor 0 sees; 32 MiB where it is not said."""
    return max(_caches().values(), default=2**25)


def private_cache_bytes() -> int:
    """Return the size of the second level of cache, which a core has to itself; 256 KiB where it is not said."""
    return _caches().get(2, 2**18)


def clock_reader(cpu: int) -> Callable[[], float | None]:
    """Return a function that reads the clock of a processor in Hz; it returns None where nobody says."""
    path = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"
    # Not /proc/cpuinfo: reading it interrupts every processor, and in a virtual machine it never changes.
    if not _read(path).isdigit():
        return lambda: None
    return lambda: float(_read(path) or "nan") * 1e3


class RunQueue:
    """How long the threads of this process were ready to run and had no processor: what the neighbours cost.

    Threads that spin hide it from CPU time over wall time; the kernel's own account does not.
    """

    def __init__(self) -> None:
        """Open the accounts."""
        self.files: list[int] = []
        self.open()

    def open(self) -> None:
        """Open the accounts of all threads that there are; a thread that starts later is not seen."""
        self.close()
        for path in Path("/proc/self/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # it ended while we looked, or the kernel keeps no account
                self.files.append(os.open(path, os.O_RDONLY))

    def seconds(self) -> float | None:
        """Return the sum over threads since they started, in seconds; None where the kernel keeps no account."""
        total = 0
        for file in self.files:
            with contextlib.suppress(OSError):  # a thread that has ended waits for nothing
                total += int(os.pread(file, 100, 0).split()[1])
        return total / 1e9 if self.files else None

    def close(self) -> None:
        """Close the accounts."""
        while self.files:
            os.close(self.files.pop())


def others_reader(cpus: Collection[int]) -> Callable[[], float | None]:
    """Return a function that reads the CPU seconds that other processes spent on these processors since the start.

    The kernel counts them in ticks of 10 ms: meaningful as a difference over many.
    """
    wanted = {f"cpu{n}" for n in cpus}
    tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def read() -> float | None:
        try:
            lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        # user, nice, system; then idle and waiting for disks; then interrupts and what they left to do.
        times = [list(map(int, values[:7])) for name, *values in map(str.split, lines) if name in wanted]
        ticks = sum(sum(t[:3]) + sum(t[5:]) for t in times)
        return ticks * tick_s - time.process_time() if times else None

    return read


def describe() -> dict[str, Any]:
    """Return the host and its devices, as they go into ``run.json``."""
    import psutil

    uname = platform.uname()
    devices = gpus()
    return {
        "hostname": uname.node,
        "system": f"{uname.system} {uname.release}",
        "architecture": uname.machine,
        "libc": " ".join(platform.libc_ver()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpu": cpu_name(),
        "cores": len(physical_cpus()),
        "processors": len(allowed_cpus()),
        "virtual_machine": re.search(r"^flags\s*:.*\bhypervisor\b", _read("/proc/cpuinfo"), re.MULTILINE) is not None,
        "last_cache_bytes": last_cache_bytes(),
        "memory_bytes": int(psutil.virtual_memory().total),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "gpus": [gpu["name"] for gpu in devices],
        "devices": devices,
        "nvml": nvml_missing(),
    }


def machine_name(host: Mapping[str, Any], cuda: bool) -> str:
    """Return a folder name for this machine: its GPU if that is measured, else its processor and cores."""
    if cuda and host["gpus"]:
        return slug(host["gpus"][0])
    text = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*|\d+-Core", " ", host["cpu"], flags=re.IGNORECASE)
    return slug(f"{text} {host['cores']} cores")


def host_name(host: Mapping[str, Any]) -> str:
    """Return the name of a machine among others: its host's."""
    return slug(str(host.get("hostname", "")))


def slug(text: str) -> str:
    """Return a text as a lower-case folder name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "machine"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of those distributions and of what they measure with."""
    found = {}
    for name in sorted({*distributions, "multigrad", "numpy", "pandas", "array-api-compat", "threadpoolctl"}):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_state() -> dict[str, Any]:
    """Return commit and cleanliness of the source, or nothing where it is not a checkout."""
    root = Path(__file__).parent.parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return {}
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def command() -> str:
    """Return the command line, as a shell reads it, without the folders in which it lies."""
    name = Path(sys.argv[0]).name or "python"
    called = ["python", "-m", "multigrad.bench.cli"] if name == "__main__.py" else [name]
    return shlex.join([*called, *sys.argv[1:]])

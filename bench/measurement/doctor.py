"""What on this machine would spoil a measurement, and what to do about it."""

from __future__ import annotations

import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from multigrad.backend import Unavailable, backend, backends, cpu_name, device_kind, nvml_missing
from multigrad.data.errors import BadInput
from multigrad.process.child import Death, run
from multigrad.process.entry import entry_point, no_rows

from ..analysis.intervals import median_of_medians, noise_floor, relative_spread
from ..plan.cells import LATENCY
from ..plan.protocol import FULL
from ..store import machine
from ..timing.clock import Workload, alone, time_blocks, timer_step
from ..timing.facts import busy_threads, thread_pools

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NOISE_S = 18.0
"""How long the noise floor may be looked for, in seconds: a person waits for it."""

NOISE_PAIRS = 10
"""Processes on each side of the pair at most: twice those of a full run."""

NOISE_PROCESS_S = 0.5
"""Time of the product in each process, in seconds: twice what a cell has in a full run at least."""

NOISE_SIDE = 192
"""Side of the product: 14 MFLOP, under a millisecond, in the second-level cache."""

FRESH_TIMES = 3.0
"""Above, the pages of a large result take longer than what computes it at the memory's bandwidth."""

QUIET_FLOOR = 0.025
"""Above, twice the floor exceeds the 5 % that a comparison asks for: see
:attr:`multigrad.bench.plan.protocol.Protocol.floor_factor`."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str = field(metadata={"doc": "What was looked at."})
    found: str = field(metadata={"doc": "What was found, with its unit."})
    good: bool = field(metadata={"doc": "Whether it leaves timings alone."})
    advice: str = field(default="", metadata={"doc": "What to do where it does not."})


@entry_point(no_rows(f.name for f in fields(Finding)))
def examine(*, frameworks: bool = True, noise: bool = False) -> pd.DataFrame:
    """Look at everything and return one row per finding, with the columns of :class:`Finding`.

    Args:
        frameworks: open each framework in a process of its own and ask for its thread pools; some seconds each.
        noise: also measure the noise floor of this machine, in 20 s.
    """
    import pandas as pd

    looks: list[Callable[[], Iterator[Finding]]] = [
        _processor,
        _governor,
        _turbo,
        _load,
        _busy_processes,
        _threads_per_core,
        _quota,
        _clock,
        _fresh_memory,
        _compiler,
        _gpus,
        _devices,
    ]
    looks += [_frameworks] if frameworks else []
    looks += [_noise] if noise else []
    return pd.DataFrame([asdict(finding) for look in looks for finding in look()])


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _processor() -> Iterator[Finding]:
    cores, threads = psutil.cpu_count(logical=False) or 0, psutil.cpu_count() or 0
    memory = psutil.virtual_memory()
    yield Finding("processor", f"{cpu_name()}: {cores} cores, {threads} threads", True)
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
    step = timer_step()
    good = step < 1e-6
    yield Finding("clock resolution", f"{step * 1e9:.0f} ns", good, "" if good else "short blocks are measured badly")


def _fresh_memory() -> Iterator[Finding]:
    content, durations = b"\1" * 2**26, []
    with mmap.mmap(-1, len(content)) as memory:
        for _ in range(2):
            memory.seek(0)
            start = time.perf_counter()
            memory.write(content)
            durations.append(time.perf_counter() - start)
    times = durations[0] / durations[1]
    found = f"64 MiB take {times:.1f} × as long to write for the first time"
    good = times < FRESH_TIMES
    advice = "large results cost their pages; to see what remains without, set GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
    yield Finding("fresh memory", found, good, "" if good else advice)


def _compiler() -> Iterator[Finding]:
    compiler = next((path for path in map(shutil.which, ("g++", "clang++", "c++")) if path), None)
    advice = "" if compiler else "torch.compile needs one on the CPU: install g++"
    yield Finding("C++ compiler", Path(compiler).name if compiler else "none", bool(compiler), advice)


def _devices() -> Iterator[Finding]:
    for one in backends().values():
        for device in one.default_devices():
            reason = one.missing(device)
            state = reason or f"version {one.version()}"
            # A framework that is absent spoils nothing: it is one column less.
            yield Finding(f"{one.name}/{device}", state, True)


def _gpus() -> Iterator[Finding]:
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # noqa: BLE001 - no package, no driver, no permission: there is nothing to look at
        yield Finding("GPUs", f"none counted ({nvml_missing()})" if nvml_missing() else "none", True)
        return
    for number, handle in enumerate(handles):
        for look in (_gpu_clock, _gpu_persistence, _gpu_processes):
            try:
                yield look(f"GPU {number}", pynvml, handle)
            except pynvml.NVMLError as error:
                yield Finding(f"GPU {number}", f"the driver does not say: {error}", True)
    pynvml.nvmlShutdown()


def _gpu_clock(name: str, nvml: Any, handle: Any) -> Finding:
    clock = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
    highest = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
    degrees = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    harmless = nvml.nvmlClocksThrottleReasonGpuIdle | nvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & ~harmless
    found = f"{clock} of {highest} MHz, {degrees} °C" + (f", slowed down for reasons {reasons:#x}" if reasons else "")
    return Finding(f"{name} clock", found, not reasons, "let it cool, or raise its power limit" if reasons else "")


def _gpu_persistence(name: str, nvml: Any, handle: Any) -> Finding:
    on = nvml.nvmlDeviceGetPersistenceMode(handle) == nvml.NVML_FEATURE_ENABLED
    advice = "" if on else "sudo nvidia-smi -pm 1: without it every fresh process starts the driver anew"
    return Finding(f"{name} persistence", "on" if on else "off", on, advice)


def _gpu_processes(name: str, nvml: Any, handle: Any) -> Finding:
    others = [p for p in nvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid != os.getpid()]
    advice = "stop them: kernels of others take turns with ours" if others else ""
    return Finding(f"{name} processes", f"{len(others)} others" if others else "none", not others, advice)


def _frameworks() -> Iterator[Finding]:
    threads = len(machine.physical_cpus())
    for one in backends().values():
        for device in one.devices:
            if one.missing(device) is None:
                yield from _framework(one.name, device, threads)


def _framework(name: str, device: str, threads: int) -> Iterator[Finding]:
    """Open a framework as a worker of a run would, and report what it says of itself."""
    environment = backend(name).environment(device, threads, "strict")
    arguments = {"backend": name, "device": device, "threads": threads}
    cpus = machine.physical_cpus()[:threads]
    target = "multigrad.bench.measurement.doctor:look_inside"
    for answer in run(target, arguments, environment=environment, cpus=cpus, timeout_s=120):
        if isinstance(answer, Death) or "unavailable" in answer:
            reason = answer.reason if isinstance(answer, Death) else answer["unavailable"]
            yield Finding(f"{name}/{device} opens", reason, False, "install it anew, or leave it out with --backend")
            continue
        yield _threads_found(name, device, threads, answer)
        yield _libraries_found(name, device, answer)
        yield _precision_found(name, device, answer)


def look_inside(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Open a framework and say how many threads it has, and which libraries; the worker's side."""
    try:
        session = backend(arguments["backend"]).open(arguments["device"], threads=arguments["threads"])
    except (Unavailable, BadInput) as error:
        yield {"unavailable": str(error)}
        return
    busy = busy_threads(session) if device_kind(session.device) == "cpu" else None
    yield {"settings": dict(session.settings()), "pools": thread_pools(), "busy": busy}


def _threads_found(name: str, device: str, threads: int, answer: Mapping[str, Any]) -> Finding:
    reported = answer["settings"].get("threads")
    pools = ", ".join(f"{pool.get('internal_api', '?')} {pool['num_threads']}" for pool in answer["pools"])
    busy = "" if answer["busy"] is None else f", {answer['busy']:.2f} busy in a large product"
    count = "does not say" if reported is None else reported
    found = f"{count} of {threads}{busy}; pools: {pools or 'none'}"
    good = device != "cpu" or (reported in (None, threads) and (answer["busy"] or 0) < 1.1 * threads)
    return Finding(
        f"{name}/{device} threads", found, good, "" if good else "unset the variables that override --threads"
    )


def _libraries_found(name: str, device: str, answer: Mapping[str, Any]) -> Finding:
    blas = answer["settings"].get("blas")
    pools = [pool for pool in answer["pools"] if pool.get("user_api") == "blas"]
    seen = [" ".join(str(pool[k]) for k in ("internal_api", "version", "architecture") if k in pool) for pool in pools]
    if name == "numpy":
        found = ", ".join(seen or blas or ["unknown to threadpoolctl"])
    elif blas:
        found = ", ".join(blas)
    else:
        beside = f"; loaded with NumPy: {', '.join(seen)}" if seen else ""
        found = f"built into the framework, which does not name it{beside}"
    return Finding(f"{name}/{device} BLAS", found, True)


def _precision_found(name: str, device: str, answer: Mapping[str, Any]) -> Finding:
    words = {k: v for k, v in answer["settings"].items() if "precision" in k or "tf32" in k or k == "x64"}
    found = ", ".join(f"{k} {v}" for k, v in words.items()) or "float32 products in float32 only"
    forced = os.environ.get("NVIDIA_TF32_OVERRIDE")
    good = not (device == "cuda" and forced == "1")
    return Finding(f"{name}/{device} precision", found, good, "" if good else "unset NVIDIA_TF32_OVERRIDE")


def _noise() -> Iterator[Finding]:
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    started = time.perf_counter()
    longest = 0.0
    while len(sides[1]) < NOISE_PAIRS and time.perf_counter() - started + 2 * longest < NOISE_S:
        begun = time.perf_counter()
        for side in sides:
            side.append(_product_times())
        longest = max(longest, (time.perf_counter() - begun) / 2)
    floor = noise_floor([median_of_medians(sides[0]) / median_of_medians(sides[1])])
    medians = [median_of_medians([one]) for side in sides for one in side]
    between = relative_spread(medians)
    within = max(relative_spread(one) for side in sides for one in side)
    good = floor is not None and floor <= QUIET_FLOOR and between <= 0.05
    found = (
        f"{100 * (floor or 0):.1f} % between two halves of {len(medians)} processes that did the same; "
        f"{100 * between:.1f} % spread between processes, {100 * within:.1f} % within the worst"
    )
    advice = "" if good else "wait until the machine is quiet; until then only differences above twice the floor count"
    yield Finding("noise floor", found, good, advice)


def _product_times() -> np.ndarray:
    """Return the seconds per product of the blocks of one fresh process."""
    import numpy as np

    threads = len(machine.physical_cpus())
    environment = backend("numpy").environment("cpu", threads, "strict")
    target = "multigrad.bench.measurement.doctor:time_products"
    for answer in run(target, {}, environment=environment, cpus=machine.physical_cpus(), timeout_s=60):
        if not isinstance(answer, Death):
            return np.array(answer["blocks"])
    raise Unavailable("the process that measures the noise floor died")


def time_products(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Time blocks of a small NumPy product; the worker's side."""
    import numpy as np

    ones = np.ones((NOISE_SIDE, NOISE_SIDE))
    protocol = replace(FULL, process_s=NOISE_PROCESS_S, turns=1, other_blocks=1)
    work = Workload(lambda: (ones @ ones,), (), lambda arrays: None, keep=1)
    result = alone(time_blocks(work, protocol))
    yield {"blocks": [b.block_s / b.calls for b in result.blocks if b.kind == LATENCY]}

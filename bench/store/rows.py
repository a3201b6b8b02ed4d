"""The rows of a run: timed blocks, samples, the summary of a cell. Their fields document the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from multigrad.data.columns import doc
from multigrad.data.decode import Amount, Count, Elapsed, Positive, Seconds
from multigrad.ops.implementation import FORMS


@dataclass(frozen=True)
class SummaryRow:
    """One cell: one variant of one operation at one size on one backend, from all its processes."""

    operation: str = doc("Name of the operation.")
    variant: str = doc(
        "`forward`, `analytic` (hand-derived), `autodiff` (the framework's own), `native`, or the name of an "
        "implementation."
    )
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type of inputs and outputs.")
    sizes: str = doc("Dimensions and parameters, such as `m=512 k=256 n=256`.")
    threads: Count = doc("Threads every library was allowed; the process was bound to as many physical cores.")
    precision: str = doc("`strict`: float32 products in float32. `tf32`: TensorFloat-32 allowed.")
    median_s: Elapsed = doc(
        "Seconds per call: middle of the processes' medians (Hodges-Lehmann), of blocks of the kind in `headline`."
    )
    ci_low_s: Elapsed | None = doc(
        "Lower end of its 95 % interval in seconds: the moderated t interval of its processes; empty where no cell of "
        "the run has two."
    )
    ci_high_s: Elapsed | None = doc("Upper end of its 95 % interval in seconds.")
    min_s: Elapsed = doc("Seconds per call of the fastest block.")
    q1_s: Elapsed = doc("First quartile of the seconds per call over all blocks.")
    q3_s: Elapsed = doc("Third quartile of the seconds per call over all blocks.")
    processes: Count = doc("Fresh processes that measured it.")
    blocks: Count = doc("Timed blocks of the headline's kind in all processes together.")
    first_call_s: Seconds = doc(
        "Seconds from having the function to having its first result, compiling included; cold."
    )
    dispatch_s: Seconds = doc("Seconds until a call returns, without waiting for its result; median.")
    to_device_s: Seconds = doc("Seconds to copy all its arguments to the device; median of the processes.")
    to_host_s: Seconds = doc("Seconds to copy all its results to the host; median of the processes.")
    flops: Amount | None = doc("Floating-point operations of one call, by the cost model.")
    bytes: Amount | None = doc("Bytes that one call must move at least, by the cost model.")
    gflop_per_s: Amount | None = doc("`flops` over `median_s`, in 10⁹ operations per second.")
    gbyte_per_s: Amount | None = doc("`bytes` over `median_s`, in 10⁹ bytes per second.")
    roof_percent: Amount | None = doc("Least time that peak rate and bandwidth allow, over `median_s`, in percent.")
    peak_bytes: Amount | None = doc(
        "Peak memory of one call beyond its arguments, in bytes, from a process of its own."
    )
    verdict: str = doc("PASS or NOTE: the result is right and has a time; else why there is none.")
    flags: str = doc("What there is to know about the time, separated by spaces; few of them bar a word.")
    reason: str = doc("What is wrong, missing or worth knowing; empty for a plain PASS.")
    size: str = doc("The size's name in the operation, such as `medium`; empty where it was given in numbers.")
    headline: str = doc("`latency` (every call waited for; CPU) or `pipelined` (n calls, one wait; accelerators).")
    latency_s: Elapsed = doc("Seconds per call when every call is waited for: median of the process medians.")
    pipelined_s: Elapsed = doc("Seconds per call when n calls are made before one wait: median of the process medians.")
    calls: Count = doc("Calls in a block of the headline's kind.")
    trace_s: Seconds | None = doc("Seconds of the first call spent tracing, where the framework tells.")
    lower_s: Seconds | None = doc("Seconds of the first call spent lowering, where the framework tells.")
    compile_s: Seconds | None = doc("Seconds of the first call spent compiling, where the framework tells.")
    import_s: Seconds = doc("Seconds to import and open the framework, in the first round.")
    first_operation_s: Seconds = doc("Seconds of the device's first transfer and addition, in the first round.")
    bound: str = doc("What binds under the roof, `compute` or `memory`; empty without a cost model.")
    ratio: float = doc("Largest error of the gate, over its bound.")
    collectives: str = doc(
        "On a mesh, the collective operations that the compiler put in, as `all-reduce 2`, or `none`; else empty.", ""
    )
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")
    peak_how: str = doc(
        "How `peak_bytes` was found, or why there is none; empty where memory was not measured.", default=""
    )
    event_ratio: Amount | None = doc(
        "Time of pipelined blocks by the device's own events, over the same by the host's clock; empty without events.",
        default=None,
    )


class Block(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One timed block as its worker reports it, with fields of :class:`SampleRow`; in JSON it is their array."""

    kind: str
    calls: Positive
    block_s: Elapsed
    dispatch_s: Seconds | None
    cpu_s: Seconds
    involuntary_switches: Count
    clock_hz: Amount | None
    device_clock_hz: Amount | None
    waited_s: Seconds | None
    throttle_reasons: Count
    turn: Count = 0

    @property
    def per_call_s(self) -> float:
        """Seconds per call."""
        return self.block_s / self.calls


@dataclass(frozen=True)
class SampleRow:
    """One timed block."""

    operation: str = doc("Name of the operation.")
    variant: str = doc("`forward`, `analytic`, `autodiff`, `native`, or the name of an implementation.")
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type of inputs and outputs.")
    sizes: str = doc("Dimensions and parameters, such as `m=512 k=256 n=256`.")
    threads: Count = doc("Threads every library was allowed.")
    precision: str = doc("`strict` or `tf32`.")
    round: Count = doc("Round, from 0. Round, cell and twin together name a process.")
    twin: Count = doc("0; 1 for the second half of an A/A pair, which is no part of the summary.")
    block: Count = doc("Number of the block in its process, from 0, in order of time.")
    kind: str = doc("`latency`: every call waited for. `pipelined`: n calls, then one wait.")
    calls: Positive = doc("Calls in the block, a power of two.")
    block_s: Elapsed = doc("Wall time of the whole block, in seconds.")
    dispatch_s: Seconds | None = doc("Wall time until the last call returned, before the wait, in seconds.")
    cpu_s: Seconds = doc("CPU time of all threads of the process during the block, in seconds.")
    involuntary_switches: Count = doc("Times the kernel took the processor away from the process during the block.")
    clock_hz: Amount | None = doc("Clock of the first processor used, after the block, in Hz; empty where unknown.")
    device_clock_hz: Amount | None = doc("Clock of the GPU's multiprocessors, after the turn, in Hz.")
    waited_s: Seconds | None = doc(
        "Time that threads of the process were ready and others had the processor, summed, in seconds: what the kernel "
        "tells of the block, scaled down, if need be, to the time that others ran during the turns of the cell."
    )
    throttle_reasons: Count = doc(
        "The GPU driver's reasons for slowing down, after the turn, as its bit mask; 0 is none."
    )
    turn: Count = doc(
        "Number of the turn in which it was timed, from 0 for each kind: the cells of a problem take turns in all "
        "workers of a round, and turns of one number followed each other. Means nothing where `turns` in `run.json` is "
        "not true."
    )
    load: Amount = doc("Load of the machine over the last minute when the cell ended: processes that wanted to run.")
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")


def place(row: Mapping[Any, Any]) -> str:
    """Say where a row was computed, as it is written in the row; the CPU goes without saying."""
    device = "" if row["device"] == "cpu" else f"/{row['device']}"
    return f"{row['backend']}{device} {row['mode']}".strip()


def place_of(row: Mapping[Any, Any]) -> str:
    """Say where a row was computed, and by which implementation, where that is somebody's own."""
    return f"{place(row)}{own_name(row)}"


def own_name(row: Mapping[Any, Any]) -> str:
    """Return the name of an implementation, with a space before it; nothing of a form that every operation has."""
    return "" if row["variant"] in FORMS else f" {row['variant']}"


def text(value: Any) -> str:
    """Return a text of a row; nothing where pandas has none."""
    return value if isinstance(value, str) else ""

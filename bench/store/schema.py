"""The shapes of ``run.json``: the single description of it, by which it is read.

A field that this version does not know is left alone; one without a default must be there. The types are those of
JSON; :func:`multigrad.data.decode.decode` holds values against them.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from multigrad.data.decode import Count, Factor, Int64, Rate, Seconds

from ..plan.protocol import Protocol
from ..plan.study import StudyValues

SCHEMA = 1
"""Version of the files. It changes when a column changes its meaning; appending a column does not."""

Texts = dict[str, str | None]


class Host(Struct):
    """A machine; see :func:`.machine.describe`."""

    cpu: str = ""
    cores: Count = 0
    processors: Count = 0
    gpus: list[str] = []
    hostname: str = ""
    system: str = ""
    architecture: str = ""
    python: str = ""
    governor: str = ""
    nvml: str = ""
    """Why the GPUs could not be counted; empty where they were."""


class Git(Struct):
    """The state of the source."""

    commit: str | None = None
    changed: bool = False


class Pair(Struct):
    """An A/A pair."""

    cell: str
    ratio: Factor
    low: Factor | None = None
    high: Factor | None = None


class ProductRate(Struct):
    """A peak in FLOP/s."""

    device: str
    threads: Count
    precision: str
    dtype: str
    value: Rate


class BandwidthBySize(Struct, kw_only=True):
    """How fast memory is, as a function of how much of it is used."""

    bytes_per_s: Rate
    """On the largest arrays."""
    array_bytes: Count | UnsetType = UNSET
    """Of one of the largest arrays."""
    in_cache: bool | UnsetType = UNSET
    """Whether the largest arrays were smaller than the protocol demands, so that a cache may have helped."""
    by_size: Annotated[list[tuple[Count, Rate]], Meta(min_length=1)]
    """(bytes in use, bytes per second), smallest first: what fits a cache has the cache's bandwidth."""


class PlacedBandwidth(BandwidthBySize, kw_only=True):
    """The same, with where it was measured."""

    device: str
    threads: Count


class PeaksValues(Struct):
    """What :class:`multigrad.bench.analysis.peaks.Peaks` holds."""

    flop_per_s: list[ProductRate]
    bandwidth: list[PlacedBandwidth]


class Facts(Struct):
    """What a worker says about itself."""

    import_s: Seconds | UnsetType | None = UNSET
    first_operation_s: Seconds | UnsetType | None = UNSET
    device_name: Any = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    thread_pools: Any = UNSET
    cpus: Any = UNSET
    busy_threads: Any = UNSET
    empty_s: dict[str, Seconds | None] | UnsetType = UNSET
    empty_pipelined_s: dict[str, Seconds | None] | UnsetType = UNSET
    timer_step_s: Any = UNSET
    environment: Any = UNSET
    load: Any = UNSET
    turns: bool | UnsetType = UNSET


class Worker(Struct):
    """Which worker it was, and what it said about itself."""

    group: str = ""
    facts: Facts = field(default_factory=Facts)


class Machine(Struct):
    """What ``run.json`` says of one machine."""

    host: Host | UnsetType = UNSET
    versions: Texts | None = None
    git: Git | None = None
    environment: Texts | None = None
    protocol: Protocol | None = None
    precision: str = ""
    threads: list[Count] = []
    noise_floor: Annotated[float, Meta(ge=0, le=1e24)] | None = None
    pairs: list[Pair] = []
    peaks: PeaksValues | None = None
    turns: bool = False
    workers: list[Worker] = []
    timed_s: Seconds = 0.0


class NamedMachine(Machine, kw_only=True):
    """The same in a run of several machines, each of which ran."""

    host: Host
    noise_floor: Annotated[float, Meta(ge=0, le=1e24)] | None
    peaks: PeaksValues
    runs: list[dict[str, Any]]


class RunInfo(Machine, kw_only=True):
    """What ``run.json`` holds."""

    schema: Int64
    command: str | list[str] = ""
    started: str = ""
    seed: Int64 | None = None
    state: str = ""
    wall_s: Seconds = 0.0
    spent_s: dict[str, Seconds] = {}
    study: StudyValues | None = None
    own_operations: dict[str, str] | None = None
    machines: dict[str, NamedMachine] | None = None
    measured_twice: Count = 0
    against: str | None = None
    against_commit: str | None = None
    portion: dict[str, Any] | None = None

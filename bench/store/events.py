"""The events of a journal, each as one type from the worker that reports it to the tables that are made of it.

In JSON an event is an object whose ``event`` is the tag of its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from multigrad.backend import device_kind
from multigrad.data.decode import Amount, Count, Instant, Int64, Positive, Rate, Seconds, decode
from multigrad.data.errors import BadInput
from multigrad.matrix.rows import MatrixRow

from ..plan.cells import Plan, headline
from ..plan.protocol import Protocol
from ..plan.study import SizeValue
from .rows import Block
from .schema import BandwidthBySize, Facts, RunInfo


def _device(name: str) -> None:
    try:
        device_kind(name)
    except BadInput as error:
        raise ValueError(f"device: {error}") from error


def _below(field: str, indices: Iterable[int], count: int, what: str) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise ValueError(f"{field} is {index}; wanted one of {count} {what}, counted from 0")


class PlannedCell(Struct, forbid_unknown_fields=True):
    """What :class:`multigrad.bench.plan.cells.Cell` holds."""

    reference: str
    operation: str
    variant: str
    mode: str
    source: str
    backend: str
    device: str
    dtype: str
    size_name: str
    size: dict[str, SizeValue]
    threads: Count
    precision: str

    def __post_init__(self) -> None:
        """Make sure of the device's name."""
        _device(self.device)


class PlanValues(Struct):
    """What :class:`multigrad.bench.plan.cells.Plan` holds."""

    cells: list[PlannedCell]
    refused: dict[str, tuple[str, str]]
    twins: list[Count]
    seed: Int64

    def __post_init__(self) -> None:
        """Make sure of the indices."""
        for index in self.refused:
            if not index.isdecimal() or len(index) > 16:
                raise ValueError(f"refused names the cell {index!r}; wanted a number")
        _below("refused", map(int, self.refused), len(self.cells), "cells")
        _below("twins", self.twins, len(self.cells), "cells")

    @classmethod
    def of(cls, plan: Plan) -> PlanValues:
        """Describe a plan."""
        return msgspec.convert(plan.to_json(), cls)

    def plan(self) -> Plan:
        """Return the plan."""
        return Plan.from_json(msgspec.to_builtins(self))


class PortionValues(Struct, forbid_unknown_fields=True):
    """What :class:`multigrad.bench.fleet.portions.Portion` holds."""

    number: Count
    reference: str
    operation: str
    tag: str
    devices: list[str]


class RequestValues(Struct, forbid_unknown_fields=True):
    """What :class:`multigrad.bench.fleet.portions.Request` holds."""

    backend: list[str] | None
    asked: bool
    dtype: list[str] | None
    mode: list[str] | None
    variant: list[str] | None
    size: list[str] | None
    threads: Positive | None
    precision: str
    quick: bool
    seed: Int64
    machine: str | None
    protocol: Protocol


class Begin(Struct, tag_field="event", tag="run"):
    """The first event: what is going to be measured."""

    info: dict[str, Any]
    """What ``run.json`` says as the run begins, :class:`.schema.RunInfo`; kept whole, for it is written again."""
    plan: PlanValues | UnsetType = UNSET
    protocol: dict[str, Any] | UnsetType = UNSET
    """A :class:`multigrad.bench.plan.protocol.Protocol`."""
    portions: list[PortionValues] | UnsetType = UNSET
    request: dict[str, Any] | UnsetType = UNSET
    """:class:`RequestValues`."""

    def __post_init__(self) -> None:
        """Make sure that it is a run of one machine, or of a fleet."""
        wanted = ("plan", "protocol") if self.portions is UNSET else ("portions", "request")
        for name in wanted:
            if getattr(self, name) is UNSET:
                raise ValueError(f"{name} is missing")


class CellAnswer(Struct, kw_only=True, omit_defaults=True):
    """What a worker says about a cell: its blocks, or why there are none."""

    verdict: str
    reason: str
    ratio: float | None = None
    digest: str | UnsetType = UNSET
    blocks: Annotated[list[Block], Meta(min_length=1)] | UnsetType = UNSET
    calls: dict[str, Positive] | UnsetType = UNSET
    warm: bool | UnsetType = UNSET
    load: Amount | UnsetType = UNSET
    collectives: str | UnsetType = UNSET
    to_device_s: Seconds | UnsetType = UNSET
    to_host_s: Seconds | UnsetType = UNSET
    setup_s: Seconds | UnsetType = UNSET
    wait_s: Seconds | UnsetType = UNSET
    first_call_s: Seconds | None = None
    trace_s: Seconds | None = None
    lower_s: Seconds | None = None
    compile_s: Seconds | None = None
    timed_s: Seconds = 0.0
    warmup_s: Seconds = 0.0
    dispatch_s: Seconds | UnsetType = UNSET
    event_ratio: Amount | UnsetType = UNSET
    note: str = ""


class CellEvent(CellAnswer, tag_field="event", tag="cell", kw_only=True):
    """What one process said about one cell."""

    cell: Count
    round: Count
    twin: Annotated[int, Meta(ge=0, le=2)]
    group: str | None = None
    died: bool | UnsetType = UNSET
    began: Instant = 0.0
    ended: Instant = 0.0

    def __post_init__(self) -> None:
        """Make sure that a cell with blocks has what belongs to them."""
        if self.blocks is UNSET:
            return
        for name in ("calls", "warm", "load", "to_device_s", "to_host_s", "ratio", "group"):
            if getattr(self, name) in (UNSET, None):
                raise ValueError(f"{name} is missing")
        if strays := {block.kind for block in self.blocks} - {*(self.calls or ())}:
            raise ValueError(f"calls lacks {min(strays)!r}, a kind of its blocks")


class WorkerEvent(Struct, tag_field="event", tag="worker"):
    """What a worker said about itself."""

    round: Count
    twin: Annotated[int, Meta(ge=0, le=2)]
    group: str
    facts: Facts


class PeaksEvent(Struct, tag_field="event", tag="peaks"):
    """The peaks that a worker saw."""

    round: Count
    backend: str
    device: str
    threads: Count
    precision: str
    flop_per_s: dict[str, Rate]
    bandwidth: BandwidthBySize | None
    twin: Annotated[int, Meta(ge=0, le=2)] = 0


class MemoryEvent(Struct, tag_field="event", tag="memory"):
    """The memory of one cell."""

    cell: Count
    peak_bytes: Amount | None = None
    reason: str = ""


class CostEvent(Struct, tag_field="event", tag="cost"):
    """What one call of one cell costs by the model."""

    cell: Count
    model: tuple[Amount, Amount] | None
    """Floating-point operations and compulsory bytes; None where there is no model."""


class SpentEvent(Struct, tag_field="event", tag="spent"):
    """How long a part of the work took."""

    what: str
    seconds: Seconds


class WallEvent(Struct, tag_field="event", tag="wall"):
    """How long a session of the run took."""

    wall_s: Seconds


class EndEvent(Struct, tag_field="event", tag="end"):
    """How a session of the run ended."""

    state: str


OwnEvent = Begin | CellEvent | WorkerEvent | PeaksEvent | MemoryEvent | CostEvent | SpentEvent | WallEvent | EndEvent


class PortionEvent(Struct, tag_field="event", tag="portion"):
    """What a machine of a fleet answered: a journal of its own, and rows of the matrix."""

    number: Count
    operation: str
    devices: list[str]
    worker: str
    events: Annotated[list[OwnEvent], Meta(min_length=1)]
    matrix: list[MatrixRow]
    gone: bool = False

    def __post_init__(self) -> None:
        """Make sure that its events are a journal."""
        _consistent(self.events)


Event = OwnEvent | PortionEvent


class _Whole(Struct):
    """What events keep whole, described: a field that this version does not know stays in it."""

    info: RunInfo | UnsetType = UNSET
    protocol: Protocol | UnsetType = UNSET
    request: RequestValues | UnsetType = UNSET
    events: list[_Whole] | UnsetType = UNSET


def read_event(where: str, values: Any) -> Event:
    """Return the event that a JSON object describes.

    Args:
        where: file and row, for the message.
        values: the object.

    Raises:
        BadInput: it is no event.
    """
    event: Event = decode(where, values, Event)  # type: ignore[arg-type]  # a union is no type
    if isinstance(event, Begin | PortionEvent):
        decode(where, values, _Whole)
    return event


def to_json(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object."""
    values: dict[str, Any] = msgspec.to_builtins(event)
    return values


def check_event(begin: Event, event: Event) -> None:
    """Make sure that an event belongs to the run that begins so.

    Raises:
        ValueError: it does not; the message begins with the field that is wrong.
    """
    if isinstance(event, Begin):
        raise ValueError("event is 'run'; wanted one run, which begins in row 1")  # noqa: TRY004
    if not isinstance(begin, Begin):
        raise ValueError("event is not 'run'; wanted the beginning of a run")  # noqa: TRY004
    if isinstance(event, PortionEvent):
        if begin.portions is UNSET:
            raise ValueError("event is 'portion'; wanted one of a run of one machine")
        if all(portion.number != event.number for portion in begin.portions):
            raise ValueError(f"number is {event.number}, which is none of the portions of row 1")
        return
    if isinstance(event, CellEvent | MemoryEvent | CostEvent):
        cells = [] if begin.plan is UNSET else begin.plan.cells
        _below("cell", [event.cell], len(cells), "cells")
        if isinstance(event, CellEvent) and event.blocks is not UNSET:
            _has_its_headline(cells[event.cell], event)


def _has_its_headline(cell: PlannedCell, event: CellEvent) -> None:
    kind = headline(cell.device)
    if not any(block.kind == kind for block in event.blocks or ()):
        raise ValueError(f"blocks has none of kind {kind!r}, which a cell on {cell.device} needs")


def _consistent(events: Sequence[Event]) -> None:
    begin, *rest = events
    if not isinstance(begin, Begin) or begin.plan is UNSET:
        raise ValueError("events[0] is not the beginning of a run with a plan")
    for number, event in enumerate(rest, 1):
        try:
            check_event(begin, event)
        except ValueError as error:
            raise ValueError(f"events[{number}].{error}") from error

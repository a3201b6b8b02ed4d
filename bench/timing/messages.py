"""What the workers of a run say, one type for each thing; in JSON a message is known by the name of its first field."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from multigrad.data.decode import Amount, Count, Rate, decode

from ..store.events import CellAnswer
from ..store.schema import BandwidthBySize, Facts

Answer = TypeVar("Answer")

FACTS, SET_UP = 0, 1
"""Steps: what a worker says about itself, before its first cell; to set a cell up, which is the first step of each."""


class Unavailable(Struct):
    """Nothing can be measured here."""

    reason: str = msgspec.field(name="unavailable")


class Opened(Struct):
    """A session is open."""

    facts: Facts = msgspec.field(name="worker")


class PeakRates(Struct):
    """The best that a worker saw."""

    flop_per_s: dict[str, Rate]
    """By dtype, of a large product."""
    bandwidth: BandwidthBySize | None
    """If it was asked for."""


class Peaks(Struct):
    """The peaks were measured."""

    peaks: PeakRates


class Turn(Struct):
    """The worker stands still, for others to have their turns.

    Of a worker of another version ``at`` may be the cell alone: it goes on with no other before that one has ended.
    """

    at: Annotated[list[Count], Meta(min_length=2, max_length=2)] | Count = msgspec.field(name="turn")

    @property
    def cell(self) -> int:
        """The cell with which it goes on."""
        return self.at if isinstance(self.at, int) else self.at[0]

    @property
    def step(self) -> int:
        """Which step of that cell comes next: `FACTS`, `SET_UP`, then to warm it up, then its turns."""
        return 0 if isinstance(self.at, int) else self.at[1]


class Begun(Struct):
    """A task has begun."""

    task: Count = msgspec.field(name="begin")


class CellEnded(CellAnswer):
    """A cell was timed, or has no time."""

    cell: Count = msgspec.field(name="end")


class MemoryEnded(Struct):
    """The memory of a cell was measured, or not."""

    cell: Count = msgspec.field(name="end")
    verdict: str
    reason: str
    peak_bytes: Count | None = None


class ReferenceEnded(Struct):
    """A reference was found."""

    number: Count = msgspec.field(name="end")
    costs: dict[str, tuple[Amount, Amount] | None]
    """By variant, floating-point operations and compulsory bytes of a call; None where there is no model."""
    array_bytes: Count = 0
    """Of inputs and cotangents together."""


Said = Unavailable | Opened | Peaks | Turn | Begun
KINDS: dict[str, type[Said]] = {
    "unavailable": Unavailable,
    "worker": Opened,
    "peaks": Peaks,
    "turn": Turn,
    "begin": Begun,
}


def decoded(message: dict[str, Any], answer: type[Answer]) -> Said | Answer:
    """Return a message of a worker, which may be another version's: what only that knows is left out.

    Args:
        message: its JSON.
        answer: the type of what the worker says as a task ends.
    """
    kind: Any = next((KINDS[name] for name in KINDS if name in message), answer)
    decoded_message: Said | Answer = decode("what a worker says", message, kind)
    return decoded_message

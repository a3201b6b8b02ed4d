"""What a run has measured so far: every event, in the journal on disk and in memory."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import asdict

from multigrad.process.pool import Progress

from ..plan.cells import OTHER, Plan, Work, headline
from ..plan.protocol import Protocol
from ..store.events import CellEvent, Event, MemoryEvent, PeaksEvent, SpentEvent, WorkerEvent
from ..store.journal import Journal
from ..store.schema import Facts
from ..timing.messages import CellEnded, PeakRates


@dataclass
class Record:
    """The events of a run, and what follows from them for the workers to come."""

    plan: Plan
    protocol: Protocol
    journal: Journal
    progress: Progress | None = None
    events: list[Event] = field(default_factory=list)
    """Those that the journal holds."""
    total: int = 0
    """Measurements in all."""
    ended: int = 0
    """Measurements that have ended."""
    answers: dict[int, list[CellEvent]] = field(default_factory=dict)
    """By index of the cell, what was said about it, so that nobody looks through all events."""
    begun: dict[tuple[int, int], float] = field(default_factory=dict)
    """By index and twin of a cell, when its last worker began it, in seconds since 1970."""
    bandwidths: dict[tuple[int, str, int], tuple[str, str]] = field(default_factory=dict)
    """By round, device and threads, the backend and precision whose worker measures the bandwidth."""
    writing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Count what the journal holds already."""
        for event in self.events:
            self._count(event)

    def add(self, event: Event) -> None:
        """Write an event down."""
        with self.writing:
            self.journal.append(event)
            self.events.append(event)
            self._count(event)

    def _count(self, event: Event) -> None:
        self.ended += isinstance(event, CellEvent | MemoryEvent)
        if isinstance(event, CellEvent):
            self.answers.setdefault(event.cell, []).append(event)

    def begin(self, index: int, item: Work) -> None:
        """Heed that a worker has begun a cell."""
        self.begun[index, item.twin] = time.time()
        self.tick(f"{self.plan.cells[index].text}, round {item.round + 1}")

    def end(self, answer: CellEnded, item: Work) -> None:
        """Write down what a worker said about a cell, and tell that it has ended."""
        self._add_cell(round=item.round, twin=item.twin, group=_group(item), **asdict(answer))
        self.tick(f"{self.plan.cells[answer.cell].text}, round {item.round + 1}")

    def fail(self, index: int, round: int, twin: int, verdict: str, reason: str, *, died: bool = False) -> None:
        """Write down that a cell has no result."""
        self._add_cell(cell=index, round=round, twin=twin, verdict=verdict, reason=reason, died=died)

    def _add_cell(self, **values: Any) -> None:
        # The turns of others lie between its beginning and its end.
        now = time.time()
        self.add(CellEvent(**values, began=self.begun.pop((values["cell"], values["twin"]), now), ended=now))

    def add_facts(self, item: Work, facts: Facts) -> None:
        """Write down what a worker said about itself."""
        self.add(WorkerEvent(item.round, item.twin, _group(item), facts))

    def add_peaks(self, item: Work, peaks: PeakRates) -> None:
        """Write down the peaks that a worker saw."""
        where = (item.round, item.backend, item.device, item.threads, item.precision)
        self.add(PeaksEvent(*where, peaks.flop_per_s, peaks.bandwidth, item.twin))

    def tick(self, text: str) -> None:
        """Tell of something that begins or has ended."""
        if self.progress:
            with self.writing:  # workers that are set up side by side have threads of their own
                self.progress(self.ended, max(self.ended, self.total), text)

    @contextlib.contextmanager
    def spending(self, what: str) -> Iterator[None]:
        """Write down how long something took."""
        started = time.perf_counter()
        yield
        self.add(SpentEvent(what, time.perf_counter() - started))

    def _answers(self, index: int) -> Iterable[CellEvent]:
        return self.answers.get(index, ())

    def finished(self, item: Work) -> set[int]:
        """Return the cells of a worker that have an answer of that round and twin."""
        process = (item.round, item.twin)
        return {i for i in item.cells if any((e.round, e.twin) == process for e in self._answers(i))}

    def failed(self, index: int, *, other: bool = False) -> bool:
        """Tell whether a cell was wrong, missing or deadly, here or at the other commit: it is not tried again."""
        return any((e.twin == OTHER) == other and not e.blocks for e in self._answers(index))

    def unstable(self, index: int) -> bool:
        """Tell whether the processes of a cell differ so much that it needs one more."""
        kind = headline(self.plan.cells[index].device)
        medians = [
            statistics.median(block.per_call_s for block in e.blocks if block.kind == kind)
            for e in self._answers(index)
            if e.twin == 0 and e.blocks
        ]
        if len(medians) < 2:
            return False
        low, _, high = statistics.quantiles(medians, n=4, method="inclusive")
        return bool(high - low > self.protocol.spread_between * statistics.median(medians))

    def calls(self, index: int) -> dict[str, int] | None:
        """Return the calls per block that an earlier process found: what round 0 fixes holds for all."""
        return next((e.calls for e in self._answers(index) if e.calls), None)

    def judged(self) -> dict[str, list[Any]]:
        """Return what the gate found so far, by the digest of the outputs that it saw."""
        # A GAP is what the gate's FAIL is called on one backend: the same bits from another one are judged anew.
        answers = (e for answers in list(self.answers.values()) for e in answers)
        return {e.digest: [e.verdict, e.ratio, e.reason] for e in answers if e.digest and e.verdict != "GAP"}

    def wanted_peaks(self, item: Work) -> dict[str, Any] | None:
        """Return which peaks a worker shall measure: those that no other has measured in its round."""
        if item.twin or item.round >= self.protocol.peak_rounds:
            return None
        peaks = [e for e in self.events if isinstance(e, PeaksEvent) and e.round == item.round]
        here = [e for e in peaks if (e.device, e.threads) == (item.device, item.threads)]
        if any(e.backend == item.backend and e.precision == item.precision for e in here):
            return None
        dtypes = sorted({self.plan.cells[i].dtype for i in item.cells})
        # The same of all backends: the first that asks shall measure it, and no other waits for whether it does.
        first = self.bandwidths.setdefault((item.round, item.device, item.threads), (item.backend, item.precision))
        return {"dtypes": dtypes, "bandwidth": first == (item.backend, item.precision)}


def _group(item: Work) -> str:
    return f"{item.backend} {item.device} {item.threads} {item.precision}"

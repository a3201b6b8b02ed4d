"""The course of a run: references, then rounds of workers that take turns, then memory."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigrad.backend import device_kind
from multigrad.process.child import Death

from ..analysis.assemble import assemble
from ..analysis.load import write_run
from ..plan.cells import Place, Plan, Work, places_of, without, work
from ..store import machine
from ..store.events import Begin, EndEvent, MemoryEvent, WallEvent
from ..store.run import Run
from ..timing.messages import SET_UP, Begun, CellEnded, MemoryEnded, Opened, Peaks, Turn, Unavailable
from . import worktree
from .record import Record
from .references import find_references
from .turns import START, in_turns
from .workers import Workers


@dataclass
class Conductor:
    """Runs the workers of a plan, round by round and in turns, and writes down what they say."""

    record: Record
    begin: Begin
    """The first event of the journal."""
    folder: Path | None
    """Where the tables are written; None keeps nothing."""

    @property
    def plan(self) -> Plan:
        """The cells."""
        return self.record.plan

    def run(self) -> Run:
        """Measure what is missing and return the run; also when interrupted, what there is becomes readable."""
        record, started = self.record, time.perf_counter()
        state = "interrupted"
        try:
            with tempfile.TemporaryDirectory(prefix="multigrad-", ignore_cleanup_errors=True) as scratch:
                if not record.events:
                    record.add(self.begin)
                with self._other_commit(Path(scratch)) as other:
                    self._measure(Workers(record, Path(scratch), other))
            state = "complete"
        finally:
            try:
                record.add(WallEvent(time.perf_counter() - started))
                record.add(EndEvent(state))
            finally:
                record.journal.close()
            run = assemble(self.begin, self.plan, record.events[1:], self.folder)
            write_run(run)
        # Everything is in the tables now; an unfinished run keeps its journal to go on from.
        record.journal.path.unlink(missing_ok=True)
        return run

    @contextlib.contextmanager
    def _other_commit(self, scratch: Path) -> Iterator[worktree.Tree | None]:
        revision = self.begin.info.get("against_commit")
        if revision is None:
            yield None
            return
        repository = worktree.repository(c.reference for c in self.plan.cells)
        with worktree.checked_out(repository, revision, scratch) as tree:
            yield tree

    def _measure(self, workers: Workers) -> None:
        record, protocol = self.record, self.record.protocol
        wanted = [i for i in range(len(self.plan.cells)) if i not in self.plan.refused]
        memorable = memorable_cells(self.plan, wanted) if protocol.memory else []
        sides = 1 if workers.other is None else 2
        record.total = protocol.rounds * (sides * len(wanted) + len(self.plan.twins)) + len(memorable)
        with record.spending("references"):
            workers.references = find_references(record, workers, wanted)
        held, limit = self._held(sides, workers), protocol.held_share * self._memory_bytes()
        for number in range(protocol.rounds + protocol.extra_rounds):
            places = places_of(self.plan, number, held, limit)
            items = self._items(number, wanted, places, workers)
            works = [self._work(without(item, record.finished(item)), places, workers) for item in items]
            with record.spending("workers"):
                in_turns(works, lanes=len(machine.physical_cpus()), side_by_side=self._side_by_side(number))
        measured = {e.cell for e in record.events if isinstance(e, MemoryEvent)}
        with record.spending("memory"):
            self._measure_memory([i for i in memorable if i not in measured and not record.failed(i)], workers)

    def _side_by_side(self, number: int) -> Callable[[tuple[int, ...]], bool]:
        """Return what tells of a place whether the workers of a round may go on from there at the same time.

        How long it takes to open a framework and to call a function first is measured in the first round, where each
        is alone. On a device none is set up beside another: compilers time what they choose from.
        """
        if number == 0:
            return lambda place: False
        on_cpu = all(device_kind(cell.device) == "cpu" for cell in self.plan.cells)
        set_up_too = on_cpu and self.record.protocol.share_compiled
        return lambda place: place == START or (set_up_too and place[1] == SET_UP)

    def _held(self, sides: int, workers: Workers) -> list[int]:
        """Return how much each cell holds while it waits for its turn, in bytes."""
        # On the device, and on the host for copies of it at other addresses.
        return [
            2 * sides * workers.references[i].array_bytes if i in workers.references else 0
            for i in range(len(self.plan.cells))
        ]

    def _memory_bytes(self) -> int:
        """Return the least memory of what is measured: the host's, or that of a device."""
        host = self.begin.info["host"]
        on_device = any(device_kind(cell.device) == "cuda" for cell in self.plan.cells)
        return min([int(host["memory_bytes"]), *(int(gpu["bytes"]) for gpu in host["devices"] if on_device)])

    def _items(self, number: int, wanted: Sequence[int], places: Sequence[Place], workers: Workers) -> list[Work]:
        """Return the workers of a round; the extra ones are for the cells that need them."""
        record, extra = self.record, number >= self.record.protocol.rounds
        alive = [i for i in wanted if not record.failed(i) and (not extra or record.unstable(i))]
        twins = [i for i in self.plan.twins if not record.failed(i) and not extra]
        other = [i for i in alive if not record.failed(i, other=True)] if workers.other else []
        return work(self.plan, places, number, alive, twins, other)

    def _work(self, item: Work, places: Sequence[Place], workers: Workers) -> Generator[tuple[int, int, int]]:
        """Let workers measure until no cell is left: one that dies costs the cell it was at.

        Yields how far they are, whenever others may have their turn.
        """
        stillborn = 0
        while item.cells:
            begun, death = yield from self._listen(item, places, workers)
            item = without(item, self.record.finished(item))
            if death is not None:
                stillborn = 0 if begun else stillborn + 1
            # Twice dead before its first cell: it is not the cells.
            if stillborn == 2:
                for i in item.cells:
                    self.record.fail(i, item.round, item.twin, "FAIL", f"worker {death}", died=True)
                return

    def _listen(
        self, item: Work, places: Sequence[Place], workers: Workers
    ) -> Generator[tuple[int, int, int], None, tuple[set[int], str | None]]:
        """Write down what one worker says; return the cells that it has begun, and how it died, if it did."""
        record = self.record
        begun: set[int] = set()
        at, death, together = None, None, self._side_by_side(item.round)
        reached: tuple[int, ...] = START
        with contextlib.closing(workers.time(item)) as messages:
            for message in messages:
                if isinstance(message, Turn):
                    at = message.cell if message.cell in begun else None
                    place = (places[message.cell].group, message.step, places[message.cell].position)
                    if together(place):
                        place = (*place[:2], 0)
                    # Whoever may go on beside others has no need to let them.
                    if place != reached or not together(place):
                        yield place
                    reached = place
                elif isinstance(message, Begun):
                    at = message.task
                    begun.add(at)
                    record.begin(at, item)
                elif isinstance(message, CellEnded):
                    at = None
                    record.end(message, item)
                elif isinstance(message, Death):
                    death = message.reason
                    if at is not None:
                        record.fail(at, item.round, item.twin, "FAIL", f"worker {death}", died=True)
                elif isinstance(message, Unavailable):
                    for i in item.cells:
                        record.fail(i, item.round, item.twin, "UNAVAILABLE", message.reason)
                elif isinstance(message, Opened):
                    record.add_facts(item, message.facts)
                elif isinstance(message, Peaks):
                    record.add_peaks(item, message.peaks)
        return begun, death

    def _measure_memory(self, indices: Sequence[int], workers: Workers) -> None:
        """Measure the memory of cells, as many side by side as there are cores: nothing is timed. A device is one."""
        on_cpu = all(device_kind(self.plan.cells[i].device) == "cpu" for i in indices)
        with ThreadPoolExecutor(len(machine.physical_cpus()) if on_cpu else 1) as threads:
            try:
                answers = [threads.submit(_memory, workers, i) for i in indices]
                for i, answer in zip(indices, answers, strict=True):
                    self.record.add(answer.result())
                    self.record.tick(f"memory of {self.plan.cells[i].text}")
            finally:
                threads.shutdown(wait=False, cancel_futures=True)


def _memory(workers: Workers, index: int) -> MemoryEvent:
    answer = MemoryEvent(index, None, "the worker said nothing")
    for message in workers.measure_memory(index):
        if isinstance(message, Death):
            answer = MemoryEvent(index, None, message.reason)
        elif isinstance(message, MemoryEnded):
            answer = MemoryEvent(index, message.peak_bytes, message.reason)
    return answer


def memorable_cells(plan: Plan, wanted: Sequence[int]) -> Sequence[int]:
    """Return the cells whose memory tells something.

    Left out are the forward part, whose memory is part of what its gradient needs, where that is measured too, and the
    smaller of two sizes: how memory grows is the question of a sweep.
    """
    gradients = [i for i in wanted if plan.cells[i].variant != "forward"] or wanted
    entries: dict[str, dict[tuple[tuple[str, Any], ...], int]] = {}
    for i in gradients:
        cell = plan.cells[i]
        entries.setdefault(cell.operation, {})[cell.size] = math.prod(n for _, n in cell.size if isinstance(n, int))
    kept = {
        operation: set(sizes) if len(sizes) > 2 else {max(sizes, key=sizes.__getitem__)}
        for operation, sizes in entries.items()
    }
    return [i for i in gradients if plan.cells[i].size in kept[plan.cells[i].operation]]

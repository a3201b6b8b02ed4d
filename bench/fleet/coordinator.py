"""The coordinator of a fleet: hands out the portions of a run, and writes down what comes back."""

from __future__ import annotations

import contextlib
import gzip
import json
import queue
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from multigrad.data.errors import BadInput, one_line
from multigrad.process.pool import Progress

from ..analysis.load import rebuild
from ..plan.cells import Cell, Plan, Refusal
from ..store.events import (
    Begin,
    EndEvent,
    OwnEvent,
    PlanValues,
    PortionEvent,
    PortionValues,
    WallEvent,
    read_event,
)
from ..store.folder import JOURNAL
from ..store.journal import Journal
from ..store.machine import command
from ..store.run import Run
from ..store.schema import SCHEMA
from .cluster import Offers, count_offers, offered, tags_of, versions
from .measuring import measure_portion
from .portions import Portion, Request

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_S, LOOK_SHARE = 1.0, 0.01
"""How often the machines are counted: at most once a second, and for no more than this share of the time."""
PATIENCE_S = 60.0
"""Without a machine of a kind for so long, its portions are given up: a worker that a nanny restarts is back sooner."""

DIED, GONE = "FAIL", "UNAVAILABLE"
"""The verdicts of portions that came to nothing: at which machines died; for which no machine is left."""


@dataclass
class Coordinator:
    """Hands out the portions of a run, and writes down what comes back."""

    client: Client
    request: Request
    portions: Sequence[Portion]
    journal: Journal
    folder: Path
    progress: Progress | None
    patience_s: float
    begin: Begin | None = None
    """The journal's first event, if there is one already."""
    finished: set[int] = field(default_factory=set)
    """Numbers of the portions that it holds."""
    running: dict[str, tuple[Portion, Future]] = field(default_factory=dict)
    """By the future's key, what is at a machine."""
    at_work: Counter[str] = field(default_factory=Counter)
    """How many of these there are of each tag."""
    ended: int = 0
    """Portions that have come back, or to nothing."""
    done: queue.SimpleQueue[Future] = field(default_factory=queue.SimpleQueue)
    """What has come to an end, whichever, and was not looked at yet."""

    def run(self) -> Run:
        """Measure what is missing and return the run; whatever happens, what there is becomes readable."""
        started = time.perf_counter()
        state = "interrupted"
        try:
            if self.begin is None:
                portions = [msgspec.convert(portion.to_json(), PortionValues) for portion in self.portions]
                self.journal.append(Begin(self._info(), portions=portions, request=self.request.to_json()))
            state = "complete" if self._hand_out() else state
        finally:
            try:
                self.journal.append(WallEvent(time.perf_counter() - started))
                self.journal.append(EndEvent(state))
            finally:
                self.journal.close()
            # From the disk: what is handed out may be more than memory holds at once.
            run = rebuild(self.folder)
        if state == "complete":
            (self.folder / JOURNAL).unlink(missing_ok=True)
        return run

    def _info(self) -> dict[str, Any]:
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return {
            "schema": SCHEMA,
            "command": command(),
            "started": started,
            "seed": self.request.selection.seed,
        }

    def _hand_out(self) -> bool:
        """Hand out what is not finished, as much at a time as there are machines; tell whether all of it came back."""
        waiting = {
            tag: deque(p for p in self.portions if p.tag == tag and p.number not in self.finished)
            for tag in dict.fromkeys(p.tag for p in self.portions)
        }
        self.ended = len(self.finished)
        missing_since: dict[str, float] = {}
        look_at, complete = 0.0, True
        try:
            while self.running or any(waiting.values()):
                if time.monotonic() >= look_at:
                    started = time.monotonic()
                    offers = self._look()
                    took = time.monotonic() - started
                    look_at = started + max(LOOK_S, took / LOOK_SHARE)
                for tag, left in waiting.items():
                    room = count_offers(offers, tags_of(tag, self.request.machine)) - self.at_work[tag]
                    for _ in range(min(room, len(left))):
                        self._hand(left.popleft())
                    if self._given_up(tag, offers, missing_since) and (left or self.at_work[tag]):
                        complete = False
                        self._give_up(tag, left)
                with contextlib.suppress(queue.Empty):
                    self._take(self.done.get(timeout=LOOK_S))
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is gone has forgotten them already
                self.client.cancel([future for _, future in self.running.values()])
        return complete

    def _look(self) -> Offers:
        try:
            return offered(self.client)
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def _lost(self) -> BadInput:
        return BadInput(
            f"the scheduler is gone; what is finished is in {self.folder}: "
            f"multigrad run --fleet ADDRESS --resume {self.folder} goes on"
        )

    def _hand(self, portion: Portion) -> None:
        resources = dict.fromkeys(tags_of(portion.tag, self.request.machine), 1)
        arguments = (portion.to_json(), self.request.to_json(), versions())
        future = self.client.submit(measure_portion, *arguments, resources=resources, pure=False)
        self._await(portion, future)
        self._tick(f"{portion.operation} on {portion.tag}")

    def _await(self, portion: Portion, future: Future) -> None:
        self.running[future.key] = (portion, future)
        self.at_work[portion.tag] += 1
        future.add_done_callback(self.done.put)

    def _tick(self, text: str) -> None:
        if self.progress:
            self.progress(self.ended, len(self.portions), text)

    def _take(self, future: Future) -> None:
        """Write down what became of a portion."""
        from distributed import KilledWorker

        if future.key not in self.running:
            return  # given up meanwhile
        portion, _ = self.running.pop(future.key)
        self.at_work[portion.tag] -= 1
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            where = getattr(error.last_worker, "address", "a machine")
            tries = error.allowed_failures + 1
            self._come_to_nothing(portion, DIED, f"died: {tries} workers were lost at it, the last at {where}")
        elif isinstance(error, ImportError):
            raise BadInput(f"a worker cannot run multigrad: {one_line(error)}; what is finished is in {self.folder}")
        elif error is not None:
            self._come_to_nothing(portion, DIED, f"raised {one_line(error)}")
        else:
            answer = self._answer(future)
            if answer is None:
                self._await(portion, future)
                return
            self._keep(portion, answer)
        self.ended += 1
        self._tick(f"{portion.operation} on {portion.tag}")

    def _answer(self, future: Future) -> dict[str, Any] | None:
        """Return what a machine answered; None if it was lost before it could give it away, and another begins anew."""
        from distributed import CancelledError
        from distributed.comm import CommClosedError

        try:
            answer: dict[str, Any] = json.loads(gzip.decompress(future.result(timeout=PATIENCE_S)))
        except (CancelledError, CommClosedError, OSError) as error:  # a TimeoutError is an OSError
            if isinstance(error, TimeoutError) and self.client.status == "running":
                return None
            raise self._lost() from error
        return answer

    def _keep(self, portion: Portion, answer: Mapping[str, Any]) -> None:
        if "refused" in answer:
            raise BadInput(f"{answer['refused']}; what is finished is in {self.folder}, --resume goes on with it")
        if "nothing" in answer:
            self._come_to_nothing(portion, GONE, answer["nothing"])
        else:
            portion_values = {"number": portion.number, "operation": portion.operation, "devices": portion.devices}
            self.journal.append(read_event("a machine's answer", {"event": "portion", **portion_values, **answer}))

    def _given_up(self, tag: str, offers: Offers, missing_since: dict[str, float]) -> bool:
        """Tell whether there has been no machine of a kind for too long."""
        if count_offers(offers, tags_of(tag, self.request.machine)):
            missing_since.pop(tag, None)
            return False
        return time.monotonic() - missing_since.setdefault(tag, time.monotonic()) > self.patience_s

    def _give_up(self, tag: str, left: deque[Portion]) -> None:
        lost = {key: portion for key, (portion, _) in self.running.items() if portion.tag == tag}
        self.client.cancel([self.running.pop(key)[1] for key in lost])
        wanted = " and ".join(sorted(tags_of(tag, self.request.machine)))
        for portion in [*lost.values(), *left]:
            reason = f"lost: for {self.patience_s:.0f} s there was no machine left that offers {wanted}"
            self._come_to_nothing(portion, GONE, reason)
            self.ended += 1
        left.clear()
        self.at_work[tag] = 0

    def _come_to_nothing(self, portion: Portion, verdict: str, reason: str) -> None:
        """Write down all cells of a portion as not measured; of how many threads nobody knows, if it was not said."""
        threads = self.request.selection.threads
        cells = self.request.cells(portion, threads[0] if threads else 1)
        if threads is None:
            cells = {replace(cell, threads=0): refusal for cell, refusal in cells.items()}
        events = _refused(cells, Refusal(verdict, reason), self.request)
        devices, gone = list(portion.devices), verdict == GONE
        self.journal.append(PortionEvent(portion.number, portion.operation, devices, "", events, [], gone))


def _refused(cells: Mapping[Cell, Refusal | None], why: Refusal, request: Request) -> list[OwnEvent]:
    """Return the journal of cells none of which was measured; a gap stays what it is."""
    reasons = {i: old if old and old.verdict == "GAP" else why for i, old in enumerate(cells.values())}
    plan = Plan(tuple(cells), reasons, (), request.selection.seed)
    info = {"schema": SCHEMA, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seed": request.selection.seed}
    return [Begin(info, PlanValues.of(plan), dict(request.protocol)), EndEvent("complete")]

"""The worker's side: one fresh process that measures the cells of one backend, device and thread count.

The cells of a group take turns: all are set up, then all warmed up, then each has its first turn, its second and so on.

It is started by :mod:`multigrad.process.child` and answers with the messages of :mod:`multigrad.bench.timing.messages`.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import to_builtins

from multigrad.backend import Session, Unavailable, backend, device_kind
from multigrad.data.errors import BadInput

from ..plan.cells import Cell
from ..plan.protocol import Protocol
from ..store import machine
from ..store.gpu import GpuReader
from . import messages
from .cell import Measurement
from .clock import Guards
from .facts import empty_function, peaks, session_facts
from .gate import Gate


@dataclass(frozen=True)
class Opened:
    """A session, and what it cost to get it."""

    session: Session
    import_s: float
    first_operation_s: float


def time_cells(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Time cells, group by group, as :meth:`multigrad.bench.measurement.workers.Workers.time` asks for."""
    protocol = Protocol.of(arguments["protocol"])
    cells = {int(i): Cell.from_json(c) for i, c in arguments["cells"].items()}
    try:
        opened = _open(arguments)
    except (Unavailable, BadInput) as error:
        yield to_builtins(messages.Unavailable(str(error)))
        return
    session = opened.session
    empty = {mode: empty_function(session, mode) for mode in dict.fromkeys(c.mode for c in cells.values())}
    # Others may begin at the same time: what is measured waits for its turn.
    arguments["turn"]((next(iter(cells)), messages.FACTS))
    facts = session_facts(session, empty, protocol)
    facts.import_s, facts.first_operation_s = opened.import_s, opened.first_operation_s
    yield to_builtins(messages.Opened(facts))
    if arguments["peaks"]:
        yield to_builtins(messages.Peaks(peaks(session, arguments["threads"], arguments["peaks"], protocol)))
    judge = Gate(arguments["judged"])
    cpus = machine.allowed_cpus()
    queue = machine.RunQueue()
    guards = Guards(clock=machine.clock_reader(cpus[0]), waited=queue.seconds, others=machine.others_reader(cpus))
    if device_kind(session.device) == "cuda":
        gpu = GpuReader()
        guards = replace(guards, device=gpu.read, note=gpu.note)
    # Everything alive now stays: the collector need not walk through a framework in every collection to come.
    gc.collect()
    gc.freeze()
    for group in arguments["groups"]:
        steps = {}
        for i in group:
            reference, cold = arguments["references"][str(i)], arguments["cold"]
            measurement = Measurement(session, i, cells[i], reference, protocol, judge, guards, cold)
            steps[i] = measurement.time(arguments["calls"][str(i)])
        yield from _rotated(steps, arguments["turn"], queue)
        session.release()
        gc.collect()


def _rotated(
    steps: dict[int, Generator[None, None, messages.CellEnded]], turn: Callable[[Any], None], queue: machine.RunQueue
) -> Iterator[Any]:
    """Advance the measurements of some cells in rotation: the first step of each, then the next step of each.

    Args:
        steps: by number of the cell, its measurement.
        turn: lets the other workers have their turns, and returns when it is one's own again.
        queue: is opened anew when all cells are set up, and with them all threads.
    """
    for number in itertools.count(messages.SET_UP):
        if not steps:
            return
        if number == messages.SET_UP + 1:
            queue.open()
        for i, measurement in list(steps.items()):
            turn((i, number))
            if number == messages.SET_UP:
                yield to_builtins(messages.Begun(i))
            try:
                next(measurement)
            except StopIteration as end:
                del steps[i]
                yield to_builtins(end.value)


def measure_memory(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Measure the memory of one cell."""
    protocol = Protocol.of(arguments["protocol"])
    ((key, values),) = arguments["cells"].items()
    number = int(key)
    yield to_builtins(messages.Begun(number))
    try:
        opened = _open(arguments)
    except (Unavailable, BadInput) as error:
        yield to_builtins(messages.MemoryEnded(number, "UNAVAILABLE", str(error)))
        return
    judge = Gate(arguments["judged"])
    measurement = Measurement(
        opened.session, number, Cell.from_json(values), arguments["references"][key], protocol, judge
    )
    yield to_builtins(measurement.memory())


def _open(arguments: Mapping[str, Any]) -> Opened:
    start = time.perf_counter()
    session = backend(arguments["source"]).open(
        arguments["device"], threads=arguments["threads"], precision=arguments["precision"]
    )
    imported = time.perf_counter()
    array = session.to_device(np.ones(1), session.dtypes[-1] if "float32" not in session.dtypes else "float32")
    session.wait((array + array,))
    return Opened(session, imported - start, time.perf_counter() - imported)

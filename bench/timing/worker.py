"""The worker's side: one fresh process that measures the cells of one backend, device and thread count, in order.

It is started by :mod:`multigrad.process.child` and answers with the messages of :mod:`multigrad.bench.timing.messages`.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import to_builtins

from multigrad.backend import Session, Unavailable, backend, device_kind
from multigrad.data.errors import BadInput

from ..plan.cells import Cell
from ..plan.protocol import Protocol
from ..store import machine
from . import messages
from .cell import Measurement
from .clock import Guards
from .facts import empty_operation, peaks, session_facts
from .gate import Gate


@dataclass(frozen=True)
class Opened:
    """A session, and what it cost to get it."""

    session: Session
    import_s: float
    first_operation_s: float
    started: float


def time_cells(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Time cells in order, as :meth:`multigrad.bench.measurement.workers.Workers.time` asks for."""
    protocol = Protocol.of(arguments["protocol"])
    cells = {int(i): Cell.from_json(c) for i, c in arguments["cells"].items()}
    try:
        opened = _open(arguments)
    except (Unavailable, BadInput) as error:
        yield to_builtins(messages.Unavailable(str(error)))
        return
    session = opened.session
    share_s = (time.perf_counter() - opened.started) / max(1, len(cells))
    # Others may begin at the same time: what is measured waits for its turn.
    arguments["turn"](next(iter(cells)))
    judge = Gate(arguments["judged"])
    cpus = machine.allowed_cpus()
    guards = Guards(machine.clock_reader(cpus[0]), _device_reader(session.device), others=machine.others_reader(cpus))
    empty = {mode: empty_operation(session, mode) for mode in dict.fromkeys(c.mode for c in cells.values())}
    facts = session_facts(session, empty)
    facts.import_s, facts.first_operation_s = opened.import_s, opened.first_operation_s
    yield to_builtins(messages.Opened(facts))
    if arguments["peaks"]:
        yield to_builtins(messages.Peaks(peaks(session, arguments["threads"], arguments["peaks"], protocol)))
    # Everything alive now stays: the collector need not walk through a framework in every collection to come.
    gc.collect()
    gc.freeze()
    for i, cell in cells.items():
        turn = functools.partial(arguments["turn"], i)
        turn()
        yield to_builtins(messages.Begun(i))
        measurement = Measurement(session, i, cell, arguments["references"][str(i)], protocol, judge, guards)
        timed = functools.partial(Measurement.time, share_s=share_s, calls=arguments["calls"][str(i)], turn=turn)
        yield to_builtins(measurement.guarded(timed, messages.CellEnded))
        session.release()
        gc.collect()


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
    yield to_builtins(measurement.guarded(Measurement.memory, messages.MemoryEnded))


def _open(arguments: Mapping[str, Any]) -> Opened:
    start = time.perf_counter()
    session = backend(arguments["source"]).open(
        arguments["device"], threads=arguments["threads"], precision=arguments["precision"]
    )
    imported = time.perf_counter()
    array = session.to_device(np.ones(1), session.dtypes[-1] if "float32" not in session.dtypes else "float32")
    session.wait((array + array,))
    return Opened(session, imported - start, time.perf_counter() - imported, arguments["worker_started"])


def _device_reader(device: str) -> Callable[[], tuple[float | None, int]]:
    return machine.gpu_reader() if device_kind(device) == "cuda" else Guards().device

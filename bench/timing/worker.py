"""The worker's side: one fresh process that measures the cells of one backend, device and thread count, in order.

It is started by :mod:`multigrad.process.child` and answers with one message as each cell begins and one as it ends.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from multigrad.backend import Backend, Session, Unavailable, backend, device_kind
from multigrad.data.errors import BadInput
from multigrad.ops.find import load_operations
from multigrad.ops.operation import Operation

from ..plan.cells import Cell
from ..plan.protocol import Protocol
from ..store import machine
from . import clock as timing
from . import gate, memory, roofline
from .gate import Gate, Passed

Message = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A session, and what it cost to get it."""

    session: Session
    import_s: float
    first_operation_s: float
    started: float


def measure(arguments: Mapping[str, Any]) -> Iterator[Message]:
    """Measure cells one after the other; ``arguments`` is what :func:`.measure.measure` sends."""
    protocol = Protocol.of(arguments["protocol"])
    cells = {int(i): Cell.from_json(c) for i, c in arguments["cells"].items()}
    try:
        opened = _open(arguments)
    except (Unavailable, BadInput) as error:
        yield {"unavailable": str(error)}
        return
    session = opened.session
    share_s = (time.perf_counter() - opened.started) / max(1, len(cells))
    # Others may begin at the same time: what is measured waits for its turn.
    arguments["turn"](next(iter(cells)))
    judge = Gate(arguments["judged"])
    cpus = machine.allowed_cpus()
    guards = timing.Guards(
        machine.clock_reader(cpus[0]), _device_reader(session.device), others=machine.others_reader(cpus)
    )
    empty = {mode: empty_operation(session, mode) for mode in dict.fromkeys(c.mode for c in cells.values())}
    yield {"worker": _facts(opened, arguments, empty)}
    if arguments["peaks"]:
        yield {"peaks": peaks(session, arguments["threads"], arguments["peaks"], protocol)}
    # Everything alive now stays: the collector need not walk through a framework in every collection to come.
    gc.collect()
    gc.freeze()
    for i, cell in cells.items():
        turn = functools.partial(arguments["turn"], i)
        turn()
        yield {"begin": i}
        one = Measurement(opened.session, cell, arguments["references"][str(i)], protocol, judge, guards)
        calls = arguments["calls"][str(i)]
        yield {
            "end": i,
            **one.guarded(functools.partial(Measurement.time, share_s=share_s, calls=calls, turn=turn)),
        }
        session.release()
        gc.collect()


def measure_memory(arguments: Mapping[str, Any]) -> Iterator[Message]:
    """Measure the memory of one cell."""
    protocol = Protocol.of(arguments["protocol"])
    ((key, values),) = arguments["cells"].items()
    yield {"begin": int(key)}
    try:
        opened = _open(arguments)
    except (Unavailable, BadInput) as error:
        yield {"end": int(key), "verdict": "UNAVAILABLE", "reason": str(error)}
        return
    judge = Gate(arguments["judged"])
    one = Measurement(opened.session, Cell.from_json(values), arguments["references"][key], protocol, judge)
    yield {"end": int(key), **one.guarded(Measurement.memory)}


def _open(arguments: Mapping[str, Any]) -> Opened:
    import numpy as np

    one: Backend = backend(arguments["source"])
    start = time.perf_counter()
    session = one.open(arguments["device"], threads=arguments["threads"], precision=arguments["precision"])
    imported = time.perf_counter()
    array = session.to_device(np.ones(1), session.dtypes[-1] if "float32" not in session.dtypes else "float32")
    session.wait((array + array,))
    return Opened(session, imported - start, time.perf_counter() - imported, arguments["worker_started"])


def _device_reader(device: str) -> Callable[[], tuple[float | None, int]]:
    return machine.gpu_reader() if device_kind(device) == "cuda" else timing.Guards().device


def _facts(opened: Opened, arguments: Mapping[str, Any], empty: Mapping[str, float | None]) -> Message:
    session = opened.session
    return {
        "import_s": opened.import_s,
        "first_operation_s": opened.first_operation_s,
        "device_name": session.device_name,
        "settings": dict(session.settings()),
        "thread_pools": thread_pools(),
        "cpus": machine.allowed_cpus(),
        "busy_threads": busy_threads(session) if device_kind(session.device) == "cpu" else None,
        "empty_s": dict(empty),
        "timer_step_s": timing.timer_step(),
        "environment": machine.environment_that_matters(os.environ),
        "load": os.getloadavg()[0],
        "turns": True,
    }


def thread_pools() -> list[dict[str, Any]]:
    """Return every thread pool that threadpoolctl finds in this process, without the paths."""
    from threadpoolctl import threadpool_info

    wanted = ("user_api", "internal_api", "version", "num_threads", "threading_layer", "architecture")
    return [{k: pool[k] for k in wanted if pool.get(k) is not None} for pool in threadpool_info()]


def busy_threads(session: Session) -> float:
    """Return CPU time over wall time of large products: how many threads really work, whatever anybody says."""
    import numpy as np

    dtype = "float32" if "float32" in session.dtypes else session.dtypes[0]
    matrix = session.to_device(np.ones((512, 512)), dtype)
    session.wait((matrix @ matrix,))
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < 0.05:
        session.wait((matrix @ matrix,))
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def empty_operation(session: Session, mode: str) -> float | None:
    """Return the time in seconds of the least there is to call: one addition of two single numbers."""
    import numpy as np

    dtype = "float32" if "float32" in session.dtypes else session.dtypes[0]
    array = session.to_device(np.ones(1), dtype)

    def least(x: Any) -> tuple[Any, ...]:
        return (x + x,)

    function = least
    if mode == "compiled":
        try:
            function = session.compile(least)
            session.wait(function(array))
        except Exception:  # noqa: BLE001 - whatever a compiler raises, the cells will say it too
            return None
    durations = []
    for _ in range(200):
        start = time.perf_counter()
        session.wait(function(array))
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[100:])


def peaks(session: Session, threads: int, wanted: Mapping[str, Any], protocol: Protocol) -> Message:
    """Measure the product's rate for each dtype in ``wanted["dtypes"]``, and bandwidth if ``wanted["bandwidth"]``."""
    found: Message = {"flop_per_s": {}, "bandwidth": None}
    for dtype in wanted["dtypes"]:
        if dtype in session.dtypes:
            found["flop_per_s"][dtype] = roofline.product_rate(session, dtype, protocol)
    if wanted["bandwidth"]:
        found["bandwidth"] = asdict(roofline.bandwidth(session, threads, protocol))
    return found


@dataclass
class Measurement:
    """One cell in one process."""

    session: Session
    cell: Cell
    reference: str
    """The file with inputs and reference."""
    protocol: Protocol
    gate: Gate
    guards: timing.Guards = field(default_factory=timing.Guards)

    def guarded(self, work: Callable[[Measurement], Message]) -> Message:
        """Do the work; whatever a framework raises belongs to this cell alone."""
        try:
            return work(self)
        except (Unavailable, BadInput) as error:  # a commit that has no such operation is no failure of it
            return {"verdict": "UNAVAILABLE", "reason": _one_line(error)}
        except Exception as error:  # noqa: BLE001 - frameworks raise what they like, and the next cell must go on
            from multigrad.verdict.judge import blamed

            reason = f"raised {type(error).__name__}: {_one_line(error)}"
            return {"verdict": blamed("FAIL", self.cell.variant), "reason": reason}

    def time(self, share_s: float, calls: dict[str, int] | None, turn: Callable[[], None]) -> Message:
        """Set up, gate and time the cell.

        Args:
            share_s: this cell's share of the worker's start, in seconds.
            calls: calls per block as round 0 found them.
            turn: lets the other workers have their turns.
        """
        started = time.perf_counter()
        arrays, to_device_s = self._to_device()
        function, stages, outputs, first_call_s = self._first_call(arrays)
        passed, digest, to_host_s = self._gate(outputs)
        answer: Message = {**asdict(passed), "digest": digest}
        if passed.verdict not in ("PASS", "NOTE"):
            return answer
        if self.cell.mode == "compiled":
            answer["collectives"] = self.session.collectives(function, *arrays)
        on_cpu = device_kind(self.session.device) == "cpu"
        output_bytes = sum(getattr(a, "nbytes", 0) for a in outputs)
        del outputs
        setup_s = time.perf_counter() - started + share_s
        queue = machine.RunQueue()
        result = timing.measure(
            function,
            arrays,
            self.session.wait,
            self.protocol,
            headline=timing.headline(self.session.device),
            budget_s=min(self.protocol.process_limit_s, self.protocol.setup_share * setup_s),
            calls=calls,
            keep=max(1, self.protocol.kept_outputs_bytes // max(1, output_bytes)) if on_cpu else None,
            guards=replace(self.guards, waited=queue.seconds),
            place=self._elsewhere(arrays) if on_cpu else None,
            turn=turn,
        )
        queue.close()
        return {
            **answer,
            **stages,
            "first_call_s": first_call_s,
            "to_device_s": to_device_s,
            "to_host_s": to_host_s,
            "setup_s": setup_s,
            "load": os.getloadavg()[0],
            "wait_s": result.wait_s,
            "warm": result.warm,
            "warmup_s": result.warmup_s,
            "timed_s": result.blocks_s,
            "calls": result.calls,
            "blocks": [list(asdict(block).values()) for block in result.blocks],
        }

    def memory(self) -> Message:
        """Measure the peak of one call beyond its inputs, after a first call."""
        arrays, _ = self._to_device()
        function, _, outputs, _ = self._first_call(arrays)
        passed, _, _ = self._gate(outputs)
        if passed.verdict not in ("PASS", "NOTE"):
            return {"verdict": passed.verdict, "reason": passed.reason}
        del outputs
        gc.collect()
        session = self.session
        session.reset_peak_memory()
        before = session.peak_memory()

        def call() -> None:
            session.wait(function(*arrays))

        if device_kind(session.device) != "cpu":
            call()
            after = session.peak_memory()
            if after is None:
                return {"verdict": "PASS", "peak_bytes": None, "reason": "the framework does not tell its peak"}
            held = before if before is not None else sum(a.nbytes for a in arrays)
            return {"verdict": "PASS", "peak_bytes": max(0, after - held), "reason": "the framework's own peak"}
        grown, how = memory.growth(call)
        return {"verdict": "PASS", "peak_bytes": grown, "reason": how}

    def _to_device(self) -> tuple[list[Any], float]:
        session, cell, operation = self.session, self.cell, self.operation
        if cell.dtype not in session.dtypes:
            raise Unavailable(f"{session.backend.name} has no {cell.dtype} on {session.device}")
        given = gate.read_inputs(self.reference)
        if cell.variant == "forward":
            given = given[: len(operation.inputs)]
        durations = []
        for _ in range(self.protocol.transfers):
            start = time.perf_counter()
            arrays = session.place(operation, given, cell.dtype)
            session.wait(arrays)
            durations.append(time.perf_counter() - start)
        return arrays, statistics.median(durations)

    def _elsewhere(self, arrays: Sequence[Any]) -> Callable[[], Sequence[Any]]:
        """Return a function that makes the arrays anew, each at an address of its own luck."""
        import numpy as np

        session, operation = self.session, self.operation
        given = [session.to_numpy(a) for a in arrays]
        rng = random.Random(os.getpid())
        between: list[Any] = []

        def place() -> Sequence[Any]:
            # What lies between them shifts them, and what is allocated during a call too.
            between[:] = [np.empty(rng.randrange(1, 2**16), dtype=np.uint8) for _ in range(2 * len(given))]
            moved = session.place(operation, [np.array(a) for a in given], self.cell.dtype)
            session.wait(moved)
            return moved

        return place

    @property
    def operation(self) -> Operation:
        """The operation."""
        return load_operations([self.cell.reference])[0]

    def _first_call(self, arrays: Sequence[Any]) -> tuple[Callable[..., Any], Message, Sequence[Any], float]:
        """Return the function, its compiler's stages, its outputs, and the seconds from having it to having them."""
        session, cell = self.session, self.cell
        _, parameters = self.operation.split(dict(cell.size))
        stages: Message = {}
        start = time.perf_counter()
        staged = None
        if cell.mode == "compiled":
            eager = session.function(self.operation, parameters, cell.variant, "eager")  # type: ignore[arg-type]
            staged = session.compile_stages(eager, *arrays)
        if staged is not None:
            function, stages = staged[0], dict(staged[1])
        else:
            function = session.function(self.operation, parameters, cell.variant, cell.mode)  # type: ignore[arg-type]
        outputs = function(*arrays)
        session.wait(outputs)
        return function, stages, outputs, time.perf_counter() - start

    def _gate(self, outputs: Sequence[Any]) -> tuple[Passed, str, float]:
        """Return what the gate says, the digest of the outputs, and the seconds that it took to fetch them."""
        durations = []
        for _ in range(self.protocol.transfers):
            start = time.perf_counter()
            host = [self.session.to_numpy(array) for array in outputs]
            durations.append(time.perf_counter() - start)
        kinds = [self.session.dtype_name(array) for array in outputs]
        operation, variant = self.operation, self.cell.variant
        _, parameters = operation.split(dict(self.cell.size))
        passed, digest = self.gate.passes(operation, parameters, variant, host, kinds, self.reference, self.cell.dtype)
        from multigrad.verdict.judge import blamed

        passed = self.session.backend.worded(passed, operation, variant)
        passed = replace(passed, verdict=blamed(passed.verdict, variant))
        return passed, digest, statistics.median(durations)


def _one_line(error: BaseException) -> str:
    text = ""
    with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text

"""One cell in one process: set up, called once, judged, and then timed, or its memory measured."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET

from multigrad.backend import Session, Unavailable, device_kind
from multigrad.data.decode import reason
from multigrad.data.errors import BadInput, one_line
from multigrad.ops.find import load_operations
from multigrad.ops.operation import Operation
from multigrad.truth.files import read_arrays
from multigrad.verdict.words import blamed

from ..plan.cells import Cell, headline
from ..plan.protocol import Protocol
from .clock import Guards, Workload, time_blocks
from .gate import Gate, Passed
from .memory import growth
from .messages import CellEnded, MemoryEnded

Ended = TypeVar("Ended", CellEnded, MemoryEnded)

PLANNED = "what the compiler planned"
"""How the peak of a compiled call was found where its compiler tells."""

STAGES = ("trace_s", "lower_s", "compile_s")
"""What a compiler may tell of its first call, in seconds."""


@dataclass
class Measurement:
    """One cell in one process."""

    session: Session
    number: int
    """Of the cell in the plan."""
    cell: Cell
    reference: str
    """The file with inputs and reference."""
    protocol: Protocol
    gate: Gate
    guards: Guards = field(default_factory=Guards)
    cold: bool = False
    """Whether its first call shall find nothing that other cells have compiled."""

    def time(self, calls: Mapping[str, int] | None) -> Generator[None, None, CellEnded]:
        """Set up, gate and time the cell; yield before the warm-up and before each turn, for others to go on.

        Args:
            calls: calls per block as round 0 found them.

        Returns:
            What was found; whatever a framework raises belongs to this cell alone.
        """
        try:
            return (yield from self._time(calls))
        except Exception as error:  # noqa: BLE001 - frameworks raise what they like, and the next cell must go on
            return self._failed(error, CellEnded)

    def memory(self) -> MemoryEnded:
        """Measure the peak of one call beyond its inputs, after a first call."""
        try:
            return self._memory()
        except Exception as error:  # noqa: BLE001 - frameworks raise what they like
            return self._failed(error, MemoryEnded)

    def _failed(self, error: Exception, kind: type[Ended]) -> Ended:
        if isinstance(error, Unavailable | BadInput):  # a commit that has no such operation is no failure of it
            return kind(cell=self.number, verdict="UNAVAILABLE", reason=reason(error))
        if cannot := self.session.backend.cannot(error):
            return kind(cell=self.number, verdict="UNAVAILABLE", reason=f"{cannot.rstrip('.')}: {reason(error)}")
        verdict = blamed("FAIL", self.cell.variant)
        return kind(cell=self.number, verdict=verdict, reason=f"raised {one_line(error)}")

    def _time(self, calls: Mapping[str, int] | None) -> Generator[None, None, CellEnded]:
        started = time.perf_counter()
        inputs = self._inputs()
        arrays = self._place(inputs)
        if self.cold:
            self.session.make_cold()
        function, stages, outputs, first_call_s = self._first_call(arrays)
        passed, digest = self._gate(outputs)
        judged = CellEnded(cell=self.number, **vars(passed), digest=digest)
        if passed.verdict not in ("PASS", "NOTE"):
            return judged
        collectives = self.session.collectives(function, *arrays) if self.cell.mode == "compiled" else UNSET
        on_cpu = device_kind(self.session.device) == "cpu"
        output_bytes = sum(getattr(a, "nbytes", 0) for a in outputs)
        keep = max(1, self.protocol.kept_outputs_bytes // max(1, output_bytes)) if on_cpu else None
        setup_s = time.perf_counter() - started
        del outputs
        yield
        to_device_s, to_host_s = self._transfers(inputs, function)
        elsewhere = self._elsewhere(inputs) if on_cpu else None
        del inputs
        result = yield from time_blocks(
            Workload(function, arrays, self.session.wait, keep, self.session.events, elsewhere),
            self.protocol,
            headline=headline(self.session.device),
            calls=calls,
            guards=self.guards,
        )
        return msgspec.structs.replace(
            judged,
            **stages,
            collectives=collectives,
            first_call_s=first_call_s,
            to_device_s=to_device_s,
            to_host_s=to_host_s,
            setup_s=setup_s,
            load=os.getloadavg()[0],
            wait_s=result.wait_s,
            dispatch_s=result.dispatch_s,
            event_ratio=UNSET if result.event_ratio is None else result.event_ratio,
            warm=result.warm,
            warmup_s=result.warmup_s,
            timed_s=result.blocks_s,
            calls=result.calls,
            blocks=result.blocks,
            note=self.guards.note(),
        )

    def _memory(self) -> MemoryEnded:
        arrays = self._place(self._inputs())
        function, _, outputs, _ = self._first_call(arrays)
        passed, _ = self._gate(outputs)
        if passed.verdict not in ("PASS", "NOTE"):
            return MemoryEnded(self.number, passed.verdict, passed.reason)
        del outputs
        gc.collect()
        session = self.session
        on_cpu = device_kind(session.device) == "cpu"
        planned = session.planned_memory(function, *arrays) if self.cell.mode == "compiled" else None
        if not on_cpu and planned is not None:
            return MemoryEnded(self.number, "PASS", PLANNED, planned)
        session.reset_peak_memory()
        before = session.peak_memory()

        def call() -> None:
            session.wait(function(*arrays))

        if on_cpu:
            grown, how = growth(call)
            # Pages that were freed and not given back are used again, and the resident set does not grow by them.
            if planned is not None and planned > (grown or 0):
                return MemoryEnded(self.number, "PASS", PLANNED, planned)
            return MemoryEnded(self.number, "PASS", how, grown)
        call()
        after = session.peak_memory()
        if after is None:
            return MemoryEnded(self.number, "PASS", session.no_peak)
        held = before if before is not None else sum(a.nbytes for a in arrays)
        return MemoryEnded(self.number, "PASS", "the framework's own peak", max(0, after - held))

    def _inputs(self) -> list[np.ndarray]:
        inputs = read_arrays(Path(self.reference))
        return inputs[: len(self.operation.inputs)] if self.cell.variant == "forward" else inputs

    def _place(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        session, cell = self.session, self.cell
        if cell.dtype not in session.dtypes:
            raise Unavailable(f"{session.backend.name} has no {cell.dtype} on {session.device}")
        arrays = session.place(self.operation, inputs, cell.dtype)
        session.wait(arrays)
        return arrays

    def _transfers(self, inputs: Sequence[np.ndarray], function: Callable[..., Any]) -> tuple[float, float]:
        """Return the seconds that it takes to copy the arguments to the device, and the outputs from it."""
        start = time.perf_counter()
        arrays = self._place(inputs)
        to_device_s = time.perf_counter() - start
        outputs = function(*arrays)
        self.session.wait(outputs)
        start = time.perf_counter()
        for array in outputs:
            self.session.to_numpy(array)
        return to_device_s, time.perf_counter() - start

    def _elsewhere(self, inputs: Sequence[np.ndarray]) -> Callable[[], Sequence[Any]]:
        """Return a function that makes the arguments anew, each at an address of its own luck."""
        session, operation = self.session, self.operation
        rng = random.Random(os.getpid())
        between: list[Any] = []

        def place() -> Sequence[Any]:
            # What lies between them shifts them, and what is allocated during a call too.
            between[:] = [np.empty(rng.randrange(1, 2**16), dtype=np.uint8) for _ in range(2 * len(inputs))]
            moved = session.place(operation, [np.array(a) for a in inputs], self.cell.dtype)
            session.wait(moved)
            return moved

        return place

    @property
    def operation(self) -> Operation:
        """The operation."""
        return load_operations([self.cell.reference])[0]

    def _first_call(self, arrays: Sequence[Any]) -> tuple[Callable[..., Any], dict[str, float], Sequence[Any], float]:
        """Return the function, its compiler's stages, its outputs, and the seconds from having it to having them."""
        session, cell = self.session, self.cell
        _, parameters = self.operation.split(dict(cell.size))
        stages: dict[str, float] = {}
        start = time.perf_counter()
        staged = None
        if cell.mode == "compiled":
            eager = session.function(self.operation, parameters, cell.variant, "eager")
            staged = session.compile_stages(eager, *arrays)
        if staged is not None:
            function, stages = staged[0], {name: staged[1][name] for name in STAGES if name in staged[1]}
        else:
            function = session.function(self.operation, parameters, cell.variant, cell.mode)  # type: ignore[arg-type]
        outputs = function(*arrays)
        session.wait(outputs)
        return function, stages, outputs, time.perf_counter() - start

    def _gate(self, outputs: Sequence[Any]) -> tuple[Passed, str]:
        """Return what the gate says of the outputs, and their digest."""
        host = [self.session.to_numpy(array) for array in outputs]
        kinds = [self.session.dtype_name(array) for array in outputs]
        operation, variant = self.operation, self.cell.variant
        _, parameters = operation.split(dict(self.cell.size))
        made = self.session.implementation(operation, variant)
        accumulate = None if made is None else made.accumulate
        passed, digest = self.gate.passes(
            operation, parameters, variant, host, kinds, self.reference, self.cell.dtype, accumulate
        )
        passed = self.session.backend.worded(passed, operation, variant, self.cell.mode, "gaussian")
        return replace(passed, verdict=blamed(passed.verdict, variant)), digest

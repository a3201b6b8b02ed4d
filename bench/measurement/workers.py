"""How the workers of a run are started: what each is given, its environment and its processors."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multigrad.backend import backend
from multigrad.process.child import Death, Message, run

from ..plan.cells import OTHER, Work
from ..store import machine
from ..timing import memory
from ..timing.messages import CellEnded, MemoryEnded, Said, decoded
from .record import Record
from .worktree import Tree


@dataclass
class Reference:
    """The inputs of a cell and their truth."""

    path: str
    """The file."""
    array_bytes: int = 0
    """Of the inputs and cotangents together."""


@dataclass
class Workers:
    """Starts the workers of one run."""

    record: Record
    scratch: Path
    """A folder that goes with the run."""
    other: Tree | None
    """The commit that measures the same cells, if one was asked for."""
    references: dict[int, Reference] = field(default_factory=dict)
    """By index of the cell."""

    def prepare(self, wanted: Mapping[int, Any]) -> Generator[Message | Death]:
        """Start a worker that finds references; see :func:`multigrad.bench.timing.gate.prepare`."""
        target, arguments = "multigrad.bench.timing.gate:prepare", {"wanted": wanted}
        yield from run(target, arguments, timeout_s=self.record.protocol.cell_timeout_s)

    def time(self, item: Work) -> Generator[Said | CellEnded | Death]:
        """Start a worker that times cells; see :func:`multigrad.bench.timing.worker.time_cells`."""
        cells = {str(i): self.record.plan.cells[i].to_json() for i in item.cells}
        other = self.other if item.twin == OTHER else None
        if other is not None:
            for cell in cells.values():
                cell["reference"] = other.reference(cell["reference"])
        arguments = {
            **self._arguments(item, cells),
            "groups": item.groups,
            "cold": item.round == 0 or not self.record.protocol.share_compiled,
            "calls": {str(i): self.record.calls(i) for i in item.cells},
            "peaks": self.record.wanted_peaks(item),
        }
        environment = self._environment(item)
        root = None if other is None else other.root
        for message in self._run("multigrad.bench.worker:measure", arguments, item, environment, root):
            yield message if isinstance(message, Death) else decoded(message, CellEnded)

    def measure_memory(self, index: int) -> Generator[Said | MemoryEnded | Death]:
        """Start a worker that measures the memory of a cell: :func:`multigrad.bench.timing.worker.measure_memory`."""
        cell = self.record.plan.cells[index]
        item = Work(cell.source, cell.backend, cell.device, cell.threads, cell.precision, 0, 0, ((index,),))
        arguments = self._arguments(item, {str(index): cell.to_json()})
        # Compile time is not measured here, so what the timing workers compiled may be found again.
        environment = {**self._environment(item), **memory.ENVIRONMENT}
        for message in self._run("multigrad.bench.worker:measure_memory", arguments, item, environment, None):
            yield message if isinstance(message, Death) else decoded(message, MemoryEnded)

    def _run(
        self,
        target: str,
        arguments: Mapping[str, Any],
        item: Work,
        environment: Mapping[str, str | None],
        root: Path | None,
    ) -> Generator[Message | Death]:
        timeout_s, cpus = self.record.protocol.cell_timeout_s, _cpus(item.threads)
        yield from run(target, arguments, environment=environment, cpus=cpus, timeout_s=timeout_s, root=root)

    def _arguments(self, item: Work, cells: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "protocol": asdict(self.record.protocol),
            "source": item.source,
            "device": item.device,
            "threads": item.threads,
            "precision": item.precision,
            "cells": cells,
            "references": {key: self.references[int(key)].path for key in cells},
            "judged": self.record.judged(),
        }

    def _environment(self, item: Work) -> dict[str, str | None]:
        # What compilers keep, and what they write below the folder for temporary files: an own one is empty, and goes
        # with the run.
        own = self.scratch / machine.slug(f"{self._cache(item)} {item.device} {item.threads}")
        own.mkdir(exist_ok=True)
        chosen = backend(item.source).environment(item.device, item.threads, item.precision, caches=own)  # type: ignore[arg-type]
        return {**dict.fromkeys(machine.UNSET_VARIABLES), **chosen, "TMPDIR": str(own)}

    def _cache(self, item: Work) -> str:
        """Return the name of the folder in which compilers find what earlier workers compiled."""
        # The second half of an A/A pair finds nothing of the first and leaves it nothing, nor does another commit.
        name = f"{item.backend}-{item.twin}"
        return name if self.record.protocol.share_compiled else f"{name}-{item.round}"


def _cpus(threads: int) -> list[int]:
    cores = machine.physical_cpus()
    return (cores if threads <= len(cores) else machine.allowed_cpus())[:threads]

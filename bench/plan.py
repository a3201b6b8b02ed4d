"""Which cells are measured, by which workers, in which order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from multigrad.backend import Backend, Gap, backend, backends, cuda_device_count
from multigrad.operation import BadInput, Operation

VARIANTS = ("forward", "analytic", "autodiff", "native")
MODES = ("eager", "compiled")
QUICK_DTYPES = ("float32",)
DEFAULT_DTYPES = ("float64", "float32")
QUICK_WITHOUT = (("forward", "compiled"), ("native", "compiled"))
"""Not in a quick run unless asked for: compiling is dear, and the question is analytic against autodiff."""


@dataclass(frozen=True)
class Cell:
    """What is measured once: one variant of one operation at one size, somewhere."""

    reference: str
    """How a worker finds the operation."""
    operation: str
    variant: str
    mode: str
    source: str
    """How a worker finds the backend: its name, or ``module:ATTRIBUTE``."""
    backend: str
    device: str
    dtype: str
    size_name: str
    size: tuple[tuple[str, Any], ...]
    threads: int
    precision: str

    @property
    def sizes(self) -> str:
        """The size in one line, as in the matrix."""
        return " ".join(f"{k}={v}" for k, v in self.size).replace(", ", ",")

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same cell in another run."""
        where = (self.backend, self.device, self.dtype, self.sizes, self.threads, self.precision)
        return (self.operation, self.variant, self.mode, *where)

    @property
    def text(self) -> str:
        """The cell in one line for a person."""
        where = f"{self.backend}/{self.device}"
        return f"{self.operation} {self.variant} {self.mode} on {where} {self.dtype} {self.size_name}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**asdict(self), "size": dict(self.size)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cell:
        """Read it from a JSON object."""
        size = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in values["size"].items())
        return cls(**{**values, "size": size})


@dataclass(frozen=True)
class Refusal:
    """Why a cell is not measured."""

    verdict: str
    """UNAVAILABLE or GAP."""
    reason: str


@dataclass(frozen=True)
class Plan:
    """All cells, with those that are refused from the start, and the twins."""

    cells: tuple[Cell, ...]
    refused: Mapping[int, Refusal]
    """By index of the cell."""
    twins: tuple[int, ...]
    """Indices of the cells that are measured a second time, in processes of their own: the A/A pairs."""
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "cells": [c.to_json() for c in self.cells],
            "refused": {str(i): [r.verdict, r.reason] for i, r in self.refused.items()},
            "twins": list(self.twins),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """Read it from a JSON object."""
        return cls(
            tuple(Cell.from_json(c) for c in values["cells"]),
            {int(i): Refusal(*r) for i, r in values["refused"].items()},
            tuple(values["twins"]),
            values["seed"],
        )


@dataclass(frozen=True)
class Work:
    """What one fresh process does in one round."""

    source: str
    backend: str
    device: str
    threads: int
    precision: str
    round: int
    twin: int
    """0, or 1 for the second half of the A/A pairs."""
    cells: tuple[int, ...]
    """Indices of cells, in the order in which they are measured."""


def make(
    operations: Sequence[Operation],
    *,
    backends: Sequence[str] | None,
    devices: Sequence[str] | None,
    dtypes: Sequence[str],
    variants: Sequence[str] | None,
    modes: Sequence[str] | None,
    sizes: Sequence[str] | None,
    threads: Sequence[int],
    precision: str,
    seed: int,
    quick: bool,
    twins: int,
) -> Plan:
    """Make the plan; see :func:`.measure.measure` for the arguments.

    Every combination is a cell, once; what is known to be impossible is refused with its reason, never left out.

    Raises:
        BadInput: an unknown name, or an operation that another process could not find.
    """
    for op in operations:
        if not op.reference:
            raise BadInput(f"{op.name} cannot be found by another process; define it at the top of a file")
    quick_cells = quick and variants is None and modes is None
    variants, modes = variants or VARIANTS, modes or MODES
    _known("variant", variants, VARIANTS)
    _known("mode", modes, MODES)
    cells: dict[Cell, Refusal | None] = {}
    sources = _sources(backends)
    for (source, one), op in itertools.product(sources, operations):
        for device in devices if devices is not None else default_devices(one):
            where = itertools.product(variants, modes, dtypes, _sizes(op, sizes, quick), threads)
            for variant, mode, dtype, size_name, count in where:
                if quick_cells and (variant, mode) in QUICK_WITHOUT:
                    continue
                cell = Cell(
                    op.reference,
                    op.name,
                    variant,
                    mode,
                    source,
                    one.name,
                    device,
                    dtype,
                    size_name,
                    tuple(op.size(size_name).items()),
                    count,
                    precision,
                )
                cells.setdefault(cell, refusal(one, op, cell))
    listed = tuple(cells)
    refused = {i: r for i, r in enumerate(cells.values()) if r is not None}
    if len(refused) == len(listed):
        reasons = dict.fromkeys(f"{listed[i].backend}: {r.reason}" for i, r in refused.items())
        raise BadInput(f"nothing to measure: {'; '.join(itertools.islice(reasons, 4)) or 'no cell was asked for'}")
    return Plan(listed, refused, _twins(listed, refused, twins, quick), seed)


def _known(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise BadInput(f"no {kind} named {name!r}; there are {', '.join(known)}")


def _sources(names: Sequence[str] | None) -> list[tuple[str, Backend]]:
    if names is None:
        return [(name, one) for name, one in backends().items()]
    return [(name, backend(name)) for name in dict.fromkeys(names)]


def default_devices(one: Backend) -> list[str]:
    """Return the devices worth asking for: those that are here, and else the first, so that its absence is worded."""
    here = [d for d in one.devices if d != "cuda" or cuda_device_count() > 0]
    return here or list(one.devices[:1])


def _sizes(op: Operation, wanted: Sequence[str] | None, quick: bool) -> list[str]:
    if wanted is None:
        # The smallest only measure what a call costs; the largest takes too long for a quick run.
        names = list(op.sizes)
        middle = names[len(names) // 2]
        wanted = ["small"] if quick else ["medium", names[-1]]
        return list(dict.fromkeys(name if name in names else middle for name in wanted))
    return [name for name in wanted if op.size(name) is not None]


def refusal(one: Backend, op: Operation, cell: Cell) -> Refusal | None:
    """Return why a cell cannot be measured, as far as is known without importing the framework."""
    if reason := one.missing(cell.device):
        return Refusal("UNAVAILABLE", reason)
    if cell.dtype not in op.dtypes:
        return Refusal("UNAVAILABLE", f"{op.name} is not meant for {cell.dtype}")
    if cell.mode not in one.modes:
        return Refusal("UNAVAILABLE", f"{one.name} has no compiler")
    if cell.variant not in one.variants:
        return Refusal("UNAVAILABLE", f"{one.name} has no {cell.variant} variant")
    gap: Gap | None = one.gap(op.name, cell.dtype, cell.mode, cell.variant, cell.device)
    return Refusal("GAP", f"{gap.kind}: {gap.reason}") if gap is not None else None


def _twins(cells: Sequence[Cell], refused: Mapping[int, Refusal], count: int, quick: bool) -> tuple[int, ...]:
    # Eager ones: a twin shall cost little, and the noise of a process does not depend on who compiled.
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, cell in enumerate(cells):
        if i not in refused and cell.mode == "eager":
            groups.setdefault(_group(cell), []).append(i)
    # In a quick run the first backend speaks for all: every other would cost the import of a framework.
    chosen = list(groups.values())[: 1 if quick else None]
    return tuple(itertools.chain.from_iterable(_spread(group, count) for group in chosen))


def _spread(items: Sequence[int], count: int) -> list[int]:
    step = max(1, len(items) // max(1, count))
    return list(items[::step][:count])


def _group(cell: Cell) -> tuple[Any, ...]:
    return cell.source, cell.backend, cell.device, cell.threads, cell.precision


def work(plan: Plan, round: int, indices: Collection[int], twins: Collection[int]) -> list[Work]:
    """Return the workers of a round in shuffled order, the cells of each shuffled too, all from the plan's seed.

    Args:
        plan: the plan.
        round: which round, from 0.
        indices: the cells that are wanted in it.
        twins: the second halves of A/A pairs that are wanted in it.
    """
    rng = random.Random(f"multigrad {plan.seed} {round}")
    workers = []
    for twin, wanted in enumerate((indices, twins)):
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i in sorted(wanted):
            groups.setdefault(_group(plan.cells[i]), []).append(i)
        for group, members in groups.items():
            rng.shuffle(members)
            source, name, device, threads, precision = group
            workers.append(Work(source, name, device, threads, precision, round, twin, tuple(members)))
    rng.shuffle(workers)
    return workers


def without(item: Work, finished: Collection[int]) -> Work:
    """Return the same work without the cells that are finished."""
    return replace(item, cells=tuple(i for i in item.cells if i not in finished))

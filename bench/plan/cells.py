"""Which cells are measured, by which workers, in which order."""

from __future__ import annotations

import ast
import itertools
import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Backend,
    Gap,
    backend,
    backends,
    cuda_device_count,
    device_kind,
    known_devices,
    mesh_shape,
)
from multigrad.backend.placement import input_shapes, undivided
from multigrad.data.errors import BadInput
from multigrad.ops.find import given_operations
from multigrad.ops.implementation import FORMS
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Selection, SizeGiven

if TYPE_CHECKING:
    import pandas as pd

VARIANTS = FORMS
"""What every operation may have; the other variants are the names of implementations."""
MODES = ("eager", "compiled")
DEFAULT_DTYPES = ("float32",)
"""What people train in; a run of both widths takes twice as long, and a study compares them."""
WITHOUT_ASKING = (("forward", "compiled"), ("native", "compiled"))
"""Measured only if asked for: compiling is dear, and the question is analytic against autodiff."""

OTHER = 2
"""What :attr:`Work.twin` is for the workers of another commit."""

LARGEST = "largest"
"""Instead of a size's name: each operation's largest."""

KEY = ("operation", "variant", "mode", "backend", "device", "dtype", "sizes", "threads", "precision", "machine")
"""The columns that make a row of the summary the same cell in another run."""

LATENCY, PIPELINED = "latency", "pipelined"
"""Kinds of block: every call waited for, or n calls and one wait."""


def headline(device: str) -> str:
    """Return which kind of block stands in the table.

    On a CPU every call is waited for: waiting costs next to nothing there, and independent calls would otherwise share
    its cores. On an accelerator the queue is kept full, as a program keeps it.
    """
    return LATENCY if device_kind(device) == "cpu" else PIPELINED


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
        """What makes it the same cell in another run of the same machine, which needs no name there."""
        where = (self.backend, self.device, self.dtype, self.sizes, self.threads, self.precision)
        return (self.operation, self.variant, self.mode, *where, "")

    @property
    def match(self) -> tuple[Any, ...]:
        """What it has in common with the cells that do the same elsewhere; its first three name the problem."""
        return (self.operation, self.sizes, self.dtype, self.variant, self.mode)

    @property
    def text(self) -> str:
        """The cell in one line for a person."""
        where = f"{self.backend}/{self.device}"
        return f"{self.operation} {self.variant} {self.mode} on {where} {self.dtype} {self.size_name or self.sizes}"

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
    """0; 1 for the second half of the A/A pairs; :data:`OTHER` for the same cells of another commit."""
    groups: tuple[tuple[int, ...], ...]
    """Indices of cells: those of a group take turns with each other, one group after the other."""

    @property
    def cells(self) -> tuple[int, ...]:
        """Indices of all its cells."""
        return tuple(itertools.chain.from_iterable(self.groups))


def cells(selection: Selection) -> dict[Cell, Refusal | None]:
    """Return every combination of a selection, once, with why it cannot be measured.

    A selection without counts of threads has one thread for each worker: this room knows no machine.

    Raises:
        BadInput: an unknown name, or an operation that another process could not find.
    """
    operations = given_operations(selection.ops)
    for op in operations:
        if not op.reference:
            raise BadInput(f"{op.name} cannot be found by another process; define it at the top of a file")
    asked = selection.variant is not None or selection.mode is not None
    names = list(dict.fromkeys(name for op in operations for _, name in op.implementations))
    variants, modes = selection.variant or (*VARIANTS, *names), selection.mode or MODES
    _known("variant", variants, (*VARIANTS, *names))
    _known("mode", modes, MODES)
    combinations: dict[Cell, Refusal | None] = {}
    sources = [
        # Nobody computes on the standard itself: it checks, and is timed only if asked for.
        (source, one)
        for source, one in _sources(selection.backend)
        if selection.backend is not None or not one.standard
    ]
    known_devices(selection.device or (), [one for _, one in sources])
    for (source, one), op in itertools.product(sources, operations):
        sizes = _sizes(op, selection.size, selection.quick)
        for device in default_devices(one) if selection.device is None else selection.device:
            where = itertools.product(
                variants, modes, selection.dtype or DEFAULT_DTYPES, sizes, selection.threads or (1,)
            )
            for variant, mode, dtype, (size_name, size), count in where:
                if not asked and ((variant, mode) in WITHOUT_ASKING or variant == _without_meaning(one, op)):
                    continue
                if variant in names and (one.name, variant) not in op.implementations:
                    continue  # nobody wrote it here
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
                    tuple(size.items()),
                    count,
                    selection.precision,
                )
                combinations.setdefault(cell, refusal(one, op, cell))
    return combinations


def _without_meaning(one: Backend, op: Operation) -> str:
    """Return the variant that is timed only if it is asked for: nobody would pick it.

    It is the tape's pullback of a reference that has none, beside the framework's autodiff; or the tape's autodiff,
    beside a hand-derived pullback.
    """
    if not op.has_pullback:
        return "analytic"
    return "autodiff" if one.taped else ""


def again(
    summary: pd.DataFrame,
    operations: Sequence[Operation],
    backends: Sequence[str] | None,
    *,
    seed: int,
    twins: int,
    own: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the cells that have a time in another run's summary once more.

    Args:
        summary: the columns of :class:`multigrad.bench.store.rows.SummaryRow`.
        operations: where the operations are found by their names; those the summary does not name are left out.
        backends: names or ``module:ATTRIBUTE``, to find the backends by; None is every one there is.
        seed: of inputs and orders.
        twins: A/A pairs for each worker.
        own: the file of each operation that was not the catalogue's; None if the other run does not tell.

    Raises:
        BadInput: an operation or a backend of the summary is not here, or is another operation of that name.
    """
    ops = {op.name: op for op in operations}
    sources = {one.name: (source, one) for source, one in _sources(backends)}
    cells: dict[Cell, Refusal | None] = {}
    for row in summary[summary["median_s"].notna()].to_dict("records"):
        for kind, name, known in (
            ("operation", row["operation"], ops.keys()),
            ("backend", row["backend"], sources.keys()),
        ):
            if name not in known:
                raise BadInput(
                    f"no {kind} named {name!r} here, which the other run measured; there are {', '.join(known)}"
                )
        op, (source, one) = ops[row["operation"]], sources[row["backend"]]
        if own is not None and op.catalogued == (op.name in own):
            measured = f"that of {own[op.name]}" if op.name in own else "the catalogue's"
            raise BadInput(f"the {op.name} that the other run measured is {measured}, which was not given here")
        size = tuple(parse_size(row["sizes"]).items())
        names = {name: str(row[name]) for name in ("operation", "variant", "mode", "backend", "device", "dtype")}
        where = {"threads": int(row["threads"]), "precision": str(row["precision"])}
        cell = Cell(op.reference, source=source, size_name=row["size"], size=size, **names, **where)  # type: ignore[arg-type]
        cells.setdefault(cell, refusal(one, op, cell))
    return of_cells(cells, twins=twins, seed=seed, quick=False)


def parse_size(text: str) -> dict[str, Any]:
    """Return the size that :attr:`Cell.sizes` wrote: ``m=5 pads=(1,1)`` is ``{"m": 5, "pads": (1, 1)}``."""
    found = {}
    for part in text.split():
        name, _, value = part.partition("=")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two of parentheses without end
            found[name] = value
    return found


def of_cells(cells: Mapping[Cell, Refusal | None], *, twins: int, seed: int, quick: bool) -> Plan:
    """Make the plan of some cells, each with why it is refused, or None.

    Raises:
        BadInput: all of them are refused.
    """
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
    here = [d for d in one.default_devices() if d != "cuda" or cuda_device_count() > 0]
    return here or list(one.devices[:1])


def _sizes(op: Operation, wanted: Sequence[SizeGiven] | None, quick: bool) -> list[tuple[str, Mapping[str, Any]]]:
    given = _wanted_sizes(op, wanted, quick)
    return [(size, op.size(size)) if isinstance(size, str) else ("", _checked(op, size)) for size in given]


def _checked(op: Operation, size: Mapping[str, Any]) -> dict[str, Any]:
    symbols = op.signature.symbols
    lacks = [name for name in symbols if name not in size]
    strays = [name for name in size if name not in symbols and name not in op.parameters]
    if op.draw is None and (lacks or strays):
        word, name = ("lacks", lacks[0]) if lacks else ("gives", strays[0])
        raise BadInput(f"the size {dict(size)} {word} {name!r}; {op.name} has {', '.join([*symbols, *op.parameters])}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in size.items()}


def _wanted_sizes(op: Operation, wanted: Sequence[SizeGiven] | None, quick: bool) -> list[SizeGiven]:
    if wanted is None:
        # The smallest only measure what a call costs; the largest takes too long for a quick run.
        names = list(op.sizes)
        middle = names[len(names) // 2]
        if quick:
            return ["small" if "small" in names else middle]
        return list(dict.fromkeys(["medium" if "medium" in names else middle, largest_size(op)]))
    return [largest_size(op) if size == LARGEST else size for size in wanted]


def largest_size(op: Operation) -> str:
    """Name an operation's largest size."""
    # Of sizes with names of their own the last: they are written in the order in which they grow.
    return "large" if "large" in op.sizes else list(op.sizes)[-1]


def refusal(one: Backend, op: Operation, cell: Cell) -> Refusal | None:
    """Return why a cell cannot be measured, as far as is known without importing the framework."""
    if reason := one.missing(cell.device):
        return Refusal("UNAVAILABLE", reason)
    if cell.dtype not in op.dtypes:
        return Refusal("UNAVAILABLE", f"{op.name} is not meant for {cell.dtype}")
    if cell.mode not in one.modes:
        return Refusal("UNAVAILABLE", f"{one.name} has no compiler")
    if cell.variant not in one.forms(op):
        return Refusal("UNAVAILABLE", f"{one.name} has no {cell.variant} variant")
    if (mesh := mesh_shape(cell.device)) and (reason := undivided(op, input_shapes(op, dict(cell.size)), mesh)):
        return Refusal("UNAVAILABLE", reason)
    gap: Gap | None = one.gap(op, cell.dtype, cell.mode, cell.variant, cell.device)
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


@dataclass(frozen=True, order=True)
class Place:
    """The place of a cell in the order of a round, which all its workers share."""

    group: int
    """The cells of one group take turns."""
    position: int
    """In the group; cells that match have the same."""


def work(
    plan: Plan, places: Sequence[Place], round: int, indices: Collection[int], twins: Collection[int],
    other: Collection[int] = (),
) -> list[Work]:  # fmt: skip
    """Return the workers of a round in shuffled order.

    Args:
        plan: the plan.
        places: of its cells in this round; see :func:`places_of`.
        round: which round, from 0.
        indices: the cells that are wanted in it.
        twins: the second halves of A/A pairs that are wanted in it.
        other: the cells that another commit shall measure in it.
    """
    rng = random.Random(f"multigrad {plan.seed} {round}")
    workers = []
    for twin, wanted in enumerate((indices, twins, other)):
        processes: dict[tuple[Any, ...], dict[int, list[int]]] = {}
        for i in sorted(wanted, key=places.__getitem__):
            processes.setdefault(_group(plan.cells[i]), {}).setdefault(places[i].group, []).append(i)
        for process, groups in processes.items():
            source, name, device, threads, precision = process
            members = tuple(map(tuple, groups.values()))
            workers.append(Work(source, name, device, threads, precision, round, twin, members))
    rng.shuffle(workers)
    return workers


def places_of(plan: Plan, round: int, held: Sequence[float] = (), limit: float = math.inf) -> list[Place]:
    """Return the place of each cell in a round, shuffled from the plan's seed.

    A group has all cells of one problem (an operation at one size in one dtype), or as many as fit.

    Args:
        plan: the plan.
        round: which round, from 0.
        held: what each cell holds while it waits for its turn, in bytes; empty is nothing.
        limit: the most that a group may hold, in bytes; cells that match stay together, whatever they hold.
    """
    matches: dict[tuple[Any, ...], float] = dict.fromkeys((cell.match for cell in plan.cells), 0.0)
    for cell, own in zip(plan.cells, held, strict=False):
        matches[cell.match] += own
    shuffled = list(matches)
    random.Random(f"multigrad order {plan.seed} {round}").shuffle(shuffled)
    problems: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for match in shuffled:
        problems.setdefault(match[:3], []).append(match)
    place, group = {}, -1
    for members in problems.values():
        together = 0.0
        for position, match in enumerate(members):
            together += matches[match]
            if together > limit or position == 0:
                group, together = group + 1, matches[match]
            place[match] = Place(group, position)
    return [place[cell.match] for cell in plan.cells]


def without(item: Work, finished: Collection[int]) -> Work:
    """Return the same work without the cells that are finished."""
    groups = (tuple(i for i in group if i not in finished) for group in item.groups)
    return replace(item, groups=tuple(filter(None, groups)))

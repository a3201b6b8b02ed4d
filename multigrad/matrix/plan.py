"""The plan of a check: the cases whose truth is wanted, and for each backend and device its cells."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..backend.device import device_kind, mesh_shape
from ..backend.placement import rounded
from ..backend.registry import backend, backends, known_devices
from ..backend.session import Backend
from ..data.errors import BadInput
from ..ops.derived import of_orders
from ..ops.draw import REGIMES
from ..ops.find import given_operations, load_operations
from ..ops.operation import DTYPES, Operation
from ..ops.selection import Precision, Selection
from ..ops.sizes import small_sizes
from ..truth.case import DEFAULT_REGIMES, NONFINITE, Case
from ..truth.inputs import read_inputs
from ..verdict.judge import Judgement, worded
from ..verdict.words import THEIRS, UNAVAILABLE
from .rows import KINK, JudgedRow, judged_row

TIMEOUT_S = 60.0
"""Seconds without a sign after which a worker of a check is killed: small sizes take milliseconds, a compiler half a
minute."""

MODES = ("eager", "compiled")
VARIANTS = ("analytic", "autodiff", "native")
EVERY = "all"
RELATIONS = "relations"

SHAPES = ("strided", "length-1", "empty")
"""Regimes of layout and shape that are tried by default, in one dtype: what goes wrong there is the same in all."""

EAGER_ONLY = ("empty", "length-1", "strided", NONFINITE)
"""Regimes that would be compiled anew for their own shapes, or that a compiler may answer in its own way."""


@dataclass(frozen=True)
class Cell:
    """What one backend computes once: a case, in one mode and variant."""

    case: int
    """Index of the case."""
    mode: str
    variant: str
    relations: bool = False
    """Whether the relations are tried as well."""

    def function(self, case: Case) -> tuple[str, ...]:
        """Return what tells the function that it calls from others: one is compiled once."""
        return case.reference, case.sizes, self.mode, self.variant, case.dtype

    def row(
        self, case: Case, backend: str, device: str, output: str, judgement: Judgement, digest: str = ""
    ) -> JudgedRow:
        """Return the row of what was judged of this cell, ``*`` where the whole has one answer."""
        return judged_row(
            case,
            output,
            judgement,
            backend=backend,
            device=device,
            mode=self.mode,
            variant=self.variant,
            dtype=case.dtype,
            digest=digest,
        )


@dataclass(frozen=True)
class Plan:
    """What is to be checked."""

    ops: Mapping[str, Operation]
    """The operations, by reference."""
    cases: list[Case]
    work: Mapping[tuple[str, str], list[Cell]]
    """(backend, device) → cells."""
    unavailable: list[JudgedRow]
    """The rows of the backends that are not here."""
    precision: Precision
    kinks: bool
    """Whether the formula is held against the subdifferential at kinks."""
    sources: Mapping[str, str]
    """How a worker finds a backend, by its name, where it stands in no folder and no entry point."""
    timeout_s: float
    """Seconds without a sign after which a worker is killed, on an idle machine."""

    @property
    def isolated(self) -> bool:
        """Whether every backend can have its own process: every operation can be found again from its reference."""
        return all(op.reference for op in self.ops.values())

    @classmethod
    def make(
        cls,
        selection: Selection,
        inputs: str | os.PathLike[str] | None = None,
        timeout_s: float = TIMEOUT_S,
        order: int | Iterable[int] = 1,
    ) -> Plan:
        """Make the plan of a selection.

        Args:
            selection: what is checked.
            inputs: an .npz file with one array per input, instead of drawn ones.
            timeout_s: seconds without a sign after which a worker is killed.
            order: of the derivatives that are judged, one or several.

        Raises:
            BadInput: an unknown name, or a file that does not fit.
        """
        operations = of_orders(given_operations(selection.ops), order, selection.derivative)
        ops = {op.reference or f"#{i}": op for i, op in enumerate(operations)}
        dtypes = _chosen("dtype", selection.dtype, DTYPES)
        modes = _chosen("mode", selection.mode, MODES)
        variants = _chosen("variant", selection.variant, (*VARIANTS, *_implementations(operations)))
        asked = selection.variant is not None
        regimes = _regimes(selection.regime, file=inputs is not None)
        path = "" if inputs is None else str(Path(inputs).resolve())
        cases = list(_cases(ops, selection, dtypes, regimes, path))
        chosen = backends() if selection.backend is None else {name: backend(name) for name in selection.backend}
        work: dict[tuple[str, str], list[Cell]] = {}
        unavailable: list[JudgedRow] = []
        for one, device in _places(chosen.values(), selection.device):
            if reason := one.missing(device):
                unavailable += [unavailable_row(op.name, one.name, device, reason, selection.seed) for op in operations]
            else:
                # The tape stands for a pullback that is missing; beside one that is there it is shown if asked for.
                forms = [v for v in variants if asked or not (one.taped and v == "autodiff")]
                work[one.name, device] = _cells(one, ops, cases, modes, forms, relations=RELATIONS in regimes)
        return cls(
            ops,
            cases,
            work,
            unavailable,
            selection.precision,
            kinks=KINK in regimes or selection.regime is None,
            sources={one.name: name for name, one in chosen.items()},
            timeout_s=timeout_s,
        )


def _places(chosen: Collection[Backend], devices: Sequence[str] | None) -> Iterator[tuple[Backend, str]]:
    """Yield each backend with each device that it knows, of those that are asked for."""
    known_devices(devices or (), chosen)
    for one in chosen:
        for device in one.default_devices() if devices is None else devices:
            if device_kind(device) in one.devices:
                yield one, device


def unavailable_row(operation: str, backend: str, device: str, reason: str, seed: int) -> JudgedRow:
    """Return the row of an operation on a backend that cannot be opened."""
    case = Case("", operation, {}, "*", "*", seed)
    return Cell(-1, "*", "*").row(case, backend, device, "*", worded(UNAVAILABLE, reason))


def _implementations(operations: Sequence[Operation]) -> Sequence[str]:
    """Return the names of the implementations that operations have.

    Raises:
        BadInput: one is for a backend that there is none of.
    """
    for op in operations:
        for name, _ in op.implementations:
            if name not in backends():
                backend(name)
    return list(dict.fromkeys(name for op in operations for _, name in op.implementations))


def _chosen(kind: str, names: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    for name in names or ():
        if name not in known:
            raise BadInput(f"no {kind} named {name!r}; there are {', '.join(known)}")
    return known if names is None else names


def _regimes(names: Sequence[str] | None, *, file: bool) -> Sequence[str]:
    if file:
        return ["file"]
    if names is None:
        return [*DEFAULT_REGIMES, *SHAPES, RELATIONS]
    chosen = _chosen("regime", names, (*REGIMES, RELATIONS, EVERY))
    return [*REGIMES, RELATIONS] if EVERY in chosen else list(dict.fromkeys(chosen))


def _cases(
    ops: Mapping[str, Operation], selection: Selection, dtypes: Sequence[str], regimes: Sequence[str], path: str
) -> Iterator[Case]:
    meshes = [shape for name in selection.device or () if (shape := mesh_shape(name))]
    drawn = [regime for regime in regimes if regime != RELATIONS]
    for reference, op in ops.items():
        if path:
            sizes = [read_inputs(op, path)]
        else:
            names: Iterable[Any] = selection.size or small_sizes(op)
            sizes = [rounded(op, op.size(name), meshes) for name in names]
        for regime, dtype in itertools.product(drawn or ["gaussian"], dtypes):
            # By default a shape is tried in the first dtype alone.
            once = selection.regime is None and regime in SHAPES
            if dtype in op.dtypes and not (once and dtype != next(d for d in dtypes if d in op.dtypes)):
                plain = Case(reference, op.name, sizes[0], regime, dtype, selection.seed, path, selection.precision)
                yield from _of_regime(op, plain, sizes if drawn else sizes[:1])


def _of_regime(op: Operation, plain: Case, sizes: Sequence[Mapping[str, Any]]) -> Iterator[Case]:
    """Make the cases of one regime: ordinary ones at every size, the others at the smallest."""
    smallest = dict(sizes[0])
    symbols = [s for s in op.signature.symbols if s in smallest]
    if plain.regime in (*DEFAULT_REGIMES, "file"):
        yield from (replace(plain, size=size) for size in sizes)
    elif plain.regime == "empty":
        yield from (replace(plain, size={**smallest, symbol: 0}) for symbol in symbols)
    elif plain.regime == "length-1":
        yield replace(plain, size={**smallest, **dict.fromkeys(symbols, 1)})
    elif plain.regime == NONFINITE:
        yield from (replace(plain, size=smallest, poisoned=name) for name in op.gradients)
    else:
        yield replace(plain, size=smallest)


def _cells(
    one: Backend,
    ops: Mapping[str, Operation],
    cases: Sequence[Case],
    modes: Sequence[str],
    variants: Sequence[str],
    *,
    relations: bool,
) -> list[Cell]:
    first: dict[str, str] = {}
    tried: set[tuple[str, ...]] = set()
    for case in cases:
        first.setdefault(case.reference, case.sizes)
    cells = []
    for i, case in enumerate(cases):
        ordinary = case.regime in (*DEFAULT_REGIMES, "file")
        forms = one.forms(ops[case.reference])
        for mode, variant in itertools.product(modes, variants):
            if mode not in one.modes_of(ops[case.reference]) or variant not in forms:
                continue
            # Another formula (autodiff's) rounds, overflows and passes NaN on elsewhere: its bounds are not known.
            known = case.regime != NONFINITE if variant not in VARIANTS else variant == "analytic"
            if not ordinary and (not known or (mode != "eager" and case.regime in EAGER_ONLY)):
                continue
            # To compile takes seconds: what a person brought, at the smallest size. What a framework makes of its own
            # autodiff when it compiles is its own affair.
            if mode == "eager" or (variant not in THEIRS and case.sizes == first[case.reference]):
                key = case.reference, case.dtype, variant
                here = relations and mode == "eager" and variant not in THEIRS and key not in tried
                tried |= {key} if here else set()
                cells.append(Cell(i, mode, variant, here))
    # Modes and variants of one operation lie together, so that a worker compiles each function once.
    return sorted(cells, key=lambda cell: cell.function(cases[cell.case]))


def operation_of(case: Case, ops: Mapping[str, Operation] | None) -> Operation:
    """Return the operation of a case: one of this process, or loaded by its reference."""
    return ops[case.reference] if ops is not None else load_operations([case.reference])[0]

"""The portions of a fleet's run, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from multigrad.backend import backend, backends
from multigrad.data.errors import BadInput
from multigrad.matrix.plan import Plan
from multigrad.ops.find import given_operations
from multigrad.ops.selection import Selection

from ..measurement.job import judged_variants
from ..plan.cells import Cell, Refusal, cells
from .cluster import Offers, count_offers, kind_of, tags_of


@dataclass(frozen=True)
class Portion:
    """What one machine measures: one operation on one kind of device."""

    number: int
    reference: str
    """How a worker finds the operation."""
    operation: str
    tag: str
    """What the machine offers: ``cpu`` or ``gpu``."""
    devices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Portion:
        """Read it from a JSON object."""
        return cls(**{**values, "devices": tuple(values["devices"])})


@dataclass(frozen=True)
class Request:
    """What all portions have in common."""

    selection: Selection
    """What is measured; a portion has an operation and devices of its own."""
    asked: bool
    """Whether devices were asked for; if not, a backend that does not know a device need not say so."""
    machine: str | None
    """What the machines must offer besides ``cpu`` or ``gpu``."""
    protocol: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        chosen = self.selection
        several = ("backend", "dtype", "mode", "variant", "size")
        return {
            **{name: None if (names := getattr(chosen, name)) is None else list(names) for name in several},
            "asked": self.asked,
            "threads": chosen.threads[0] if chosen.threads else None,
            "precision": chosen.precision,
            "quick": chosen.quick,
            "seed": chosen.seed,
            "machine": self.machine,
            "protocol": dict(self.protocol),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """Read it from a JSON object."""
        own = ("asked", "machine", "protocol")
        selection = Selection.of(**{name: value for name, value in values.items() if name not in own})
        return cls(selection, **{name: values[name] for name in own})

    def examine(self) -> None:
        """Make sure that the names are names, before anything is handed out.

        Raises:
            BadInput: one is not.
        """
        chosen = self.selection
        Plan.make(replace(chosen, variant=judged_variants(chosen), size=None, regime=None))
        cells(replace(chosen, threads=None))

    def of_portion(self, portion: Portion) -> Selection:
        """Return what a machine measures for a portion."""
        names = tuple(self.backends(portion.devices))
        return replace(self.selection, ops=portion.reference, backend=names, device=portion.devices)

    def cells(self, portion: Portion, threads: int) -> dict[Cell, Refusal | None]:
        """Return the cells of a portion, each with why it is refused here, or None."""
        return cells(replace(self.of_portion(portion), threads=(threads,)))

    def default_devices(self) -> list[str]:
        """Return the kinds of device that are measured where none is asked for: what few machines have is not."""
        chosen = map(backend, backends() if self.selection.backend is None else self.selection.backend)
        return list(dict.fromkeys(kind for one in chosen for kind in one.devices if kind not in one.rare))

    def backends(self, devices: Sequence[str]) -> list[str]:
        """Return the backends of a portion: those that were asked for, of these the ones that know its devices."""
        names = backends() if self.selection.backend is None else self.selection.backend
        return [name for name in names if self.asked or {*devices} & {*backend(name).devices}]


def portions_of(request: Request, offers: Offers) -> list[Portion]:
    """Return the portions: one for each operation and kind of device that is asked for, or else offered.

    Raises:
        BadInput: no worker offers what is needed, or there is nothing to measure.
    """
    kinds: dict[str, list[str]] = {}
    for name in request.selection.device or request.default_devices():
        if request.asked or count_offers(offers, tags_of(kind_of(name), request.machine)):
            kinds.setdefault(kind_of(name), []).append(name)
    for tag in kinds or ("cpu",):
        wanted = tags_of(tag, request.machine)
        if not count_offers(offers, wanted):
            there = "; ".join(f"{count} offer {' '.join(sorted(tags)) or 'nothing'}" for tags, count in offers.items())
            needed = " ".join(f"{one}=1" for one in sorted(wanted))
            raise BadInput(
                f"no worker offers {' and '.join(sorted(wanted))} (of {offers.total()} workers: {there or 'none'}); "
                f'dask worker ADDRESS --nthreads 1 --resources "{needed}" starts one'
            )
    operations = given_operations(request.selection.ops)
    for op in operations:
        if not op.reference:
            raise BadInput(f"{op.name} cannot be found by another process; define it at the top of a file")
    computable = {tag: devices for tag, devices in kinds.items() if request.backends(devices)}
    if not computable:
        raise BadInput(f"nothing to measure: no backend that was asked for knows {', '.join(kinds)}")
    wanted_portions = [(op, tag) for op in operations for tag in computable]
    return [
        Portion(i, op.reference, op.name, tag, tuple(computable[tag])) for i, (op, tag) in enumerate(wanted_portions)
    ]

"""The search for inputs on a branch of the formula, just beside it on either side, and far beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .draws import MOST_COORDINATES, Start, with_entry
from .findings import Findings
from .recorder import Coordinate
from .sites import EXTREMA, ORDERS, Guard, Site

NEWTON_STEPS = 6
"""Steps after which a place counts as out of reach."""

STEP = 0.3
"""What a Newton step takes, in evaluations of forward part and pullback."""

NEAR = (2.0**-10, -(2.0**-20))
"""How far beside, relative to the entry that is moved."""

FACTORS = (2.0**-40, 2.0**-12, 2.0**6, 2.0**12)
"""What all inputs are multiplied by to reach a branch that no single entry reaches."""


@dataclass(frozen=True)
class Search:
    """Moves entries of the drawn inputs, and has the formula judged where they come to lie."""

    start: Start
    guards: list[Guard]
    """What is decided at the drawn inputs."""
    findings: Findings
    stands: dict[Coordinate, bool] = field(default_factory=dict)
    """Whether the formula stands a small move of a coordinate."""

    def at_guard(self, number: int) -> None:
        """Have the formula judged on a decision's place, beside it, and with every entry on one side of it."""
        guard = self.guards[number]
        entries = self._entries(guard)
        for entry in dict.fromkeys((*entries[:1], *entries[-1:])):
            self._on_entry(number, entry, entries)
            for coordinate in self._movers(guard, entry)[:1]:
                self._around(number, entry, coordinate)
        if guard.explicit:
            for sign in (1.0, -1.0):
                self._everywhere(guard, sign)

    def _entries(self, guard: Guard) -> list[tuple[int, ...]]:
        """The entries that can be moved, nearest to the place first."""
        movable = np.any((guard.slopes != 0) & np.isfinite(guard.slopes), axis=0) & np.isfinite(guard.gap)
        movable &= guard.gap != 0
        places = [tuple(int(i) for i in p) for p in np.argwhere(movable)]
        return sorted(places, key=lambda p: abs(float(guard.gap[p])))[:8]

    def _movers(self, guard: Guard, entry: tuple[int, ...]) -> list[int]:
        """The coordinates that move an entry: those that move it exactly and little else first."""
        slopes = guard.slopes.T[entry[::-1]]
        movers = [int(j) for j in np.flatnonzero((slopes != 0) & np.isfinite(slopes))]

        def order(j: int) -> tuple[Any, ...]:
            others = int(np.count_nonzero(guard.slopes[j]))
            exact_step = abs(math.frexp(slopes[j])[0]) == 0.5
            return not self.start.free[self.start.coordinates[j][0]], not exact_step, others, -abs(slopes[j])

        return [j for j in sorted(movers, key=order)[:6] if self._may_move(self.start.coordinates[j])]

    def _may_move(self, coordinate: Coordinate) -> bool:
        """Whether the formula stands a small move of an entry that the generator may have tied to others."""
        if self.start.free[coordinate[0]]:
            return True
        if coordinate not in self.stands:
            value = float(self.start.inputs[coordinate[0]].flat[coordinate[1]])
            there = self.start.moved(self.start.inputs, coordinate, value * (1 - 2.0**-6))
            failed = dict(self.findings.failed)
            self.stands[coordinate] = there is not None and self.findings.smooth("", there) is True
            self.findings.failed = failed
        return self.stands[coordinate]

    def _on_entry(self, number: int, entry: tuple[int, ...], entries: Sequence[tuple[int, ...]]) -> None:
        for place in dict.fromkeys((entry, *entries[:2])):
            for j in self._movers(self.guards[number], place)[:2]:
                for start in self._starts(float(self.guards[number].slopes[(j, *place)])):
                    inputs = self._newton(number, place, j, 0.0, start)
                    if inputs is not None:
                        self.findings.on(f"on {self.guards[number].site}", inputs)
                        return

    def _starts(self, slope: float) -> Iterator[list[np.ndarray]]:
        """Yield the drawn inputs; then, where the slope is an entry of them, with a power of two in its place.

        So it is in a product, and a power of two divides without rounding.
        """
        yield self.start.inputs
        power = math.copysign(2.0 ** round(math.log2(abs(slope))), slope)
        snapped = [
            np.where(np.abs(a) == abs(slope), np.copysign(power, a), a) if free and a.dtype.kind == "f" else a
            for a, free in zip(self.start.inputs, self.start.free, strict=True)
        ]
        if power != slope and any(not np.array_equal(a, b) for a, b in zip(snapped, self.start.inputs, strict=True)):
            yield snapped

    def _newton(
        self, number: int, entry: tuple[int, ...], j: int, target: float, start: Sequence[np.ndarray]
    ) -> list[np.ndarray] | None:
        """Move one coordinate until the gap of an entry is the target: exactly, if that is 0, or within a quarter."""
        coordinate = self.start.coordinates[j]
        inputs, last = list(start), math.inf
        for _ in range(NEWTON_STEPS):
            if not self.findings.may(STEP):
                return None
            guards = self.start.guards_at(inputs, [coordinate], number + 1)
            if len(guards) <= number or guards[number].gap.shape != self.guards[number].gap.shape:
                return None
            gap, slope = float(guards[number].gap[entry]), float(guards[number].slopes[(0, *entry)])
            if bool(guards[number].zero[entry]) if target == 0 else abs(gap - target) <= abs(target) / 4:
                return inputs
            old = float(inputs[coordinate[0]].flat[coordinate[1]])
            if slope == 0 or not math.isfinite(gap / slope) or old - (gap - target) / slope == old:
                return None
            # A gap that is not linear is met exactly by chance alone.
            if target == 0 and abs(gap) > 1e-6 * last:
                return None
            moved = self.start.moved(inputs, coordinate, old - (gap - target) / slope)
            if moved is None:
                return None
            inputs, last = moved, abs(gap)
        return None

    def _around(self, number: int, entry: tuple[int, ...], j: int) -> None:
        """Just beside a place on either side, and beyond it."""
        guard, (which, place) = self.guards[number], self.start.coordinates[j]
        gap, slope = float(guard.gap[entry]), float(guard.slopes[(j, *entry)])
        one_sided = guard.site.name in (*EXTREMA, *ORDERS) or (not guard.explicit and self.start.op.draw is not None)
        size = max(abs(float(self.start.inputs[which].flat[place]) - gap / slope), 2.0**-6) * abs(slope)
        for step in NEAR:
            target = math.copysign(step * size, gap) if one_sided else step * size
            inputs = self._newton(number, entry, j, target, self.start.inputs)
            if inputs is not None:
                self.findings.smooth(f"beside {guard.site}", inputs)
        if guard.explicit:
            value = float(self.start.inputs[which].flat[place]) - 1.75 * gap / slope
            beyond = self.start.moved(self.start.inputs, (which, place), value)
            if beyond is not None:
                self.findings.smooth(f"beyond {guard.site}", beyond)

    def _everywhere(self, guard: Guard, sign: float) -> None:
        """Put every entry on one side, each by a coordinate of its own."""
        inputs: list[np.ndarray] = list(self.start.inputs)
        used: set[int] = set()
        for entry in [tuple(int(i) for i in p) for p in np.argwhere(sign * guard.gap <= 0)][:MOST_COORDINATES]:
            slopes = np.abs(np.nan_to_num(guard.slopes.T[entry[::-1]]))
            movers = [j for j in np.argsort(-slopes) if slopes[j] > 0 and j not in used]
            movers = [j for j in movers if self.start.free[self.start.coordinates[j][0]]]
            if not movers:
                return
            which, place = self.start.coordinates[movers[0]]
            used.add(movers[0])
            gap, slope = float(guard.gap[entry]), float(guard.slopes[(movers[0], *entry)])
            step = 1.75 * gap if gap else -sign
            inputs = with_entry(inputs, (which, place), float(inputs[which].flat[place]) - step / slope)
        self.findings.smooth(f"every entry on one side of {guard.site}", inputs)

    def at_zero(self) -> None:
        """Vectors of length 0, where a root of a sum of squares ends."""
        for i, array in enumerate(self.start.inputs):
            if array.dtype.kind != "f" or not self.start.free[i] or array.ndim == 0:
                continue
            first = array.copy()
            first[:1] = 0
            for zeros in (first, np.zeros_like(array)):
                inputs = [zeros if k == i else a for k, a in enumerate(self.start.inputs)]
                self.findings.on(
                    f"with {self.start.op.inputs[i]} zero {'throughout' if zeros is not first else 'in its first row'}",
                    inputs,
                )

    def far(self, site: Site, numbers: Sequence[int]) -> None:
        """Reach a branch that no single entry reaches: down the gradient of its gap, then by scaling all inputs."""
        for number in dict.fromkeys((numbers[0], numbers[-1])):
            inputs: list[np.ndarray] | None = list(self.start.inputs)
            for _ in range(NEWTON_STEPS):
                inputs = self._downhill(number, inputs)
                if inputs is None:
                    break
            if inputs is not None:
                self.findings.smooth(f"far beyond {site}", inputs)
        for factor in FACTORS:
            if self.findings.reached.issuperset(site.branches):
                return
            pairs = zip(self.start.inputs, self.start.free, strict=True)
            scaled = [factor * a if free and a.dtype.kind == "f" else a for a, free in pairs]
            self.findings.smooth(f"with inputs {factor:.3g} times as large", scaled)

    def _downhill(self, number: int, inputs: Sequence[np.ndarray] | None) -> list[np.ndarray] | None:
        """One Newton step of all free coordinates together, to the other side of the first entry's gap."""
        if inputs is None or not self.findings.may(STEP):
            return None
        guards = self.start.guards_at(inputs, most=number + 1)
        if len(guards) <= number or not guards[number].gap.size or not self.guards[number].gap.size:
            return None
        gap, target = float(guards[number].gap.flat[0]), -0.75 * float(self.guards[number].gap.flat[0])
        slopes = guards[number].slopes.reshape(len(self.start.coordinates), -1)[:, 0]
        slopes = np.where([self.start.free[i] for i, _ in self.start.coordinates], np.nan_to_num(slopes), 0.0)
        length = float(slopes @ slopes)
        if length == 0 or not math.isfinite(gap):
            return None
        result = list(inputs)
        for (which, place), slope in zip(self.start.coordinates, slopes, strict=True):
            if slope:
                value = float(result[which].flat[place]) - (gap - target) * slope / length
                result = with_entry(result, (which, place), value)
        return result

"""What the generator of an operation draws: which inputs it ties to nothing, what the others keep, and what is near."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops.operation import Operation
from ..ops.signature import Size
from .case import SMOOTH, Case
from .inputs import output_shapes
from .recorder import Coordinate, record
from .sites import Guard

DRAWS = 4
"""Inputs that are drawn to see the range of what a generator makes."""


MOST_COORDINATES = 64
"""Input entries that may be moved."""


def _is_square(a: np.ndarray) -> bool:
    return a.ndim >= 2 and a.shape[-1] == a.shape[-2] > 1


PROPERTIES: dict[str, Callable[[np.ndarray], bool]] = {
    "not negative": lambda a: bool(np.all(a >= 0)),
    "not positive": lambda a: bool(np.all(a <= 0)),
    "at most 1 in size": lambda a: bool(np.all(np.abs(a) <= 1)),
    "whole": lambda a: bool(np.all(a == np.rint(a))),
    "ascending": lambda a: a.ndim > 0 and a.shape[-1] > 1 and bool(np.all(a[..., 1:] >= a[..., :-1])),
    "descending": lambda a: a.ndim > 0 and a.shape[-1] > 1 and bool(np.all(a[..., 1:] <= a[..., :-1])),
    "ascending in columns": lambda a: a.ndim > 1 and a.shape[0] > 1 and bool(np.all(a[1:] >= a[:-1])),
    "of sum 1": lambda a: a.ndim > 0 and bool(np.all(np.isfinite(a)) and np.allclose(np.sum(a, axis=-1), 1)),
    "symmetric": lambda a: _is_square(a) and bool(np.array_equal(a, np.swapaxes(a, -1, -2))),
    "lower triangular": lambda a: _is_square(a) and not np.any(np.triu(a, 1)),
    "upper triangular": lambda a: _is_square(a) and not np.any(np.tril(a, -1)),
}
"""What an array may be confined to that a generator makes; an input that has it in every draw keeps it."""


@dataclass(frozen=True)
class Start:
    """The drawn inputs that are moved until they lie on a branch, and what may be moved."""

    op: Operation
    size: Size
    seed: int
    parameters: Mapping[str, Any]
    inputs: list[np.ndarray]
    """Of few digits, so that sums and products are exact and a place can be met exactly."""
    cotangents: list[np.ndarray]
    free: list[bool]
    """For each input, whether the generator ties it to nothing."""
    kept: list[tuple[Callable[[np.ndarray], bool], ...]]
    """For each input, the properties that every array has which the generator makes for it."""
    coordinates: list[Coordinate]
    """The entries that may be moved."""

    @classmethod
    def draw(cls, op: Operation, size: Size, seed: int) -> Start:
        """Draw inputs and cotangents of a size."""
        drawn = _Drawn()
        spied = op if op.draw is None else replace(op, draw=drawn.spy(op.draw))
        inputs = spied.make_inputs(size, seed)
        free = [op.draw is None or any(np.array_equal(a, d) for d in drawn.arrays) for a in inputs]
        kept = [() if loose else _properties(op, size, seed, i) for i, loose in enumerate(free)]
        rounded = [
            np.where(np.rint(a * 1024) == 0, a, np.rint(a * 1024) / 1024) if loose and a.dtype.kind == "f" else a
            for a, loose in zip(inputs, free, strict=True)
        ]
        entries = [(i, k) for i, a in enumerate(rounded) if a.dtype.kind == "f" for k in range(a.size)]
        return cls(
            op,
            size,
            seed,
            op.split(size)[1],
            rounded,
            op.make_cotangents(output_shapes(op, size, rounded), seed),
            free,
            kept,
            _spread(entries, MOST_COORDINATES),
        )

    def guards_at(
        self, inputs: Sequence[np.ndarray], coordinates: Sequence[Coordinate] | None = None, most: int | None = None
    ) -> list[Guard]:
        """Evaluate at inputs and return what is decided there, the first so many; slopes are by the coordinates."""
        coordinates = self.coordinates if coordinates is None else coordinates
        return record(self.op, self.parameters, inputs, self.cotangents, coordinates, most)

    def moved(self, inputs: Sequence[np.ndarray], coordinate: Coordinate, value: float) -> list[np.ndarray] | None:
        """Give an entry another value, unless the generator makes no such array."""
        result = with_entry(inputs, coordinate, value)
        array = result[coordinate[0]]
        return result if all(holds(array) for holds in self.kept[coordinate[0]]) else None

    def moves(self, inputs: Sequence[np.ndarray]) -> str:
        """Write which entries of inputs were moved."""
        moved = []
        for name, old, new in zip(self.op.inputs, self.inputs, inputs, strict=True):
            for place in np.argwhere(old != new):
                index = f"[{', '.join(map(str, place))}]" if place.size else ""
                moved.append(f"{name}{index} = {float(new[tuple(place)]):.9g}")
        return f", {', '.join(moved)}" if 0 < len(moved) <= 3 else ""


def with_entry(inputs: Sequence[np.ndarray], coordinate: Coordinate, value: float) -> list[np.ndarray]:
    """Return inputs with another value in one entry."""
    result = list(inputs)
    result[coordinate[0]] = result[coordinate[0]].copy()
    result[coordinate[0]].flat[coordinate[1]] = value
    return result


def _properties(op: Operation, size: Size, seed: int, number: int) -> tuple[Callable[[np.ndarray], bool], ...]:
    """What all arrays have in common that the generator makes for an input."""
    drawn = [op.make_inputs(size, s)[number] for s in range(seed, seed + DRAWS)]
    return tuple(holds for holds in PROPERTIES.values() if all(a.dtype.kind == "f" and holds(a) for a in drawn))


class _Drawn:
    """Remembers what a generator got from its draw: an input that is one of these is tied to nothing."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def spy(self, generator: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(draw: Any, **size: Any) -> Any:
            return generator(_Spy(draw, self.arrays), **size)

        return drawn


class _Spy:
    def __init__(self, draw: Any, arrays: list[np.ndarray]) -> None:
        self._draw, self._arrays = draw, arrays

    def __call__(self, *shape: int) -> np.ndarray:
        array: np.ndarray = self._draw(*shape)
        self._arrays.append(array.copy())
        return array

    def __getattr__(self, name: str) -> Any:
        return getattr(self._draw, name)


def _spread(items: list[Coordinate], most: int) -> list[Coordinate]:
    if len(items) <= most:
        return items
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most).round()]


def beside(op: Operation, case: Case) -> Iterator[list[np.ndarray]]:
    """Yield other inputs that are drawn, then the drawn ones moved a little; what shows in their shape is kept."""
    regime = case.drawn if case.regime in SMOOTH else "gaussian"
    drawn = op.make_inputs(case.size, case.seed, regime)
    for seed in range(case.seed + 1, case.seed + DRAWS):
        others = op.make_inputs(case.size, seed, regime)
        if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(others, drawn, strict=True)):
            yield others
    rng = np.random.default_rng(case.seed)
    # An identity has so many properties that nothing but itself has all of them.
    for width, kept in itertools.product((2.0**-8, 0.5), (tuple(PROPERTIES), ("symmetric", "not negative"))):
        moved = [_shaken(a, rng, width, kept) if a.dtype.kind == "f" else a for a in drawn]
        yield moved
        # Zeros do not show that a root or a power of them is taken.
        yield [np.abs(m) if m.dtype.kind == "f" and not a.any() else m for a, m in zip(drawn, moved, strict=True)]


def _shaken(array: np.ndarray, rng: np.random.Generator, width: float, kept: Sequence[str]) -> np.ndarray:
    """Move every entry, and mend what the array shows of some properties."""
    finite = np.isfinite(array)
    size = float(np.max(np.abs(array), where=finite, initial=0.0)) or 1.0
    # What is masked by infinity takes an ordinary number.
    moved: np.ndarray = np.where(finite, array, -size) + size * width * rng.standard_normal(array.shape)
    shown = {name for name in kept if array.any() and PROPERTIES[name](array)}
    if shown & {"lower triangular", "upper triangular"}:
        moved = np.where(array == 0, 0.0, moved)
    if "symmetric" in shown:
        moved = (moved + np.swapaxes(moved, -1, -2)) / 2
    if "not negative" in shown:
        moved = np.abs(moved)
    if "of sum 1" in shown:
        moved = moved / moved.sum(axis=-1, keepdims=True)
    return np.sort(moved, axis=-1) if "ascending" in shown else moved

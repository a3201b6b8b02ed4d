"""What an operation is, as ball arithmetic shows it: which dimension is a batch, and in which inputs it is linear.

No signature says so. It is tried at drawn inputs, and at the very points that a relation uses; only what holds there is
asked of a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..namespaces import dual, exact
from ..ops.operation import Operation
from ..ops.signature import Size
from ..verdict.formats import FORMATS

MOST_ITEMS = 8
"""A batch of more items is not taken apart."""

DRAWS = 3
"""How many inputs are drawn to find out what an operation is."""

SCALES = (1.0, 2.0**-6, 2.0**6)
"""What a drawn input is multiplied by: a function of compact support is zero far out, a saturated one constant."""


@dataclass(frozen=True)
class Structure:
    """What an operation is, as ball arithmetic shows it at random points."""

    batch: str | None
    """The dimension whose items do not know of each other."""
    linear: tuple[tuple[str, ...], ...]
    """The inputs in each of which, the others fixed, every value is linear; or all of them together."""


def structure(op: Operation, size: Size, seed: int = 0) -> Structure:
    """Find the batch dimension and the linear inputs of an operation, at one size; what cannot be tried is left out."""
    drawn = [op.make_inputs(size, s) for s in range(seed, seed + DRAWS)]
    _, parameters = op.split(size)
    linear: list[tuple[str, ...]] = [(n,) for n in op.gradients if _holds(_is_linear, op, parameters, drawn, (n,))]
    if not linear and len(op.gradients) > 1 and _holds(_is_linear, op, parameters, drawn, op.gradients):
        linear = [op.gradients]
    batches = [s for s in op.signature.symbols if _could_be_batch(op, s, size)]
    batch = (s for s in batches if all(_holds(_is_batch, op, parameters, inputs, s) for inputs in drawn))
    return Structure(next(batch, None), tuple(linear))


def _holds(test: Callable[..., bool], *arguments: Any) -> bool:
    try:
        return test(*arguments)
    except Exception:  # noqa: BLE001 - a relation that cannot be tried is not known to hold
        return False


def _evaluated(op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> list[Any]:
    return [exact.lift(v) for v in exact.evaluate(op.forward(exact, parameters), *inputs).outputs]


def _overlap(a: Any, b: Any) -> bool:
    return a.shape == b.shape and all(p.overlaps(q) for p, q in zip(a.elements.flat, b.elements.flat, strict=True))


def _is_linear(
    op: Operation, parameters: Mapping[str, Any], drawn: list[list[np.ndarray]], names: Sequence[str]
) -> bool:
    """Whether f(v) = J(x) v, at drawn x, for drawn v at several scales and for the v of ⟨Jv, u⟩ = ⟨v, Jᵀu⟩."""
    numbers = [op.inputs.index(name) for name in names]
    trial = [trial_vector(number, drawn[0][number].shape) for number in numbers]
    others = [[scale * inputs[number] for number in numbers] for scale in SCALES for inputs in drawn]
    vectors = {number: np.stack(each) for number, each in zip(numbers, zip(trial, *others, strict=True), strict=True)}
    count = 1 + len(others)
    wanted = [
        _evaluated(op, parameters, exchanged(drawn[0], {number: v[i] for number, v in vectors.items()}))
        for i in range(count)
    ]
    # Inputs in float32 are a rounding away from these; so is where a backend has its own.
    for point in (*drawn, [FORMATS["float32"].round(x) if x.dtype.kind == "f" else x for x in drawn[0]]):
        inputs = exchanged(drawn[0], {number: point[number] for number in numbers})
        moved = _moved(op, parameters, inputs, vectors)
        if not all(_overlap(t[i], v) for i, values in enumerate(wanted) for t, v in zip(moved, values, strict=True)):
            return False
    return True


def trial_vector(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the v of ⟨Jv, u⟩ = ⟨v, Jᵀu⟩ for one input."""
    return small_integers(np.random.default_rng(number), shape)


def exchanged(inputs: Sequence[np.ndarray], values: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Return inputs with other values for some of them, by number."""
    return [values.get(i, a) for i, a in enumerate(inputs)]


def _moved(
    op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray], vectors: Mapping[int, np.ndarray]
) -> list[Any]:
    """Return Jv of each value for every v, by the numbers of the inputs that it moves."""

    def derivatives(*arrays: Any) -> tuple[Any, ...]:
        directions = [exact.lift(vectors[i]) if i in vectors else None for i in range(len(arrays))]
        return tuple(dual.directional_derivatives(op.forward(dual, parameters), arrays, directions)[1])

    return [exact.lift(v) for v in exact.evaluate(derivatives, *inputs).outputs]


def _could_be_batch(op: Operation, symbol: str, size: Size) -> bool:
    everywhere = all(shape.count(symbol) == 1 for shape in op.signature.outputs)
    once = all(shape.count(symbol) <= 1 for shape in op.signature.inputs)
    return everywhere and once and symbol in size and 2 <= int(size[symbol]) <= MOST_ITEMS


def _is_batch(op: Operation, parameters: Mapping[str, Any], inputs: list[np.ndarray], symbol: str) -> bool:
    whole = _evaluated(op, parameters, inputs)
    count = next(a.shape[s.index(symbol)] for a, s in zip(inputs, op.signature.inputs, strict=True) if symbol in s)
    for item in range(count):
        alone = _evaluated(op, parameters, items_of(inputs, op.signature.inputs, symbol, item))
        for value, one, shape in zip(whole, alone, op.signature.outputs, strict=True):
            key = (slice(None),) * shape.index(symbol)
            if not _overlap(value[(*key, slice(item, item + 1))], one):
                return False
    return True


def items_of(
    arrays: Sequence[np.ndarray], shapes: Sequence[tuple[str, ...]], symbol: str, item: int
) -> list[np.ndarray]:
    """Cut one item out of every array that has the dimension; it stays, with length 1."""
    return [
        np.take(a, [item], axis=shape.index(symbol)) if symbol in shape else a
        for a, shape in zip(arrays, shapes, strict=True)
    ]


def small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw integers from −3 to 3 without zero: sums of a few multiples have no rounding in any dtype."""
    return np.asarray(rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], shape))

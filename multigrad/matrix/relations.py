"""What holds for every pullback, whatever its formula, on one backend: relations between its own results.

None needs a true value: a result is held against another result of the same backend, within the sum of their bounds.
Which dimension is a batch, and in which inputs an operation is linear, no signature says: it is tried in ball
arithmetic at drawn inputs, and at the very points that a relation uses, and only what holds there is asked of a
backend.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnosis.conduct import Conduct, same_bits
from ..ops.operation import Operation
from ..ops.signature import Size
from ..ops.text import derivative_name
from ..truth.case import Unknown
from ..truth.inputs import dtype_arrays, output_shapes
from ..truth.references import bounded
from ..verdict.formats import FORMATS
from ..verdict.judge import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    UNAVAILABLE,
    Judgement,
    Reference,
    joined,
    judge_entries,
    passed,
    worded,
)

if TYPE_CHECKING:
    from ..backend import Session

RELATIONS = {
    "zero": "a zero cotangent gives zero",
    "linear": "linear in the cotangent",
    "twice": "the same twice, bit for bit",
    "unchanged": "inputs and cotangents unchanged",
    "batch": "the batch is the stack of its items",
    "transpose": "⟨Jv, u⟩ = ⟨v, Jᵀu⟩",
}
"""Every relation in words."""

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
    linear: tuple[str, ...]
    """The inputs in each of which, the others fixed, every value is linear."""


def structure(op: Operation, size: Size, seed: int = 0) -> Structure:
    """Find the batch dimension and the linear inputs of an operation, at one size; what cannot be tried is left out."""
    drawn = [op.make_inputs(size, s) for s in range(seed, seed + DRAWS)]
    _, parameters = op.split(size)
    linear = [n for n in op.gradients if _holds(_is_linear, op, parameters, drawn, op.inputs.index(n))]
    batches = [s for s in op.signature.symbols if _could_be_batch(op, s, size)]
    batch = (s for s in batches if all(_holds(_is_batch, op, parameters, inputs, s) for inputs in drawn))
    return Structure(next(batch, None), tuple(linear))


def _holds(test: Callable[..., bool], *arguments: Any) -> bool:
    try:
        return test(*arguments)
    except Exception:  # noqa: BLE001 - a relation that cannot be tried is not known to hold
        return False


def _evaluated(op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> list[Any]:
    from ..namespaces import exact

    return [exact.lift(v) for v in exact.evaluate(op.forward(exact, parameters), *inputs).outputs]


def _overlap(a: Any, b: Any) -> bool:
    return a.shape == b.shape and all(p.overlaps(q) for p, q in zip(a.elements.flat, b.elements.flat, strict=True))


def _is_linear(op: Operation, parameters: Mapping[str, Any], drawn: list[list[np.ndarray]], number: int) -> bool:
    """Whether f(v) = J(x) v, at drawn x, for drawn v at several scales and for the v of ⟨Jv, u⟩ = ⟨v, Jᵀu⟩."""
    others = (scale * inputs[number] for scale in SCALES for inputs in drawn)
    vectors = np.stack([_trial_vector(number, drawn[0][number].shape), *others])
    wanted = [_evaluated(op, parameters, _exchanged(drawn[0], number, v)) for v in vectors]
    # Inputs in float32 are a rounding away from these; so is where a backend has its own.
    for point in (*drawn, [FORMATS["float32"].round(x) if x.dtype.kind == "f" else x for x in drawn[0]]):
        inputs = _exchanged(drawn[0], number, point[number])
        moved = _moved(op, parameters, inputs, number, vectors)
        if not all(_overlap(t[i], v) for i, values in enumerate(wanted) for t, v in zip(moved, values, strict=True)):
            return False
    return True


def _trial_vector(number: int, shape: tuple[int, ...]) -> np.ndarray:
    return _small_integers(np.random.default_rng(number), shape)


def _exchanged(inputs: Sequence[np.ndarray], number: int, value: np.ndarray) -> list[np.ndarray]:
    return [a if i != number else value for i, a in enumerate(inputs)]


def _moved(
    op: Operation, parameters: Mapping[str, Any], inputs: Sequence[np.ndarray], number: int, vectors: np.ndarray
) -> list[Any]:
    """Return Jv of each value for every v in one input."""
    from ..namespaces import dual, exact

    def derivatives(*arrays: Any) -> tuple[Any, ...]:
        directions = [exact.lift(vectors) if i == number else None for i in range(len(arrays))]
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
        alone = _evaluated(op, parameters, _items(inputs, op.signature.inputs, symbol, item))
        for value, one, shape in zip(whole, alone, op.signature.outputs, strict=True):
            key = (slice(None),) * shape.index(symbol)
            if not _overlap(value[(*key, slice(item, item + 1))], one):
                return False
    return True


def _items(arrays: Sequence[np.ndarray], shapes: Sequence[tuple[str, ...]], symbol: str, item: int) -> list[np.ndarray]:
    """Cut one item out of every array that has the dimension; it stays, with length 1."""
    return [
        np.take(a, [item], axis=shape.index(symbol)) if symbol in shape else a
        for a, shape in zip(arrays, shapes, strict=True)
    ]


def relations(
    session: Session,
    op: Operation,
    size: Size,
    dtype: str,
    *,
    seed: int = 0,
    precision: str = "strict",
    known: Structure | None = None,
    raised: Callable[[Exception, Sequence[np.ndarray]], Judgement] | None = None,
) -> Iterator[tuple[str, Judgement]]:
    """Try every relation on a backend and yield its words with the judgement.

    Args:
        session: the backend.
        op: the operation.
        size: dimensions and parameters; a small one.
        dtype: what to compute in.
        seed: of inputs and cotangents.
        precision: what float32 products may be computed in.
        known: the operation's structure, where it has been found before.
        raised: judges what a backend raises, given the arguments; None is a FAIL.
    """
    known = known or structure(op, size, seed)
    trial = _Trial(session, op, size, dtype, seed, precision)
    tests: dict[str, Callable[[], Judgement]] = {
        "zero": trial.zero,
        "twice": trial.twice,
        "unchanged": trial.unchanged,
    }
    # With 8 or 11 bits the bounds of several results together are too wide to see anything.
    if FORMATS[dtype].significand_bits >= 24:
        tests["linear"] = trial.linear
        if known.batch is not None:
            tests["batch"] = lambda: trial.batch(known.batch or "")
        if known.linear:
            tests["transpose"] = lambda: joined(trial.transpose(name) for name in known.linear)
    for name, test in tests.items():
        try:
            yield RELATIONS[name], test()
        except Unknown as error:
            yield RELATIONS[name], worded(INCONCLUSIVE, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a framework raises belongs to this relation alone
            if raised is not None:
                yield RELATIONS[name], raised(error, [*trial.inputs, *trial.u])
                continue
            lines = str(error).strip().splitlines()
            yield RELATIONS[name], _failed(f"raised {type(error).__name__}: {lines[0] if lines else ''}")


class _Trial:
    """One operation on one backend in one dtype, with its results so far."""

    def __init__(self, session: Session, op: Operation, size: Size, dtype: str, seed: int, precision: str) -> None:
        self.session, self.op, self.dtype, self.precision = session, op, dtype, precision
        _, self.parameters = op.split(size)
        self.inputs = dtype_arrays(op, size, seed, "gaussian", dtype)[: len(op.inputs)]
        rng = np.random.default_rng(seed)
        # Small integers: 3u + v has no rounding in any dtype.
        self.shapes = output_shapes(op, size, self.inputs)
        self.u, self.v = ([_small_integers(rng, s) for s in self.shapes] for _ in range(2))
        self.values = len(self.shapes)
        self.overflow = f"may overflow in {dtype}"

    def on_device(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return self.session.place(self.op, arrays, self.dtype)

    def run(self, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        function = self.op.analytic(self.session.xp, self.parameters)
        return self.on_host(function(*self.on_device([*inputs, *cotangents])))

    def on_host(self, outputs: Sequence[Any]) -> list[np.ndarray]:
        self.session.wait(outputs)
        return [self.session.to_numpy(o) for o in outputs]

    def bounds(self, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> list[Reference]:
        arrays = [*inputs, *cotangents]
        return bounded(self.op, arrays, self.parameters, self.dtype, self.precision, certain=True, hull=False)

    def zero(self) -> Judgement:
        nothing = [np.zeros(s) for s in self.shapes]
        outputs, bounds = self.run(self.inputs, nothing), self.bounds(self.inputs, nothing)
        pairs = list(zip(self.op.outputs, _wide(outputs), bounds, strict=True))[self.values :]
        left_out = 0
        for name, output, bound in pairs:
            # A factor that overflows makes a NaN of a zero; what underflows may leave a trace below the smallest
            # number. Written so that a NaN is one.
            open_ = np.broadcast_to(bound.excused, output.shape)
            trace = ~(np.abs(output) <= bound.bound) & ~open_
            left_out += int(open_.sum())
            if trace.any():
                largest = float(np.max(np.abs(output[trace])))
                where = f"{int(trace.sum())} of {trace.size} entries"
                return _failed(f"{derivative_name(name)} is not zero in {where}, up to {largest:.3g}", trace.size)
        entries = sum(output.size for _, output, _ in pairs)
        if left_out == entries > 0:
            return worded(UNAVAILABLE, f"nothing to compare: every entry {self.overflow}")
        note = f"{left_out} of {entries} entries not judged: each {self.overflow}" if left_out else ""
        return passed(entries - left_out, note)

    def linear(self) -> Judgement:
        both = [3 * a + b for a, b in zip(self.u, self.v, strict=True)]
        found = [_wide(self.run(self.inputs, c)) for c in (self.u, self.v, both)]
        bounds = [self.bounds(self.inputs, c) for c in (self.u, self.v, both)]
        wanted = [
            _about(3 * a + b, (3, of_a), (1, of_b), (1, of_sum))
            for a, b, of_a, of_b, of_sum in zip(*found[:2], *bounds, strict=True)
        ]
        return self.judged(found[2], wanted)

    def conduct(self) -> Conduct:
        return Conduct(self.op, self.parameters, self.session.xp, self.on_device([*self.inputs, *self.u]), self.on_host)

    def twice(self) -> Judgement:
        conduct = self.conduct()
        first = conduct.call()
        others = {
            "called twice, the pullback gives other bits": conduct.call(),
            "evaluated twice, the operation gives other bits": self.run(self.inputs, self.u)[self.values :],
        }
        for what, again in others.items():
            for output, a, b in zip(self.op.outputs[self.values :], first, again, strict=True):
                if not same_bits(a, b):
                    apart = float(np.max(np.abs(_wide([a])[0] - _wide([b])[0]))) if a.shape == b.shape else math.inf
                    name = derivative_name(output)
                    return _failed(f"{what} in {name}, up to {apart:.3g} apart: it changes from call to call", a.size)
        return passed(sum(a.size for a in first))

    def unchanged(self) -> Judgement:
        conduct = self.conduct()
        conduct.call()
        names = [*self.op.inputs, *(f"the cotangent of {o}" for o in self.op.outputs[: self.values])]
        entries = sum(a.size for a in (*self.inputs, *self.u))
        written = [names[i] for i in conduct.written] + [self.op.outputs[i] for i in conduct.values_written]
        if written:
            return _failed(f"inputs changed: the operation writes into {', '.join(written)}", entries)
        return passed(entries)

    def batch(self, symbol: str) -> Judgement:
        signature = self.op.signature
        count = next(
            a.shape[s.index(symbol)] for a, s in zip(self.inputs, signature.inputs, strict=True) if symbol in s
        )
        whole, bounds = _wide(self.run(self.inputs, self.u)), self.bounds(self.inputs, self.u)
        parts, of_parts = [], []
        for item in range(count):
            inputs = _items(self.inputs, signature.inputs, symbol, item)
            cotangents = _items(self.u, signature.outputs, symbol, item)
            parts.append(_wide(self.run(inputs, cotangents)))
            of_parts.append(self.bounds(inputs, cotangents))
        given = dict(zip(self.op.inputs, signature.inputs, strict=True))
        shapes = [*signature.outputs, *(given[name] for name in self.op.gradients)]
        wanted = []
        for i, shape in enumerate(shapes):
            # An input that all items share has the sum of their gradients.
            join = _stacked(shape.index(symbol)) if symbol in shape else _summed
            items = [
                replace(b[i], value=p[i], rest=0 * p[i], hull=0 * p[i]) for p, b in zip(parts, of_parts, strict=True)
            ]
            wanted.append(_about(join([r.value for r in items]), (1, bounds[i]), (1, _joined_bounds(items, join))))
        return self.judged(whole, wanted)

    def transpose(self, name: str) -> Judgement:
        number = self.op.inputs.index(name)
        v = _trial_vector(number, self.inputs[number].shape)
        moved = _exchanged(self.inputs, number, v)
        place = self.values + self.op.gradients.index(name)
        gradient, of_gradient = self.run(self.inputs, self.u)[place], self.bounds(self.inputs, self.u)[place]
        values, of_values = self.run(moved, self.u)[: self.values], self.bounds(moved, self.u)[: self.values]
        pairs = [*zip(values, self.u, of_values, strict=True)]
        left = _dot([(x, u) for x, u, _ in pairs])
        right = _dot([(gradient, v)])
        # The two sums are made of products that may round in float64 themselves.
        size = _dot([(np.abs(x), np.abs(u)) for x, u, _ in pairs]) + _dot([(np.abs(gradient), np.abs(v))])
        bound, probable = (
            _dot([(getattr(b, part), np.abs(u)) for _, u, b in pairs])
            + _dot([(getattr(of_gradient, part), np.abs(v))])
            + 2.0**-52 * size
            for part in ("bound", "probable")
        )
        zero = np.zeros(())
        reference = Reference(np.asarray(right), zero, np.asarray(bound), np.asarray(probable), zero)
        found = judge_entries(np.asarray(left), reference, self.dtype, self.overflow)
        if found.verdict == FAIL:
            return replace(
                found, reason=f"v in place of {name}: ⟨Jv, u⟩ = {left:.6g}, ⟨v, Jᵀu⟩ = {right:.6g}; {found.reason}"
            )
        return found

    def judged(self, outputs: Sequence[np.ndarray], wanted: Sequence[Reference]) -> Judgement:
        """Judge the gradients alone: the values do not know of the cotangent."""
        found = []
        for name, output, reference in list(zip(self.op.outputs, outputs, wanted, strict=True))[self.values :]:
            one = judge_entries(np.asarray(output, dtype=np.float64), reference, self.dtype, self.overflow)
            named = f"{derivative_name(name)}: {one.reason}"
            found.append(replace(one, reason=named if one.reason and one.verdict != PASS else ""))
        return joined(found)


def _small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], shape))


def _wide(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(a, dtype=np.float64) for a in arrays]


def _about(value: np.ndarray, *terms: tuple[float, Reference]) -> Reference:
    """What a combination of results should be, with the sum of their bounds."""
    form = FORMATS["float64"]
    host = 8 * form.unit_roundoff * sum(abs(k) * np.abs(r.value) for k, r in terms)
    bound, probable = (sum(k * getattr(r, part) for k, r in terms) + host for part in ("bound", "probable"))
    zero = np.zeros(value.shape)
    excused = np.logical_or.reduce(np.broadcast_arrays(zero, *(r.excused for _, r in terms))[1:])
    return Reference(value, zero, np.asarray(bound), np.asarray(probable), zero, excused)


def _stacked(axis: int) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    return lambda items: np.concatenate(items, axis=axis)


def _summed(items: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.sum(items, axis=0))


def _joined_bounds(items: Sequence[Reference], join: Callable[[Sequence[np.ndarray]], np.ndarray]) -> Reference:
    excused = [np.broadcast_to(r.excused, r.value.shape).astype(np.float64) for r in items]
    value, rest, bound, probable, hull = map(join, zip(*(r.parts() for r in items), strict=True))
    return Reference(value, rest, bound, probable, hull, join(excused) > 0)


def _dot(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    products = (np.asarray(a, dtype=np.float64) * b for a, b in pairs)
    return math.fsum(itertools.chain.from_iterable(p.flat for p in products))


def _failed(reason: str, compared: int = 0) -> Judgement:
    return worded(FAIL, reason, compared, math.inf)

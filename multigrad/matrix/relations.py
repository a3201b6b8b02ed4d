"""What holds for every pullback, whatever its formula, on one backend: relations between its own results.

None needs a true value: a result is held against another result of the same backend, within the sum of their bounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend.limits import Unavailable
from ..backend.refusals import judge_error
from ..backend.session import Session
from ..data.errors import one_line
from ..diagnosis.conduct import Conduct, same_bits
from ..ops.implementation import HALVES, Implementation
from ..ops.operation import Operation
from ..ops.signature import Size
from ..ops.text import derivative_name
from ..truth.arithmetic import Arithmetic
from ..truth.case import Unknown
from ..truth.inputs import dtype_arrays, output_shapes
from ..truth.references import bounded
from ..truth.variant import sensitivity
from ..verdict.formats import FORMATS
from ..verdict.judge import Judgement, Reference, joined, judge_entries, passed, worded
from ..verdict.words import FAIL, INCONCLUSIVE, NOTE, OURS, PASS, UNAVAILABLE
from .structure import Structure, exchanged, items_of, small_integers, structure, trial_vector

RELATIONS = {
    "zero": "a zero cotangent gives zero",
    "linear": "linear in the cotangent",
    "twice": "the same twice, bit for bit",
    "unchanged": "inputs and cotangents unchanged",
    "kept": "what it returned stays as it was",
    "batch": "the batch is the stack of its items",
    "transpose": "⟨Jv, u⟩ = ⟨v, Jᵀu⟩",
    "vmap": "vmap is the loop over the batch",
}
"""Every relation in words."""


def relations(
    session: Session,
    op: Operation,
    size: Size,
    dtype: str,
    variant: str = OURS,
    *,
    seed: int = 0,
    precision: str = "strict",
    known: Structure | None = None,
) -> Iterator[tuple[str, Judgement]]:
    """Try every relation on a backend and yield its words with the judgement.

    Args:
        session: the backend.
        op: the operation.
        size: dimensions and parameters; a small one.
        dtype: what to compute in.
        variant: the hand-derived form, or the name of an implementation.
        seed: of inputs and cotangents.
        precision: what float32 products may be computed in.
        known: the operation's structure, where it has been found before.
    """
    known = known or structure(op, size, seed)
    made = session.implementation(op, variant)
    trial: _Trial = (
        _Trial(session, op, size, dtype, variant, seed, precision)
        if made is None
        else _ForeignTrial(session, op, size, dtype, variant, seed, precision, made=made)
    )
    tests: dict[str, Callable[[], Judgement]] = {
        "zero": trial.zero,
        "twice": trial.twice,
        "unchanged": trial.unchanged,
    }
    if isinstance(trial, _ForeignTrial):
        tests["kept"] = trial.kept
    # With 8 or 11 bits the bounds of several results together are too wide to see anything.
    if FORMATS[dtype].significand_bits >= 24:
        tests["linear"] = trial.linear
        if known.batch is not None:
            tests["batch"] = lambda: trial.batch(known.batch or "")
        if known.linear:
            tests["transpose"] = lambda: joined(trial.transpose(names) for names in known.linear)
        if session.backend.maps and isinstance(trial, _ForeignTrial):
            tests["vmap"] = trial.vmap
    for name, test in tests.items():
        try:
            yield RELATIONS[name], test()
        except Unknown as error:
            yield RELATIONS[name], worded(INCONCLUSIVE, str(error))
        except Unavailable as error:
            yield RELATIONS[name], worded(UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a framework raises belongs to this relation alone
            arrays = [*trial.inputs, *trial.u]
            yield RELATIONS[name], judge_error(session, op, trial.parameters, arrays, dtype, variant, error)


ITEMS = 3
"""How many items the batch of the relation `vmap` has."""


class _Trial:
    """One operation on one backend in one dtype, with its results so far."""

    def __init__(
        self, session: Session, op: Operation, size: Size, dtype: str, variant: str, seed: int, precision: str
    ) -> None:
        self.session, self.op, self.dtype, self.precision = session, op, dtype, precision
        self.size, self.seed = size, seed
        _, self.parameters = op.split(size)
        self.function = session.function(op, self.parameters, variant, "eager")
        self.inputs = dtype_arrays(op, size, seed, "gaussian", dtype)[: len(op.inputs)]
        rng = np.random.default_rng(seed)
        self.shapes = output_shapes(op, size, self.inputs)
        self.u, self.v = ([small_integers(rng, s) for s in self.shapes] for _ in range(2))
        self.values = len(self.shapes)
        self.overflow = f"may overflow in {dtype}"
        self.arithmetic = Arithmetic(dtype, precision)

    def on_device(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return self.session.place(self.op, arrays, self.dtype)

    def run(self, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self.on_host(self.function(*self.on_device([*inputs, *cotangents])))

    def on_host(self, outputs: Sequence[Any]) -> list[np.ndarray]:
        self.session.wait(outputs)
        return [self.session.to_numpy(o) for o in outputs]

    def bounds(self, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> list[Reference]:
        arrays = [*inputs, *cotangents]
        return bounded(self.op, arrays, self.parameters, self.arithmetic, certain=True, hull=False)

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
        results = [_wide(self.run(self.inputs, c)) for c in (self.u, self.v, both)]
        bounds = [self.bounds(self.inputs, c) for c in (self.u, self.v, both)]
        wanted = [
            _about(3 * a + b, (3, of_a), (1, of_b), (1, of_sum))
            for a, b, of_a, of_b, of_sum in zip(*results[:2], *bounds, strict=True)
        ]
        return self.judged(results[2], wanted)

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
                    name = derivative_name(output)
                    reason = f"{what} in {name}, up to {_apart(a, b):.3g} apart: it changes from call to call"
                    return _failed(reason, a.size)
        return passed(sum(a.size for a in first))

    def unchanged(self) -> Judgement:
        conduct = self.conduct()
        conduct.call()
        written = [self.arguments[i] for i in conduct.written] + [self.op.outputs[i] for i in conduct.values_written]
        return self.written(written, "the operation")

    @property
    def arguments(self) -> list[str]:
        """Inputs and cotangents, in words."""
        return [*self.op.inputs, *(f"the cotangent of {o}" for o in self.op.value_names)]

    def written(self, names: Sequence[str], who: str) -> Judgement:
        """Judge what was written into."""
        entries = sum(a.size for a in (*self.inputs, *self.u))
        if names:
            return _failed(f"inputs changed: {who} writes into {', '.join(names)}", entries)
        return passed(entries)

    def batch(self, symbol: str) -> Judgement:
        signature = self.op.signature
        count = next(
            a.shape[s.index(symbol)] for a, s in zip(self.inputs, signature.inputs, strict=True) if symbol in s
        )
        whole, bounds = _wide(self.run(self.inputs, self.u)), self.bounds(self.inputs, self.u)
        parts, of_parts = [], []
        for item in range(count):
            inputs = items_of(self.inputs, signature.inputs, symbol, item)
            cotangents = items_of(self.u, signature.outputs, symbol, item)
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

    def transpose(self, names: Sequence[str]) -> Judgement:
        """Judge ⟨Jv, u⟩ = ⟨v, Jᵀu⟩ for inputs in which the values are linear together."""
        numbers = [self.op.inputs.index(name) for name in names]
        vectors = [trial_vector(number, self.inputs[number].shape) for number in numbers]
        moved = exchanged(self.inputs, dict(zip(numbers, vectors, strict=True)))
        places = [self.values + self.op.gradients.index(name) for name in names]
        outputs, bounds = self.run(self.inputs, self.u), self.bounds(self.inputs, self.u)
        of_v = [(outputs[place], v, bounds[place]) for place, v in zip(places, vectors, strict=True)]
        values, of_values = self.run(moved, self.u)[: self.values], self.bounds(moved, self.u)[: self.values]
        of_u = [*zip(values, self.u, of_values, strict=True)]
        left, right = (_dot([(x, u) for x, u, _ in pairs]) for pairs in (of_u, of_v))
        # The two sums are made of products that may round in float64 themselves.
        size = _dot([(np.abs(x), np.abs(u)) for x, u, _ in (*of_u, *of_v)])
        bound, probable = (
            _dot([(getattr(b, part), np.abs(u)) for _, u, b in (*of_u, *of_v)]) + 2.0**-52 * size
            for part in ("bound", "probable")
        )
        zero = np.zeros(())
        reference = Reference(np.asarray(right), zero, np.asarray(bound), np.asarray(probable), zero)
        judgement = judge_entries(np.asarray(left), reference, self.dtype, self.overflow)
        if judgement.verdict == FAIL:
            return replace(
                judgement,
                reason=f"v in place of {', '.join(names)}: ⟨Jv, u⟩ = {left:.6g}, ⟨v, Jᵀu⟩ = {right:.6g}; "
                f"{judgement.reason}",
            )
        return judgement

    def judged(self, outputs: Sequence[np.ndarray], wanted: Sequence[Reference]) -> Judgement:
        """Judge the gradients alone: the values do not know of the cotangent."""
        judgements = []
        for name, output, reference in list(zip(self.op.outputs, outputs, wanted, strict=True))[self.values :]:
            judgement = judge_entries(np.asarray(output, dtype=np.float64), reference, self.dtype, self.overflow)
            named = f"{derivative_name(name)}: {judgement.reason}"
            judgements.append(
                replace(judgement, reason=named if judgement.reason and judgement.verdict != PASS else "")
            )
        return joined(judgements)


class _ForeignTrial(_Trial):
    """An implementation: there is no pullback to be called by itself, and it may do what no formula can."""

    def __init__(self, *arguments: Any, made: Implementation) -> None:
        super().__init__(*arguments)
        self.made = made
        if self.dtype in HALVES:
            self.arithmetic = replace(self.arithmetic, accumulate=made.accumulate)

    def bounds(self, inputs: Sequence[np.ndarray], cotangents: Sequence[np.ndarray]) -> list[Reference]:
        """Return bounds of another formula: as for inputs that are off by one rounding each."""
        arrays = [*inputs, *cotangents]
        moved = sensitivity(self.op, self.parameters, self.arithmetic, arrays)
        bounds = super().bounds(inputs, cotangents)
        return [replace(b, bound=b.bound + m, probable=b.probable + m) for b, m in zip(bounds, moved, strict=True)]

    def twice(self) -> Judgement:
        """Call it twice; where its sums may be added in another order, within the bound."""
        first, again = (self.run(self.inputs, self.u) for _ in range(2))
        unlike = [i for i, (a, b) in enumerate(zip(first, again, strict=True)) if not same_bits(a, b)]
        entries = sum(a.size for a in first)
        if not unlike:
            return passed(entries)
        apart = max(unlike, key=lambda i: _apart(first[i], again[i]))
        name = derivative_name(self.op.outputs[apart])
        how = f"other bits in {name}, up to {_apart(first[apart], again[apart]):.3g} apart"
        if self.made.deterministic:
            return _failed(
                f"called twice, {self.made.name} gives {how}: it changes from call to call, a race or a draw; if that "
                "is meant, write deterministic=False",
                entries,
            )
        bounds = self.bounds(self.inputs, self.u)
        wanted = [_about(_wide([a])[0], (2, bound)) for a, bound in zip(first, bounds, strict=True)]
        judgement = joined(
            judge_entries(b, r, self.dtype, self.overflow) for b, r in zip(_wide(again), wanted, strict=True)
        )
        if judgement.verdict == FAIL:
            return replace(judgement, reason=f"called twice, {self.made.name} gives {how}, which is beyond the bound")
        return replace(judgement, verdict=NOTE, reason=f"not repeatable, as it says: {how}, within the bound")

    def unchanged(self) -> Judgement:
        """Call it, and look at what it was given."""
        arrays = self.on_device([*self.inputs, *self.u])
        before = self.on_host(arrays)
        self.on_host(self.function(*arrays))
        after = self.on_host(arrays)
        pairs = zip(self.arguments, before, after, strict=True)
        return self.written([name for name, a, b in pairs if not same_bits(a, b)], self.made.name)

    def kept(self) -> Judgement:
        """Look at what it returned after another call, and after its inputs were written into."""
        arrays = self.on_device([*self.inputs, *self.u])
        results = self.function(*arrays)
        before = self.on_host(results)
        self.run(self.inputs, self.v)
        if late := self._changed(results, before):
            return _failed(f"a later call overwrote {late}: {self.made.name} returns an array that it keeps")
        try:
            for array in arrays:
                array[...] = 0
        except Exception:  # noqa: BLE001 - arrays that cannot be written into have no views to speak of
            return passed(sum(a.size for a in before))
        if views := self._changed(results[: self.values], before[: self.values]):
            return worded(NOTE, f"{views} is a view of what {self.made.name} was given: a write into one changes both")
        return passed(sum(a.size for a in before))

    def vmap(self) -> Judgement:
        """Map it over a stack of inputs and cotangents, and hold every item against a call of its own."""
        items = [self._item(i) for i in range(ITEMS)]
        stacks = [np.stack(arrays) for arrays in zip(*items, strict=True)]
        count = len(self.op.inputs)
        placed = [self.session.to_device(s, self.dtype if s.dtype.kind == "f" else None) for s in stacks]
        try:
            mapped = self.on_host(self.session.batched(self.function)(*placed))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what a transform cannot follow says nothing of a gradient
            return worded(NOTE, f"vmap cannot follow it: {one_line(error)}")
        judgements = []
        for i, item in enumerate(items):
            bounds = self.bounds(item[:count], item[count:])
            for name, alone, stack, bound in zip(self.op.outputs, self._alone(item), mapped, bounds, strict=True):
                wanted = _about(alone, (2, bound))
                judgement = judge_entries(_wide([stack])[0][i], wanted, self.dtype, self.overflow)
                where = f"{derivative_name(name)} of item {i} is not what it is alone: {judgement.reason}"
                judgements.append(replace(judgement, reason=where if judgement.verdict == FAIL else ""))
        return joined(judgements)

    def _alone(self, item: Sequence[np.ndarray]) -> list[np.ndarray]:
        count = len(self.op.inputs)
        return _wide(self.run(item[:count], item[count:]))

    def _item(self, number: int) -> list[np.ndarray]:
        """Draw inputs of their own for an item of a batch, and cotangents."""
        inputs = dtype_arrays(self.op, self.size, self.seed + number, "gaussian", self.dtype)[: len(self.op.inputs)]
        rng = np.random.default_rng(self.seed + number)
        return [*inputs, *(small_integers(rng, shape) for shape in self.shapes)]

    def _changed(self, results: Sequence[Any], before: Sequence[np.ndarray]) -> str:
        after = self.on_host(results)
        pairs = zip(self.op.outputs, before, after, strict=False)
        return ", ".join(derivative_name(name) for name, a, b in pairs if not same_bits(a, b))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(_wide([a])[0] - _wide([b])[0]), initial=0.0)) if a.shape == b.shape else math.inf


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

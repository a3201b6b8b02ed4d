"""The proof of a formula: the pullback in `exact` against the derivative of the forward part in `dual`.

Both sides are certified enclosures that know nothing of each other. They overlap, and both are narrow, or the formula
is wrong. Where an operation is a rational function without branches, both are also evaluated in fractions at a random
integer point of a large set S: there a wrong formula agrees with probability at most d / |S|, d being the degree of the
difference (for the sizes at hand).

A float that is written in a formula, or computed from its parameters, stands for a real number of which 16 digits are
known: log 2, or p − 1 beside p. Taken for the fraction that it is, a right formula differs from the derivative in the
17th digit. Such a difference, an exact number, is held against what it changes by when the constants are moved in their
last digits (:func:`multigrad.namespaces.exact.moved_constants`): where they explain it, the formula is certified, and
says so. More than 10⁻¹² of the largest entry they never explain.

Source: J. T. Schwartz, "Fast probabilistic algorithms for verification of polynomial identities", J. ACM 27 (1980).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb, fmpq

from ..namespaces import dual, exact
from ..namespaces.dual import Derivative
from ..namespaces.exact import Degree, ExactArray, NotRational, Undecided
from ..ops.operation import Operation
from ..ops.signature import Size

WIDTH = 1e-40
"""How narrow an enclosure must be, relative to its entry, to take part in a verdict."""

CONSTANTS_EXPLAIN = 1e-12
"""The largest difference, relative to the largest entry, that may be due to the last digits of constants."""

CONSTANT_SAMPLES = 4
"""How often the constants are moved. Each move is at least sixteen times their rounding."""

SET_BITS = 64
"""The random points of a proof have integer coordinates from a set of 2 to this power."""


MOST_DEGREE = 1000
"""Beyond it there is no proof in fractions: at points of 64 bits a numerator has 64 bits for each degree."""


@dataclass(frozen=True)
class GradientProof:
    """One gradient of the pullback beside the derivative of the forward part."""

    name: str
    """The input's."""
    compared: int
    """How many pairs of enclosures were compared: entries, or products with random directions, over all points."""
    directions: int | None
    """How many random integer directions stood in for the entries; None where every entry was compared."""
    width: float
    """The largest relative radius of any enclosure on either side."""
    disagreement: float
    """The largest relative distance of two enclosures that do not overlap; 0 where all do."""
    reason: str = ""
    """What kept it from being compared, such as a wrong shape."""
    linear: bool = True
    """Whether for the cotangent 3u + v it is 3 times that for u, plus that for v, within the enclosures."""
    zero: bool = True
    """Whether it is zero for a zero cotangent."""
    constants: float = 0.0
    """The largest distance of two enclosures, relative to the largest entry, that the rounding of constants explains.

    A gradient that cancels to zero is held against the cotangent. It is 0 where all enclosures overlap.
    """

    @property
    def agrees(self) -> bool:
        """Whether something was compared, all of it narrow, and all of it overlapping."""
        return not self.reason and self.compared > 0 and self.width <= WIDTH and self.disagreement == 0

    @property
    def passed(self) -> bool:
        """Whether it agrees and is linear in the cotangent."""
        return self.agrees and self.linear and self.zero


@dataclass(frozen=True)
class Proof:
    """What is known of an operation's pullback at one size."""

    operation: str
    """Its name."""
    size: Mapping[str, Any]
    """Dimensions and parameters."""
    seed: int
    """The first point's seed; each further point takes the next."""
    regime: str
    """How the inputs were drawn."""
    points: int
    """At how many points balls were compared."""
    bits: int
    """The highest precision that was needed."""
    gradients: tuple[GradientProof, ...]
    """One for each differentiable input, in order."""
    probability: float | None
    """The largest probability with which a wrong formula would have agreed; None where nothing bounds it."""

    @property
    def passed(self) -> bool:
        """Whether every gradient agrees and is linear."""
        return bool(self.gradients) and all(g.passed for g in self.gradients)

    @property
    def kind(self) -> str:
        """The verdict in words."""
        if not self.passed:
            return "refuted" if any(g.disagreement > 0 for g in self.gradients) else "not certified"
        if self.probability is not None:
            return f"proven with false-pass probability {self.probability:.1g}"
        constants = "; constants are known to 16 digits" if any(g.constants for g in self.gradients) else ""
        return f"certified at {self.points} point{'s' if self.points > 1 else ''}{constants}"


def prove(
    op: Operation,
    size: Size | str,
    seed: int = 0,
    regime: str = "gaussian",
    *,
    points: int = 1,
    most_bits: int = 3200,
) -> Proof:
    """Compare an operation's pullback with the derivative of its forward part, in ball arithmetic.

    Args:
        op: the operation.
        size: one of its sizes, by name or as dimensions and parameters.
        seed: of the first point.
        regime: how inputs are drawn.
        points: how many points, each with the next seed.
        most_bits: the precision at which to give up.

    Raises:
        Kink: at one of the points the forward part has no derivative. Draw another.
        Undecided: at one of the points the forward part could not be decided, which is mostly the same.
        WrongResult: the pullback returns no gradients, or the wrong number of them.
    """
    size = op.size(size) if isinstance(size, str) else size
    at_points = [_Point(op, size, seed + i, regime, most_bits) for i in range(points)]
    gradients = [_merged([point.gradients[i] for point in at_points]) for i in range(len(op.gradients))]
    probability = None
    exactly = all(g.agrees and not g.constants for g in gradients)
    if exactly and all(point.rational for point in at_points):
        gradients, probability = _proven(op, size, seed, regime, at_points[0].output_shapes, gradients)
    return Proof(
        operation=op.name,
        size=dict(size),
        seed=seed,
        regime=regime,
        points=points,
        bits=max(point.bits for point in at_points),
        gradients=tuple(gradients),
        probability=probability,
    )


class _Point:
    """Both sides at one point, at the precision that makes them narrow."""

    def __init__(self, op: Operation, size: Size, seed: int, regime: str, most_bits: int) -> None:
        self.op = op
        _, self.parameters = op.split(size)
        inputs = op.make_inputs(size, seed, regime)
        count = len(inputs)
        shapes = {name: x.shape for name, x in zip(op.inputs, inputs, strict=True)}
        directions = dual.choose_directions(op, shapes, seed=seed)
        forward = exact.evaluate(op.forward(exact, self.parameters), *inputs, width=math.inf, most_bits=most_bits)
        self.output_shapes = [tuple(v.shape) for v in forward.outputs]
        cotangents = [op.make_cotangents(self.output_shapes, s, regime) for s in (seed, seed + 1)]
        derivatives: list[Derivative] = []

        def differentiate(*arrays: Any) -> tuple[Any, ...]:
            derivatives[:] = dual.differentiate(
                op, self.parameters, arrays[:count], arrays[count:], directions=directions
            )
            return tuple(d.enclosure for d in derivatives)

        branches = exact.branch_count()
        truth = exact.evaluate(differentiate, *inputs, *cotangents[0], width=WIDTH, most_bits=most_bits)
        everything = (*inputs, *cotangents[0], *cotangents[1])
        try:
            ours = exact.evaluate(self._pullbacks, *everything, width=WIDTH, most_bits=most_bits)
        except Undecided as error:
            # The derivative exists, so it is the pullback that fails here.
            self._undecided(truth, derivatives, f"the derivative exists, but in the pullback {error}")
            return
        self.bits = max(truth.bits, ours.bits)
        groups = [ours.outputs[i::4] for i in range(4)]
        with exact.precision(self.bits):
            self.gradients = [
                replace(compare(u, d), linear=_overlap(3 * u + v, w), zero=_overlap(z, 0 * z))
                for u, v, w, z, d in zip(*groups, derivatives, strict=True)
            ]
            pairs = [(u, d) for u, d in zip(groups[0], derivatives, strict=True)]
            unit = max((float(np.max(np.abs(c), initial=0.0)) for c in cotangents[0]), default=0.0)
            open_ = [_may_be_explained(g, u, d, unit) for g, (u, d) in zip(self.gradients, pairs, strict=True)]
        if any(open_):
            moved = list(_moved(differentiate, derivatives, self._pullbacks, inputs, cotangents, most_bits))
            with exact.precision(self.bits):
                self.gradients = [
                    _explained(g, *pair, unit, [m[i] for m in moved]) if may and moved else g
                    for i, (g, pair, may) in enumerate(zip(self.gradients, pairs, open_, strict=True))
                ]
        degrees = [x.degree for x in (*groups[0], *truth.outputs) if isinstance(x, ExactArray)]
        known_degrees = [max(d) for d in degrees if d is not None]
        without_branches = exact.branch_count() == branches and len(known_degrees) == len(degrees)
        self.rational = without_branches and max(known_degrees, default=0) <= MOST_DEGREE

    def _undecided(self, truth: exact.Evaluation, derivatives: list[Derivative], reason: str) -> None:
        self.bits = truth.bits
        self.gradients = [GradientProof(d.name, 0, None, math.inf, 0.0, reason, False, False) for d in derivatives]
        self.rational = False

    def _pullbacks(self, *arrays: Any) -> tuple[Any, ...]:
        """The pullbacks of u, v, 3u + v and 0, one gradient after the other."""
        count = len(self.op.inputs)
        inputs, rest = arrays[:count], arrays[count:]
        _, pullback = self.op(exact, *inputs, **self.parameters)
        u, v = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        mixed = tuple(3 * a + b for a, b in zip(u, v, strict=True))
        nothing = tuple(exact.zeros_like(a) for a in u)
        results = [self.op.gradients_of(pullback(*cotangents)) for cotangents in (u, v, mixed, nothing)]
        return tuple(gradient for gradients in zip(*results, strict=True) for gradient in gradients)


def compare(gradient: Any, derivative: Derivative) -> GradientProof:
    """Compare a gradient of a pullback with the derivative of the forward part, at the precision of the context."""
    name, directions = derivative.name, derivative.directions
    wanted = derivative.enclosure.shape if directions is None else directions.shape[1:]
    if tuple(np.shape(gradient)) != wanted:
        reason = f"{name}_bar has shape {tuple(np.shape(gradient))}; wanted {wanted}"
        return GradientProof(name, 0, None, math.inf, 0.0, reason)
    ours = _against(gradient, directions)
    pairs = list(zip(ours.elements.flat, derivative.enclosure.elements.flat, strict=True))
    width = max((w for x in (ours, derivative.enclosure) for w in exact.relative_widths(x).flat), default=0.0)
    floor = exact.floor_of(derivative.enclosure.elements)
    distance = max((_distance(a, b, floor) for a, b in pairs), default=0.0)
    return GradientProof(name, len(pairs), None if directions is None else len(directions), float(width), distance)


def _differences(gradient: Any, derivative: Derivative) -> np.ndarray:
    ours = _against(gradient, derivative.directions)
    return np.asarray(ours.elements - derivative.enclosure.elements)


def _largest(elements: np.ndarray) -> Any:
    """The largest size in an array of balls; 0 where all of them hold zero."""
    return max((abs(v.mid()) for v in elements.flat if not v.contains(0)), default=arb(0))


def _may_be_explained(comparison: GradientProof, gradient: Any, derivative: Derivative, unit: float) -> bool:
    """Whether a disagreement is so small that the last digits of constants may be all there is to it.

    Args:
        comparison: the comparison that shows it.
        gradient: the pullback's.
        derivative: the forward part's.
        unit: the largest cotangent.
    """
    if comparison.reason or comparison.disagreement == 0 or not comparison.width <= WIDTH:
        return False
    return bool(_largest(_differences(gradient, derivative)) <= _size(derivative, unit) * CONSTANTS_EXPLAIN)


def _size(derivative: Derivative, unit: float) -> Any:
    """The largest entry of a derivative, or the largest cotangent where the derivative may be one that cancels."""
    size = _largest(derivative.enclosure.elements)
    return arb(unit) if size < unit * CONSTANTS_EXPLAIN else size


def _moved(
    differentiate: Callable[..., Any],
    derivatives: list[Derivative],
    pullbacks: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[Sequence[np.ndarray]],
    most_bits: int,
) -> Iterator[list[np.ndarray]]:
    """Yield the differences of both sides, one array for each gradient, for several moves of the constants.

    Nothing is yielded where there are none, or where one of them decides a branch.
    """
    for sample in range(CONSTANT_SAMPLES):
        before = exact.moved_count()
        try:
            with exact.moved_constants(sample):
                truth = exact.evaluate(differentiate, *inputs, *cotangents[0], width=WIDTH, most_bits=most_bits)
                ours = exact.evaluate(
                    pullbacks, *inputs, *cotangents[0], *cotangents[1], width=WIDTH, most_bits=most_bits
                )
        except Undecided:
            return
        if exact.moved_count() == before:
            return
        with exact.precision(max(truth.bits, ours.bits)):
            yield [_differences(u, d) for u, d in zip(ours.outputs[0::4], derivatives, strict=True)]


def _explained(
    comparison: GradientProof, gradient: Any, derivative: Derivative, unit: float, moved: Sequence[np.ndarray]
) -> GradientProof:
    """Take a disagreement for one of the constants' last digits where no entry's is larger than what those change."""
    differences = _differences(gradient, derivative)
    reach = np.max([np.abs(m - differences) for m in moved], axis=0)
    if not all(v.contains(0) or abs(v) <= r for v, r in zip(differences.flat, reach.flat, strict=True)):
        return comparison
    return replace(comparison, disagreement=0.0, constants=float(_largest(differences) / _size(derivative, unit)))


def _against(gradient: Any, directions: np.ndarray | None) -> ExactArray:
    lifted = exact.lift(gradient)
    if directions is None:
        return lifted
    result: ExactArray = exact.FUNCTIONS["sum"](
        dual.as_variables(directions) * lifted, axis=tuple(range(1, directions.ndim))
    )
    return result


def _distance(a: Any, b: Any, floor: Any) -> float:
    """0 where two enclosures overlap, else the relative distance of their midpoints."""
    if isinstance(a, fmpq):
        return 0.0 if a == b else max(float(abs(arb(a - b)) / max(abs(arb(a)), abs(arb(b)))), math.ulp(0.0))
    if a.overlaps(b):
        return 0.0
    a, b = a.mid(), b.mid()
    return max(float(abs(a - b).mid() / max(abs(a), abs(b), floor)), math.ulp(0.0))


def _overlap(x: Any, y: Any) -> bool:
    a, b = exact.lift(x), exact.lift(y)
    return a.shape == b.shape and all(p.overlaps(q) for p, q in zip(a.elements.flat, b.elements.flat, strict=True))


def _merged(results: list[GradientProof]) -> GradientProof:
    """One gradient at several points."""
    return GradientProof(
        name=results[0].name,
        compared=sum(r.compared for r in results),
        directions=results[0].directions,
        width=max(r.width for r in results),
        disagreement=max(r.disagreement for r in results),
        reason=next((r.reason for r in results if r.reason), ""),
        linear=all(r.linear for r in results),
        zero=all(r.zero for r in results),
        constants=max(r.constants for r in results),
    )


def _proven(
    op: Operation,
    size: Size,
    seed: int,
    regime: str,
    output_shapes: Sequence[tuple[int, ...]],
    certified: list[GradientProof],
) -> tuple[list[GradientProof], float | None]:
    """Evaluate both sides in fractions at a random integer point; return what is known then, and the probability.

    A generator of special inputs may hold the formula to a set (symmetric matrices, say) on which alone it is right.
    Where it fails off that set, the certificate stands as it is.
    """
    rng = random.Random(seed)

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        half = 2 ** (SET_BITS - 1)
        return np.array([rng.randrange(-half, half) for _ in range(math.prod(shape))], dtype=object).reshape(shape)

    _, parameters = op.split(size)
    inputs = [x if x.dtype.kind in "biu" else drawn(x.shape) for x in op.make_inputs(size, seed, regime)]
    directions = dual.choose_directions(
        op, {name: x.shape for name, x in zip(op.inputs, inputs, strict=True)}, seed=rng.randrange(2**32)
    )
    try:
        with exact.rationals():
            variables = [exact.variable(x) for x in inputs]
            cotangents = [exact.variable(drawn(shape)) for shape in output_shapes]
            derivatives = dual.differentiate(op, parameters, variables, cotangents, directions=directions)
            _, pullback = op(exact, *variables, **parameters)
            gradients = op.gradients_of(pullback(*cotangents))
            results = [compare(g, d) for g, d in zip(gradients, derivatives, strict=True)]
            degrees = [
                _difference_degree(_against(g, d.directions).degree, d.enclosure.degree)
                for g, d in zip(gradients, derivatives, strict=True)
            ]
    except (NotRational, Undecided, ZeroDivisionError):
        return certified, None
    if not all(r.agrees for r in results):
        refuted = [replace(r, linear=c.linear, zero=c.zero) for r, c in zip(results, certified, strict=True)]
        return (certified if op.draw is not None else refuted), None
    if any(d is None for d in degrees):
        return certified, None
    return certified, max(d for d in degrees if d is not None) / 2**SET_BITS


def _difference_degree(a: Degree, b: Degree) -> int | None:
    """The degree of the numerator of a − b."""
    return None if a is None or b is None else max(a[0] + b[1], b[0] + a[1])

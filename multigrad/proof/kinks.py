"""The proof at a kink, where the derivative is a convention: right is what lies in the subdifferential.

The limiting gradients near a kink are sampled in ball arithmetic: the inputs are moved by about 10⁻³⁰ in random
directions and in the opposite ones, where the forward part has a derivative, and `dual` differentiates it. Where few
gradients are found (one entry is at a kink, or a few), the pullback's gradient as a whole has to lie in their convex
hull: of two tied maxima both may share the cotangent, and none may have all of it twice. Of many ties at once it is
held against the hull entry by entry. What diverges near the point has no limit and is not judged, nor is a forward part
that jumps there. Which element of the hull a framework's own autodiff returns is its convention:
:func:`multigrad.proof.conventions.conventions` shows it and judges nothing.

A chain of conventions, each right by itself, may leave the subdifferential: max(x, 0) − max(−x, 0) is x, and masks give
the slope 0 at 0. The derivatives that conventions give are therefore vertices of the hull as well.

Source: F. H. Clarke, "Optimization and Nonsmooth Analysis", SIAM 1990, Thm 2.5.1 (the generalised gradient is the
convex hull of limits of gradients).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..data.standard import numpy_standard
from ..namespaces import dual, exact
from ..namespaces.exact import Undecided
from ..ops.operation import Operation
from ..ops.signature import Size
from .hulls import GradientAt, KinkProof, held
from .ties import replaced, tie_rules

xp = numpy_standard()

NEAR_BITS = 100
"""Inputs are moved by integers below 2²⁰ times 2 to the minus this."""


NEARER_BITS = 160
"""The same for a second look: what has changed by then has no limit."""


PAIRS = 16
"""Directions, each with its opposite. Of two ties one of four patterns is then missed with probability 3 · 10⁻⁵."""


BITS = 500
"""Precision of the samples: the move, its square and forty digits have room."""


def prove_at_kink(
    op: Operation, size: Size, seed: int = 0, regime: str = "kink", pairs: int = PAIRS
) -> list[KinkProof]:
    """Hold the pullback at inputs with many ties against the subdifferential.

    Args:
        op: the operation.
        size: dimensions and parameters; a small one.
        seed: of the inputs.
        regime: how the inputs are drawn.
        pairs: how many directions are tried, each with its opposite.

    Returns:
        One proof for each gradient, in order. None has compared anything where no input lies on a kink.

    Raises:
        Undecided: the pullback has no value there, or the forward part no derivative nearby.
    """
    return prove_at(op, size, op.make_inputs(size, seed, regime), seed, regime, pairs)


def prove_at(
    op: Operation,
    size: Size,
    inputs: Sequence[np.ndarray],
    seed: int = 0,
    regime: str = "gaussian",
    pairs: int = PAIRS,
    *,
    explicit: bool = True,
) -> list[KinkProof]:
    """Hold the pullback at given inputs against the subdifferential.

    Args:
        op: the operation.
        size: dimensions and parameters; a small one.
        inputs: the point, one array per input.
        seed: of cotangents and directions.
        regime: how the cotangents are drawn.
        pairs: how many directions are tried, each with its opposite.
        explicit: whether a comparison, a maximum or an absolute value of the formula has a tie here; if none has, a NaN
            is marked as undefined.

    Returns:
        One proof for each gradient, in order. None has compared anything where the forward part jumps or diverges.

    Raises:
        Undecided: the pullback has no value there, or the forward part no derivative nearby.
    """
    point = _Point.at(op, size, inputs, seed, regime)
    ours = point.of_pullback()
    near, nearer = point.around(seed, pairs)
    if not all(_continuous(ours.values, sample.values) for sample in (*near, *nearer)):
        return [KinkProof(name, 0, 0, "") for name in op.gradients]
    for name, gradient, wanted in zip(op.gradients, ours.gradients, near[0].gradients, strict=True):
        if gradient.shape != wanted.shape:
            reason = f"has shape {gradient.shape}, wanted {wanted.shape}"
            return [KinkProof(n, 1, 1, reason) if n == name else KinkProof(n, 0, 0, "") for n in op.gradients]
    nan = [~np.isfinite(g) for g in ours.gradients]
    if any(n.any() for n in nan):
        # A ball may be NaN where a number is not: what counts is what NumPy gives as well.
        nan = [n & ~np.isfinite(x) for n, x in zip(nan, point.in_numpy(), strict=True)]
    gradients = [
        GradientAt(
            name,
            ours.gradients[i],
            nan[i],
            np.stack([sample.gradients[i] for sample in near]),
            np.stack([sample.gradients[i] for sample in nearer]),
        )
        for i, name in enumerate(op.gradients)
    ]
    proofs = held(gradients, explicit)
    if all(p.passed for p in proofs):
        return proofs
    conventional = [c for second in (False, True) for c in point.by_convention(second=second)]
    return held([g.with_conventions([c[i] for c in conventional]) for i, g in enumerate(gradients)], explicit)


def _continuous(here: Sequence[np.ndarray], beside: Sequence[np.ndarray]) -> bool:
    """Whether finite values move by little; the root of 10⁻³⁰ is little."""
    with np.errstate(invalid="ignore"):
        return all(
            bool(np.all(np.abs(a - b) <= 1e-6 * np.maximum(np.abs(a), 1))) for a, b in zip(here, beside, strict=True)
        )


@dataclass(frozen=True)
class _Sample:
    """Values and gradients on a point or beside it, as the nearest float64."""

    values: list[np.ndarray]
    gradients: list[np.ndarray]


@dataclass(frozen=True)
class _Point:
    """An operation at inputs, with cotangents."""

    op: Operation
    parameters: Mapping[str, Any]
    inputs: Sequence[np.ndarray]
    cotangents: Sequence[np.ndarray]

    @classmethod
    def at(cls, op: Operation, size: Size, inputs: Sequence[np.ndarray], seed: int, regime: str) -> _Point:
        """Draw the cotangents that go with inputs."""
        _, parameters = op.split(size)
        values = exact.evaluate(op.forward(exact, parameters), *inputs, width=math.inf).outputs
        return cls(op, parameters, inputs, op.make_cotangents([tuple(v.shape) for v in values], seed, regime))

    def of_pullback(self) -> _Sample:
        """Evaluate the hand-derived formula on the point itself."""
        function = self.op.analytic(exact, self.parameters)
        outputs = exact.evaluate(function, *self.inputs, *self.cotangents, bits=BITS, width=math.inf).outputs
        with exact.precision(BITS):
            return self._sample(outputs)

    def _sample(self, outputs: Sequence[Any]) -> _Sample:
        numbers = [exact.midpoints(output) for output in outputs]
        values = len(numbers) - len(self.op.gradients)
        return _Sample(numbers[:values], numbers[values:])

    def around(self, seed: int, pairs: int) -> tuple[list[_Sample], list[_Sample]]:
        """Differentiate in several directions and their opposites; in the first of them once more, nearer."""
        rng = np.random.default_rng(seed)
        moves = [[rng.integers(-(2**20), 2**20, a.shape) for a in self.inputs] for _ in range(pairs)]
        near = [self._beside([sign * m for m in move], NEAR_BITS) for move in moves for sign in (1, -1)]
        # What has changed nearer to the point has no limit.
        return near, [self._beside([sign * m for m in moves[0]], NEARER_BITS) for sign in (1, -1)]

    def _beside(self, moves: Sequence[np.ndarray], bits: int) -> _Sample:
        """Differentiate the forward part close by."""

        def moved(array: Any, move: np.ndarray) -> Any:
            unit = exact.lift(Fraction(1, 2**bits))
            return array + unit * exact.lift(move) if isinstance(array, exact.ExactArray) else array

        return self._differentiated(lambda arrays: [moved(a, m) for a, m in zip(arrays, moves, strict=True)])

    def by_convention(self, *, second: bool) -> Iterator[list[np.ndarray]]:
        """Yield what the rules of differentiation give here if every tie goes to the first, or to the second."""
        try:
            with replaced(dual.FUNCTIONS, tie_rules(second=second)):
                yield self._differentiated(list).gradients
        except Undecided:
            return

    def _differentiated(self, place: Callable[[Sequence[Any]], list[Any]]) -> _Sample:
        count = len(self.inputs)

        def both(*arrays: Any) -> tuple[Any, ...]:
            at = place(arrays[:count])
            directions = dict.fromkeys(self.op.gradients)
            derivatives = dual.differentiate(self.op, self.parameters, at, arrays[count:], directions=directions)
            return (*self.op.forward(exact, self.parameters)(*at), *(d.enclosure for d in derivatives))

        return self._sample(exact.evaluate(both, *self.inputs, *self.cotangents, bits=BITS, width=math.inf).outputs)

    def in_numpy(self) -> list[np.ndarray]:
        """Return the gradients that the pullback gives in float64; NaN where it raises."""
        with np.errstate(all="ignore"):
            try:
                outputs = self.op.analytic(xp, self.parameters)(*self.inputs, *self.cotangents)
            except Exception:  # noqa: BLE001 - what has no value is no number
                return [np.asarray(np.nan) for _ in self.op.gradients]
        return [np.asarray(g, dtype=np.float64) for g in outputs[len(outputs) - len(self.op.gradients) :]]

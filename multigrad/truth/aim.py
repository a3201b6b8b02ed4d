"""Where could a gradient be wrong that no drawn input meets? Inputs are aimed at every branch of the formula.

One evaluation in `dual` tells of every comparison, maximum, absolute value, rounding, root, logarithm and division, in
the forward part and in the pullback, how far it is from the place where it turns over, and how each input entry moves
it. By Newton's steps one entry is moved until it is there exactly, just beside it on either side, and far beyond it.
On such a place the gradient is held against the subdifferential (:mod:`.kinks`), elsewhere the formula is certified
(:mod:`.proof`). What an operation draws itself may lie on a set on which alone its formula is right (a symmetric
matrix, probabilities of sum 1): an entry of such an input is moved only if the formula stands a small move of it.

Source: the idea is that of coverage-guided testing; P. Godefroid, N. Klarlund, K. Sen, "DART: directed automated random
testing", PLDI 2005.
"""

from __future__ import annotations

import contextlib
import itertools
import linecache
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..namespaces import dual, exact
from ..namespaces.dual import DualArray
from ..namespaces.exact import ExactArray, Undecided
from ..namespaces.shared import linear_algebra
from ..namespaces.shared.operators import COMPARISONS
from ..ops.draw import AIMED
from ..ops.operation import Operation
from ..ops.signature import Size
from ..ops.source import source_file
from ..proof.kinks import PAIRS, KinkProof, prove_at, replaced, tie_rules
from ..proof.prove import prove
from ..verdict.judge import FAIL, INCONCLUSIVE, NOTE, PASS, Judgement
from . import find as truth
from .find import Case, Unserved, derivative_name

BITS = 200
"""Precision of the evaluations that aim."""

MOST_SITES = 12
"""Places of the source that are aimed at; the rest are counted."""

MOST_COORDINATES = 64
"""Input entries that may be moved."""

FEW_PAIRS = 3
"""Directions around a place that was aimed at: few gradients meet there."""

DRAWS = 4
"""Inputs that are drawn to see the range of what a generator makes."""

NEWTON_STEPS = 6
"""Steps after which a place counts as out of reach."""

CALL = 64
"""What a call takes, in balls."""

MOST_WORK = 3_000_000
"""Balls that a survey may handle: a second or so. It counts, so that the same inputs are tried on every machine."""

STEP, POINT, HULL = 0.3, 1.0, 6.0
"""What a Newton step, a certificate and a look at a kink take, in evaluations of forward part and pullback."""

LEAST = 12.0
"""Evaluations that there are for the largest."""

NEAR = (2.0**-10, -(2.0**-20))
"""How far beside, relative to the entry that is moved."""

FACTORS = (2.0**-40, 2.0**-12, 2.0**6, 2.0**12)
"""What all inputs are multiplied by to reach a branch that no single entry reaches."""

KINK_SEEDS = 3
"""Points to draw before an operation counts as one without a kink."""

# ── What a formula decides ───────────────────────────────────────────────────────────────────────────────────────────

CHOICES = ("maximum", "minimum", "abs", "sign")
EXTREMA = ("max", "min", "argmax", "argmin")
ORDERS = ("sort", "argsort")
ROUNDINGS = ("floor", "ceil", "trunc", "round")
SINGULAR = (
    "sqrt",
    "log",
    "log2",
    "log10",
    "log1p",
    "reciprocal",
    "divide",
    "true_divide",
    "pow",
    "acos",
    "asin",
    "atanh",
)
"""Functions with an end or a pole; the others have a branch, a tie or a jump."""

_FOLDER = str(Path(__file__).parents[1])
_INSIDE = {name for name in linear_algebra.LINALG if not name.endswith("_norm")}
"""Algorithms whose own comparisons (pivots) are no branches of the formula."""


@dataclass(frozen=True)
class Site:
    """A place of the source that decides something."""

    line: int
    text: str
    """The expression."""
    name: str
    """The function of the namespace."""

    def __str__(self) -> str:
        return f"line {self.line} `{self.text}`"

    @property
    def branches(self) -> tuple[str, ...]:
        """The ways it may go, in words."""
        if self.name in COMPARISONS:
            return f"{self} true", f"{self} false"
        if self.name in ("maximum", "minimum"):
            return f"{self} the first larger", f"{self} the second larger"
        return (f"{self} above 0", f"{self} below 0") if self.name in CHOICES else ()


@dataclass(frozen=True)
class Guard:
    """One decision of an evaluation: where its gap is 0 it turns over."""

    site: Site
    gap: np.ndarray
    """The difference of what is compared (the argument of a root, the divisor), as the nearest float64."""
    zero: np.ndarray
    """Where the gap is exactly 0."""
    slopes: np.ndarray
    """Its derivative by each coordinate, (coordinates, *shape of the gap)."""
    taken: frozenset[str]
    """The branches that some entry took."""
    ties: int
    """How many entries lie on it, an extremum's own aside."""

    @property
    def explicit(self) -> bool:
        """Whether the formula itself has a branch here, not only a function with an end or a pole."""
        return self.site.name not in SINGULAR


Coordinate = tuple[int, int]
"""An input's number and the place of an entry in it, counted flat."""


class _Enough(Exception):
    """What was wanted has been recorded."""


class _Recorder:
    """Notes every decision of an evaluation in `dual`, or the first so many."""

    def __init__(self, file: str, most: int | None) -> None:
        self.file, self.most = file, most
        self.guards: list[Guard] = []
        self.busy = False

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return `dual`'s functions that decide something; at a tie they go on with a derivative."""
        rules = {
            **dual.FUNCTIONS,
            **tie_rules(second=False),
            **{name: _through(exact.FUNCTIONS[name]) for name in ROUNDINGS},
            **{name: _of_values(exact.FUNCTIONS[name]) for name in COMPARISONS},
        }
        names = (*COMPARISONS, *CHOICES, *EXTREMA, *ORDERS, *ROUNDINGS, *SINGULAR)
        return {name: self._watched(name, rules[name]) for name in names if name in rules}

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*arguments: Any, **options: Any) -> Any:
            if self.busy:
                return function(*arguments, **options)
            self.busy = True
            try:
                site = self._site(name)
                gap = None if site is None else _gap(name, arguments, options)
                result = function(*arguments, **options)
                if site is not None and isinstance(gap, DualArray) and gap.tangent is not None:
                    self.guards.append(_guard(site, gap, result))
                    if len(self.guards) == self.most:
                        raise _Enough
                return result
            finally:
                self.busy = False

        return apply

    def _site(self, name: str) -> Site | None:
        """Find the line of the operation's file, or else the first outside the namespaces."""
        frame: FrameType | None = sys._getframe(2)
        outside: FrameType | None = None
        while frame is not None:
            file = frame.f_code.co_filename
            if file == self.file:
                return _place(frame, name)
            if file.startswith(_FOLDER):
                if frame.f_code.co_name in _INSIDE and file == linear_algebra.__file__:
                    return None
            elif outside is None and file != __file__:
                outside = frame
            frame = frame.f_back
        return None if outside is None else _place(outside, name)


def _place(frame: FrameType, name: str) -> Site:
    positions = list(frame.f_code.co_positions())
    line, last, start, end = positions[frame.f_lasti // 2]
    text = linecache.getline(frame.f_code.co_filename, line or 0)
    # Columns count bytes.
    part = text.encode()[start:end].decode(errors="replace") if line == last and start is not None else ""
    part = (part or text).strip()
    return Site(line or 0, part if len(part) <= 48 else f"{part[:47]}…", name)


def _through(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a rounding hand on the slope, so that what is decided by whole numbers can be aimed at."""
    return lambda x, /: DualArray(function(x.value), x.tangent) if isinstance(x, DualArray) else function(x)


def _of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x1, x2, /: function(*(x.value if isinstance(x, DualArray) else x for x in (x1, x2)))


def _gap(name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    x, f = arguments[0], dual.FUNCTIONS
    if name in COMPARISONS or name in ("maximum", "minimum"):
        return f["subtract"](x, arguments[1]) if any(isinstance(a, DualArray) for a in arguments) else None
    if name in ("divide", "true_divide"):
        return arguments[1]
    if not isinstance(x, DualArray):
        return None
    if name == "pow":
        return None if isinstance(arguments[1], int) and arguments[1] >= 0 else x
    if name == "log1p":
        return x + 1
    if name in ("acos", "asin", "atanh"):
        return 1 - x * x
    if name in EXTREMA:
        best = tie_rules(second=False)[name.removeprefix("arg")](x, axis=options.get("axis"), keepdims=True)
        return x - best
    if name in ORDERS:
        axis = options.get("axis", -1)
        order = exact.FUNCTIONS["argsort"](x.value, axis=axis)
        lanes = f["moveaxis"](f["take_along_axis"](x, order, axis=axis), axis, -1)
        return lanes[..., 1:] - lanes[..., :-1]
    if name in ROUNDINGS:
        half = 0.5 if name == "round" else 0
        nearest = np.rint(exact.midpoints(x.value) - half)
        return x - nearest - half
    return x


def _guard(site: Site, gap: DualArray, result: Any) -> Guard:
    middle = exact.midpoints(gap.value)
    zero = np.asarray(np.frompyfunc(lambda v: v.is_exact() and v == 0, 1, 1)(gap.value.elements), dtype=bool)
    assert gap.tangent is not None
    slopes = exact.midpoints(gap.tangent)
    taken = set()
    if branches := site.branches:
        yes = np.asarray(result, dtype=bool) if site.name in COMPARISONS else middle > 0
        no = ~yes if site.name in COMPARISONS else middle < 0
        taken = {b for b, way in zip(branches, (yes, no), strict=True) if way.any()}
    ties = int(zero.sum())
    if site.name in EXTREMA:
        ties -= np.size(result)
    return Guard(site, middle, zero, np.broadcast_to(slopes, (len(slopes), *middle.shape)), frozenset(taken), ties)


def record(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
    most: int | None = None,
) -> list[Guard]:
    """Evaluate forward part and pullback once; return what they decide that depends on the inputs, the first so many.

    Where the evaluation ends with an error, what came before is returned. An operation never asks for a value, so at
    other inputs of the same shapes the same guards come in the same order.
    """
    recorder = _Recorder(source_file(op), most)
    _run(op, parameters, inputs, cotangents, coordinates, recorder.functions())
    return recorder.guards


def work(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
) -> int:
    """Count what one evaluation of forward part and pullback takes: its calls, and the balls that they return."""
    total = 0

    def weighed(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*arguments: Any, **options: Any) -> Any:
            nonlocal total
            result = function(*arguments, **options)
            total += CALL + (result.size * (1 + len(coordinates)) if isinstance(result, DualArray) else 0)
            return result

        return apply

    rules = {**dual.FUNCTIONS, **_Recorder("", None).functions()}
    _run(op, parameters, inputs, cotangents, coordinates, {name: weighed(rule) for name, rule in rules.items()})
    return total


def _run(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
    functions: Mapping[str, Callable[..., Any]],
) -> None:
    """Evaluate forward part and pullback in `dual` with other functions, as far as they go."""
    with exact.precision(BITS):
        arrays = []
        for number, array in enumerate(inputs):
            value = exact.variable(array)
            if isinstance(value, ExactArray):
                tangent = np.zeros((len(coordinates), array.size))
                for i, (which, place) in enumerate(coordinates):
                    if which == number:
                        tangent[i, place] = 1
                value = DualArray(value, exact.lift(tangent.reshape(len(coordinates), *array.shape)))
            arrays.append(value)
        with replaced(dual.FUNCTIONS, functions):
            try:
                _, pullback = op(dual, *arrays, **parameters)
                pullback(*(DualArray(exact.lift(c)) for c in cotangents))
            except Exception:  # noqa: BLE001 - what cannot be evaluated decides nothing more
                pass


# ── Aiming ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Survey:
    """What was found on and around the branches of a formula."""

    kinks: Mapping[str, Judgement]
    """For each gradient that has entries on a kink, by output."""
    aimed: Mapping[str, Judgement]
    """For each gradient that is wrong where inputs were aimed at; and for ``*``, which branches were reached."""


def survey(op: Operation, size: Size, seed: int = 0) -> Survey:
    """Aim inputs at every branch of an operation and judge the hand-derived formula there.

    Args:
        op: the operation.
        size: dimensions and parameters; the smallest.
        seed: of what is drawn.

    Raises:
        Exception: whatever the operation raises at the inputs that it draws.
    """
    return _Survey(op, size, seed).run()


@dataclass
class _Survey:
    op: Operation
    size: Size
    seed: int
    reached: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """What is wrong at aimed inputs, by output."""
    on_kinks: dict[str, list[KinkProof]] = field(default_factory=dict)
    points: int = 0
    """At how many aimed inputs the formula was judged."""
    seen: set[bytes] = field(default_factory=set)
    stands: dict[Coordinate, bool] = field(default_factory=dict)

    def run(self) -> Survey:
        self._draw()
        self._dense()
        if self.base_is_right:
            self._aim()
        return Survey(self._kinks(), self._aimed())

    # What is drawn.

    def _draw(self) -> None:
        op, drawn = self.op, _Drawn()
        spied = op if op.draw is None else replace(op, draw=drawn.spy(op.draw))
        inputs = spied.make_inputs(self.size, self.seed)
        _, self.parameters = op.split(self.size)
        self.free = [op.draw is None or any(np.array_equal(a, d) for d in drawn.arrays) for a in inputs]
        self.kept = [() if free else self._properties(i) for i, free in enumerate(self.free)]
        # Few digits, so that sums and products are exact and a place can be met exactly.
        self.base = [
            np.where(np.rint(a * 1024) == 0, a, np.rint(a * 1024) / 1024) if free and a.dtype.kind == "f" else a
            for a, free in zip(inputs, self.free, strict=True)
        ]
        shapes = truth.output_shapes(op, self.size, self.base)
        self.cotangents = op.make_cotangents(shapes, self.seed)
        self.coordinates = _spread(
            [(i, k) for i, a in enumerate(self.base) if a.dtype.kind == "f" for k in range(a.size)], MOST_COORDINATES
        )
        self.case = Case(op.reference, op.name, dict(self.size), "gaussian", "float64", self.seed)
        self.guards = record(op, self.parameters, self.base, self.cotangents, self.coordinates)
        given = work(op, self.parameters, self.base, self.cotangents, self.coordinates)
        self.left = max(MOST_WORK / max(given, 1), LEAST)
        self.wrong: set[str] = set()
        self.base_is_right = self._smooth("", self.base) is not False
        self.wrong, self.failed = set(self.failed), {}

    def _properties(self, number: int) -> tuple[Callable[[np.ndarray], bool], ...]:
        """What all arrays have in common that the generator makes for an input."""
        drawn = [self.op.make_inputs(self.size, s)[number] for s in range(self.seed, self.seed + DRAWS)]
        return tuple(holds for holds in PROPERTIES.values() if all(a.dtype.kind == "f" and holds(a) for a in drawn))

    def _moved(self, inputs: Sequence[np.ndarray], coordinate: Coordinate, value: float) -> list[np.ndarray] | None:
        """Give an entry another value, unless the generator makes no such array."""
        result = _moved(inputs, coordinate, value)
        array = result[coordinate[0]]
        return result if all(holds(array) for holds in self.kept[coordinate[0]]) else None

    def _dense(self) -> None:
        """Inputs with many ties at once."""
        for seed in range(self.seed, self.seed + (KINK_SEEDS if self.guards else 1)):
            if not self._may(HULL):
                return
            try:
                inputs = self.op.make_inputs(self.size, seed, "kink")
                explicit = self._explicit(inputs)
                # Two directions tell whether there is a kink; many are needed to know the hull.
                for pairs in (2, PAIRS):
                    proofs = prove_at(self.op, self.size, inputs, seed, "kink", pairs, explicit=explicit)
                    if all(p.passed and not p.compared for p in proofs):
                        break
                else:
                    self._note(proofs)
                    return
            except Exception:  # noqa: BLE001 - an operation that has no such points is not judged there
                continue

    # Judging.

    def _may(self, cost: float) -> bool:
        """Whether there is work left; if so it is taken."""
        self.left -= cost
        return self.left >= 0

    def _explicit(self, inputs: Sequence[np.ndarray]) -> bool:
        """Whether a comparison, a maximum or an absolute value has a tie; its branches count as reached."""
        guards = record(self.op, self.parameters, inputs, self.cotangents, self.coordinates[:1])
        self.reached |= {b for g in guards for b in g.taken}
        return any(g.explicit and g.ties for g in guards)

    def _smooth(self, words: str, inputs: Sequence[np.ndarray]) -> bool | None:
        """Certify the formula at inputs; None where it cannot be judged."""
        key = b"".join(np.ascontiguousarray(a).tobytes() for a in inputs)
        if key in self.seen or not self._may(POINT):
            return None
        self.seen.add(key)
        there = replace(self.op, draw=lambda draw, **size: [a.copy() for a in inputs])
        try:
            proof = prove(there, self.size, self.seed)
            refuted = [g for g in proof.gradients if not g.passed]
        except Undecided:
            return None
        except Exception:  # noqa: BLE001 - the judgement words it
            if not self._has_value(inputs):
                return None
            refuted = []
        else:
            if words:
                self._explicit(inputs)
            if not refuted:
                self.points += bool(words)
                return True
            undecided = [g for g in refuted if g.disagreement == 0 and g.reason.startswith("the derivative exists")]
            if undecided and self._in_numpy(inputs):
                return None
        if refuted and {f"{g.name}_bar" for g in refuted} <= {*self.failed, *self.wrong}:
            return False  # said once; to name a mistake takes longer than to see it
        judgements = truth.judge_formula(there, self.case)
        wrong = {o: j.reason for o, j in judgements.items() if j.verdict == FAIL and o not in self.wrong}
        with contextlib.suppress(Exception):  # the verdict stands, with its figures
            wrong |= truth.diagnose_formula(there, self.case, [*wrong]) if wrong and words else {}
        for output, reason in wrong.items():
            self.failed.setdefault(output, f"{reason}; {words}{self._moves(inputs)}")
        self.points += bool(words)
        return not wrong

    def _has_value(self, inputs: Sequence[np.ndarray]) -> bool:
        try:
            exact.evaluate(self.op.forward(exact, self.parameters), *inputs)
        except Exception:  # noqa: BLE001 - a forward part that refuses its inputs has no gradient there
            return False
        return True

    def _in_numpy(self, inputs: Sequence[np.ndarray]) -> bool:
        """Whether the pullback gives finite numbers where ball arithmetic decides nothing."""
        import array_api_compat.numpy as xp

        with np.errstate(all="ignore"):
            try:
                outputs = self.op.analytic(xp, self.parameters)(*inputs, *self.cotangents)
            except Exception:  # noqa: BLE001 - then it has no numbers
                return False
        return all(bool(np.all(np.isfinite(o))) for o in outputs)

    def _on(self, words: str, inputs: Sequence[np.ndarray]) -> None:
        """Hold the gradient against the subdifferential at inputs that lie on a branch."""
        if not self._may(HULL):
            return
        explicit = self._explicit(inputs)
        try:
            proofs = prove_at(self.op, self.size, inputs, self.seed, pairs=FEW_PAIRS, explicit=explicit)
        except Exception:  # noqa: BLE001 - beside it there are points that can be judged
            return
        self._note([replace(p, reason=f"{p.reason}; {words}{self._moves(inputs)}") if p.reason else p for p in proofs])

    def _note(self, proofs: Sequence[KinkProof]) -> None:
        for proof in proofs:
            self.on_kinks.setdefault(f"{proof.name}_bar", []).append(proof)

    def _moves(self, inputs: Sequence[np.ndarray]) -> str:
        """Write which entries were moved."""
        moved = []
        for name, old, new in zip(self.op.inputs, self.base, inputs, strict=True):
            for place in np.argwhere(old != new):
                index = f"[{', '.join(map(str, place))}]" if place.size else ""
                moved.append(f"{name}{index} = {float(new[tuple(place)]):.9g}")
        return f", {', '.join(moved)}" if 0 < len(moved) <= 3 else ""

    # Aiming.

    def _aim(self) -> None:
        self.reached |= {b for g in self.guards for b in g.taken}
        for regime in ("wide", *AIMED):
            self._regime(regime)
        sites: dict[Site, list[int]] = {}
        for number, guard in enumerate(self.guards):
            sites.setdefault(guard.site, []).append(number)
        self.sites = sites
        for numbers in list(sites.values())[:MOST_SITES]:
            for number in dict.fromkeys((numbers[0], numbers[-1])):
                self._at_guard(number)
        if any(not g.explicit for g in self.guards):
            self._at_zero()
        for site, numbers in sites.items():
            if not self.reached.issuperset(site.branches):
                self._far(site, numbers)

    def _regime(self, regime: str) -> None:
        try:
            inputs = self.op.make_inputs(self.size, self.seed, regime)
            truth.output_shapes(self.op, self.size, inputs)
        except Exception:  # noqa: BLE001 - its generator has no such inputs
            return
        if all(np.all(np.isfinite(a)) for a in inputs if a.dtype.kind == "f"):
            self._smooth(f"with inputs drawn so: {AIMED.get(regime, regime)}", inputs)

    def _at_guard(self, number: int) -> None:
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
            return not self.free[self.coordinates[j][0]], not exact_step, others, -abs(slopes[j])

        return [j for j in sorted(movers, key=order)[:6] if self._may_move(self.coordinates[j])]

    def _may_move(self, coordinate: Coordinate) -> bool:
        """Whether the formula stands a small move of an entry that the generator may have tied to others."""
        if self.free[coordinate[0]]:
            return True
        if coordinate not in self.stands:
            value = float(self.base[coordinate[0]].flat[coordinate[1]])
            there = self._moved(self.base, coordinate, value * (1 - 2.0**-6))
            failed = dict(self.failed)
            self.stands[coordinate] = there is not None and self._smooth("", there) is True
            self.failed = failed
        return self.stands[coordinate]

    def _on_entry(self, number: int, entry: tuple[int, ...], entries: Sequence[tuple[int, ...]]) -> None:
        for place in dict.fromkeys((entry, *entries[:2])):
            for j in self._movers(self.guards[number], place)[:2]:
                for start in self._starts(float(self.guards[number].slopes[(j, *place)])):
                    inputs = self._newton(number, place, j, 0.0, start)
                    if inputs is not None:
                        self._on(f"on {self.guards[number].site}", inputs)
                        return

    def _starts(self, slope: float) -> Iterator[list[np.ndarray]]:
        """Yield the drawn inputs; then, where the slope is an entry of them, with a power of two in its place.

        So it is in a product, and a power of two divides without rounding.
        """
        yield self.base
        power = math.copysign(2.0 ** round(math.log2(abs(slope))), slope)
        snapped = [
            np.where(np.abs(a) == abs(slope), np.copysign(power, a), a) if free and a.dtype.kind == "f" else a
            for a, free in zip(self.base, self.free, strict=True)
        ]
        if power != slope and any(not np.array_equal(a, b) for a, b in zip(snapped, self.base, strict=True)):
            yield snapped

    def _newton(
        self, number: int, entry: tuple[int, ...], j: int, target: float, start: Sequence[np.ndarray]
    ) -> list[np.ndarray] | None:
        """Move one coordinate until the gap of an entry is the target: exactly, if that is 0, or within a quarter."""
        coordinate = self.coordinates[j]
        inputs, last = list(start), math.inf
        for _ in range(NEWTON_STEPS):
            if not self._may(STEP):
                return None
            guards = record(self.op, self.parameters, inputs, self.cotangents, [coordinate], number + 1)
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
            moved = self._moved(inputs, coordinate, old - (gap - target) / slope)
            if moved is None:
                return None
            inputs, last = moved, abs(gap)
        return None

    def _around(self, number: int, entry: tuple[int, ...], j: int) -> None:
        """Just beside a place on either side, and beyond it."""
        guard, (which, place) = self.guards[number], self.coordinates[j]
        gap, slope = float(guard.gap[entry]), float(guard.slopes[(j, *entry)])
        one_sided = guard.site.name in (*EXTREMA, *ORDERS) or (not guard.explicit and self.op.draw is not None)
        size = max(abs(float(self.base[which].flat[place]) - gap / slope), 2.0**-6) * abs(slope)
        for step in NEAR:
            target = math.copysign(step * size, gap) if one_sided else step * size
            inputs = self._newton(number, entry, j, target, self.base)
            if inputs is not None:
                self._smooth(f"beside {guard.site}", inputs)
        if guard.explicit:
            value = float(self.base[which].flat[place]) - 1.75 * gap / slope
            beyond = self._moved(self.base, (which, place), value)
            if beyond is not None:
                self._smooth(f"beyond {guard.site}", beyond)

    def _everywhere(self, guard: Guard, sign: float) -> None:
        """Put every entry on one side, each by a coordinate of its own."""
        inputs: list[np.ndarray] = list(self.base)
        used: set[int] = set()
        for entry in [tuple(int(i) for i in p) for p in np.argwhere(sign * guard.gap <= 0)][:MOST_COORDINATES]:
            slopes = np.abs(np.nan_to_num(guard.slopes.T[entry[::-1]]))
            movers = [j for j in np.argsort(-slopes) if slopes[j] > 0 and j not in used]
            movers = [j for j in movers if self.free[self.coordinates[j][0]]]
            if not movers:
                return
            which, place = self.coordinates[movers[0]]
            used.add(movers[0])
            gap, slope = float(guard.gap[entry]), float(guard.slopes[(movers[0], *entry)])
            step = 1.75 * gap if gap else -sign
            inputs = _moved(inputs, (which, place), float(inputs[which].flat[place]) - step / slope)
        self._smooth(f"every entry on one side of {guard.site}", inputs)

    def _at_zero(self) -> None:
        """Vectors of length 0, where a root of a sum of squares ends."""
        for i, array in enumerate(self.base):
            if array.dtype.kind != "f" or not self.free[i] or array.ndim == 0:
                continue
            first = array.copy()
            first[:1] = 0
            for zeros in (first, np.zeros_like(array)):
                inputs = [zeros if k == i else a for k, a in enumerate(self.base)]
                self._on(
                    f"with {self.op.inputs[i]} zero {'throughout' if zeros is not first else 'in its first row'}",
                    inputs,
                )

    def _far(self, site: Site, numbers: Sequence[int]) -> None:
        """Reach a branch that no single entry reaches: down the gradient of its gap, then by scaling all inputs."""
        for number in dict.fromkeys((numbers[0], numbers[-1])):
            inputs: list[np.ndarray] | None = list(self.base)
            for _ in range(NEWTON_STEPS):
                inputs = self._downhill(number, inputs)
                if inputs is None:
                    break
            if inputs is not None:
                self._smooth(f"far beyond {site}", inputs)
        for factor in FACTORS:
            if self.reached.issuperset(site.branches):
                return
            scaled = [
                factor * a if free and a.dtype.kind == "f" else a for a, free in zip(self.base, self.free, strict=True)
            ]
            self._smooth(f"with inputs {factor:.3g} times as large", scaled)

    def _downhill(self, number: int, inputs: Sequence[np.ndarray] | None) -> list[np.ndarray] | None:
        """One Newton step of all free coordinates together, to the other side of the first entry's gap."""
        if inputs is None or not self._may(STEP):
            return None
        guards = record(self.op, self.parameters, inputs, self.cotangents, self.coordinates, number + 1)
        if len(guards) <= number or not guards[number].gap.size or not self.guards[number].gap.size:
            return None
        gap, target = float(guards[number].gap.flat[0]), -0.75 * float(self.guards[number].gap.flat[0])
        slopes = guards[number].slopes.reshape(len(self.coordinates), -1)[:, 0]
        slopes = np.where([self.free[i] for i, _ in self.coordinates], np.nan_to_num(slopes), 0.0)
        length = float(slopes @ slopes)
        if length == 0 or not math.isfinite(gap):
            return None
        result = list(inputs)
        for (which, place), slope in zip(self.coordinates, slopes, strict=True):
            if slope:
                value = float(result[which].flat[place]) - (gap - target) * slope / length
                result = _moved(result, (which, place), value)
        return result

    # The answer.

    def _kinks(self) -> dict[str, Judgement]:
        found = {}
        for output, proofs in self.on_kinks.items():
            if output in self.wrong:
                continue
            compared = sum(p.compared for p in proofs)
            outside = [p for p in proofs if not p.passed]
            real = [p for p in outside if not p.undefined]
            if outside:
                verdict, worst = (FAIL, real[0]) if real else (NOTE, outside[0])
                found[output] = _worded(verdict, f"{derivative_name(output)}: {worst.reason}", max(compared, 1))
            elif compared:
                reason = f"in the subdifferential at {compared} entries that lie on a kink"
                found[output] = Judgement(PASS, 0.0, 0.0, 0.0, 0.0, compared, reason)
        return found

    def _aimed(self) -> dict[str, Judgement]:
        found = {output: _worded(FAIL, reason, 1) for output, reason in self.failed.items()}
        branches = list(dict.fromkeys(b for g in self.guards for b in g.site.branches))
        missed = [b for b in branches if b not in self.reached]
        if not found and self.base_is_right and (self.points or branches):
            reason = f"{len(branches) - len(missed)} of {len(branches)} branches reached" if branches else "no branch"
            reason += f", certified at {self.points} aimed inputs"
            if missed:
                more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
                reason += f"; not reached: {', '.join(missed[:3])}{more}"
            found["*"] = Judgement(PASS, 0.0, 0.0, 0.0, 0.0, self.points, reason)
        return found


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


def _moved(inputs: Sequence[np.ndarray], coordinate: Coordinate, value: float) -> list[np.ndarray]:
    result = list(inputs)
    result[coordinate[0]] = result[coordinate[0]].copy()
    result[coordinate[0]].flat[coordinate[1]] = value
    return result


def _worded(verdict: str, reason: str, compared: int) -> Judgement:
    nan = float("nan")
    return Judgement(verdict, math.inf if verdict == FAIL else nan, nan, nan, nan, compared, reason)


# ── Where the drawn inputs leave it open ─────────────────────────────────────────────────────────────────────────────


def judge_formula(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the hand-derived formula of a case; where that is open at the inputs drawn, beside them.

    Returns:
        What :func:`multigrad.truth.find.judge_formula` returns; of an empty case only what is refuted.

    Raises:
        Unserved: of length 1, the forward part has no derivative.
    """
    if case.regime == "empty":
        return _of_empty(op, case)
    judgements = truth.judge_formula(op, case)
    if case.inputs:
        return judgements
    if "*" in judgements and judgements["*"].verdict == INCONCLUSIVE:
        if case.regime == "length-1":
            raise Unserved(f"no derivative: {judgements['*'].reason}")
        beside = _noted(_judged_beside(op, case), judgements["*"].reason)
        nothing = None if beside else truth.without_value(op, case)
        return beside or ({"*": nothing} if nothing else judgements)
    zero = {o for o in _all_zero(op, case) if o in judgements and judgements[o].verdict == PASS}
    found = {o: j for o, j in _judged_beside(op, case).items() if o in zero} if zero else {}
    return judgements | _noted(found, "it is zero throughout")


def _noted(judgements: Mapping[str, Judgement], why: str) -> dict[str, Judgement]:
    note = f"at inputs beside those drawn, where {why}"
    return {o: replace(j, reason=f"{j.reason}; {note}") for o, j in judgements.items()}


def _judged_beside(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the formula at the first inputs beside the drawn ones that tell anything; none if there are none."""
    for inputs in _beside(op, case):
        there = replace(op, draw=lambda draw, inputs=inputs, **size: [a.copy() for a in inputs])
        found = truth.judge_formula(there, case)
        if "*" not in found:
            return found
    return {}


def _all_zero(op: Operation, case: Case) -> set[str]:
    """The gradients that are 0 in every entry, as NumPy has them: what is a multiple of the right one looks right."""
    import array_api_compat.numpy as xp

    if op.draw is None or case.regime != "gaussian":
        return set()
    _, parameters = op.split(case.size)
    try:
        with np.errstate(all="ignore"):
            outputs = op.analytic(xp, parameters)(*truth.case_arrays(op, case))
    except Exception:  # noqa: BLE001 - then it is judged on the backends
        return set()
    return {o for o, a in zip(op.outputs, outputs, strict=True) if o.endswith("_bar") and np.size(a) and not np.any(a)}


def _of_empty(op: Operation, case: Case) -> dict[str, Judgement]:
    try:
        proof = prove(op, case.size, case.seed)
    except Exception:  # noqa: BLE001 - shapes without entries are beyond what some steps of a proof can do
        return {}
    # Of a gradient without entries only the shape can be wrong.
    wrong = [g for g in proof.gradients if " has shape " in g.reason or g.disagreement > 0]
    return {f"{g.name}_bar": truth.judged(g, proof.kind) for g in wrong}


def _beside(op: Operation, case: Case) -> Iterator[list[np.ndarray]]:
    """Yield other inputs that are drawn, then the drawn ones moved a little; what shows in their shape is kept."""
    regime = case.drawn if case.regime in truth.SMOOTH else "gaussian"
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

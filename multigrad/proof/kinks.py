"""At a kink the derivative is a convention: an answer is right if it lies in the subdifferential.

The limiting gradients near a kink are sampled in ball arithmetic: the inputs are moved by about 10⁻³⁰ in random
directions and in the opposite ones, where the forward part has a derivative, and `dual` differentiates it. Where few
gradients are found (one entry is at a kink, or a few), the pullback's gradient as a whole has to lie in their convex
hull: of two tied maxima both may share the cotangent, and none may have all of it twice. Of many ties at once it is
held against the hull entry by entry. What diverges near the point has no limit and is not judged, nor is a forward part
that jumps there. Which element of the hull a framework's own autodiff returns is its convention: :func:`conventions`
shows it and judges nothing.

A chain of conventions, each right by itself, may leave the subdifferential: max(x, 0) − max(−x, 0) is x, and masks give
the slope 0 at 0. The derivatives that conventions give are therefore vertices of the hull as well.

Source: F. H. Clarke, "Optimization and Nonsmooth Analysis", SIAM 1990, Thm 2.5.1 (the generalised gradient is the
convex hull of limits of gradients).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.operation import Operation
from ..ops.signature import Size
from ..process.entry import entry_point, no_rows

if TYPE_CHECKING:
    import pandas as pd

NEAR_BITS = 100
"""Inputs are moved by integers below 2²⁰ times 2 to the minus this."""

NEARER_BITS = 160
"""The same for a second look: what has changed by then has no limit."""

CLOSE = 1e-9
"""Relative distance within which two gradients count as one: above what a move of 10⁻³⁰ changes, roots included."""

PAIRS = 16
"""Directions, each with its opposite. Of two ties one of four patterns is then missed with probability 3 · 10⁻⁵."""

FEW = 6
"""Up to so many vertices, gradients are held against the hull as a whole."""

BITS = 500
"""Precision of the samples: the move, its square and forty digits have room."""


@dataclass(frozen=True)
class KinkProof:
    """One gradient of the pullback on a kink, beside the limiting gradients around it."""

    name: str
    """The input's."""
    compared: int
    """How many entries lie on a kink, where the limiting gradients differ."""
    outside: int
    """How many entries lie outside the subdifferential."""
    reason: str
    """The worst of those in words; empty if there is none."""
    undefined: bool = False
    """Whether what is outside is NaN, where no comparison, maximum or absolute value of the formula has a tie."""

    @property
    def passed(self) -> bool:
        """Whether the pullback's every entry lies in the subdifferential."""
        return self.outside == 0


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
    from ..namespaces import exact

    _, parameters = op.split(size)
    forward = exact.evaluate(op.forward(exact, parameters), *inputs, width=math.inf)
    cotangents = op.make_cotangents([tuple(v.shape) for v in forward.outputs], seed, regime)
    point = _Point(op, parameters, inputs, cotangents)
    values = len(forward.outputs)
    ours = exact.evaluate(op.analytic(exact, parameters), *inputs, *cotangents, bits=BITS, width=math.inf)
    rng = np.random.default_rng(seed)
    moves = [[rng.integers(-(2**20), 2**20, a.shape) for a in inputs] for _ in range(pairs)]
    near = [point.beside([sign * m for m in move], NEAR_BITS) for move in moves for sign in (1, -1)]
    # One direction and its opposite once more, nearer: what has changed has no limit.
    nearer = [point.beside([sign * m for m in moves[0]], NEARER_BITS) for sign in (1, -1)]
    with exact.precision(BITS):
        here = [exact.midpoints(v) for v in ours.outputs[:values]]
        if not all(_continuous(here, sample.values) for sample in (*near, *nearer)):
            return [KinkProof(name, 0, 0, "") for name in op.gradients]
        gradients = ours.outputs[values:]
        for name, gradient, wanted in zip(op.gradients, gradients, near[0].gradients, strict=True):
            if tuple(np.shape(gradient)) != wanted.shape:
                reason = f"has shape {tuple(np.shape(gradient))}, wanted {wanted.shape}"
                return [KinkProof(n, 1, 1, reason) if n == name else KinkProof(n, 0, 0, "") for n in op.gradients]
        found = [exact.midpoints(g) for g in gradients]
    nan = [~np.isfinite(f) for f in found]
    if any(n.any() for n in nan):
        # A ball may be NaN where a number is not: what counts is what NumPy gives as well.
        numbers = point.in_numpy()
        nan = [n & ~np.isfinite(x) for n, x in zip(nan, numbers, strict=True)]
    arrays = [
        _Array(
            name,
            found[i],
            nan[i],
            np.stack([sample.gradients[i] for sample in near]),
            np.stack([sample.gradients[i] for sample in nearer]),
        )
        for i, name in enumerate(op.gradients)
    ]
    proofs = _held(arrays, explicit)
    if all(p.passed for p in proofs):
        return proofs
    conventional = [c for second in (False, True) for c in point.by_convention(second=second)]
    return _held([a.with_conventions([c[i] for c in conventional]) for i, a in enumerate(arrays)], explicit)


def _held(arrays: Sequence[_Array], explicit: bool) -> list[KinkProof]:
    return _jointly(arrays, [array.proof(explicit) for array in arrays])


def _continuous(here: Sequence[np.ndarray], beside: Sequence[np.ndarray]) -> bool:
    """Whether finite values move by little; the root of 10⁻³⁰ is little."""
    with np.errstate(invalid="ignore"):
        return all(
            bool(np.all(np.abs(a - b) <= 1e-6 * np.maximum(np.abs(a), 1))) for a, b in zip(here, beside, strict=True)
        )


@dataclass(frozen=True)
class _Sample:
    """What the forward part gives beside a point, as the nearest float64."""

    values: list[np.ndarray]
    gradients: list[np.ndarray]


@dataclass(frozen=True)
class _Point:
    """An operation at inputs, with cotangents."""

    op: Operation
    parameters: Mapping[str, Any]
    inputs: Sequence[np.ndarray]
    cotangents: Sequence[np.ndarray]

    def beside(self, moves: Sequence[np.ndarray], bits: int) -> _Sample:
        """Differentiate the forward part close by."""
        from ..namespaces import exact

        def moved(array: Any, move: np.ndarray) -> Any:
            unit = exact.lift(Fraction(1, 2**bits))
            return array + unit * exact.lift(move) if isinstance(array, exact.ExactArray) else array

        return self._differentiated(lambda arrays: [moved(a, m) for a, m in zip(arrays, moves, strict=True)])

    def by_convention(self, *, second: bool) -> Iterator[list[np.ndarray]]:
        """Yield what the rules of differentiation give here if every tie goes to the first, or to the second."""
        from ..namespaces import dual
        from ..namespaces.exact import Undecided

        try:
            with replaced(dual.FUNCTIONS, tie_rules(second=second)):
                yield self._differentiated(list).gradients
        except Undecided:
            return

    def _differentiated(self, place: Callable[[Sequence[Any]], list[Any]]) -> _Sample:
        from ..namespaces import dual, exact

        count = len(self.inputs)

        def both(*arrays: Any) -> tuple[Any, ...]:
            at = place(arrays[:count])
            directions = dict.fromkeys(self.op.gradients)
            found = dual.differentiate(self.op, self.parameters, at, arrays[count:], directions=directions)
            return (*self.op.forward(exact, self.parameters)(*at), *(d.enclosure for d in found))

        outputs = exact.evaluate(both, *self.inputs, *self.cotangents, bits=BITS, width=math.inf).outputs
        numbers = [exact.midpoints(output) for output in outputs]
        start = len(numbers) - len(self.op.gradients)
        return _Sample(numbers[:start], numbers[start:])

    def in_numpy(self) -> list[np.ndarray]:
        """Return the gradients that the pullback gives in float64; NaN where it raises."""
        import array_api_compat.numpy as xp

        with np.errstate(all="ignore"):
            try:
                outputs = self.op.analytic(xp, self.parameters)(*self.inputs, *self.cotangents)
            except Exception:  # noqa: BLE001 - what has no value is no number
                return [np.asarray(np.nan) for _ in self.op.gradients]
        return [np.asarray(g, dtype=np.float64) for g in outputs[len(outputs) - len(self.op.gradients) :]]


@contextmanager
def replaced(table: dict[str, Callable[..., Any]], functions: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Let a namespace's table hold other functions for a while."""
    before = {name: table[name] for name in functions}
    table.update(functions)
    try:
        yield
    finally:
        table.update(before)


def tie_rules(*, second: bool) -> dict[str, Callable[..., Any]]:
    """Return `dual`'s functions with a kink, each with a derivative on it; equality has none."""
    from ..namespaces import dual, exact
    from ..namespaces.shared import structure

    def chosen(strict: str, loose: str) -> Callable[[Any, Any], Any]:
        def apply(x1: Any, x2: Any, /) -> Any:
            a, b = (x.value if isinstance(x, dual.DualArray) else x for x in (x1, x2))
            return dual.FUNCTIONS["where"](exact.FUNCTIONS[strict if second else loose](a, b), x1, x2)

        return apply

    def absolute(x: Any, /) -> Any:
        return chosen("greater", "greater_equal")(x, dual.FUNCTIONS["negative"](x))

    def extremum(name: str) -> Callable[..., Any]:
        return lambda x, /, *, axis=None, keepdims=False: structure.extremum(dual, f"arg{name}", x, axis, keepdims)

    def compared(name: str) -> Callable[[Any, Any], Any]:
        def apply(x1: Any, x2: Any, /) -> Any:
            a, b = (x.value if isinstance(x, dual.DualArray) else x for x in (x1, x2))
            return exact.FUNCTIONS[name](a, b)

        return apply

    return {
        "maximum": chosen("greater", "greater_equal"),
        "minimum": chosen("less", "less_equal"),
        "abs": absolute,
        "max": extremum("max"),
        "min": extremum("min"),
        **{name: compared(name) for name in ("less", "less_equal", "greater", "greater_equal")},
    }


@dataclass(frozen=True)
class _Array:
    """One gradient at a point: the pullback's, the limits beside the point and those that conventions give."""

    name: str
    found: np.ndarray
    nan: np.ndarray
    """Where the pullback has no number, in ball arithmetic and in NumPy."""
    near: np.ndarray
    """Limiting gradients, (samples, *shape)."""
    nearer: np.ndarray
    """The first two of them, nearer to the point."""
    conventional: np.ndarray | None = None
    """(at most 2, *shape)."""

    def with_conventions(self, gradients: Sequence[np.ndarray]) -> _Array:
        """Add what the rules of differentiation give on the point itself."""
        return replace(self, conventional=np.stack(gradients)) if gradients else self

    def rows(self, entries: np.ndarray) -> np.ndarray:
        """Return every gradient found, (gradients, entries)."""
        parts = [self.near] if self.conventional is None else [self.near, self.conventional]
        return np.concatenate([p[:, entries] for p in parts])

    @property
    def scale(self) -> float:
        """The largest entry of a limiting gradient."""
        return float(np.max(np.abs(self.near), initial=0.0, where=self.limits[None]))

    @property
    def close(self) -> float:
        """The distance within which two entries count as one."""
        return CLOSE * self.scale + 1e-12

    @property
    def limits(self) -> np.ndarray:
        """Which entries have a limit in every direction tried."""
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.near[:2] - self.nearer)
            steady = np.all(apart <= CLOSE * np.abs(self.near[:2]) + 1e-12, axis=0)
        both: np.ndarray = steady & np.all(np.isfinite(self.near), axis=0)
        return both

    def judged(self) -> np.ndarray:
        """Which entries can be held against the hull."""
        both: np.ndarray = self.limits & np.isfinite(self.found)
        return both

    def vertices(self, entries: np.ndarray) -> np.ndarray:
        """Return the distinct gradients, (vertices, entries); those by convention that have a NaN are left out."""
        rows = self.rows(entries)
        return distinct(rows[np.all(np.isfinite(rows), axis=1)], self.close)

    def proof(self, explicit: bool) -> KinkProof:
        """Hold this gradient against the hull, entry by entry, and as a whole where it has few vertices."""
        lost = self.nan & self.limits
        judged = self.judged()
        rows = self.vertices(judged)
        close = self.close
        spread = np.ptp(self.near[:, judged], axis=0) if judged.any() else np.zeros(0)
        compared = int(np.sum(spread > close)) + int(lost.sum())
        if lost.any():
            place = tuple(int(i) for i in np.argwhere(lost)[0])
            values = distinct(_near_zero(self.near[:, lost][:, :1], close), close)[:, 0]
            reason = f"is NaN{_at(place)} where {_any_of(values)} is right"
            # Where all limits agree there is a derivative, and nothing that a convention could be about.
            differ = bool(np.any(np.ptp(self.near[:, lost], axis=0) > close))
            return KinkProof(self.name, compared, int(lost.sum()), reason, undefined=differ and not explicit)
        if not judged.any():
            return KinkProof(self.name, 0, 0, "")
        ours = self.found[judged]
        low, high = (_near_zero(a, close) for a in (rows.min(axis=0), rows.max(axis=0)))
        # Of many ties at once the samples miss the corners; a hull three times as wide has them.
        many = np.array([len(distinct(column[:, None], close)) > 4 for column in self.near[:, judged].T])
        slack = np.where(many, high - low, 0.0) + close + CLOSE * np.maximum(np.abs(low), np.abs(high))
        outside = ~((low - slack <= ours) & (ours <= high + slack))
        if outside.any():
            which = int(np.argmax(outside))
            place = tuple(int(i) for i in np.argwhere(judged)[which])
            where = "at a kink" if spread[which] > close else "beside a kink"
            reason = (
                f"{where} {ours[which]:.6g} at {_at(place).removeprefix(' at ') or 'the only entry'} is outside the "
                f"subdifferential [{low[which]:.6g}, {high[which]:.6g}]"
            )
            return KinkProof(self.name, compared, int(outside.sum()), reason)
        if len(rows) <= FEW and not in_hull(ours, rows, close):
            count = int(np.sum(spread > close))
            hull = _listed(rows, ours, close)
            reason = f"at a kink the {count} entries that move together are outside the subdifferential {hull}"
            return KinkProof(self.name, compared, max(count, 1), reason)
        return KinkProof(self.name, compared, 0, "")


def _jointly(arrays: Sequence[_Array], proofs: list[KinkProof]) -> list[KinkProof]:
    """Hold several gradients against their common hull, where each lies in its own."""
    moving = [i for i, (a, p) in enumerate(zip(arrays, proofs, strict=True)) if p.compared and p.passed]
    if len(moving) < 2:
        return proofs
    masks = [arrays[i].judged() for i in moving]
    close = max(arrays[i].close for i in moving)
    rows = np.concatenate([arrays[i].rows(m) for i, m in zip(moving, masks, strict=True)], axis=1)
    rows = distinct(rows[np.all(np.isfinite(rows), axis=1)], close)
    ours = np.concatenate([arrays[i].found[m] for i, m in zip(moving, masks, strict=True)])
    if len(rows) > FEW or in_hull(ours, rows, close):
        return proofs
    names = ", ".join(f"∂f/∂{arrays[i].name}" for i in moving)
    reason = f"at a kink {names} together are outside the subdifferential {_listed(rows, ours, close)}"
    return [replace(p, outside=p.compared, reason=reason) if i in moving else p for i, p in enumerate(proofs)]


def distinct(rows: np.ndarray, close: float) -> np.ndarray:
    """Leave out the rows that are close to one before."""
    kept: list[np.ndarray] = []
    for row in rows:
        if not any(np.all(np.abs(row - k) <= close + CLOSE * np.abs(k)) for k in kept):
            kept.append(row)
    return np.stack(kept) if kept else rows[:0]


def in_hull(point: np.ndarray, rows: np.ndarray, close: float) -> bool:
    """Tell whether a point lies in the convex hull of a few rows, within a distance in every entry.

    By Carathéodory it is then a convex combination of independent ones: every subset is tried.
    """
    for count in range(1, len(rows) + 1):
        for some in itertools.combinations(rows, count):
            # Weights of sum 1: the point less the first vertex, by the others less the first.
            edges = np.stack([r - some[0] for r in some[1:]], axis=1) if count > 1 else np.zeros((point.size, 0))
            weights = np.linalg.lstsq(edges, point - some[0], rcond=None)[0]
            if np.all(weights >= -CLOSE) and weights.sum() <= 1 + CLOSE:
                apart = np.abs(some[0] + edges @ weights - point)
                if np.all(apart <= 10 * close + 10 * CLOSE * np.abs(point)):
                    return True
    return False


def _at(place: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, place))}]" if place else ""


def _near_zero(values: np.ndarray, close: float) -> np.ndarray:
    """Take what is close to 0 for 0: a move of 10⁻³⁰ leaves its trace."""
    return np.where(np.abs(values) <= close, 0.0, values)


def _any_of(values: np.ndarray) -> str:
    shown = sorted({0.0 + float(f"{v:.4g}") for v in values})
    if len(shown) > 4:
        return f"any of {shown[0]:g} … {shown[-1]:g}"
    return f"any of [{', '.join(f'{v:g}' for v in shown)}]" if len(shown) > 1 else f"{shown[0]:g}"


def _listed(rows: np.ndarray, ours: np.ndarray, close: float) -> str:
    """Write the first entries in which the vertices differ: the hull, and what was found."""
    differ = np.flatnonzero(np.ptp(rows, axis=0) > close)[:3]
    if not differ.size:
        differ = np.argsort(-np.abs(rows[0] - ours))[:3]

    def text(row: np.ndarray) -> str:
        rest = ", …" if np.sum(np.ptp(rows, axis=0) > close) > len(differ) else ""
        return f"({', '.join(f'{v + 0.0:.4g}' for v in row[differ])}{rest})"

    more = ", …" if len(rows) > 3 else ""
    return f"conv{{{', '.join(text(r) for r in _near_zero(rows[:3], close))}{more}}}: found {text(ours)}"


# ── What the frameworks do ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Convention:
    """A function with a kink, and the point of it."""

    function: str
    """As a person writes it."""
    at: str
    """The kink, in words."""
    subdifferential: str
    """The right answers."""
    forward: Callable[..., Any]
    """``forward(xp, *inputs)`` that returns a number."""
    inputs: tuple[Any, ...]
    """The point."""


KINKS = (
    Convention("maximum(x, 0)", "0", "[0, 1]", lambda xp, x: xp.maximum(x, 0), (0.0,)),
    Convention("where(x > 0, x, 0)", "0", "[0, 1]", lambda xp, x: xp.where(x > 0, x, 0 * x), (0.0,)),
    Convention("clip(x, 0, 1)", "0", "[0, 1]", lambda xp, x: xp.clip(x, 0, 1), (0.0,)),
    Convention("clip(x, 0, 1)", "1", "[0, 1]", lambda xp, x: xp.clip(x, 0, 1), (1.0,)),
    Convention("abs(x)", "0", "[−1, 1]", lambda xp, x: xp.abs(x), (0.0,)),
    Convention("maximum(x, y)", "x = y", "[0, 1], sum 1", lambda xp, x, y: xp.maximum(x, y), (1.0, 1.0)),
    Convention("minimum(x, y)", "x = y", "[0, 1], sum 1", lambda xp, x, y: xp.minimum(x, y), (1.0, 1.0)),
    Convention("max(x)", "(1, 1, 0)", "[0, 1], sum 1", lambda xp, x: xp.max(x), ([1.0, 1.0, 0.0],)),
    Convention("linalg.vector_norm(x)", "(0, 0)", "‖g‖ ≤ 1", lambda xp, x: xp.linalg.vector_norm(x), ([0.0, 0.0],)),
    Convention("sqrt(sum(x²))", "(0, 0)", "‖g‖ ≤ 1", lambda xp, x: xp.sqrt(xp.sum(x * x)), ([0.0, 0.0],)),
    Convention("sqrt(x)", "0", "+∞", lambda xp, x: xp.sqrt(x), (0.0,)),
    Convention("sign(x)", "0", "none", lambda xp, x: xp.sign(x), (0.0,)),
    Convention("round(x)", "½", "none", lambda xp, x: xp.round(x), (0.5,)),
)
"""Every kink the table of conventions asks about."""


@entry_point(no_rows(("function", "at", "subdifferential")))
def conventions(device: str = "cpu") -> pd.DataFrame:
    """Return which derivative each framework's own autodiff gives at each kink.

    A table of facts: nothing here is right or wrong.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        One row per kink: ``function``, ``at``, ``subdifferential``, then one column per backend that has autodiff,
        named with its version. What a backend cannot say stands there in words.
    """
    import pandas as pd

    from ..backend import backends
    from ..process import child as worker

    columns: dict[str, Sequence[str]] = {
        "function": [k.function for k in KINKS],
        "at": [k.at for k in KINKS],
        "subdifferential": [k.subdifferential for k in KINKS],
    }
    for name, one in backends().items():
        if "autodiff" not in one.variants or one.missing(device):
            continue
        answers = dict.fromkeys(range(len(KINKS)), "no answer")
        environment = one.environment(device, 1, "strict")
        for message in worker.run(f"{__name__}:answers", {"backend": name, "device": device}, environment=environment):
            if isinstance(message, worker.Death):
                answers |= {i: message.reason for i, a in answers.items() if a == "no answer"}
            elif "answer" in message:
                answers[message["kink"]] = message["answer"]
        columns[f"{name} {one.version()}"] = list(answers.values())
    return pd.DataFrame(columns)


def answers(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Ask one backend's autodiff about every kink; the worker's side of :func:`conventions`."""
    from ..backend import Unavailable, backend
    from ..data.errors import one_line

    try:
        session = backend(arguments["backend"]).open(arguments["device"], threads=1)
    except Unavailable as error:
        for i in range(len(KINKS)):
            yield {"kink": i, "answer": str(error)}
        return
    for i, kink in enumerate(KINKS):
        try:
            said = _answer(session, kink)
        except Exception as error:  # noqa: BLE001 - that a framework refuses is its answer
            said = one_line(error)
        yield {"kink": i, "answer": said}


def _answer(session: Any, kink: Convention) -> str:
    def forward(*inputs: Any) -> tuple[Any, ...]:
        return (kink.forward(session.xp, *inputs),)

    differentiated = session.differentiate(forward, [True] * len(kink.inputs))
    arrays = [session.to_device(np.asarray(x, dtype=np.float64), "float64") for x in (*kink.inputs, 1.0)]
    outputs = differentiated(*arrays)
    session.wait(outputs)
    numbers = np.concatenate([np.atleast_1d(session.to_numpy(g)) for g in outputs[1:]])
    return ", ".join(f"{float(n) + 0.0:g}".replace("nan", "NaN").replace("inf", "∞").replace("-", "−") for n in numbers)

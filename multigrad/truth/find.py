"""The truth about a case: its inputs, the certified values, and how far an honest evaluation may be from them.

It is found once, in a process of its own, and lies in an .npz file that every backend reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.errors import BadInput, WrongResult
from ..data.npz import read_npz
from ..diagnosis.diagnose import Evidence, diagnose, diagnose_calls, observed_conditions
from ..diagnosis.repair import repair
from ..ops.draw import LINE
from ..ops.operation import Operation
from ..ops.reach import entries
from ..ops.signature import default_sizes
from ..verdict.formats import FORMATS
from ..verdict.judge import (
    FAIL,
    INCONCLUSIVE,
    NOTE,
    PASS,
    UNAVAILABLE,
    Judgement,
    Reference,
    judge_entries,
)

if TYPE_CHECKING:
    from ..proof.prove import GradientProof

DEFAULT_REGIMES = ("gaussian", "integers")
"""How inputs are drawn, when nothing else is asked for."""

SMOOTH = ("gaussian", "wide", "cancellation", "length-1", "huge", "tiny")
"""Regimes whose points lie on no kink, so that the formula is certified there as well."""

RESIZED = ("empty", "length-1")
"""Regimes that change the size, not the numbers."""

SMALL_ENTRIES = 600
"""Sizes with at most so many input entries are checked by default: their truth is found in milliseconds."""

EXACT_FLOPS = 4e6
"""Above so many operations the truth is a float64 evaluation with its own error bound: balls would take minutes."""

BASIS_ENTRIES = 1500
"""Up to so many entries a derivative is pushed in every basis direction."""

HALVINGS = 6
"""How many times drawn inputs may be halved where an operation leaves the range of a format."""

TIE_GROWTH = 32.0
"""How many times larger the second errors are by which ties are told from ill-conditioned steps."""

HAIR = 1e-300
"""An error that is smaller than any number computed with, and makes every tie undecided."""


class Unknown(Exception):
    """The truth of a case could not be found; the message says why."""


class Unserved(Unknown):
    """The operation has no such case: its generator or its forward part refuses it; the message says how."""


@dataclass(frozen=True)
class Case:
    """One set of inputs whose truth is known: an operation, a size, a regime and a dtype."""

    reference: str
    """How a worker finds the operation."""
    operation: str
    size: Mapping[str, Any]
    regime: str
    dtype: str
    seed: int
    inputs: str = ""
    """An .npz file with the inputs, where they were not drawn."""
    precision: str = "strict"
    """What float32 products may be computed in."""
    poisoned: str = ""
    """The input that has NaN or infinity in one entry, in the regime ``nonfinite``."""

    @property
    def drawn(self) -> str:
        """The regime as :class:`multigrad.ops.draw.Draw` takes it."""
        return f"{self.regime}:{self.dtype}" if self.regime in ("huge", "tiny") else self.regime

    @property
    def sizes(self) -> str:
        """The size in one line."""
        return sizes_text(self.size)


def sizes_text(size: Mapping[str, Any]) -> str:
    """Write a size in one line, as it stands in every table: ``m=5 k=4 padding=(1,2)``."""

    def one(value: Any) -> str:
        return f"({','.join(map(str, value))})" if isinstance(value, tuple | list) else str(value)

    return " ".join(f"{k}={one(v)}" for k, v in size.items())


def derivative_name(output: str) -> str:
    """Write an output as mathematics does: ``W_bar`` is ∂f/∂W."""
    return f"∂f/∂{output.removesuffix('_bar')}" if output.endswith("_bar") else output


@dataclass(frozen=True)
class Truth:
    """What a backend needs for one case."""

    arrays: list[np.ndarray]
    """Inputs, then cotangents; every number is one of the dtype's."""
    references: list[Reference]
    """Values, then gradients, for the hand-derived formula."""
    note: str = ""
    """What is special about the inputs, such as the entry that is NaN."""
    refuted: tuple[str, ...] = ()
    """The outputs whose formula is known to be wrong, here or elsewhere; ``*`` is all."""

    def outputs(self, variant: str) -> list[Reference]:
        """Return the references of a variant. Only the hand-derived one is held to our convention at a kink."""
        if variant == "analytic":
            return self.references
        return [replace(r, bound=r.bound + r.hull) for r in self.references]


def dtype_arrays(op: Operation, size: Mapping[str, Any], seed: int, regime: str, dtype: str) -> list[np.ndarray]:
    """Draw inputs and cotangents of a size, every floating-point number one of the dtype's."""
    return with_cotangents(op, size, op.make_inputs(size, seed, regime), seed, regime, dtype)


def with_cotangents(
    op: Operation, size: Mapping[str, Any], inputs: Sequence[np.ndarray], seed: int, regime: str, dtype: str
) -> list[np.ndarray]:
    """Round inputs to a dtype and draw the cotangents that go with them."""
    given = [FORMATS[dtype].round(a) if a.dtype.kind == "f" else np.asarray(a) for a in inputs]
    cotangents = op.make_cotangents(output_shapes(op, size, given), seed, regime)
    return given + [FORMATS[dtype].round(c) for c in cotangents]


def output_shapes(op: Operation, size: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """Return the shapes of the values: by the signature, or by an evaluation where that leaves a dimension free."""
    dimensions = op.check_inputs(inputs)
    if all(s.isdigit() or s in dimensions for shape in op.signature.outputs for s in shape):
        return [tuple(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.outputs]
    import array_api_compat.numpy as xp

    _, parameters = op.split(size)
    with np.errstate(all="ignore"):
        return [tuple(np.shape(v)) for v in op.forward(xp, parameters)(*inputs)]


def small_sizes(op: Operation) -> list[str]:
    """Return the names of the sizes that are small enough for ball arithmetic; the smallest at least.

    Of sizes that nobody named there are two at most: the third is a larger one of the same kind.
    """
    small = [name for name, size in op.sizes.items() if entries(op, size) <= SMALL_ENTRIES]
    most = 2 if op.sizes == default_sizes(op.signature) else len(small)
    return small[:most] or [next(iter(op.sizes))]


def read_inputs(op: Operation, path: str) -> dict[str, Any]:
    """Check a file of inputs against an operation and return its size.

    Raises:
        BadInput: a name, shape or dtype that does not fit; the message says which and what was wanted.
    """
    arrays = load_inputs(op, path)
    size: dict[str, Any] = dict(op.check_inputs(arrays))
    return size


def load_inputs(op: Operation, path: str) -> list[np.ndarray]:
    """Read the inputs of an operation from an .npz file, by name.

    Raises:
        BadInput: as :func:`read_inputs`.
    """
    found = read_npz(path, op.inputs, op.name)
    for name, differentiable in zip(op.inputs, op.differentiable, strict=True):
        kind = found[name].dtype.kind
        if differentiable and kind != "f":
            raise BadInput(f"{path}: {name} has dtype {found[name].dtype}; wanted a floating-point type")
        if kind == "f":
            with np.errstate(over="ignore"):  # a wider type may hold what float64 cannot
                found[name] = found[name].astype(np.float64)
            if not np.all(np.isfinite(found[name])):
                raise BadInput(f"{path}: {name} has an entry that is not finite; there is no truth to compare with")
    try:
        arrays = [found[name] for name in op.inputs]
        op.check_inputs(arrays)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return arrays


def case_arrays(op: Operation, case: Case) -> list[np.ndarray]:
    """Return inputs and cotangents of a case, drawn or from its file."""
    if case.inputs:
        return with_cotangents(op, case.size, load_inputs(op, case.inputs), case.seed, "gaussian", case.dtype)
    return dtype_arrays(op, case.size, case.seed, case.drawn, case.dtype)


def serve(op: Operation, case: Case) -> None:
    """Ask whether an operation has a case at all: it does if inputs can be drawn and its forward part runs in NumPy.

    The mean over nothing and the variance of one number are no values to differentiate.

    Raises:
        Unserved: with what refused it.
    """
    import array_api_compat.numpy as xp

    if case.regime in DEFAULT_REGIMES or case.inputs:
        return  # every operation has these, and one that fails there is wrong
    _, parameters = op.split(case.size)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            inputs = op.make_inputs(case.size, case.seed, case.drawn)
        except Exception as error:
            raise Unserved(f"its generator has no such inputs: {_words(error)}") from error
        if not all(np.all(np.isfinite(FORMATS[case.dtype].round(a))) for a in inputs if a.dtype.kind == "f"):
            raise Unserved(f"its generator gives inputs that are not finite in {case.dtype}")
        try:
            values = op.forward(xp, parameters)(*inputs)
        except Exception as error:
            raise Unserved(f"its forward part has no such case: {_words(error)}") from error
        if case.regime in RESIZED:
            if not all(np.all(np.isfinite(v)) for v in values):
                raise Unserved("its forward part is not finite there")
            dimensions = op.check_inputs(inputs)
            for value, shape in zip(values, op.signature.outputs, strict=False):
                wanted = tuple(int(dimensions.get(s, s)) if s.isdigit() or s in dimensions else -1 for s in shape)
                if -1 not in wanted and np.shape(value) != wanted:
                    raise Unserved(f"its forward part has shape {np.shape(value)} there, not {wanted}")


def judge_formula(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the hand-derived formula itself: its enclosure against that of the derivative of the forward part.

    Returns:
        A judgement for each gradient, by name (``W_bar``); or one for ``*`` where the whole has one answer. A FAIL has
        its figures; :func:`diagnose_formula` names the mistake.
    """
    from ..namespaces.exact import Undecided
    from ..namespaces.shared.unsupported import Unsupported
    from ..proof.prove import prove

    size, regime = _proof_point(op, case)
    try:
        proof = prove(op, size, case.seed, regime)
    except Undecided as error:
        return {"*": _unjudged(INCONCLUSIVE, str(error))}
    except Unsupported as error:
        return {"*": _unjudged(UNAVAILABLE, str(error))}
    except Exception as error:  # noqa: BLE001 - whatever a person's formula raises is the verdict on it
        raised = _raised_in_numpy(op, size, case.seed, regime)
        if raised is None:
            return {"*": _unjudged(UNAVAILABLE, f"the proof cannot follow it: {_words(error)}")}
        return {"*": _unjudged(FAIL, raised)}
    kind = proof.kind if op.domain == LINE else f"{proof.kind}; inputs are {op.domain}: elsewhere its value is NaN"
    return {f"{g.name}_bar": judged(g, kind) for g in proof.gradients}


def diagnose_formula(op: Operation, case: Case, outputs: Sequence[str]) -> dict[str, str]:
    """Name the mistake in gradients whose formula has been judged wrong.

    Args:
        op: the operation.
        case: the case in which it was judged.
        outputs: what was judged wrong: gradients (``W_bar``), or ``*`` where the pullback raises.

    Returns:
        A sentence for each output about which there is something to say.
    """
    size, regime = _proof_point(op, case)
    _, parameters = op.split(size)
    arrays = dtype_arrays(op, size, case.seed, regime, "float64")
    if "*" in outputs:
        raised = _raised_in_numpy(op, size, case.seed, regime)
        true = {name: high for name, high, _ in true_gradients(op, arrays, parameters, op.outputs)}
        change = repair(op, parameters, arrays, true) if true else None
        return {"*": f"{raised}; {change}"} if raised and change else {}
    # A pullback that misbehaves gives wrong numbers too, which would lead astray.
    calls = diagnose_calls(op, parameters, arrays)
    if calls:
        return {output: f"{derivative_name(output)}: {calls}" for output in outputs}
    true = {name: high for name, high, _ in true_gradients(op, arrays, parameters, op.outputs)}
    computed = _computed(op, arrays, parameters)
    reasons = {}
    for output in outputs:
        if output in true and output in computed:
            evidence = _evidence(op, size, arrays, true, output, computed[output])
            if evidence.shows_an_error():
                reasons[output] = diagnose(evidence)
    change = repair(op, parameters, arrays, true) if true else None
    return {output: f"{reason}; {change}" if change else reason for output, reason in reasons.items()}


def _proof_point(op: Operation, case: Case) -> tuple[Mapping[str, Any], str]:
    """Return the size and the regime at which a case's formula is judged: a small size, an ordinary regime."""
    regime = case.drawn if case.regime in SMOOTH else "gaussian"
    if entries(op, case.size) <= BASIS_ENTRIES:
        return case.size, regime
    smallest = next(iter(op.sizes.values()))
    if entries(op, smallest) <= BASIS_ENTRIES:
        return smallest, regime
    # It has large sizes alone: one of our own making, if its generator can draw it.
    own = {**smallest, **default_sizes(op.signature)["tiny"]}
    try:
        op.make_inputs(own, case.seed, regime)
    except Exception:  # noqa: BLE001 - a generator refuses in many ways
        return smallest, regime
    return own, regime


def without_value(op: Operation, case: Case) -> Judgement | None:
    """Return the judgement on an operation whose value is NaN in every entry; None where it has a number."""
    import array_api_compat.numpy as xp

    size, regime = _proof_point(op, case)
    _, parameters = op.split(size)
    with np.errstate(all="ignore"), contextlib.suppress(Exception):  # what it raises is said by the cells
        values = op.forward(xp, parameters)(*op.make_inputs(size, case.seed, regime))
        if any(np.size(value) and np.isnan(value).all() for value in values):
            reason = "the value is NaN in every entry: wrong, or drawn outside its domain (declare inputs=)"
            return _unjudged(FAIL, reason)
    return None


def _raised_in_numpy(op: Operation, size: Mapping[str, Any], seed: int, regime: str) -> str | None:
    """Run an operation in NumPy and say what it raises; None if it runs."""
    import array_api_compat.numpy as xp

    _, parameters = op.split(size)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            op.analytic(xp, parameters)(*dtype_arrays(op, size, seed, regime, "float64"))
    except WrongResult as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - that it raises is the answer
        return f"raised {_words(error)}"
    return None


def judged(gradient: GradientProof, kind: str) -> Judgement:
    """Return the judgement on a gradient; ``kind`` is what its proof is worth, in words."""
    if not gradient.passed:
        return _unjudged(FAIL, _disagreement(gradient), gradient)
    how = kind if kind.startswith(("proven", "certified")) else "certified at 1 point"
    return Judgement(PASS, 0.0, 0.0, 0.0, gradient.width, gradient.compared, how)


def _unjudged(verdict: str, reason: str, gradient: GradientProof | None = None) -> Judgement:
    nan = float("nan")
    compared = gradient.compared if gradient else 0
    return Judgement(verdict, nan if gradient is None else float("inf"), nan, nan, nan, compared, reason)


def _disagreement(gradient: GradientProof) -> str:
    name = derivative_name(f"{gradient.name}_bar")
    if gradient.reason:
        return f"{name}: {gradient.reason}"
    if gradient.agrees:
        return f"{name} is not {'linear in the cotangent' if gradient.zero else 'zero for a zero cotangent'}"
    return f"{name} differs from the derivative by {gradient.disagreement:.3g} of its size"


def _computed(op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return what the pullback gives, by output: from ball arithmetic, or where that has no value from NumPy."""
    try:
        balls = certified(op, arrays, parameters)
        return {output: halves(ball)[0] for output, ball in zip(op.outputs, balls, strict=True)}
    except Unknown:
        try:
            with np.errstate(all="ignore"):
                numbers = op.analytic(np, parameters)(*arrays)
        except Exception:  # noqa: BLE001 - then nothing is known of it
            return {}
        return {output: np.asarray(a, dtype=np.float64) for output, a in zip(op.outputs, numbers, strict=True)}


def _evidence(
    op: Operation,
    size: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    true: Mapping[str, np.ndarray],
    output: str,
    found: np.ndarray,
) -> Evidence:
    dimensions, parameters = op.split(size)
    return Evidence(
        derivative_name(output),
        found,
        true[output],
        1e-12 * np.abs(true[output]) + 1e-15 * float(np.max(np.abs(true[output]), initial=0.0)),
        others={derivative_name(n): a for n, a in true.items() if n != output},
        conditions=observed_conditions(op, parameters, arrays),
        sizes={k: v for k, v in dimensions.items() if isinstance(v, int)},
        cotangents=arrays[len(op.inputs) :],
    )


def find(op: Operation, case: Case, wrong: Sequence[str] = ()) -> Truth:
    """Find the truth of a case.

    Args:
        op: the operation.
        case: the case.
        wrong: names of gradients whose formula is known to be wrong; their truth is the derivative of the forward part.

    Raises:
        Unserved: the operation has no such case.
        Unknown: with the reason.
    """
    serve(op, case)
    try:
        arrays = case_arrays(op, case)
    except BadInput:
        raise
    except Exception as error:
        raise Unknown(_words(error)) from error
    _, parameters = op.split(case.size)
    if case.regime == "empty":
        return Truth(arrays, _of_empty(op, arrays, parameters, case.dtype))
    certain = _flops(op, case.size, arrays) <= EXACT_FLOPS
    # Far from the ordinary only the hand-derived formula is judged, and the hull is for autodiff.
    hull = case.regime in (*DEFAULT_REGIMES, "file")
    references = bounded(op, arrays, parameters, case.dtype, case.precision, certain=certain, hull=hull)
    if op.draw is None and case.regime in DEFAULT_REGIMES and not case.inputs:
        arrays, references = _within_range(op, case, arrays, references, certain=certain)
    if certain:
        values = certified(op, arrays, parameters)
        references = [_at(r, v) for r, v in zip(references, values, strict=True)]
    if wrong:
        references = _corrected(op, arrays, parameters, references, wrong)
    if case.poisoned:
        return _poisoned(op, case, arrays, parameters, references)
    return Truth(arrays, references)


def _within_range(
    op: Operation, case: Case, arrays: list[np.ndarray], references: list[Reference], *, certain: bool
) -> tuple[list[np.ndarray], list[Reference]]:
    """Halve drawn inputs until no intermediate leaves the format's range, if that does it."""
    _, parameters = op.split(case.size)
    given, found = arrays, references
    for _ in range(HALVINGS):
        if not any(r.excused.any() for r in found):
            return given, found
        halves = [a / 2 if a.dtype.kind == "f" else a for a in given[: len(op.inputs)]]
        given = [*(FORMATS[case.dtype].round(a) if a.dtype.kind == "f" else a for a in halves), *given[len(halves) :]]
        found = bounded(op, given, parameters, case.dtype, case.precision, certain=certain)
    return arrays, references


def _of_empty(
    op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any], dtype: str
) -> list[Reference]:
    """Return references for empty arrays: shapes by forward part and inputs, the few numbers by float64 with bounds."""
    import array_api_compat.numpy as xp

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = op.analytic(xp, parameters)(*arrays)
    count = len(op.signature.outputs)
    given = dict(zip(op.inputs, arrays, strict=False))
    shapes = [np.shape(v) for v in found[:count]] + [given[name].shape for name in op.gradients]
    if any(np.any(v) for v in found):
        numbers = bounded(op, arrays, parameters, dtype, hull=False)
    else:  # a sum over nothing is zero, in whatever precision
        numbers = [Reference(*([np.zeros(np.shape(v))] * 5)) for v in found]
    # A gradient of another shape than its input is wrong; what stands in its place matters no more.
    return [
        r if r.value.shape == shape else Reference(*([np.zeros(shape)] * 5))
        for r, shape in zip(numbers, shapes, strict=True)
    ]


def _poisoned(
    op: Operation,
    case: Case,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    references: Sequence[Reference],
) -> Truth:
    """Put NaN (or infinity) into one entry; what depends on it, by the dataflow of the formula, has no bound."""
    from ..namespaces import bounds

    number = op.inputs.index(case.poisoned)
    entry = np.unravel_index(arrays[number].size // 2, arrays[number].shape)
    poison = np.nan if number % 2 == 0 else np.inf
    spoiled = [a.copy() for a in arrays]
    spoiled[number][entry] = poison
    with bounds.context("float64"):
        entered = [bounds.asarray(a) for a in arrays]
        untouched = op.analytic(bounds, parameters)(*entered)
        doubt = np.zeros(arrays[number].shape)
        doubt[entry] = np.inf
        entered[number] = bounds.Array(np.asarray(arrays[number], dtype=np.float64), doubt, doubt)
        outputs = op.analytic(bounds, parameters)(*entered)
    # Where a condition hears of it the bound is the other branch's, which may be finite.
    touched = [
        np.broadcast_to(~(after.worst <= before.worst * (1 + 1e-9)), r.value.shape)
        for after, before, r in zip(outputs, untouched, references, strict=True)
    ]
    word = "NaN" if number % 2 == 0 else "infinity"
    place = f"[{', '.join(str(int(i)) for i in entry)}]" if entry else ""
    kept = [replace(r, bound=np.where(t, np.inf, r.bound), excused=t) for r, t in zip(references, touched, strict=True)]
    return Truth(spoiled, kept, note=f"{word} in {case.poisoned}{place}")


def _flops(op: Operation, size: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> float:
    from ..namespaces.cost import cost

    try:
        return float(cost(op, size, "float64", "analytic").flops)
    except Exception:  # noqa: BLE001 - what the model of costs lacks must not stop the proof
        return 0.0 if sum(a.size for a in arrays) <= BASIS_ENTRIES else float("inf")


def certified(op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> list[Any]:
    """Evaluate the hand-derived formula in ball arithmetic; return exact arrays.

    Raises:
        Unknown: a kink, a function that balls do not have, or an error of the operation's own.
    """
    from ..namespaces import exact

    try:
        return list(exact.evaluate(op.analytic(exact, parameters), *arrays).outputs)
    except exact.Undecided as error:
        raise Unknown(str(error)) from error
    except Exception as error:
        raise Unknown(_words(error)) from error


def halves(ball: Any) -> tuple[np.ndarray, np.ndarray]:
    """Split the midpoints of an exact array into the nearest float64 and what is left of them."""
    high = np.empty(ball.shape)
    low = np.empty(ball.shape)
    for place in np.ndindex(ball.shape):
        middle = ball.elements[place].mid()
        high[place] = float(middle)
        low[place] = float(middle - high[place]) if np.isfinite(high[place]) else 0.0
    return high, low


def _words(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _at(reference: Reference, ball: Any) -> Reference:
    high, low = halves(ball)
    if high.shape != reference.value.shape:
        raise Unknown(f"the formula gives shape {high.shape} in ball arithmetic and {reference.value.shape} in float64")
    return replace(reference, value=high, rest=low)


def bounded(
    op: Operation,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    dtype: str,
    precision: str = "strict",
    *,
    certain: bool = False,
    hull: bool = True,
) -> list[Reference]:
    """Evaluate the hand-derived formula in float64 with the error bounds of a dtype.

    Args:
        op: the operation.
        arrays: inputs, then cotangents.
        parameters: the operation's parameters.
        dtype: the dtype under test.
        precision: ``tf32`` lets float32 products lose bits.
        certain: whether the values will be replaced by certified ones; else the bounds also cover float64's own error.
        hull: whether to find, for autodiff, which entries depend on the convention at a kink.

    Raises:
        Unknown: the analysis lacks a function, or the operation raised.
    """
    from ..namespaces import bounds

    function = op.analytic(bounds, parameters)
    settings = {"product_u": 2.0**-11} if precision == "tf32" and dtype == "float32" else {}
    try:
        outputs = bounds.analyse(function, *arrays, context=dtype, **settings)
        own = None if certain or dtype == "float64" else bounds.analyse(function, *arrays, context="float64")
        kinks = _kinks(bounds, function, arrays) if hull else [np.zeros(()) for _ in outputs]
        excused = _excused(bounds, op, parameters, arrays, outputs, dtype, settings)
    except Exception as error:
        raise Unknown(_words(error)) from error
    references = []
    for i, (one, kink) in enumerate(zip(outputs, kinks, strict=True)):
        # Without certified values a float64 result may be off twice: once by itself, once through the reference.
        extra = 0.0 if certain else one.worst if own is None else own[i].worst
        shape = np.broadcast_shapes(one.shape, kink.shape)
        worst, probable, moved = (np.broadcast_to(p, shape) for p in (one.worst, one.probable, kink))
        references.append(
            Reference(
                value=np.array(np.broadcast_to(one.value, shape), dtype=np.float64),
                rest=np.zeros(shape),
                bound=worst + extra,
                probable=np.minimum(probable, worst) + extra,
                hull=np.array(moved, dtype=np.float64),
                excused=np.array(np.broadcast_to(excused[i], shape)),
            )
        )
    return references


def judge_variant(
    op: Operation,
    parameters: Mapping[str, Any],
    dtype: str,
    variant: str,
    arrays: Callable[[], Sequence[np.ndarray]],
    number: int,
    computed: np.ndarray,
    reference: Reference,
) -> Judgement:
    """Judge one output of a variant: the hand-derived one by its own bound, another formula by mixed stability.

    The bound is a theorem about the hand-derived formula. Autodiff and a framework's function compute the same by
    another formula, which is as good as can be asked for if its result is near that of inputs which are off by one
    rounding each (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.5). So a result of theirs
    that is beyond the bound, and within the bound for such inputs, is a NOTE.

    Args:
        op: the operation.
        parameters: values of its parameters.
        dtype: what was computed in.
        variant: ``analytic``, ``forward``, ``autodiff`` or ``native``.
        arrays: returns inputs, then cotangents; they may be large, and are wanted by few.
        number: which output it is.
        computed: what was computed.
        reference: the truth about it.
    """
    judged = judge_entries(computed, reference, dtype, f"may overflow in {dtype}")
    finite = np.isfinite(judged.ratio)  # a wrong shape and a NaN are no matter of rounding
    if judged.verdict != FAIL or variant in ("analytic", "forward") or not finite:
        return judged
    from ..namespaces import bounds

    u, given = FORMATS[dtype].unit_roundoff, arrays()
    try:
        with bounds.context(dtype):
            function = op.analytic(bounds, parameters)
            exact = function(*(bounds.asarray(a) for a in given))[number]
            rounded = function(*(_off_by(bounds, a, u * np.abs(a) + HAIR) for a in given))[number]
    except Exception:  # noqa: BLE001 - then there is no such bound, and the judgement stands
        return judged
    wider = reference.bound + np.maximum(rounded.worst - exact.worst, 0)
    again = judge_entries(computed, replace(reference, bound=wider), dtype, f"may overflow in {dtype}")
    if again.verdict not in (PASS, NOTE):
        return judged
    reason = (
        f"{judged.ratio:.3g} × the bound of the hand-derived formula, "
        f"{again.ratio:.2g} × that of inputs which are off by one rounding"
    )
    return replace(judged, verdict=NOTE, reason=reason)


def _kinks(bounds: Any, function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return how far another convention moves each entry of each output that lies on a kink; 0 for the others.

    Evaluated with every tie undecided, a tie moves an entry by a whole term, however near the rival is; what an
    ill-conditioned step makes of an error grows with the error. So it is evaluated twice, the second time with larger
    errors of the inputs, and without a rounding of its own.
    """
    found = []
    for relative in (2.0**-52, 2.0**-52 * TIE_GROWTH):
        # A unit roundoff below everything: ties that two roundings hide are opened by the errors of the inputs.
        with bounds.context("float64", u=2.0**-200, underflow=0.0):
            given = (_off_by(bounds, a, relative * np.abs(a) + HAIR) for a in arrays)
            outputs = [bounds.asarray(one) for one in function(*given)]
        found.append([one.worst for one in outputs])
    hulls = []
    for near, far, one in zip(*found, outputs, strict=True):
        whole = near > 1e-9 * float(np.max(np.abs(one.value), initial=HAIR))
        hulls.append(np.where(whole & ~(far > TIE_GROWTH / 4 * near), near, 0.0))
    return hulls


def _off_by(bounds: Any, array: np.ndarray, error: np.ndarray) -> Any:
    if array.dtype.kind != "f":
        return bounds.asarray(array)
    error = np.where(np.isfinite(array), error, 0.0)  # an infinity that is given is exactly that
    return bounds.Array(np.asarray(array, dtype=np.float64), error, error)


def _excused(
    bounds: Any,
    op: Operation,
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    outputs: Sequence[Any],
    dtype: str,
    settings: Mapping[str, Any],
) -> list[np.ndarray]:
    """Tell for each output which entries have no bound because an intermediate may leave the range of the format.

    They are those that have one in a format of the same precision without an end.
    """
    boundless = [~np.isfinite(one.worst) for one in outputs]
    if not any(b.any() for b in boundless) or _leaves_float64(op, parameters, arrays):
        return boundless
    function = op.analytic(bounds, parameters)
    endless = bounds.analyse(function, *arrays, context=dtype, overflow=np.inf, underflow=0.0, **settings)
    return [b & np.isfinite(one.worst) for b, one in zip(boundless, endless, strict=True)]


def _leaves_float64(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> bool:
    """Tell whether an intermediate leaves even the range of float64, in which the bounds are computed."""
    import array_api_compat.numpy as xp

    try:
        with np.errstate(over="raise", under="raise"):
            op.analytic(xp, parameters)(*arrays)
    except FloatingPointError:
        return True
    except Exception:  # noqa: BLE001 - its own cell says what it raised
        return False
    return False


def _corrected(
    op: Operation,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    references: list[Reference],
    wrong: Sequence[str],
) -> list[Reference]:
    """Put the derivative of the forward part in the place of a formula that is known to be wrong."""
    corrected = list(references)
    gradients = true_gradients(op, arrays, parameters, wrong)
    if len(gradients) < len(wrong):
        raise Unknown("the formula is wrong, and here, on a kink, there is no derivative to put in its place")
    for name, high, low in gradients:
        place = op.outputs.index(name)
        old = references[place]
        if old.bound.shape == high.shape:
            # The wrong formula's bound is the best that is known about the size of the rounding errors.
            corrected[place] = replace(old, value=high, rest=low)
        else:
            size = np.full(high.shape, float(np.max(old.bound, initial=0.0)))
            corrected[place] = Reference(high, low, size, size, 0 * size)
    return corrected


def true_gradients(
    op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any], wanted: Sequence[str]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return the certified derivatives of the forward part, as (``W_bar``, high part, low part).

    Those on a kink, and those too large for every basis direction, are left out.
    """
    from ..namespaces import dual, exact

    count = len(op.inputs)
    names = [n for n in op.gradients if f"{n}_bar" in wanted]
    sizes = {n: a.size for n, a in zip(op.inputs, arrays, strict=False)}
    if sum(sizes[n] for n in names) > BASIS_ENTRIES:
        return []
    some = replace(op, differentiable=tuple(n in names for n in op.inputs))

    def derivative(*balls: Any) -> tuple[Any, ...]:
        found = dual.differentiate(some, parameters, balls[:count], balls[count:], directions=dict.fromkeys(names))
        return tuple(d.enclosure for d in found)

    try:
        outputs = exact.evaluate(derivative, *arrays).outputs
    except exact.Undecided:
        return []
    return [(f"{n}_bar", *halves(ball)) for n, ball in zip(names, outputs, strict=True)]


def write(folder: str | os.PathLike[str], name: object, truth: Truth) -> None:
    """Write the truth of a case, whole or not at all."""
    named = {f"array{i}": a for i, a in enumerate(truth.arrays)}
    for i, r in enumerate(truth.references):
        # What is zero throughout takes no room.
        parts = {part: getattr(r, part) for part in ("value", "rest", "bound", "probable", "hull")}
        named |= {f"{part}{i}": a if part == "value" or a.any() else np.zeros(()) for part, a in parts.items()}
        named[f"excused{i}"] = r.excused if r.excused.any() else np.zeros((), dtype=np.bool_)
    named["note"] = np.array(truth.note)
    named["refuted"] = np.array(truth.refuted, dtype=np.str_)
    path = Path(folder) / f"{name}.npz"
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        np.savez(file, **named)  # type: ignore[arg-type]  # the stubs take the names for options
    aside.rename(path)


def write_unknown(folder: str | os.PathLike[str], name: object, reason: str, *, unserved: bool = False) -> None:
    """Write why the truth of a case is not known."""
    text = json.dumps({"reason": reason, "unserved": unserved})
    (Path(folder) / f"{name}.json").write_text(text, encoding="utf-8")


def read(folder: str | os.PathLike[str], name: object) -> Truth:
    """Read the truth of a case.

    Raises:
        Unserved: there is no such case.
        Unknown: it could not be found, with the reason.
    """
    unknown = Path(folder) / f"{name}.json"
    if unknown.exists():
        found = json.loads(unknown.read_text(encoding="utf-8"))
        raise (Unserved if found["unserved"] else Unknown)(found["reason"])
    return read_file(Path(folder) / f"{name}.npz")


def read_file(path: Path) -> Truth:
    """Read the truth of a case from a file that :func:`write` wrote."""
    with np.load(path, allow_pickle=False) as file:
        refuted = tuple(str(output) for output in file["refuted"])
        return Truth(_arrays(file), _references(file), str(file["note"]), refuted)


def read_arrays(path: Path) -> list[np.ndarray]:
    """Read the inputs and cotangents alone."""
    with np.load(path, allow_pickle=False) as file:
        return _arrays(file)


def read_references(path: Path) -> list[Reference]:
    """Read the references alone."""
    with np.load(path, allow_pickle=False) as file:
        return _references(file)


def _arrays(file: Any) -> list[np.ndarray]:
    return [file[f"array{i}"] for i in range(_count(file, "array"))]


def _references(file: Any) -> list[Reference]:
    references = []
    for i in range(_count(file, "value")):
        value = file[f"value{i}"]
        names = ("rest", "bound", "probable", "hull", "excused")
        rest = (np.broadcast_to(file[f"{p}{i}"], value.shape) for p in names)
        references.append(Reference(value, *rest))
    return references


def _count(file: Any, kind: str) -> int:
    return sum(name.startswith(kind) for name in file.files)

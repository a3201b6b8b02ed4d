"""The name of a mistake: a wrong gradient beside the true one, in one sentence with its figure.

Every test below asks one question: would this mistake, made on the true gradient, give what was found? The first that
explains every entry within the bound is the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..ops.operation import Operation
from ..ops.text import derivative_name
from ..verdict.formats import FORMATS
from .alternatives import BLOCKS, Asked, alternatives, either
from .conditions import observed_conditions
from .factors import number, why_factor

PRECISIONS = {"float32": 24, "float16 or TF32": 11, "bfloat16": 8}
"""Significand bits of what a result may secretly have been computed in."""

EXPLAINED = 4
"""How many times nearer than the truth a change of the reference must come to what was found."""


@dataclass(frozen=True)
class Evidence:
    """What a diagnosis may look at. Arrays are float64."""

    name: str
    """What is wrong, as a person writes it: ``∂f/∂W``."""
    computed: np.ndarray
    """The wrong gradient."""
    true: np.ndarray
    """The true gradient."""
    bound: np.ndarray
    """How far an honest evaluation may be from the true gradient, per entry."""
    roundoff: float = 2.0**-53
    """Unit roundoff of the dtype under test."""
    inside: float | None = None
    """Unit roundoff of what lies between inputs and outputs, where that should be finer than the dtype's."""
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The true gradients of the other inputs, by name as a person writes it."""
    conditions: Sequence[np.ndarray] = ()
    """Boolean arrays that the operation asked for on its way, such as Z > 0."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Dimensions of the signature."""
    cotangents: Sequence[np.ndarray] = ()
    """The cotangents the pullback was given."""
    otherwise: Callable[[], Iterable[tuple[str, np.ndarray]]] = tuple
    """What an implementation may compute instead, each with how. Nothing for a formula that can be read itself."""

    @classmethod
    def of(
        cls,
        op: Operation,
        size: Mapping[str, Any],
        arrays: Sequence[np.ndarray],
        output: str,
        computed: np.ndarray,
        true: Mapping[str, np.ndarray],
        bound: np.ndarray,
        roundoff: float = 2.0**-53,
        inside: float | None = None,
        *,
        foreign: bool = False,
    ) -> Evidence:
        """Collect the evidence about an output (``W_bar``) that an operation gives for inputs and cotangents.

        ``true`` has the true value of this output, and those of the other gradients; ``foreign`` tells that an
        implementation gave it, which is held against changes of the operation.
        """
        dimensions, parameters = op.split(size)
        return cls(
            derivative_name(output),
            computed,
            true[output],
            bound,
            roundoff,
            inside,
            others={derivative_name(name): array for name, array in true.items() if name != output},
            conditions=observed_conditions(op, parameters, arrays),
            sizes={k: v for k, v in dimensions.items() if isinstance(v, int)},
            cotangents=arrays[len(op.inputs) :],
            otherwise=partial(alternatives, Asked(op, parameters, arrays, output)) if foreign else tuple,
        )

    def shows_an_error(self) -> bool:
        """Tell whether something is wrong here at all: another shape, or an entry beyond its bound."""
        return self.computed.shape != self.true.shape or bool(_wrong(self).any())


def diagnose(evidence: Evidence) -> str:
    """Name the mistake in one sentence with its figure; where none is recognised, say how large the error is."""
    for test in _tests(evidence):
        sentence = test(evidence)
        if sentence:
            what = "gradient" if evidence.name.startswith("∂") else "value"
            return f"{evidence.name} {sentence}".replace("the true gradient", f"the true {what}")
    return f"{evidence.name} {_size_of_error(evidence)}"


def _tests(evidence: Evidence) -> Sequence[Callable[[Evidence], str | None]]:
    if evidence.computed.shape != evidence.true.shape:
        return _SHAPES
    return (_computed_otherwise, _accumulation) if _slight(evidence) else _VALUES


def _slight(evidence: Evidence) -> bool:
    """Tell whether the error is that of a few roundings: beyond the bound, but like no mistake in a formula."""
    error = np.abs(evidence.computed - evidence.true)
    return bool(np.all(error <= 8 * evidence.roundoff * np.max(np.abs(evidence.true), initial=0.0)))


def _close(evidence: Evidence, candidate: np.ndarray, scale: float = 1.0) -> bool:
    """Tell whether a candidate explains what was found, within the bound."""
    if candidate.shape != evidence.computed.shape:
        return False
    bound = np.broadcast_to(evidence.bound, evidence.true.shape)
    largest = float(np.max(bound, initial=0.0)) if bound.shape != candidate.shape else bound
    slack = 16 * evidence.roundoff * np.max(np.abs(candidate), initial=0.0)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(evidence.computed - candidate) <= 2 * max(1.0, abs(scale)) * largest + slack))


def _tells(evidence: Evidence, candidate: np.ndarray) -> bool:
    """Tell whether a candidate differs from the true gradient by more than the bound: otherwise it explains nothing."""
    if candidate.shape != evidence.true.shape:
        return True
    return bool(np.any(np.abs(candidate - evidence.true) > 4 * evidence.bound))


def _text(shape: tuple[int, ...]) -> str:
    return f"{shape}"


def _transposed_shape(e: Evidence) -> str | None:
    for order in itertools.permutations(range(e.true.ndim)):
        if order != tuple(range(e.true.ndim)) and e.computed.shape == tuple(e.true.shape[i] for i in order):
            what = "the transpose of the true gradient" if e.true.ndim == 2 else f"the true gradient with axes {order}"
            if _close(e, e.true.transpose(order)):
                return f"is {what}: it has shape {_text(e.computed.shape)}, wanted {_text(e.true.shape)}"
    return None


def _not_summed(e: Evidence) -> str | None:
    for count in range(1, e.computed.ndim + 1):
        for axes in itertools.combinations(range(e.computed.ndim), count):
            for keep in (False, True):
                if np.sum(e.computed, axis=axes, keepdims=keep).shape != e.true.shape:
                    continue
                summed = Evidence(e.name, np.sum(e.computed, axis=axes, keepdims=keep), e.true, e.bound, e.roundoff)
                if _close(summed, e.true):
                    which = "axis" if count == 1 else "axes"
                    return (
                        f"is not summed over {which} {', '.join(map(str, axes))}: "
                        f"it has shape {_text(e.computed.shape)}, wanted {_text(e.true.shape)}"
                    )
    return None


def _other_shape(e: Evidence) -> str | None:
    hints = [f"that is the shape of {name}" for name, other in e.others.items() if other.shape == e.computed.shape]
    if e.computed.size == e.true.size and _close(e, e.true.reshape(e.computed.shape)):
        hints.insert(0, "its entries are right, it needs a reshape")
    if e.computed.ndim > 1 and e.computed.swapaxes(-1, -2).shape == e.true.shape:
        hints.append("it looks transposed")
    return f"has shape {_text(e.computed.shape)}, wanted {_text(e.true.shape)}{': ' + hints[0] if hints else ''}"


def _not_finite(e: Evidence) -> str | None:
    bad = ~np.isfinite(e.computed) & np.isfinite(e.true)
    if not bad.any():
        return None
    index = _index(np.argwhere(bad)[0])
    return f"is not finite in {int(bad.sum())} of {bad.size} entries, first at {index}"


def _scaled(e: Evidence) -> str | None:
    square = float(np.vdot(e.true, e.true))
    if square == 0 or not np.isfinite(square):
        return None
    factor = float(np.vdot(e.computed, e.true)) / square
    if not _close(e, factor * e.true, factor) or not _tells(e, factor * e.true):
        return None
    if abs(factor) < 1e-3 * abs(factor - 1) and not np.any(np.abs(e.computed) > e.bound):
        return "is zero everywhere: the term is missing"
    return f"is {number(factor)} × the true gradient{why_factor(factor, e.cotangents, e.sizes, e.roundoff)}"


def _transposed(e: Evidence) -> str | None:
    for order in itertools.permutations(range(e.true.ndim)):
        candidate = e.true.transpose(order)
        if order != tuple(range(e.true.ndim)) and _tells(e, candidate) and _close(e, candidate):
            return "is the transpose of the true gradient" if e.true.ndim == 2 else f"has its axes in the order {order}"
    return None


def _swapped(e: Evidence) -> str | None:
    for name, other in e.others.items():
        if other.shape == e.computed.shape and _tells(e, other) and _close(e, other):
            return f"equals {name}: two results are swapped"
        if other.ndim == 2 and other.T.shape == e.computed.shape and _tells(e, other.T) and _close(e, other.T):
            return f"equals the transpose of {name}: two results are swapped"
    return None


def _symmetric(e: Evidence) -> str | None:
    if e.true.ndim < 2 or e.true.shape[-1] != e.true.shape[-2] or e.true.shape[-1] < 2:
        return None
    flipped = e.true.swapaxes(-1, -2)
    diagonal = e.true * np.eye(e.true.shape[-1])
    shapes = (
        ((e.true + flipped) / 2, "the symmetric part of the true gradient"),
        (e.true + flipped, "the true gradient plus its transpose"),
        (e.true + flipped - diagonal, "the derivative for a symmetric matrix, wanted that for a general one"),
        (np.tril(e.true), "the lower triangle of the true gradient: the rest is lost"),
        (np.triu(e.true), "the upper triangle of the true gradient: the rest is lost"),
        (diagonal, "the diagonal of the true gradient: the rest is lost"),
        (e.true - diagonal, "the true gradient without its diagonal"),
    )
    for candidate, text in shapes:
        if _tells(e, candidate) and _close(e, candidate, 2.0):
            return f"is {text}"
    return None


def _flipped(e: Evidence) -> str | None:
    if e.true.ndim >= 2:
        rotated = e.true[..., ::-1, ::-1]
        if _tells(e, rotated) and _close(e, rotated):
            return "is the true gradient rotated by 180°: convolution and correlation are mixed up"
    for axis in range(e.true.ndim):
        if _tells(e, np.flip(e.true, axis)) and _close(e, np.flip(e.true, axis)):
            return f"is the true gradient reversed along axis {axis}"
        for shift in range(1, min(e.true.shape[axis], 8)):
            for signed in (shift, -shift):
                if _tells(e, np.roll(e.true, signed, axis)) and _close(e, np.roll(e.true, signed, axis)):
                    return f"is the true gradient shifted by {signed} along axis {axis}"
    return None


def _wrong(e: Evidence) -> np.ndarray:
    return np.asarray(~(np.abs(e.computed - e.true) <= e.bound))


def _by_condition(e: Evidence) -> str | None:
    wrong = _wrong(e)
    if not wrong.any() or wrong.all():
        return None
    for condition in e.conditions:
        if condition.shape != wrong.shape or condition.all() or not condition.any():
            continue
        for truth, word in ((True, "holds"), (False, "does not hold")):
            here = condition == truth
            if not np.any(wrong & ~here) and np.mean(wrong[here]) > 0.5:
                zero = not np.any(np.abs(e.computed[here]) > e.bound[here])
                should = not np.any(np.abs(e.true[here]) > e.bound[here])
                why = "it should be zero there: the mask is missing" if should else "the mask is inverted or too wide"
                why = "it is zero there: the mask cuts away too much" if zero else why
                return f"is wrong only where a condition of the formula {word} ({int(wrong.sum())} entries): {why}"
    return None


def _locality(e: Evidence) -> str | None:
    wrong = _wrong(e)
    count = int(wrong.sum())
    if count == 0 or wrong.size < 4 or count > wrong.size // 2:
        return None
    if left_out := _last_block(e, wrong):
        return left_out
    places = np.argwhere(wrong)
    first = tuple(int(i) for i in places[0])
    if count == 1:
        factor = e.computed[first] / e.true[first] if e.true[first] else np.nan
        times = f", {number(float(factor))} × the true one" if np.isfinite(factor) else ""
        values = f"found {e.computed[first]:.6g}, true {e.true[first]:.6g}{times}"
        return f"is wrong in one entry only, {_index(places[0])}: {values}"
    low, high = places.min(axis=0), places.max(axis=0)
    block = int(np.prod(high - low + 1))
    if count < 0.75 * block or block == wrong.size:
        return None
    fixed = [axis for axis in range(wrong.ndim) if low[axis] == high[axis]]
    if len(fixed) == 1 and wrong.ndim == 2 and block == wrong.shape[1 - fixed[0]]:
        return f"is wrong in one {'row' if fixed[0] == 0 else 'column'} only, number {low[fixed[0]]}"
    span = ", ".join(str(a) if a == b else f"{a}:{b + 1}" for a, b in zip(low, high, strict=True))
    return f"is wrong in one block only, [{span}]"


def _last_block(e: Evidence, wrong: np.ndarray) -> str | None:
    """Tell whether what is wrong is what is left over where a kernel takes whole blocks."""
    for axis, size in enumerate(wrong.shape):
        first = int(np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis)))[0])
        left_over = {b: (size - 1) // b * b for b in BLOCKS if size % b}
        starts = [start for start in left_over.values() if 0 < start <= first and size - start > 1]
        if not starts or np.mean(wrong.take(range(max(starts), size), axis)) < 0.75:
            continue
        blocks = either([b for b, start in left_over.items() if start == max(starts)][-3:])
        what = ("rows", "columns")[axis] if wrong.ndim == 2 else "entries" if wrong.ndim == 1 else f"axis {axis},"
        where = (
            f"{what} {max(starts)} to {size - 1} of {size}, and right elsewhere: the last, partial block (of {blocks})"
        )
        zero = not np.any(np.abs(e.computed[wrong]) > e.bound[wrong])
        return f"is zero in {where} is left out" if zero else f"is wrong in {where} is not masked"
    return None


def _constant_along(e: Evidence) -> str | None:
    difference = e.computed - e.true
    if e.true.ndim == 0 or not np.all(np.isfinite(difference)) or not _wrong(e).any():
        return None
    if e.true.size > 2 and _close(e, e.true + np.mean(difference)):
        return f"is the true gradient plus the constant {np.mean(difference):.6g}: a mean was not subtracted, or twice"
    for axis in range(e.true.ndim):
        if e.true.shape[axis] > 2 and _close(e, e.true + np.mean(difference, axis=axis, keepdims=True)):
            return f"is the true gradient plus something constant along axis {axis}: a mean over it was not subtracted"
    return None


def _broadcast_factor(e: Evidence) -> str | None:
    if e.true.ndim == 0:
        return None
    for axis in range(e.true.ndim):
        if e.true.shape[axis] < 3:
            continue
        square = np.sum(e.true**2, axis=axis, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(square > 0, np.sum(e.computed * e.true, axis=axis, keepdims=True) / square, 1.0)
        if _close(e, factor * e.true, float(np.max(np.abs(factor)))):
            low, high = float(np.min(factor)), float(np.max(factor))
            return (
                f"is the true gradient times a factor that is constant along axis {axis} "
                f"({low:.4g} … {high:.4g}): a factor is missing, or applied twice"
            )
    return None


def _rank_one(e: Evidence) -> str | None:
    difference = e.computed - e.true
    if e.true.ndim != 2 or min(e.true.shape) < 3 or not np.all(np.isfinite(difference)):
        return None
    if np.linalg.matrix_rank(e.true) < 2:  # an outer product itself: so is its difference from one with a wrong factor
        return None
    u, s, vt = np.linalg.svd(difference, full_matrices=False)
    if _close(e, e.true + s[0] * np.outer(u[:, 0], vt[0])):
        return (
            f"differs from the true gradient by a matrix of rank one, of norm {s[0]:.4g}: an outer product is missing"
        )
    return None


def _precision(e: Evidence) -> str | None:
    difference, scale = e.computed - e.true, float(np.sqrt(np.mean(e.true**2)))
    if not np.all(np.isfinite(difference)) or scale == 0:
        return None
    # An error by rounding is as large as the bound times the quotient of the two roundoffs; a bound in any
    # order of summation is some times larger than what happens.
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(e.bound > 0, np.abs(difference) / e.bound, 0.0)
    size = float(np.sqrt(np.mean(difference**2))) / scale
    unit = max(float(np.max(quotient)) * e.roundoff, size)
    for name, bits in PRECISIONS.items():
        u = 2.0**-bits
        if u > 2 * e.roundoff and u / 32 <= unit <= 8 * u and size <= 16 * u:
            return f"has errors of the size of rounding in {name} (relative {size:.2g}, 2^−{bits}): lower precision"
    return None


def _computed_otherwise(e: Evidence) -> str | None:
    """Name what the reference must do to give what was found; of several, what comes nearest."""
    nearest, least = None, float(np.sum(np.abs(e.computed - e.true))) / EXPLAINED
    for how, candidate in e.otherwise():
        if _tells(e, candidate) and _close(e, candidate):
            distance = float(np.sum(np.abs(e.computed - candidate)))
            if distance < least:
                nearest, least = how, distance
    return None if nearest is None else f"is what the reference gives {nearest}"


def _accumulation(e: Evidence) -> str | None:
    """Recognise sums, or whatever else lies between, that were kept in the dtype and not in the finer one."""
    if e.inside is None or not np.all(np.isfinite(e.computed)):
        return None
    difference, scale = np.abs(e.computed - e.true), float(np.sqrt(np.mean(e.true**2))) or 1.0
    # What the bound has beyond the one rounding of the output grows with the unit roundoff of what lies between.
    between = e.bound - e.roundoff * np.abs(e.true)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = float(np.max(np.where(between > 0, difference / between, 0.0))) * e.inside
    size = float(np.sqrt(np.mean(difference**2))) / scale
    if not (4 * e.inside <= unit <= 2 * e.roundoff and size <= 64 * e.roundoff):
        return None
    return _computed_otherwise(e) or (
        f"has errors as of sums in {_dtype_of(e.roundoff)} (relative {size:.2g}): lower precision than "
        f"{_dtype_of(e.inside)}, in which it is said to accumulate"
    )


def _dtype_of(roundoff: float) -> str:
    return next(name for name, form in FORMATS.items() if form.unit_roundoff == roundoff)


def _linear_mix(e: Evidence) -> str | None:
    for name, other in e.others.items():
        if other.shape != e.true.shape:
            continue
        basis = np.stack([e.true.ravel(), other.ravel()], axis=1)
        if basis.shape[0] < 3 or np.linalg.matrix_rank(basis) < 2:
            continue
        weights, *_ = np.linalg.lstsq(basis, e.computed.ravel(), rcond=None)
        if abs(weights[1]) > 1e-9 and _close(
            e, (basis @ weights).reshape(e.true.shape), float(np.max(np.abs(weights)))
        ):
            return f"is {number(float(weights[0]))} × the true gradient plus {number(float(weights[1]))} × {name}"
    return None


def _zeroed(e: Evidence) -> str | None:
    wrong = _wrong(e)
    if wrong.any() and not np.any(np.abs(e.computed[wrong]) > e.bound[wrong]):
        return (
            f"is zero in {int(wrong.sum())} of {wrong.size} entries where it should not be: a mask cuts away too much"
        )
    zero = np.abs(e.true) <= e.bound
    if wrong.any() and not np.any(wrong & ~zero):
        return f"is not zero in {int(wrong.sum())} of {wrong.size} entries where it should be: the mask is missing"
    return None


def _size_of_error(e: Evidence) -> str:
    error = np.where(np.isfinite(e.computed), np.abs(e.computed - e.true), np.inf)
    worst = np.unravel_index(int(np.argmax(error)), error.shape)
    scale = float(np.sqrt(np.mean(e.true**2))) or 1.0
    size = float(np.sqrt(np.mean(error**2))) / scale
    at = f" at {_index(np.asarray(worst))}" if worst else ""
    return (
        f"is wrong in {int(_wrong(e).sum())} of {error.size} entries, by {size:.3g} of its size; "
        f"worst{at}: found {e.computed[worst]:.6g}, true {e.true[worst]:.6g}"
    )


def with_figures(said: str, figures: str) -> str:
    """Return a diagnosis with the figures of the judgement. What has no name tells the worst entry itself."""
    error = figures.rpartition(", error ")[2]
    return f"{said}, error {error}" if NAMELESS in said and error != figures else f"{said}; {figures}"


NAMELESS = " of its size; worst"
"""Stands in what is said of a mistake that has no name."""


def _index(place: np.ndarray) -> str:
    return "[" + ", ".join(str(int(i)) for i in place) + "]"


_SHAPES: tuple[Callable[[Evidence], str | None], ...] = (_transposed_shape, _not_summed, _other_shape)
_VALUES: tuple[Callable[[Evidence], str | None], ...] = (
    _not_finite,
    # A sum that stands still while it grows is off by a factor, which would be named instead.
    _accumulation,
    _scaled,
    _transposed,
    _swapped,
    _symmetric,
    _flipped,
    _by_condition,
    _locality,
    _zeroed,
    _computed_otherwise,
    _constant_along,
    _rank_one,
    _precision,
    _broadcast_factor,
    _linear_mix,
)

"""The verdict on a computed array: its error against the certified truth, within the bound of its own rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .formats import FORMATS
from .words import FAIL, INCONCLUSIVE, NOTE, PASS, UNAVAILABLE

INFINITE = "has an infinite bound: what it is divided by may be 0"
"""Why an entry has no bound, where none of its own reasons excuses it."""

WIDE = 0.1
"""A bound above this share of the output's own scale cannot see a mistake that a person would call one."""


@dataclass(frozen=True)
class Reference:
    """The truth about one output, and how far an honest evaluation may be from it.

    All arrays have the output's shape.
    """

    value: np.ndarray
    """float64, the number nearest to the truth."""
    rest: np.ndarray
    """What the truth has beyond ``value``, so that a float64 result is judged by more than float64."""
    bound: np.ndarray
    """Worst case of |computed − truth| over every order of summation."""
    probable: np.ndarray
    """The probabilistic bound: the line between PASS and NOTE."""
    hull: np.ndarray
    """How far another convention at a kink may be from ours; 0 where the entry depends on none."""
    excused: np.ndarray = field(default_factory=lambda: np.zeros((), dtype=np.bool_))
    """Whether any result is honest: an intermediate may leave the range of the format there, or hears of a NaN."""

    def parts(self) -> tuple[np.ndarray, ...]:
        """Return the arrays of figures, in this order."""
        return self.value, self.rest, self.bound, self.probable, self.hull


@dataclass(frozen=True)
class Judgement:
    """What is known about one computed array."""

    verdict: str
    """One of :data:`.words.VERDICTS`."""
    ratio: float
    """Largest error over bound; above 1 is a FAIL."""
    max_abs_error: float
    """Largest absolute error."""
    max_ulp: float
    """Largest error in units of the last place of the dtype, at the true value."""
    noticeable: float
    """Smallest relative error, the same in every entry, that this comparison would have noticed."""
    compared: int
    """How many entries were compared; of an empty array its shape, which counts as one."""
    reason: str
    """One sentence with figures; empty for a plain PASS."""


def worded(verdict: str, reason: str, compared: int = 0, ratio: float = math.nan) -> Judgement:
    """Return a verdict that rests on words, not on figures."""
    return Judgement(verdict, ratio, math.nan, math.nan, math.nan, compared, reason)


def passed(compared: int, reason: str = "") -> Judgement:
    """Return a PASS of what has no error at all."""
    return Judgement(PASS, 0.0, 0.0, 0.0, 0.0, compared, reason)


def judge(computed: np.ndarray, reference: Reference, dtype: str) -> Judgement:
    """Judge a computed array.

    Args:
        computed: the array, as float64 or float32 holding the dtype's numbers.
        reference: the truth with its bounds, of the same shape.
        dtype: the dtype it was computed in, one of :data:`FORMATS`.
    """
    computed = np.asarray(computed)
    if computed.shape != reference.value.shape:
        transposed = computed.ndim > 1 and computed.swapaxes(-1, -2).shape == reference.value.shape
        hint = ": it looks transposed" if transposed else ""
        infinite = float("inf")
        reason = f"has shape {computed.shape}, wanted {reference.value.shape}{hint}"
        return Judgement(FAIL, infinite, infinite, infinite, noticeable=0.0, compared=0, reason=reason)
    if computed.size == 0:
        return passed(1, "empty: its shape is right")
    errors = _errors(computed, reference, dtype)
    wide = _too_wide(errors, errors.widest, reference, reference.bound, dtype)
    # An error within the probable bound is seen to be small, however wide the worst case is.
    narrow = _too_wide(errors, errors.widest_probable, reference, reference.probable, dtype)

    def judged(verdict: str, reason: str = "") -> Judgement:
        return Judgement(
            verdict,
            ratio=errors.ratio,
            max_abs_error=errors.abs_error if errors.any_finite else float("inf"),
            max_ulp=errors.ulp if errors.any_finite else float("inf"),
            noticeable=errors.noticeable,
            compared=int(computed.size),
            reason=reason,
        )

    if errors.missed:
        return judged(FAIL, _misses(computed, reference, errors))
    unusual = errors.usual > 1
    lost = f"all digits are lost here: error {errors.ulp:.2g} ulp; " if errors.lost else ""
    if wide is not None and unusual:
        return judged(INCONCLUSIVE, lost + wide)
    if narrow is not None:
        return judged(INCONCLUSIVE, lost + narrow)
    if unusual:
        return judged(
            NOTE, f"error is {errors.usual:.3g} × what rounding usually does, {errors.ratio:.3g} of the bound"
        )
    elsewhere = f"another convention at {errors.elsewhere} of {computed.size} entries that lie on a kink"
    return judged(PASS, elsewhere if errors.elsewhere else "")


def judge_entries(
    computed: np.ndarray, reference: Reference, dtype: str, why: str, *, boundless: bool = False
) -> Judgement:
    """Judge those entries of an array of which something is known; those that are excused may be anything.

    Args:
        computed: the array, as for :func:`judge`.
        reference: the truth.
        dtype: the dtype it was computed in.
        why: what excuses an entry, in words.
        boundless: whether an entry may have no bound without being excused, as it may far from ordinary numbers. Then
            it is left out unless it is NaN: a bound that is infinite because a denominator may vanish excuses none.
    """
    computed = np.asarray(computed)
    if computed.shape != reference.value.shape or computed.size == 0:
        return judge(computed, reference, dtype)
    excused = np.broadcast_to(reference.excused, computed.shape)
    unbounded = ~excused & ~np.isfinite(reference.bound) & ~np.isnan(computed) & boundless
    judged = ~excused & ~unbounded
    if judged.all():
        return judge(computed, reference, dtype)
    if not judged.any():
        if unbounded.any():
            return worded(INCONCLUSIVE, f"every entry that is not excused {INFINITE}")
        return worded(UNAVAILABLE, f"nothing to compare: every entry {why}")
    judgement = judge(computed[judged], Reference(*(part[judged] for part in reference.parts())), dtype)
    reasons = [judgement.reason] if judgement.reason else []
    for left_out, cause in ((excused, why), (unbounded, INFINITE)):
        if left_out.any():
            reasons.append(f"{int(left_out.sum())} of {left_out.size} entries not judged: each {cause}")
    return replace(judgement, reason="; ".join(reasons))


def joined(judgements: Iterable[Judgement]) -> Judgement:
    """Several judgements as one: the worst verdict, the largest figures, and what the worst of them says."""
    parts = list(judgements)
    order = [FAIL, INCONCLUSIVE]
    worst = min(parts, key=lambda j: (order.index(j.verdict) if j.verdict in order else len(order), -j.ratio))
    return replace(
        worst,
        max_abs_error=max(j.max_abs_error for j in parts),
        noticeable=max(j.noticeable for j in parts),
        compared=sum(j.compared for j in parts),
    )


BLOCK = 2**15
"""Entries that are looked at together: the dozen temporaries of 256 KiB that it takes stay near the processor."""


@dataclass(frozen=True)
class _Errors:
    """Errors of some entries; every field but ``worst`` is a largest, a smallest or a count."""

    ratio: float
    """Largest error over bound; of a NaN infinite."""
    worst: int
    """Where that is, in the flat array."""
    missed: int
    """How many are not within the bound."""
    usual: float
    """Largest error over probable bound, of those that lie on no kink."""
    elsewhere: int
    """How many on a kink agree with another convention only."""
    abs_error: float
    ulp: float
    lost: bool
    """Whether an error is as large as the truth itself, of those that lie on no kink."""
    any_finite: bool
    noticeable: float
    scale: float
    """Largest finite absolute value of the truth."""
    widest: float
    """Largest bound; a kink is wide by nature (there the bound is the subdifferential) and left out."""
    widest_probable: float


def _errors(computed: np.ndarray, reference: Reference, dtype: str) -> _Errors:
    parts = [_flat(a) for a in (computed, *reference.parts())]
    blocks = [_block_errors([p[i : i + BLOCK] for p in parts], i, dtype) for i in range(0, computed.size, BLOCK)]
    worst = max(blocks, key=lambda one: one.ratio)

    def of(name: str, pick: Callable[[Iterable[Any]], Any]) -> Any:
        return pick(getattr(one, name) for one in blocks)

    largest = ("usual", "abs_error", "ulp", "lost", "any_finite", "scale", "widest", "widest_probable")
    return _Errors(
        ratio=worst.ratio,
        worst=worst.worst,
        noticeable=of("noticeable", min),
        missed=of("missed", sum),
        elsewhere=of("elsewhere", sum),
        **{name: of(name, max) for name in largest},
    )


def _flat(array: np.ndarray) -> np.ndarray:
    # One number that was broadcast would be written out by reshape.
    return np.broadcast_to(array[(0,) * array.ndim], array.size) if not any(array.strides) else array.reshape(-1)


def _block_errors(parts: Sequence[np.ndarray], start: int, dtype: str) -> _Errors:
    got, value, rest, bound, probable, hull = parts
    error = _error(got.astype(np.float64), value, rest)
    ratio = _ratio(error, bound)
    worst = int(np.argmax(ratio))
    finite = np.isfinite(error)
    smooth = hull == 0
    size = np.abs(value)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = bound / np.where(size == 0, np.nan, size)
    return _Errors(
        ratio=float(ratio[worst]),
        worst=start + worst,
        # Written so that a NaN anywhere is not within.
        missed=int(np.sum(~(ratio <= 1))),
        usual=float(np.max(_ratio(error, probable), where=smooth, initial=0.0)),
        elsewhere=0 if smooth.all() else int(np.sum(~smooth & ~(_ratio(error, bound - hull) <= 1))),
        abs_error=float(np.max(error, where=finite, initial=0.0)),
        ulp=float(np.max(error / FORMATS[dtype].spacing(value), where=finite, initial=0.0)),
        lost=bool((finite & smooth & (size > 0) & (error >= size)).any()),
        any_finite=bool(finite.any()),
        noticeable=float(np.min(relative, where=smooth & ~np.isnan(relative), initial=np.inf)),
        scale=float(np.max(size, where=np.isfinite(size), initial=0.0)),
        widest=float(np.max(bound, where=smooth, initial=0.0)),
        widest_probable=float(np.max(probable, where=smooth, initial=0.0)),
    )


def _error(got: np.ndarray, value: np.ndarray, rest: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs((got - value) - rest)
    # The same infinity is no error; every other NaN stays one and is beyond any bound.
    return np.where(np.isinf(got) & (got == value), 0.0, error)


def _ratio(error: np.ndarray, bound: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(error == 0, 0.0, error / bound)
        ratio = np.where(np.isinf(bound) & ~np.isnan(error), 0.0, ratio)
    return np.where(np.isnan(ratio), np.inf, ratio)


def _too_wide(errors: _Errors, widest: float, reference: Reference, bound: np.ndarray, dtype: str) -> str | None:
    # An array that is zero throughout has no scale; near the smallest numbers there is nothing more to see.
    if widest <= max(WIDE * errors.scale, 64 * math.ldexp(1.0, FORMATS[dtype].smallest_exponent)):
        return None
    wide = (bound > WIDE * errors.scale) & (reference.hull == 0)
    share = f"{np.mean(wide):.0%} of the" if np.mean(wide) >= 0.005 else f"{np.sum(wide)} of {wide.size}"
    return (
        f"{share} entries have a bound above {WIDE:.0%} of the output's scale {errors.scale:.3g}; "
        f"the smallest relative error that could have been noticed is {errors.noticeable:.2g}"
    )


def _misses(computed: np.ndarray, reference: Reference, errors: _Errors) -> str:
    worst = np.unravel_index(errors.worst, computed.shape)
    value, true = float(computed[worst]), float(reference.value[worst])
    error = _error(np.array(value), reference.value[worst], reference.rest[worst])
    index = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
    return (
        f"{errors.missed} of {computed.size} entries are beyond the bound; worst{' at ' + index if index else ''}: "
        f"found {value:.6g}, true {true:.6g}, error {error:.3g} = {errors.ratio:.3g} × the bound"
    )

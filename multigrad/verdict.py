"""Is this number right? A computed array against the certified truth, within the bound of its own rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .formats import FORMATS

PASS, NOTE, FAIL = "PASS", "NOTE", "FAIL"
INCONCLUSIVE, UNAVAILABLE, GAP = "INCONCLUSIVE", "UNAVAILABLE", "GAP"

VERDICTS = {
    PASS: "within what rounding usually does",
    NOTE: "within the worst-case bound, but worse than rounding usually is",
    FAIL: "beyond the worst-case bound: a theorem says that this is not rounding",
    INCONCLUSIVE: "the bound is too wide to judge: never a pass",
    UNAVAILABLE: "the framework, the device or the mode is not here; the reason says what to do",
    GAP: "a known gap of the backend, with its reason",
}
"""Every verdict with its meaning."""

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


@dataclass(frozen=True)
class Judgement:
    """What is known about one computed array."""

    verdict: str
    """One of :data:`VERDICTS`."""
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
        return _failed(f"has shape {computed.shape}, wanted {reference.value.shape}{hint}", 0)
    if computed.size == 0:
        return Judgement(PASS, 0.0, 0.0, 0.0, 0.0, 1, "empty: its shape is right")
    got = computed.astype(np.float64)
    error = _error(got, reference)
    ratio = _ratio(error, reference.bound)
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    finite = np.isfinite(error)
    ulps = error / FORMATS[dtype].spacing(reference.value)
    noticeable, wide = _sight(reference, reference.bound, dtype)
    # An error within the probable bound is seen to be small, however wide the worst case is.
    _, narrow = _sight(reference, reference.probable, dtype)

    def judged(verdict: str, reason: str = "") -> Judgement:
        return Judgement(
            verdict,
            ratio=float(ratio[worst]),
            max_abs_error=float(np.max(error, where=finite, initial=0.0)) if finite.any() else float("inf"),
            max_ulp=float(np.max(ulps, where=finite, initial=0.0)) if finite.any() else float("inf"),
            noticeable=noticeable,
            compared=int(got.size),
            reason=reason,
        )

    # Written so that a NaN anywhere is not within.
    if not bool(np.all(ratio <= 1)):
        return judged(FAIL, _misses(got, reference, error, ratio, worst))
    usual = _ratio(error, reference.probable)
    if wide is not None and not bool(np.all((usual <= 1) | (reference.hull > 0))):
        return judged(INCONCLUSIVE, wide)
    if narrow is not None:
        return judged(INCONCLUSIVE, narrow)
    if not bool(np.all((usual <= 1) | (reference.hull > 0))):
        reason = (
            f"error is {float(np.max(usual)):.3g} × what rounding usually does, {float(ratio[worst]):.3g} of the bound"
        )
        return judged(NOTE, reason)
    other = int(np.sum((reference.hull > 0) & ~(_ratio(error, reference.bound - reference.hull) <= 1)))
    reason = f"another convention at {other} of {got.size} entries that lie on a kink" if other else ""
    return judged(PASS, reason)


def judge_entries(computed: np.ndarray, reference: Reference, dtype: str, why: str) -> Judgement:
    """Judge those entries of an array that have a finite bound; the others may be anything.

    Args:
        computed: the array, as for :func:`judge`.
        reference: the truth; an infinite bound says that an entry has none.
        dtype: the dtype it was computed in.
        why: what makes an entry boundless, in words.
    """
    judged = np.isfinite(reference.bound)
    if np.shape(computed) != reference.value.shape or judged.all():
        return judge(computed, reference, dtype)
    count, missing = judged.size, int(np.sum(~judged))
    if not judged.any():
        nan = float("nan")
        return Judgement(UNAVAILABLE, nan, nan, nan, nan, 0, f"nothing to compare: every entry {why}")
    parts = (reference.value, reference.rest, reference.bound, reference.probable, reference.hull)
    found = judge(np.asarray(computed)[judged], Reference(*(part[judged] for part in parts)), dtype)
    note = f"{missing} of {count} entries not judged: each {why}"
    return replace(found, reason=f"{found.reason}; {note}" if found.reason else note)


def _failed(reason: str, compared: int) -> Judgement:
    infinite = float("inf")
    return Judgement(FAIL, infinite, infinite, infinite, 0.0, compared, reason)


def _error(got: np.ndarray, reference: Reference) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs((got - reference.value) - reference.rest)
    # The same infinity is no error; every other NaN stays one and is beyond any bound.
    return np.where(np.isinf(got) & (got == reference.value), 0.0, error)


def _ratio(error: np.ndarray, bound: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(error == 0, 0.0, error / bound)
        ratio = np.where(np.isinf(bound) & ~np.isnan(error), 0.0, ratio)
    return np.where(np.isnan(ratio), np.inf, ratio)


def _sight(reference: Reference, bound: np.ndarray, dtype: str) -> tuple[float, str | None]:
    smooth = reference.hull == 0
    scale = float(np.max(np.abs(reference.value), where=np.isfinite(reference.value), initial=0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(reference.value == 0, np.inf, bound / np.abs(reference.value))
    noticeable = float(np.min(relative, where=smooth & ~np.isnan(relative), initial=np.inf))
    # A kink is wide by nature: there the bound is the subdifferential.
    widest = float(np.max(bound, where=smooth, initial=0.0))
    # An array that is zero throughout has no scale; near the smallest numbers there is nothing more to see.
    if widest <= max(WIDE * scale, 64 * math.ldexp(1.0, FORMATS[dtype].smallest_exponent)):
        return noticeable, None
    share = float(np.mean((bound > WIDE * scale) & smooth))
    return noticeable, (
        f"{share:.0%} of the entries have a bound above {WIDE:.0%} of the output's scale {scale:.3g}; "
        f"the smallest relative error that could have been noticed is {noticeable:.2g}"
    )


def _misses(
    got: np.ndarray, reference: Reference, error: np.ndarray, ratio: np.ndarray, worst: tuple[np.intp, ...]
) -> str:
    index = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
    missed = int(np.sum(~(ratio <= 1)))
    return (
        f"{missed} of {got.size} entries are beyond the bound; worst{' at ' + index if index else ''}: "
        f"found {got[worst]:.6g}, true {reference.value[worst]:.6g}, "
        f"error {error[worst]:.3g} = {ratio[worst]:.3g} × the bound"
    )

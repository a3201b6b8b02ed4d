"""Figures as text: durations, sizes in memory and plain numbers, with few digits and a unit."""

from __future__ import annotations

import math

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def figure(x: float | None) -> str:
    """Write a number with two digits; nothing for none and NaN."""
    return (
        ""
        if x is None or math.isnan(x)
        else "∞"
        if math.isinf(x)
        else f"{x:.2g}".replace("e+0", "e").replace("e+", "e")
    )


def seconds(x: float | None) -> str:
    """Write a duration with three digits and its unit; a dash for none and NaN."""
    if x is None or math.isnan(x):
        return "–"
    scale, unit = _unit(x)
    return f"{x / scale:.3g} {unit}"


def interval(median: float, low: float, high: float) -> str:
    """Write a duration with its interval, all in one unit: ``12.5 ms [11.6, 14.1]``."""
    scale, unit = _unit(median)
    low_text, high_text = (f"{x / scale:.3g}" if x < 1000 * scale else f"{x / scale:.0f}" for x in (low, high))
    return f"{median / scale:.3g} {unit} [{low_text}, {high_text}]"


def _unit(x: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in UNITS if x >= scale), UNITS[-1])


def size_of(count: float | None) -> str:
    """Write a number of bytes with its unit; a dash for none and NaN."""
    if count is None or math.isnan(count):
        return "–"
    for scale, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


def percent(share: float | None) -> str:
    """Write a share in percent, with one decimal; ``unknown`` for none."""
    return "unknown" if share is None else f"{100 * share:.1f} %"


def times(ratio: float) -> str:
    """Write how many times as large something is."""
    return f"{ratio:.2f}×"


def factor(ratio: float) -> str:
    """Write how many times as large something is: ``0.96``, ``1.05``, ``1.8``, ``14``, ``1 400``."""
    if 0.095 <= ratio < 1.195:
        return f"{ratio:.2f}"
    if 1 < ratio < 9.95:
        return f"{ratio:.1f}"
    return grouped(int(float(f"{ratio:.2g}"))) if 1 < ratio < math.inf else figure(ratio)


def multiple(ratio: float) -> str:
    """Write such a factor with its sign: ``1.8 ×``, which no line's end parts."""
    return f"{factor(ratio)}\u202f×"


def span(low: float, high: float) -> str:
    """Write the interval of such a factor: ``1.6–2.2``; a narrow one has the decimals that tell its ends apart."""
    near = 0.095 <= low < 1.195 and high < 1.95
    ends = (f"{low:.2f}", f"{high:.2f}") if near else (factor(low), factor(high))
    for decimals in (2, 3):
        if ends[0] == ends[1]:
            ends = (f"{low:.{decimals}f}", f"{high:.{decimals}f}")
    return "–".join(ends)


def reach(median: float, low: float, high: float) -> float:
    """Return how far an interval reaches from its median, on the side where it reaches further, as a share of it."""
    return max(median - low, high - median) / median


def give_or_take(share: float) -> str:
    """Write how far an interval reaches: ``±4 %``, from twice the median on ``up to 24 ×``; nothing for NaN."""
    if share >= 1:
        return f"up to {multiple(1 + share)}"
    return "" if math.isnan(share) else f"±{100 * share:.0f}\u202f%" if share >= 0.005 else "±<1\u202f%"


def quotient(ratio: float, low: float, high: float) -> str:
    """Write a ratio with its interval: ``0.981 [0.970, 0.993]``; nothing for NaN."""
    return "" if math.isnan(ratio) else f"{ratio:.3f} [{low:.3f}, {high:.3f}]"


def grouped(count: int) -> str:
    """Write a whole number with its digits in groups of three."""
    return f"{count:,}".replace(",", "\u202f")

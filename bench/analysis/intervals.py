"""Medians, and what a ratio with its interval is called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..plan.protocol import FULL

if TYPE_CHECKING:
    import numpy as np

Word = Literal["faster", "slower", "same", "unclear"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, all in the unit of what was given."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio(Interval):
    """A ratio of two times with its confidence interval; the ends are NaN where nothing is known of the noise."""

    chance: float
    """How probable it is that two times that are equal differ so much by noise alone; NaN where nothing is known."""


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan


def median_of_medians(processes: Sequence[np.ndarray]) -> float:
    """Return the median of the processes' medians."""
    import numpy as np

    return float(np.median([np.median(p) for p in processes]))


def hodges_lehmann(values: np.ndarray) -> float:
    """Return the median of the means of all pairs of values, each with itself among them (Hodges and Lehmann 1963)."""
    import numpy as np

    i, j = np.triu_indices(len(values))
    return float(np.median((values[i] + values[j]) / 2))


def kept_waiting(
    block_s: np.ndarray,
    waited_s: np.ndarray,
    cpu_s: np.ndarray,
    switches: np.ndarray,
    *,
    idle_share: float = FULL.idle_share,
) -> np.ndarray:
    """Tell of each block whether others kept it waiting for a processor.

    Args:
        block_s: wall time of the blocks.
        waited_s: time they were ready and had no processor; NaN where nobody says, and the next two must do.
        cpu_s: their CPU time.
        switches: how often the kernel took the processor away.
        idle_share: the share of a block in which the processor must be its own.
    """
    import numpy as np

    guessed = (switches > 0) & (cpu_s < idle_share * block_s)
    told = waited_s > (1 - idle_share) * block_s
    lost: np.ndarray = np.where(np.isnan(waited_s), guessed, told)
    return lost


def turn_medians(values: np.ndarray, turns: np.ndarray, lost: np.ndarray, slow: float = math.inf) -> np.ndarray:
    """Return the median of each turn of a process; NaN for a turn in which others disturbed every block.

    Args:
        values: one for each block, in order of time.
        turns: the number of its turn, for each block.
        lost: which blocks are left out, because others kept them waiting.
        slow: the first block is left out too, if it is so many times as slow as the others of its turn: it was cold.
    """
    import numpy as np

    beside = values[(turns == turns[0]) & ~lost][1:] if not lost[0] else values[:0]
    if len(beside) and values[0] > slow * np.median(beside):
        lost = lost | (np.arange(len(values)) == 0)
    starts = np.flatnonzero(np.diff(turns)) + 1
    kept = [part[~out] for part, out in zip(np.split(values, starts), np.split(lost, starts), strict=True)]
    return np.array([np.median(part) if len(part) else np.nan for part in kept])


def margin(unexplained: float, *, effect: float = FULL.effect, factor: float = FULL.floor_factor) -> float:
    """Return how far from 1 a ratio must be to deserve a word: the effect, or more where A/A pairs differ by more."""
    return max(effect, factor * unexplained)


def word(ratio: Ratio, unexplained: float = 0.0, *, alarms: float = FULL.alarms) -> Word:
    """Say what a ratio of times (after / before) means.

    ``slower`` or ``faster`` if it is beyond the margin and noise alone would hardly make it differ from 1 so much;
    ``same`` if its whole interval lies within the margin; else ``unclear``. The margin is taken as a factor, so that
    swapping the two runs swaps the words.

    Args:
        ratio: what was measured.
        unexplained: see :func:`unexplained`.
        alarms: the share of equals that may be called faster or slower.
    """
    factor = 1 + margin(unexplained)
    if ratio.chance <= alarms and not 1 / factor <= ratio.estimate <= factor:
        return "slower" if ratio.estimate > 1 else "faster"
    if ratio.low >= 1 / factor and ratio.high <= factor:
        return "same"
    return "unclear"


def noise_floor(quotients: Iterable[float]) -> float | None:
    """Return the largest relative difference between the halves of A/A pairs, of their quotients; None without one."""
    return max((max(quotient, 1 / quotient) - 1 for quotient in quotients), default=None)


def unexplained(pairs: Iterable[Mapping[str, Any]]) -> float:
    """Return how far from 1 A/A pairs lie beyond their own intervals; 0 where every interval holds 1.

    Equals differ by noise, and the interval holds that. What it does not hold, no other interval of the run does.

    Args:
        pairs: each with ``low`` and ``high``, the ends of its interval, None where there is none.
    """
    ends = [(pair["low"], pair["high"]) for pair in pairs if pair.get("low") and pair.get("high")]
    return max((max(low - 1, 1 / high - 1, 0.0) for low, high in ends), default=0.0)


def relative_spread(values: Sequence[float] | np.ndarray) -> float:
    """Return the interquartile range over the median; 0 for fewer than two values."""
    import numpy as np

    if len(values) < 2:
        return 0.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float((high - low) / middle)

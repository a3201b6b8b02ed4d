"""Medians with intervals that know where the noise lives: between processes first, within them second."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers; NaN of none."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan


def median_of_medians(processes: Sequence[np.ndarray]) -> float:
    """Return the median of the processes' medians."""
    import numpy as np

    return float(np.median([np.median(p) for p in processes]))


def resampled_medians(processes: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return bootstrap replicates of the median of process medians: processes are resampled, then blocks within each.

    The median of m values drawn with replacement from m sorted ones need not draw them: its place is an order
    statistic of m uniform numbers, which has a beta distribution. So a replicate costs the same for 10 blocks as for
    400, and is exact (David and Nagaraja, Order Statistics, 2003, sections 2.1 and 2.2).

    Args:
        processes: one array of values per block for each process.
        resamples: how many replicates.
        rng: the generator.
    """
    import numpy as np

    counts = np.array([len(p) for p in processes])
    blocks = np.full((len(processes), counts.max()), np.nan)
    for row, values in zip(blocks, processes, strict=True):
        row[: len(values)] = np.sort(values)
    chosen = rng.integers(0, len(processes), (resamples, len(processes)))
    m = counts[chosen]
    lower = (m + 1) // 2
    place = rng.beta(lower, m - lower + 1)
    # The next order statistic is the least of the m − lower numbers that are left above the first.
    left = np.maximum(m - lower, 1)
    above = place + (1 - place) * (1 - rng.random(place.shape) ** (1 / left))
    first = blocks[chosen, np.minimum((place * m).astype(int), m - 1)]
    second = blocks[chosen, np.minimum((above * m).astype(int), m - 1)]
    medians = np.where(m % 2 == 1, first, (first + second) / 2)
    replicates: np.ndarray = np.median(medians, axis=1)
    return replicates


def interval(
    processes: Sequence[np.ndarray], *, seed: int = 0, level: float = FULL.level, resamples: int = FULL.resamples
) -> Interval:
    """Return the median of process medians with its hierarchical bootstrap interval."""
    import numpy as np

    replicates = resampled_medians(processes, resamples, np.random.default_rng(seed))
    return _interval(median_of_medians(processes), replicates, level)


def ratio(
    after: Sequence[np.ndarray],
    before: Sequence[np.ndarray],
    *,
    seed: int = 0,
    level: float = FULL.level,
    resamples: int = FULL.resamples,
) -> Interval:
    """Return after / before, of the medians of process medians, with its hierarchical bootstrap interval."""
    import numpy as np

    rng = np.random.default_rng(seed)
    replicates = resampled_medians(after, resamples, rng) / resampled_medians(before, resamples, rng)
    return _interval(median_of_medians(after) / median_of_medians(before), replicates, level)


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


def turn_medians(values: np.ndarray, turns: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return the median of each turn of a process; NaN for a turn in which others disturbed every block.

    Args:
        values: one for each block, in order of time.
        turns: the number of its turn, for each block.
        lost: which blocks are left out, because others kept them waiting.
    """
    import numpy as np

    starts = np.flatnonzero(np.diff(turns)) + 1
    kept = [part[~out] for part, out in zip(np.split(values, starts), np.split(lost, starts), strict=True)]
    return np.array([np.median(part) if len(part) else np.nan for part in kept])


STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""By number of values, the 97.5 % quantile of Student's distribution with one degree of freedom less."""


def paired_ratio(
    after: Mapping[int, np.ndarray],
    before: Mapping[int, np.ndarray],
    *,
    seed: int = 0,
    resamples: int = FULL.resamples,
) -> Interval | None:
    """Return after / before of processes that took turns, from the median quotient of turns in each round.

    Two turns that follow each other saw the same machine, so what it does to both is not in the quotient; turns that
    only one side had, or in which others left one side no processor, have none.

    The ratio is the median of the means of all pairs of rounds, its interval the one that Wilcoxon's signed-rank test
    leaves (Hodges and Lehmann 1963): exact for any symmetric noise between rounds, and a wild round cannot move it far.
    Of fewer than six rounds even the whole range misses more often than 1 in 20 (2 / 2ⁿ): then it is the median of the
    rounds, and the interval, from a bootstrap of rounds, then turns, at least Student's.

    Args:
        after: by round, the medians of the turns in order; NaN for one that is worth nothing.
        before: the same of the other side.
        seed: of the bootstrap.
        resamples: how many replicates.

    Returns:
        The ratio; None if fewer than two rounds have a quotient: nothing is known about the noise between them.
    """
    import numpy as np

    # As logarithms, so that swapping the sides inverts the interval.
    common = sorted(after.keys() & before.keys())
    rows = [np.log([a / b for a, b in zip(after[r], before[r], strict=False)]) for r in common]
    quotients = [known for row in rows if len(known := row[~np.isnan(row)])]
    if len(quotients) < 2:
        return None
    rounds = np.array([np.median(q) for q in quotients])
    if len(rounds) > max(STUDENT):
        found = _signed_rank_interval(rounds)
    else:
        found = interval(quotients, seed=seed, resamples=resamples)
        reach = STUDENT[len(rounds)] * float(rounds.std(ddof=1)) / math.sqrt(len(rounds))
        mean = float(rounds.mean())
        found = Interval(found.estimate, min(found.low, mean - reach), max(found.high, mean + reach))
    return Interval(*(math.exp(x) for x in (found.estimate, found.low, found.high)))


def _signed_rank_interval(values: np.ndarray, level: float = FULL.level) -> Interval:
    """Return the Hodges-Lehmann estimate of the middle of six values or more, and its exact interval."""
    import numpy as np

    i, j = np.triu_indices(len(values))
    means = np.sort((values[i] + values[j]) / 2)
    # How many of the 2ⁿ ways to give the ranks 1 … n signs have each sum of positive ranks.
    ways = np.ones(1)
    for rank in range(1, len(values) + 1):
        ways = np.convolve(ways, np.eye(rank + 1)[0] + np.eye(rank + 1)[rank])
    left_out = int(np.searchsorted(np.cumsum(ways) / 2.0 ** len(values), (1 - level) / 2, side="right"))
    return Interval(float(np.median(means)), float(means[left_out - 1]), float(means[-left_out]))


def _interval(estimate: float, replicates: np.ndarray, level: float) -> Interval:
    import numpy as np

    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    # A percentile interval of few processes may miss its own estimate by rounding; it must not.
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))


def margin(floor: float, *, effect: float = FULL.effect, factor: float = FULL.floor_factor) -> float:
    """Return how far from 1 a ratio must be to deserve a word: the larger of the effect and twice the noise floor."""
    return max(effect, factor * floor)


def word(ratio: Interval, floor: float = 0.0) -> Word:
    """Say what a ratio of times (after / before) means.

    ``slower`` or ``faster`` only if the whole interval clears the margin; ``same`` if it lies inside; else ``unclear``.
    The margin is taken as a factor, so that swapping the two runs swaps the words.
    """
    factor = 1 + margin(floor)
    if ratio.low > factor:
        return "slower"
    if ratio.high < 1 / factor:
        return "faster"
    if ratio.low >= 1 / factor and ratio.high <= factor:
        return "same"
    return "unclear"


def noise_floor(quotients: Iterable[float]) -> float | None:
    """Return the largest relative difference between the halves of A/A pairs, of their quotients; None without one."""
    return max((max(quotient, 1 / quotient) - 1 for quotient in quotients), default=None)


def relative_spread(values: Sequence[float] | np.ndarray) -> float:
    """Return the interquartile range over the median; 0 for fewer than two values."""
    import numpy as np

    if len(values) < 2:
        return 0.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float((high - low) / middle)

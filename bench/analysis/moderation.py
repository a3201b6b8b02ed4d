"""Borrowed strength: how noisy one comparison is, told by its own rounds and by all the others of the run.

Two rounds say next to nothing about the noise between them, but thirty other cells of the same run do: what differs
between processes is the machine's doing far more than one cell's. The moderated t-statistic holds a comparison's own
variance to be drawn from a distribution that all of them share, a scaled inverse χ² whose place and width are estimated
from all, and takes the posterior mean (Smyth, Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments, 2004, sections 4 and 6.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .intervals import Interval, Ratio, hodges_lehmann

if TYPE_CHECKING:
    import numpy as np

HETEROGENEITY = 1.5
"""Variance of the logarithm of the variances, as one believes it before a run has spoken: in the recorded runs, of 2 to
5 rounds and 32 to 480 pairs, it was 0.9 to 2.3."""

BELIEF = 8
"""How many comparisons that belief counts for. With it the intervals of 4 to 60 comparisons cover alike."""

LEAST = 1e-10
"""Variances below, of logarithms, are the clock's steps: 0.001 % of a time."""


@dataclass(frozen=True)
class Noise:
    """The distribution of the variances of a kind of comparison."""

    variance: float
    """Where it lies: the variance between rounds, of the logarithm of a quotient."""
    degrees: float
    """How many degrees of freedom it lends to each; infinite where all seem to have the same variance."""
    most: float
    """Degrees of freedom of all that it was estimated from: nobody can have more."""

    @classmethod
    def of(cls, groups: Iterable[Sequence[np.ndarray]]) -> Noise | None:
        """Estimate it from comparisons, each the logarithms of its quotients, one for each round.

        Args:
            groups: comparisons by what they share. Those of k + 1 cells with each other, k of which are independent,
                are a group; so is a comparison of two that nobody else has.

        Returns:
            The distribution; None if no comparison has two rounds.
        """
        import numpy as np
        from scipy.special import digamma, polygamma

        logs: list[float] = []
        degrees: list[int] = []
        independent = most = 0.0
        for group in groups:
            known = [c[~np.isnan(c)] for c in group]
            known = [c for c in known if len(c) > 1]
            if not known:
                continue
            logs += [math.log(max(float(c.var(ddof=1)), LEAST)) for c in known]
            degrees += [len(c) - 1 for c in known]
            # k (k + 1) / 2 comparisons of k + 1 cells.
            share = (math.sqrt(8 * len(known) + 1) - 1) / 2
            independent += share
            most += share * float(np.mean([len(c) - 1 for c in known]))
        if not logs:
            return None
        half = np.array(degrees) / 2
        centred = np.array(logs) - digamma(half) + np.log(half)
        # What sampling alone would spread them by, is no difference between them.
        excess = float(np.mean((centred - centred.mean()) ** 2)) * independent - (independent - 1) * float(
            np.mean(polygamma(1, half))
        )
        spread = (excess + BELIEF * HETEROGENEITY) / (independent - 1 + BELIEF)
        lent = 2 * _inverse_trigamma(spread) if spread > 0 else math.inf
        shift = 0.0 if math.isinf(lent) else float(digamma(lent / 2) - math.log(lent / 2))
        return cls(math.exp(float(centred.mean()) + shift), lent, most)

    def moderated(self, variance: float, degrees: float) -> tuple[float, float]:
        """Return the moderated variance of a comparison, and its degrees of freedom.

        Args:
            variance: its own, between its rounds.
            degrees: how many that rests on; 0 for a single round, which knows nothing.
        """
        total = min(self.degrees + degrees, max(self.most, degrees))
        if math.isinf(self.degrees):
            return self.variance, total
        own = degrees * max(variance, LEAST) if degrees else 0.0
        return (self.degrees * self.variance + own) / (self.degrees + degrees), total


@dataclass(frozen=True)
class Estimate:
    """The middle of some logarithms, how much it would vary, and on how many degrees of freedom that rests."""

    middle: float
    variance: float
    """NaN where nothing is known of the noise."""
    degrees: float

    @classmethod
    def of(cls, rounds: np.ndarray, noise: Noise | None) -> Estimate:
        """Take the middle of rounds, of which there may be one.

        It is that of the means of all pairs of rounds (Hodges and Lehmann 1963), which one wild round cannot move far;
        of two rounds it is their mean.

        Args:
            rounds: logarithms, none of them NaN.
            noise: of such rounds; None where nothing is known of it.
        """
        middle, count = hodges_lehmann(rounds), len(rounds)
        if noise is None:
            return cls(middle, math.nan, math.nan)
        variance, degrees = noise.moderated(float(rounds.var(ddof=1)) if count > 1 else 0.0, count - 1)
        return cls(middle, variance / count, degrees)

    def less(self, other: Estimate) -> Estimate:
        """Return the difference to another of which it is independent, by Welch's approximation."""
        total = self.variance + other.variance
        parts = [one.variance**2 / one.degrees for one in (self, other)]
        return Estimate(self.middle - other.middle, total, total**2 / math.fsum(parts))

    def time(self, level: float) -> Interval:
        """Return e to that power, with the interval of a level of confidence such as 0.95."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.degrees, (1 + level) / 2)) * math.sqrt(self.variance)
        return Interval(*(math.exp(x) for x in (self.middle, self.middle - reach, self.middle + reach)))

    def ratio(self, level: float) -> Ratio:
        """Return e to that power as a ratio."""
        from scipy.special import stdtr

        found = self.time(level)
        chance = 2 * float(stdtr(self.degrees, -abs(self.middle) / math.sqrt(self.variance)))
        return Ratio(found.estimate, found.low, found.high, chance)


def _inverse_trigamma(value: float) -> float:
    """Return x where trigamma(x) is the value, by Newton's method as in Smyth's appendix."""
    from scipy.special import polygamma

    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-8 * x:
            break
    return x

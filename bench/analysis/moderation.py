"""Borrowed strength: how noisy one comparison is, told by its own rounds and by all the others of the run.

Two rounds say next to nothing about the noise between them, but thirty other cells of the same run do: how processes
differ is a property of machine, backend and mode far more than of one cell. So each place has a variance that all its
cells tell, and the moderated t-statistic holds a comparison's own, over what its places bring, to be drawn from a
distribution that all share, a scaled inverse χ² whose middle and width are estimated from all, and takes the posterior
mean (Smyth, Linear models and empirical Bayes methods for assessing differential expression in microarray experiments,
2004, sections 4 and 6.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

STEPS = 50
"""Of the fit of the places' own noise, each of which leaves a small part of the error."""

Place = Any
"""Where something is measured, such as a backend with its device and mode: what noise is a property of."""


@dataclass(frozen=True)
class Comparison:
    """What the rounds of a run say of one thing."""

    rounds: np.ndarray
    """Logarithms of a time or a quotient, one for each round; none of them NaN."""
    places: tuple[Place, ...]
    """Where its times were measured: one for a time, two for a quotient."""


@dataclass(frozen=True)
class Noise:
    """The distribution of the variances of a kind of comparison."""

    variance: float
    """Where it lies, over the sum of the variances of the places."""
    degrees: float
    """How many degrees of freedom it lends to each; infinite where all seem to have the same variance."""
    most: float
    """Degrees of freedom of all that it was estimated from: nobody can have more."""
    places: Mapping[Place, float]
    """The variance between rounds that each place brings."""

    @classmethod
    def of(cls, groups: Iterable[Sequence[Comparison]]) -> Noise | None:
        """Estimate it from comparisons.

        Args:
            groups: comparisons by what they share. Those of k + 1 cells with each other, k of which are independent,
                are a group; so is a comparison of two that nobody else has.

        Returns:
            The distribution; None if no comparison has two rounds.
        """
        import numpy as np
        from scipy.special import digamma, polygamma

        known: list[Comparison] = []
        weights: list[float] = []
        independent = most = 0.0
        for group in groups:
            members = [c for c in group if len(c.rounds) > 1]
            if not members:
                continue
            # k (k + 1) / 2 comparisons of k + 1 cells.
            share = (math.sqrt(8 * len(members) + 1) - 1) / 2
            known += members
            weights += [share / len(members)] * len(members)
            independent += share
            most += share * float(np.mean([len(c.rounds) - 1 for c in members]))
        if not known:
            return None
        half = np.array([len(c.rounds) - 1 for c in known]) / 2
        logs = np.log([max(float(c.rounds.var(ddof=1)), LEAST) for c in known]) - digamma(half) + np.log(half)
        weight = np.array(weights)
        places, expected = _places([c.places for c in known], logs, weight)
        centred = logs - expected
        middle = float(np.average(centred, weights=weight))
        # What sampling alone would spread them by, is no difference between them.
        sampling = float(np.average(polygamma(1, half), weights=weight))
        excess = float(np.average((centred - middle) ** 2, weights=weight)) * independent - (independent - 1) * sampling
        spread = (excess + BELIEF * HETEROGENEITY) / (independent - 1 + BELIEF)
        lent = 2 * _inverse_trigamma(spread) if spread > 0 else math.inf
        shift = 0.0 if math.isinf(lent) else float(digamma(lent / 2) - math.log(lent / 2))
        return cls(math.exp(middle + shift), lent, most, places)

    def moderated(self, comparison: Comparison) -> tuple[float, float]:
        """Return the moderated variance of a comparison, which may have one round, and its degrees of freedom."""
        typical = sum(self.places.values()) / len(self.places)
        expected = self.variance * sum(self.places.get(place, typical) for place in comparison.places)
        degrees = len(comparison.rounds) - 1
        total = min(self.degrees + degrees, max(self.most, degrees))
        if math.isinf(self.degrees):
            return expected, total
        own = degrees * max(float(comparison.rounds.var(ddof=1)), LEAST) if degrees else 0.0
        return (self.degrees * expected + own) / (self.degrees + degrees), total


def _places(
    places: Sequence[tuple[Place, ...]], logs: np.ndarray, weight: np.ndarray
) -> tuple[dict[Place, float], np.ndarray]:
    """Share out the variances of comparisons among their places, whose variances add up.

    On the logarithmic scale, on which one wild comparison counts for little; a place of few comparisons stays near to
    what all have in common.

    Returns:
        The variance of each place, and the logarithm of what that makes of each comparison.
    """
    import numpy as np

    names = list(dict.fromkeys(place for one in places for place in one))
    number = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(places), len(names)))
    for i, one in enumerate(places):
        for place in one:
            counts[i, number[place]] += 1
    common = float(np.average(logs, weights=weight)) - math.log(counts.sum(axis=1).mean())
    found = np.full(len(names), common)
    for _ in range(STEPS):
        parts = counts * np.exp(found)
        shares = weight[:, None] * parts / parts.sum(axis=1, keepdims=True)
        missing = shares.T @ (logs - np.log(parts.sum(axis=1)))
        found = found + (missing - (found - common)) / (shares.sum(axis=0) + 1)
    expected = np.log((counts * np.exp(found)).sum(axis=1))
    return dict(zip(names, np.exp(found).tolist(), strict=True)), expected


@dataclass(frozen=True)
class Estimate:
    """The middle of some logarithms, how much it would vary, and on how many degrees of freedom that rests."""

    middle: float
    variance: float
    """NaN where nothing is known of the noise."""
    degrees: float

    @classmethod
    def of(cls, comparison: Comparison, noise: Noise | None) -> Estimate:
        """Take the middle of rounds, of which there may be one.

        It is that of the means of all pairs of rounds (Hodges and Lehmann 1963), which one wild round cannot move far;
        of two rounds it is their mean.

        Args:
            comparison: the rounds.
            noise: of such comparisons; None where nothing is known of it.
        """
        middle = hodges_lehmann(comparison.rounds)
        if noise is None:
            return cls(middle, math.nan, math.nan)
        variance, degrees = noise.moderated(comparison)
        return cls(middle, variance / len(comparison.rounds), degrees)

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

"""How often the interval of a ratio holds the truth, and how often its word is right, by simulation and by resampling.

    python tests/benchmarks/words.py [--quick] [--repetitions 200] [--run FOLDER ...]

A run is 40 cells of 8 problems. Each cell's processes differ by noise of its own size, which varies from cell to cell
as it does in recorded runs, drawn from a normal distribution, from one with heavy tails (Student's with 3 degrees of
freedom), from one in which every tenth process is disturbed five times as much, and from one that leans to the slow
side. Then the rounds of recorded runs are drawn anew: the quotients of two cells less their own middle are what noise
does, with whatever tails it has. The rule that was in force before (Student's interval up to five rounds, that of
Wilcoxon's signed-rank test from six, one comparison by itself) stands beside.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import figures

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS, CELLS = 8, 5
TYPICAL, HETEROGENEOUS = 0.02, 0.5
"""Standard deviation of a cell's noise, and of its logarithm from cell to cell, as in the recorded runs."""

PROTOCOLS = {"quick": 3, "full": 5, "gate": 10}
PLANTED = {"quick": 1.3, "full": 1.1, "gate": 1.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="runs of 20 rounds or more")
    chosen = parser.parse_args()
    repetitions = 20 if chosen.quick else chosen.repetitions
    sys.path[:0] = [str(ROOT)]
    import numpy as np

    rng = np.random.default_rng(0)
    draws: dict[str, Callable[[int], Iterator[np.ndarray]]] = {
        name: lambda rounds, draw=draw: simulated(rng, draw, rounds) for name, draw in TAILS.items()
    }
    for folder in chosen.run:
        noise = recorded(folder)
        draws[f"{folder.parent.name}/{folder.name}"] = lambda rounds, noise=noise: resampled(rng, noise, rounds)
    for name, draw in draws.items():
        for protocol, rounds in PROTOCOLS.items():
            report(name, protocol, [next(draw(rounds)) for _ in range(repetitions)])


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _heavy(rng, shape):
    return rng.standard_t(3, shape) / math.sqrt(3)


def _disturbed(rng, shape):
    return rng.standard_normal(shape) * (1 + 4 * (rng.random(shape) < 0.1)) / math.sqrt(1 + 0.1 * 24)


def _leaning(rng, shape):
    return rng.exponential(size=shape) - 1


TAILS = {"normal": _normal, "heavy tails": _heavy, "disturbed": _disturbed, "leaning": _leaning}


def simulated(rng, draw, rounds):
    """Yield, by problem, the logarithms of the quotients of its pairs in each round. All cells are equally fast."""
    import numpy as np

    while True:
        own = TYPICAL * np.exp(HETEROGENEOUS * rng.standard_normal((PROBLEMS, CELLS, 1)))
        yield [_pairs(cells) for cells in own * draw(rng, (PROBLEMS, CELLS, rounds))]


def recorded(folder):
    """Return, by problem, the logarithms of the quotients of its pairs in each round, less the pair's middle.

    A round that one of the two has not is NaN.
    """
    import numpy as np
    from multigrad.bench import load_run
    from multigrad.bench.analysis.compare import times_of

    times = times_of(load_run(folder))
    rounds = sorted({r for turns in times.turns.values() for r in turns})
    problems: dict[tuple[object, ...], list[object]] = {}
    for cell in times.turns:
        problems.setdefault(times.problem[cell], []).append(cell)
    found = []
    for cells in problems.values():
        pairs = []
        for pair in itertools.combinations(cells, 2):
            common = [r for r in rounds if all(r in times.turns[cell] for cell in pair)]
            row = np.full(len(rounds), np.nan)
            row[[rounds.index(r) for r in common]] = times.quotients(*pair)
            # Of all rounds the middle is the truth.
            pairs.append((tuple(times.place[cell] for cell in pair), row - np.nanmedian(row)))
        found.append(pairs)
    return found


def resampled(rng, noise, rounds):
    """Yield the pairs of runs that had some of the recorded rounds, all pairs the same ones: what they share stays."""
    while True:
        chosen = rng.permutation(len(noise[0][0][1]))[:rounds]
        yield [[(places, row[chosen]) for places, row in pairs] for pairs in noise]


def report(name, protocol, runs) -> None:
    """Print what both rules say of the pairs of runs, as they are and with a planted difference."""
    import numpy as np

    planted = math.log(PLANTED[protocol])
    for rule in (new_rule, old_rule):
        found = [[rule(run, shift) for run in runs] for shift in (0.0, planted)]
        equals, planted_ones = ([one for run in side for one in run] for side in found)
        covered = float(np.mean([low <= 0 <= high for low, high, _ in equals]))
        alarms = float(np.mean([word in ("faster", "slower") for *_, word in equals]))
        power = float(np.mean([word == "slower" for *_, word in planted_ones]))
        text = (
            f"{name}, {protocol}: holds the truth {covered:.1%}; equals called faster or slower "
            f"{alarms:.2%} of {len(equals)}; {PLANTED[protocol] - 1:.0%} found {power:.1%}"
        )
        if rule is old_rule:
            print(f"         the old rule: {text}", flush=True)
            continue
        least = 0.99 if protocol == "quick" else 0.95
        wanted = f"94 to 98 %; at most 1 %; at least {least:.0%}"
        figures.figure("the new rule", text, wanted, 0.94 <= covered <= 0.98 and alarms <= 0.01 and power >= least)


def _known(run):
    import numpy as np

    found = [(places, rounds[~np.isnan(rounds)]) for places, rounds in itertools.chain.from_iterable(run)]
    return [(places, rounds) for places, rounds in found if len(rounds)]


def _pairs(cells):
    return [(("p", "p"), cells[j] - cells[i]) for i, j in itertools.combinations(range(len(cells)), 2)]


def new_rule(run, shift):
    """Return the intervals of all pairs, as logarithms, and their words, by the rule in force."""
    import numpy as np
    from multigrad.bench.analysis.intervals import word
    from multigrad.bench.analysis.moderation import Comparison, Estimate, Noise

    noise = Noise.of([[Comparison(rounds[~np.isnan(rounds)], places) for places, rounds in group] for group in run])
    found = []
    for places, rounds in _known(run):
        ratio = Estimate.of(Comparison(rounds + shift, places), noise).ratio(0.95)
        found.append((math.log(ratio.low), math.log(ratio.high), word(ratio)))
    return found


def old_rule(run, shift):
    """Return the same by the rule before."""
    import numpy as np
    import scipy.stats

    found = []
    edge = math.log(1.05)
    for _, rounds in _known(run):
        count = len(rounds)
        if count < 2:
            continue
        if count > 5:
            i, j = np.triu_indices(count)
            means = np.sort((rounds[i] + rounds[j]) / 2)
            ways = np.ones(1)
            for rank in range(1, count + 1):
                ways = np.convolve(ways, np.eye(rank + 1)[0] + np.eye(rank + 1)[rank])
            left_out = int(np.searchsorted(np.cumsum(ways) / 2.0**count, 0.025, side="right"))
            low, high = means[left_out - 1] + shift, means[-left_out] + shift
        else:
            reach = float(scipy.stats.t.ppf(0.975, count - 1)) * rounds.std(ddof=1) / math.sqrt(count)
            low, high = rounds.mean() - reach + shift, rounds.mean() + reach + shift
        found.append((low, high, "slower" if low > edge else "faster" if high < -edge else "unclear"))
    return found


if __name__ == "__main__":
    main()

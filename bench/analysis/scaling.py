"""How time and memory grow with the size: the exponent, and where the cost of a call ends to hide it.

The model is t = a + b nᵖ: a constant that every call costs, and a power of the size. The size n is the dimension that a
sweep changes; where it changes several, their geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multigrad.data.columns import doc

from ..plan.cells import KEY, parse_size
from ..plan.protocol import FULL
from ..store.folder import SCALING
from ..store.frames import read_rows, to_frame
from ..store.run import Run

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class ScalingRow:
    """One size sweep: one variant of one operation on one backend at all the sizes that a run has."""

    operation: str = doc("Name of the operation.")
    variant: str = doc("`forward`, `analytic`, `autodiff`, `native`, or the name of an implementation.")
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type.")
    threads: int = doc("Threads every library was allowed.")
    precision: str = doc("`strict` or `tf32`.")
    swept: str = doc("The dimensions that change, such as `m k n`.")
    points: int = doc("Sizes that have a time.")
    n_low: float = doc("The smallest size: the geometric mean of the dimensions that change.")
    n_high: float = doc("The largest size.")
    exponent: float | None = doc("p of t = a + b nᵖ, fitted to the medians on a logarithmic scale.")
    exponent_low: float | None = doc("Lower end of its 95 % interval, from a bootstrap of the processes.")
    exponent_high: float | None = doc("Upper end of its 95 % interval.")
    constant_s: float | None = doc("a, in seconds: what a call costs however small its data.")
    factor_s: float | None = doc("b, in seconds: time of the power law at n = 1.")
    overhead_until_n: float | None = doc(
        "The size at which a = b nᵖ: below, the call itself costs more than its work; empty if below the sweep."
    )
    worst_misfit: float | None = doc("Largest ratio of a median to the fit (or of the fit to it), minus 1.")
    memory_exponent: float | None = doc("The same exponent of the peak memory beyond the arguments.")
    memory_low: float | None = doc("Lower end of its 95 % interval, from a bootstrap of the residuals.")
    memory_high: float | None = doc("Upper end of its 95 % interval.")
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")


@dataclass(frozen=True)
class Fit:
    """a + b nᵖ."""

    constant: float
    factor: float
    exponent: float

    def __call__(self, n: np.ndarray) -> np.ndarray:
        """Return the fitted values at some sizes."""
        values: np.ndarray = self.constant + self.factor * n**self.exponent
        return values

    @property
    def crossing(self) -> float:
        """The size at which constant and power are equal; 0 without a constant."""
        return (self.constant / self.factor) ** (1 / self.exponent) if self.constant > 0 else 0.0


EXPONENTS = (0.05, 4.0)
"""Where an exponent is looked for: nothing in a catalogue of arrays grows faster than the fourth power."""


def fit(n: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> Fit:
    """Fit a + b nᵖ with a ≥ 0, b > 0 by least absolute differences of logarithms, which one bad point cannot turn.

    For every exponent on a grid and every share of the smallest value as the constant, the best factor on the
    logarithmic scale is a median: no start is guessed, and no iteration can fail. The grid is refined around its best.

    Args:
        n: sizes, three or more different ones.
        values: positive values, such as seconds.
    """
    import numpy as np

    n, values = np.asarray(n, dtype=float), np.asarray(values, dtype=float)
    centre = math.exp(float(np.log(n).mean()))
    scaled = n / centre  # so that powers neither overflow nor lose digits
    low, high, share_low, share_high = *EXPONENTS, 0.0, 0.995
    best = (math.inf, 0.0, 0.0, 0.0)
    for _ in range(4):
        exponents, shares = np.linspace(low, high, 41), np.linspace(share_low, share_high, 31)
        # One row for each (share, exponent): the constant is a share of the smallest value, the rest is a power.
        rest = np.log(values[None, :] - shares[:, None] * values.min())[:, None, :]
        logs = exponents[None, :, None] * np.log(scaled)[None, None, :]
        factors = np.median(rest - logs, axis=2)
        fitted = np.log(np.exp(factors[..., None] + logs) + (shares * values.min())[:, None, None])
        loss = np.abs(fitted - np.log(values)).sum(axis=2)
        i, j = np.unravel_index(int(loss.argmin()), loss.shape)
        best = min(best, (float(loss[i, j]), float(shares[i]), float(exponents[j]), float(factors[i, j])))
        wide, share_wide = (high - low) / 10, (share_high - share_low) / 6
        low, high = max(EXPONENTS[0], best[2] - wide), min(EXPONENTS[1], best[2] + wide)
        share_low, share_high = max(0.0, best[1] - share_wide), min(0.995, best[1] + share_wide)
    _, share, exponent, factor = best
    return Fit(share * float(values.min()), math.exp(factor) / centre**exponent, exponent)


def scaling(run: Run, *, resamples: int = 200, level: float = FULL.level) -> pd.DataFrame:
    """Return one row for each sweep in a run (three sizes or more), with the columns of :class:`ScalingRow`."""
    timed = run.summary[run.summary["median_s"].notna()]
    samples = run.samples[run.samples["twin"] == 0]
    medians = _process_medians(timed, samples)
    if len(timed):
        timed = timed[[key in medians for key in timed[list(KEY)].itertuples(index=False, name=None)]]
    where = [name for name in KEY if name != "sizes"]
    rows = []
    for group, cells in timed.groupby(where, sort=False):
        swept, sizes = sweep(cells["sizes"].tolist())
        if len(set(sizes)) < 3:
            continue
        known: dict[str, Any] = dict(zip(where, group, strict=True))
        rows.append(ScalingRow(**known, swept=" ".join(swept), **_row(cells, sizes, medians, resamples, level)))
    return to_frame(rows, ScalingRow)


def sweeps(run: Run) -> pd.DataFrame:
    """Return what :func:`scaling` does, from its file where the run was written."""
    path = None if run.folder is None else run.folder / SCALING
    return read_rows(path, ScalingRow) if path is not None and path.exists() else scaling(run)


def sweep(sizes: Sequence[str]) -> tuple[list[str], list[float]]:
    """Return the dimensions that change over some sizes, and the geometric mean of these for each size.

    Args:
        sizes: texts such as ``m=5 k=4``.
    """
    parsed = [parse_size(text) for text in sizes]
    numbers = [k for k in parsed[0] if all(isinstance(p.get(k), int) and 0 < p[k] < 2**53 for p in parsed)]
    changing = [k for k in numbers if len({p[k] for p in parsed}) > 1]
    if not changing:
        return [], [1.0] * len(parsed)
    return changing, [math.prod(p[k] for k in changing) ** (1 / len(changing)) for p in parsed]


Key = tuple[Any, ...]


def _process_medians(timed: pd.DataFrame, samples: pd.DataFrame) -> dict[Key, np.ndarray]:
    """Return, for each cell, the median seconds per call of each of its processes."""
    kinds = {tuple(row[k] for k in KEY): row["headline"] for row in timed.to_dict("records")}
    per_call = samples.assign(per_call=samples["block_s"] / samples["calls"])
    found: dict[Key, np.ndarray] = {}
    for group, rows in per_call.groupby(list(KEY), sort=False):
        mine = rows[rows["kind"] == kinds.get(tuple(group))]
        if len(mine):
            found[tuple(group)] = mine.groupby("round")["per_call"].median().to_numpy()
    return found


def _row(
    cells: pd.DataFrame, sizes: Sequence[float], medians: Mapping[Key, np.ndarray], resamples: int, level: float
) -> dict[str, Any]:
    import numpy as np

    n = np.array(sizes)
    series = [medians[tuple(row[k] for k in KEY)] for row in cells.to_dict("records")]
    times = np.array([np.median(s) for s in series])
    found = fit(n, times)
    rng = np.random.default_rng(0)
    drawn = [fit(n, np.array([np.median(rng.choice(s, len(s))) for s in series])).exponent for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    misfit = np.maximum(times / found(n), found(n) / times).max() - 1
    return {
        "points": len(n),
        "n_low": float(n.min()),
        "n_high": float(n.max()),
        "exponent": found.exponent,
        "exponent_low": min(float(low), found.exponent),
        "exponent_high": max(float(high), found.exponent),
        "constant_s": found.constant,
        "factor_s": found.factor,
        "overhead_until_n": found.crossing if found.crossing > n.min() else None,
        "worst_misfit": float(misfit),
        **_memory(n, cells["peak_bytes"].to_numpy(dtype=float), resamples, level, rng),
    }


def _memory(
    n: np.ndarray, peaks: np.ndarray, resamples: int, level: float, rng: np.random.Generator
) -> dict[str, float | None]:
    import numpy as np

    # Below a few pages the peak is the allocator's, not the operation's.
    there = np.isfinite(peaks) & (peaks > FULL.memory_noise_bytes)
    if len(set(n[there])) < 3:
        return {"memory_exponent": None, "memory_low": None, "memory_high": None}
    n, peaks = n[there], peaks[there]
    found = fit(n, peaks)
    # One process measures the memory of a cell: what is unknown is seen in how far points lie from the fit.
    residuals = np.log(peaks / found(n))
    drawn = [fit(n, found(n) * np.exp(rng.choice(residuals, len(n)))).exponent for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    exponent = found.exponent
    return {
        "memory_exponent": exponent,
        "memory_low": min(float(low), exponent),
        "memory_high": max(float(high), exponent),
    }

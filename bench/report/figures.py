"""What a report shows of a run, as plain rows: the same for the page, for pictures and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from multigrad.data.errors import BadInput
from multigrad.verdict.words import NOTE, PASS

from ..analysis.flags import barring
from ..analysis.intervals import geometric_mean
from ..analysis.problems import Problem, Total, problems, totals
from ..analysis.scaling import ScalingRow, sweep
from ..analysis.times import PROBLEM
from ..plan.cells import KEY, parse_size
from ..plan.protocol import FULL
from ..store.folder import SCALING
from ..store.frames import read_rows
from ..store.rows import place, place_of, text
from ..store.run import Run
from .doubts import said
from .names import place_names
from .plain import visible

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
"""Values that JSON can hold; NaN is None."""


def cleaned(value: Any) -> Any:
    """Return a value of ``run.json`` with every text in it made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(k)): cleaned(v) for k, v in value.items()}
    return [cleaned(v) for v in value] if isinstance(value, list | tuple) else value


def _cleaned_frame(frame: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, column in frame.items():
        if column.dtype == object:
            texts = {text: visible(text) for text in column.unique() if isinstance(text, str)}
            if any(text != shown for text, shown in texts.items()):
                columns[str(name)] = column.map(lambda text, texts=texts: texts.get(text, text)).astype(object)
    return frame.assign(**columns)


def _both(*flags: Any) -> str:
    """Return the flags of two rows, each once."""
    return " ".join(dict.fromkeys(" ".join(map(text, flags)).split()))


def _doubts(flags: Any, barred: Iterable[str]) -> Row:
    return {"noted": said(flags), "barred": " ".join(barred)}


def _question(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what has to be the same for two times to be answers to one question."""
    return tuple(cell.get(name, "") for name in PROBLEM)


def _setting(row: Mapping[Any, Any]) -> str:
    return f"{row['threads']} thread{'' if row['threads'] == 1 else 's'}, {row['precision']}"


def _plain(row: Mapping[Any, Any], names: Iterable[str]) -> Row:
    return {
        name: None if isinstance(row[name], float) and not math.isfinite(row[name]) else row[name] for name in names
    }


CELL = (
    "operation", "variant", "mode", "backend", "device", "dtype", "sizes", "size", "threads", "precision", "median_s",
    "ci_low_s", "ci_high_s", "processes", "first_call_s", "dispatch_s", "flops", "bytes", "gflop_per_s", "roof_percent",
    "bound", "peak_bytes", "flags", "collectives",
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """A run whose texts are harmless, and what there is to show of it."""

    run: Run

    @classmethod
    def of(cls, run: Run | Figures) -> Figures:
        """Take a run; names, reasons and everything else that somebody wrote is made visible."""
        if isinstance(run, Figures):
            return run
        return cls(
            replace(
                run,
                info=cleaned(run.info),
                summary=_cleaned_frame(run.summary),
                samples=_cleaned_frame(run.samples),
                matrix=None if run.matrix is None else _cleaned_frame(run.matrix),
            )
        )

    @property
    def machine(self) -> tuple[str, ...]:
        """The column ``machine`` where a run is of several; of one nothing need be said."""
        return ("machine",) if len(self.run.machines) > 1 else ()

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that make a cell, as far as they tell something."""
        return (*(name for name in KEY if name != "machine"), *self.machine)

    @cached_property
    def cells(self) -> list[Row]:
        """Every cell that has a time: the columns in :data:`CELL`, ``where``, ``setting``, ``n``, its size,
        ``noted``, what is doubtful in words, and ``barred``, the flags that make its time meaningless.
        """
        timed = self.run.summary[self.run.summary["median_s"].notna()]
        names = (*CELL, *self.machine)
        rows = [
            {
                **_plain(r, names),
                "where": place_of(r),
                "setting": _setting(r),
                **_doubts(r["flags"], barring(text(r["flags"]))),
            }
            for r in timed.to_dict("records")
        ]
        for name in dict.fromkeys(row["operation"] for row in rows):
            of_operation = [row for row in rows if row["operation"] == name]
            swept, sizes = _sweep([row["sizes"] for row in of_operation])
            for row, n in zip(of_operation, sizes, strict=True):
                row |= {"n": n, "swept": swept}
        return rows

    @cached_property
    def compared(self) -> list[Row]:
        """The cells of the variants that all compute a gradient, and so may be compared."""
        return [cell for cell in self.cells if cell["variant"] != "forward"]

    @cached_property
    def largest(self) -> list[Row]:
        """Of these, the ones at each operation's largest size that was timed."""
        top: dict[str, float] = {}
        for cell in self.compared:
            top[cell["operation"]] = max(cell["n"], top.get(cell["operation"], 0.0))
        return [cell for cell in self.compared if cell["n"] == top[cell["operation"]]]

    @cached_property
    def problems(self) -> list[Problem]:
        """What the run says of each problem that has a time."""
        return problems(self.run)

    @cached_property
    def totals(self) -> list[Total]:
        """How the places do over all problems together, the fastest first."""
        return totals(self.problems)

    @cached_property
    def names(self) -> dict[str, str]:
        """What a reader calls each place that has a time."""
        return place_names(self.cells)

    @cached_property
    def speed_ups(self) -> list[Row]:
        """How many times as long autodiff takes as the hand-derived gradient, with the interval and the word for it.

        ``word`` is of the hand-derived side: ``faster``, ``slower``, ``same`` or ``unclear``.
        """
        return [
            {
                **{name: gain.ours[name] for name in self.key},
                "where": gain.where,
                "setting": _setting(gain.ours),
                "ratio": gain.ratio.estimate,
                "low": gain.ratio.low,
                "high": gain.ratio.high,
                "word": gain.word,
                **_doubts(_both(gain.ours["flags"], gain.theirs["flags"]), gain.barred),
            }
            for problem in self.problems
            for gain in problem.gains
        ]

    def _beside_autodiff(self) -> Iterator[tuple[Row, Row]]:
        """Yield each hand-derived cell with that of autodiff at the same place."""
        theirs = {tuple(c[name] for name in self.key): c for c in self.cells if c["variant"] == "autodiff"}
        for cell in self.cells:
            if cell["variant"] == "analytic":
                other = theirs.get(tuple(cell[name] if name != "variant" else "autodiff" for name in self.key))
                if other is not None:
                    yield cell, other

    @cached_property
    def memory(self) -> list[Row]:
        """Peak memory of autodiff over that of the hand-derived gradient, both beyond the arguments."""
        rows = []
        for cell, other in self._beside_autodiff():
            ours, theirs = cell["peak_bytes"] or 0, other["peak_bytes"] or 0
            # Below, a peak is pages of the allocator, not arrays.
            if min(ours, theirs) > FULL.memory_noise_bytes:
                ratio = theirs / ours
                identity = {name: cell[name] for name in (*self.key, "where", "setting")}
                facts = {"ratio": ratio, "low": ratio, "high": ratio, "ours_bytes": ours, "theirs_bytes": theirs}
                rows.append({**identity, **facts, "word": "", "barred": ""})
        return rows

    @cached_property
    def break_even(self) -> list[Row]:
        """Of every cell that ran eager and compiled: after how many calls beyond the first compiling has paid.

        ``calls`` is None where compiled calls are not faster: it never pays.
        """
        kept = tuple(name for name in self.key if name != "mode")
        sides: dict[tuple[Any, ...], dict[str, Row]] = {}
        for cell in self.compared:
            sides.setdefault(tuple(cell[name] for name in kept), {})[cell["mode"]] = cell
        rows = []
        for key, modes in sides.items():
            eager, compiled = modes.get("eager"), modes.get("compiled")
            if not eager or not compiled or None in (eager["first_call_s"], compiled["first_call_s"]):
                continue
            price = compiled["first_call_s"] - eager["first_call_s"]
            saved = eager["median_s"] - compiled["median_s"]
            calls = 0 if price <= 0 else math.ceil(price / saved) if saved > 0 else None
            rows.append(
                {
                    **dict(zip(kept, key, strict=True)),
                    "where": place({**eager, "mode": ""}),
                    "eager_first_s": eager["first_call_s"],
                    "compiled_first_s": compiled["first_call_s"],
                    "eager_s": eager["median_s"],
                    "compiled_s": compiled["median_s"],
                    "calls": calls,
                    **_doubts(_both(eager["flags"], compiled["flags"]), barring(eager["flags"], compiled["flags"])),
                }
            )
        return rows

    @cached_property
    def roofs(self) -> list[Row]:
        """The two lines of each roof: GFLOP/s against FLOP per byte, for main memory and for the fastest cache."""
        if not self.machine:
            return self._roofs(self.run.info.get("peaks") or {})
        roofs = {name: self._roofs(entry["peaks"]) for name, entry in self.run.machines.items()}
        return [{**row, "machine": name} for name, rows in roofs.items() for row in rows]

    def _roofs(self, peaks: Mapping[str, Any]) -> list[Row]:
        bands = {(b["device"], b["threads"]): b for b in peaks.get("bandwidth", ())}
        rows = []
        for peak in peaks.get("flop_per_s", ()):
            band = bands.get((peak["device"], peak["threads"]))
            if band is None or not peak["value"]:
                continue
            identity = {name: peak[name] for name in ("device", "dtype")} | {"setting": _setting(peak)}
            by_size = [rate for _, rate in band["by_size"]]
            for name, rate in (("memory", by_size[-1]), ("fastest cache", max(by_size))):
                ridge = peak["value"] / rate
                for intensity in (2.0**-6, ridge, max(2.0**12, 4 * ridge)):
                    height = min(peak["value"], intensity * rate) / 1e9
                    rows.append({**identity, "roof": name, "intensity": intensity, "gflop_per_s": height})
        return rows

    @cached_property
    def under_roofs(self) -> list[Row]:
        """The hand-derived cells that have a place under a roof."""
        return [
            cell
            for cell in self.cells
            if cell["variant"] == "analytic" and cell["flops"] and cell["bytes"] and cell["gflop_per_s"]
        ]

    @cached_property
    def accuracy(self) -> list[Row]:
        """Largest error in ulp on normally distributed inputs beside the time over the best, for each operation.

        Numbers are judged at small sizes, times are of larger ones: they meet by operation, place, variant and dtype.
        """
        matrix = self.run.matrix
        if matrix is None:
            return []
        keys = ("operation", "backend", "device", "mode", "variant", "dtype", *self.machine)
        # What is wrong has no accuracy.
        right = matrix["verdict"].isin([PASS, NOTE])
        drawn = matrix[right & (matrix["regime"] == "gaussian") & matrix["max_ulp"].notna()]
        ulps = drawn.groupby(list(keys), sort=False)["max_ulp"].max().to_dict()
        best: dict[tuple[Any, ...], float] = {}
        for cell in self.compared:
            if not cell["barred"]:
                best[_question(cell)] = min(cell["median_s"], best.get(_question(cell), math.inf))
        times: dict[tuple[Any, ...], list[float]] = {}
        for cell in self.compared:
            if not cell["barred"]:
                ratio = cell["median_s"] / best[_question(cell)]
                times.setdefault(tuple(cell[name] for name in keys), []).append(ratio)
        rows = []
        for key, ratios in times.items():
            if key in ulps and math.isfinite(ulps[key]):
                identity = dict(zip(keys, key, strict=True))
                facts = {"ulp": float(ulps[key]), "times_best": geometric_mean(ratios)}
                rows.append({**identity, **facts, "where": place(identity), "barred": ""})
        return rows

    @cached_property
    def noise(self) -> list[Row]:
        """How blocks of a round lie around the median of their cell: five quantiles for each backend and round."""
        samples = self.run.samples
        if samples.empty:
            return []
        per_call = samples["block_s"] / samples["calls"]
        middle = per_call.groupby([samples[name] for name in (*KEY, "kind")], sort=False).transform("median")
        relative = per_call / middle
        rows = []
        names = ("backend", "device", "round", *self.machine)
        by: list[Any] = [samples[name] for name in names]
        groups: Any = relative.groupby(by, sort=True)
        for group, blocks in groups:
            low, q1, median, q3, high = (float(q) for q in blocks.quantile([0.05, 0.25, 0.5, 0.75, 0.95]))
            identity = {**dict(zip(names, group, strict=True)), "round": int(group[2]), "blocks": len(blocks)}
            rows.append({**identity, "low": low, "q1": q1, "median": median, "q3": q3, "high": high})
        return rows

    @cached_property
    def growth(self) -> pd.DataFrame | None:
        """The exponents of its sweeps, if any: the columns of :class:`multigrad.bench.analysis.scaling.ScalingRow`."""
        folder = self.run.folder
        if folder is None or not (folder / SCALING).exists():
            return None
        return _cleaned_frame(read_rows(folder / SCALING, ScalingRow))


def _sweep(sizes: Sequence[str]) -> tuple[str, list[float]]:
    """Return what changes over sizes and how large each is; of sizes that are no numbers, their number."""
    try:
        swept, n = sweep(sizes)
        if not swept:  # parameters alone, or sizes that share no dimension
            n = [geometric_mean(v for v in parse_size(s).values() if isinstance(v, int) and v > 0) for s in sizes]
    except (BadInput, KeyError, ValueError):
        swept, n = [], [math.nan]
    if any(math.isnan(one) for one in n):
        different = list(dict.fromkeys(sizes))
        return "", [float(different.index(size) + 1) for size in sizes]
    return " ".join(swept), n

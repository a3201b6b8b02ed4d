"""The sections of the HTML page: charts, and tables that a reader may sort and filter."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.flags import BARRING, FLAGS
from ..analysis.intervals import geometric_mean
from ..analysis.problems import Timed
from ..plan.protocol import FULL
from ..store.rows import place
from ..store.run import Run
from .charts import Chart
from .conclusions import problem_title
from .doubts import WORDS
from .figures import Figures, Row
from .quantities import factor, figure, grouped, interval, percent, seconds, size_of, times


@dataclass(frozen=True)
class Value:
    """A cell of a table: what is read, by what it is sorted, and how it is marked."""

    text: str
    sort: float | str | None = None
    mark: str = ""
    """A class of the style sheet."""


Line = Sequence[Value | str]
"""A row of a table."""


@dataclass(frozen=True)
class Table:
    """A table of the page, which a reader may sort and filter."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Line]
    cells: Sequence[int] = ()
    """For each row its cell in :attr:`.figures.Figures.cells`, by which the page chooses rows; empty: it does not."""


@dataclass(frozen=True)
class Section:
    """What stands under one heading; what there is none of is said in :attr:`text`."""

    name: str
    title: str
    text: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    first: Sequence[Table] = ()
    """Tables before the charts."""


def _where(row: Mapping[Any, Any]) -> str:
    """Return the place of a row, and the machine where there are several."""
    return f"{row['where']}, {row['machine']}" if row.get("machine") else str(row["where"])


def sections(figures: Figures, charts: Mapping[str, Chart]) -> list[Section]:
    """Return the sections of the page in their order; ``charts`` are its charts by name."""
    return [
        Section(
            "fastest",
            "What is fastest here?",
            (),
            [charts["time"]],
            [*_growth(figures), *_every_cell(figures)],
            _beside_the_best(figures),
        ),
        Section(
            "speed-up",
            "What does deriving by hand gain?",
            charts=[charts["speed_up_places"], charts["speed_up"]],
            tables=_gains(figures),
        ),
        Section("calls", "First call, steady state, break-even", (), [charts["calls"]], _break_even(figures)),
        Section("memory", "Memory", (), [charts["memory"]], _memory(figures)),
        Section("roofline", "Roofline", (), [charts["roofline"]]),
        Section("accuracy", "Accuracy against time", (), [charts["accuracy"]]),
        Section("noise", "Noise and flags", _noise_text(figures), [charts["noise"]], _flags(figures)),
        Section("environment", "Environment", (), (), _environment(figures.run)),
    ]


def _time(time_s: float | None) -> Value:
    return Value(seconds(time_s), time_s)


def _noted(row: Row) -> Value:
    return Value(row["noted"], mark="barred" if row["barred"] else "")


def _calls_of(row: Row) -> Value:
    count = row["calls"]
    text = "never" if count is None else grouped(count)
    return Value(text, math.inf if count is None else count, "barred" if row["barred"] else "")


RELATIVE = ("far-slower", "slower", "same", "faster", "far-faster")
"""How a relative figure is coloured, from under 0.5 to 2 and more."""


def _shade(ratio: float) -> str:
    """Return the class of a relative figure where more than 1 is good."""
    at = sum(ratio >= limit for limit in (0.5, 0.95, 1.05, 2.0))
    return RELATIVE[at]


def _gains(figures: Figures) -> list[Table]:
    pairs = figures.speed_ups
    if not pairs:
        return []
    places: dict[str, list[Row]] = {}
    for pair in pairs:
        places.setdefault(pair["where"], []).append(pair)
    means: list[Line] = []
    for where, of_place in {**places, "all": pairs}.items():
        sound = [p for p in of_place if not p["barred"]]
        mean = geometric_mean(p["ratio"] for p in sound)
        said = [p["word"] for p in sound]
        counts = [said.count("faster"), said.count("slower"), len(said) - said.count("faster") - said.count("slower")]
        shown = Value("–") if math.isnan(mean) else Value(times(mean), mean, _shade(mean))
        means.append([where, shown, *(Value(str(n), n) for n in (*counts, len(of_place) - len(sound)))])
    rows: list[Line] = [
        [
            p["operation"],
            _where(p),
            p["dtype"],
            p["sizes"],
            Value(times(p["ratio"]), p["ratio"], "barred" if p["barred"] else _shade(p["ratio"])),
            Value(f"{p['low']:.2f} – {p['high']:.2f}", p["low"]),
            p["word"],
            _noted(p),
        ]
        for p in pairs
    ]
    columns = ["operation", "where", "dtype", "size", "gain", "95 % interval", "hand-derived is", "noted"]
    return [
        Table(
            "means",
            "On average (geometric mean of autodiff's time over the hand-derived gradient's)",
            ["where", "gain", "faster", "slower", "tie", "not compared"],
            means,
        ),
        Table("pairs", "Every pair", columns, rows),
    ]


def _beside_the_best(figures: Figures) -> list[Table]:
    """Return the table of problems by places: how many times as long each takes as the fastest."""
    places = list(dict.fromkeys(one.where for problem in figures.problems for one in problem.places))
    if len(places) < 2:
        return []
    rows: list[Line] = []
    for problem in figures.problems:
        by_place = {one.where: one for one in problem.places}
        best = problem.fastest
        time = Value(seconds(best[0].row["median_s"]), best[0].row["median_s"]) if best else Value("–")
        rows.append([problem_title(problem, figures), time, *(_beside(by_place.get(where)) for where in places)])
    columns = ["problem", "best time", *(figures.names[where] for where in places)]
    return [Table("places", "Time over the fastest, which is bold with all that tie", columns, rows)]


def _beside(one: Timed | None) -> Value:
    if one is None:
        return Value("")
    if one.over_best is None:
        return Value(seconds(one.row["median_s"]), None, "barred")
    ratio = one.over_best.estimate
    return Value(factor(ratio), ratio, "best" if one.tied else _shade(1 / ratio))


def _every_cell(figures: Figures) -> list[Table]:
    if not figures.cells:
        return []
    rows: list[Line] = []
    for cell in figures.cells:
        time = interval(cell["median_s"], cell["ci_low_s"] or math.nan, cell["ci_high_s"] or math.nan)
        roof = cell["roof_percent"]
        rows.append(
            [
                cell["operation"],
                _where(cell),
                cell["variant"],
                cell["dtype"],
                cell["sizes"],
                Value(time, cell["median_s"], "barred" if cell["barred"] else ""),
                _time(cell["first_call_s"]),
                Value(size_of(cell["peak_bytes"]), cell["peak_bytes"]),
                Value("–" if roof is None else f"{roof:.0f} %" if roof >= 1 else "< 1 %", roof),
                _noted(cell),
            ]
        )
    columns = [
        "operation",
        "where",
        "variant",
        "dtype",
        "size",
        "time [95 %]",
        "first call",
        "peak memory",
        "roof",
        "noted",
    ]
    if any(cell["collectives"] for cell in figures.cells):
        columns.append("collectives")
        rows = [[*row, cell["collectives"]] for row, cell in zip(rows, figures.cells, strict=True)]
    return [Table("cells", "Every cell that has a time", columns, rows, range(len(rows))), *_untimed(figures.run)]


def _untimed(run: Run) -> list[Table]:
    frame = run.summary[run.summary["median_s"].isna()]
    keys = ["backend", "device", "verdict", "reason"]
    rows: list[Line] = []
    for (backend, device, verdict, reason), cells in frame.groupby(keys, sort=False):
        names = ", ".join(dict.fromkeys(cells["operation"]))
        rows.append([f"{backend}/{device}", str(verdict), str(reason), names, Value(str(len(cells)), len(cells))])
    columns = ["where", "verdict", "reason", "operations", "cells"]
    return [Table("untimed", "Without a time, and why", columns, rows)] if rows else []


def _growth(figures: Figures) -> list[Table]:
    frame = figures.growth
    if frame is None or frame.empty:
        return []
    rows = []
    for row in frame.to_dict("records"):
        low, high = figure(row["exponent_low"]), figure(row["exponent_high"])
        until = row["overhead_until_n"]
        rows.append(
            [
                row["operation"],
                _where({**row, "where": place(row)}),
                row["variant"],
                row["dtype"],
                f"{row['swept']} {row['n_low']:.0f} … {row['n_high']:.0f}",
                Value(f"{figure(row['exponent'])} [{low}, {high}]", row["exponent"]),
                _time(row["constant_s"]),
                Value("" if math.isnan(until) else f"{until:.0f}", None if math.isnan(until) else until),
            ]
        )
    columns = ["operation", "where", "variant", "dtype", "sizes", "exponent p [95 %]", "a call costs", "until n"]
    return [Table("growth", "How time grows: a + b nᵖ", columns, rows)]


def _break_even(figures: Figures) -> list[Table]:
    rows = [
        [
            row["operation"],
            _where(row),
            row["variant"],
            row["dtype"],
            row["sizes"],
            _calls_of(row),
            _time(row["eager_first_s"]),
            _time(row["compiled_first_s"]),
            _time(row["eager_s"]),
            _time(row["compiled_s"]),
            _noted(row),
        ]
        for row in figures.break_even
    ]
    if not rows:
        return []
    columns = ["operation", "backend", "variant", "dtype", "size", "pays after calls", "first, eager",
               "first, compiled", "steady, eager", "steady, compiled", "noted"]  # fmt: skip
    return [Table("break-even", "After how many calls compiling has paid for itself", columns, rows)]


def _memory(figures: Figures) -> list[Table]:
    rows = [
        [
            row["operation"],
            _where(row),
            row["dtype"],
            row["sizes"],
            *(Value(size_of(row[name]), row[name]) for name in ("ours_bytes", "theirs_bytes")),
            Value(times(row["ratio"]), row["ratio"], _shade(row["ratio"])),
        ]
        for row in figures.memory
    ]
    columns = ["operation", "where", "dtype", "size", "hand-derived", "autodiff", "autodiff ÷ hand-derived"]
    return [Table("peaks", "Peak memory beyond the arguments", columns, rows)] if rows else []


WORD_RULE = (
    f"A ratio is called faster or slower only where noise would hardly make it differ from 1 so much, and where it is "
    f"beyond {100 * FULL.effect:.0f} % and what two halves differ by beyond their intervals."
)


def _noise_text(figures: Figures) -> list[str]:
    if figures.machine:
        floors = [f"{name} {percent(entry.get('noise_floor'))}" for name, entry in figures.run.machines.items()]
        return [
            f"The noise floor of each machine: {', '.join(floors)}: so far apart lay the two halves of cells that were "
            f"measured twice. {WORD_RULE}"
        ]
    floor = figures.run.noise_floor
    if floor is None:
        return ["No cell was measured twice in the same rounds, so the noise floor of this run is not known."]
    pairs = figures.run.info.get("pairs") or []
    unsteady = sum(not pair.get("steady", True) for pair in pairs)
    more = f"; {unsteady} of the {len(pairs)} pairs were flagged as unsteady" if unsteady else ""
    return [
        f"The noise floor of this run is {percent(floor)}: so far apart lay the two halves of cells that were "
        f"measured twice{more}. {WORD_RULE}"
    ]


def _flags(figures: Figures) -> list[Table]:
    """Return how many times have each flag."""
    counts = Counter(flag for cell in figures.cells for flag in str(cell["flags"] or "").split())
    rows: list[Line] = [
        [
            flag,
            WORDS.get(flag, flag),
            Value(str(n), n),
            "the time is not compared" if flag in BARRING else "the interval has it",
            FLAGS.get(flag, ""),
        ]
        for flag, n in counts.most_common()
    ]
    columns = ["flag", "in short", "cells", "what it does", "meaning"]
    return [Table("flags", "What is noted about times", columns, rows)] if rows else []


def _environment(run: Run) -> list[Table]:
    """Return everything that ``run.json`` says of the conditions; workers' own words once where they agree."""
    info = run.info
    if len(run.machines) > 1:
        parts = _facts_of("all", {name: info.get(name) for name in ("started", "state", "seed", "turns", "wall_s")})
        for name, entry in run.machines.items():
            parts |= _facts_of(name, entry)
    else:
        parts = _facts_of("", info)
    tables: list[Table] = []
    for title, facts in parts.items():
        rows: list[Line] = [[name, _fact(value)] for name, value in facts.items()] or [["", "not recorded"]]
        tables.append(Table(f"environment-{len(tables)}", title, ["what", "found"], rows))
    return tables


def _facts_of(machine: str, info: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is said of one machine, by title; where there are several, its name stands before each."""
    facts = {
        "Machine": info.get("host") or {},
        "Source and versions": {**(info.get("git") or {}), **(info.get("versions") or {})},
        "Settings": {
            **{
                name: info[name]
                for name in ("started", "state", "seed", "precision", "threads", "turns", "wall_s")
                if name in info
            },
            **(info.get("environment") or {}),
        },
        "What the workers saw": _workers(info.get("workers") or []),
        "Protocol": info.get("protocol") or {},
    }
    return {f"{machine}: {title}": values for title, values in facts.items() if values} if machine else facts


def _workers(workers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    values_of: dict[str, list[Any]] = {}
    for worker in workers:
        facts = worker.get("facts") or {}
        for name in ("device_name", "settings", "thread_pools", "cpus"):
            if facts.get(name):
                label = f"{worker.get('group', '')}: {name}"
                if facts[name] not in values_of.setdefault(label, []):
                    values_of[label].append(facts[name])
    return {label: values[0] if len(values) == 1 else values for label, values in values_of.items()}


def _fact(value: Any) -> str:
    if isinstance(value, str):
        return value or "–"
    return json.dumps(value, ensure_ascii=False) if value not in (None, [], {}) else "–"

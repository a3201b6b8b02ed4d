"""A run as one HTML page: it opens offline, loads nothing, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.matrix.rows import sentence
from multigrad.ops.text import derivative_name
from multigrad.verdict.judge import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
    VERDICTS,
)

from ..analysis.assemble import FLAGS
from ..store.files import Run
from . import charts as drawn
from .figures import (
    Figures,
    Row,
    duration,
    geometric_mean,
    number,
    size_of,
)
from .tables import HALF, SYMBOLS, interval, place, worst

if TYPE_CHECKING:
    import pandas as pd

ANALYTIC = "analytic"
HERE = Path(__file__).parent


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
    """What stands under one heading, in this order; what there is none of is said in :attr:`text`."""

    name: str
    title: str
    text: Sequence[str] = ()
    charts: Sequence[drawn.Chart] = ()
    tables: Sequence[Table] = ()


def html(run: Run | Figures) -> str:
    """Return the whole page.

    Raises:
        BadInput: Altair or vl-convert is not installed.
    """
    import jinja2
    from markupsafe import Markup

    figures = Figures.of(run)
    found = {chart.name: chart for chart in drawn.charts(figures)}
    # Automatic escape: whatever comes from a run is text, and only the three files of ours are markup.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    scripts = [drawn.javascript(), (HERE / "report.js").read_text(encoding="utf-8")]
    page: str = environment.get_template("report.html.jinja").render(
        run=figures.run,
        title=_title(figures.run),
        answer=figures.answer,
        matrix=_matrix(figures.run.matrix),
        compared=bool(figures.compared),
        sections=_sections(figures, found),
        reproduce=_reproduce(figures.run),
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        hashes=[_hash(script) for script in scripts],
        data=_data(figures, found),
    )
    return page


def _hash(script: str) -> str:
    """Return what a page's security policy calls a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _data(figures: Figures, found: Mapping[str, drawn.Chart]) -> dict[str, Any]:
    """Return what the page's script reads: the cells once, and a specification and rows for each chart."""
    numbers = {id(cell): i for i, cell in enumerate(figures.cells)}
    return {
        "cells": figures.cells,
        "charts": {
            name: {
                "specification": chart.specification(),
                "rows": [numbers.get(id(row), row) for row in chart.rows],  # a cell is named by its number
                "chosen_by": chart.chosen_by,
            }
            for name, chart in found.items()
            if chart.rows
        },
    }


def _title(run: Run) -> str:
    host = run.info.get("host") or {}
    name = run.folder.name if run.folder is not None else str(run.info.get("started", ""))
    several = f"{len(run.machines)} machines" if len(run.machines) > 1 else ""
    return f"{several or host.get('cpu', 'unknown machine')} · {name}"


def _where(row: Mapping[Any, Any]) -> str:
    """Return the place of a row, and the machine where there are several."""
    return f"{row['where']}, {row['machine']}" if row.get("machine") else str(row["where"])


# The matrix


@dataclass(frozen=True)
class Detail:
    """A cell of the matrix: its sign, and what is told of it when somebody points at it."""

    sign: str
    verdict: str
    ratio: str
    lines: Sequence[str]


def _matrix(frame: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return what the page shows of the matrix: failures, a grid, notes, what is not here."""
    if frame is None or frame.empty:
        return None
    here = frame[(frame["verdict"] != UNAVAILABLE) & (frame["backend"] != "exact")]
    here = here.assign(where=[place(row) for row in here[["backend", "device", "mode"]].to_dict("records")])
    places = sorted(dict.fromkeys(here["where"]), key=lambda p: (not p.startswith("numpy"), p))
    proofs = {
        str(name): _detail(rows) for name, rows in frame[frame["backend"] == "exact"].groupby("operation", sort=False)
    }
    rows = []
    half = here["dtype"].isin(HALF)
    for low, some in ((False, here[~half]), (True, here[half])):
        for (name, variant), group in some.groupby(["operation", "variant"], sort=False):
            by_place = {str(where): _detail(mine) for where, mine in group.groupby("where", sort=False)}
            formula = proofs.get(str(name)) if variant == ANALYTIC and not low else None
            cells = [formula, *(by_place.get(where) for where in places)]
            states = [cell.verdict for cell in cells if cell is not None]
            label = f"{variant}, half precision" if low else str(variant)
            row = {"operation": str(name), "variant": label, "cells": cells, "verdict": worst(states)}
            rows.append({**row, "low": low, "first": variant != ANALYTIC})
    failed = {row["operation"] for row in rows if row["verdict"] == FAIL}
    names = list(dict.fromkeys(row["operation"] for row in rows))
    # What failed comes first, then the matrix's order; the hand-derived gradient before the others.
    rows.sort(key=lambda r: (r["operation"] not in failed, names.index(r["operation"]), r["low"], r["first"]))
    return {
        "failures": _told(frame, FAIL),
        "places": ["the formula", *places],
        "rows": rows,
        "legend": [(SYMBOLS[v][0], v, VERDICTS[v]) for v in SYMBOLS if v != UNAVAILABLE],
        "worded": [(verdict, told) for verdict in AMISS if (told := _told(frame, verdict))],
        "gaps": _alike(frame[frame["verdict"] == GAP]),
        "absent": _alike(frame[frame["verdict"] == UNAVAILABLE]),
        "compared": int(frame["ratio"].notna().sum()),
    }


AMISS = (INCONCLUSIVE, FINDING, PORTABILITY, NOTE)
"""What does not fail and is said in words, in this order."""


def _told(frame: pd.DataFrame, verdict: str, most: int = 50) -> list[str]:
    """Return a sentence for each place of a verdict, its worst; the rest is counted."""
    keys = ["operation", "output", "backend", "device", "mode", "variant"]
    lines = []
    for _, rows in frame[frame["verdict"] == verdict].groupby(keys, sort=False):
        row = rows.sort_values("ratio", ascending=False, kind="stable").iloc[0].to_dict()
        lines.append(sentence(row) + (f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""))
    return lines[:most] + ([f"… and {len(lines) - most} more in matrix.csv"] if len(lines) > most else [])


def _alike(rows: pd.DataFrame) -> list[str]:
    keys = ["backend", "device", "reason"]
    return [
        f"{backend}/{device}: {reason} ({', '.join(dict.fromkeys(mine['operation']))})"
        for (backend, device, reason), mine in rows.groupby(keys, sort=False)
    ]


def _detail(rows: pd.DataFrame) -> Detail:
    verdict = worst(rows["verdict"])
    ratio = float(rows["ratio"].max())
    lines = []
    for dtype, mine in rows.groupby("dtype", sort=False):
        told = worst(mine["verdict"])
        largest, ulp = float(mine["ratio"].max()), float(mine["max_ulp"].max())
        figures = [told]
        figures += [f"error ÷ bound {number(largest)}"] if not math.isnan(largest) else []
        figures += [f"largest error {number(ulp)} ulp"] if math.isfinite(ulp) else []
        lines.append(f"{dtype}: {', '.join(figures)}")
        telling = mine[mine["verdict"] == told].sort_values("ratio", ascending=False, kind="stable").iloc[0]
        if telling["reason"]:
            what = "" if telling["output"] == "*" else f"{derivative_name(telling['output'])}, {telling['regime']}: "
            lines.append(f"{what}{telling['reason']}")
    return Detail(SYMBOLS[verdict][0], verdict, "" if math.isnan(ratio) else number(ratio), lines)


# The sections


def _sections(figures: Figures, found: Mapping[str, drawn.Chart]) -> list[Section]:
    return [
        Section(
            "speed-up", "Hand-derived over autodiff", (), [found["speed_up_places"], found["speed_up"]], _gains(figures)
        ),
        Section("time", "Time against size", (), [found["time"]], [*_growth(figures), *_every_cell(figures)]),
        Section("calls", "First call, steady state, break-even", (), [found["calls"]], _break_even(figures)),
        Section("memory", "Memory", (), [found["memory"]], _memory(figures)),
        Section("roofline", "Roofline", (), [found["roofline"]]),
        Section("accuracy", "Accuracy against time", (), [found["accuracy"]]),
        Section("noise", "Noise and flags", _noise_text(figures), [found["noise"]], _flags(figures)),
        Section("environment", "Environment", (), (), _environment(figures.run)),
    ]


def _time(seconds: float | None) -> Value:
    return Value(duration(seconds), seconds)


def _flagged(flags: str) -> Value:
    return Value(flags, mark="flagged" if flags else "")


def _calls_of(count: int | None, flags: str) -> Value:
    text = "never" if count is None else f"{count:,}".replace(",", "\u202f")
    return Value(text, math.inf if count is None else count, "flagged" if flags else "")


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
    for where, mine in {**places, "all": pairs}.items():
        steady = [p["ratio"] for p in mine if not p["flags"]]
        mean = geometric_mean(steady)
        shown = Value("–") if math.isnan(mean) else Value(f"{mean:.2f}×", mean, _shade(mean))
        means.append([where, shown, *(Value(str(n), n) for n in (len(steady), len(mine) - len(steady)))])
    rows: list[Line] = [
        [
            p["operation"],
            _where(p),
            p["dtype"],
            p["sizes"],
            Value(f"{p['ratio']:.2f}×", p["ratio"], "flagged" if p["flags"] else _shade(p["ratio"])),
            Value(f"{p['low']:.2f} – {p['high']:.2f}", p["low"]),
            p["word"],
            _flagged(p["flags"]),
        ]
        for p in pairs
    ]
    columns = ["operation", "where", "dtype", "size", "speed-up", "95 % interval", "hand-derived is", "flags"]
    return [
        Table(
            "means",
            "Geometric mean of autodiff's time over the hand-derived gradient's",
            ["where", "speed-up", "pairs", "left out, flagged"],
            means,
        ),
        Table("pairs", "Every pair", columns, rows),
    ]


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
                Value(time, cell["median_s"], "flagged" if cell["flags"] else ""),
                _time(cell["first_call_s"]),
                Value(size_of(cell["peak_bytes"]), cell["peak_bytes"]),
                Value("–" if roof is None else f"{roof:.0f} %" if roof >= 1 else "< 1 %", roof),
                _flagged(cell["flags"]),
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
        "flags",
    ]
    if any(cell["collectives"] for cell in figures.cells):
        columns.append("collectives")
        rows = [[*row, cell["collectives"]] for row, cell in zip(rows, figures.cells, strict=True)]
    return [Table("cells", "Every cell that has a time", columns, rows, range(len(rows))), *_untimed(figures.run)]


def _untimed(run: Run) -> list[Table]:
    frame = run.summary[run.summary["median_s"].isna()]
    keys = ["backend", "device", "verdict", "reason"]
    rows: list[Line] = []
    for (backend, device, verdict, reason), mine in frame.groupby(keys, sort=False):
        names = ", ".join(dict.fromkeys(mine["operation"]))
        rows.append([f"{backend}/{device}", str(verdict), str(reason), names, Value(str(len(mine)), len(mine))])
    columns = ["where", "verdict", "reason", "operations", "cells"]
    return [Table("untimed", "Without a time, and why", columns, rows)] if rows else []


def _growth(figures: Figures) -> list[Table]:
    frame = figures.growth
    if frame is None or frame.empty:
        return []
    rows = []
    for row in frame.to_dict("records"):
        low, high = number(row["exponent_low"]), number(row["exponent_high"])
        until = row["overhead_until_n"]
        rows.append(
            [
                row["operation"],
                _where({**row, "where": place(row)}),
                row["variant"],
                row["dtype"],
                f"{row['swept']} {row['n_low']:.0f} … {row['n_high']:.0f}",
                Value(f"{number(row['exponent'])} [{low}, {high}]", row["exponent"]),
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
            _calls_of(row["calls"], row["flags"]),
            _time(row["eager_first_s"]),
            _time(row["compiled_first_s"]),
            _time(row["eager_s"]),
            _time(row["compiled_s"]),
            _flagged(row["flags"]),
        ]
        for row in figures.break_even
    ]
    if not rows:
        return []
    columns = ["operation", "backend", "variant", "dtype", "size", "pays after calls", "first, eager",
               "first, compiled", "steady, eager", "steady, compiled", "flags"]  # fmt: skip
    return [Table("break-even", "After how many calls compiling has paid for itself", columns, rows)]


def _memory(figures: Figures) -> list[Table]:
    rows = [
        [
            row["operation"],
            _where(row),
            row["dtype"],
            row["sizes"],
            *(Value(size_of(row[name]), row[name]) for name in ("ours_bytes", "theirs_bytes")),
            Value(f"{row['ratio']:.2f}×", row["ratio"], _shade(row["ratio"])),
        ]
        for row in figures.memory
    ]
    columns = ["operation", "where", "dtype", "size", "hand-derived", "autodiff", "autodiff ÷ hand-derived"]
    return [Table("peaks", "Peak memory beyond the arguments", columns, rows)] if rows else []


def _noise_text(figures: Figures) -> list[str]:
    if figures.machine:
        floors = {name: entry.get("noise_floor") for name, entry in figures.run.machines.items()}
        told = [f"{name} {'unknown' if floor is None else f'{100 * floor:.1f} %'}" for name, floor in floors.items()]
        return [
            f"The noise floor of each machine: {', '.join(told)}: so far apart lay the two halves of cells that were "
            "measured twice. A difference has a word only where it clears 5 % and twice that of its machine."
        ]
    floor = figures.run.noise_floor
    if floor is None:
        return ["No cell was measured twice in the same rounds, so the noise floor of this run is not known."]
    pairs = figures.run.info.get("pairs") or []
    unsteady = sum(not pair.get("steady", True) for pair in pairs)
    more = f"; {unsteady} of the {len(pairs)} pairs were flagged as unsteady" if unsteady else ""
    return [
        f"The noise floor of this run is {100 * floor:.1f} %: so far apart lay the two halves of cells that were "
        f"measured twice{more}. A difference has a word only where it clears 5 % and twice that."
    ]


def _flags(figures: Figures) -> list[Table]:
    counts: dict[str, int] = {}
    for cell in figures.cells:
        for flag in str(cell["flags"] or "").split():
            counts[flag] = counts.get(flag, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    rows: list[Line] = [[flag, Value(str(n), n), FLAGS.get(flag, "")] for flag, n in ordered]
    if not rows:
        return []
    return [
        Table(
            "flags",
            "Flags, of all cells that have a time; a flagged cell wins nothing",
            ["flag", "cells", "meaning"],
            rows,
        )
    ]


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
    return {f"{machine}: {title}": said for title, said in facts.items() if said} if machine else facts


def _workers(workers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for worker in workers:
        facts = worker.get("facts") or {}
        for name in ("device_name", "settings", "thread_pools", "cpus"):
            if facts.get(name):
                label = f"{worker.get('group', '')}: {name}"
                if facts[name] not in found.setdefault(label, []):
                    found[label].append(facts[name])
    return {label: values[0] if len(values) == 1 else values for label, values in found.items()}


def _fact(value: Any) -> str:
    if isinstance(value, str):
        return value or "–"
    return json.dumps(value, ensure_ascii=False) if value not in (None, [], {}) else "–"


def _reproduce(run: Run) -> dict[str, str]:
    info = run.info
    git = info.get("git") or {}
    versions = info.get("versions") or {}
    command = info.get("command") or ""
    commit = str(git.get("commit") or "")
    return {
        "command": " ".join(command) if isinstance(command, list) else str(command),
        "checkout": f"git checkout {commit}" if commit else "",
        "changed": "The source had changes that were not committed." if git.get("changed") else "",
        "versions": " ".join(f"{name}=={version}" for name, version in versions.items() if name != "multigrad"),
        "seed": str(info.get("seed", "not recorded")),
    }

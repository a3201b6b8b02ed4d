"""The charts of a report, each made once: embedded in the page, where rows are chosen, and drawn as SVG or PNG."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from multigrad.data.errors import BadInput

from ..store.folder import write_text
from ..store.machine import slug
from .drawing import COLOURS as VARIANT_COLOURS
from .drawing import FONT, FONTS, GREY, VARIANTS
from .figures import Figures, Row

COLOURS = ("#1f83cc", "#d55e00", "#12936c", "#bf5f9a", "#a8780a", "#7d8590")
"""Near Okabe and Ito's blue, vermilion, green, purple and orange, and grey: one for each backend, in contrast with
white as with black."""

EAGER, OTHERS = "circle", ("diamond", "triangle-up", "square", "cross")
"""A backend's modes and devices differ by shape: colour alone says nothing."""

WIDTH = 560
"""Width of a picture's plot, in pixels; on the page it is that of the window."""

ROWS = "rows"
"""Name of the data in every specification."""

EXTRA = 'pip install "multigrad[report]"'


def missing() -> str:
    """Say what ``report.html`` and pictures lack, with the line that installs it; empty if they lack nothing."""
    import importlib.util

    lost = [name for name in ("altair", "vl_convert") if importlib.util.find_spec(name) is None]
    return f"report.html and pictures need {' and '.join(lost)}, not installed; {EXTRA}" if lost else ""


@dataclass(frozen=True)
class Chart:
    """One chart of a run, or why there is none."""

    name: str
    title: str
    description: str
    """What it shows and how to read it, in words: for who cannot see it, and for who sees it for the first time."""
    rows: Sequence[Row]
    make: Callable[[Sequence[Row]], Any]
    """Gives the Altair chart of some rows, which it reads from data named :data:`ROWS`."""
    absent: str
    """What to say where there are no rows."""
    chosen_by: tuple[str, ...] = ()
    """Columns of which one value is shown at a time; the page has a selector for each."""

    def specification(self, rows: Sequence[Row] | None = None, *, validate: bool = False) -> dict[str, Any]:
        """Return the Vega-Lite specification, without the data; what is drawn in an order is ordered by the rows.

        Whether it is one, by the schema, takes longer than to make it: the tests ask, a report does not.
        """
        made: dict[str, Any] = _dressed(self.make(self.rows if rows is None else rows)).to_dict(validate=validate)
        # The address of a schema is the only one there would be in the page.
        return {name: value for name, value in made.items() if name != "$schema"}


# What is drawn


def charts(figures: Figures) -> list[Chart]:
    """Return the charts of a run in the order of the report."""
    look = looks([*figures.cells, *figures.accuracy])
    made = [
        Chart(
            "speed_up_places",
            "Speed-up over autodiff, place by place",
            "Time of the framework's own autodiff divided by that of the hand-derived gradient. A mark is an operation "
            "(the geometric mean over its sizes and dtypes), a bar the geometric mean of them all. Right of the dashed "
            "line at 1 the hand-derived gradient is faster. Flagged pairs are left out.",
            [pair for pair in figures.speed_ups if not pair["flags"]],
            lambda rows: _speed_up_places(rows, look),
            "There is no pair of a hand-derived and an autodiff time that is free of flags.",
        ),
        Chart(
            "speed_up",
            "Speed-up of the hand-derived gradient over autodiff",
            "Time of the framework's own autodiff divided by that of the hand-derived gradient, for each operation and "
            "place: the geometric mean over sizes and dtypes, with a line from the least to the greatest end of their "
            "95 % intervals. Right of the line at 1 the hand-derived gradient is faster. A hollow mark is a flagged "
            "pair, which is in no mean.",
            figures.speed_ups,
            lambda rows: _ratios(rows, look, "autodiff ÷ hand-derived time"),
            "No cell was timed both hand-derived and by autodiff, so there is no speed-up to show: "
            "time both variants on a backend that has autodiff.",
        ),
        Chart(
            "time",
            "Time against size",
            "Median seconds per call against the size, the geometric mean of the dimensions that change, both axes "
            "logarithmic; a vertical line is the 95 % interval. A hollow mark is a flagged cell.",
            figures.compared,
            _times,
            "Nothing was timed in this run.",
            ("operation", "dtype", "setting"),
        ),
        Chart(
            "calls",
            "First call against steady state",
            "Seconds that a number of calls takes in all, the first one included, at the operation's largest timed "
            "size; both axes logarithmic. At one call it is the first call, compiling included; where two lines cross, "
            "the one that starts higher has paid for its start.",
            [cell for cell in figures.largest if cell["first_call_s"]],
            lambda rows: _calls(rows, look),
            "No cell has a time for its first call.",
            ("operation", "variant", "dtype", "setting"),
        ),
        Chart(
            "memory",
            "Peak memory of autodiff over the hand-derived gradient",
            "Peak memory of the framework's own autodiff divided by that of the hand-derived gradient, both beyond the "
            "arguments, for each operation and place: the geometric mean over sizes and dtypes, with a line from least "
            "to greatest. Right of the line at 1 the hand-derived gradient needs less.",
            figures.memory,
            lambda rows: _ratios(rows, look, "autodiff ÷ hand-derived peak memory"),
            "No cell has its peak memory measured for both the hand-derived gradient and autodiff (above "
            "64 KiB, where it is arrays and not pages of the allocator). A quick run leaves memory out; "
            "multigrad run without --quick measures it.",
        ),
        Chart(
            "roofline",
            "Roofline",
            "Rate of the hand-derived gradient against its arithmetic intensity, both axes logarithmic. The line is "
            "the roof that was measured on this machine: the rate of a large matrix product, and to the left of its "
            "bend the bandwidth of main memory (full line) and of the fastest cache (dashed).",
            figures.under_roofs,
            lambda rows: _roofline(rows, look, figures.roofs),
            "No hand-derived cell has both a time and a cost model, so none has a place under a roof.",
            ("dtype", "setting", "device"),
        ),
        Chart(
            "accuracy",
            "Accuracy against time",
            "Largest error in units in the last place (ulp) on normally distributed inputs against time over the best "
            "time, one mark for each operation, place and variant. Left is faster, low is more accurate. Numbers are "
            "judged at small sizes, times are of larger ones.",
            figures.accuracy,
            lambda rows: _accuracy(rows, look),
            "This run has no cell that was both judged in ulp and timed: multigrad run does both.",
            ("dtype",),
        ),
        Chart(
            "noise",
            "Noise from round to round",
            "How the time of a block lies around the median of its cell, for each round of fresh processes: a mark at "
            "the median, a thick line over the middle half, a thin one from the 5th to the 95th percentile.",
            figures.noise,
            lambda rows: _noise(rows, look),
            "This run keeps no samples (samples.csv.gz), so nothing is known about its noise.",
        ),
    ]
    # What has figures of one machine alone, instead of quotients.
    own = ("time", "calls", "roofline", "accuracy", "noise")
    return [replace(c, chosen_by=(*c.chosen_by, *figures.machine)) if c.name in own else c for c in made]


def _alt() -> Any:
    lost = missing()
    if lost:
        raise BadInput(lost)
    import altair

    return altair


def _data() -> Any:
    return _alt().NamedData(ROWS)


Looks = Mapping[str, tuple[str, str]]
"""Colour and shape of each place, the same in every chart of a run."""


def looks(rows: Iterable[Row]) -> Looks:
    """Give each place its look: the backend its colour, its mode and device their shape."""
    found = {row["where"]: row for row in rows}
    places = sorted(found.items(), key=lambda item: (item[1]["backend"] != "numpy", item[0]))
    backends = list(dict.fromkeys(row["backend"] for _, row in places))
    ways = [w for w in dict.fromkeys((r["device"], r["mode"]) for _, r in places) if w != ("cpu", "eager")]

    def shape(way: tuple[str, str]) -> str:
        return OTHERS[ways.index(way) % len(OTHERS)] if way in ways else EAGER

    return {
        where: (COLOURS[backends.index(row["backend"]) % len(COLOURS)], shape((row["device"], row["mode"])))
        for where, row in places
    }


def _by_place(rows: Sequence[Row], look: Looks) -> dict[str, Any]:
    alt = _alt()
    there = {row["where"] for row in rows}
    names = [name for name in look if name in there]
    colours, shapes = ([look[name][i] for name in names] for i in (0, 1))
    return {
        "color": alt.Color("where:N", scale=alt.Scale(domain=names, range=colours), title=None),
        "shape": alt.Shape("where:N", scale=alt.Scale(domain=names, range=shapes), title=None),
    }


def _by_variant(rows: Sequence[Row]) -> dict[str, Any]:
    alt = _alt()
    drawn = [v for v in VARIANTS if any(row["variant"] == v for row in rows)]
    shapes = ("circle", "square", "triangle-up")
    return {
        "color": alt.Color(
            "variant:N",
            scale=alt.Scale(domain=drawn, range=[VARIANT_COLOURS[VARIANTS.index(v)] for v in drawn]),
            title=None,
        ),
        "shape": alt.Shape(
            "variant:N", scale=alt.Scale(domain=drawn, range=[shapes[VARIANTS.index(v)] for v in drawn]), title=None
        ),
    }


_LEADING = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-6)))"
_ROUND = f"indexof([1, 2, 5], {_LEADING}) < 0 ? '' : "
"""Of a logarithmic scale's marks, only those at 1, 2 and 5 have a label."""
_SECONDS, _NUMBER = (f"{_ROUND}format(datum.value, '.3~s'){unit}" for unit in (" + 's'", ""))


def _log(field: str, title: str | None, **axis: Any) -> Any:
    alt = _alt()
    faint = alt.condition(f"{_LEADING} == 1", alt.value(0.45), alt.value(0.18))
    return {
        "field": field,
        "type": "quantitative",
        "scale": alt.Scale(type="log", nice=False, padding=14),
        "axis": alt.Axis(title=title, tickCount=5, labelOverlap="greedy", gridOpacity=faint, **axis),
    }


def _ratios(rows: Sequence[Row], look: Looks, title: str) -> Any:
    """A row for each operation, best gain first; a mark for each place, all on a logarithmic scale around 1."""
    alt = _alt()
    steady = [r for r in rows if not r["flags"]] or rows
    gains: dict[str, list[float]] = {}
    for row in steady:
        gains.setdefault(row["operation"], []).append(row["ratio"])
    order = sorted(gains, key=lambda name: -sorted(gains[name])[len(gains[name]) // 2])
    order += sorted({row["operation"] for row in rows} - set(order))
    tells = _by_place(rows, look)
    axis = _log("ratio", title, format="~r")
    base = alt.Chart(_data()).encode(
        y=alt.Y("operation:N", sort=order, title=None), yOffset=alt.YOffset("where:N"), color=tells["color"]
    )
    groups = ["operation", "where", "backend", "device", "mode"]
    means = (
        base.transform_filter("!datum.flags")
        .transform_calculate(log_ratio="log(datum.ratio)")
        .transform_aggregate(
            log_mean="mean(log_ratio)", least="min(low)", most="max(high)", pairs="count()", groupby=groups
        )
        .transform_calculate(ratio="exp(datum.log_mean)")
    )
    spans = means.mark_rule(strokeWidth=1.5).encode(x=alt.X(**{**axis, "field": "least"}), x2="most:Q")
    shown = [
        alt.Tooltip("operation:N"),
        alt.Tooltip("where:N"),
        alt.Tooltip("ratio:Q", format=".2f", title="geometric mean"),
        alt.Tooltip("least:Q", format=".2f"),
        alt.Tooltip("most:Q", format=".2f"),
        alt.Tooltip("pairs:Q"),
    ]
    marks = means.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X(**axis), shape=tells["shape"], tooltip=shown
    )
    told = [*shown[:2], alt.Tooltip("ratio:Q", format=".2f"), alt.Tooltip("dtype:N"), alt.Tooltip("sizes:N")]
    doubtful = (
        base.transform_filter("datum.flags")
        .mark_point(filled=False, size=45, opacity=0.7, strokeWidth=1.5)
        .encode(x=alt.X(**axis), shape=tells["shape"], tooltip=[*told, alt.Tooltip("flags:N")])
    )
    one = (
        alt.Chart(alt.InlineData([{"one": 1}]))
        .mark_rule(strokeDash=[4, 3], color=GREY)
        .encode(x=alt.X(**{**axis, "field": "one"}))
    )
    return alt.layer(one, spans, marks, doubtful).properties(width=WIDTH, height=alt.Step(9))


def _speed_up_places(rows: Sequence[Row], look: Looks) -> Any:
    """A row for each place, a mark for each operation, and their mean."""
    alt = _alt()
    tells = _by_place(rows, look)
    axis = _log("ratio", "autodiff ÷ hand-derived time", format="~r")
    base = alt.Chart(_data()).transform_calculate(log_ratio="log(datum.ratio)")
    base = base.encode(y=alt.Y("where:N", title=None), color=alt.Color(**_unlabelled(tells["color"])))
    told = [alt.Tooltip("where:N"), alt.Tooltip("ratio:Q", format=".2f", title="geometric mean")]

    def means(*groups: str) -> Any:
        groups = ("where", "backend", "device", "mode", *groups)
        mean = base.transform_aggregate(log_mean="mean(log_ratio)", pairs="count()", groupby=list(groups))
        return mean.transform_calculate(ratio="exp(datum.log_mean)")

    points = means("operation").mark_point(filled=True, size=45, opacity=0.75)
    marks = points.encode(x=alt.X(**axis), tooltip=[alt.Tooltip("operation:N"), *told, alt.Tooltip("pairs:Q")])
    bars = means().mark_tick(thickness=3, size=22, opacity=1).encode(x=alt.X(**axis), tooltip=told)
    rule = alt.Chart(alt.InlineData([{"one": 1}])).mark_rule(strokeDash=[4, 3], color=GREY)
    one = rule.encode(x=alt.X(**{**axis, "field": "one"}))
    return alt.layer(one, marks, bars).properties(width=WIDTH, height=alt.Step(28))


def _unlabelled(channel: Any) -> dict[str, Any]:
    """Return a channel without its legend, where the axis has the names."""
    return {**channel.to_dict(), "legend": None}


def _times(rows: Sequence[Row]) -> Any:
    """A panel for each place, a line for each variant."""
    alt = _alt()
    y = _log("median_s", None, labelExpr=_SECONDS)
    base = alt.Chart().encode(x=alt.X(**_log("n", "size", labelExpr=_NUMBER)), color=_by_variant(rows)["color"])
    lines = base.mark_line(strokeWidth=1.5).encode(y=alt.Y(**y)).transform_filter("!datum.flags")
    spans = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y(**{**y, "field": "ci_low_s"}), y2="ci_high_s:Q")
    told = [
        *(alt.Tooltip(f"{name}:N") for name in ("where", "variant", "sizes")),
        *(alt.Tooltip(f"{name}:Q", format=".3~s") for name in ("median_s", "ci_low_s", "ci_high_s")),
        alt.Tooltip("flags:N"),
    ]
    points = base.encode(y=alt.Y(**y), shape=_by_variant(rows)["shape"], tooltip=told)
    steady = points.mark_point(filled=True, size=45, opacity=1).transform_filter("!datum.flags")
    doubtful = points.mark_point(filled=False, size=45, strokeWidth=1.5).transform_filter("datum.flags")
    return (
        alt.layer(lines, spans, steady, doubtful, data=_data())
        .properties(width=WIDTH // 2 - 40, height=180)
        .facet(alt.Facet("where:N", title=None), columns=2, spacing={"row": 18, "column": 18})
    )


def _calls(rows: Sequence[Row], look: Looks) -> Any:
    """What n calls take in all: the first, and n − 1 at the steady pace."""
    alt = _alt()
    base = (
        alt.Chart(_data())
        .transform_calculate(power="sequence(0, 6.01, 0.25)")
        .transform_flatten(["power"])
        .transform_calculate(calls="pow(10, datum.power)")
        .transform_calculate(total_s="datum.first_call_s + (datum.calls - 1) * datum.median_s")
    )
    tells = _by_place(rows, look)
    told = [
        alt.Tooltip("where:N"),
        alt.Tooltip("first_call_s:Q", format=".3~s"),
        alt.Tooltip("median_s:Q", format=".3~s"),
        alt.Tooltip("flags:N"),
    ]
    x, y = alt.X(**_log("calls", "calls", labelExpr=_NUMBER)), alt.Y(**_log("total_s", None, labelExpr=_SECONDS))
    lines = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=tells["color"])
    every = base.transform_filter("datum.power % 1 == 0").encode(x=x, y=y, tooltip=told, **tells)
    steady = every.mark_point(filled=True, size=50, opacity=1).transform_filter("!datum.flags")
    doubtful = every.mark_point(filled=False, size=50, strokeWidth=1.5).transform_filter("datum.flags")
    return alt.layer(lines, steady, doubtful).properties(width=WIDTH, height=280)


def _roofline(rows: Sequence[Row], look: Looks, roofs: Sequence[Row]) -> Any:
    alt = _alt()
    x = _log("intensity", "FLOP per byte", format="~r")
    y = _log("gflop_per_s", "GFLOP/s", format="~r")
    told = [
        *(alt.Tooltip(f"{name}:N") for name in ("operation", "where", "sizes")),
        alt.Tooltip("gflop_per_s:Q", format=".3~r", title="GFLOP/s"),
        alt.Tooltip("roof_percent:Q", format=".0f", title="% of roof"),
        alt.Tooltip("flags:N"),
    ]
    cells = alt.Chart(_data()).transform_calculate(intensity="datum.flops / datum.bytes")
    points = cells.encode(x=alt.X(**x), y=alt.Y(**y), tooltip=told, **_by_place(rows, look))
    steady = points.mark_point(filled=True, size=50, opacity=0.85).transform_filter("!datum.flags")
    doubtful = points.mark_point(filled=False, size=50, strokeWidth=1.5).transform_filter("datum.flags")
    roof = alt.Chart(alt.InlineData(list(roofs)))
    if any("machine" in row for row in roofs):  # those of the machines that are shown
        shown = alt.LookupData(_data(), key="machine", fields=["operation"])
        roof = roof.transform_lookup("machine", from_=shown).transform_filter("isValid(datum.operation)")
    lines = roof.mark_line(color=GREY, strokeWidth=2).encode(
        x=alt.X(**x),
        y=alt.Y(**y),
        detail=["roof:N", "device:N", "setting:N", "dtype:N"],
        strokeDash=alt.condition("datum.roof == 'memory'", alt.value([1, 0]), alt.value([5, 4])),
    )
    return alt.layer(*([lines] if roofs else []), steady, doubtful).properties(width=WIDTH, height=320)


def _accuracy(rows: Sequence[Row], look: Looks) -> Any:
    alt = _alt()
    told = [
        *(alt.Tooltip(f"{name}:N") for name in ("operation", "where", "variant")),
        alt.Tooltip("ulp:Q", format=".3~r"),
        alt.Tooltip("times_best:Q", format=".2f", title="time ÷ best"),
        alt.Tooltip("flags:N"),
    ]
    # An error of 0 ulp has its place, which a logarithmic scale would not give it.
    scale = alt.Scale(type="symlog", constant=0.5, nice=False, domainMin=0, padding=14)
    y = alt.Y("ulp:Q", scale=scale, axis=alt.Axis(title="largest error, ulp", tickCount=6, format="~s"))
    x = alt.X(**_log("times_best", "time ÷ best time", format="~r"))
    points = alt.Chart(_data()).encode(x=x, y=y, tooltip=told, **_by_place(rows, look))
    steady = points.mark_point(filled=True, size=50, opacity=0.8).transform_filter("!datum.flags")
    doubtful = points.mark_point(filled=False, size=50, strokeWidth=1.5).transform_filter("datum.flags")
    return alt.layer(steady, doubtful).properties(width=WIDTH, height=280)


def _noise(rows: Sequence[Row], look: Looks) -> Any:
    alt = _alt()
    by_backend = {where.partition(" ")[0].partition("/")[0]: colour for where, (colour, _) in look.items()}
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    colours = [by_backend.get(backend, GREY) for backend in backends]
    axis = alt.Axis(title="block time ÷ median of its cell", format=".2~f", tickCount=6)
    told = [
        *(alt.Tooltip(f"{name}:N") for name in ("backend", "device", "round")),
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("low", "q1", "median", "q3", "high")),
        alt.Tooltip("blocks:Q"),
    ]
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(_data()).encode(
        x=alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("backend:N"),
        color=alt.Color("backend:N", scale=alt.Scale(domain=backends, range=colours), title=None),
        tooltip=told,
    )
    thin = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q")
    thick = base.mark_rule(strokeWidth=6).encode(y=alt.Y("q1:Q", scale=scale, axis=axis), y2="q3:Q")
    middle = base.mark_tick(thickness=2, size=12).encode(y=alt.Y("median:Q", scale=scale, axis=axis))
    return alt.layer(thin, thick, middle).properties(width=WIDTH, height=220)


def _dressed(chart: Any) -> Any:
    """Give a chart the report's letters and lines; on the page a style sheet has the last word about their colours."""
    return (
        chart.configure(background="transparent", font=FONT, aria=False)
        .configure_view(stroke=GREY, strokeOpacity=0.4)
        .configure_axis(
            labelColor=GREY,
            titleColor=GREY,
            tickColor=GREY,
            domainColor=GREY,
            gridColor=GREY,
            gridOpacity=0.25,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelLimit=240,
        )
        .configure_header(
            labelColor=GREY, labelFontWeight="bold", labelAnchor="start", labelFontSize=12, labelLimit=260
        )
        .configure_legend(labelColor=GREY, orient="top", labelFontSize=12, labelLimit=240, columns=3)
    )


# Pictures


@dataclass(frozen=True)
class Picture:
    """A chart with its data, for a file."""

    name: str
    """Of the file, without what it ends in."""
    specification: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """A hash of data and specification, by which a file is told fresh without being drawn again."""
        return hashlib.sha256(json.dumps(self.specification, sort_keys=True).encode()).hexdigest()

    def svg(self) -> str:
        """Return it as SVG, readable on a light and on a dark page; the first line has the digest."""
        return f"<!-- multigrad report: {self.digest} -->\n{_drawn(self.specification)}\n"

    def png(self) -> bytes:
        """Return it as PNG, on white, at twice the size."""
        import vl_convert

        drawn: bytes = vl_convert.svg_to_png(_drawn({**self.specification, "background": "white"}), scale=2)
        return drawn


def _drawn(specification: Mapping[str, Any]) -> str:
    """Return an SVG whose letters have fonts to fall back to; without, a PNG would have none of them."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(dict(specification))
    return drawn.replace(f'font-family="{FONT}"', f'font-family="{FONTS}"')


def pictures(figures: Figures, wanted: Collection[str] = ()) -> Iterator[Picture]:
    """Yield every chart that a run has, or those of the wanted names; what shows a value at a time, once for each.

    Raises:
        BadInput: no chart has such a name, or Altair or vl-convert is not installed.
    """
    names: dict[str, int] = {}
    known = {slug(chart.name): chart for chart in charts(figures)}
    for name in wanted:
        if name not in known:
            raise BadInput(f"no chart named {name!r}; there are {', '.join(known)}")
    for chart in [known[name] for name in wanted] or known.values():
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in chart.rows:
            groups.setdefault(tuple(str(row[name]) for name in chart.chosen_by), []).append(row)
        for chosen, rows in groups.items():
            # A value that is the only one needs no place in a name.
            told = [v for i, v in enumerate(chosen) if len({key[i] for key in groups}) > 1]
            name = "-".join(slug(part) for part in (chart.name, *told))
            names[name] = names.get(name, 0) + 1
            made = chart.specification(rows)
            datasets = {**made.get("datasets", {}), ROWS: rows}
            # Names that differ only in what no file name has are numbered.
            yield Picture(f"{name}-{names[name]}" if names[name] > 1 else name, {**made, "datasets": datasets})


def write_pictures(figures: Figures, folder: Path, suffix: str, wanted: Collection[str] = ()) -> list[Path]:
    """Write every chart of a run, or those wanted, into a folder, as ``svg`` or ``png``, and return the files.

    Raises:
        BadInput: the folder cannot be written, or Altair or vl-convert is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder") from error
    written = []
    for picture in pictures(figures, wanted):
        path = folder / f"{picture.name}.{suffix}"
        if suffix == "svg":
            write_text(path, picture.svg())
        else:
            path.write_bytes(picture.png())
        written.append(path)
    return written


@cache
def bundling() -> subprocess.Popen[str]:
    """Begin to bundle the page's script, in a process of its own: it takes as long as all the rest of a report."""
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"
    # -P: a file in the working directory is not imported for a package.
    return subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True, encoding="utf-8")


@cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script for a page, which loads nothing."""
    process = bundling()
    bundle, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("vl-convert did not bundle Vega; its message stands above")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")

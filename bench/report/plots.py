"""The Altair charts of rows: marks, axes, colours and shapes of each picture in a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from multigrad.data.errors import BadInput

from .drawing import FONT, GREY, known_first, scales
from .figures import Row
from .vega import missing

COLOURS = ("#1f83cc", "#d55e00", "#12936c", "#bf5f9a", "#a8780a", "#7d8590")
"""Near Okabe and Ito's blue, vermilion, green, purple and orange, and grey: one for each backend, in contrast with
white as with black."""

EAGER, OTHERS = "circle", ("diamond", "triangle-up", "square", "cross")
"""A backend's modes and devices differ by shape: colour alone says nothing."""

WIDTH = 560
"""Width of a picture's plot, in pixels; on the page it is that of the window."""

ROWS = "rows"
"""Name of the data in every specification."""


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
    by_place = {row["where"]: row for row in rows}
    places = sorted(by_place.items(), key=lambda item: (item[1]["backend"] != "numpy", item[0]))
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
    colours, shapes = scales(known_first(row["variant"] for row in rows))
    return {
        "color": alt.Color("variant:N", scale=colours, title=None),
        "shape": alt.Shape("variant:N", scale=shapes, title=None),
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


def _tooltips(names: Sequence[str], figures: Mapping[str, str], *more: Any) -> list[Any]:
    """Return what is said of a mark: texts, then figures by their formats, then ``more``."""
    alt = _alt()
    texts = [alt.Tooltip(f"{name}:N") for name in names]
    return [*texts, *(alt.Tooltip(f"{name}:Q", format=form) for name, form in figures.items()), *more]


def _steady_and_doubtful(points: Any, size: int, opacity: float) -> tuple[Any, Any]:
    """Return full marks for times, and hollow ones for those that cannot be trusted."""
    steady = points.mark_point(filled=True, size=size, opacity=opacity).transform_filter("!datum.barred")
    return steady, points.mark_point(filled=False, size=size, strokeWidth=1.5).transform_filter("datum.barred")


def _line_at_one(axis: Mapping[str, Any]) -> Any:
    alt = _alt()
    rule = alt.Chart(alt.InlineData([{"one": 1}])).mark_rule(strokeDash=[4, 3], color=GREY)
    return rule.encode(x=alt.X(**{**axis, "field": "one"}))


def ratios(rows: Sequence[Row], look: Looks, title: str) -> Any:
    """A row for each operation, best gain first; a mark for each place, all on a logarithmic scale around 1."""
    alt = _alt()
    steady = [r for r in rows if not r["barred"]] or rows
    gains: dict[str, list[float]] = {}
    for row in steady:
        gains.setdefault(row["operation"], []).append(row["ratio"])
    order = sorted(gains, key=lambda name: -sorted(gains[name])[len(gains[name]) // 2])
    order += sorted({row["operation"] for row in rows} - set(order))
    channels = _by_place(rows, look)
    axis = _log("ratio", title, format="~r")
    base = alt.Chart(_data()).encode(
        y=alt.Y("operation:N", sort=order, title=None), yOffset=alt.YOffset("where:N"), color=channels["color"]
    )
    groups = ["operation", "where", "backend", "device", "mode"]
    means = (
        base.transform_filter("!datum.barred")
        .transform_calculate(log_ratio="log(datum.ratio)")
        .transform_aggregate(
            log_mean="mean(log_ratio)", least="min(low)", most="max(high)", pairs="count()", groupby=groups
        )
        .transform_calculate(ratio="exp(datum.log_mean)")
    )
    spans = means.mark_rule(strokeWidth=1.5).encode(x=alt.X(**{**axis, "field": "least"}), x2="most:Q")
    names = ("operation", "where")
    mean = alt.Tooltip("ratio:Q", format=".2f", title="geometric mean")
    of_mean = [*_tooltips(names, {}), mean, *_tooltips((), {"least": ".2f", "most": ".2f"}, alt.Tooltip("pairs:Q"))]
    marks = means.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X(**axis), shape=channels["shape"], tooltip=of_mean
    )
    of_pair = [*_tooltips(names, {"ratio": ".2f"}), *_tooltips(("dtype", "sizes", "noted"), {})]
    doubtful = (
        base.transform_filter("datum.barred")
        .mark_point(filled=False, size=45, opacity=0.7, strokeWidth=1.5)
        .encode(x=alt.X(**axis), shape=channels["shape"], tooltip=of_pair)
    )
    return alt.layer(_line_at_one(axis), spans, marks, doubtful).properties(width=WIDTH, height=alt.Step(9))


def speed_up_places(rows: Sequence[Row], look: Looks) -> Any:
    """A row for each place, a mark for each operation, and their mean."""
    alt = _alt()
    channels = _by_place(rows, look)
    axis = _log("ratio", "autodiff ÷ hand-derived time", format="~r")
    base = alt.Chart(_data()).transform_calculate(log_ratio="log(datum.ratio)")
    base = base.encode(y=alt.Y("where:N", title=None), color=alt.Color(**_unlabelled(channels["color"])))
    tooltip = [alt.Tooltip("where:N"), alt.Tooltip("ratio:Q", format=".2f", title="geometric mean")]

    def means(*groups: str) -> Any:
        groups = ("where", "backend", "device", "mode", *groups)
        mean = base.transform_aggregate(log_mean="mean(log_ratio)", pairs="count()", groupby=list(groups))
        return mean.transform_calculate(ratio="exp(datum.log_mean)")

    points = means("operation").mark_point(filled=True, size=45, opacity=0.75)
    marks = points.encode(x=alt.X(**axis), tooltip=[alt.Tooltip("operation:N"), *tooltip, alt.Tooltip("pairs:Q")])
    bars = means().mark_tick(thickness=3, size=22, opacity=1).encode(x=alt.X(**axis), tooltip=tooltip)
    return alt.layer(_line_at_one(axis), marks, bars).properties(width=WIDTH, height=alt.Step(28))


def _unlabelled(channel: Any) -> dict[str, Any]:
    """Return a channel without its legend, where the axis has the names."""
    return {**channel.to_dict(), "legend": None}


def times(rows: Sequence[Row]) -> Any:
    """A panel for each place, a line for each variant."""
    alt = _alt()
    y = _log("median_s", None, labelExpr=_SECONDS)
    base = alt.Chart().encode(x=alt.X(**_log("n", "size", labelExpr=_NUMBER)), color=_by_variant(rows)["color"])
    lines = base.mark_line(strokeWidth=1.5).encode(y=alt.Y(**y)).transform_filter("!datum.barred")
    spans = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y(**{**y, "field": "ci_low_s"}), y2="ci_high_s:Q")
    seconds = dict.fromkeys(("median_s", "ci_low_s", "ci_high_s"), ".3~s")
    tooltip = _tooltips(("where", "variant", "sizes"), seconds, alt.Tooltip("noted:N"))
    points = base.encode(y=alt.Y(**y), shape=_by_variant(rows)["shape"], tooltip=tooltip)
    return (
        alt.layer(lines, spans, *_steady_and_doubtful(points, 45, 1), data=_data())
        .properties(width=WIDTH // 2 - 40, height=180)
        .facet(alt.Facet("where:N", title=None), columns=2, spacing={"row": 18, "column": 18})
    )


def calls(rows: Sequence[Row], look: Looks) -> Any:
    """What n calls take in all: the first, and n − 1 at the steady pace."""
    alt = _alt()
    base = (
        alt.Chart(_data())
        .transform_calculate(power="sequence(0, 6.01, 0.25)")
        .transform_flatten(["power"])
        .transform_calculate(calls="pow(10, datum.power)")
        .transform_calculate(total_s="datum.first_call_s + (datum.calls - 1) * datum.median_s")
    )
    channels = _by_place(rows, look)
    seconds = {"first_call_s": ".3~s", "median_s": ".3~s"}
    tooltip = _tooltips(("where",), seconds, alt.Tooltip("noted:N"))
    x, y = alt.X(**_log("calls", "calls", labelExpr=_NUMBER)), alt.Y(**_log("total_s", None, labelExpr=_SECONDS))
    lines = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=channels["color"])
    every = base.transform_filter("datum.power % 1 == 0").encode(x=x, y=y, tooltip=tooltip, **channels)
    return alt.layer(lines, *_steady_and_doubtful(every, 50, 1)).properties(width=WIDTH, height=280)


def roofline(rows: Sequence[Row], look: Looks, roofs: Sequence[Row]) -> Any:
    """A mark for each cell under the lines of the roofs."""
    alt = _alt()
    x = _log("intensity", "FLOP per byte", format="~r")
    y = _log("gflop_per_s", "GFLOP/s", format="~r")
    rate = alt.Tooltip("gflop_per_s:Q", format=".3~r", title="GFLOP/s")
    roof_percent = alt.Tooltip("roof_percent:Q", format=".0f", title="% of roof")
    tooltip = _tooltips(("operation", "where", "sizes"), {}, rate, roof_percent, alt.Tooltip("noted:N"))
    cells = alt.Chart(_data()).transform_calculate(intensity="datum.flops / datum.bytes")
    points = cells.encode(x=alt.X(**x), y=alt.Y(**y), tooltip=tooltip, **_by_place(rows, look))
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
    return alt.layer(*([lines] if roofs else []), *_steady_and_doubtful(points, 50, 0.85)).properties(
        width=WIDTH, height=320
    )


def accuracy(rows: Sequence[Row], look: Looks) -> Any:
    """A mark for each operation, place and variant: its error against its time."""
    alt = _alt()
    times_best = alt.Tooltip("times_best:Q", format=".2f", title="time ÷ best")
    tooltip = _tooltips(("operation", "where", "variant"), {"ulp": ".3~r"}, times_best)
    # An error of 0 ulp has its place, which a logarithmic scale would not give it.
    scale = alt.Scale(type="symlog", constant=0.5, nice=False, domainMin=0, padding=14)
    y = alt.Y("ulp:Q", scale=scale, axis=alt.Axis(title="largest error, ulp", tickCount=6, format="~s"))
    x = alt.X(**_log("times_best", "time ÷ best time", format="~r"))
    points = alt.Chart(_data()).encode(x=x, y=y, tooltip=tooltip, **_by_place(rows, look))
    return alt.layer(points.mark_point(filled=True, size=50, opacity=0.8)).properties(width=WIDTH, height=280)


def noise(rows: Sequence[Row], look: Looks) -> Any:
    """A box for each backend and round."""
    alt = _alt()
    by_backend = {where.partition(" ")[0].partition("/")[0]: colour for where, (colour, _) in look.items()}
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    colours = [by_backend.get(backend, GREY) for backend in backends]
    axis = alt.Axis(title="block time ÷ median of its cell", format=".2~f", tickCount=6)
    quantiles = dict.fromkeys(("low", "q1", "median", "q3", "high"), ".3f")
    tooltip = _tooltips(("backend", "device", "round"), quantiles, alt.Tooltip("blocks:Q"))
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(_data()).encode(
        x=alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("backend:N"),
        color=alt.Color("backend:N", scale=alt.Scale(domain=backends, range=colours), title=None),
        tooltip=tooltip,
    )
    thin = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q")
    thick = base.mark_rule(strokeWidth=6).encode(y=alt.Y("q1:Q", scale=scale, axis=axis), y2="q3:Q")
    middle = base.mark_tick(thickness=2, size=12).encode(y=alt.Y("median:Q", scale=scale, axis=axis))
    return alt.layer(thin, thick, middle).properties(width=WIDTH, height=220)


def dressed(chart: Any) -> Any:
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

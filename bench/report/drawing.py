"""Timings as a picture: one SVG that is readable on a light and on a dark page.

Its first line says which figures were drawn, and how. So a picture can be told fresh without being drawn again, and a
library that sets a letter elsewhere does not make it stale.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from multigrad.data.errors import BadInput

Figure = Mapping[str, Any]
"""One time: ``where``, ``dtype``, ``size``, ``variant``, ``median_s``, ``low_s``, ``high_s``, ``barred``."""

VARIANTS = ("analytic", "autodiff", "native")
"""What is drawn first, in this order; implementations follow."""

COLOURS = ("#1f83cc", "#d55e00", "#12936c", "#b8609b", "#a07800")
"""Near Okabe and Ito's blue, vermilion, green, purple and a dark yellow: told apart by all, and in contrast with white
as with black."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
GREY = "#7d8590"
FONT = "Arial"
FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
"""Fonts of the same widths, so that what was measured in one fits in the others."""

STAMP = re.compile(r"<!-- multigrad docs: figures (?P<figures>\w{64}), drawing (?P<drawing>\w{64}) -->\n")


def stamped(figures: Sequence[Figure]) -> str:
    """Draw times and return the SVG with its stamp.

    Raises:
        BadInput: Altair or vl-convert is not installed.
    """
    svg = draw(figures)
    return f"<!-- multigrad docs: figures {digest(figures)}, drawing {_sha256(svg)} -->\n{svg}"


def is_fresh(svg: str, figures: Sequence[Figure]) -> bool:
    """Tell whether an SVG shows these figures, drawn as they are drawn today, and was not changed since."""
    stamp = STAMP.match(svg)
    if not stamp:
        return False
    return stamp["figures"] == digest(figures) and stamp["drawing"] == _sha256(svg[stamp.end() :])


def digest(figures: Sequence[Figure]) -> str:
    """Return a hash of the figures and of this file, which says how they are drawn."""
    return _sha256(json.dumps(list(figures), sort_keys=True) + Path(__file__).read_text(encoding="utf-8"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def draw(figures: Sequence[Figure]) -> str:
    """Draw times: a row of panels for each size, a column for each dtype, a line for each place.

    Raises:
        BadInput: Altair or vl-convert is not installed.
    """
    try:
        import vl_convert

        specification = _chart(figures).to_dict()
    except ImportError as error:
        raise BadInput(f'plots need {error.name}, which is not installed; pip install "multigrad[docs]"') from error
    svg: str = vl_convert.vegalite_to_svg(specification)
    return svg.replace(f'font-family="{FONT}"', f'font-family="{FONTS}"') + "\n"


def known_first(values: Iterable[str], order: Sequence[str] = VARIANTS) -> list[str]:
    """Return different names, those that are known in their order, then the others by the alphabet."""
    present = set(values) - {"*"}
    return [v for v in order if v in present] + sorted(present - set(order))


def scales(drawn: Sequence[str]) -> tuple[Any, Any]:
    """Return the colours and the shapes of variants; a known one has its own in every picture."""
    import altair as alt

    own = [v for v in drawn if v not in VARIANTS]
    places = [VARIANTS.index(v) if v in VARIANTS else len(VARIANTS) + own.index(v) for v in drawn]
    colours, shapes = ([kinds[i % len(kinds)] for i in places] for kinds in (COLOURS, SHAPES))
    return alt.Scale(domain=drawn, range=colours), alt.Scale(domain=drawn, range=shapes)


def _chart(figures: Sequence[Figure]) -> Any:
    import altair as alt

    values = [{**f, "panel": f"{f['size']}, {f['dtype']}"} for f in figures]
    panels, places = (list(dict.fromkeys(v[column] for v in values)) for column in ("panel", "where"))
    drawn = known_first(f["variant"] for f in figures)
    colours, shapes = scales(drawn)
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(labelExpr="format(datum.value, '.3~s') + 's'", tickCount=5, title=None)
    base = alt.Chart({"values": values}).encode(
        y=alt.Y("where:N", sort=places, title=None), yOffset=alt.YOffset("variant:N", sort=drawn)
    )
    time, colour = alt.X("median_s:Q", scale=scale, axis=axis), alt.Color("variant:N", scale=colours, title=None)
    intervals = base.mark_rule(strokeWidth=1.5, opacity=1).encode(
        x=alt.X("low_s:Q", scale=scale, axis=axis), x2="high_s:Q", color=colour
    )
    medians = base.encode(x=time, color=colour, shape=alt.Shape("variant:N", scale=shapes, title=None))
    steady = medians.mark_point(size=45, opacity=1, filled=True).transform_filter("!datum.barred")
    doubtful = medians.mark_point(size=45, opacity=1, strokeWidth=1.5).transform_filter("datum.barred")
    return (
        alt.layer(intervals, steady, doubtful)
        .properties(width=300, height=alt.Step(9))
        .facet(alt.Facet("panel:N", sort=panels, title=None), columns=2, spacing={"row": 18, "column": 24})
        .resolve_scale(x="independent")
        .configure(background="transparent", font=FONT)
        .configure_view(stroke=GREY, strokeOpacity=0.4)
        .configure_axis(labelColor=GREY, tickColor=GREY, domainColor=GREY, gridColor=GREY, gridOpacity=0.25)
        .configure_axisY(grid=False, ticks=False, domain=False)
        .configure_header(labelColor=GREY, labelFontWeight="bold", labelAnchor="start")
        .configure_legend(labelColor=GREY, orient="top")
    )

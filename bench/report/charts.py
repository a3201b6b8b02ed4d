"""The charts of a report: what each shows and of which rows, for the page, where rows are chosen, and for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import plots
from .figures import Figures, Row


@dataclass(frozen=True)
class Chart:
    """One chart of a run, or why there is none."""

    name: str
    title: str
    description: str
    """What it shows and how to read it, in words: for who cannot see it, and for who sees it for the first time."""
    rows: Sequence[Row]
    make: Callable[[Sequence[Row]], Any]
    """Gives the Altair chart of some rows, which it reads from data named :data:`.plots.ROWS`."""
    absent: str
    """What to say where there are no rows."""
    chosen_by: tuple[str, ...] = ()
    """Columns of which one value is shown at a time; the page has a selector for each."""

    def specification(self, rows: Sequence[Row] | None = None, *, validate: bool = False) -> dict[str, Any]:
        """Return the Vega-Lite specification, without the data; what is drawn in an order is ordered by the rows.

        Whether it is one, by the schema, takes longer than to make it: the tests ask, a report does not.
        """
        whole: dict[str, Any] = plots.dressed(self.make(self.rows if rows is None else rows)).to_dict(validate=validate)
        # The address of a schema is the only one there would be in the page.
        return {name: value for name, value in whole.items() if name != "$schema"}


@dataclass(frozen=True)
class Kind:
    """A chart of any run: the fields are those of :class:`Chart`."""

    name: str
    title: str
    description: str
    rows: Callable[[Figures], Sequence[Row]]
    make: Callable[[Sequence[Row], plots.Looks, Figures], Any]
    absent: str
    chosen_by: tuple[str, ...] = ()


KINDS = (
    Kind(
        "speed_up_places",
        "Speed-up over autodiff, place by place",
        "Time of the framework's own autodiff divided by that of the hand-derived gradient. A mark is an operation "
        "(the geometric mean over its sizes and dtypes), a bar the geometric mean of them all. Right of the dashed "
        "line at 1 the hand-derived gradient is faster.",
        lambda figures: [pair for pair in figures.speed_ups if not pair["barred"]],
        lambda rows, look, _: plots.speed_up_places(rows, look),
        "No cell has a hand-derived and an autodiff time beside each other that can be trusted.",
    ),
    Kind(
        "speed_up",
        "Speed-up of the hand-derived gradient over autodiff",
        "Time of the framework's own autodiff divided by that of the hand-derived gradient, for each operation and "
        "place: the geometric mean over sizes and dtypes, with a line from the least to the greatest end of their "
        "95 % intervals. Right of the line at 1 the hand-derived gradient is faster. A hollow mark is a pair that "
        "cannot be trusted, and is in no mean.",
        lambda figures: figures.speed_ups,
        lambda rows, look, _: plots.ratios(rows, look, "autodiff ÷ hand-derived time"),
        "No cell was timed both hand-derived and by autodiff, so there is no speed-up to show: "
        "time both variants on a backend that has autodiff.",
    ),
    Kind(
        "time",
        "Time against size",
        "Median seconds per call against the size, the geometric mean of the dimensions that change, both axes "
        "logarithmic; a vertical line is the 95 % interval. A hollow mark is a time that cannot be trusted.",
        lambda figures: figures.compared,
        lambda rows, look, _: plots.times(rows),
        "Nothing was timed in this run.",
        ("operation", "dtype", "setting"),
    ),
    Kind(
        "calls",
        "First call against steady state",
        "Seconds that a number of calls takes in all, the first one included, at the operation's largest timed "
        "size; both axes logarithmic. At one call it is the first call, compiling included; where two lines cross, "
        "the one that starts higher has paid for its start.",
        lambda figures: [cell for cell in figures.largest if cell["first_call_s"]],
        lambda rows, look, _: plots.calls(rows, look),
        "No cell has a time for its first call.",
        ("operation", "variant", "dtype", "setting"),
    ),
    Kind(
        "memory",
        "Peak memory of autodiff over the hand-derived gradient",
        "Peak memory of the framework's own autodiff divided by that of the hand-derived gradient, both beyond the "
        "arguments, for each operation and place: the geometric mean over sizes and dtypes, with a line from least "
        "to greatest. Right of the line at 1 the hand-derived gradient needs less.",
        lambda figures: figures.memory,
        lambda rows, look, _: plots.ratios(rows, look, "autodiff ÷ hand-derived peak memory"),
        "No cell has its peak memory measured for both the hand-derived gradient and autodiff (above "
        "64 KiB, where it is arrays and not pages of the allocator). A quick run leaves memory out; "
        "multigrad run without --quick measures it.",
    ),
    Kind(
        "roofline",
        "Roofline",
        "Rate of the hand-derived gradient against its arithmetic intensity, both axes logarithmic. The line is "
        "the roof that was measured on this machine: the rate of a large matrix product, and to the left of its "
        "bend the bandwidth of main memory (full line) and of the fastest cache (dashed).",
        lambda figures: figures.under_roofs,
        lambda rows, look, figures: plots.roofline(rows, look, figures.roofs),
        "No hand-derived cell has both a time and a cost model, so none has a place under a roof.",
        ("dtype", "setting", "device"),
    ),
    Kind(
        "accuracy",
        "Accuracy against time",
        "Largest error in units in the last place (ulp) on normally distributed inputs against time over the best "
        "time, one mark for each operation, place and variant. Left is faster, low is more accurate. Numbers are "
        "judged at small sizes, times are of larger ones.",
        lambda figures: figures.accuracy,
        lambda rows, look, _: plots.accuracy(rows, look),
        "This run has no cell that was both judged in ulp and timed: multigrad run does both.",
        ("dtype",),
    ),
    Kind(
        "noise",
        "Noise from round to round",
        "How the time of a block lies around the median of its cell, for each round of fresh processes: a mark at "
        "the median, a thick line over the middle half, a thin one from the 5th to the 95th percentile.",
        lambda figures: figures.noise,
        lambda rows, look, _: plots.noise(rows, look),
        "This run keeps no samples (samples.csv.gz), so nothing is known about its noise.",
    ),
)
"""The charts of a report, in its order."""

OF_ONE_MACHINE = ("time", "calls", "roofline", "accuracy", "noise")
"""Charts of times and rates, instead of quotients: of several machines one is shown at a time."""


def charts(figures: Figures) -> list[Chart]:
    """Return the charts of a run in the order of the report."""
    look = plots.looks([*figures.cells, *figures.accuracy])
    return [
        Chart(
            kind.name,
            kind.title,
            kind.description,
            kind.rows(figures),
            lambda rows, kind=kind: kind.make(rows, look, figures),  # type: ignore[misc]
            kind.absent,
            (*kind.chosen_by, *(figures.machine if kind.name in OF_ONE_MACHINE else ())),
        )
        for kind in KINDS
    ]

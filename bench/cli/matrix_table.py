"""The correctness matrix in the terminal, and the verdicts on formulas while a check is running."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from multigrad.matrix.rows import sentence
from multigrad.ops.implementation import FORMS
from multigrad.ops.text import derivative_name
from multigrad.truth.case import DEFAULT_REGIMES, RESIZED
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
)

from ..report.names import listed, numpy_first
from ..report.plain import visible
from ..report.quantities import figure
from ..report.verdicts import HALF, SYMBOLS, worst, worst_sentence
from ..store.rows import place
from .terminal import least_width, new_table, say, show, width

if TYPE_CHECKING:
    import pandas as pd


FEW = 12
"""How many operations may have several rows each, with figures; of more, each has one row of signs."""


class Formulas:
    """Prints verdicts on formulas while a check is running: see :data:`multigrad.matrix.frame.Tell`.

    Of few operations it is their table, as soon as the last formula is judged; of many it is a line for each wrong one
    at once, and a line for every hundred.
    """

    EVERY = 100

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        self.operations: dict[str, str] = {}
        """The worst verdict so far of each operation."""
        self.shown = False
        """Whether the table has been printed."""

    def __call__(self, rows: Iterable[Mapping[str, Any]], judged: bool, names: Sequence[str]) -> None:
        """Take in rows as they come, and print what is to be said of them now."""
        for row in rows:
            if row["backend"] == "exact":
                self.rows[tuple(row[name] for name in ("operation", "output", "regime", "sizes"))] = row
                self._count(row)
        if judged and not self.shown and self.rows and len(self.operations) <= FEW:
            import pandas as pd

            self.shown = True
            # Which worker was first is chance; the order of the operations is not.
            rows = sorted(self.rows.values(), key=lambda row: names.index(row["operation"]))
            _show_formulas(pd.DataFrame(rows))

    def _count(self, row: Mapping[str, Any]) -> None:
        name, before = row["operation"], self.operations.get(row["operation"])
        self.operations[name] = worst([row["verdict"], *([before] if before else [])])
        if len(self.operations) <= FEW:
            return
        if row["verdict"] == FAIL and before != FAIL:
            say(visible(f"✗ {sentence(row)}"), SYMBOLS[FAIL][1])
        if before is None and len(self.operations) % self.EVERY == 0:
            wrong = sum(verdict == FAIL for verdict in self.operations.values())
            say(f"… {len(self.operations)} formulas judged, {wrong} of them wrong", "dim")


def show_matrix(frame: pd.DataFrame, *, verbose: bool = False, formulas: bool = True) -> None:
    """Print the correctness matrix, then everything that is not a plain PASS, then the count.

    Few operations have their figures, where there is room for them; else a sign says every verdict.

    Args:
        frame: the rows of a check.
        verbose: whether every row is printed.
        formulas: whether the table of the formulas is printed; not where :class:`Formulas` has done so.
    """
    numbers = frame[(frame["backend"] != "exact") & (frame["verdict"] != UNAVAILABLE)]
    figures = _figures(numbers)
    if frame["operation"].nunique() <= FEW and least_width(figures) <= width():
        if formulas:
            _show_formulas(frame[frame["backend"] == "exact"])
        if len(numbers):
            show(figures, "Are the numbers right?  (largest error ÷ its bound)")
    else:
        show(_signs(frame[(frame["verdict"] != UNAVAILABLE) & (frame["operation"] != "*")]),
             "Is the formula right, and are the numbers?")  # fmt: skip
        say(f"In each place, in this order: {', '.join(_in_order(_positions(numbers)))} (- there is none)", "dim")
    if len(numbers):
        say("  ".join(f"{symbol} {verdict}" for verdict, (symbol, _) in SYMBOLS.items()) + "\n", "dim")
    detailed = frame if verbose else frame[frame["regime"].isin([*DEFAULT_REGIMES, "file"])]
    if verbose or (frame["operation"].nunique() == 1 and len(detailed) <= 40):
        _show_rows(detailed)
    _show_reasons(frame)
    counts = frame["verdict"].value_counts()
    summary = " · ".join(f"{counts[v]} {v}" for v in SYMBOLS if v in counts)
    compared = frame["ratio"].notna().sum()
    say(f"{len(frame)} rows, {compared} outputs compared: {summary}")


def _show_formulas(proofs: pd.DataFrame) -> None:
    if proofs.empty:
        return
    table = new_table(["operation", "verdict", "gradients", "how"])
    for name, rows in proofs.groupby("operation", sort=False):
        verdict = worst(rows["verdict"])
        symbol, style = SYMBOLS[verdict]
        # What holds everywhere comes before what was asked on a kink.
        telling = rows[rows["verdict"] == verdict].sort_values("regime", key=lambda r: r == "kink", kind="stable")
        first = telling[telling["regime"] == telling["regime"].iloc[0]]
        outputs = " ".join(dict.fromkeys(derivative_name(o) for o in first["output"]))
        table.add_row(visible(str(name)), Text(f"{symbol} {verdict}", style), outputs, Text(first["reason"].iloc[0]))
    show(table, "Is the formula right?  (certified ball arithmetic)")


def _figures(numbers: pd.DataFrame) -> Table:
    """Return a table with a row for each operation and variant, and one for half precision; a column for each place.

    An implementation has a row for half precision of its own.
    """
    numbers = numbers.assign(column=[visible(place(row)) for row in numbers.to_dict("records")])
    columns = numpy_first(numbers["column"])
    heads = ["\n".join(column.rsplit(" ", 1)) for column in columns]
    table = new_table(["operation", *heads], heads)
    for name, of_operation in numbers.groupby("operation", sort=False):
        half = of_operation["dtype"].isin(HALF)
        full, low = of_operation[~half], of_operation[half]
        # Eight or eleven bits see less: their verdicts stand apart, so that they do not hide the others.
        for variant, rows in sorted(full.groupby("variant"), key=lambda g: g[0] != "analytic"):
            label = Text(visible(str(name))) if variant == "analytic" else Text(f"  {variant}", "dim")
            table.add_row(label, *(_cell(rows[rows["column"] == column]) for column in columns))
        for own, rows in low.groupby(low["variant"].where(~low["variant"].isin(FORMS), "")):
            what = f"{own}, {HALF_PRECISION}" if own else HALF_PRECISION
            label = Text(f"  {what}", "dim") if len(full) else Text(visible(f"{name} ({what})"))
            table.add_row(label, *(_cell(rows[rows["column"] == column]) for column in columns))
    return table


HALF_PRECISION = "half precision"


def _positions(numbers: pd.DataFrame) -> list[str]:
    """Return for each row which of the signs of its place it has a part in."""
    of_variant = numbers["variant"] + " " + numbers["mode"]
    return list(of_variant.where(~numbers["dtype"].isin(HALF), HALF_PRECISION))


def _in_order(positions: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(positions), key=lambda p: (p == HALF_PRECISION, p.split()[0], p.endswith("compiled")))


def _signs(frame: pd.DataFrame) -> Table:
    """Return a table with one row for each operation, the wrong ones first, and a sign for each verdict."""
    numbers = frame[frame["backend"] != "exact"]
    numbers = numbers.assign(
        column=[visible(place({**row, "mode": ""})) for row in numbers.to_dict("records")],
        position=_positions(numbers),
    )
    columns, positions = numpy_first(numbers["column"]), _in_order(numbers["position"])
    heads = [column.replace("/", "\n/") for column in columns]
    table = new_table(["operation", "proof", *heads, "error ÷\nbound"], ["error ÷\nbound"])
    names = sorted(
        frame.groupby("operation", sort=False), key=lambda g: worst(g[1]["verdict"]) not in (FAIL, INCONCLUSIVE)
    )
    for name, rows in names:
        of_operation = numbers[numbers["operation"] == name]
        by_place: dict[Any, list[str]] = {
            key: list(v) for key, v in of_operation.groupby(["column", "position"])["verdict"]
        }
        cells = [Text.assemble(*(_sign(by_place.get((c, p), ())) for p in positions)) for c in columns]
        formula = _sign(rows[rows["backend"] == "exact"]["verdict"])
        table.add_row(
            visible(str(name)),
            Text.assemble(formula),
            *cells,
            figure(of_operation["ratio"][of_operation["verdict"] != GAP].max()),
        )
    return table


def _sign(verdicts: Collection[str]) -> tuple[str, str]:
    return SYMBOLS[worst(verdicts)] if len(verdicts) else ("-", "dim")


def _cell(rows: pd.DataFrame) -> Text:
    if rows.empty:
        return Text("")
    verdict = worst(rows["verdict"])
    symbol, style = SYMBOLS[verdict]
    ratio = rows["ratio"][rows["verdict"] == verdict].max()  # what is excused beside it has a figure of its own
    return Text(f"{symbol} {figure(ratio)}" if not math.isnan(ratio) else symbol, style)


def _show_rows(frame: pd.DataFrame) -> None:
    """Print each comparison: a row for every place, dtype and regime, a column for every output."""
    frame = frame[(frame["output"] != "*") & (frame["backend"] != "exact")]
    for (name, sizes), of_size in frame.groupby(["operation", "sizes"], sort=False):
        outputs = list(dict.fromkeys(of_size["output"]))
        names = [derivative_name(o) for o in outputs]
        table = new_table(["where", "dtype", "inputs", *names], names)
        keys = ["backend", "device", "mode", "variant", "dtype", "regime"]
        for key, rows in of_size.groupby(keys, sort=False):
            row = dict(zip(keys, map(str, key), strict=True))
            variant = "" if row["variant"] == "analytic" else f" {row['variant']}"
            cells = [_cell(rows[rows["output"] == output]) for output in outputs]
            table.add_row(f"{visible(place(row))}{variant}", row["dtype"], row["regime"], *cells)
        show(table, f"{name}  {sizes}")


def _show_reasons(frame: pd.DataFrame) -> None:
    keys = ["operation", "output", "backend", "device", "mode", "variant"]
    for verdict in (FAIL, PORTABILITY, FINDING):
        for _, rows in frame[frame["verdict"] == verdict].groupby(keys, sort=False):
            # One line for each place, the worst of its dtypes and regimes; the rest stands in the rows.
            say(visible(worst_sentence(rows)), SYMBOLS[verdict][1])
    for verdict in (INCONCLUSIVE, NOTE):
        worded = frame[frame["verdict"] == verdict]
        for row in worded.head(5).to_dict("records"):
            say(visible(sentence(row)), SYMBOLS[verdict][1])
        if len(worded) > 5:
            say(f"… and {len(worded) - 5} more {verdict} rows (--csv FILE has them all)")
    quiet = frame[frame["verdict"].isin([UNAVAILABLE, GAP])]
    # A shape that an operation does not have was tried, not asked for.
    quiet = quiet[~((quiet["backend"] == "exact") & quiet["regime"].isin(RESIZED))]
    for (name, device, word, reason), rows in quiet.groupby(["backend", "device", "verdict", "reason"], sort=False):
        what = "" if rows["operation"].nunique() == frame["operation"].nunique() else f" ({listed(rows['operation'])})"
        say(visible(f"{word} {name}/{device}: {reason}{what}"), "dim")

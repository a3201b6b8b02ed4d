"""Writing to a terminal or a pipe: text without control codes, tables that fit the width, progress bars."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ..report.plain import shown, visible
from ..report.quantities import figure
from .streams import LEAST_WIDTH

if TYPE_CHECKING:
    import pandas as pd

PIPED_WIDTH = 160
"""How many columns a table may have where nobody's terminal says it; the variable COLUMNS does too."""


class Terminal(Console):
    """A console where text is text: no markup, no emoji codes, nothing that moves the cursor or turns the letters."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, stderr=stderr, width=width)
        if self.width < LEAST_WIDTH:  # rich would leave out what has no room
            self.width = LEAST_WIDTH

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, and write out whatever a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_shown_lines(segment.text), segment.style)


def _shown_lines(text: str) -> str:
    return "\n".join(shown(line) for line in text.split("\n"))


_console = Terminal()


def piped() -> bool:
    """Tell whether what is written goes into a file or to a program."""
    return not _console.file.isatty()


def width() -> int:
    """Return how many columns of text there are. A terminal that is open besides says nothing about a pipe."""
    return PIPED_WIDTH if piped() and not os.environ.get("COLUMNS", "").isdigit() else _console.width


def say(text: str | Text, style: str = "") -> None:
    """Print a line that is never folded, so that paths can be copied."""
    _console.print(text if isinstance(text, Text) else Text(text, style), soft_wrap=True)


def say_prose(text: str, style: str = "") -> None:
    """Print a paragraph, folded at the width there is."""
    for line in textwrap.wrap(shown(text), width(), break_long_words=False, break_on_hyphens=False):
        say(line, style)


PROSE = ("what it is", "how", "gradients", "found", "what to do", "state", "flags", "signature", "sizes")
"""Columns that fold where the others need not."""


def new_table(columns: Iterable[str], right: Collection[str] = (), *, folds: Collection[str] = PROSE) -> Table:
    """Return an empty table.

    Args:
        columns: their heads.
        right: those whose cells stand to the right: figures.
        folds: those that are folded first where the width is not enough for all.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        justify: Any = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in folds)
    return table


def show(table: Table, title: str = "") -> None:
    """Print a table within the width there is: prose is folded first, then everything; nothing is cut off."""
    if title:  # one of the table's own would be folded to the table's width
        say(shown(title), "bold")
    if least_width(table) > width():
        for column in table.columns:
            column.no_wrap = False
    if not piped():
        _console.print(table)
        return
    wide = Terminal(width=width())
    with wide.capture() as captured:
        wide.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    wide.file.write("\n".join([*lines, ""]))


def least_width(table: Table) -> int:
    """Return how many columns of text a table takes when its prose is folded at every blank and nothing else is."""
    options = _console.options.update(width=10 * PIPED_WIDTH)  # what is measured is never wider than there is room for
    widths = []
    for column in table.columns:
        cells = [Measurement.get(_console, options, cell) for cell in (column.header, *column.cells)]
        widths.append(max(cell.minimum if not column.no_wrap else cell.maximum for cell in cells))
    return sum(widths) + 2 * len(widths)


def show_frame(title: str, frame: pd.DataFrame) -> None:
    """Print any table as it is."""
    # Of one machine, which has no name, nothing need be said.
    columns = [str(c) for c in frame.columns if c != "machine" or frame[c].astype(bool).any()]
    right = [c for c in columns if frame[c].dtype.kind in "fiu"]
    table = new_table(columns, right, folds=columns)
    for row in frame.to_dict("records"):
        table.add_row(*(Text(_shown(row[c])) for c in columns))
    show(table, title)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return figure(value) if isinstance(value, float) else visible(str(value))


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int, str], None] | None]:
    """Show on standard error what is running, how much is done and the time left; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    now = TextColumn("{task.fields[now]}", markup=False)
    # Once a second: what draws it takes time from what is measured.
    with Progress(*columns, now, console=Terminal(stderr=True), transient=True, refresh_per_second=1) as bar:
        task = bar.add_task(title, total=None, now="")

        def tick(done: int, total: int, now: str) -> None:
            bar.update(task, completed=done, total=total, now=now)

        yield tick

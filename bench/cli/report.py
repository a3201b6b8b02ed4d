"""``report`` and ``docs``: a run, and the operations, as files that a person reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exits import GOOD, WRONG
from .options import AsJson, Ops, split
from .output import print_json


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    svg: Annotated[Path | None, typer.Option("--svg", help="Also write the charts as SVG into this folder.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Also write the charts as PNG into this folder.")] = None,
    chart: Annotated[
        list[str] | None, typer.Option("--chart", help="Only this chart, such as speed-up; repeatable.")
    ] = None,
) -> None:
    """Write report.md and report.html into the folder of a run and print where they lie."""
    from ..report.writing import write_reports
    from .terminal import say

    for line in write_reports(run, svg=svg, png=png, wanted=split(chart) or ()):
        say(line)


def docs(
    ops: Ops = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.")] = Path("docs/operations"),
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="A folder of results; repeatable. Default: results/catalogue*.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a page is not fresh.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a page for each operation from its docstring, its source and the results."""
    from ..report import pages
    from .terminal import progress, say

    with progress("pages") as tick:
        frame = pages.docs(split(ops), out=out, runs=run, check=check, progress=tick)
    changed = frame[frame["state"] != "fresh"]
    if as_json:
        print_json(frame)
    else:
        for state, rows in changed.groupby("state", sort=False):
            say(f"{state}: {', '.join(rows['file'])}")
        advice = "; multigrad docs writes what is not" if check and len(changed) else ""
        say(f"{len(frame)} files, {len(frame) - len(changed)} fresh{advice}")
    raise typer.Exit(WRONG if check and len(changed) else GOOD)

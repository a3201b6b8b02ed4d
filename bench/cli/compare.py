"""``compare`` and ``merge``: several runs, side by side or put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exits import GOOD, SLOWER
from .options import AsCsv, AsJson, FailOn, regression_words
from .output import print_json, write_csv


def compare(
    before: Annotated[str, typer.Argument(help="Folder of the run to compare with.")],
    after: Annotated[str, typer.Argument(help="Folder of the run to judge.")],
    force: Annotated[
        bool, typer.Option("--force", help="Compare also what ran under other conditions; marked.")
    ] = False,
    fail_on: FailOn = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write a table for a pull request.")] = None,
    as_json: AsJson = False,
    csv: AsCsv = None,
) -> None:
    """Say cell by cell: faster, slower, same or unclear; exit 2 on a regression."""
    from ..analysis import compare as comparing
    from ..store.folder import write_text
    from .timing_tables import show_comparison

    frame = comparing.compare(comparing.find_run(before), comparing.find_run(after), force=force)
    if markdown is not None:
        from ..report import comparison

        write_text(markdown, comparison.markdown(frame))
    write_csv(frame, csv)
    if as_json:
        print_json(frame)
    else:
        show_comparison(frame, comparing.geometric_means(frame))
    raise typer.Exit(SLOWER if len(comparing.failing(frame, regression_words(fail_on))) else GOOD)


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; merged ones too.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new run.")],
    as_json: AsJson = False,
    csv: AsCsv = None,
) -> None:
    """Put separately made runs together; every row says which machine it came from."""
    from ..analysis.merge import merge as merge_runs
    from .terminal import say
    from .timing_tables import show_machines

    merged = merge_runs(runs, out)
    write_csv(merged.summary, csv)
    if as_json:
        print_json({"folder": str(merged.folder), "summary": merged.summary})
    else:
        show_machines(merged)
        say(f"Results: {merged.folder}")

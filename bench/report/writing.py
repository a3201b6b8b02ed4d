"""The reports of a run, into its folder, and what to say of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from multigrad.data.errors import BadInput
from multigrad.process.entry import entry_point

from ..analysis.load import load_run
from ..store.folder import write_text
from ..store.run import Run
from .figures import Figures
from .html import html
from .markdown import markdown
from .pictures import write_pictures
from .vega import bundling, missing

MARKDOWN, PAGE = "report.md", "report.html"


@entry_point(list)
def write_reports(
    folder: Path | Run, *, svg: Path | None = None, png: Path | None = None, wanted: Collection[str] = ()
) -> list[str]:
    """Write ``report.md`` and, where Altair and vl-convert are installed, ``report.html`` beside a run's other files.

    Args:
        folder: of the run, or the run itself, where its files are there.
        svg: a folder for the charts as SVG.
        png: a folder for the charts as PNG.
        wanted: names of the charts that are to be drawn, such as ``speed-up``; none is all.

    Returns:
        A line for each report: where it lies, or what is missing and how to install it.

    Raises:
        BadInput: the folder holds no readable run, a folder cannot be written, no chart has a wanted name, or
            pictures were asked for and Altair or vl-convert is not installed.
    """
    lost = missing()
    if lost and (svg is not None or png is not None):
        raise BadInput(lost)
    run = folder if isinstance(folder, Run) else load_run(Path(folder))
    assert run.folder is not None
    figures = Figures.of(run)
    if not lost:
        bundling()
    write_text(run.folder / MARKDOWN, markdown(figures))
    if not lost:
        write_text(run.folder / PAGE, html(figures))
    lines = written(run.folder)
    for suffix, target in (("svg", svg), ("png", png)):
        if target is not None:
            drawn = write_pictures(figures, target, suffix, wanted)
            lines.append(f"Charts:  {f'{len(drawn)} in {target}' if drawn else 'none, for the run has no timings'}")
    return lines


def written(folder: Path) -> list[str]:
    """Say where the reports of a run lie, and why one is not there."""
    page = folder / PAGE
    return [f"Report:  {folder / MARKDOWN}", f"Page:    {page}" if page.exists() else f"No page: {missing()}"]

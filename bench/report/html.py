"""A run as one HTML page: it opens offline, loads nothing, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..store.run import Run
from .bars import chart
from .charts import Chart, charts
from .figures import Figures
from .html_matrix import matrix
from .html_sections import sections
from .vega import javascript

HERE = Path(__file__).parent


def html(run: Run | Figures) -> str:
    """Return the whole page.

    Raises:
        BadInput: Altair or vl-convert is not installed.
    """
    import jinja2
    from markupsafe import Markup

    figures = Figures.of(run)
    by_name = {chart.name: chart for chart in charts(figures)}
    # Automatic escape: whatever comes from a run is text, and only the three files of ours are markup.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    scripts = [javascript(), (HERE / "report.js").read_text(encoding="utf-8")]
    page: str = environment.get_template("report.html.jinja").render(
        run=figures.run,
        title=_title(figures.run),
        bars=chart(figures),
        matrix=matrix(figures.run.matrix),
        compared=bool(figures.compared),
        sections=sections(figures, by_name),
        reproduce=_reproduce(figures.run),
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        hashes=[_hash(script) for script in scripts],
        data=_data(figures, by_name),
    )
    return page


def _hash(script: str) -> str:
    """Return what a page's security policy calls a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _data(figures: Figures, by_name: Mapping[str, Chart]) -> dict[str, Any]:
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
            for name, chart in by_name.items()
            if chart.rows
        },
    }


def _title(run: Run) -> str:
    host = run.info.get("host") or {}
    name = run.folder.name if run.folder is not None else str(run.info.get("started", ""))
    several = f"{len(run.machines)} machines" if len(run.machines) > 1 else ""
    return f"{several or host.get('cpu', 'unknown machine')} · {name}"


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

"""A page for each operation, from its docstring, its source and the results that were committed.

A page depends on nothing else: not on the machine, the time, or what is installed.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.errors import BadInput
from multigrad.ops.find import given_operations, operations
from multigrad.ops.operation import Operation
from multigrad.ops.source import source_of
from multigrad.process.entry import entry_point, no_rows

from ..store.folder import write_text
from . import page_results, page_source
from .docstring import described, prose
from .drawing import Figure, is_fresh, stamped
from .markup import code, fenced, grid, plain
from .results import Results

if TYPE_CHECKING:
    import pandas as pd


RESULTS = "results/catalogue*"
"""Where the committed results lie, if nothing else is said."""

INDEX = "index.md"

MARK = "<!-- Written by `multigrad docs` from docstring, source and results; what is changed here is overwritten. -->"

STALE, MISSING, SUPERFLUOUS = "stale", "missing", "superfluous"
"""What a check may say of a file."""


@dataclass(frozen=True)
class Page:
    """A file of the documentation."""

    name: str
    text: str
    """Of Markdown, the whole of it."""
    figures: tuple[Figure, ...] | None = None
    """Of a picture, what it shows."""

    def is_fresh(self, content: str) -> bool:
        """Tell whether a file of that content is this one."""
        return content == self.text if self.figures is None else is_fresh(content, self.figures)

    def content(self) -> str:
        """Return what the file has to hold."""
        return self.text if self.figures is None else stamped(self.figures)


@entry_point(no_rows(("file", "state")))
def docs(
    ops: Sequence[str] | None = None,
    *,
    out: str | os.PathLike[str] = "docs/operations",
    runs: Iterable[str | os.PathLike[str]] | None = None,
    check: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Write the pages of operations, or tell which are not fresh.

    Args:
        ops: catalogue names or files; None is the whole catalogue, with its index, and what belongs to no operation
            any more is removed.
        out: the folder of the pages.
        runs: folders of results; None is every one named :data:`RESULTS`.
        check: write nothing.
        progress: told about every page.

    Returns:
        One row for each file, with ``file`` and ``state``: ``fresh``; ``written`` or ``removed``; or, of a check,
        ``stale``, ``missing`` or ``superfluous``.

    Raises:
        BadInput: an unknown operation, unreadable results, a folder that cannot be written, or no library for plots.
    """
    import pandas as pd

    folder = Path(out)
    chosen = given_operations(ops or None)
    results = Results.read(sorted(Path().glob(RESULTS)) if runs is None else map(Path, runs))
    rows = []
    wanted = list(pages(chosen, results, folder, index=not ops))
    for number, page in enumerate(wanted, 1):
        rows.append({"file": str(folder / page.name), "state": _settle(page, folder / page.name, check)})
        if progress:
            progress(number, len(wanted), page.name)
    if not ops:
        for path in _superfluous(folder, {page.name for page in wanted}):
            if not check:
                path.unlink()
            rows.append({"file": str(path), "state": SUPERFLUOUS if check else "removed"})
    return pd.DataFrame(rows, columns=["file", "state"])


def _settle(page: Page, path: Path, check: bool) -> str:
    try:
        content = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    if content is not None and page.is_fresh(content):
        return "fresh"
    if check:
        return MISSING if content is None else STALE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {path.parent}: {error.strerror}; choose another folder with --out") from error
    write_text(path, page.content())
    return "written"


def _superfluous(folder: Path, names: set[str]) -> list[Path]:
    """Return what was generated for operations that are there no more; a person's own files are let alone."""
    ours = [p for p in folder.glob("*.md") if p.read_text(encoding="utf-8").startswith(MARK)]
    drawn = [p for p in folder.glob("*.svg") if p.read_text(encoding="utf-8").startswith("<!-- multigrad docs:")]
    return sorted(p for p in ours + drawn if p.name not in names)


def pages(ops: Sequence[Operation], results: Results, out: Path, *, index: bool) -> Iterator[Page]:
    """Yield the files of operations, and the index if it is wanted; ``out`` is where they will lie."""
    templates = _templates()
    names = {op.name for op in (*ops, *operations().values())}
    for op in ops:
        if f"{op.name}.md" == INDEX:
            raise BadInput("an operation named 'index' would be written over the index of the pages; rename it")
        figures = page_results.drawn_times(op, results)
        page = templates.get_template("operation.md.jinja").render(_facts(op, results, out, names, bool(figures)))
        yield Page(f"{op.name}.md", page)
        if figures:
            yield Page(f"{op.name}.svg", "", figures)
    if index:
        families = [{"title": t, "table": _overview(members, results)} for t, members in _families(ops)]
        text = templates.get_template("index.md.jinja").render(mark=MARK, count=len(ops), families=families)
        yield Page(INDEX, text.rstrip("\n") + "\n")


def _templates() -> Any:
    import jinja2

    # No automatic escape: what comes here is Markdown already, and `escape` has made it.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _facts(op: Operation, results: Results, out: Path, names: set[str], drawn: bool) -> dict[str, str]:
    body, kinks, literature = described(op, names)
    return {
        "mark": MARK,
        "name": plain(op.name),
        "title": prose(op.title, names),
        "arguments": page_source.arguments(op),
        "signature": code(op.signature.text),
        "source_link": page_source.source_link(op, out),
        "formula": body or "The docstring has its first line only.",
        "kinks": kinks or "The docstring says nothing of a kink.",
        "literature": literature or "The docstring names none.",
        "code": fenced(page_source.code_of(op), "python"),
        "sizes": page_source.sizes(op),
        "certificate": page_results.certificate(op, results),
        "matrix": page_results.matrix(op, results),
        "timings": page_results.timings(op, results, drawn),
    }


def _families(ops: Iterable[Operation]) -> list[tuple[str, list[Operation]]]:
    """Return the operations by the file they lie in, with the first line of what it says of itself."""
    members_of: dict[str, list[Operation]] = {}
    for op in ops:
        members_of.setdefault(op.function.__module__, []).append(op)
    docs = {module: source_of(members[0]).module_doc for module, members in members_of.items()}
    titles = {module: inspect.cleandoc(doc or module).split("\n\n")[0] for module, doc in docs.items()}
    return [(plain(titles[module].rstrip(".")), members) for module, members in sorted(members_of.items())]


def _overview(ops: Iterable[Operation], results: Results) -> str:
    rows = []
    for op in ops:
        facts = (
            page_results.certified(op, results),
            page_results.worst_verdict(op, results),
            page_results.gain(op, results),
        )
        rows.append([f"[{code(op.name)}]({op.name}.md)", prose(op.title), *facts])
    return grid(["operation", "what it is", "certified", "numbers", "over autodiff"], rows)

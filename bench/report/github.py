"""What a step of GitHub Actions says: its summary, annotations at the lines of operations, and nothing by accident.

Source: GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from multigrad.data.errors import BadInput
from multigrad.matrix.rows import failing, sentence
from multigrad.ops.derived import NABLA
from multigrad.ops.operation import Operation
from multigrad.ops.pushforward import SUFFIX
from multigrad.ops.source import source_of
from multigrad.verdict.words import INCONCLUSIVE, VERDICTS

from .markdown import matrix
from .plain import shown, visible
from .verdicts import more, telling

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file of the step's summary."""

SUMMARY_BYTES = 2**20
"""GitHub refuses a longer summary: 1 MiB for each step."""


def summary_file() -> Path:
    """Return the file of this step's summary.

    Raises:
        BadInput: there is none, for this is no step of GitHub Actions.
    """
    path = os.environ.get(SUMMARY)
    if not path:
        raise BadInput(f"--github is for a step of GitHub Actions, which sets {SUMMARY}; it is not set here")
    return Path(path)


def write_summary(frame: pd.DataFrame, path: Path) -> None:
    """Append a correctness matrix to the summary of the step, as Markdown.

    Raises:
        BadInput: the file cannot be written.
    """
    text = "\n\n".join(["# multigrad check", *matrix(frame)]) + "\n\n"
    try:
        room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
        with path.open("a", encoding="utf-8") as file:
            file.write(_cut(text, room))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error


def _cut(text: str, room: int) -> str:
    """Return the whole lines that there is room for, in bytes, and say so if some are left out."""
    data = text.encode()
    if len(data) <= room:
        return text
    end = "\n\nThe rest is left out: a summary may have 1 MiB.\n"
    kept = data[: max(0, room - len(end.encode()))]
    return kept[: kept.rfind(b"\n") + 1].decode() + end


def annotated(frame: pd.DataFrame, ops: Iterable[Operation], fail_on: str | None = None) -> list[str]:
    """Return a workflow command for each operation that is wrong, and for each that nothing could be said of.

    One command holds all the outputs of an operation, for GitHub shows ten errors and ten warnings of a step. What
    fails besides a FAIL is said by ``fail_on``, as for :func:`multigrad.matrix.failing`.
    """
    by_name = {op.name: op for op in ops}
    errors = failing(fail_on)
    levels = {v: "error" if v in errors else "warning" for v in VERDICTS if v in (*errors, INCONCLUSIVE)}
    lines = []
    for verdict, level in levels.items():
        for name, rows in frame[frame["verdict"] == verdict].groupby("operation", sort=False):
            of_outputs = [of_output for _, of_output in rows.groupby("output", sort=False)]
            message = "\n".join(_first(of_output) for of_output in of_outputs)
            op = by_name.get(str(name).removeprefix(NABLA).removesuffix(SUFFIX))
            location = source(op) if op else {}
            lines.append(command(level, message, **location, title=f"multigrad: {name} {verdict}"))
    return lines


def _first(rows: pd.DataFrame) -> str:
    return visible(sentence(telling(rows))) + more(rows)


def source(op: Operation) -> dict[str, str | int]:
    """Return file and line of an operation as GitHub wants them, or nothing where they are not in the workspace."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    try:
        source_text = source_of(op)
        path = Path(source_text.path).resolve().relative_to(workspace)
    except (OSError, TypeError, ValueError):
        return {}
    return {"file": path.as_posix(), "line": source_text.line}


def command(name: str, message: str, **properties: str | int) -> str:
    """Return a workflow command, ``::name key=value,…::message``, in one line."""
    pairs = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name} {pairs}::{_data(message)}"


def _data(text: str) -> str:
    return shown(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


@contextmanager
def commands_stopped(file: TextIO) -> Iterator[None]:
    """Let nothing that is printed meanwhile be taken for a workflow command."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", file=file, flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", file=file, flush=True)

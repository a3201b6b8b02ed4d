"""Questions worth measuring, as data: which cells, and which comparison of them is the answer.

A study is a TOML file, here in ``studies/`` or anybody's::

    question = "What does half the width of a number save?"

    [answer]              # kind: within, best, break even, scaling or overhead
    kind = "within"
    column = "dtype"
    before = "float64"
    after = "float32"

    [[cells]]             # the arguments of `measure`, one table or several
    operation = ["relu_regression", "mine.py"]
    variant = "analytic"
    size = ["medium", { m = 64, k = 64, n = 64 }]
    threads = [1, "all"]

Or a Python file with a dictionary ``STUDY`` of the same shape, and, if it likes, a function ``answer(run)`` that
returns a data frame and a sentence.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from multigrad.data.decode import Int64, Positive, decode, read_bytes, reason
from multigrad.data.errors import BadInput
from multigrad.ops.elsewhere import ask
from multigrad.ops.files import import_file

from .cells import KEY

Words = Annotated[str, Meta(min_length=1)]
SizeValue = Int64 | float | bool | str | None | list[Int64 | float | bool | str | None]
"""Value of a dimension or parameter."""


class CellTable(Struct):
    """The cells of a study: arguments of :func:`multigrad.bench.measure`."""

    operation: str | list[str] | None = None
    backend: str | list[str] | None = None
    device: str | list[str] | None = None
    dtype: str | list[str] | None = None
    variant: str | list[str] | None = None
    mode: str | list[str] | None = None
    size: str | dict[str, SizeValue] | list[str | dict[str, SizeValue]] | None = None
    threads: Positive | Literal["all"] | list[Positive | Literal["all"]] | None = None
    precision: str = "strict"


SideValue = str | Int64


class AnswerValues(Struct):
    """How the cells of a study answer its question; what each kind needs is in :data:`.study.KINDS`."""

    kind: str | None = None
    column: str | UnsetType = UNSET
    before: SideValue | list[SideValue] | UnsetType = UNSET
    after: SideValue | UnsetType = UNSET


class StudyFile(Struct):
    """A study, as a file holds it."""

    question: Words
    cells: list[CellTable]
    answer: AnswerValues = msgspec.field(default_factory=AnswerValues)

    def __post_init__(self) -> None:
        """Make sure that there is something to measure."""
        if not self.cells:
            raise ValueError("cells is empty; wanted a table or more")


class StudyValues(StudyFile, kw_only=True):
    """A study, as ``run.json`` holds it."""

    name: str


FOLDER = Path(__file__).parent.parent / "studies"

CELLS = CellTable.__struct_fields__
"""What a table of cells may say."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "within": ("column", "before", "after"),
    "best": ("column", "before", "after"),
    "break even": ("column", "before", "after"),
    "scaling": (),
    "overhead": (),
}
"""What each kind of answer needs to be said."""

COLUMNS = tuple(name for name in KEY if name != "machine")
"""What an answer may compare by: one machine's times say nothing about another's."""


@dataclass(frozen=True)
class Study:
    """A question, the cells to measure for it, and how they answer it."""

    name: str
    question: str
    cells: tuple[Mapping[str, Any], ...]
    """Each with some of :data:`CELLS`; what is left out is as in :func:`multigrad.bench.measure`."""
    answer: Mapping[str, Any]
    """``kind``, and what that kind needs."""
    program: Path | None = None
    """The Python file whose function ``answer`` answers instead."""
    data: Path | None = None
    """The TOML file it was read from: what that names is code, which runs only where somebody gives it too."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, without a function of one's own."""
        return {"name": self.name, "question": self.question, "cells": list(self.cells), "answer": dict(self.answer)}


def studies() -> dict[str, Study]:
    """Return the studies that come with multigrad, by name."""
    return {path.stem: load(path) for path in sorted(FOLDER.glob("*.toml"))}


def study(name: str | Path) -> Study:
    """Return a study by name, or from a TOML or Python file.

    Raises:
        BadInput: there is none of that name (with the nearest), or the file is not one.
    """
    if Path(name).suffix in (".toml", ".py"):
        return load(Path(name))
    known = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
    if str(name) not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise BadInput(f"no study named {str(name)!r}{hint} There are {', '.join(known)}; a file ends in .toml or .py")
    return load(known[str(name)])


def load(path: Path) -> Study:
    """Read a study from a file.

    Raises:
        BadInput: it is not there, or is no study; the message says what is wrong in it.
    """
    if not os.path.lexists(path):
        raise BadInput(f"no file {path}; wanted a study, a TOML or a Python file")
    data = read_bytes(path)
    if path.suffix == ".py":
        defined = ask(f"{__name__}:describe", {"path": str(path)}, str(path))
        return _checked(path, defined["study"], program=path if defined["answers"] else None)
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} cannot be read as TOML: {reason(error)}") from error
    return _checked(path, values, data=path)


def describe(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Import a study and say what it defines; the worker's side."""
    try:
        module = module_of(arguments["path"])
        json.dumps(module.STUDY)
    except BadInput as error:
        yield {"refused": str(error)}
    except (TypeError, ValueError) as error:
        yield {"refused": f"{Path(arguments['path']).name}: STUDY is more than numbers, texts and lists: {error}"}
    else:
        yield {"answer": {"study": module.STUDY, "answers": callable(getattr(module, "answer", None))}}


def module_of(path: str) -> Any:
    """Import the Python file of a study.

    Raises:
        BadInput: it defines none.
    """
    module = import_file(path, lambda module: hasattr(module, "STUDY"))
    if not hasattr(module, "STUDY"):
        raise BadInput(f"{Path(path).name} defines no STUDY; wanted a dictionary with question, answer and cells")
    return module


def _checked(path: Path, values: Any, *, program: Path | None = None, data: Path | None = None) -> Study:
    described = decode(path.name, values, StudyFile)
    for table in values["cells"]:
        for name in table:
            if name not in CELLS:
                raise BadInput(f"{path.name}: no {name!r} in cells; there are {', '.join(CELLS)}")
    if program is None:
        answerable(path.name, described.answer)
    return Study(path.stem, values["question"], tuple(values["cells"]), values.get("answer", {}), program, data)


def answerable(where: str, answer: AnswerValues) -> None:
    """Make sure that an answer is of a kind that there is, and has what that kind needs.

    Raises:
        BadInput: it is not.
    """
    needs = KINDS.get(str(answer.kind))
    if needs is None:
        raise BadInput(f"{where}: answer.kind is {answer.kind!r}; there are {', '.join(KINDS)}")
    for name in needs:
        if getattr(answer, name) is UNSET:
            raise BadInput(f"{where}: answer.{name} is missing; {answer.kind} needs {', '.join(needs)}")
    if needs and answer.column not in COLUMNS:
        raise BadInput(f"{where}: answer.column is {answer.column!r}; there are {', '.join(COLUMNS)}")

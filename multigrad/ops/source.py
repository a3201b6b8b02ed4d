"""The source of an operation's function: where it stands, its text, its syntax tree and its hash."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import BadInput
from .operation import Operation


@dataclass(frozen=True)
class Source:
    """Where an operation's function stands."""

    path: str
    """The file; one that is not there where it was written at a prompt."""
    line: int
    """Its first line, that of the decorator."""
    module: str
    module_doc: str

    @property
    def text(self) -> str:
        """The function as it is written, with its decorator; empty where there is no file."""
        return "".join(inspect.getblock(linecache.getlines(self.path)[self.line - 1 :]))


class Elsewhere:
    """Stands for a function that another process has."""

    def __init__(
        self, name: str, doc: str | None, source: Source, reference: str, has_pullback: Callable[[], bool]
    ) -> None:
        self.__name__, self.__doc__, self.__module__ = name, doc, source.module
        self.source, self.reference = source, reference
        self.has_pullback = has_pullback
        """Asks the other process, for the answer takes a run of the function."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refuse.

        Raises:
            BadInput: always; it says how to have the function here.
        """
        raise BadInput(f"{self.__name__} is known here by name only; load_operations([{self.reference!r}]) imports it")


def source_of(op: Operation) -> Source:
    """Return where the function of an operation stands, wherever it was imported.

    Raises:
        TypeError: it is no function of Python's.
    """
    if isinstance(op.function, Elsewhere):
        return op.function.source
    function = inspect.unwrap(op.function)
    module = sys.modules.get(function.__module__)
    path = inspect.getsourcefile(function) or inspect.getfile(function)
    return Source(path, function.__code__.co_firstlineno, function.__module__, (module and module.__doc__) or "")


def source_file(op: Operation) -> str:
    """Return the file that an operation's code says it comes from."""
    return str(op.function.__code__.co_filename)


def file_hash(op: Operation) -> str:
    """Return the hash of the file in which an operation is written; empty where there is none."""
    try:
        return hashlib.sha256(Path(source_of(op).path).read_bytes()).hexdigest()
    except (TypeError, OSError):
        return ""


def code_hash(*beside: Path) -> str:
    """Return the hash of multigrad's own source without the benchmark: what another version found is found again.

    Args:
        beside: further folders whose source counts.
    """
    root = Path(__file__).parents[1]
    apart = {root / "backends", root / "bench"}  # inside in a wheel, beside in a checkout
    files = [path for path in sorted(root.rglob("*.py")) if not apart & {*path.parents}]
    files += [path for folder in beside for path in sorted(folder.rglob("*.py"))]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def source_hash(op: Operation) -> str:
    """Return a hash of the operation's source: its function, without its decorator, and the file it lies in."""
    tree, _ = parsed(op.function, op.name)
    path = Path(inspect.getfile(op.function))
    text = ast.dump(tree) + (path.read_text(encoding="utf-8") if path.is_file() else "")
    return hashlib.sha256(text.encode()).hexdigest()


def parsed(function: Callable[..., Any], name: str) -> tuple[ast.FunctionDef, int]:
    """Return the syntax tree of a function without its decorators, and its line in the file.

    Raises:
        BadInput: there is no source to read, or it is no plain function.
    """
    unreadable = f"{name}: its source cannot be read, so no mutant can be made of it"
    if not inspect.isfunction(function):
        raise BadInput(unreadable)
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise BadInput(unreadable) from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise BadInput(f"{name} is not a plain function, so no mutant can be made of it")
    tree.decorator_list = []
    return tree, start

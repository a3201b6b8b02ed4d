"""Files of operations, imported in this process.

A file of operations is code. It may print, exit, hang, crash or start processes, so only workers import it;
:mod:`multigrad.ops.elsewhere` has what other processes learn of it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import os
import sys
import types
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..data.errors import BadInput
from ..process.entry import WORKER, importing
from .implementation import ADDED
from .operation import Operation
from .source import source_of

TRIED_ENTRIES = 10**6
"""Inputs of so many entries or fewer are drawn once where a file is read, so that a generator that fails says so."""


def imported(path: Path) -> Sequence[Operation]:
    """Import a file and return its operations.

    Raises:
        BadInput: it is not there, holds none, or fails on import; the message has the line.
    """
    return _imported(*regular(path))


def regular(path: Path) -> tuple[str, int]:
    """Return the full path of a file and when it was changed.

    Raises:
        BadInput: there is no such file.
    """
    if not path.is_file():
        there = f"{path} is no file" if path.exists() else f"no file {path}"
        raise BadInput(f"{there}; wanted a Python file that defines an @operation")
    return str(path.resolve()), path.stat().st_mtime_ns


@functools.cache
def _imported(path: str, mtime_ns: int) -> tuple[Operation, ...]:
    before = _numpy_functions()
    module = import_file(path, lambda module: bool(of_module(module)))
    short = Path(path).name
    ops = of_module(module)
    others = [op for op, made in ADDED if made.origin.partition("::")[0] == path and op not in ops]
    if not ops and not others:
        raise BadInput(f"{short} defines no operation; {_what_to_write(module)}")
    _check_names(path, ops)
    if changed := [n for n, value in before.items() if vars(sys.modules[n[0]]).get(n[1]) is not value]:
        raise BadInput(
            f"{short} replaces {'.'.join(changed[0])}, which proofs are computed with; wanted a NumPy as it was"
        )
    for op in ops:
        if not op.reference:  # made inside a function, but found under its name in this file
            object.__setattr__(op, "reference", f"{path}::{op.name}")
    return (*ops, *dict.fromkeys(others))


def _what_to_write(module: types.ModuleType) -> str:
    """Return what makes an operation of what a file defines."""
    kinds = [base.__module__ for thing in vars(module).values() if isinstance(thing, type) for base in thing.__mro__]
    if "torch.autograd.function" in kinds:
        return (
            "wanted the reference that its autograd.Function computes, decorated with @operation, and the Function as "
            '@OPERATION.implementation("torch")'
        )
    return "wanted a function decorated with @operation"


@functools.cache
def function_of(path: str, name: str, mtime_ns: int) -> Callable[..., Any]:
    """Import a file and return one of its functions.

    Args:
        path: the file.
        name: the function's.
        mtime_ns: when the file was changed, as :func:`regular` tells it.

    Raises:
        BadInput: the file fails on import, or has no such function.
    """
    module = import_file(path, lambda module: callable(vars(module).get(name)))
    found = vars(module).get(name)
    if isinstance(found, Operation) or not callable(found):
        what = "is an operation" if isinstance(found, Operation) else "is no function" if found else "is not there"
        raise BadInput(f"{Path(path).name}::{name} {what}; wanted a function that computes an operation")
    function: Callable[..., Any] = found
    return function


def named(ops: Sequence[Operation], path: str | Path, name: str) -> Sequence[Operation]:
    """Return the operation of that name among those of a file; all of them where the name is empty.

    Raises:
        BadInput: there is none.
    """
    chosen = [op for op in ops if op.name == name] if name else ops
    if not chosen:
        raise BadInput(f"{path} has no operation {name!r}; it has {', '.join(op.name for op in ops)}")
    return chosen


def import_file(path: str, complete: Callable[[types.ModuleType], bool]) -> types.ModuleType:
    """Import a file of Python's and return the module.

    Args:
        path: the file.
        complete: tells of a module whose code raised after an entry point did nothing whether it is of use all the
            same.

    Raises:
        BadInput: it raises or exits; the message has the line.
    """
    # The name keeps `if __name__ == "__main__":` from running; the folder goes on the path for the file's own imports.
    name = f"multigrad_user_{zlib.crc32(os.fsencode(path)):08x}_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    process = os.getpid()
    with importing(Path(path)) as underway:
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and WORKER not in os.environ:
                raise  # a person's
            # After a check that gave it nothing a script cannot go on; its operations are there.
            if not (underway.skipped and complete(module)):
                ending = f": {error}" if isinstance(error, BadInput) else f" {raised(error, path)}"
                raise BadInput(f"{Path(path).name}{ending}") from error
    if os.getpid() != process and WORKER in os.environ:
        os._exit(0)  # a copy of this worker, which the file made
    return module


def of_module(module: Any) -> list[Operation]:
    """Return the operations that a module defines itself, each once."""
    own = [v for v in vars(module).values() if isinstance(v, Operation) and v.function.__module__ == module.__name__]
    return list(dict.fromkeys(own))


def _check_names(path: str, ops: Sequence[Operation]) -> None:
    """Make sure that every operation of a file can be found by its name.

    Raises:
        BadInput: two have the same, also where the second definition has put the first out of sight.
    """
    lines: dict[str, list[int]] = {op.name: [] for op in ops}
    for node in ast.parse(Path(path).read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list and node.name in lines:
            lines[node.name].append(node.lineno)
    for op in ops:
        made_elsewhere = not op.reference
        lines[op.name] += [source_of(op).line] * made_elsewhere
    for name, there in lines.items():
        if len(there) > 1:
            where = " and ".join(map(str, sorted(there)))
            raise BadInput(f"{Path(path).name} has two operations named {name} (lines {where}); rename one of them")


def _numpy_functions() -> dict[tuple[str, str], Any]:
    """Return the functions of NumPy, where that is imported, to see whether a file replaces one."""
    names = [(m, n) for m in ("numpy", "numpy.linalg") if m in sys.modules for n in vars(sys.modules[m])]
    values = {(m, n): vars(sys.modules[m])[n] for m, n in names if not n.startswith("_")}
    return {name: value for name, value in values.items() if callable(value)}


def raised(error: BaseException, path: str, when: str = " on import") -> str:
    """Say what the code of a file raised, and in which of its lines."""
    line = _line_in(error, path)
    if isinstance(error, SystemExit):
        return f"ended the process{when}{line}: sys.exit({error.code!r})"
    text = ""
    with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
        text = str(error)
    return f"raised{when}{line}: {type(error).__name__}{f': {text}' if text else ''}"


def _line_in(error: BaseException, path: str) -> str:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(error.lineno)
    return f" (line {lines[-1]})" if lines else ""


def try_to_draw(op: Operation) -> None:
    """Draw the inputs of an operation's first size once, if they are few.

    Raises:
        BadInput: its generator fails, or gives what does not fit.
    """
    size = next(iter(op.sizes.values()), {})
    dimensions, _ = op.split(size)
    if op.signature.entries(dimensions) <= TRIED_ENTRIES:
        op.make_inputs(size, 0)

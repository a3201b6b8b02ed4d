"""Files of operations: imported in a process of their own, described to this one, and no start of another check.

A file of operations is code. It may print, exit, hang, crash or start processes, so :func:`described` lets a worker
import it and makes operations of what the worker says: names, shapes and sizes, without the functions. Whoever computes
does so in a worker, which imports the file (:func:`imported`).

A script may check its own operations. A worker that imports it must not do the same again, so every function that
starts workers is an :func:`entry_point`, and does nothing in a worker or while a file is imported.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import inspect
import json
import linecache
import math
import os
import sys
import threading
import types
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..data.errors import BadInput
from .operation import Draw, Operation, Operations, Signature, names_a_file

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TIMEOUT_S = 60.0
"""How long a file may take to be imported."""

WORKER = "MULTIGRAD_WORKER"
"""The environment variable that worker processes have, and all that they start."""

TRIED_ENTRIES = 10**6
"""Inputs of so many entries or fewer are drawn once where a file is read, so that a generator that fails says so."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


# Where a function is


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

    def __init__(self, name: str, doc: str | None, source: Source, reference: str) -> None:
        self.__name__, self.__doc__, self.__module__ = name, doc, source.module
        self.source, self.reference = source, reference

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


# Nothing starts anew


class _Underway(threading.local):
    """What this thread is at."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        """The files that are being imported, the outermost first."""
        self.skipped = False
        """Whether an entry point did nothing since the outermost was begun."""


_underway = _Underway()
_said: set[str] = set()


def entry_point(nothing: Callable[[], Any]) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Let a function that starts workers do nothing in a worker, in what that starts, or while a file is imported.

    Args:
        nothing: makes what it returns instead.
    """

    def wrap(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(function)
        def entered(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if WORKER not in os.environ and not _underway.files:
                return function(*args, **kwargs)
            if not _underway.skipped:
                _report(_underway.files[-1] if _underway.files else None, function.__name__)
            _underway.skipped = True
            result: Result = nothing()
            return result

        return entered

    return wrap


def no_rows(columns: Iterable[str]) -> Callable[[], pd.DataFrame]:
    """Return what makes a table of some columns without rows: what an entry point returns instead."""
    names = list(columns)

    def make() -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(columns=names)

    return make


def say_once(text: str) -> None:
    """Say something to a person, once: every worker has the same to say."""
    if text not in _said:
        _said.add(text)
        with contextlib.suppress(AttributeError, OSError, ValueError):  # nobody may be there to read
            print(f"multigrad: {text}", file=sys.stderr, flush=True)  # noqa: T201


tell: Callable[[str], None] = say_once
"""Says something to a person; a worker lets its parent do so."""


def _report(path: Path | None, name: str) -> None:
    who = "an operation" if path is None else path.name
    tell(
        f"{who} calls multigrad's {name} while it is imported to be checked; that call does nothing "
        '(`if __name__ == "__main__":` keeps it from being made)'
    )


# A file is imported here


def imported(path: Path) -> Sequence[Operation]:
    """Import a file and return its operations.

    Raises:
        BadInput: it is not there, holds none, or fails on import; the message has the line.
    """
    whole, mtime_ns = _regular(path)
    return _imported(whole, mtime_ns)


def _regular(path: Path) -> tuple[str, int]:
    if not path.is_file():
        there = f"{path} is no file" if path.exists() else f"no file {path}"
        raise BadInput(f"{there}; wanted a Python file that defines an @operation")
    return str(path.resolve()), path.stat().st_mtime_ns


@functools.cache
def _imported(path: str, mtime_ns: int) -> tuple[Operation, ...]:
    before = _numpy()
    module = import_file(path, lambda module: bool(of_module(module)))
    short = Path(path).name
    ops = of_module(module)
    if not ops:
        raise BadInput(f"{short} defines no operation; wanted a function decorated with @operation")
    _check_names(path, ops)
    if changed := [n for n, value in before.items() if vars(sys.modules[n[0]]).get(n[1]) is not value]:
        raise BadInput(
            f"{short} replaces {'.'.join(changed[0])}, which proofs are computed with; wanted a NumPy as it was"
        )
    for op in ops:
        if not op.reference:  # made inside a function, but found under its name in this file
            object.__setattr__(op, "reference", f"{path}::{op.name}")
    return tuple(ops)


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
    short = Path(path).name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    process = os.getpid()
    with _importing(Path(path)):
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and WORKER not in os.environ:
                raise  # a person's
            # After a check that gave it nothing a script cannot go on; its operations are there.
            if not (_underway.skipped and complete(module)):
                said = f": {error}" if isinstance(error, BadInput) else f" {raised(error, path)}"
                raise BadInput(f"{short}{said}") from error
    if os.getpid() != process and WORKER in os.environ:
        os._exit(0)  # a copy of this worker, which the file made
    return module


@contextlib.contextmanager
def _importing(path: Path) -> Iterator[None]:
    if not _underway.files:
        _underway.skipped = False
    _underway.files.append(path)
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        _underway.files.pop()
        with contextlib.suppress(ValueError):  # the file may have changed the path too
            sys.path.remove(folder)


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


def _numpy() -> dict[tuple[str, str], Any]:
    """Return the functions of NumPy, where that is imported, to see whether a file replaces one."""
    names = [(m, n) for m in ("numpy", "numpy.linalg") if m in sys.modules for n in vars(sys.modules[m])]
    values = {(m, n): vars(sys.modules[m])[n] for m, n in names if not n.startswith("_")}
    return {name: value for name, value in values.items() if callable(value)}


def raised(error: BaseException, path: str, when: str = " on import") -> str:
    """Say what the code of a file raised, and in which of its lines."""
    line = _line_in(error, path)
    if isinstance(error, SystemExit):
        return f"ended the process{when}{line}: sys.exit({error.code!r})"
    said = ""
    with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
        said = str(error)
    return f"raised{when}{line}: {type(error).__name__}{f': {said}' if said else ''}"


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
    counts = [[int(dimensions.get(s, s if s.isdigit() else 1)) for s in shape] for shape in op.signature.inputs]
    if sum(map(math.prod, counts)) <= TRIED_ENTRIES:
        op.make_inputs(size, 0)


# A file is imported elsewhere


def described(path: Path) -> Sequence[Operation]:
    """Let a worker import a file, and return its operations without their functions.

    Raises:
        BadInput: it is not there, holds none, fails on import, or ends, crashes or holds up the process.
    """
    if WORKER in os.environ:
        return imported(path)
    return _described(*_regular(path))


@functools.cache
def _described(path: str, mtime_ns: int) -> tuple[Operation, ...]:
    return tuple(_restored(said) for said in ask(f"{__name__}:describe", {"path": path}, path))


def ask(target: str, arguments: Mapping[str, Any], path: str, *, timeout_s: float | None = None) -> Any:
    """Let a worker answer that imports a file.

    Args:
        target: ``module:function``; it yields ``{"answer": …}``, or ``{"refused": …}``, why there is none.
        arguments: a JSON object.
        path: the file.
        timeout_s: how long it may take, in seconds; None is :data:`TIMEOUT_S`.

    Raises:
        BadInput: there is no answer.
    """
    from ..process import child as worker

    answer: Any = None
    for said in worker.run(target, arguments, timeout_s=timeout_s or TIMEOUT_S):
        if isinstance(said, worker.Death):
            raise BadInput(f"{Path(path).name} cannot be imported: {said.reason}")
        if "refused" in said:
            raise BadInput(said["refused"])
        answer = said["answer"]
    return answer


def describe(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Import a file and describe its operations; the worker's side."""
    import numpy as np  # noqa: F401 - before the file can touch it

    try:
        ops = imported(Path(arguments["path"]))
        for op in ops:
            if op.draw is not None:
                _try_to_draw_of(op, arguments["path"])
        yield {"answer": [_description(op) for op in ops]}
    except BadInput as error:
        yield {"refused": str(error)}


def _try_to_draw_of(op: Operation, path: str) -> None:
    try:
        try_to_draw(op)
    except BadInput as error:
        raise BadInput(f"{Path(path).name}: {error}") from error


def _description(op: Operation) -> dict[str, Any]:
    return {
        "name": op.name,
        "doc": op.function.__doc__,
        "signature": op.signature.text,
        "inputs": op.inputs,
        "differentiable": op.differentiable,
        "parameters": {name: _portable(value) for name, value in op.parameters.items()},
        "sizes": op.sizes,
        "draws": op.draw is not None,
        "dtypes": op.dtypes,
        "reference": op.reference,
        "source": asdict(source_of(op)),
    }


def _restored(said: Mapping[str, Any]) -> Operation:
    reference = said["reference"]
    return Operation(
        name=said["name"],
        function=Elsewhere(said["name"], said["doc"], Source(**said["source"]), reference),
        signature=Signature.parse(said["signature"]),
        inputs=tuple(said["inputs"]),
        differentiable=tuple(said["differentiable"]),
        parameters={name: _restored_value(value) for name, value in said["parameters"].items()},
        sizes={name: {k: _tupled(v) for k, v in size.items()} for name, size in said["sizes"].items()},
        draw=functools.partial(_drawn_elsewhere, reference) if said["draws"] else None,
        dtypes=tuple(said["dtypes"]),
        reference=reference,
    )


@dataclass(frozen=True)
class _Written:
    """A value that JSON cannot hold, as it is written."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _portable(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return {"written": repr(value)}
    return {"value": value}


def _restored_value(said: Mapping[str, Any]) -> Any:
    return _tupled(said["value"]) if "value" in said else _Written(said["written"])


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _drawn_elsewhere(reference: str, draw: Draw, **size: Any) -> list[np.ndarray]:
    """Let a worker draw the inputs of an operation whose generator it has."""
    import numpy as np

    regime = f"{draw.regime}:{draw.dtype}"
    arguments = {"reference": reference, "seed": draw.seed, "regime": regime, "size": size}
    arrays = ask(f"{__name__}:draw_inputs", arguments, reference.partition("::")[0])
    return [np.array(a["values"], dtype=a["dtype"]).reshape(a["shape"]) for a in arrays]


def draw_inputs(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Draw the inputs of an operation; the worker's side."""
    import numpy as np

    from .operation import load_operations

    try:
        (op,) = load_operations([arguments["reference"]])
        assert op.draw is not None
        size = {name: _tupled(value) for name, value in arguments["size"].items()}
        arrays = [np.asarray(a) for a in op.draw(Draw(arguments["seed"], arguments["regime"]), **size)]
    except Exception as error:  # noqa: BLE001 - it is somebody's code
        yield {"refused": str(error) if isinstance(error, BadInput) else f"inputs= {raised(error, '', '')}"}
        return
    yield {"answer": [{"dtype": a.dtype.str, "shape": a.shape, "values": a.ravel().tolist()} for a in arrays]}


# What was received names code


def files_of(ops: Operations) -> list[Path]:
    """Return the files that operations given as such, by name or by file lie in, without a look into them."""
    given: Iterable[Operation | str] = [] if ops is None else [ops] if isinstance(ops, Operation | str) else ops
    references = [one.reference if isinstance(one, Operation) else one for one in given]
    return [Path(reference.partition("::")[0]) for reference in references if names_a_file(reference)]


def allowed(reference: str, files: Sequence[Path], origin: str, how: str) -> str:
    """Return a reference that stands in a file that was received, if a person gave the code that it names too.

    Args:
        reference: a catalogue name, or ``path.py::name``.
        files: what the person gave.
        origin: the file that was received.
        how: what to do, with ``FILE`` for the file.

    Raises:
        BadInput: it names a file that was not given: reading results runs no code that they bring or point at.
    """
    path, _, name = reference.partition("::")
    if not names_a_file(reference):
        return reference
    for file in files:
        if os.path.realpath(file) == os.path.realpath(path):
            return f"{file.resolve()}::{name}"
    way = how.replace("FILE", path)
    raise BadInput(f"{origin} names {name or 'operations'} of {path}, which is code; to let it run: {way}")

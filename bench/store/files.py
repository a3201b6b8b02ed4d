"""The files of a run: a journal while it runs, tables when it ends; each file complete or absent."""

from __future__ import annotations

import contextlib
import csv
import errno
import fcntl
import functools
import gzip
import itertools
import json
import logging
import math
import os
import re
import secrets
import shutil
import sys
import time
import typing
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TextIO

import msgspec

from multigrad.data.columns import doc
from multigrad.data.decode import (
    TEXT_BYTES,
    Amount,
    Count,
    Elapsed,
    Int64,
    Positive,
    Seconds,
    decode,
    from_json,
    read_bytes,
    reason,
    regular_file,
)
from multigrad.data.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger("multigrad")

SCHEMA = 1
"""Version of the files. It changes when a column changes its meaning; appending a column does not."""

JOURNAL, RUN, MATRIX = "journal.jsonl", "run.json", "matrix.csv"
SUMMARY, SAMPLES = "summary.csv", "samples.csv.gz"
SCALING = "scaling.csv"
BEFORE = "before"
"""Folder within a run that holds what another commit measured in the same rounds, itself a run."""

FREE_BYTES = 2**26
"""Room that a run must find on its disk: the largest journal of a full run is a few tens of MB."""

MAX_ROWS, MAX_LINE = 20_000_000, 2**20
"""The most rows that a table is read with (a fleet's run of 10,000 cells has 1.5 million samples), and bytes in one."""


@dataclass(frozen=True)
class SummaryRow:
    """One cell: one variant of one operation at one size on one backend, from all its processes."""

    operation: str = doc("Name of the operation.")
    variant: str = doc("`forward`, `analytic` (hand-derived), `autodiff` (the framework's own) or `native`.")
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type of inputs and outputs.")
    sizes: str = doc("Dimensions and parameters, such as `m=512 k=256 n=256`.")
    threads: Count = doc("Threads every library was allowed; the process was bound to as many physical cores.")
    precision: str = doc("`strict`: float32 products in float32. `tf32`: TensorFloat-32 allowed.")
    median_s: Elapsed = doc("Seconds per call: median of the process medians, of blocks of the kind in `headline`.")
    ci_low_s: Elapsed = doc("Lower end of its 95 % interval in seconds, from a bootstrap of processes, then blocks.")
    ci_high_s: Elapsed = doc("Upper end of its 95 % interval in seconds.")
    min_s: Elapsed = doc("Seconds per call of the fastest block.")
    q1_s: Elapsed = doc("First quartile of the seconds per call over all blocks.")
    q3_s: Elapsed = doc("Third quartile of the seconds per call over all blocks.")
    processes: Count = doc("Fresh processes that measured it.")
    blocks: Count = doc("Timed blocks of the headline's kind in all processes together.")
    first_call_s: Seconds = doc(
        "Seconds from having the function to having its first result, compiling included; cold."
    )
    dispatch_s: Seconds = doc("Seconds until a call returns, without waiting for its result; median.")
    to_device_s: Seconds = doc("Seconds to copy all its arguments to the device; median of the processes.")
    to_host_s: Seconds = doc("Seconds to copy all its results to the host; median of the processes.")
    flops: Amount | None = doc("Floating-point operations of one call, by the cost model.")
    bytes: Amount | None = doc("Bytes that one call must move at least, by the cost model.")
    gflop_per_s: Amount | None = doc("`flops` over `median_s`, in 10⁹ operations per second.")
    gbyte_per_s: Amount | None = doc("`bytes` over `median_s`, in 10⁹ bytes per second.")
    roof_percent: Amount | None = doc("Least time that peak rate and bandwidth allow, over `median_s`, in percent.")
    peak_bytes: Amount | None = doc(
        "Peak memory of one call beyond its arguments, in bytes, from a process of its own."
    )
    verdict: str = doc("PASS or NOTE: the result is right and has a time; else why there is none.")
    flags: str = doc("What is doubtful about the time, separated by spaces; a flagged cell cannot be a winner.")
    reason: str = doc("What is wrong, missing or worth knowing; empty for a plain PASS.")
    size: str = doc("The size's name in the operation, such as `medium`; empty where it was given in numbers.")
    headline: str = doc("`latency` (every call waited for; CPU) or `pipelined` (n calls, one wait; accelerators).")
    latency_s: Elapsed = doc("Seconds per call when every call is waited for: median of the process medians.")
    pipelined_s: Elapsed = doc("Seconds per call when n calls are made before one wait: median of the process medians.")
    calls: Count = doc("Calls in a block of the headline's kind.")
    trace_s: Seconds | None = doc("Seconds of the first call spent tracing, where the framework tells.")
    lower_s: Seconds | None = doc("Seconds of the first call spent lowering, where the framework tells.")
    compile_s: Seconds | None = doc("Seconds of the first call spent compiling, where the framework tells.")
    import_s: Seconds = doc("Seconds to import and open the framework, in the first round.")
    first_operation_s: Seconds = doc("Seconds of the device's first transfer and addition, in the first round.")
    bound: str = doc("What binds under the roof, `compute` or `memory`; empty without a cost model.")
    ratio: float = doc("Largest error of the gate, over its bound.")
    collectives: str = doc(
        "On a mesh, the collective operations that the compiler put in, as `all-reduce 2`, or `none`; else empty.", ""
    )
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")


@dataclass(frozen=True)
class SampleRow:
    """One timed block."""

    operation: str = doc("Name of the operation.")
    variant: str = doc("`forward`, `analytic`, `autodiff` or `native`.")
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type of inputs and outputs.")
    sizes: str = doc("Dimensions and parameters, such as `m=512 k=256 n=256`.")
    threads: Count = doc("Threads every library was allowed.")
    precision: str = doc("`strict` or `tf32`.")
    round: Count = doc("Round, from 0. Round, cell and twin together name a process.")
    twin: Count = doc("0; 1 for the second half of an A/A pair, which is no part of the summary.")
    block: Count = doc("Number of the block in its process, from 0, in order of time.")
    kind: str = doc("`latency`: every call waited for. `pipelined`: n calls, then one wait.")
    calls: Positive = doc("Calls in the block, a power of two.")
    block_s: Elapsed = doc("Wall time of the whole block, in seconds.")
    dispatch_s: Seconds | None = doc("Wall time until the last call returned, before the wait, in seconds.")
    cpu_s: Seconds = doc("CPU time of all threads of the process during the block, in seconds.")
    involuntary_switches: Count = doc("Times the kernel took the processor away from the process during the block.")
    clock_hz: Amount | None = doc("Clock of the first processor used, after the block, in Hz; empty where unknown.")
    device_clock_hz: Amount | None = doc("Clock of the GPU's multiprocessors, after the block, in Hz.")
    waited_s: Seconds | None = doc(
        "Time that threads of the process were ready and others had the processor, summed, in seconds: what the kernel "
        "tells of the block, scaled down, if need be, to the time that others ran during the turns of the cell."
    )
    throttle_reasons: Count = doc("The GPU driver's reasons for slowing down, as its bit mask; 0 is none.")
    turn: Count = doc(
        "Number of the turn in which it was timed, from 0 for each kind: the workers of a round take turns, and turns "
        "of one number at one cell followed each other. Means nothing where `turns` in `run.json` is not true."
    )
    load: Amount = doc("Load of the machine over the last minute when the cell ended: processes that wanted to run.")
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")


KEY = ("operation", "variant", "mode", "backend", "device", "dtype", "sizes", "threads", "precision", "machine")
"""The columns that make a row of the summary the same cell in another run."""


@dataclass(frozen=True)
class Run:
    """A run, read or just measured."""

    folder: Path | None
    """Where its files lie; None if it was not to be kept."""
    info: dict[str, Any]
    """What ``run.json`` holds."""
    summary: pd.DataFrame
    """One row per cell, the columns of :class:`SummaryRow`."""
    samples: pd.DataFrame
    """One row per block, the columns of :class:`SampleRow`."""
    matrix: pd.DataFrame | None = None
    """The correctness matrix, if the run has one."""
    before: Run | None = None
    """The same cells of another commit, measured in the same rounds, if that was asked for."""

    @property
    def noise_floor(self) -> float | None:
        """Largest relative difference between the halves of an A/A pair; None without one."""
        floor: float | None = self.info.get("noise_floor")
        return floor

    @property
    def machines(self) -> Mapping[str, Mapping[str, Any]]:
        """What ``run.json`` says of each machine, by the name in the column ``machine``: empty where there is one."""
        return machines_of(self.info)


def no_run() -> Run:
    """Return a run of nothing."""
    return Run(None, {}, to_frame([], SummaryRow), to_frame([], SampleRow))


def machines_of(info: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return what a ``run.json`` says of each machine, by its name; of one that was never given a name, all."""
    return info.get("machines") or {"": info}


def new_run(root: Path, machine: str) -> Path:
    """Make the folder of a new run, ``root/machine/YYYYmmdd-HHMMSS-xxxx``, and return it.

    Raises:
        BadInput: it cannot be made, or the disk is full.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    folder = Path(root) / machine / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder with --out") from error
    check_writable(folder)
    return folder


def make_folder(folder: Path) -> None:
    """Make the folder of a run of its own name.

    Raises:
        BadInput: it cannot be made or written to, or holds a run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder with --out") from error
    if any((folder / name).exists() for name in (JOURNAL, RUN)):
        raise BadInput(f"{folder} already holds a run; choose another folder with --out")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Make sure that a folder can be written to and has room.

    Raises:
        BadInput: it cannot, in one line.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_text("x", encoding="utf-8")
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}; choose another folder with --out") from error
    if free < FREE_BYTES:
        raise BadInput(f"{folder}: {free / 2**20:.0f} MiB free on its disk; a run needs {FREE_BYTES / 2**20:.0f} MiB")


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Give a path to write to that becomes the real one when everything is on disk, and vanishes otherwise."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    with _aside(Path(path)) as temporary:
        # Half a surrogate pair, which JSON can hold and UTF-8 cannot, is written as JSON writes it.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, compressed if the name ends in ``.gz``, complete or not at all."""
    path = Path(path)
    with _aside(path) as temporary:
        # The csv module of Python 3.11 leaves a lone carriage return without the quotes that its reader wants.
        returns = any("\r" in text for texts in _texts(frame).values() for text in texts)
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
        text = _guarded(frame).to_csv(index=False, lineterminator="\n", quoting=quoting)
        data = text.encode(errors="backslashreplace")
        # No time and no name in the compressed file: the same table is the same bytes.
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


_FORMULA, _GUARDED = re.compile(r"'*[=+\-@\t\r]"), re.compile(r"'+[=+\-@\t\r]")
"""A text that a spreadsheet would take for a formula, apostrophes before it or not; and one that was guarded."""


def _guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before every text that a spreadsheet would take for a formula; :func:`read_rows` takes it away.

    Source: OWASP, "CSV Injection".
    """
    import pandas as pd

    def guard(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value

    wanted = [name for name, texts in _texts(frame).items() if any(map(_FORMULA.match, texts))]
    changed = {name: pd.Series([*map(guard, frame[name])], frame.index, dtype=object) for name in wanted}
    return frame.assign(**changed)


def _texts(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Return the different texts of every column that may hold some."""
    columns = {str(name): column.unique() for name, column in frame.items() if column.dtype.kind == "O"}
    return {name: [value for value in values if isinstance(value, str)] for name, values in columns.items()}


def to_frame(rows: Sequence[Any], row_class: type) -> pd.DataFrame:
    """Return dataclass instances as a table whose columns have the types of the fields."""
    import pandas as pd

    columns = {f.name: [getattr(row, f.name) for row in rows] for f in fields(row_class)}
    return pd.DataFrame({name: _typed(values, *type_of(row_class, name)) for name, values in columns.items()})


def type_of(row_class: type, name: str) -> tuple[type, bool]:
    """Return the plain type of a field of a row class, and whether it may be empty."""
    hint = _hints(row_class)[name]
    options = [t for t in typing.get_args(hint) if t is not type(None)] or [hint]
    return options[0], type(None) in typing.get_args(hint)


def blank(row_class: type) -> dict[str, Any]:
    """Return a row's values where nothing is known: the default of each field, else an empty text, 0 or None."""
    values: dict[str, Any] = {}
    for f in fields(row_class):
        kind, optional = type_of(row_class, f.name)
        values[f.name] = f.default if f.default is not MISSING else None if optional else {str: "", int: 0}.get(kind)
    return values


@functools.cache
def _hints(row_class: type, *, with_ranges: bool = False) -> dict[str, Any]:
    return typing.get_type_hints(row_class, include_extras=with_ranges)


def _typed(values: list[Any], kind: type, optional: bool) -> Any:
    import pandas as pd

    if kind is float:
        return pd.Series([math.nan if v is None else float(v) for v in values], dtype="float64")
    if kind is int and not optional:
        return pd.Series(values, dtype="int64")
    return pd.Series(values, dtype=object)


def read_rows(path: Path, row_class: type) -> pd.DataFrame:
    """Read a table whose columns are the fields of a row class.

    A number may be empty where its field is optional, or in a row whose verdict is not PASS or NOTE.

    Raises:
        BadInput: the file is not there or damaged; the message names file, row (a line of the file) and column.
    """
    path = Path(path)
    header, columns = _columns(path)
    names = [f.name for f in fields(row_class)]
    later = {f.name: f.default for f in fields(row_class) if f.default is not MISSING}
    missing = [name for name in names if name not in header and name not in later]
    if missing:
        raise BadInput(f"{path}: row 1: column {missing[0]!r} is missing; wanted {', '.join(names)}")
    verdicts = columns[header.index("verdict")] if "verdict" in header else None
    import pandas as pd

    found = {}
    for name in names:
        if name not in header:
            found[name] = pd.Series([later[name]] * len(columns[0]), dtype=object)
            continue
        texts = columns[header.index(name)]
        kind, optional = type_of(row_class, name)
        # The same text has the same value: most columns of a hundred thousand rows hold a few.
        numbers, known = pd.factorize(pd.Series(texts, dtype=object))
        values = []
        try:
            for text in known:
                values.append(_value(text, kind, _hints(row_class, with_ranges=True)[name]))
        except _Unreadable as error:
            shown = repr(text) if len(text) <= 60 else f"{text[:60]!r}…"
            raise BadInput(f"{path}: row {texts.index(text) + 2}: column {name!r} is {shown}; wanted {error}") from None
        if None in values and not optional:
            row = _needed(texts, verdicts)
            if row is not None:
                raise BadInput(f"{path}: row {row + 2}: column {name!r} is {texts[row] or 'empty'}; wanted a number")
        found[name] = _typed(values, kind, optional or None in values).take(numbers).reset_index(drop=True)
    return pd.DataFrame(found)


def _columns(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header of a table and its columns as texts."""
    header: list[str] = []
    columns: list[list[str]] = []
    rows = 0
    try:
        regular_file(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            reader = csv.reader(_lines(file), strict=True)
            header = next(reader, [])
            columns = [[] for _ in header]
            # In parts: the collector of garbage would look again and again at a hundred thousand rows.
            while lines := list(itertools.islice(reader, 1000)):
                for line in lines:
                    rows += 1
                    if len(line) != len(header):
                        raise BadInput(f"{path}: row {rows + 1}: found {len(line)} values, wanted {len(header)}")
                if rows > MAX_ROWS:
                    raise BadInput(f"{path} has more than {MAX_ROWS} rows, which no run has")
                for column, texts in zip(columns, zip(*lines, strict=True), strict=True):
                    column.extend(texts)
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from error
    if len({*header}) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise BadInput(f"{path}: row 1: column {twice!r} is there twice")
    return header, columns


def _lines(file: gzip.GzipFile | IO[bytes]) -> Iterator[str]:
    """Yield the lines of a table one at a time: compressed, a thousandth of the bytes claim to be all of them."""
    encoding = "utf-8-sig"  # what a spreadsheet writes first
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE} bytes")
        yield line.decode(encoding)
        encoding = "utf-8"


_NONE = ("", "nan", "NaN")


class _Unreadable(Exception):
    """A text is no value of its column; the message is what was wanted."""


def _needed(texts: Sequence[str], verdicts: Sequence[str] | None) -> int | None:
    """Return the first row that lacks a number although it passed, or None."""
    passed = [True] * len(texts) if verdicts is None else [verdict in ("PASS", "NOTE") for verdict in verdicts]
    return next((i for i, text in enumerate(texts) if text in _NONE and passed[i]), None)


def _value(text: str, kind: type, described: Any) -> Any:
    if kind is str:
        return text[1:] if _GUARDED.match(text) else text
    if text in _NONE:
        return None
    if kind is bool:
        if text not in ("True", "False"):
            raise _Unreadable("True or False")
        return text == "True"
    try:
        number = float(text)
        value = int(number) if kind is int and number.is_integer() else number
    except (ValueError, OverflowError):
        raise _Unreadable("a number" if kind is float else "a whole number") from None
    if kind is int and not isinstance(value, int):
        raise _Unreadable("a whole number")
    try:
        return msgspec.convert(value, Int64 if described is int else described)
    except msgspec.ValidationError as error:
        name = "a whole number" if kind is int else "a number"
        raise _Unreadable(re.sub(r"^Expected `[^`]*`", name, str(error))) from None


def read_info(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` holds.

    Raises:
        BadInput: it is not there, not JSON, or of another version.
    """
    path = Path(folder) / RUN
    if not os.path.lexists(path):
        raise BadInput(f"{folder} is no run: it has no {RUN}")
    info = from_json(path, read_bytes(path))
    if not isinstance(info, dict) or info.get("schema") != SCHEMA:
        found = info.get("schema") if isinstance(info, dict) else type(info).__name__
        raise BadInput(f"{path}: schema is {found!r:.60}; this version reads {SCHEMA}")
    decode(path, info, _schema().RunInfo)
    return info


def _schema() -> Any:
    """Return the shapes of ``run.json`` and of the journal, which are made of row classes and protocols."""
    from . import schema

    return schema


def load_run(folder: Path) -> Run:
    """Read a run. One that was killed is first rebuilt from its journal.

    Raises:
        BadInput: there is none, or a file is damaged.
    """
    run = _one_side(Path(folder))
    beside = Path(folder) / BEFORE
    return replace(run, before=_one_side(beside)) if os.path.lexists(beside / RUN) else run


def _one_side(folder: Path) -> Run:
    if not os.path.isdir(folder):
        raise BadInput(f"no folder {folder}; wanted the folder of a run, such as results/<machine>/<run>")
    if os.path.lexists(folder / JOURNAL) and not os.path.lexists(folder / SUMMARY):
        rebuild(folder)
    info = read_info(folder)
    tables: dict[str, pd.DataFrame | None] = {}
    for name, row_class in ((SUMMARY, SummaryRow), (SAMPLES, SampleRow), (MATRIX, _matrix_row())):
        tables[name] = read_rows(folder / name, row_class) if os.path.lexists(folder / name) else None
    if tables[SUMMARY] is None and tables[MATRIX] is None:
        raise BadInput(f"{folder} holds neither {SUMMARY} nor {MATRIX}")
    empty = to_frame([], SummaryRow), to_frame([], SampleRow)
    summary, samples = (e if t is None else t for e, t in zip(empty, (tables[SUMMARY], tables[SAMPLES]), strict=True))
    return Run(folder, info, summary, samples, tables[MATRIX])


def _matrix_row() -> type:
    from multigrad.matrix.rows import MatrixRow

    return MatrixRow


def rebuild(folder: Path) -> Run:
    """Write the tables of a run from its journal, and return the run.

    Raises:
        BadInput: there is no journal, or it is damaged.
    """
    from ..analysis.assemble import assemble
    from ..analysis.merge import of_portions

    folder = Path(folder)
    events = journal_events(folder)
    begin = next(events)
    of_a_fleet = "portions" in begin
    run = of_portions(begin, events, folder) if of_a_fleet else assemble([begin, *events], folder)
    write_run(run)
    return run


def write_run(run: Run) -> None:
    """Write the tables and ``run.json`` of a run into its folder."""
    if run.folder is None:
        return
    if run.before is not None and run.before.folder is not None:
        try:
            run.before.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {run.before.folder}: {error.strerror}") from error
        write_run(run.before)
    from ..analysis.scaling import scaling

    if run.matrix is not None:
        write_frame(run.matrix, run.folder / MATRIX)
    write_frame(run.samples, run.folder / SAMPLES)
    sweeps = scaling(run)
    if len(sweeps):
        write_frame(sweeps, run.folder / SCALING)
    write_frame(run.summary, run.folder / SUMMARY)
    write_text(run.folder / RUN, json.dumps(run.info, indent=1, ensure_ascii=False) + "\n")


class Journal:
    """What is measured, on disk at once: one JSON object a line. Open, it belongs to one process."""

    def __init__(self, folder: Path, *, new: bool) -> None:
        """Open the journal of a run.

        Raises:
            BadInput: there is one already (or none, to go on with), or another process has it open.
        """
        self.path = Path(folder) / JOURNAL
        if new and any((Path(folder) / name).exists() for name in (JOURNAL, SUMMARY)):
            raise BadInput(f"{folder} already holds a run; two runs do not mix: choose another folder or --resume")
        if not new and not self.path.exists():
            raise BadInput(f"{folder} has no {JOURNAL}: it is complete, or no run")
        try:
            self.file: TextIO = self.path.open("x" if new else "r+", encoding="utf-8", errors="backslashreplace")
            self._lock()
        except OSError as error:
            taken = error.errno in (errno.EWOULDBLOCK, errno.EEXIST)
            said = "another process is writing it" if taken else error.strerror
            raise BadInput(f"cannot write {self.path}: {said}") from error
        if not new:
            self._drop_a_damaged_line()

    def _lock(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise

    def _drop_a_damaged_line(self) -> None:
        # A process that was killed, or a machine that lost its power, may have left one.
        try:
            size = max((end for _, end in _rows(self.path)), default=0)
        except BadInput:
            self.close()
            raise
        if size:  # a file in which no run begins is not ours to cut
            self.file.truncate(size)
        self.file.seek(0, os.SEEK_END)

    def append(self, event: Mapping[str, Any]) -> None:
        """Write an event and return when it is on disk.

        Raises:
            BadInput: the disk is full.
        """
        try:
            self.file.write(json.dumps(event, ensure_ascii=False) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise BadInput(
                f"cannot write {self.path}: {error.strerror}; what is in it is kept, --resume goes on"
            ) from error

    def close(self) -> None:
        """Give the journal back."""
        with contextlib.suppress(OSError):
            self.file.close()


def journal_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a run; the journal of a fleet may be larger than memory.

    A damaged last line is left out, with a warning in the log: whoever wrote it was interrupted.

    Raises:
        BadInput: there is no journal, or another line of it is no event of the run; the message names the row.
    """
    path = Path(folder) / JOURNAL
    if not os.path.lexists(path):
        raise BadInput(f"{folder} has no {JOURNAL}: it is complete, or no run")
    empty = True
    for event, _ in _rows(path):
        empty = False
        yield event
    if empty:
        raise BadInput(f"{path}: row 1: no run begins here")


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each event of a journal, with how many bytes the journal has up to its end."""
    regular_file(path)
    begin = None
    try:
        with path.open("rb") as file:
            for number in itertools.count(1):
                line = file.readline(TEXT_BYTES)
                if not line:
                    return
                try:
                    event, described = _event(f"{path}: row {number}", line, begin)
                except BadInput as error:
                    if file.read(1):
                        raise
                    LOG.warning("%s; it is the last row, and is left out", error)
                    return
                begin = begin or described
                yield event, file.tell()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from error


def _event(where: str, line: bytes, begin: Any) -> tuple[dict[str, Any], Any]:
    """Return an event as its JSON holds it and as its type describes it.

    Args:
        where: file and row.
        line: its JSON.
        begin: the first event of the journal, described; None if this is the first.
    """
    schema = _schema()
    if not line.endswith(b"\n"):
        raise BadInput(f"{where}: cut short")
    event = from_json(where, line)
    if begin is None and not (isinstance(event, dict) and event.get("event") == "run"):
        raise BadInput(f"{where}: no run begins here")
    described = decode(where, event, schema.Event)
    if begin is not None:
        try:
            schema.check_event(begin, described)
        except ValueError as error:
            raise BadInput(f"{where}: {reason(error)}") from error
    elif described.info.schema != SCHEMA:
        raise BadInput(f"{where}: info.schema is {described.info.schema}; this version reads {SCHEMA}")
    return event, described


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a run.

    Raises:
        BadInput: as :func:`journal_events`.
    """
    return list(journal_events(folder))


def columns_markdown() -> str:
    """Return the documentation of every file of a run, from the row classes."""
    from ..analysis.scaling import ScalingRow

    parts = ["# Results", _PREFACE.strip()]
    files = ((MATRIX, _matrix_row()), (SUMMARY, SummaryRow), (SAMPLES, SampleRow), (SCALING, ScalingRow))
    for name, row_class in files:
        lines = ["| column | type | meaning |", "| --- | --- | --- |"]
        for f in fields(row_class):
            kind, optional = type_of(row_class, f.name)
            lines.append(
                f"| `{f.name}` | {kind.__name__}{', may be empty' if optional else ''} | {f.metadata['doc']} |"
            )
        parts += [f"## {name}", (row_class.__doc__ or "").split("\n")[0], "\n".join(lines)]
    from ..analysis.assemble import FLAGS

    parts += ["## Flags", "\n".join(f"- `{name}`: {meaning}" for name, meaning in FLAGS.items())]
    return "\n\n".join(parts) + "\n"


_PREFACE = """
Written by the tool, one folder for each machine and run: `results/<machine>/<run>/`. This page is generated from the
row classes in the source. Numbers are in SI units, which stand in the column names. A number is empty where its row has
no right result (see `verdict`), or where its column says so. A text that a spreadsheet would take for a formula, for it
begins with `=`, `+`, `-` or `@`, has an apostrophe before it.

`run.json` holds the schema version, the command, the seed, the state of the source, the host and its devices, versions,
threads and precision as the libraries reported them, the environment variables that matter, the noise floor of the A/A
pairs, whether the workers of a round took turns (`turns`), and every constant of the protocol. An unfinished run also
has `journal.jsonl`, from which `--resume` goes on. A run of several machines (made by `multigrad run --fleet` or by
`multigrad merge`) says in `machines` of each, by its name in the column `machine`, what is said of one above, with the
`fingerprint` that has to be the same for its times to be compared with another run's.
`scaling.csv` is there when a run has three sizes or more of one operation; the folder `before/` when another commit was
measured in the same rounds, and is itself a run.
"""


def main() -> None:
    """Write the documentation of the columns: ``python -m multigrad.bench.store.files results/README.md``."""
    write_text(Path(sys.argv[1]), columns_markdown())


if __name__ == "__main__":
    main()

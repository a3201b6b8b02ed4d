"""Tables: rows to data frames, to CSV files and back, each column with the type of its field."""

from __future__ import annotations

import csv
import functools
import gzip
import itertools
import math
import re
import typing
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec

from multigrad.data.decode import Int64, reason, regular_file
from multigrad.data.errors import BadInput

from .folder import aside

if TYPE_CHECKING:
    import pandas as pd


MAX_ROWS, MAX_LINE = 20_000_000, 2**20
"""The most rows that a table is read with (a fleet's run of 10,000 cells has 1.5 million samples), and bytes in one."""


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, compressed if the name ends in ``.gz``, complete or not at all."""
    path = Path(path)
    with aside(path) as temporary:
        # The csv module of Python 3.11 leaves a lone carriage return without the quotes that its reader wants.
        returns = any("\r" in text for texts in _texts(frame).values() for text in texts)
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
        text = _guarded(frame).to_csv(index=False, lineterminator="\n", quoting=quoting)
        data = text.encode(errors="backslashreplace")
        # No time and no name in the compressed file: the same table is the same bytes.
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def frame_json(frame: pd.DataFrame, orient: Literal["records", "split"]) -> str:
    """Return a table as JSON: NaN and infinity as null, and half a surrogate pair as its escape.

    Ten decimals, which pandas writes by default, are not enough of a microsecond.
    """
    import pandas as pd

    def whole(value: Any) -> Any:
        return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value

    halves = [name for name, texts in _texts(frame).items() if any(map(_SURROGATE.search, texts))]
    changed = {name: pd.Series([*map(whole, frame[name])], frame.index, dtype=object) for name in halves}
    text: str = frame.assign(**changed).to_json(orient=orient, double_precision=15)
    return text


_SURROGATE = re.compile("[\ud800-\udfff]")
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
    import pandas as pd

    path = Path(path)
    header, columns = _columns(path)
    names = [f.name for f in fields(row_class)]
    later = {f.name: f.default for f in fields(row_class) if f.default is not MISSING}
    missing = [name for name in names if name not in header and name not in later]
    if missing:
        raise BadInput(f"{path}: row 1: column {missing[0]!r} is missing; wanted {', '.join(names)}")
    verdicts = columns[header.index("verdict")] if "verdict" in header else None
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

"""Everything that is read back is decoded here: files to bytes, bytes to values, values to their types.

A file that somebody sent may hold anything. Its types say what is wanted, field by field, with ranges. What does not
fit is one line that names the file, the place in it, what was found and what was wanted.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from .errors import BadInput

T = TypeVar("T")

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column of whole numbers holds."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
"""How many of something, or its number."""
Positive = Annotated[int, Meta(ge=1, le=2**53)]
Amount = Annotated[float, Meta(ge=0, le=1e24)]
"""Something that is not negative: a rate, bytes, operations, a share. Finite; no machine has more."""
Rate = Annotated[float, Meta(ge=1, le=1e24)]
"""Operations or bytes per second, to divide by."""
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""A duration; 1e9 s are thirty years."""
Elapsed = Annotated[float, Meta(ge=1e-15, le=1e9)]
"""A duration to divide by."""
Instant = Annotated[float, Meta(ge=0, le=1e11)]
"""Seconds since 1970."""
Factor = Annotated[float, Meta(ge=1e-24, le=1e24)]
"""A quotient of times."""

TEXT_BYTES = 2**28
"""The largest file of JSON or TOML, and the longest line of a journal: a portion of a fleet's run has 1 MB."""
DEPTH = 32
"""The deepest nesting: what walks through values need not be ready for more."""


def regular_file(path: str | os.PathLike[str]) -> int:
    """Return the size of a file in bytes.

    Raises:
        BadInput: it is not there, cannot be looked at, or is no regular file, such as a folder, a pipe or a device.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise BadInput(f"{path} is {kinds.get(stat.S_IFMT(status.st_mode), 'a device')}; wanted a file")
    return status.st_size


def read_bytes(path: str | os.PathLike[str], limit: int = TEXT_BYTES) -> bytes:
    """Return the bytes of a file.

    Raises:
        BadInput: as :func:`regular_file`; or it is larger than the limit, in bytes.
    """
    size = regular_file(path)
    if size > limit:
        raise BadInput(f"{path} has {size} bytes; wanted at most {limit}")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from error


def from_json(where: str | os.PathLike[str], data: bytes) -> Any:
    """Return the values of a JSON text. NaN and Infinity are numbers, as Python writes them.

    Raises:
        BadInput: it is not JSON, or nested deeper than :data:`DEPTH`.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON: {reason(error)}") from error
    level = [value]
    for _ in range(DEPTH):
        containers = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [*itertools.chain.from_iterable(containers)]
    if level:
        raise BadInput(f"{where}: nested more than {DEPTH} deep")
    return value


def decode(where: str | os.PathLike[str], value: Any, kind: type[T]) -> T:
    """Return values as an instance of a type.

    Args:
        where: the file, and the row in it, for the message.
        value: what a JSON or TOML text holds.
        kind: a struct, a dataclass, or anything else that msgspec knows. A ``ValueError`` that its ``__post_init__``
            raises begins with the name of the field that is wrong.

    Raises:
        BadInput: with the place, what was found there, and what was wanted.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {short(_worded(str(error), value))}") from error
    except UnicodeEncodeError as error:
        raise BadInput(f"{where}: a name holds half a surrogate pair, which is no letter") from error


def _worded(message: str, value: Any) -> str:
    """Return msgspec's message in the words of this tool: place, found, wanted."""
    match = re.fullmatch(r"(.*?)(?: - at `(.*)`)?", message, re.DOTALL)
    text, path = (match[1], match[2] or "$") if match else (message, "$")
    place = path.removeprefix("$").removeprefix(".")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"{f'{place}.' if place else ''}{missing[1]} is missing"
    if wanted := re.fullmatch(r"Expected (.*?)(?:, got (.*))?", text):
        kind, got = wanted[1].replace("`", ""), (wanted[2] or "").replace("`", "")
        found = _found(value, path) or got
        return f"{place or 'it'} is {found}; wanted {kind}" if found else f"{place}: wanted {kind}"
    if text.startswith(("Invalid", "Number out of range")):
        return f"{place or 'it'} is {_found(value, path) or 'wrong'}: {text.replace('`', '')}"
    return f"{f'{place}.' if place else ''}{text}"


def _found(value: Any, path: str) -> str:
    """Return what stands at a place; nothing where the place does not say at which name of an object."""
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path):
        try:
            value = value[name] if name else value[int(index)]
        except (LookupError, TypeError, ValueError):
            return ""
    if isinstance(value, dict | list):
        return f"an array of length {len(value)}" if isinstance(value, list) else "an object"
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}…"


def reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return short(getattr(error, "strerror", None) or str(error))


def short(text: str) -> str:
    """Return a text of any length in one line that can be read."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}…"

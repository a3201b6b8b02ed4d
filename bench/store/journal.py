"""The journal of a run: what is measured, on disk at once, one JSON object a line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from multigrad.data.decode import TEXT_BYTES, from_json, reason, regular_file
from multigrad.data.errors import BadInput

from .events import Begin, Event, check_event, read_event, to_json
from .folder import JOURNAL, SUMMARY
from .schema import SCHEMA

LOG = logging.getLogger("multigrad")


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

    def append(self, event: Event) -> None:
        """Write an event and return when it is on disk.

        Raises:
            BadInput: the disk is full.
        """
        try:
            self.file.write(json.dumps(to_json(event), ensure_ascii=False) + "\n")
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


def journal_events(folder: Path) -> tuple[Begin, Iterator[Event]]:
    """Return how a run begins, and its other events; the journal of a fleet may be larger than memory.

    A damaged last line is left out, with a warning in the log: whoever wrote it was interrupted.

    Raises:
        BadInput: there is no journal, or another line of it is no event of the run; the message names the row.
    """
    path = Path(folder) / JOURNAL
    if not os.path.lexists(path):
        raise BadInput(f"{folder} has no {JOURNAL}: it is complete, or no run")
    rows = _rows(path)
    begin, _ = next(rows, (None, 0))
    if not isinstance(begin, Begin):
        raise BadInput(f"{path}: row 1: no run begins here")
    return begin, (event for event, _ in rows)


def _rows(path: Path) -> Iterator[tuple[Event, int]]:
    """Yield each event of a journal, with how many bytes the journal has up to its end."""
    regular_file(path)
    begin: Begin | None = None
    try:
        with path.open("rb") as file:
            for number in itertools.count(1):
                line = file.readline(TEXT_BYTES)
                if not line:
                    return
                try:
                    event = _event(f"{path}: row {number}", line, begin)
                except BadInput as error:
                    if file.read(1):
                        raise
                    LOG.warning("%s; it is the last row, and is left out", error)
                    return
                begin = event if begin is None and isinstance(event, Begin) else begin
                yield event, file.tell()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {reason(error)}") from error


def _event(where: str, line: bytes, begin: Begin | None) -> Event:
    """Return the event of a line; ``begin`` is the journal's first event, None if this is the first."""
    if not line.endswith(b"\n"):
        raise BadInput(f"{where}: cut short")
    values = from_json(where, line)
    if begin is None and not (isinstance(values, dict) and values.get("event") == "run"):
        raise BadInput(f"{where}: no run begins here")
    event = read_event(where, values)
    if begin is not None:
        try:
            check_event(begin, event)
        except ValueError as error:
            raise BadInput(f"{where}: {reason(error)}") from error
    elif isinstance(event, Begin) and event.info["schema"] != SCHEMA:
        raise BadInput(f"{where}: info.schema is {event.info['schema']}; this version reads {SCHEMA}")
    return event

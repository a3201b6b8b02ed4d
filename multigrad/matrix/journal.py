"""The journal of a check: what has been judged, on disk as it comes, one JSON object a line.

A check that was killed goes on from its journal: what stands there is not computed again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from ..backend.registry import backend, backends_folder
from ..data.decode import TEXT_BYTES, from_json, reason, regular_file
from ..data.errors import BadInput
from ..ops.derived import Gradient
from ..ops.source import code_hash, file_hash
from .plan import Cell, Plan
from .rows import JudgedRow, message_of, rows_of

SCHEMA = 1
"""Of the lines of a journal."""

NO_JOURNAL = "{} is no journal of a check; wanted the file that --journal wrote"

Place = tuple[str, str]
"""A backend and a device."""


class Journal:
    """The rows of one check, on disk. Threads may write to it side by side."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """Open a journal; of one that is there already a last line that was cut short is dropped.

        Args:
            path: a file.
            new: whether it is to be made, or gone on with.

        Raises:
            BadInput: it is there (or none, to go on with), is no journal of this version, or cannot be written.
        """
        self.path = Path(path)
        self.rows: dict[str, list[JudgedRow]] = {}
        """By key, what stood in it when it was opened."""
        self._lock = threading.Lock()
        end = 0 if new else self._read()
        self._file = self._opened("x" if new else "r+")
        if new:
            self._write({"check": SCHEMA})
        else:
            self._file.truncate(end)
            self._file.seek(0, os.SEEK_END)

    def append(self, key: str, rows: Iterable[JudgedRow]) -> None:
        """Write the rows of one piece of work, complete.

        Raises:
            BadInput: the disk is full.
        """
        self._write({"key": key, **message_of(rows)})

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _opened(self, mode: Literal["x", "r+"]) -> TextIO:
        try:
            return self.path.open(mode, encoding="utf-8", errors="backslashreplace")
        except FileExistsError as error:
            raise BadInput(f"{self.path} is there already; go on with it (--resume), or choose another file") from error
        except OSError as error:
            raise BadInput(f"cannot write {self.path}: {error.strerror}") from error

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        try:
            with self._lock:
                self._file.write(text)
                self._file.flush()
        except OSError as error:
            raise BadInput(f"cannot write {self.path}: {error.strerror}; what is in it is kept") from error

    def _read(self) -> int:
        """Read all rows, and return where the last whole line ends."""
        end = 0
        try:
            regular_file(self.path)
            with self.path.open("rb") as file:
                while (line := file.readline(TEXT_BYTES)).endswith(b"\n"):
                    self._take(line, end)
                    end = file.tell()
        except OSError as error:
            raise BadInput(f"{self.path} cannot be read: {reason(error)}") from error
        if not end:
            raise BadInput(NO_JOURNAL.format(self.path))
        return end

    def _take(self, line: bytes, start: int) -> None:
        wrong = (
            f"{self.path}: {start} bytes on, no rows of a check stand here" if start else NO_JOURNAL.format(self.path)
        )
        try:
            values = from_json(str(self.path), line)
            if start:
                self.rows[str(values["key"])] = rows_of(values)
                return
            schema = values["check"]
        except (BadInput, KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadInput(wrong) from error
        if schema != SCHEMA:
            raise BadInput(f"{self.path}: its schema is {schema}; this version reads {SCHEMA}")


class Record:
    """A plan beside a journal: what is left to do, and under which key each piece of work is written."""

    def __init__(self, plan: Plan, journal: Journal | None) -> None:
        self.plan, self.journal = plan, journal
        self._code = "" if journal is None else code_hash(backends_folder())
        self._states = {
            reference: file_hash(op.of if isinstance(op, Gradient) else op) for reference, op in plan.ops.items()
        }
        self._versions = {place: backend(plan.sources.get(place[0], place[0])).version() for place in plan.work}

    def left(self) -> tuple[Plan, list[JudgedRow]]:
        """Return the plan without what has been judged, and the rows of that.

        The formula of an operation is judged again where one of its cells is left: the truth of a case is no row.
        """
        done = {} if self.journal is None else self.journal.rows
        work = {
            place: [cell for cell in cells if self.of_cell(place, cell) not in done]
            for place, cells in self.plan.work.items()
        }
        open_ = {self.plan.cases[cell.case].reference for cells in work.values() for cell in cells}
        open_ |= {case.reference for i, case in enumerate(self.plan.cases) if self.of_formula(i) not in done}
        work = {place: cells for place, cells in work.items() if cells}
        keys = [self.of_formula(i) for i, case in enumerate(self.plan.cases) if case.reference not in open_]
        keys += [self.of_place(place) for place in self.plan.work if place not in work]
        keys += [self.of_cell(place, cell) for place, cells in self.plan.work.items() for cell in cells]
        rows = [row for key in dict.fromkeys(keys) for row in done.get(key, ())]
        ops = {reference: op for reference, op in self.plan.ops.items() if reference in open_}
        return replace(self.plan, ops=ops, work=work), rows

    def write(self, key: str, rows: Sequence[JudgedRow]) -> None:
        """Write the rows of one piece of work, if there is a journal."""
        if self.journal is not None:
            self.journal.append(key, rows)

    def of_formula(self, case: int) -> str:
        """Return the key of what is judged of a formula in a case."""
        return json.dumps(["formula", self._case(case)], sort_keys=True)

    def of_place(self, place: Place) -> str:
        """Return the key of what is said of a backend as a whole."""
        return json.dumps(["place", *place, self._versions[place]])

    def of_cell(self, place: Place, cell: Cell) -> str:
        """Return the key of a cell: all that its verdict depends on."""
        how = {name: value for name, value in asdict(cell).items() if name != "case"}
        return json.dumps(["cell", *place, self._versions[place], how, self._case(cell.case)], sort_keys=True)

    def _case(self, number: int) -> Any:
        case = self.plan.cases[number]
        return [asdict(case), self._states[case.reference], self._code]

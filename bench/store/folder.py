"""The folder of a run: it is made with room to write, and each file in it is complete or absent."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from multigrad.data.errors import BadInput

JOURNAL, RUN, MATRIX = "journal.jsonl", "run.json", "matrix.csv"

SUMMARY, SAMPLES = "summary.csv", "samples.csv.gz"

SCALING = "scaling.csv"

BEFORE = "before"
"""Folder within a run that holds what another commit measured in the same rounds, itself a run."""

FREE_BYTES = 2**26
"""Room that a run must find on its disk: the largest journal of a full run is a few tens of MB."""


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
def aside(path: Path) -> Iterator[Path]:
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
    with aside(Path(path)) as temporary:
        # Half a surrogate pair, which JSON can hold and UTF-8 cannot, is written as JSON writes it.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

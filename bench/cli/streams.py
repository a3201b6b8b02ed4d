"""Standard input, output and error as a command finds them: closed, full, of no width, or of few letters."""

from __future__ import annotations

import contextlib
import io
import os
import sys

LEAST_WIDTH = 40
"""Fewer columns have no room for a table with a letter in each cell: what names fewer is not heeded."""


def open_all() -> None:
    """Make the standard streams usable, and the width and height that the environment names.

    What was to go to a closed standard output goes to standard error, so that a verdict is seen; what has nowhere to go
    is lost. A letter that the encoding lacks is written out.
    """
    for number, mode, instead in ((0, os.O_RDONLY, None), (2, os.O_WRONLY, None), (1, os.O_WRONLY, 2)):
        if not _is_open(number):
            given = os.open(os.devnull, mode) if instead is None else instead
            if given != number:
                os.dup2(given, number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name, least in (("COLUMNS", LEAST_WIDTH), ("LINES", 1)):
        given_size = os.environ.get(name, "")
        if given_size and not (given_size.isascii() and given_size.isdigit() and int(given_size[:9]) >= least):
            del os.environ[name]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def give_up() -> None:
    """Let what standard output could not take be lost, lest the interpreter try again as it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

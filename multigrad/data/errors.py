"""What a person can mend, and an exception in one line."""

from __future__ import annotations

import contextlib


class BadInput(Exception):
    """What a person gave cannot be used: one line that says what was wanted, what was found, and what to do."""


class WrongResult(BadInput):
    """What an operation or its pullback returns is no result: one sentence that says what was wanted and found."""


def one_line(error: BaseException) -> str:
    """Return an exception's class and the first line of its message."""
    lines: list[str] = []
    with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[:1]])

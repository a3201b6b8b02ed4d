"""Entry points: functions that start workers, and do nothing in a worker or while a file is imported.

A script may check its own operations. A worker that imports it must not do the same again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import pandas as pd

WORKER = "MULTIGRAD_WORKER"
"""The environment variable that worker processes have, and all that they start."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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
                who = _underway.files[-1].name if _underway.files else "an operation"
                tell(
                    f"{who} calls multigrad's {function.__name__} while it is imported to be checked; that call does "
                    'nothing (`if __name__ == "__main__":` keeps it from being made)'
                )
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


@contextlib.contextmanager
def importing(path: Path) -> Iterator[_Underway]:
    """Let entry points do nothing while a file is imported, and the file find what lies beside it."""
    if not _underway.files:
        _underway.skipped = False
    _underway.files.append(path)
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        yield _underway
    finally:
        _underway.files.pop()
        with contextlib.suppress(ValueError):  # the file may have changed the path too
            sys.path.remove(folder)

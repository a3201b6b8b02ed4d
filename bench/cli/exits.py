"""Exit codes, and the one place where every exception of a command ends."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import Any

import typer

from multigrad.data.errors import BadInput

from ..report.plain import visible

GOOD, WRONG, SLOWER, UNUSABLE = 0, 1, 2, 3
"""All is well; a correctness failure; a regression; bad usage or unreadable data."""

INTERRUPTED = 130
"""What a shell returns for a process that Ctrl-C ended."""

DEBUG = "--debug"
"""The option that shows the traceback of an internal error."""


def code_of(app: typer.Typer, words: list[str], *, debug: bool) -> int:
    """Run a command line and return the exit code; whatever goes wrong is one line on standard error."""
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    try:
        code = int(app(words, standalone_mode=False) or GOOD)
    except BadInput as error:
        code = refuse(str(error))
    except usage_error as error:
        code = refuse(f"{error.format_message()} (see multigrad --help)")
    except (KeyboardInterrupt, typer.Abort):
        print("multigrad: interrupted; what was measured is kept", file=sys.stderr)  # noqa: T201
        code = INTERRUPTED
    except OSError as error:
        code = refuse(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - here, and nowhere else, is the end of every exception
        if debug:
            traceback.print_exc()
        message = type(error).__name__
        with contextlib.suppress(Exception):  # an exception whose text cannot be had is still an exception
            message += f": {visible(str(error)):.300}"
        code = refuse(f"internal error: {message} ({DEBUG} shows the traceback)")
    return code


def refuse(message: str) -> int:
    """Print why nothing can be done, in one line, and return the exit code."""
    print(f"multigrad: {visible(message)}", file=sys.stderr)  # noqa: T201
    return UNUSABLE

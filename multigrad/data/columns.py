"""The columns of a table, documented where they are defined: a field of a row class carries its own sentence."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any


def doc(text: str, default: Any = MISSING) -> Any:
    """Return a dataclass field with its sentence, from which the documentation of the columns is generated.

    One with a default came later: a file that was written before has no such column, and is read as if it had.
    """
    return field(metadata={"doc": text}, default=default)

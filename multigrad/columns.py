"""The columns of a table, documented where they are defined: a field of a row class carries its own sentence."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any


def doc(text: str, *, default: Any = MISSING) -> Any:
    """Return a dataclass field with its sentence, from which the documentation of the columns is generated.

    Args:
        text: the sentence.
        default: what rows have that were written before there was such a column; without, a file must have it.
    """
    return field(default=default, metadata={"doc": text})

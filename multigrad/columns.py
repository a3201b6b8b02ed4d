"""The columns of a table, documented where they are defined: a field of a row class carries its own sentence."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def doc(text: str) -> Any:
    """Return a dataclass field with its sentence, from which the documentation of the columns is generated."""
    return field(metadata={"doc": text})

"""Rows of a run as text: where one was computed, a text that may be missing, several names in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def place(row: Mapping[Any, Any]) -> str:
    """Say where a row was computed, as it is written in the row; the CPU goes without saying."""
    device = "" if row["device"] == "cpu" else f"/{row['device']}"
    return f"{row['backend']}{device} {row['mode']}".strip()


def text(value: Any) -> str:
    """Return a text of a row; nothing where pandas has none."""
    return value if isinstance(value, str) else ""


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return different names in one line; of more than so many, how many more there are."""
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more

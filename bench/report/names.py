"""Names: of places, and of several in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..store.rows import own_name, place_of

WRITTEN = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "cupy": "CuPy",
    "dask": "Dask",
    "strict": "array-api-strict",
}
"""How frameworks write themselves, where that is not the name of the backend."""


def place_names(rows: Iterable[Mapping[Any, Any]]) -> dict[str, str]:
    """Return what a reader calls each place, such as ``JAX compiled on cuda``, by what the row calls it.

    The CPU goes without saying, and so does ``eager`` where a backend has no other mode.
    """
    rows = list(rows)
    modes: dict[str, set[str]] = {}
    for row in rows:
        modes.setdefault(row["backend"], set()).add(row["mode"])
    names = {}
    for row in rows:
        told = len(modes[row["backend"]]) > 1 or row["mode"] != "eager"
        device = "" if row["device"] == "cpu" else f" on {row['device']}"
        mode = f" {row['mode']}" if told else ""
        names[place_of(row)] = f"{WRITTEN.get(row['backend'], row['backend'])}{mode}{own_name(row)}{device}"
    return names


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return different names in one line; of more than so many, how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more


def joined(parts: Iterable[str]) -> str:
    """Return parts of a sentence, with commas and an ``and``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def numpy_first(names: Iterable[str]) -> list[str]:
    """Return different names in order, NumPy's before the others."""
    return sorted(dict.fromkeys(names), key=lambda name: (not name.startswith("numpy"), name))

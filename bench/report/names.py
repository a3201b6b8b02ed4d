"""Several names: in order, and in one line."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return different names in one line; of more than so many, how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more


def numpy_first(names: Iterable[str]) -> list[str]:
    """Return different names in order, NumPy's before the others."""
    return sorted(dict.fromkeys(names), key=lambda name: (not name.startswith("numpy"), name))

"""Text that somebody else wrote, made harmless where it is shown: names, reasons, paths, messages."""

from __future__ import annotations

import unicodedata

_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of what controls a text and is not seen: escapes, directions, joiners, half a surrogate pair."""


def shown(text: str) -> str:
    """Return a text in which what would turn, hide or move its letters is written out as ``⟨U+202E⟩``."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(ch):04X}⟩" if unicodedata.category(ch) in _HARMFUL else ch for ch in text)


def visible(text: str) -> str:
    """Do what :func:`shown` does, in one line."""
    return shown(" ".join(text.split()))

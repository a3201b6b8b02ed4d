"""Markdown of any text: what somebody else wrote made harmless, code, blocks and tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from .plain import visible


def escape(text: Any) -> str:
    """Make any text harmless in Markdown: no markup, no new line, no end of a table's cell, nobody called by name."""
    plain = visible(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        plain = plain.replace(sign, "\\" + sign)
    # GitHub would notify who is named after @, and link #12; it looks for both after the escapes are gone.
    return plain.replace("@", "@\u2060").replace("#", "#\u2060")


def code(text: str) -> str:
    """Return text as a span of code, whatever is in it; also in a table."""
    plain = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall(r"`+", plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}".replace("|", "\\|") if plain else ""


def fenced(text: str, language: str) -> str:
    """Return text as a block that ends where it ends, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def plain(text: str) -> str:
    """Return text that means itself in Markdown, where formulas between dollars and deletions are known too."""
    # Entities, because not every reader of Markdown takes a backslash before these.
    safe = escape(text).replace("$", "&#36;").replace("~", "&#126;")
    return re.sub(r"^([-+])(?=\s)|^(\d+)([.)])(?=\s)", lambda m: f"{m[2] or ''}\\{m[1] or m[3]}", safe)


def table(columns: Sequence[Any], rows: Iterable[Sequence[Any]], *, right: Collection[int] = ()) -> str:
    """Return a table of any texts, each made harmless; ``right`` are the numbers of the columns of figures."""
    return grid([escape(name) for name in columns], ([escape(cell) for cell in row] for row in rows), right=right)


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Return a table of cells that are Markdown already; ``right`` are the numbers of the columns of figures."""
    rule = [" ---: " if i in right else " --- " for i in range(len(columns))]
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join(rule)}|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])

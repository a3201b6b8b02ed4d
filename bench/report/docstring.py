"""Docstrings as Markdown: formulas as they are, prose made harmless, kinks and sources in paragraphs of their own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from multigrad.ops.operation import Operation

from .markup import code, fenced, plain

LIKE_A_KINK = re.compile(
    r"\bkinks?\b|taken to be|= \S+ is taken|is taken for|subdifferential|subgradient|convention|\bties?\b|"
    r"differentiable",
    re.IGNORECASE,
)
SAYS_SMOOTH = re.compile(r"(?:(?:^|(?<=\. ))Smooth\b[^.]*|[A-Z][^.]*\bkinks?\b[^.]*)\.(?=\s|$)")


def prose(text: str, pages: Iterable[str] = ()) -> str:
    """Return a docstring's prose as Markdown: its roles and its code kept, everything else made harmless."""
    names = set(pages)
    out, end = [], 0
    for markup in re.finditer(r"``(?P<code>.+?)``|:\w+:`~?(?P<role>[^`]+)`", text, re.DOTALL):
        out.append(_part(text[end : markup.start()], first=not end))
        name = (markup["role"] or "").rpartition(".")[2]
        span = code(markup["code"] or name)
        out.append(f"[{span}]({name}.md)" if name in names else span)
        end = markup.end()
    return "".join([*out, _part(text[end:], first=not end)]).strip()


def _part(text: str, *, first: bool) -> str:
    """Return a part of a line as Markdown, with the spaces that stand between it and the next."""
    before, after = (" " if side.isspace() else "" for side in (text[:1], text[-1:]))
    # Only at its beginning does a line take a sign for a list.
    safe = plain(text) if first else plain(f".{text.strip()}")[1:]
    return f"{before}{safe}{after if safe else ''}"


def described(op: Operation, pages: Iterable[str] = ()) -> tuple[str, str, str]:
    """Return the formula, the conventions at kinks and the source of an operation, each as Markdown."""
    pages = set(pages)
    body: list[str] = []
    kinks: list[str] = []
    literature: list[str] = []
    parts = _parts(op.doc)
    for i, (is_block, lines) in enumerate(parts):
        text = "\n".join(lines)
        if is_block:
            body.append(fenced(textwrap.dedent(text), "text"))
        elif text.startswith("Source:"):
            rest, smooth = _without_kinks(text.removeprefix("Source:"))
            literature.append(prose(rest[:1].upper() + rest[1:], pages))
            kinks += [prose(s, pages) for s in smooth]
        else:
            introduces_a_block = i + 1 < len(parts) and parts[i + 1][0]
            of_kinks = LIKE_A_KINK.search(text) and not introduces_a_block
            (kinks if of_kinks else body).append(prose(text, pages))
    return "\n\n".join(body), "\n\n".join(kinks), "\n\n".join(literature)


def _parts(doc: str) -> list[tuple[bool, list[str]]]:
    """Return what follows the first paragraph: blocks of indented lines, and paragraphs of prose."""
    parts: list[tuple[bool, list[str]]] = []
    new = True
    for line in doc.partition("\n\n")[2].splitlines():
        if not line.strip():
            new = True
            continue
        is_block = line.startswith("    ")
        if new or parts[-1][0] != is_block:
            parts.append((is_block, []))
        parts[-1][1].append(line)
        new = False
    return parts


def _without_kinks(text: str) -> tuple[str, list[str]]:
    """Take the sentences about kinks out of the paragraph of the source."""
    whole = " ".join(text.split())
    smooth = SAYS_SMOOTH.findall(whole)
    for sentence in smooth:
        whole = whole.replace(sentence, "")
    return " ".join(whole.split()), smooth

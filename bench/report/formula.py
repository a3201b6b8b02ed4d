r"""Formulas as docstrings write them, in Unicode, as LaTeX: ``X̄ = Cᵀȳ`` is ``\bar{X} = C^{\top} \bar{y}``.

What is not understood is not guessed: :class:`Untranslatable` is raised, and the formula stays the text that it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass


class Untranslatable(Exception):
    """A sign or a construction that has no certain translation; the message says which."""


MARKS = {
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0305": "bar",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u20d7": "vec",
}
"""Combining characters."""

GREEK = {
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", (
        "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "pi", "rho", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega",
    ), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΥΦΨΩ", (
        "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
    ), strict=True)),
    "µ": "mu", "ϵ": "epsilon", "ϑ": "vartheta", "ϕ": "phi", "ϱ": "varrho", "ℓ": "ell",
}  # fmt: skip

SIGNS = {
    "+": "+", "−": "-", "-": "-", "/": "/", "!": "!", "′": "'", "*": "*", "<": "<", ">": ">", "(": "(", ")": ")",
    "[": "[", "]": "]", "{": r"\{", "}": r"\}", "·": r"\cdot", "×": r"\times", "∘": r"\circ", "⊙": r"\odot",
    "⊗": r"\otimes", "⊕": r"\oplus", "±": r"\pm", "∓": r"\mp", "=": "=", "≠": r"\neq", "≈": r"\approx", "≡": r"\equiv",
    "≤": r"\leq", "≥": r"\geq", "≪": r"\ll", "≫": r"\gg", "∝": r"\propto", "∼": r"\sim", "~": r"\sim",
    "←": r"\leftarrow", "→": r"\to", "↦": r"\mapsto", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "∈": r"\in",
    "∉": r"\notin", "⊂": r"\subset", "⊆": r"\subseteq", "∪": r"\cup", "∩": r"\cap", "∅": r"\emptyset", "∞": r"\infty",
    "∇": r"\nabla", "∂": r"\partial", "∫": r"\int", "∏": r"\prod", "∑": r"\sum", "⟨": r"\langle", "⟩": r"\rangle",
    "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil", "…": r"\dots", "⊥": r"\perp",
    "∀": r"\forall", "∃": r"\exists", "ℝ": r"\mathbb{R}", "ℕ": r"\mathbb{N}", "ℤ": r"\mathbb{Z}", "∧": r"\wedge",
    "∨": r"\vee", "¬": r"\neg", "%": r"\%", "&": r"\mathbin{\&}", "⊤": r"\top", "‖": "", "|": "",
}  # fmt: skip
"""Signs that stand for themselves. The two kinds of bars open and close in turn."""

RELATIONS = frozenset("=≈≡←∝≤≥<>∈⇔⇒")
"""What the lines of a block are aligned at, where it is the first one outside brackets."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words("log exp det max min sin cos tan sinh cosh tanh arg inf sup gcd lim ker dim")
"""Names that LaTeX has."""

OPERATORS = _words(
    """argmax argmin adj clip conv cov cumsum diag erf gelu lse logdet logsumexp mean median pad rank relu round sgn
    sigmoid sign silu softmax softplus sort sum svd sym tr tril triu trace var vec"""
)
"""Further names of functions."""

ENGLISH = _words(
    """a an as at be but by do for if in is it its no not of on or out per so sum the to two up we with all and any are
    can has one own row set was"""
)
"""Short words that are never a product of letters."""

TIGHT = re.compile(r"(?<=[(\[]) | (?=[)\],;])")
"""Spaces that say nothing, inside brackets."""

FRACTION = "<fraction>"
SUPERSCRIPT, SUBSCRIPT = "<super>", "<sub>"
SPACED = re.compile(r"(?<=[,;])\s{2,}")
LONG = 60
"""A line longer than this is broken where two spaces stand after a comma or a semicolon."""


@dataclass(frozen=True)
class Context:
    """What the letters of a docstring mean."""

    identifiers: frozenset[str]
    """Names of several letters: inputs and parameters."""
    letters: frozenset[str]
    """Letters that are a quantity of their own, so that two of them side by side are a product."""

    @classmethod
    def of(cls, doc: str, names: Collection[str] = ()) -> Context:
        """Read a docstring; ``names`` are those of inputs, dimensions and parameters."""
        text = "".join(ch for ch in map(_expanded, doc))
        alone = re.findall(r"(?<![A-Za-z'])[A-Za-z](?![A-Za-z'])", text)
        marked = re.findall(rf"[A-Za-z](?=[{''.join(MARKS)}])", text)
        letters = {*alone, *marked, *(n for n in names if len(n) == 1)}
        assigned = re.findall(r"(?<![\w‖])([a-z]{3,}) =", text)
        identifiers = {n for n in names if len(n) > 1} | {n for n in assigned if n not in ENGLISH | OPERATORS}
        return cls(frozenset(identifiers), frozenset(letters))


@dataclass(frozen=True)
class Piece:
    """A piece of a line."""

    kind: str
    """``math``, ``name`` (upright, set off by a thin space), ``text``, ``space`` or ``gap``."""
    latex: str
    relation: bool = False
    """Whether lines may be aligned at it."""


def block(lines: Sequence[str], context: Context) -> str:
    """Return the lines of a block as one LaTeX environment, aligned at the first relation of each line.

    Raises:
        Untranslatable: a line has something that is not understood.
    """
    rows = [_aligned(pieces(part, context)) for line in lines for part in broken(line)]
    body = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def broken(line: str) -> list[str]:
    """Break a long line where two spaces separate its equations."""
    line = line.strip()
    if len(line) <= LONG:
        return [line]
    parts: list[str] = []
    for part in SPACED.split(line):
        if parts and not (RELATIONS & set(part) and RELATIONS & set(parts[-1])):
            parts[-1] += f"  {part}"
        else:
            parts.append(part)
    return parts


def is_formula(text: str, context: Context, *, words: int = 9) -> bool:
    """Tell whether a sentence is a formula: it begins with an equation, and few words follow."""
    try:
        found = pieces(text, context)
    except Untranslatable:
        return False
    first_word = next((i for i, p in enumerate(found) if p.kind == "text"), len(found))
    count = sum(len(p.latex.split()) for p in found if p.kind == "text")
    return count <= words and any(p.relation for p in found[:first_word])


def pieces(line: str, context: Context) -> list[Piece]:
    """Return the pieces of a line.

    Raises:
        Untranslatable: the line has something that is not understood.
    """
    return list(_Line("".join(map(_expanded, line.strip())), context).read())


def inline(line: str, context: Context) -> str:
    """Return a line as LaTeX, not aligned.

    Raises:
        Untranslatable: the line has something that is not understood.
    """
    return _joined(pieces(line, context))


def _expanded(ch: str) -> str:
    """Take a letter with a mark apart, as it may also be written."""
    parts = unicodedata.decomposition(ch).split()
    if len(parts) == 2 and not parts[0].startswith("<"):
        letter, mark = (chr(int(p, 16)) for p in parts)
        if mark in MARKS:
            return _expanded(letter) + mark
    return ch


def _script(ch: str) -> tuple[str, str]:
    """Return the kind of script that a character is, and what it stands for; empty strings for another one."""
    kind, _, code = (unicodedata.decomposition(ch) if ch else "").partition(" ")
    if kind not in (SUPERSCRIPT, SUBSCRIPT) or " " in code:
        return "", ""
    base = chr(int(code, 16))
    return kind, "-" if base == "−" else base


class _Line:
    """Reads a line from left to right."""

    def __init__(self, text: str, context: Context) -> None:
        self.text = text
        self.context = context
        self.at = 0
        self.depth = 0
        self.open = {"|": False, "‖": False}

    def read(self) -> Iterator[Piece]:
        while self.at < len(self.text):
            yield self._next()
        if any(self.open.values()):
            raise Untranslatable("a bar that is not closed")
        if self.depth:
            raise Untranslatable("a bracket that is not closed")

    def _peek(self, offset: int = 0) -> str:
        at = self.at + offset
        return self.text[at] if 0 <= at < len(self.text) else ""

    def _match(self, pattern: str) -> re.Match[str] | None:
        return re.compile(pattern).match(self.text, self.at)

    def _next(self) -> Piece:
        ch = self._peek()
        if found := self._match(r"\s+"):
            self.at = found.end()
            return Piece("gap" if len(found[0]) > 1 else "space", "")
        if found := self._match(r"\d+(?:\.\d+)?"):
            self.at = found.end()
            return Piece("math", found[0] + self._scripts())
        if found := self._match(r"[A-Za-z]+(?:_[A-Za-z]+)*"):
            return self._word(found[0])
        if ch in GREEK or ch in "Σ∑∏":
            return Piece("math", self._atom())
        if ch == "∂":
            return self._derivative()
        if ch == "√":
            self.at += 1
            return Piece("math", rf"\sqrt{{{self._group()}}}")
        if ch in ",;":
            self.at += 1
            return Piece("math", ch)
        if ch in ":.":
            return self._point(ch)
        if unicodedata.decomposition(ch).startswith(FRACTION):
            return Piece("math", self._fraction() + self._scripts())
        if ch.isalpha() and not _script(ch)[0]:
            return self._foreign()
        if ch in SIGNS:
            return self._sign(ch)
        raise Untranslatable(f"the sign {ch!r} (U+{ord(ch):04X})")

    def _fraction(self) -> str:
        top, _, bottom = unicodedata.normalize("NFKD", self._peek()).partition("\u2044")
        self.at += 1
        return rf"\tfrac{{{top}}}{{{bottom}}}"

    def _point(self, ch: str) -> Piece:
        """Read a colon or a full stop: it ends a formula, unless it stands in brackets."""
        self.at += 1
        if ch == ":" and self.depth:
            return Piece("math", "{:}")
        return Piece("text", ch)

    def _foreign(self) -> Piece:
        """Read a word with letters beyond ASCII, such as a name."""
        found = self._match(r"[^\W\d_]+")
        assert found is not None
        self.at = found.end()
        return Piece("text", found[0])

    def _word(self, word: str) -> Piece:
        if "_" in word and word not in self.context.identifiers:
            if word.endswith("_bar") and word.count("_") == 1:
                return self._named_bar(word.removesuffix("_bar"))
            word = word.partition("_")[0]
        after = self._peek(len(word))
        if len(word) > 1 and word not in FUNCTIONS | OPERATORS | self.context.identifiers and after in MARKS:
            word = word[:-1]  # the mark is on the last letter, which is one of its own
        if len(word) == 1 and self._is_letter(word):
            return Piece("math", self._atom())
        if word in FUNCTIONS | OPERATORS and not self._is_said(word):
            self.at += len(word)
            name = rf"\{word}" if word in FUNCTIONS else rf"\operatorname{{{word}}}"
            return Piece("math", f"{name}{self._scripts()} ")
        if word in self.context.identifiers and not self._is_said(word):
            return self._identifier(word)
        if self._is_product(word):
            return Piece("math", " ".join(self._atom() for _ in word))
        found = self._match(r"[A-Za-z]+(?:[-'’][A-Za-z]+)*")
        assert found is not None
        self.at = found.end()
        return Piece("text", found[0])

    def _named_bar(self, name: str) -> Piece:
        self.at += len(name) + len("_bar")
        inner = name if len(name) == 1 else rf"\mathrm{{{_escaped(name)}}}"
        return Piece("math", rf"\bar{{{inner}}}{self._scripts()}")

    def _identifier(self, word: str) -> Piece:
        self.at += len(word)
        name = rf"\mathrm{{{_escaped(word)}}}"
        while (mark := self._peek()) in MARKS:
            self.at += 1
            name = rf"\{MARKS[mark].replace('bar', 'overline')}{{{name}}}"
        return Piece("name", name + self._scripts())

    def _is_letter(self, letter: str) -> bool:
        """Tell a quantity ``a`` from the article."""
        if letter != "a" or self._peek(1) != " " or self._peek(-1) not in ("", " "):
            return True
        return not re.match(r" [a-z]{3,}", self.text[self.at + 1 :])

    def _is_said(self, word: str) -> bool:
        """Tell whether a name is a word here, as in ``the sum over``."""
        following = re.match(r" (of|over|is|in|and|the)\b", self.text[self.at + len(word) :])
        return following is not None or re.search(r"\b(the|a|its) $", self.text[: self.at]) is not None

    def _is_product(self, word: str) -> bool:
        if word.lower() in ENGLISH or len(word) > 4:
            return False
        if word.isupper():
            return True
        known = all(letter in self.context.letters for letter in word)
        if len(word) == 2:
            return known
        scripted = bool(_script(self._peek(len(word)))[0]) or self._peek(-1).isdigit()
        return known and (scripted or not word.islower())

    def _sign(self, ch: str) -> Piece:
        if ch in self.open:
            return self._bar(ch)
        relation = ch in RELATIONS and not self.depth and not any(self.open.values())
        if ch in "([{⟨⌊⌈":
            self.depth += 1
        if ch in ")]}⟩⌋⌉":
            self.depth -= 1
            if self.depth < 0:
                raise Untranslatable(f"{ch!r} closes nothing")
        self.at += 1
        if ch == "]" and self._match(r"×(?=\s|$|[,;:.)])"):
            self.at += 1
            return Piece("math", r"]_{\times}" + self._scripts())
        scripts = self._scripts() if ch in ")]}⟩⌋⌉′⊤" else ""
        return Piece("math", SIGNS[ch] + scripts, relation)

    def _bar(self, ch: str) -> Piece:
        self.at += 1
        self.open[ch] = not self.open[ch]
        name = "vert" if ch == "|" else "Vert"
        if self.open[ch]:
            return Piece("math", rf"\l{name} ")
        return Piece("math", rf"\r{name}{self._scripts()} ")

    def _derivative(self) -> Piece:
        """Read ∂f/∂X as a fraction, and any other ∂ as it stands."""
        if not self._match(r"∂[^\W\d_][^\s/()]*/∂[^\W\d_]"):
            self.at += 1
            return Piece("math", r"\partial ")
        self.at += 1
        above = self._operand()
        if self._peek() != "/":
            raise Untranslatable("a derivative that is no plain fraction")
        self.at += 2
        return Piece("math", rf"\frac{{\partial {above}}}{{\partial {self._operand()}}}")

    def _operand(self) -> str:
        found = self._match(r"[A-Za-z]+(?:_[A-Za-z]+)*")
        if found and len(found[0]) > 1:
            self.at = found.end()
            return rf"\mathrm{{{_escaped(found[0])}}}" + self._scripts()
        return self._atom()

    def _atom(self) -> str:
        """Read one letter with its marks and scripts."""
        ch = self._peek()
        self.at += 1
        name = rf"\{GREEK[ch]}" if ch in GREEK else ch
        if ch in "ΣΠ∑∏" and not self._is_matrix():
            name = r"\sum" if ch in "Σ∑" else r"\prod"
        while (mark := self._peek()) in MARKS and mark:
            self.at += 1
            name = rf"\{MARKS[mark]}{{{name}}}"
        return f"{name}{self._scripts()} " if name.startswith("\\") else name + self._scripts()

    def _is_matrix(self) -> bool:
        """Tell a matrix Σ, which has marks or superscripts, from a sum."""
        return self._peek() in MARKS or _script(self._peek())[0] == SUPERSCRIPT

    def _scripts(self) -> str:
        """Read what stands above and below, in any order and either notation."""
        above, below = "", ""
        while ch := self._peek():
            kind, base = _script(ch)
            if kind:
                self.at += 1
                text = r"\top " if base == "T" else self._letter(base)
                above, below = (above + text, below) if kind == SUPERSCRIPT else (above, below + text)
            elif ch in "^_" and self._peek(1):
                self.at += 1
                text = self._group(subscript=ch == "_")
                above, below = (above + text, below) if ch == "^" else (above, below + text)
            elif ch == "′":
                self.at += 1
                above += r"\prime "
            else:
                break
        return (f"_{{{below.strip()}}}" if below else "") + (f"^{{{above.strip()}}}" if above else "")

    def _letter(self, ch: str) -> str:
        if ch in GREEK:
            return rf"\{GREEK[ch]} "
        if ch.isascii() or ch in SIGNS:
            return SIGNS.get(ch, ch) if not ch.isalnum() else ch
        raise Untranslatable(f"the script {ch!r}")

    def _group(self, *, subscript: bool = False) -> str:
        """Read what ^, _ or √ applies to: brackets, which vanish, bars, or one operand with its sign."""
        ch = self._peek()
        closing = {"(": ")", "{": "}"}.get(ch)
        if closing:
            end = self._closing(ch, closing)
            inside, self.at = self.text[self.at + 1 : end], end + 1
            return _joined(list(_Line(inside, self.context).read()))
        if ch in "−-+" and not subscript:
            self.at += 1
            return SIGNS[ch] + self._group()
        if ch == "|":
            end = self.text.find("|", self.at + 1)
            if end < 0:
                raise Untranslatable("a bar that is not closed")
            inside, self.at = self.text[self.at + 1 : end], end + 1
            return rf"\lvert {_joined(list(_Line(inside, self.context).read()))} \rvert "
        if subscript and ch == "*":
            self.at += 1
            return "*"
        return self._single(subscript)

    def _single(self, subscript: bool) -> str:
        ch = self._peek()
        if subscript and (found := self._match(r"[A-Za-z0-9]{2,}")):
            self.at = found.end()
            return found[0] if len(found[0]) == 2 else rf"\mathrm{{{found[0]}}}"
        if found := self._match(r"\d+(?:\.\d+)?"):
            self.at = found.end()
            return found[0]
        if ch in GREEK or (ch.isascii() and ch.isalpha()):
            name = self._atom() if not subscript else self._index()
            if subscript and ch == "π" and self._peek() == "(":
                end = self._closing("(", ")")
                inside, self.at = self.text[self.at + 1 : end], end + 1
                name += f"({_joined(list(_Line(inside, self.context).read()))})"
            return name
        raise Untranslatable(f"{ch!r} above or below the line")

    def _index(self) -> str:
        """Read a letter below the line; what is above the line after it belongs to it only in a permutation."""
        if self._peek() == "π":
            return self._atom()
        ch = self._peek()
        self.at += 1
        return rf"\{GREEK[ch]} " if ch in GREEK else ch

    def _closing(self, opening: str, closing: str) -> int:
        depth = 0
        for i in range(self.at, len(self.text)):
            depth += (self.text[i] == opening) - (self.text[i] == closing)
            if not depth:
                return i
        raise Untranslatable(f"{opening!r} is not closed")


def _escaped(text: str) -> str:
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(named.get(ch, f"\\{ch}" if ch in "#$%&_{}" else ch) for ch in text)


def _aligned(found: Sequence[Piece]) -> str:
    first = next((i for i, piece in enumerate(found) if piece.relation), None)
    if first is None or sum(piece.kind == "text" for piece in found[:first]) > 1:
        return f"& {_joined(found)}"
    # A row that began with a bracket would be read as the distance to the one before.
    return f"{_joined(found[:first])} &{_joined(found[first:])}".replace("[", "{}[", 1 if found[0].latex == "[" else 0)


def _joined(found: Sequence[Piece]) -> str:
    """Join the pieces; spaces beside words are kept, those of formulas are LaTeX's business."""
    out: list[str] = []
    words = ""

    def flush() -> None:
        nonlocal words
        if words:
            out.append(rf"\text{{{words}}}")
        words = ""

    for i, piece in enumerate(found):
        before = found[i - 1].kind if i else ""
        after = found[i + 1].kind if i + 1 < len(found) else ""
        if piece.kind == "text":
            words += _escaped(piece.latex)
        elif piece.kind == "space" and "text" in (before, after):
            words += " "
        elif piece.kind == "space" and "name" in (before, after) and _beside_a_letter(found, i):
            out.append(r"\,")
        elif piece.kind == "gap":
            flush()
            out.append(r"\quad")
        elif piece.kind != "space":
            flush()
            out.append(piece.latex.strip())
    flush()
    return TIGHT.sub("", " ".join(part for part in out if part))


def _beside_a_letter(found: Sequence[Piece], i: int) -> bool:
    """Tell whether a space stands between two factors, not beside an operator, which brings its own space."""
    if not 0 < i < len(found) - 1:
        return False
    sides = (found[i - 1].latex.strip(), found[i + 1].latex.strip())
    closing, opening = {")", "]", r"\}", r"\rangle"}, {"(", "[", r"\{", r"\langle"}
    operators = set(SIGNS.values()) - closing - opening | {",", ";"}
    return not operators & set(sides) and sides[0] not in opening and not sides[0].startswith((r"\sum", r"\prod"))

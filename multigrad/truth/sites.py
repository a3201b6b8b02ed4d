"""The places of a formula that decide something, and how far one evaluation is from each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..namespaces.shared.operators import COMPARISONS

CHOICES = ("maximum", "minimum", "abs", "sign")


EXTREMA = ("max", "min", "argmax", "argmin")


ORDERS = ("sort", "argsort")


ROUNDINGS = ("floor", "ceil", "trunc", "round")


SINGULAR = (
    "sqrt",
    "log",
    "log2",
    "log10",
    "log1p",
    "reciprocal",
    "divide",
    "true_divide",
    "pow",
    "acos",
    "asin",
    "atanh",
)
"""Functions with an end or a pole; the others have a branch, a tie or a jump."""


@dataclass(frozen=True)
class Site:
    """A place of the source that decides something."""

    line: int
    text: str
    """The expression."""
    name: str
    """The function of the namespace."""

    def __str__(self) -> str:
        return f"line {self.line} `{self.text}`"

    @property
    def branches(self) -> tuple[str, ...]:
        """The ways it may go, in words."""
        if self.name in COMPARISONS:
            return f"{self} true", f"{self} false"
        if self.name in ("maximum", "minimum"):
            return f"{self} the first larger", f"{self} the second larger"
        return (f"{self} above 0", f"{self} below 0") if self.name in CHOICES else ()


@dataclass(frozen=True)
class Guard:
    """One decision of an evaluation: where its gap is 0 it turns over."""

    site: Site
    gap: np.ndarray
    """The difference of what is compared (the argument of a root, the divisor), as the nearest float64."""
    zero: np.ndarray
    """Where the gap is exactly 0."""
    slopes: np.ndarray
    """Its derivative by each coordinate, (coordinates, *shape of the gap)."""
    taken: frozenset[str]
    """The branches that some entry took."""
    ties: int
    """How many entries lie on it, an extremum's own aside."""

    @property
    def explicit(self) -> bool:
        """Whether the formula itself has a branch here, not only a function with an end or a pole."""
        return self.site.name not in SINGULAR

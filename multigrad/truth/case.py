"""A case, and what is known of it: inputs, certified values, bounds. Or that nothing could be found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops.text import sizes_text
from ..verdict.judge import Reference
from .arithmetic import Arithmetic

DEFAULT_REGIMES = ("gaussian", "integers")
"""How inputs are drawn, when nothing else is asked for."""


SMOOTH = ("gaussian", "wide", "cancellation", "length-1", "huge", "tiny")
"""Regimes whose points lie on no kink, so that the formula is certified there as well."""


RESIZED = ("empty", "length-1")
"""Regimes that change the size, not the numbers."""


NONFINITE = "nonfinite"
"""The regime in which one entry is NaN or infinite."""


class Unknown(Exception):
    """The truth of a case could not be found; the message says why."""


class Unserved(Unknown):
    """The operation has no such case: its generator or its forward part refuses it; the message says how."""


@dataclass(frozen=True)
class Case:
    """One set of inputs whose truth is known: an operation, a size, a regime and a dtype."""

    reference: str
    """How a worker finds the operation."""
    operation: str
    size: Mapping[str, Any]
    regime: str
    dtype: str
    seed: int
    inputs: str = ""
    """An .npz file with the inputs, where they were not drawn."""
    precision: str = "strict"
    """What float32 products may be computed in."""
    poisoned: str = ""
    """The input that has NaN or infinity in one entry, in the regime ``nonfinite``."""

    @property
    def arithmetic(self) -> Arithmetic:
        """What an honest evaluation computes in, if nothing more is known of it."""
        return Arithmetic(self.dtype, self.precision)

    @property
    def drawn(self) -> str:
        """The regime as :class:`multigrad.ops.draw.Draw` takes it."""
        return f"{self.regime}:{self.dtype}" if self.regime in ("huge", "tiny") else self.regime

    @property
    def sizes(self) -> str:
        """The size in one line."""
        return sizes_text(self.size)


@dataclass(frozen=True)
class Truth:
    """What a backend needs for one case."""

    arrays: list[np.ndarray]
    """Inputs, then cotangents; every number is one of the dtype's."""
    references: list[Reference]
    """Values, then gradients, for the hand-derived formula."""
    note: str = ""
    """What is special about the inputs, such as the entry that is NaN."""
    refuted: tuple[str, ...] = ()
    """The outputs whose formula is known to be wrong, here or elsewhere; ``*`` is all."""
    arithmetic: Arithmetic | None = None
    """What the bounds are those of; None: that of the case."""

    def outputs(self, variant: str) -> list[Reference]:
        """Return the references of a variant. Only the hand-derived one is held to our convention at a kink."""
        if variant == "analytic":
            return self.references
        return [replace(r, bound=r.bound + r.hull) for r in self.references]

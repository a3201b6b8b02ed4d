"""What a backend cannot do, as data: known gaps, known inaccuracies, and what a framework says when it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from ..ops.operation import Operation
from ..verdict.words import FAIL, FINDING, GAP
from .device import device_kind


class Unavailable(Exception):
    """Something is not to be had here: a framework, a device, a mode. The message is the worded result."""


@dataclass(frozen=True)
class Gap:
    """Something that a backend cannot do, known and worded. Strict: a check that runs it, and works, fails."""

    operation: str
    """Name of an operation of the catalogue, or ``*`` for all operations there are."""
    dtype: str
    """``float32`` …, or ``*`` for all."""
    kind: Literal["notimpl", "notyet", "never"]
    """notimpl: the framework lacks it. notyet: we have not written it. never: it cannot make sense."""
    raises: str
    """Name of the exception's class that is expected."""
    reason: str
    """One sentence for a person."""
    mode: str = "*"
    variant: str = "*"
    device: str = "*"
    """Kind of device: of a mesh too."""

    def covers(self, operation: Operation, dtype: str, mode: str, variant: str, device: str) -> bool:
        """Tell whether this gap speaks of that cell; of somebody's own operation only where it speaks of all."""
        if self.operation != "*" and not (operation.catalogued and operation.name == self.operation):
            return False
        gap = (self.dtype, self.mode, self.variant, self.device)
        cell = (dtype, mode, variant, device_kind(device))
        return all(a in ("*", b) for a, b in zip(gap, cell, strict=True))


Judged = TypeVar("Judged", bound=Any)
"""A dataclass with a verdict, a ratio and a reason."""


@dataclass(frozen=True)
class Inaccuracy:
    """A form of an operation that loses more digits than the bound allows, through no fault of ours, known and worded.

    The bound is a theorem about the hand-derived formula; another formula of the same function may cancel. Where it is
    beyond the bound it has no time; where it is not, it is judged as every other. Strict: it names a size at which it
    is always beyond the bound, and where it no longer is, a long test fails.
    """

    operation: str
    """Name of the operation."""
    variant: Literal["analytic", "autodiff", "native"]
    """The hand-derived form is excused only where a compiler makes another formula of it, and in one regime."""
    size: str | Mapping[str, int]
    """A size at which it is beyond the bound in float64, or the name of one."""
    most: float
    """How many times the bound its error may be; beyond that it is as wrong as any other."""
    reason: str
    """One sentence for a person."""
    regime: str = "gaussian"
    """How the inputs are drawn with which it is beyond the bound."""
    mode: Literal["eager", "compiled"] = "eager"
    """The mode in which it is beyond the bound."""

    def __post_init__(self) -> None:
        """Check that our own form is excused for what a compiler does alone."""
        if self.variant == "analytic" and self.mode != "compiled":
            raise ValueError(f"{self.operation}: the hand-derived form cannot be excused where nothing compiles it")

    def covers(self, operation: Operation, variant: str, mode: str, regime: str) -> bool:
        """Tell whether this speaks of that form; of another formula in every mode and regime."""
        if not operation.catalogued or (operation.name, variant) != (self.operation, self.variant):
            return False
        return self.variant != "analytic" or (mode, regime) == (self.mode, self.regime)

    def worded(self, judged: Judged) -> Judged:
        """Return what was judged, with what is wrong within ``most`` times the bound worded as a GAP."""
        # Written so that a NaN is not within.
        if judged.verdict not in (FAIL, FINDING) or not judged.ratio <= self.most:
            return judged
        return replace(judged, verdict=GAP, reason=f"inaccurate, {judged.ratio:.3g} × the bound: {self.reason}")


@dataclass(frozen=True)
class Refusal:
    """What a framework says where it cannot do what an operation asks of it, in whatever operation that may be."""

    raises: str
    """Name of the exception's class, or of one that it derives from."""
    says: str
    """A regular expression that is found in its message; empty for any."""
    reason: str
    """One sentence for a person: what it cannot do, or what to write instead."""

    def covers(self, error: BaseException) -> bool:
        """Tell whether an exception is this refusal."""
        classes = {c.__name__ for c in type(error).__mro__}
        return self.raises in classes and re.search(self.says, str(error)) is not None

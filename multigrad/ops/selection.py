"""A selection: which operations, and where and how each is computed. One datum from the command line to the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from .find import Operations, implemented

Mode = Literal["eager", "compiled"]
Precision = Literal["strict", "tf32"]
"""``strict``: float32 products are computed in float32. ``tf32``: the framework may use TensorFloat-32."""

SizeGiven = str | Mapping[str, Any]
"""A size by name, or as values for an operation's dimensions and parameters."""

Names = str | Sequence[str] | None
"""One name, several, or None for what :class:`Selection` says of the field."""


class CheckSelectors(TypedDict, total=False):
    """The fields of a :class:`Selection` that a check has, as keyword arguments; one name stands for a sequence."""

    backend: Names
    device: Names
    dtype: Names
    mode: Names
    variant: Names
    implementation: Names
    size: SizeGiven | Sequence[SizeGiven] | None
    regime: Names
    derivative: Names
    precision: Precision
    seed: int


class Selectors(CheckSelectors, total=False):
    """All fields of a :class:`Selection` as keyword arguments."""

    threads: int | Sequence[int] | None
    quick: bool


@dataclass(frozen=True)
class Selection:
    """What is checked or timed. None leaves the choice to the plan that is made of it."""

    ops: Operations = None
    """Operations, catalogue names or files; None is the whole catalogue."""
    backend: tuple[str, ...] | None = None
    """Names, or ``module:ATTRIBUTE``; None is every backend there is."""
    device: tuple[str, ...] | None = None
    """A device that a backend knows, such as ``cpu`` or ``cuda``, or a mesh of several, such as ``cpu:8``; None is
    every single one, but for those that few machines have and this one lacks."""
    dtype: tuple[str, ...] | None = None
    """Names; None is every one that operation and backend have for a check, and float32 for times."""
    mode: tuple[str, ...] | None = None
    """``eager``, ``compiled``; None is both."""
    variant: tuple[str, ...] | None = None
    """``analytic``, ``autodiff``, ``native``, the names of implementations, and for times ``forward``; None is all."""
    size: tuple[SizeGiven, ...] | None = None
    """Named sizes, ``largest``, or mappings such as ``{"m": 512, "n": 256}``. None is for a check every size that is
    small enough for ball arithmetic, for times ``medium`` (else the middle one) and the largest, and for a quick run
    ``small`` (else the middle one)."""
    regime: tuple[str, ...] | None = None
    """How a check draws its inputs, of :data:`multigrad.ops.draw.REGIMES`; ``relations`` for the relations alone,
    ``all`` for everything. None is gaussian and integers, the kinks and branches of the formula, the relations, and in
    the first dtype also empty, length-1 and strided."""
    derivative: tuple[str, ...] | None = None
    """What a check judges: ``reverse``, the pullback, or ``forward``, the pushforward. None is both where the
    pushforward is hand-derived, else the pullback."""
    threads: tuple[int, ...] | None = None
    """Threads of each worker that is timed; None is one for each physical core."""
    precision: Precision = "strict"
    """What float32 products may be computed in."""
    quick: bool = False
    """A first look in minutes."""
    seed: int = 0
    """Seed of inputs and orders."""

    @classmethod
    def of(cls, ops: Operations = None, *, implementation: Names = None, **selectors: Any) -> Selection:
        """Make a selection of the keyword arguments of :class:`Selectors`.

        Args:
            ops: operations, catalogue names or files.
            implementation: further ways to compute the operation, if it is one: ``torch=kernels.py::fused``, and after
                commas what :meth:`multigrad.Operation.implementation` takes: ``accumulate=float32``.
            selectors: the fields.

        Raises:
            TypeError: an argument that there is none of.
            BadInput: an implementation of no operation, or of several.
        """
        if implementation:
            ops = implemented(ops, [implementation] if isinstance(implementation, str) else implementation)
        return cls(ops, **{name: _tupled(name, value) for name, value in selectors.items()})


SEVERAL = ("backend", "device", "dtype", "mode", "variant", "size", "regime", "derivative", "threads")
"""The fields that hold several values."""


def _tupled(name: str, value: Any) -> Any:
    if name not in SEVERAL or value is None:
        return value
    one = isinstance(value, str | Mapping) or not isinstance(value, Iterable)
    return (value,) if one else tuple(value)

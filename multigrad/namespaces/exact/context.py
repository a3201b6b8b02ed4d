"""How an evaluation computes: to how many bits, in fractions or not, with which constants; and what it may raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import flint


class Undecided(ArithmeticError):
    """The balls leave a comparison or a result open: more precision may decide it, an input on a kink never will."""


class Kink(Undecided):
    """There is no derivative here: two values that are compared are equal. No precision changes that."""


class NotRational(ArithmeticError):
    """A step that is not +, −, ×, ÷: there is no fraction to compute, or no one polynomial to speak of."""


@dataclass
class State:
    """What the contexts set, and what has been counted."""

    rational: bool = False
    branches: int = 0
    sample: int | None = None
    moved: int = 0


state = State()


@contextmanager
def _set(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


def precision(bits: int) -> AbstractContextManager[None]:
    """Compute with that many bits."""
    return _set(flint.ctx, "prec", bits)


def rationals() -> AbstractContextManager[None]:
    """Compute with fractions in place of balls.

    Raises:
        NotRational: from within, at the first step that is not rational.
        ZeroDivisionError: from within, at a division by zero.
    """
    return _set(state, "rational", True)


def moved_constants(sample: int | None) -> AbstractContextManager[None]:
    """Compute with every float that is no input moved in its last digits: it stands for a number that has more.

    Equal floats move alike, integers and short fractions not at all; see :func:`moved_count`. A constant that an input
    is compared with stays where it is.

    Args:
        sample: chooses the moves, each between half of :data:`multigrad.namespaces.exact.arrays.CONSTANT_ULPS`
            and the whole, to either side; None leaves every float where it is.
    """
    return _set(state, "sample", sample)


def moved_count() -> int:
    """Return how many constants have been moved so far."""
    return state.moved


def branch_count() -> int:
    """Return how many times a condition on the inputs has been decided so far."""
    return state.branches


def refuse_fractions(name: str) -> None:
    """Raise :class:`NotRational` where fractions are computed with."""
    if state.rational:
        raise NotRational(f"{name} is not a rational function")

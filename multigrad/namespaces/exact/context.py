"""How an evaluation computes: to how many bits, in fractions or not, with which constants; and what it may raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
def precision(bits: int) -> Iterator[None]:
    """Compute with that many bits."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


@contextmanager
def rationals() -> Iterator[None]:
    """Compute with fractions in place of balls.

    Raises:
        NotRational: from within, at the first step that is not rational.
        ZeroDivisionError: from within, at a division by zero.
    """
    before = state.rational
    state.rational = True
    try:
        yield
    finally:
        state.rational = before


@contextmanager
def moved_constants(sample: int) -> Iterator[None]:
    """Compute with every float that is no input moved in its last digits: it stands for a number that has more.

    Equal floats move alike, integers and short fractions not at all; see :func:`moved_count`. A constant that an input
    is compared with stays where it is.

    Args:
        sample: chooses the moves, each between half of :data:`CONSTANT_ULPS` and the whole, to either side.
    """
    with constants_sampled(sample):
        yield


@contextmanager
def constants_sampled(sample: int | None) -> Iterator[None]:
    """Move constants by that sample; None leaves them where they are."""
    before = state.sample
    state.sample = sample
    try:
        yield
    finally:
        state.sample = before


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

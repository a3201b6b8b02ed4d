"""What the facts of ATen calls have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multigrad.graph.namespace import Namespace

Array = Any
Fact = Callable[..., Any]


def named(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return facts under the names of the calls in a graph."""
    return {f"aten.{name}": fact for name, fact in facts.items()}


def by_name(fact: Fact) -> Fact:
    """Let a fact have its operands by their names in the schema, for calls of which some may be missing.

    Where a call does not say which are given, they are those in order that are no options.
    """
    names = list(inspect.signature(fact).parameters)[1:]

    def called(xp: Namespace, *operands: Array, given: Sequence[str] | None = None, **options: Any) -> Any:
        here = [name for name in names if name not in options] if given is None else given
        return fact(xp, **dict(zip(here, operands, strict=given is not None)), **options)

    return called


def axes_of(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Return the axes that are meant, none of them negative; none at all, and None, are all of them."""
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return tuple(range(rank))
    return tuple(range(rank)[d] for d in ((dim,) if isinstance(dim, int) else dim)) if rank else ()


def ahead(axis: int) -> tuple[slice, ...]:
    """Return the part of an index that leaves the axes before one alone."""
    return (slice(None),) * axis

"""A graph of calls: what a framework's tracer hands out, without the framework."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Kind = Literal["real", "whole", "truth"]
"""What an array holds: real numbers, of whatever dtype is computed in; integers; or conditions."""


@dataclass(frozen=True)
class Constant:
    """An operand that depends on no input."""

    value: Any = field(repr=False)
    """A Python number, or a NumPy array of float64, int64 or bool: the very number that was traced."""

    @functools.cached_property
    def ends(self) -> bool:
        """Whether it holds numbers at the end of the range of float64, such as ``finfo(x.dtype).min`` in a mask."""
        return bool(np.any(np.isfinite(self.value) & (np.abs(self.value) >= END)))


END = 2.0**1022
"""Numbers from here on stand for the end of the range of whatever dtype is computed in."""

NESTED = "call"
"""The name of a call of a graph, its option ``graph``."""

Operand = int | Constant
"""The number of a value of the graph, or a constant."""


@dataclass(frozen=True)
class Call:
    """One call of a graph."""

    name: str
    """What is called, a key of the table of facts or one of :data:`multigrad.graph.evaluation.CONTROL`."""
    operands: tuple[Operand, ...]
    results: tuple[int, ...]
    """The numbers of the values that it makes."""
    kinds: tuple[Kind, ...]
    """What each result holds."""
    options: Mapping[str, Any]
    """Axes, shapes and the like, and the graphs that it calls."""
    place: str
    """File and line of the call in the person's function, as ``model.py, line 12``; empty where nothing is known."""


@dataclass(frozen=True)
class Graph:
    """A function of arrays as the calls that make it, in order."""

    inputs: tuple[int, ...]
    kinds: tuple[Kind, ...]
    """What each input holds."""
    calls: tuple[Call, ...]
    outputs: tuple[Operand, ...]
    output_kinds: tuple[Kind, ...]
    """What each output holds."""
    shapes: tuple[tuple[int, ...], ...]
    """The shape of each output."""

    @functools.cached_property
    def last_uses(self) -> tuple[tuple[int, ...], ...]:
        """For each call the values that nobody needs after it."""
        needed = {o for o in self.outputs if isinstance(o, int)}
        ends: list[tuple[int, ...]] = []
        for call in reversed(self.calls):
            here = dict.fromkeys((*(o for o in call.operands if isinstance(o, int)), *call.results))
            ends.append(tuple(value for value in here if value not in needed))
            needed |= here.keys()
        return tuple(reversed(ends))

    def every_call(self) -> Iterator[Call]:
        """Yield the calls, and those of the graphs that they call."""
        for call in self.calls:
            yield call
            for option in call.options.values():
                for graph in option if isinstance(option, tuple) else (option,):
                    if isinstance(graph, Graph):
                        yield from graph.every_call()

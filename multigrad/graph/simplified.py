"""A graph with less in it: the same values from fewer calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .calls import NESTED, Call, Constant, Graph, Operand
from .evaluation import CONTROL, Table, of_constants
from .namespace import is_known


def simplified(graph: Graph, table: Table) -> Graph:
    """Return a graph of the same values, without calls that change nothing, that repeat another or that nobody needs.

    Integers and conditions that depend on no input are computed. A graph that is called once is written where it is
    called. The body of a loop, or a branch, is simplified by itself.

    Args:
        graph: what a tracer handed out.
        table: what its calls are.
    """
    building = _Building(table)
    inputs = tuple(building.new() for _ in graph.inputs)
    outputs = building.written(graph, inputs)
    return replace(graph, inputs=inputs, calls=_needed(building.calls, outputs), outputs=tuple(outputs))


class _Building:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.calls: list[Call] = []
        self.count = 0
        self.made: dict[Hashable, tuple[int, ...]] = {}
        """The results of each call that has been written, by all that it depends on."""

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def written(self, graph: Graph, operands: Sequence[Operand]) -> list[Operand]:
        """Write the calls of a graph, and return its outputs."""
        at: dict[int, Operand] = dict(zip(graph.inputs, operands, strict=True))

        def moved(operand: Operand) -> Operand:
            return at[operand] if isinstance(operand, int) else operand

        for call, over in zip(graph.calls, graph.last_uses, strict=True):
            given = [moved(o) for o in call.operands]
            results = self.written(call.options["graph"], given) if call.name == NESTED else self.results(call, given)
            at.update(zip(call.results, results, strict=True))
            for number in over:  # a constant may be large
                at.pop(number, None)
        return [moved(o) for o in graph.outputs]

    def results(self, call: Call, operands: list[Operand]) -> Sequence[Operand]:
        if call.name in self.table.same:
            return operands
        constants = [o.value for o in operands if isinstance(o, Constant) and is_known(o.value)]
        if len(constants) == len(operands) and "real" not in call.kinds and call.name not in CONTROL:
            return [Constant(value) for value in of_constants(call, self.table, constants)]
        key = _key(call, operands)
        if key in self.made:
            return self.made[key]
        results = tuple(self.new() for _ in call.results)
        options = {name: _inside(option, lambda g: simplified(g, self.table)) for name, option in call.options.items()}
        self.calls.append(replace(call, operands=tuple(operands), results=results, options=options))
        if key is not None:
            self.made[key] = results
        return results


def _inside(option: Any, changed: Callable[[Graph], Graph]) -> Any:
    if isinstance(option, Graph):
        return changed(option)
    if isinstance(option, tuple) and any(isinstance(one, Graph) for one in option):
        return tuple(changed(one) for one in option)
    return option


def _key(call: Call, operands: Sequence[Operand]) -> Hashable | None:
    """Return what another call must have too to give the same; None where that cannot be told."""
    key = (call.name, call.kinds, *map(_identity, operands), *sorted(call.options.items(), key=lambda item: item[0]))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _identity(operand: Operand) -> Hashable:
    if isinstance(operand, int):
        return operand
    value = operand.value
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    return type(value).__name__, repr(value)  # -0.0 is another number than 0.0, and True than 1


def _needed(calls: Sequence[Call], outputs: Sequence[Operand]) -> tuple[Call, ...]:
    used = {o for o in outputs if not isinstance(o, Constant)}
    needed = []
    for call in reversed(calls):
        if not used.isdisjoint(call.results):
            needed.append(call)
            used.update(o for o in call.operands if not isinstance(o, Constant))
    return tuple(reversed(needed))

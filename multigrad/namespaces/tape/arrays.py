"""Arrays that remember what they were computed from, and the record of one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..shared.operators import Operators

Value = Any
"""An array of the namespace below, or a number."""

Pull = Callable[[Any], Any]
"""Takes the cotangent of a result, returns that of one operand."""


class Node:
    """One step of a computation: its operands that are traced, each with what pulls a cotangent back to it."""

    __slots__ = ("depth", "parents")

    def __init__(self, parents: Sequence[tuple[Node, Pull]] = ()) -> None:
        self.parents = tuple(parents)
        self.depth: int = 1 + max([0, *(node.depth for node, _ in self.parents)])
        """The length of the longest path to an input: a step comes after its operands."""


class TapeArray(Operators):
    """An array of another namespace and the step that made it; a constant has no step."""

    __slots__ = ("namespace", "node", "value")
    knower = "the tape, which differentiates it"
    rank = 2
    value: Value
    node: Node | None

    def __init__(self, namespace: Any, value: Value, node: Node | None = None) -> None:
        self.namespace = namespace  # type: ignore[misc]  # one for each namespace below
        self.value = value
        self.node = node

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The size of each axis."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> Any:
        """The dtype of the value."""
        return self.value.dtype

    @property
    def device(self) -> Any:
        """Where the value lies."""
        return getattr(self.value, "device", None)

    def __getitem__(self, key: Any) -> Any:
        return self.namespace.item(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        # Rebound, never overwritten: an array that shares the value does not see it.
        changed = self.namespace.assigned(self, key, value)
        self.value, self.node = changed.value, changed.node

    def __repr__(self) -> str:
        return f"TapeArray({self.value!r}{'' if self.node is None else ', traced'})"


def value_of(x: Any) -> Any:
    """Return the value of an array of the tape, of each in a list of them, or what is none."""
    if isinstance(x, TapeArray):
        return x.value
    if isinstance(x, list | tuple) and holds(x):
        return type(x)(map(value_of, x))
    if isinstance(x, np.generic):
        return x.item()  # a number of NumPy's would widen what Python's leaves as it is
    if isinstance(x, slice):
        return slice(value_of(x.start), value_of(x.stop), value_of(x.step))
    return x


def holds(x: Any) -> bool:
    """Whether x is an array of the tape, or a list that holds one."""
    return isinstance(x, TapeArray) or (isinstance(x, list | tuple) and any(map(holds, x)))


def traced(x: Any) -> bool:
    """Whether x depends on an input, or is a list of which an entry does."""
    if isinstance(x, list | tuple):
        return any(map(traced, x))
    return isinstance(x, TapeArray) and x.node is not None


def recorded(tape: Any, value: Value, operands: Sequence[Any], pulls: Sequence[Pull]) -> TapeArray:
    """Return the result of a step. Constant operands are left out; without others the result is constant too."""
    parents = [
        (x.node, pull)
        for x, pull in zip(operands, pulls, strict=True)
        if isinstance(x, TapeArray) and x.node is not None
    ]
    return TapeArray(tape, value, Node(parents) if parents else None)


def several(tape: Any, values: Sequence[Value], operand: Any, pull: Pull) -> list[TapeArray]:
    """Return the results of a step that has several.

    Args:
        tape: the namespace.
        values: the results.
        operand: what they were computed from.
        pull: takes the cotangents of all, each None where nobody uses it, and returns that of the operand.
    """
    if not traced(operand):
        return [TapeArray(tape, value) for value in values]
    step = Node([(operand.node, pull)])

    def alone(i: int) -> Pull:
        return lambda g: tuple(g if j == i else None for j in range(len(values)))

    return [TapeArray(tape, value, Node([(step, alone(i))])) for i, value in enumerate(values)]

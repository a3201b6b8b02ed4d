"""The pullback of a function that returns values alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .arrays import Node, TapeArray, Value
from .namespace import Tape, over


def with_pullback(
    function: Callable[..., Any],
    tape: Tape,
    inputs: Sequence[Any],
    differentiable: Sequence[bool],
    parameters: Mapping[str, Any],
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """Evaluate a function on the tape.

    Args:
        function: ``f(xp, *inputs, **parameters)``, returns an array, or a tuple of arrays.
        tape: the tape over the namespace of the inputs, as :func:`over` gives it.
        inputs: arrays of that namespace.
        differentiable: for each, whether it gets a gradient.
        parameters: its keyword parameters.

    Returns:
        What the function returns, in arrays of the namespace below, and its pullback: it takes one cotangent for each
        value and returns one gradient for each differentiable input.
    """
    xp = tape.base
    given = [tape.variable(x) if d else tape.wrapped(x) for x, d in zip(inputs, differentiable, strict=True)]
    returned = function(tape, *given, **parameters)
    results = returned if isinstance(returned, tuple | list) else (returned,)
    values = tuple(r.value if isinstance(r, TapeArray) else r for r in results)
    leaves = [(x.node, x.value) for x in given if isinstance(x, TapeArray) and x.node is not None]
    roots = [r.node if isinstance(r, TapeArray) else None for r in results]
    steps = _in_order([n for n in roots if n is not None])

    def pullback(*cotangents: Value) -> tuple[Value, ...]:
        held: dict[Node, Any] = {}
        for root, g, value in zip(roots, cotangents, values, strict=True):
            if root is not None:
                held[root] = _added(held.get(root), _as_cotangent(xp, g, value))
        for step in steps:
            g = held.get(step) if not step.parents else held.pop(step, None)
            if g is not None:
                for parent, pull in step.parents:
                    held[parent] = _added(held.get(parent), pull(g))
        return tuple(_gradient(xp, held.get(node), x) for node, x in leaves)

    return (values if isinstance(returned, tuple | list) else values[0]), pullback


def differentiated(xp: Any, forward: Callable[..., tuple[Any, ...]], wanted: Sequence[bool]) -> Callable[..., Any]:
    """Return ``f(*inputs, *cotangents) -> (*values, *gradients)`` in arrays of a namespace.

    Args:
        xp: the namespace.
        forward: ``f(*inputs)`` over :func:`over` of the namespace, or in NumPy's functions; returns a tuple of values.
        wanted: for each input, whether its gradient is wanted.
    """
    tape, count = over(xp), len(wanted)

    def function(*arrays: Value) -> tuple[Value, ...]:
        values, pullback = with_pullback(lambda _, *inputs: tuple(forward(*inputs)), tape, arrays[:count], wanted, {})
        return (*values, *pullback(*arrays[count:]))

    return function


def _in_order(roots: Sequence[Node]) -> list[Node]:
    """Return every step that the roots come from, each before its operands: in the same order every time, for bits."""
    seen: dict[Node, None] = {}
    open_ = list(roots)
    while open_:
        step = open_.pop()
        if step not in seen:
            seen[step] = None
            open_.extend(parent for parent, _ in step.parents)
    return sorted(seen, key=lambda step: -step.depth)


def _added(sum_: Any, more: Any) -> Any:
    """Add a cotangent to what there is already; those of a step with several results part by part."""
    if sum_ is None:
        return more
    if isinstance(more, tuple):
        return tuple(b if a is None else a if b is None else a + b for a, b in zip(sum_, more, strict=True))
    return sum_ + more


def _as_cotangent(xp: Any, g: Value, value: Value) -> Value:
    return g if hasattr(g, "shape") else xp.full_like(value, g)


def _gradient(xp: Any, g: Value | None, x: Value) -> Value:
    if g is None:
        return xp.zeros_like(x)
    return g if g.dtype == x.dtype else xp.astype(g, x.dtype)

"""Wrong gradients made on purpose, from the source of an operation's own pullback: who watches the checker.

A mutant is the operation with one thing changed in its pullback. Its forward part is untouched, so its true gradient is
known; a checker that accepts it is blind to that mistake. Mutants are found by walking the syntax tree, never listed.
Those of functions that the pullback calls leave the forward part as it is too (:mod:`multigrad.ops.program`).
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..ops.edits import edits
from ..ops.operation import Operation
from ..ops.program import Program, carry, edited, place_of, text

KINDS = {
    "drop-factor": "one factor of a product is left out",
    "double-factor": "a gradient is twice what it should be",
    "halve-factor": "a gradient is half of what it should be",
    "flip-sign": "a sign is turned",
    "zero-gradient": "a gradient is zero",
    "lose-mask": "one branch of a condition is taken everywhere",
    "invert-mask": "the branches of a condition are exchanged",
    "shift-comparison": "> for >= and the like: wrong on the kink only",
    "invert-comparison": "> for < and the like",
    "drop-transpose": "a transpose is left out",
    "swap-results": "two gradients are exchanged",
    "lose-term": "one term of a sum is left out",
    "mean-for-sum": "a mean is taken for a sum, or the other way round",
    "other-axis": "a sum goes over another axis",
    "wrong-constant": "a number in the formula is off by one",
    "wrong-function": "a function stands for its neighbour",
    "shift-index": "a slice is off by one",
    "one-wrong-entry": "one entry of a gradient is off by a tenth",
    "relative-error": "a gradient is off by a millionth throughout",
    "ignore-cotangent": "the cotangent is taken to be one",
    "lower-precision": "a gradient is rounded to half the digits",
    "second-call": "the second call of the pullback gives something else",
    "change-inputs": "the pullback writes into an input",
    "shared-buffer": "a later call of the pullback overwrites what an earlier one returned",
    "swap-operands": "a matrix product is taken the other way round",
    "extra-transpose": "a transpose too many",
    "lose-axis": "an index, or an axis of length one, is left out",
    "rotated": "a gradient is rotated by 180°: convolution for correlation",
    "shifted": "a gradient is shifted by one",
    "reordered": "a gradient is transposed",
    "symmetric": "a gradient is replaced by its symmetric part",
    "keep-mean": "a mean is not subtracted",
    "lose-outer-product": "a term of rank one is lost",
    "wrong-row": "the first row of a gradient is off by a tenth",
    "wrong-block": "a corner of a gradient is off by a tenth",
    "not-summed": "a gradient has an axis that should have been summed",
    "not-a-number": "one entry of a gradient is not a number",
    "narrow-dtype": "a gradient comes back in a narrower dtype",
}
"""Every kind of mutant with its mistake in words."""


@dataclass(frozen=True)
class Mutant:
    """An operation with one mistake in its pullback."""

    number: int
    """Its place among the mutants of its operation: the same on every machine for the same source."""
    kind: str
    """One of :data:`KINDS`."""
    line: int
    """Line in the operation's file; 0 where the mistake is put around the pullback, not into it."""
    change: str
    """What was changed, as source text."""
    operation: Operation
    """The operation with the mistake."""


def mutants(op: Operation) -> list[Mutant]:
    """Make every mutant of an operation.

    Raises:
        BadInput: the operation's source cannot be read, or it has no pullback of its own.
    """
    mistakes = list(_edited(op))
    for name, wrap in _WRAPPERS.items():
        mistakes += [(name, 0, change, carry(function, None)) for change, function in wrap(op)]
    return [
        Mutant(i, kind, line, change, replace(op, function=function, reference=""))
        for i, (kind, line, change, function) in enumerate(mistakes)
    ]


def _edited(op: Operation) -> Iterator[tuple[str, int, str, Callable[..., Any]]]:
    program = Program.of(op)
    for place in program.places():
        index, path = place
        node = path[-1]
        if place_of(path) == "shape" and not isinstance(node, ast.Slice | ast.Constant | ast.UnaryOp):
            continue
        for kind, replacement in edits(node, op):
            change = f"{text(node)} → {text(replacement)}"
            with edited(path, replacement):
                try:
                    function = program.function(index)
                except SyntaxError:
                    continue  # the edit is no program, so nobody can have written it
                # There is no file to read its source from, so it carries its own.
                parts = [*program.parts[:index], copy.deepcopy(program.parts[index]), *program.parts[index + 1 :]]
            carry(function, Program(program.name, parts, program.scope))
            yield kind, program.line(place), change, function


def _gradients(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _wrapped(op: Operation, begin: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the operation's function with changed gradients.

    Args:
        op: the operation.
        begin: called once for every evaluation; returns ``change(xp, gradients, cotangents, inputs, pullback)``, which
            returns the changed gradients at every call of the pullback.
    """

    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)
        change = begin()

        def changed(*cotangents: Any) -> Any:
            return change(xp, _gradients(pullback(*cotangents)), cotangents, inputs, pullback)

        return value, changed

    return function


def _each(
    op: Operation, what: str, one: Callable[[Any, Any], Any], rank: int = 0, *, square: bool = False
) -> Iterator[tuple[str, Callable[..., Any]]]:
    for i, (name, shape) in enumerate(_shapes(op)):
        if len(shape) >= rank and not (square and shape[-1] != shape[-2]):
            yield what.format(f"{name}_bar"), _wrapped(op, functools.partial(_at, i, one))


def _at(number: int, one: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def change(xp: Any, gradients: Sequence[Any], *_: Any) -> Any:
        return tuple(one(xp, g) if i == number else g for i, g in enumerate(gradients))

    return change


def _shapes(op: Operation) -> list[tuple[str, tuple[str, ...]]]:
    """The differentiable inputs with their dimensions."""
    return [(n, s) for n, s, d in zip(op.inputs, op.signature.inputs, op.differentiable, strict=True) if d]


def _one_entry(xp: Any, g: Any) -> Any:
    flat = xp.reshape(g, (-1,))
    first = xp.arange(flat.shape[0]) == flat.shape[0] // 2
    return xp.reshape(xp.where(first, flat * 1.1 + 0.1, flat), g.shape)


def _rotated(xp: Any, g: Any) -> Any:
    return xp.flip(xp.flip(g, axis=-1), axis=-2)


def _symmetric(xp: Any, g: Any) -> Any:
    return (g + xp.matrix_transpose(g)) / 2


def _without_outer_product(xp: Any, g: Any) -> Any:
    return g - xp.sum(g, axis=-1, keepdims=True) * (1 + g[..., :1, :])


def _where_first(xp: Any, g: Any, axes: int) -> Any:
    """Change what is first along the first axis, or first in both of the first two."""
    first = xp.arange(g.shape[0]) == 0
    first = xp.reshape(first, (-1,) + (1,) * (len(g.shape) - 1))
    if axes == 2:
        second = xp.arange(g.shape[1]) < max(1, g.shape[1] - 1)
        first = xp.logical_and(first, xp.reshape(second, (1, -1) + (1,) * (len(g.shape) - 2)))
    return xp.where(first, g * 1.1 + 0.1, g)


def _not_a_number(xp: Any, g: Any) -> Any:
    flat = xp.reshape(g, (-1,))
    return xp.reshape(xp.where(xp.arange(flat.shape[0]) == 0, flat * float("nan"), flat), g.shape)


def _narrow(xp: Any, g: Any) -> Any:
    name = str(g.dtype).rpartition(".")[2]
    return xp.astype(g, getattr(xp, {"float64": "float32"}.get(name, "float16"), g.dtype))


def _half_the_digits(xp: Any, g: Any) -> Any:
    # Adding and taking away a large multiple leaves half of the significand, in any namespace that rounds.
    name = str(g.dtype).rpartition(".")[2]
    big = {"float64": 2.0**29 + 1, "float32": 2.0**14 + 1}.get(name, 2.0**6 + 1)
    product = g * big
    return product - (product - g)


def _ignored(xp: Any, gradients: Any, cotangents: Any, inputs: Any, pullback: Any) -> Any:
    return _gradients(pullback(*(xp.ones_like(c) for c in cotangents)))


def _second_call(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    def begin() -> Callable[..., Any]:
        calls = itertools.count(1)

        def change(xp: Any, gradients: Sequence[Any], *_: Any) -> Any:
            number = next(calls)
            return tuple(g * number for g in gradients)

        return change

    yield "the pullback multiplies by the number of its calls", _wrapped(op, begin)


def _change_inputs(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    first = op.differentiable.index(True)

    def change(xp: Any, gradients: Any, cotangents: Any, inputs: Any, pullback: Any) -> Any:
        # Only a framework with mutable arrays can make this mistake; in the others the mutant is the original.
        if hasattr(inputs[first], "__setitem__"):
            inputs[first][...] = 2 * inputs[first]
        return gradients

    yield f"the pullback doubles {op.inputs[first]} in place", _wrapped(op, lambda: change)


def _shared_buffer(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    def begin() -> Callable[..., Any]:
        kept: list[tuple[Any, ...]] = []

        def change(xp: Any, gradients: tuple[Any, ...], *_: Any) -> Any:
            if not kept or not all(hasattr(g, "__setitem__") for g in gradients):
                kept[:] = [gradients]
                return gradients
            for buffer, gradient in zip(kept[0], gradients, strict=True):
                buffer[...] = gradient
            return kept[0]

        return change

    yield "every call of the pullback returns the same arrays", _wrapped(op, begin)


_WRAPPERS: dict[str, Callable[[Operation], Iterator[tuple[str, Callable[..., Any]]]]] = {
    "double-factor": lambda op: _each(op, "{0} → 2 * {0}", lambda xp, g: 2 * g),
    "halve-factor": lambda op: _each(op, "{0} → 0.5 * {0}", lambda xp, g: 0.5 * g),
    "flip-sign": lambda op: _each(op, "{0} → -{0}", lambda xp, g: -g),
    "zero-gradient": lambda op: _each(op, "{0} → 0 * {0}", lambda xp, g: 0 * g),
    "relative-error": lambda op: _each(op, "{0} → 1.000001 * {0}", lambda xp, g: 1.000001 * g),
    "one-wrong-entry": lambda op: _each(op, "one entry of {0}: x → 1.1 * x + 0.1", _one_entry),
    "lower-precision": lambda op: _each(op, "{0} rounded to half its digits", _half_the_digits),
    "ignore-cotangent": lambda op: iter([("every cotangent → ones", _wrapped(op, lambda: _ignored))]),
    "second-call": _second_call,
    "change-inputs": _change_inputs,
    "shared-buffer": _shared_buffer,
    "rotated": lambda op: _each(op, "{0} → {0}[..., ::-1, ::-1]", _rotated, 2),
    "shifted": lambda op: _each(op, "{0} → roll({0}, 1)", lambda xp, g: xp.roll(g, 1, axis=-1), 1),
    "reordered": lambda op: _each(op, "{0} → {0}.mT", lambda xp, g: xp.matrix_transpose(g), 2),
    "symmetric": lambda op: _each(op, "{0} → ({0} + {0}.mT) / 2", _symmetric, 2, square=True),
    "keep-mean": lambda op: _each(op, "{0} → {0} + a mean", lambda xp, g: g + xp.mean(g, axis=0, keepdims=True), 1),
    "lose-outer-product": lambda op: _each(op, "{0} → {0} − u vᵀ", _without_outer_product, 2),
    "wrong-row": lambda op: _each(op, "first row of {0}: x → 1.1 * x + 0.1", lambda xp, g: _where_first(xp, g, 1), 2),
    "wrong-block": lambda op: _each(op, "a corner of {0}: x → 1.1 * x + 0.1", lambda xp, g: _where_first(xp, g, 2), 2),
    "not-summed": lambda op: _each(op, "{0} → xp.stack([{0} / 2, {0} / 2])", lambda xp, g: xp.stack([g / 2, g / 2])),
    "not-a-number": lambda op: _each(op, "first entry of {0} → NaN", _not_a_number),
    "narrow-dtype": lambda op: _each(op, "{0} in a narrower dtype", _narrow),
}

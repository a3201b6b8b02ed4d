"""The evaluation of a graph in any array namespace, by a table of facts.

Integers and conditions that depend on no array of the namespace are computed with NumPy as they come up: the counters
of loops, the indices of slices. So a loop whose count is known runs, and a compiler sees what it does alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ..extra.hooks import hooks_of
from ..namespaces.shared.unsupported import Unsupported
from .calls import END, NESTED, Call, Constant, Graph, Kind
from .namespace import Namespace, is_known, is_number, is_plain, known, on_numpy

Fact = Callable[..., Any]
"""``fact(xp, *operands, **options)`` returns an array, or a tuple of them where the call has several results."""


@dataclass(frozen=True)
class Table:
    """What a framework's calls are in the array API standard."""

    elementwise: Mapping[str, Fact] = field(repr=False)
    """Functions of each element: operands are arrays, or Python numbers beside one."""
    others: Mapping[str, Fact] = field(repr=False)
    """All other functions: integers and conditions whose values are at hand may be NumPy's."""
    numbers: Mapping[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    """Functions of fractions, for constants: a result that is a float64 stays one, and a comparison is decided."""
    same: frozenset[str] = frozenset()
    """What returns its operands as they are. :func:`~multigrad.graph.simplified.simplified` leaves it out."""

    def __contains__(self, name: str) -> bool:
        return any(name in names for names in (self.elementwise, self.others, self.same, CONTROL, (NESTED,)))


def evaluate(graph: Graph, table: Table, xp: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Evaluate a graph at arrays of a namespace.

    Args:
        graph: a simplified graph.
        table: what its calls are.
        xp: the namespace.
        inputs: one array for each input.

    Raises:
        Unsupported: a namespace of proof does not know a function; the message has the place in the person's function.
    """
    at = Namespace.of(xp, inputs, [kind == "real" for kind in graph.kinds])
    evaluation = _Evaluation(table, at)
    values = evaluation.run(graph, inputs)
    return tuple(evaluation.held(v, kind) for v, kind in zip(values, graph.output_kinds, strict=True))


def of_constants(call: Call, table: Table, operands: Sequence[Any]) -> list[Any]:
    """Return what a call makes of integers and conditions: numbers of Python's, or arrays of NumPy's."""
    results = map(known, _Evaluation(table, on_numpy()).results(call, list(operands)))
    return [x if x.ndim else x.item() for x in results]


def folded(function: Callable[..., Any], numbers: Sequence[float]) -> float | bool | None:
    """Return a function of constants: a float64 if it is one exactly, or a condition; None if it is neither."""
    if not all(map(math.isfinite, numbers)):
        return None
    try:
        result = function(*map(Fraction, numbers))
        if isinstance(result, bool):
            return result
        number = float(result)
    except ArithmeticError:
        return None
    return number if number == result else None


class _Evaluation:
    def __init__(self, table: Table, xp: Namespace) -> None:
        self.table, self.xp, self.numpy = table, xp, on_numpy()

    def run(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        values: dict[int, Any] = dict(zip(graph.inputs, inputs, strict=True))

        def value(operand: int | Constant) -> Any:
            return self.constant(operand) if isinstance(operand, Constant) else values[operand]

        for call, over in zip(graph.calls, graph.last_uses, strict=True):
            results = self.results(call, [value(o) for o in call.operands])
            values.update(zip(call.results, results, strict=True))
            for number in over:
                del values[number]
        return [value(o) for o in graph.outputs]

    def constant(self, constant: Constant) -> Any:
        """Return a constant; one at the end of float64's range stands for half the largest number of the dtype.

        Half, so that what is added to it, as a mask's score has its row's maximum taken away, does not overflow.
        """
        if not constant.ends:
            return constant.value
        largest = float(self.xp.finfo(self.xp.floating).max)
        moved = np.where(np.abs(constant.value) >= END, np.copysign(largest / 2, constant.value), constant.value)
        return moved if moved.ndim else float(moved)

    def results(self, call: Call, operands: list[Any]) -> Sequence[Any]:
        try:
            if call.name in CONTROL:
                return CONTROL[call.name](self, call, operands)
            fraction = self.table.numbers.get(call.name)
            if fraction is not None and call.kinds[0] != "whole" and all(map(is_number, operands)):
                number = folded(fraction, operands)
                if number is not None:
                    return (number,)
            # What is known beforehand stays known.
            here = "real" not in call.kinds and all(map(is_known, operands))
            xp = self.numpy if here else self.xp
            if call.name in self.table.elementwise:
                result = self.table.elementwise[call.name](xp, *xp.together(*operands), **call.options)
            else:
                # A constant array of real numbers enters where it is used.
                given = [xp.array(x) if is_plain(x) and not is_known(x) else x for x in operands]
                result = self.table.others[call.name](xp, *given, **call.options)
        except Unsupported as error:
            if not call.place or error.place == call.place:
                raise
            raise Unsupported(error.call, error.advice, error.knower, call.place) from error
        return result if isinstance(result, tuple) else (result,)

    def chosen(self, call: Call, operands: list[Any]) -> list[Any]:
        """One of several branches: the one that is known to be meant, or a choice among the results of all."""
        branches = call.options["branches"]
        which, arguments = operands[0], operands[1:]
        if is_known(which):
            return self.run(branches[min(max(int(which), 0), len(branches) - 1)], arguments)
        results = [self.run(branch, arguments) for branch in branches]
        chosen = results[0]
        for i in range(1, len(branches)):
            there = which if call.options["truth"] else which >= i
            pairs = zip(results[i], chosen, strict=True)
            chosen = [self.xp.where(there, *self._arrays(pair)) for pair in pairs]
        return chosen

    def _arrays(self, pair: Sequence[Any]) -> list[Any]:
        return [self.xp.array(x) for x in pair]

    def looped(self, call: Call, operands: list[Any]) -> list[Any]:
        """Repeat the body for as long as the condition holds, which depends on no value of an input."""
        counts = call.options["condition_constants"], call.options["body_constants"]
        first, second, carry = operands[: counts[0]], operands[counts[0] : sum(counts)], operands[sum(counts) :]
        while True:
            (goes_on,) = self.run(call.options["condition"], [*first, *carry])
            if not bool(goes_on):
                return carry
            carry = self.run(call.options["body"], [*second, *carry])

    def scanned(self, call: Call, operands: list[Any]) -> list[Any]:
        """Run the body along the first axis of what it is given, one step after the other."""
        options = call.options
        body, constants, carried, length = options["body"], options["constants"], options["carried"], options["length"]
        fixed, carry, xs = (
            operands[:constants],
            operands[constants : constants + carried],
            operands[constants + carried :],
        )
        own = hooks_of(self.xp.standard).scan
        if own is not None and length > UNROLLED:
            return self._scanned_by(own, call, operands)
        steps = range(length - 1, -1, -1) if options["reverse"] else range(length)
        outputs: list[list[Any]] = []
        for i in steps:
            items = [known(x)[i] if is_known(x) else self.xp.array(x)[i, ...] for x in xs]
            results = self.run(body, [*fixed, *carry, *items])
            carry = results[:carried]
            outputs.append(results[carried:])
        if options["reverse"]:
            outputs.reverse()
        return [*carry, *(self._stacked(list(part), shape) for part, shape in self._columns(outputs, call))]

    def _scanned_by(self, scan: Callable[..., Any], call: Call, operands: list[Any]) -> list[Any]:
        """Leave a recurrence to the namespace, whose compiler sees the body once."""
        options, body = call.options, call.options["body"]
        constants, carried = options["constants"], options["carried"]
        fixed, kinds = operands[:constants], body.kinds[constants:]
        given = [self.held(x, kind) for x, kind in zip(operands[constants:], kinds, strict=True)]

        def step(carry: Any, items: Any) -> Any:
            results = self.run(body, [*fixed, *carry, *(items if given[carried:] else ())])
            held = tuple(self.held(x, kind) for x, kind in zip(results, body.output_kinds, strict=True))
            return held[:carried], held[carried:]

        # What goes from step to step is counted where nothing is given to it.
        xs = tuple(given[carried:]) or self.held(np.arange(options["length"]), "whole")
        carry, outputs = scan(step, tuple(given[:carried]), xs, reverse=options["reverse"])
        return [*carry, *outputs]

    def held(self, x: Any, kind: Kind) -> Any:
        """Return a value as an array of the namespace."""
        return self.xp.real(x) if kind == "real" and is_known(x) else self.xp.array(x)

    def solved(self, call: Call, operands: list[Any]) -> list[Any]:
        """The solution of a system whose matrix is what a linear function makes of the unit vectors."""
        *constants, b = operands
        b = self.xp.array(b)
        units = np.eye(math.prod(b.shape))
        columns = []
        for unit in units:
            (column,) = self.run(call.options["matvec"], [*constants, self.xp.array(unit.reshape(b.shape))])
            columns.append(self.xp.reshape(column, (len(units),)))
        x = self.xp.linalg.solve(self.xp.stack(columns, axis=1), self.xp.reshape(b, (len(units),)))
        return [self.xp.reshape(x, b.shape)]

    def _columns(self, outputs: list[list[Any]], call: Call) -> list[tuple[tuple[Any, ...], tuple[int, ...]]]:
        body: Graph = call.options["body"]
        carried = call.options["carried"]
        shapes = body.shapes[carried:]
        columns = list(zip(*outputs, strict=True)) if outputs else [() for _ in shapes]
        return list(zip(columns, shapes, strict=True))

    def _stacked(self, items: list[Any], shape: tuple[int, ...]) -> Any:
        if not items:
            return self.xp.zeros((0, *shape), dtype=self.xp.floating, device=self.xp.device)
        if all(map(is_known, items)):
            return self.numpy.stack([known(x) for x in items])
        return self.xp.stack([self.xp.array(x) for x in items], axis=0)


UNROLLED = 8
"""So many steps of a recurrence are written one after the other for a compiler."""

CONTROL: dict[str, Callable[[_Evaluation, Call, list[Any]], Sequence[Any]]] = {
    "choice": _Evaluation.chosen,
    "linear_solve": _Evaluation.solved,
    "loop": _Evaluation.looped,
    "scan": _Evaluation.scanned,
}
"""The calls that call graphs."""

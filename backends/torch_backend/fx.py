"""A graph of torch's as a graph of calls that the table has in the array API, or the names of those that it lacks."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from multigrad.data.errors import BadInput
from multigrad.graph.calls import Call, Constant, Graph, Kind, Operand
from multigrad.graph.constants import plain, shortest_decimal
from multigrad.graph.traced import bracketed, draws_at_random

from .aten.table import TABLE

LEFT_OUT = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")
"""Arguments that change no number. What a dtype says of the kind of number is the option ``kind``."""

FILLING = ("fill_value", "s")
"""Numbers that arrays are filled with: one at the end of the dtype's range stands for that of any other."""

STOPPED = " without a gradient"
"""Stands behind the place of what no derivative goes through. Other calls of ``detach`` are autograd's own, who puts
what it keeps for later aside."""

SAME = ("alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "_to_copy")
"""Calls that leave an array as it is, if they leave its kind."""


class Converter:
    """Converts a graph of ATen calls, none of which writes in place, and notes every call that the table lacks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing: dict[str, str] = {}
        """By name the first place of each."""
        self._operands: dict[Node, Operand] = {}
        self._several: dict[Node, tuple[int, ...]] = {}
        """The results of calls that have more than one."""
        self._count = 0

    def graph(self, module: GraphModule) -> Graph:
        """Return the graph of a function.

        Raises:
            BadInput: it computes with complex or random numbers.
        """
        needed = _needed(module)
        inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
        self._operands |= {node: number for node, (number,) in zip(inputs, map(self._new, inputs), strict=True)}
        calls: list[Call] = []
        for node in needed:
            if node.op == "get_attr":
                self._operands[node] = Constant(_number(getattr(module, str(node.target))))
            elif node.target is operator.getitem:
                number: Any = node.args[1]
                self._operands[node] = self._several[_first(node)][number]
            elif node.op == "call_function":
                calls += self._call(node)
        outputs = _outputs(module)
        return Graph(
            tuple(self._number(node) for node in inputs),
            tuple(self._kinds(node)[0] for node in inputs),
            tuple(calls),
            tuple(self._operands[node] for node in outputs),
            tuple(self._kinds(node)[0] for node in outputs),
            tuple(tuple(node.meta["val"].shape) for node in outputs),
        )

    def _new(self, node: Node) -> tuple[int, ...]:
        """Number the results of a node."""
        count = len(_made(node))
        self._count += count
        return tuple(range(self._count - count, self._count))

    def _number(self, node: Node) -> int:
        number = self._operands[node]
        assert isinstance(number, int)
        return number

    def _kinds(self, node: Node) -> tuple[Kind, ...]:
        return tuple(self._kind(one, node) for one in _made(node))

    def _kind(self, value: Any, node: Node) -> Kind:
        """Return what a result holds; of one that there is not, any."""
        if value is None or value.dtype.is_floating_point:
            return "real"
        if value.dtype.is_complex:
            raise BadInput(
                f"{self.name} computes with complex numbers{bracketed(place_of(node))}; "
                "write real and imaginary part apart"
            )
        return "truth" if value.dtype == torch.bool else "whole"

    def _call(self, node: Node) -> Sequence[Call]:
        """Return the call of a node, or none where it leaves everything as it is."""
        target, place = node.target, place_of(node)
        kinds = self._kinds(node)
        if not isinstance(target, torch._ops.OpOverload):
            self.missing.setdefault(str(target), place)
            self._take(node, self._new(node))
            return ()
        if self._is_same(node):
            if not is_stopped(node):
                self._operands[node] = self._operands[_first(node)]
                return ()
            self._take(node, results := self._new(node))
            return (Call("aten.detach", (self._operand(_first(node)),), results, kinds, {}, place),)
        name = key_of(target)
        if name not in TABLE:
            self.missing.setdefault(name, place)
        operands, options = self._arguments(node)
        if torch.Tag.nondeterministic_seeded in target.tags:
            raise draws_at_random(self.name, place, "; of a module with dropout call .eval() before")
        if any(a.name == "dtype" for a in target._schema.arguments):
            options["kind"] = kinds[0]
        results = self._new(node)
        self._take(node, results)
        return (Call(name, tuple(operands), results, kinds, options, place),)

    def _is_same(self, node: Node) -> bool:
        """Tell whether a call leaves an array as it is."""
        target: Any = node.target
        named = target.namespace == "aten" and target.overloadpacket.__name__ in SAME
        # Under vmap a number may be converted.
        return named and isinstance(node.args[0], Node) and self._kinds(_first(node)) == self._kinds(node)

    def _take(self, node: Node, results: tuple[int, ...]) -> None:
        if isinstance(node.meta["val"], tuple | list):
            self._several[node] = results
        else:
            (self._operands[node],) = results

    def _arguments(self, node: Node) -> tuple[list[Operand], dict[str, Any]]:
        """Return what is computed with, in the order of the schema, and all other arguments by name."""
        operands: list[Operand] = []
        options: dict[str, Any] = {}
        given: list[str] = []
        target: Any = node.target
        for i, argument in enumerate(target._schema.arguments):
            value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
            of, name = str(argument.type), argument.name
            if name in LEFT_OUT:
                continue
            if "Tensor" in of and "List" in of:
                parts: Any = value or ()
                places = iter(range(len(operands), len(operands) + len(parts)))
                options[name] = tuple(None if part is None else next(places) for part in parts)
                operands += [self._operand(part) for part in parts if part is not None]
            elif value is not None and ("Tensor" in of or _stands_for_a_tensor(target, name, of)):
                operands.append(self._operand(value))
                given.append(name)
            else:
                options[name] = tuple(value) if isinstance(value, list | tuple) else value
        if any("Optional" in str(a.type) and "Tensor" in str(a.type) for a in target._schema.arguments):
            options["given"] = tuple(given)
        return operands, options

    def _operand(self, value: Any) -> Operand:
        return self._operands[value] if isinstance(value, Node) else Constant(value)


def key_of(target: Any) -> str:
    """Return the name of a call in the table: with its overload where there is such a key."""
    packet = target.overloadpacket
    name = f"{target.namespace}.{packet.__name__}"
    full = f"{name}.{target._overloadname}"
    return full if full in TABLE else name


@functools.cache
def _stands_for_a_tensor(target: Any, name: str, of: str) -> bool:
    """Tell whether an argument is a number that is computed with, as where another overload has a tensor."""
    if of != "number" or name in FILLING:
        return of == "number"
    packet = target.overloadpacket
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    return any(a.name == name and "Tensor" in str(a.type) for schema in schemas for a in schema.arguments)


def place_of(node: Node) -> str:
    """Return the place of a call in the person's function, as :class:`.trace.Watch` notes it."""
    return (node.meta.get("stack_trace") or "").removesuffix(STOPPED)


def is_stopped(node: Node) -> bool:
    """Tell whether a person asked for no derivative there."""
    return (node.meta.get("stack_trace") or "").endswith(STOPPED)


def _first(node: Node) -> Node:
    first: Any = node.args[0]
    return first  # type: ignore[no-any-return]


def _made(node: Node) -> Sequence[Any]:
    value = node.meta["val"]
    return value if isinstance(value, tuple | list) else (value,)


def _outputs(module: GraphModule) -> Sequence[Any]:
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    returned: Any = output.args[0]
    return tuple(returned)


def _needed(module: GraphModule) -> list[Node]:
    """Return the nodes whose results are used, without the inputs."""
    used = set(_outputs(module))
    needed = []
    for node in reversed(module.graph.nodes):
        if node in used and node.op not in ("placeholder", "output"):
            needed.append(node)
            used |= set(node.all_input_nodes)
    return needed[::-1]


def _number(tensor: torch.Tensor) -> Any:
    """Return a constant as a number of Python's or an array of NumPy's, with every digit that it has."""
    if tensor.is_complex():
        return complex(0)  # refused where it is used
    if not tensor.is_floating_point():
        return plain(tensor.detach().cpu().numpy())
    wide = tensor.detach().cpu().double().numpy()
    if tensor.ndim == 0 and tensor.dtype != torch.float64:
        rounded: Callable[[float], float] = lambda x: float(torch.tensor(x, dtype=tensor.dtype))  # noqa: E731
        return shortest_decimal(float(wide), rounded)
    return plain(wide)


def writes_in_place(module: GraphModule) -> bool:
    """Tell whether a call of a graph writes into one of its operands."""
    targets: list[Any] = [node.target for node in module.graph.nodes if node.op == "call_function"]
    return any(isinstance(t, torch._ops.OpOverload) and t._schema.is_mutable for t in targets)

"""The program of a pullback: its syntax trees, to be read, edited and compiled.

Much of a pullback may stand in functions of the same module. Those that it reaches belong to the program: as a second
copy under another name that the pullback alone calls, so that the forward part stays what it was.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import itertools
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..data.errors import BadInput
from .operation import Operation
from .source import parsed

Function = ast.FunctionDef | ast.Lambda
NodePath = tuple[ast.AST, ...]
"""A node of a syntax tree after its parents, the outermost first."""
Place = tuple[int, NodePath]
"""An expression of a pullback: the number of its part in the program, and its path."""

_PROGRAM = "_multigrad_program"

COPY = "__of_the_pullback"
"""What the name of a helper's copy ends in."""


@dataclass(frozen=True)
class Part:
    """One function that a pullback is made of."""

    tree: ast.FunctionDef
    start: int
    """Its first line in the file; 0 where it stands in none."""

    @property
    def region(self) -> Function:
        """What of it belongs to the pullback alone."""
        return self.tree if self.tree.name.endswith(COPY) else pullback_of(self.tree)


@dataclass
class Program:
    """An operation's function and copies of the helpers that its pullback reaches, ready to be edited and compiled."""

    name: str
    parts: list[Part]
    """The operation first."""
    scope: dict[str, Any]
    """What they see: the operation's own globals and what it closes over."""
    codes: list[types.CodeType | None] = field(default_factory=list)
    """What every part compiled to, while it is unchanged."""

    @classmethod
    def of(cls, op: Operation) -> Program:
        """Read the program of an operation, or of a mutant.

        Raises:
            BadInput: the source cannot be read, or there is no pullback in it.
        """
        if hasattr(op.function, _PROGRAM):
            carried: Program | None = getattr(op.function, _PROGRAM)
            if carried is None:
                raise BadInput(f"{op.name} has its mistake around the pullback, so its source does not show it")
            return cls(carried.name, copy.deepcopy(carried.parts), carried.scope)
        if not op.has_pullback:
            raise BadInput(f"{op.name} has no pullback of its own, so there is no source of one to change")
        tree, start = parsed(op.function, op.name)
        scope = {**op.function.__globals__, **inspect.getclosurevars(op.function).nonlocals}
        helpers = _reached(pullback_of(tree), op.function.__module__, scope)
        parts = [Part(tree, start), *helpers.values()]
        for part in parts[1:]:
            part.tree.name += COPY
        for part in parts:
            _rename(part.region, helpers)
        return cls(op.name, parts, scope)

    @classmethod
    def called_by(
        cls, caller: str, name: str, function: Callable[..., Any], operation: str, scope: Mapping[str, Any]
    ) -> Program:
        """Read the program of a function that stands by itself, with the helpers that it reaches; all of it is open.

        Args:
            caller: the source of the function that is compiled, which calls it by its name and :data:`COPY`.
            name: that name.
            function: what is read.
            operation: what messages call it.
            scope: what the caller sees besides.

        Raises:
            BadInput: the source cannot be read.
        """
        tree, start = parsed(function, operation)
        seen = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
        helpers = _reached(tree, function.__module__, seen)
        (shell,) = ast.parse(caller).body
        assert isinstance(shell, ast.FunctionDef)
        tree.name = name
        parts = [Part(tree, start), *helpers.values()]
        for part in parts:
            part.tree.name += COPY
            _rename(part.region, helpers)
        return cls(operation, [Part(shell, 0), *parts], {**seen, **scope})

    def places(self) -> list[Place]:
        """Return every expression that belongs to the pullback."""
        return [(i, path) for i, part in enumerate(self.parts) for path in places(part.region)]

    def function(self, changed: int | None = None) -> Callable[..., Any]:
        """Compile; only the part that was changed since the last time, if its number is given.

        Raises:
            SyntaxError: the edit is no program.
        """
        if not self.codes:
            self.codes = [None] * len(self.parts)
        scope = dict(self.scope)
        for i, part in enumerate(self.parts):
            code = self.codes[i]
            if code is None or i == changed:
                module = ast.fix_missing_locations(ast.Module(body=[part.tree], type_ignores=[]))
                code = compile(module, f"<mutant of {self.name}>", "exec", dont_inherit=True)
                self.codes[i] = None if i == changed else code
            exec(code, scope)
        function: Callable[..., Any] = scope[self.parts[0].tree.name]
        return function

    def line(self, place: Place) -> int:
        """Return the line of an expression in the file."""
        index, path = place
        return self.parts[index].start + getattr(path[-1], "lineno", 1) - 1


def carry(function: Callable[..., Any], program: Program | None) -> Callable[..., Any]:
    """Let a function that no file holds carry its program; None where its source does not show what it computes."""
    setattr(function, _PROGRAM, program)
    return function


@contextlib.contextmanager
def edited(path: NodePath, new: ast.expr) -> Iterator[None]:
    """Put another expression in the place of one, for a while."""
    put(path[-2], path[-1], new)
    try:
        yield
    finally:
        put(path[-2], new, path[-1])


def text(node: ast.AST) -> str:
    """Write an expression as a person did."""
    return ast.unparse(node).replace(COPY, "")


def _reached(tree: Function, module: str, scope: dict[str, Any]) -> dict[str, Part]:
    """Return the functions of a module that a function calls, directly or through each other, by name."""
    helpers: dict[str, Part] = {}
    waiting: list[Function] = [tree]
    while waiting:
        for name in _free_names(waiting.pop()):
            helper = scope.get(name)
            if name in helpers or not isinstance(helper, types.FunctionType) or helper.__module__ != module:
                continue
            if helper.__closure__ or hasattr(helper, "__wrapped__"):
                continue  # what it closes over, or is wrapped in, a copy would lose
            try:
                helpers[name] = Part(*parsed(helper, name))
            except BadInput:
                continue
            waiting.append(helpers[name].tree)
    return helpers


def _free_names(tree: Function) -> list[str]:
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
    own = {n.id for n in names if isinstance(n.ctx, ast.Store)} | {
        a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)
    }
    return [n.id for n in names if n.id not in own]


def _rename(tree: Function, helpers: dict[str, Part]) -> None:
    free = set(_free_names(tree)) & set(helpers)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in free:
            node.id += COPY


def pullback_of(tree: ast.FunctionDef) -> Function:
    """Return the function inside that is the pullback: what the last ``return value, pullback`` names.

    Raises:
        BadInput: there is none.
    """
    inner = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    returned = [n.value for n in tree.body if isinstance(n, ast.Return)]
    second = returned[-1].elts[-1] if returned and isinstance(returned[-1], ast.Tuple) and returned[-1].elts else None
    if isinstance(second, ast.Lambda):
        return second
    if isinstance(second, ast.Name) and second.id in inner:
        return inner[second.id]
    if not inner:
        raise BadInput(f"{tree.name} defines no pullback inside itself, so no mutant can be made of it")
    return list(inner.values())[-1]


def places(pullback: Function) -> list[NodePath]:
    """Return every expression of the pullback with its parents, in a fixed order."""
    paths: list[NodePath] = []

    def visit(node: ast.AST, path: NodePath) -> None:
        for child in ast.iter_child_nodes(node):
            # Arguments, annotations, the left sides of assignments and what is said to a person are no mathematics.
            if isinstance(child, ast.arguments) or child in (
                getattr(node, "annotation", 0),
                getattr(node, "returns", 0),
            ):
                continue
            if isinstance(getattr(child, "ctx", None), ast.Store) or isinstance(child, ast.Raise | ast.JoinedStr):
                continue
            if isinstance(child, ast.expr):
                paths.append((*path, child))
            visit(child, (*path, child))

    visit(pullback, (pullback,))
    return paths


def place_of(path: NodePath) -> str:
    """Tell whether an expression is ``formula`` or ``shape``: part of an index, a shape or an axis."""
    for parent, node in itertools.pairwise(path):
        if isinstance(parent, ast.Subscript) and parent.slice is node:
            return "shape"
        if isinstance(parent, ast.keyword):
            return "shape"
        if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute):
            moves = parent.func.attr in ("reshape", "permute_dims", "broadcast_to", "expand_dims")
            if moves and node in parent.args[1:]:
                return "shape"
    return "formula"


def put(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Replace a node of a syntax tree."""
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
            return
        if isinstance(value, list) and any(item is old for item in value):
            setattr(parent, name, [new if item is old else item for item in value])
            return
    raise AssertionError("a node has lost its parent")

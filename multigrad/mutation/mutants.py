"""Wrong gradients made on purpose, from the source of an operation's own pullback: who watches the checker.

A mutant is the operation with one thing changed in its pullback. Its forward part is untouched, so its true gradient is
known; a checker that accepts it is blind to that mistake. Mutants are found by walking the syntax tree, never listed.

Much of a pullback may stand in functions of the same module. Those that it reaches are mutated too: in a second copy
under another name that the pullback alone calls, so that the forward part stays what it was.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import itertools
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.errors import BadInput
from ..ops.operation import Operation

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
        BadInput: the operation's source cannot be read.
    """
    found = list(_edited(op))
    for name, wrap in _WRAPPERS.items():
        found += [(name, 0, change, function) for change, function in wrap(op)]
    return [
        Mutant(i, kind, line, change, replace(op, function=function, reference=""))
        for i, (kind, line, change, function) in enumerate(found)
    ]


Function = ast.FunctionDef | ast.Lambda

_PROGRAM = "_multigrad_program"

_COPY = "__of_the_pullback"
"""What the name of a helper's copy ends in."""


@dataclass(frozen=True)
class Part:
    """One function that a pullback is made of."""

    tree: ast.FunctionDef
    start: int
    """Its first line in the file."""

    @property
    def region(self) -> Function:
        """What of it belongs to the pullback alone."""
        return self.tree if self.tree.name.endswith(_COPY) else pullback_of(self.tree)


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
            BadInput: the source cannot be read, or has no pullback.
        """
        carried: Program | None = getattr(op.function, _PROGRAM, None)
        if carried is not None:
            return cls(carried.name, copy.deepcopy(carried.parts), carried.scope)
        if op.function.__module__ == __name__:
            raise BadInput(f"{op.name} has its mistake around the pullback, so its source does not show it")
        tree, start = _parsed(op.function, op.name)
        scope = {**op.function.__globals__, **inspect.getclosurevars(op.function).nonlocals}
        helpers = _reached(pullback_of(tree), op.function.__module__, scope)
        parts = [Part(tree, start), *helpers.values()]
        for part in parts[1:]:
            part.tree.name += _COPY
        for part in parts:
            _rename(part.region, helpers)
        return cls(op.name, parts, scope)

    def places(self) -> list[tuple[int, tuple[ast.AST, ...]]]:
        """Return every expression that belongs to the pullback: the number of its part, and its path."""
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

    def line(self, place: tuple[int, tuple[ast.AST, ...]]) -> int:
        """Return the line of an expression in the file."""
        index, path = place
        return self.parts[index].start + getattr(path[-1], "lineno", 1) - 1


@contextlib.contextmanager
def edited(path: Sequence[ast.AST], new: ast.expr) -> Iterator[None]:
    """Put another expression in the place of one, for a while."""
    put(path[-2], path[-1], new)
    try:
        yield
    finally:
        put(path[-2], new, path[-1])


def text(node: ast.AST) -> str:
    """Write an expression as a person did."""
    return ast.unparse(node).replace(_COPY, "")


def source_of(op: Operation) -> tuple[ast.FunctionDef, int]:
    """Return the syntax tree of an operation's function without its decorator, and its line in the file.

    Raises:
        BadInput: there is no source to read, or it is no plain function.
    """
    carried: Program | None = getattr(op.function, _PROGRAM, None)
    if carried is not None:
        return copy.deepcopy(carried.parts[0].tree), carried.parts[0].start
    return _parsed(op.function, op.name)


def source_file(op: Operation) -> str:
    """Return the file that an operation's code says it comes from."""
    return str(op.function.__code__.co_filename)


def _parsed(function: Callable[..., Any], name: str) -> tuple[ast.FunctionDef, int]:
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise BadInput(f"{name}: its source cannot be read, so no mutant can be made of it") from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise BadInput(f"{name} is not a plain function, so no mutant can be made of it")
    tree.decorator_list = []
    return tree, start


def _reached(tree: Function, module: str, scope: dict[str, Any]) -> dict[str, Part]:
    """Return the functions of a module that a function calls, directly or through each other, by name."""
    found: dict[str, Part] = {}
    waiting: list[Function] = [tree]
    while waiting:
        for name in _free_names(waiting.pop()):
            helper = scope.get(name)
            if name in found or not isinstance(helper, types.FunctionType) or helper.__module__ != module:
                continue
            if helper.__closure__ or hasattr(helper, "__wrapped__"):
                continue  # what it closes over, or is wrapped in, a copy would lose
            try:
                found[name] = Part(*_parsed(helper, name))
            except BadInput:
                continue
            waiting.append(found[name].tree)
    return found


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
            node.id += _COPY


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
            setattr(function, _PROGRAM, Program(program.name, parts, program.scope))
            yield kind, program.line(place), change, function


def places(pullback: Function) -> list[tuple[ast.AST, ...]]:
    """Return every expression of the pullback with its parents, in a fixed order."""
    found: list[tuple[ast.AST, ...]] = []

    def visit(node: ast.AST, path: tuple[ast.AST, ...]) -> None:
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
                found.append((*path, child))
            visit(child, (*path, child))

    visit(pullback, (pullback,))
    return found


def place_of(path: Sequence[ast.AST]) -> str:
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


def edits(node: ast.AST, op: Operation) -> Iterator[tuple[str, ast.expr]]:
    """Yield every mistake that could be made at one place of the formula."""
    if isinstance(node, ast.BinOp):
        yield from _edit_operator(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "flip-sign", node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _edit_comparison(node)
    elif isinstance(node, ast.Call):
        yield from _edit_call(node)
    elif isinstance(node, ast.Attribute) and node.attr in ("mT", "T"):
        yield "drop-transpose", node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield "wrong-constant", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Tuple) and len(node.elts) == len(op.gradients) > 1:
        for i in range(len(node.elts) - 1):
            items = list(node.elts)
            items[i], items[i + 1] = items[i + 1], items[i]
            yield "swap-results", ast.Tuple(items, ast.Load())
    elif isinstance(node, ast.Slice) and node.lower is not None:
        yield "shift-index", _sliced(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        yield "lose-axis", node.value


def _sliced(node: ast.Slice) -> Any:
    assert node.lower is not None
    return ast.Slice(ast.BinOp(node.lower, ast.Add(), ast.Constant(1)), node.upper, node.step)


def _edit_operator(node: ast.BinOp) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node.op, ast.Mult):
        yield "drop-factor", node.left
        yield "drop-factor", node.right
    elif isinstance(node.op, ast.Div):
        yield "drop-factor", node.left
        yield "drop-factor", ast.BinOp(node.left, ast.Mult(), node.right)
    elif isinstance(node.op, ast.Add):
        yield "lose-term", node.left
        yield "lose-term", node.right
        yield "flip-sign", ast.BinOp(node.left, ast.Sub(), node.right)
    elif isinstance(node.op, ast.Sub):
        yield "lose-term", node.left
        yield "lose-term", ast.UnaryOp(ast.USub(), node.right)
        yield "flip-sign", ast.BinOp(node.left, ast.Add(), node.right)
    elif isinstance(node.op, ast.Pow):
        yield "drop-factor", node.left
    elif isinstance(node.op, ast.MatMult):
        yield "swap-operands", ast.BinOp(node.right, ast.MatMult(), node.left)
        yield "extra-transpose", ast.BinOp(transposed(node.left), ast.MatMult(), node.right)
        yield "extra-transpose", ast.BinOp(node.left, ast.MatMult(), transposed(node.right))


def transposed(node: ast.expr) -> ast.Call:
    """Write the transpose of an expression."""
    return ast.Call(ast.Attribute(ast.Name("xp", ast.Load()), "matrix_transpose", ast.Load()), [node], [])


_SHIFTED = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
_INVERTED = {ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


def _edit_comparison(node: ast.Compare) -> Iterator[tuple[str, ast.expr]]:
    for kind, table in (("shift-comparison", _SHIFTED), ("invert-comparison", _INVERTED)):
        other = table.get(type(node.ops[0]))
        if other is not None:
            yield kind, ast.Compare(node.left, [other()], node.comparators)


_TRANSPOSES = ("T", "matrix_transpose", "permute_dims")
_NEIGHBOURS = {
    "exp": "expm1",
    "expm1": "exp",
    "log": "log1p",
    "log1p": "log",
    "sin": "cos",
    "cos": "sin",
    "sinh": "cosh",
    "cosh": "sinh",
    "tanh": "sin",
    "sqrt": "square",
    "square": "abs",
    "abs": "square",
    "sign": "abs",
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "tril": "triu",
    "triu": "tril",
    "inv": "matrix_transpose",
}


def neighbours(node: ast.expr) -> Iterator[ast.expr]:
    """Yield a call with a function in whose place its own may have been taken by mistake."""
    name = _function_name(node) if isinstance(node, ast.Call) else ""
    for right, wrong in _NEIGHBOURS.items():
        if isinstance(node, ast.Call) and wrong == name and isinstance(node.func, ast.Attribute):
            yield _renamed(node, right)


def _function_name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _edit_call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = _function_name(node)
    if name in _TRANSPOSES and node.args:
        yield "drop-transpose", node.args[0]
    if name == "where" and len(node.args) == 3:
        condition, yes, no = node.args
        yield "lose-mask", yes
        yield "lose-mask", no
        yield "invert-mask", ast.Call(node.func, [condition, no, yes], node.keywords)
    if name in ("sum", "mean"):
        yield "mean-for-sum", _renamed(node, "mean" if name == "sum" else "sum")
        for keyword in node.keywords:
            if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant | ast.UnaryOp):
                yield "other-axis", _with_keyword(node, "axis", _other_axis(keyword.value))
    if name in _NEIGHBOURS:
        yield "wrong-function", _renamed(node, _NEIGHBOURS[name])
    if name in ("tril", "triu") and node.args:
        yield "lose-mask", node.args[0]


def _renamed(node: ast.Call, name: str) -> ast.Call:
    func = node.func
    # Neighbours live in the namespace itself, also those of a function of its `linalg`.
    xp = func.value if isinstance(func, ast.Attribute) else ast.Name("xp", ast.Load())
    if isinstance(xp, ast.Attribute) and xp.attr == "linalg":
        xp = xp.value
    return ast.Call(ast.Attribute(xp, name, ast.Load()), node.args, node.keywords)


def _with_keyword(node: ast.Call, name: str, value: ast.expr) -> ast.Call:
    keywords = [ast.keyword(k.arg, value if k.arg == name else k.value) for k in node.keywords]
    return ast.Call(node.func, node.args, keywords)


def _other_axis(value: ast.expr) -> ast.expr:
    axis = ast.literal_eval(value)
    return ast.Constant(0) if axis in (-1, 1) else ast.Constant(-1)


def _gradients(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _wrapped(op: Operation, change: Callable[..., Any]) -> Callable[..., Any]:
    """Return the operation's function with its gradients changed by ``change(xp, gradients, cotangents, inputs)``."""

    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)

        def changed(*cotangents: Any) -> Any:
            return change(xp, _gradients(pullback(*cotangents)), cotangents, inputs, pullback)

        return value, changed

    return function


def _each(
    op: Operation, what: str, one: Callable[[Any, Any], Any], rank: int = 0, *, square: bool = False
) -> Iterator[tuple[str, Callable[..., Any]]]:
    for i, (name, shape) in enumerate(_shapes(op)):
        if len(shape) < rank or (square and shape[-1] != shape[-2]):
            continue

        def change(xp: Any, gradients: Sequence[Any], *_: Any, i: int = i) -> Any:
            return tuple(one(xp, g) if j == i else g for j, g in enumerate(gradients))

        yield what.format(f"{name}_bar"), _wrapped(op, change)


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
    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)
        calls: list[int] = []

        def changed(*cotangents: Any) -> Any:
            calls.append(1)
            return tuple(g * len(calls) for g in _gradients(pullback(*cotangents)))

        return value, changed

    yield "the pullback multiplies by the number of its calls", function


def _change_inputs(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    first = op.differentiable.index(True)

    def change(xp: Any, gradients: Any, cotangents: Any, inputs: Any, pullback: Any) -> Any:
        # Only a framework with mutable arrays can make this mistake; in the others the mutant is the original.
        if hasattr(inputs[first], "__setitem__"):
            inputs[first][...] = 2 * inputs[first]
        return gradients

    yield f"the pullback doubles {op.inputs[first]} in place", _wrapped(op, change)


def _shared_buffer(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)
        kept: list[tuple[Any, ...]] = []

        def changed(*cotangents: Any) -> Any:
            gradients = _gradients(pullback(*cotangents))
            if not kept or not all(hasattr(g, "__setitem__") for g in gradients):
                kept[:] = [gradients]
                return gradients
            for buffer, gradient in zip(kept[0], gradients, strict=True):
                buffer[...] = gradient
            return kept[0]

        return value, changed

    yield "every call of the pullback returns the same arrays", function


_WRAPPERS: dict[str, Callable[[Operation], Iterator[tuple[str, Callable[..., Any]]]]] = {
    "double-factor": lambda op: _each(op, "{0} → 2 * {0}", lambda xp, g: 2 * g),
    "halve-factor": lambda op: _each(op, "{0} → 0.5 * {0}", lambda xp, g: 0.5 * g),
    "flip-sign": lambda op: _each(op, "{0} → -{0}", lambda xp, g: -g),
    "zero-gradient": lambda op: _each(op, "{0} → 0 * {0}", lambda xp, g: 0 * g),
    "relative-error": lambda op: _each(op, "{0} → 1.000001 * {0}", lambda xp, g: 1.000001 * g),
    "one-wrong-entry": lambda op: _each(op, "one entry of {0}: x → 1.1 * x + 0.1", _one_entry),
    "lower-precision": lambda op: _each(op, "{0} rounded to half its digits", _half_the_digits),
    "ignore-cotangent": lambda op: iter([("every cotangent → ones", _wrapped(op, _ignored))]),
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


def source_hash(op: Operation) -> str:
    """Return a hash of the operation's source: its function, without its decorator, and the file it lies in."""
    import hashlib

    tree, _ = source_of(op)
    path = Path(inspect.getfile(op.function))
    text = ast.dump(tree) + (path.read_text(encoding="utf-8") if path.is_file() else "")
    return hashlib.sha256(text.encode()).hexdigest()

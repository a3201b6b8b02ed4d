"""Wrong gradients made on purpose, from the source of an operation's own pullback: who watches the checker.

A mutant is the operation with one thing changed in its pullback. Its forward part is untouched, so its true gradient is
known; a checker that accepts it is blind to that mistake. Mutants are found by walking the syntax tree, never listed.
"""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .operation import BadInput, Operation

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
    found: list[tuple[str, int, str, Callable[..., Any]]] = []
    for kind, line, change, tree in _edited(op):
        try:
            found.append((kind, line, change, recompiled(op, tree, _start(op))))
        except SyntaxError:
            continue  # the edit is no program, so nobody can have written it
    for name, wrap in _WRAPPERS.items():
        found += [(name, 0, change, function) for change, function in wrap(op)]
    return [
        Mutant(i, kind, line, change, replace(op, function=function, reference=""))
        for i, (kind, line, change, function) in enumerate(found)
    ]


def source_of(op: Operation) -> tuple[ast.FunctionDef, int]:
    """Return the syntax tree of an operation's function without its decorator, and its line in the file.

    Raises:
        BadInput: there is no source to read, or it is no plain function.
    """
    if hasattr(op.function, _TREE):
        tree, start = getattr(op.function, _TREE)
        return copy.deepcopy(tree), start
    try:
        lines, start = inspect.getsourcelines(op.function)
    except (OSError, TypeError) as error:
        raise BadInput(f"{op.name}: its source cannot be read, so no mutant can be made of it") from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise BadInput(f"{op.name} is not a plain function, so no mutant can be made of it")
    tree.decorator_list = []
    return tree, start


_TREE = "_multigrad_tree"


def _start(op: Operation) -> int:
    return source_of(op)[1]


def pullback_of(tree: ast.FunctionDef) -> ast.FunctionDef:
    """Return the function inside that is the pullback.

    Raises:
        BadInput: there is none.
    """
    inner = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n is not tree and n in tree.body]
    if not inner:
        raise BadInput(f"{tree.name} defines no pullback inside itself, so no mutant can be made of it")
    return inner[-1]


def recompiled(op: Operation, tree: ast.FunctionDef, start: int) -> Callable[..., Any]:
    """Make a function of an edited syntax tree, with the globals of the original.

    Raises:
        SyntaxError: the edit is no program.
    """
    module = ast.fix_missing_locations(ast.Module(body=[tree], type_ignores=[]))
    # The operation's own globals, so that its constants and helpers are found; the name in them stays as it was.
    scope = dict(op.function.__globals__)
    exec(compile(module, f"<mutant of {op.name}>", "exec"), scope)
    function: Callable[..., Any] = scope[tree.name]
    # There is no file to read its source from, so it carries its own.
    setattr(function, _TREE, (tree, start))
    return function


def _edited(op: Operation) -> Iterator[tuple[str, int, str, ast.FunctionDef]]:
    tree, start = source_of(op)
    found = places(pullback_of(tree))
    for index, path in enumerate(found):
        node = path[-1]
        if place_of(path) == "shape" and not isinstance(node, ast.Slice | ast.Constant | ast.UnaryOp):
            continue
        for kind, replacement in edits(node, op):
            copied = copy.deepcopy(tree)
            twin = places(pullback_of(copied))[index]
            put(twin[-2], twin[-1], copy.deepcopy(replacement))
            change = f"{ast.unparse(node)} → {ast.unparse(replacement)}"
            yield kind, start + getattr(node, "lineno", 1) - 1, change, copied


def places(pullback: ast.FunctionDef) -> list[tuple[ast.AST, ...]]:
    """Return every expression of the pullback with its parents, in a fixed order."""
    found: list[tuple[ast.AST, ...]] = []

    def visit(node: ast.AST, path: tuple[ast.AST, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            # Arguments, annotations and the left sides of assignments are no mathematics.
            if isinstance(child, ast.arguments) or child in (
                getattr(node, "annotation", 0),
                getattr(node, "returns", 0),
            ):
                continue
            if isinstance(getattr(child, "ctx", None), ast.Store):
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


def _edit_call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
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


def _wrapped(op: Operation, change: Callable[..., Any]) -> Callable[..., Any]:
    """Return the operation's function with its gradients changed by ``change(xp, gradients, cotangents, inputs)``."""

    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)

        def changed(*cotangents: Any) -> Any:
            gradients = pullback(*cotangents)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            return change(xp, gradients, cotangents, inputs, pullback)

        return value, changed

    return function


def _each(op: Operation, text: str, one: Callable[[Any, Any], Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    for i, name in enumerate(op.gradients):

        def change(xp: Any, gradients: Sequence[Any], *_: Any, i: int = i) -> Any:
            return tuple(one(xp, g) if j == i else g for j, g in enumerate(gradients))

        yield text.format(f"{name}_bar"), _wrapped(op, change)


def _one_entry(xp: Any, g: Any) -> Any:
    flat = xp.reshape(g, (-1,))
    first = xp.arange(flat.shape[0]) == flat.shape[0] // 2
    return xp.reshape(xp.where(first, flat * 1.1 + 0.1, flat), g.shape)


def _half_the_digits(xp: Any, g: Any) -> Any:
    # Adding and taking away a large multiple leaves half of the significand, in any namespace that rounds.
    name = str(g.dtype).rpartition(".")[2]
    big = {"float64": 2.0**29 + 1, "float32": 2.0**14 + 1}.get(name, 2.0**6 + 1)
    product = g * big
    return product - (product - g)


def _ignored(xp: Any, gradients: Any, cotangents: Any, inputs: Any, pullback: Any) -> Any:
    result = pullback(*(xp.ones_like(c) for c in cotangents))
    return result if isinstance(result, tuple) else (result,)


def _second_call(op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
    def function(xp: Any, *inputs: Any, **parameters: Any) -> Any:
        value, pullback = op.function(xp, *inputs, **parameters)
        calls: list[int] = []

        def changed(*cotangents: Any) -> Any:
            calls.append(1)
            gradients = pullback(*cotangents)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            return tuple(g * len(calls) for g in gradients)

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
}


def source_hash(op: Operation) -> str:
    """Return a hash of the operation's source: its function, without its decorator, and the file it lies in."""
    import hashlib

    tree, _ = source_of(op)
    path = Path(inspect.getfile(op.function))
    text = ast.dump(tree) + (path.read_text(encoding="utf-8") if path.is_file() else "")
    return hashlib.sha256(text.encode()).hexdigest()

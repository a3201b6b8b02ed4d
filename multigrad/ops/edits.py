"""Edits of a formula: every mistake that could be made at one place of its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from .operation import Operation


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
        later: Any = ast.Slice(ast.BinOp(node.lower, ast.Add(), ast.Constant(1)), node.upper, node.step)
        yield "shift-index", later
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        yield "lose-axis", node.value


def _edit_operator(node: ast.BinOp) -> list[tuple[str, ast.expr]]:
    x, y = node.left, node.right
    mistakes: dict[type[ast.operator], list[tuple[str, ast.expr]]] = {
        ast.Mult: [("drop-factor", x), ("drop-factor", y)],
        ast.Div: [("drop-factor", x), ("drop-factor", ast.BinOp(x, ast.Mult(), y))],
        ast.Add: [("lose-term", x), ("lose-term", y), ("flip-sign", ast.BinOp(x, ast.Sub(), y))],
        ast.Sub: [
            ("lose-term", x),
            ("lose-term", ast.UnaryOp(ast.USub(), y)),
            ("flip-sign", ast.BinOp(x, ast.Add(), y)),
        ],
        ast.Pow: [("drop-factor", x)],
        ast.MatMult: [
            ("swap-operands", ast.BinOp(y, ast.MatMult(), x)),
            ("extra-transpose", ast.BinOp(transposed(x), ast.MatMult(), y)),
            ("extra-transpose", ast.BinOp(x, ast.MatMult(), transposed(y))),
        ],
    }
    return mistakes.get(type(node.op), [])


def transposed(node: ast.expr) -> ast.Call:
    """Write the transpose of an expression."""
    return call("matrix_transpose", node)


def call(name: str, *arguments: ast.expr, **keywords: int | bool) -> ast.Call:
    """Write the call of a function of the namespace."""
    constants = [ast.keyword(keyword, ast.Constant(value)) for keyword, value in keywords.items()]
    return ast.Call(ast.Attribute(ast.Name("xp", ast.Load()), name, ast.Load()), list(arguments), constants)


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
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        for right, wrong in _NEIGHBOURS.items():
            if wrong == node.func.attr:
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

"""Where is the mistake? The one change to a wrong pullback's source that makes it right, if there is one.

The edits are the inverse of :mod:`multigrad.mutation`: a transpose, a mask, a sign, a factor is put where it is
missing.
Each candidate is run in NumPy on a small case and compared with the true gradients; the first that gives them all, or
gives more of them than before and spoils none, is the answer.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .mutation import edits, place_of, places, pullback_of, put, recompiled, source_of
from .operation import BadInput, Operation

CLOSE = 1e-9
"""Relative distance below which a candidate, evaluated in float64 on a small case, is the true gradient."""

MOST_CANDIDATES = 3000
"""Candidates beyond this many are not tried: a person waits."""


@dataclass(frozen=True)
class Repair:
    """A change to the source that makes a wrong gradient right."""

    line: int
    """Line in the operation's file."""
    old: str
    """What stands there."""
    new: str
    """What would be right."""

    def __str__(self) -> str:
        return f"line {self.line}: with `{self.new}` in place of `{self.old}` it would be right"


def repair(
    op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], true: Mapping[str, np.ndarray]
) -> Repair | None:
    """Look for one change that mends an operation's pullback.

    Args:
        op: the operation, with something wrong in its pullback.
        parameters: its parameters.
        arrays: inputs, then cotangents, float64 and small.
        true: the true gradients by output name (``W_bar``).

    Returns:
        The smallest change found, or None.
    """
    try:
        tree, start = source_of(op)
        pullback = pullback_of(tree)
    except BadInput:
        return None
    wanted = [true.get(f"{name}_bar") for name in op.gradients]
    before = _right(op, op.function, parameters, arrays, wanted)
    best: tuple[tuple[int, ...], Repair] | None = None
    found = places(pullback)
    for count, (index, new) in enumerate(_candidates(op, tree, found)):
        if count >= MOST_CANDIDATES:
            break
        copied = copy.deepcopy(tree)
        twin = places(pullback_of(copied))[index]
        put(twin[-2], twin[-1], copy.deepcopy(new))
        try:
            function = recompiled(op, copied, start)
        except SyntaxError:
            continue
        after = _right(op, function, parameters, arrays, wanted)
        if sum(after) > sum(before) and all(a or not b for a, b in zip(after, before, strict=True)):
            node = found[index][-1]
            line = start + getattr(node, "lineno", 1) - 1
            change = Repair(line, ast.unparse(node), ast.unparse(new))
            rank = (-sum(after), abs(len(change.new) - len(change.old)), len(change.new))
            if best is None or rank < best[0]:
                best = (rank, change)
    return best[1] if best else None


_TERMS = (ast.Name, ast.Call, ast.BinOp, ast.UnaryOp, ast.Attribute, ast.Constant)


def _right(
    op: Operation,
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray | None],
) -> list[bool]:
    """Tell which gradients a function gets right."""
    try:
        with np.errstate(all="ignore"):
            found = replace(op, function=function).analytic(np, parameters)(*arrays)[len(op.signature.outputs) :]
    except Exception:  # noqa: BLE001 - most candidates are nonsense, and nonsense may raise anything
        return [False] * len(wanted)
    return [_same(f, w) for f, w in zip(found, wanted, strict=True)]


def _same(found: Any, wanted: np.ndarray | None) -> bool:
    if wanted is None or np.shape(found) != wanted.shape:
        return False
    scale = float(np.max(np.abs(wanted), initial=0.0))
    return bool(np.all(np.abs(np.asarray(found) - wanted) <= CLOSE * scale))


def _candidates(
    op: Operation, tree: ast.FunctionDef, found: list[tuple[ast.AST, ...]]
) -> Iterator[tuple[int, ast.expr]]:
    conditions = _conditions(tree)
    names = _names(op, tree)
    for index, path in enumerate(found):
        node = path[-1]
        if place_of(path) == "shape" or not isinstance(node, ast.expr):
            continue
        for _, new in edits(node, op):
            yield index, new
        if isinstance(node, _TERMS) and not _is_function(path):
            yield from ((index, new) for new in _insertions(node, conditions))
    for index, path in enumerate(found):
        node = path[-1]
        if isinstance(node, ast.Name | ast.BinOp | ast.Call) and place_of(path) != "shape" and not _is_function(path):
            yield from ((index, new) for new in _factors(node, names))


def _is_function(path: tuple[ast.AST, ...]) -> bool:
    parent, node = path[-2], path[-1]
    return isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node)


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("xp", ast.Load()), name, ast.Load()), list(arguments), [])


def _insertions(node: ast.expr, conditions: Sequence[ast.expr]) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant):
        for number in (0, 0.5, 1, 2, 3, 4):
            yield ast.Constant(number)
        return
    yield ast.UnaryOp(ast.USub(), node)
    yield _call("matrix_transpose", node)
    for number in (2, 0.5, 3, 4):
        yield ast.BinOp(ast.Constant(number), ast.Mult(), node)
    for condition in conditions:
        yield _call("where", condition, node, ast.Constant(0))
    for axis in (0, -1):
        keepdims = [ast.keyword("axis", ast.Constant(axis)), ast.keyword("keepdims", ast.Constant(True))]
        for reduction in ("sum", "mean"):
            total = ast.Call(ast.Attribute(ast.Name("xp", ast.Load()), reduction, ast.Load()), [node], keepdims)
            yield ast.BinOp(node, ast.Sub(), total)
        yield ast.Call(ast.Attribute(ast.Name("xp", ast.Load()), "sum", ast.Load()), [node], keepdims[:1])


def _factors(node: ast.expr, names: Sequence[str]) -> Iterator[ast.expr]:
    for name in names:
        other = ast.Name(name, ast.Load())
        yield ast.BinOp(node, ast.Mult(), other)
        yield ast.BinOp(node, ast.Div(), other)
        if isinstance(node, ast.Name) and node.id != name:
            yield other
            yield _call("matrix_transpose", other)
        yield ast.BinOp(node, ast.Add(), other)
        yield ast.BinOp(node, ast.Sub(), other)


def _conditions(tree: ast.FunctionDef) -> list[ast.expr]:
    """Conditions that the forward part names or implies: `Z > 0`, or what `maximum(Z, 0)` and `abs(Z)` decide."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            found[ast.unparse(node)] = node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("maximum", "minimum") and len(node.args) == 2:
                sign = ast.Gt() if node.func.attr == "maximum" else ast.Lt()
                condition = ast.Compare(node.args[0], [sign], [node.args[1]])
                found[ast.unparse(condition)] = condition
            if node.func.attr in ("abs", "sign") and node.args:
                condition = ast.Compare(node.args[0], [ast.Gt()], [ast.Constant(0)])
                found[ast.unparse(condition)] = condition
    return list(found.values())


def _names(op: Operation, tree: ast.FunctionDef) -> list[str]:
    """Names of arrays and numbers that the pullback can see."""
    assigned = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    arguments = [a.arg for a in pullback_of(tree).args.args]
    return list(dict.fromkeys([*arguments, *op.inputs, *op.parameters, *assigned]))

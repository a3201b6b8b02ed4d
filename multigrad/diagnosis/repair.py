"""The one change to a wrong pullback's source that makes it right, if there is one.

The edits are the inverse of :mod:`multigrad.ops.edits`: a transpose, a mask, a sign, a factor is put where it is
missing.
Each candidate is run in NumPy on a small case and compared with the true gradients; the smallest that gives them all,
or else gives more of them than before and spoils none, is the answer. The likely ones go first.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.errors import BadInput
from ..ops.edits import call, edits, neighbours, transposed
from ..ops.operation import Operation
from ..ops.program import NodePath, Part, Place, Program, edited, place_of, text
from ..ops.reach import traced

CLOSE = 1e-9
"""Relative distance below which a candidate, evaluated in float64 on a small case, is the true gradient."""

SECONDS = 1.2
"""Candidates beyond this time are not tried: a person waits. It is processor time, so a busy machine finds the same."""

CANDIDATE_SECONDS = 0.2
"""A candidate that takes longer on a small case, by the same clock, does not end."""


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
        program = Program.of(op)
        program.function()
    except (BadInput, SyntaxError):
        return None
    wanted = [true.get(op.gradient_name(name)) for name in op.gradients]
    before = _right(op, op.function, parameters, arrays, wanted)
    until = time.thread_time() + SECONDS
    best: tuple[tuple[int, ...], Repair] | None = None
    if all(before):
        return None
    for candidates in _candidates(op, program):
        for place, new in candidates:
            if time.thread_time() > until:
                return best[1] if best else None
            after = _tried(op, program, place, new, parameters, arrays, wanted)
            if sum(after) > sum(before) and all(a or not b for a, b in zip(after, before, strict=True)):
                change = Repair(program.line(place), text(place[1][-1]), text(new))
                rank = (-sum(after), abs(len(change.new) - len(change.old)), len(change.new))
                if best is None or rank < best[0]:
                    best = (rank, change)
        if best and -best[0][0] == sum(w is not None for w in wanted):
            break
    return best[1] if best else None


def _tried(
    op: Operation,
    program: Program,
    place: Place,
    new: ast.expr,
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray | None],
) -> list[bool]:
    """Tell which gradients are right with an expression in the place of another."""
    index, path = place
    with edited(path, new):
        try:
            function = program.function(index)
        except (SyntaxError, ValueError):
            return [False] * len(wanted)
    return _right(op, function, parameters, arrays, wanted)


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
        with np.errstate(all="ignore"), _deadline(CANDIDATE_SECONDS):
            outputs = replace(op, function=function).analytic(np, parameters)(*arrays)
            return [_same(f, w) for f, w in zip(outputs[len(op.signature.outputs) :], wanted, strict=True)]
    except (Exception, _TooLong):  # noqa: BLE001 - most candidates are nonsense, and nonsense may raise anything
        return [False] * len(wanted)


class _TooLong(BaseException):
    """A candidate does not end; no `except Exception` of its own may catch this."""


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise at the next line that is run after so many seconds: an edit of `i = i + 1` makes a loop without end."""
    until = time.thread_time() + seconds

    def trace(frame: Any, event: str, _: Any) -> Any:
        if time.thread_time() > until:
            raise _TooLong
        return trace

    with traced(trace):
        yield


def _same(computed: Any, wanted: np.ndarray | None) -> bool:
    if wanted is None or np.shape(computed) != wanted.shape:
        return False
    scale = float(np.max(np.abs(wanted), initial=0.0))
    return bool(np.all(np.abs(np.asarray(computed) - wanted) <= CLOSE * scale))


def _candidates(op: Operation, program: Program) -> Iterator[list[tuple[Place, ast.expr]]]:
    """Yield the candidates, in groups of which one is likelier than the next."""
    terms = [place for place in program.places() if place_of(place[1]) != "shape" and not _is_function(place[1])]
    numbers = [place for place in program.places() if isinstance(place[1][-1], ast.Constant | ast.Slice | ast.UnaryOp)]
    conditions = [_conditions(part.tree) for part in program.parts]
    names = [_names(op, part) for part in program.parts]
    yield (
        [(place, new) for place in terms for _, new in edits(place[1][-1], op)]
        + [(place, new) for place in numbers for new in _numbers(place[1][-1])]
        + [
            (place, new)
            for place in terms
            if isinstance(place[1][-1], _TERMS)
            for new in _insertions(_expression(place), conditions[place[0]])
        ]
    )
    factors = [place for place in terms if isinstance(place[1][-1], ast.Name | ast.BinOp | ast.Call)]
    yield [(place, new) for place in factors for new in _factors(_expression(place), names[place[0]])]
    yield [(place, new) for place in factors for new in _terms(_expression(place), names[place[0]])]


def _expression(place: Place) -> ast.expr:
    node = place[1][-1]
    assert isinstance(node, ast.expr)
    return node


def _numbers(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a number, an axis or a slice may have been before it was off by one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield _signed(node.value - 1)
        yield _signed(node.value + 1)
        if isinstance(node.value, int):
            yield _signed(-1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        yield from map(_signed, (0, 1, -2))
    elif isinstance(node, ast.Slice) and node.lower is not None:
        yield ast.Slice(ast.BinOp(node.lower, ast.Sub(), ast.Constant(1)), node.upper, node.step)


def _signed(number: float) -> ast.expr:
    return ast.Constant(number) if number >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-number))


def _is_function(path: NodePath) -> bool:
    parent, node = path[-2], path[-1]
    return isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node)


def _insertions(node: ast.expr, conditions: Sequence[ast.expr]) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant):
        for number in (0, 0.5, 1, 2, 3, 4):
            yield ast.Constant(number)
        return
    yield ast.UnaryOp(ast.USub(), node)
    yield transposed(node)
    yield from (_subscript(node, index) for index in ("[:, None]", "[None, :]", "[..., None]", "[..., ::-1, ::-1]"))
    yield from neighbours(node)
    yield ast.BinOp(node, ast.Add(), transposed(node))
    yield ast.BinOp(ast.BinOp(node, ast.Add(), transposed(node)), ast.Div(), ast.Constant(2))
    for number in (2, 0.5, 3, 4):
        yield ast.BinOp(ast.Constant(number), ast.Mult(), node)
    for condition in conditions:
        yield call("where", condition, node, ast.Constant(0))
    for axis in (0, -1):
        for reduction in ("sum", "mean"):
            yield ast.BinOp(node, ast.Sub(), call(reduction, node, axis=axis, keepdims=True))
        yield call("sum", node, axis=axis)


def _factors(node: ast.expr, names: Sequence[str]) -> Iterator[ast.expr]:
    for name in names:
        other = ast.Name(name, ast.Load())
        yield ast.BinOp(node, ast.Mult(), other)
        yield ast.BinOp(node, ast.Div(), other)
        if isinstance(node, ast.Name) and node.id != name:
            yield other
            yield transposed(other)
        yield ast.BinOp(node, ast.Add(), other)
        yield ast.BinOp(node, ast.Sub(), other)


def _terms(node: ast.expr, names: Sequence[str]) -> Iterator[ast.expr]:
    """Yield sums with a term that is missing: a weighted mean, or a product of two names."""
    for name in names:
        other = ast.Name(name, ast.Load())
        for reduction, axis in itertools.product(("sum", "mean"), (0, -1)):
            total = call(reduction, ast.BinOp(node, ast.Mult(), other), axis=axis, keepdims=True)
            yield ast.BinOp(node, ast.Sub(), total)
            yield ast.BinOp(node, ast.Sub(), ast.BinOp(other, ast.Mult(), total))
    for i, first in enumerate(names):
        for second in names[i:]:
            product = ast.BinOp(ast.Name(first, ast.Load()), ast.Mult(), ast.Name(second, ast.Load()))
            yield ast.BinOp(node, ast.Add(), product)
            yield ast.BinOp(node, ast.Sub(), product)


def _subscript(node: ast.expr, index: str) -> ast.expr:
    taken = ast.parse(f"x{index}", mode="eval").body
    assert isinstance(taken, ast.Subscript)
    return ast.Subscript(node, taken.slice, ast.Load())


def _conditions(tree: ast.FunctionDef) -> list[ast.expr]:
    """Conditions that the forward part names or implies: `Z > 0`, or what `maximum(Z, 0)` and `abs(Z)` decide."""
    conditions: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            conditions.append(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("maximum", "minimum") and len(node.args) == 2:
                sign = ast.Gt() if node.func.attr == "maximum" else ast.Lt()
                conditions.append(ast.Compare(node.args[0], [sign], [node.args[1]]))
            if node.func.attr in ("abs", "sign") and node.args:
                conditions.append(ast.Compare(node.args[0], [ast.Gt()], [ast.Constant(0)]))
    # Copies: a candidate puts the condition around a node, which may be the condition's own.
    return [copy.deepcopy(condition) for condition in {ast.unparse(c): c for c in conditions}.values()]


def _names(op: Operation, part: Part) -> list[str]:
    """Names of arrays and numbers that a part of the pullback can see."""
    assigned = [n.id for n in ast.walk(part.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    arguments = [a.arg for a in part.region.args.args]
    own = [a.arg for a in part.tree.args.args] if part.region is part.tree else [*op.inputs, *op.parameters]
    return [name for name in dict.fromkeys([*arguments, *own, *assigned]) if name != "xp"]

"""What an implementation may compute instead: its reference with one change, or with padding that is counted.

An implementation cannot be read; its reference can. Here the reference is changed in one place and evaluated in NumPy.
The diagnosis holds each result against what the implementation returned.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.errors import BadInput
from ..data.standard import numpy_standard
from ..ops.edits import edits
from ..ops.operation import Operation
from ..ops.program import NodePath, Part, Program, edited, place_of, places, text
from ..ops.source import parsed

SECONDS = 1.0
"""Changes beyond this time are not tried: a person waits. It is processor time, so a busy machine tries the same."""

BLOCKS = tuple(2**k for k in range(2, 11))
"""How many entries a kernel may take at a time."""

POWERS = (0.1, 10.0, 0.01, 100.0)
"""By what a small constant, such as the ε under a root, may be off."""


@dataclass(frozen=True)
class Asked:
    """One output of a reference, for given inputs."""

    op: Operation
    parameters: Mapping[str, Any]
    arrays: Sequence[np.ndarray]
    """Inputs, then cotangents, float64."""
    output: str
    """``value`` or ``W_bar``."""

    @property
    def is_value(self) -> bool:
        """Whether it is a value, not a gradient."""
        return self.op.outputs.index(self.output) < len(self.op.signature.outputs)

    @property
    def inputs(self) -> Sequence[np.ndarray]:
        """The inputs alone."""
        return self.arrays[: len(self.op.inputs)]

    @property
    def sizes(self) -> Mapping[str, int]:
        """The dimensions of the signature."""
        return self.op.signature.bind(self.op.inputs, [a.shape for a in self.inputs])

    def of(self, function: Callable[..., Any], xp: Any, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
        """Return the output that another function gives; None where it raises."""
        op = replace(self.op, function=function)
        compute = op.forward(xp, self.parameters) if self.is_value else op.analytic(xp, self.parameters)
        try:
            with np.errstate(all="ignore"):
                results = compute(*(arrays[: len(op.inputs)] if self.is_value else arrays))
            return np.asarray(results[op.outputs.index(self.output)], dtype=np.float64)
        except Exception:  # noqa: BLE001 - most changes are nonsense, and nonsense may raise anything
            return None


def alternatives(asked: Asked) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what a reference gives otherwise, each with how: ``with `axis=0` in place of `axis=-1```.

    A change that changes nothing is among them; whether one explains anything is for the diagnosis to tell.
    """
    until = time.thread_time() + SECONDS
    if asked.is_value:
        yield from _padded(asked)
    for words, function in _changed(asked):
        if time.thread_time() > until:
            return
        result = asked.of(function, numpy_standard(), asked.arrays)
        if result is not None:
            yield words, result


def _changed(asked: Asked) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the reference's function with one change, and the change in words."""
    op = asked.op
    try:
        program = _program(op)
    except (BadInput, SyntaxError):
        return
    for number, part in enumerate(program.parts):
        paths = places(part.tree) if part.start else []
        for words, changes in (*_other_axes(paths), *_single(paths, asked, part.start)):
            with contextlib.ExitStack() as stack:
                for path, new in changes:
                    stack.enter_context(edited(path, new))
                try:
                    function = program.function(number)
                except (SyntaxError, ValueError):
                    continue
            yield words, function


def _program(op: Operation) -> Program:
    """Read what an operation computes with: its function, or the program that stands for one."""
    if not inspect.isfunction(op.function):
        return Program.of(op)
    scope = {**op.function.__globals__, **inspect.getclosurevars(op.function).nonlocals}
    return Program(op.name, [Part(*parsed(op.function, op.name))], scope)


Change = tuple[str, Sequence[tuple[NodePath, ast.expr]]]
"""What is changed, in words, and the expressions that stand in the place of others."""


def _other_axes(paths: Sequence[NodePath]) -> Iterator[Change]:
    """Yield every change of one axis into another, wherever it stands as a keyword."""
    axes: dict[int, list[NodePath]] = {}
    for path in paths:
        keyword = path[-2]
        if isinstance(keyword, ast.keyword) and keyword.arg == "axis":
            with contextlib.suppress(ValueError, TypeError):
                axes.setdefault(int(ast.literal_eval(path[-1])), []).append(path)
    for axis, there in axes.items():
        for other in (0, -1, -2, 1):
            if other != axis:
                words = f"with `axis={other}` in place of `axis={axis}`"
                yield f"{words}{' throughout' * (len(there) > 1)}", [(path, ast.Constant(other)) for path in there]


def _single(paths: Sequence[NodePath], asked: Asked, start: int) -> Iterator[Change]:
    """Yield every change of one expression."""
    for path in paths:
        old = path[-1]
        assert isinstance(old, ast.expr)
        mistakes = [new for _, new in edits(old, asked.op)] if place_of(path) == "formula" else []
        for new in (*mistakes, *_magnitudes(old), *_unbiased(old, asked.sizes.values())):
            line = start + getattr(old, "lineno", 1) - 1
            how = _left_out(old, new) or f"with `{text(new)}` in place of `{text(old)}`"
            yield f"{how} (line {line})", [(path, new)]


def _left_out(old: ast.expr, new: ast.expr) -> str:
    """Say what an expression lacks that another has, where it is the other's left or right side; else nothing."""
    if not isinstance(old, ast.BinOp) or new not in (old.left, old.right):
        return ""
    kinds = {ast.Add: "term", ast.Sub: "term", ast.Mult: "factor", ast.Div: "divisor", ast.Pow: "power"}
    what = kinds.get(type(old.op), "operand")
    return f"without the {what} `{text(old.right if new is old.left else old.left)}`"


def _magnitudes(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what a small constant may have been in its place."""
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < 0.01:
        yield from (ast.Constant(float(f"{node.value * power:.6g}")) for power in POWERS)
        yield ast.Constant(0.0)


def _unbiased(node: ast.expr, counts: Iterable[int]) -> Iterator[ast.expr]:
    """Yield a mean that divides by n − 1, as a sample's variance does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("mean", "var"):
        for n in dict.fromkeys(counts):
            if n > 1:
                yield ast.BinOp(node, ast.Mult(), ast.BinOp(ast.Constant(n), ast.Div(), ast.Constant(n - 1)))


def _padded(asked: Asked) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what a kernel gives that takes whole blocks along one dimension and does not mask what is beyond it.

    What is beyond is zero, or for the last dimension of a matrix the beginning of its next row.
    """
    op, inputs = asked.op, asked.inputs
    shape = op.signature.outputs[op.outputs.index(asked.output)]
    for name, n in asked.sizes.items():
        inside = tuple(slice(n) if each == name else slice(None) for each in shape)
        for whole in sorted({math.ceil(n / block) * block for block in BLOCKS} - {n}):
            blocks = either([block for block in BLOCKS if math.ceil(n / block) * block == whole])
            for beyond, fill in (("zeros", _zeros), ("entries of the next row", _next_row)):
                there = [
                    fill(a, [whole - n if each == name else 0 for each in dims])
                    for a, dims in zip(inputs, op.signature.inputs, strict=True)
                ]
                result = asked.of(op.function, _Unmasked(n, whole), there)
                if result is not None and result.ndim == len(inside):
                    yield (
                        f"with the last block (of {blocks}) not masked: {beyond} beyond {name} = {n} count",
                        result[inside],
                    )


def either(items: Sequence[int]) -> str:
    """Write numbers of which one is meant: ``32, 64 or 128``."""
    *others, last = map(str, items)
    return f"{', '.join(others)} or {last}" if others else last


class _Unmasked:
    """NumPy as a kernel computes that takes whole blocks: sums go as far as they reach; only means know n."""

    def __init__(self, n: int, whole: int) -> None:
        self._n, self._whole = n, whole

    def __getattr__(self, name: str) -> Any:
        return getattr(numpy_standard(), name)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        total = np.sum(x, axis=axis, keepdims=keepdims)
        count = x.size / max(total.size, 1)
        return total / (count * self._n / self._whole if self._whole in self._reduced(x, axis) else count)

    def var(self, x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
        centred = x - self.mean(x, axis, keepdims=True)
        return self.mean(centred * centred, axis, keepdims)

    @staticmethod
    def _reduced(x: Any, axis: Any) -> list[int]:
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return [x.shape[each] for each in axes]


def _zeros(array: np.ndarray, more: Sequence[int]) -> np.ndarray:
    return np.pad(array, [(0, count) for count in more])


def _next_row(array: np.ndarray, more: Sequence[int]) -> np.ndarray:
    if array.ndim < 2 or not more[-1] or any(more[:-1]):
        return _zeros(array, more)
    n = array.shape[-1]
    flat = np.concatenate([array.ravel(), np.zeros(more[-1])])
    starts = n * np.arange(array.size // max(n, 1))
    rows: np.ndarray = flat[starts[:, None] + np.arange(n + more[-1])]
    return np.reshape(rows, (*array.shape[:-1], n + more[-1]))

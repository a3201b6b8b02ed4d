"""Which lines of a pullback have been run? A proof at sizes that leave a branch out says nothing about that branch.

The small sizes of an operation are scaled, one dimension or two equal ones at a time, and those that reach further
lines of the pullback and of its helpers are kept.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.standard import numpy_standard
from .operation import Operation
from .program import Program
from .source import source_file

MOST_ENTRIES = 4000
"""Sizes with more input entries are not tried: a proof should take a second."""

FACTORS = (2, 3, 8, 24)
"""What a dimension is multiplied by."""


def reaching_sizes(op: Operation, sizes: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """Find further sizes that run lines of a pullback which the given ones do not.

    Args:
        op: the operation.
        sizes: the sizes it is proven at.

    Returns:
        The further sizes, and the lines of the file that no size tried has reached.

    Raises:
        BadInput: the source cannot be read.
    """
    wanted = pullback_lines(op)
    for size in sizes:
        wanted -= lines_run(op, size)
    further: list[dict[str, Any]] = []
    # Some branches want two dimensions to be large: the second time, what reached something is scaled again.
    for start in (list(sizes), further):
        for size in scaled_sizes(op, list(start)):
            if not wanted:
                break
            new = wanted & lines_run(op, size)
            if new:
                wanted -= new
                further.append(size)
    return further, sorted(wanted)


def scaled_sizes(op: Operation, sizes: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the sizes with one dimension, or two equal ones, multiplied; nearest first."""
    for factor in FACTORS:
        for size in sizes:
            dimensions, _ = op.split(size)
            pairs = [p for p in itertools.combinations(dimensions, 2) if dimensions[p[0]] == dimensions[p[1]]]
            for names in [*((n,) for n in dimensions), *pairs]:
                larger = {**size, **{n: factor * dimensions[n] for n in names}}
                if op.signature.entries(larger) <= MOST_ENTRIES:
                    yield larger


UNTRACED = ast.FunctionDef | ast.Raise | ast.Nonlocal | ast.Global
"""Statements that no trace shows, or that only raise."""


def pullback_lines(op: Operation) -> set[int]:
    """Return the lines on which the statements of a pullback and of its helpers begin; those that only raise aside."""
    lines = set()
    for part in Program.of(op).parts:
        for node in ast.walk(part.region):
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.stmt) and not isinstance(node, UNTRACED) and not text:
                lines.add(part.start + node.lineno - 1)
    return lines


def lines_run(op: Operation, size: Mapping[str, Any], seed: int = 0) -> set[int]:
    """Run an operation in NumPy and return the lines of its file that the pullback ran; none if it does not run."""
    file = source_file(op)
    lines: set[int] = set()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    xp = numpy_standard()

    _, parameters = op.split(size)
    try:
        inputs = op.make_inputs(size, seed)
        with np.errstate(all="ignore"):
            value, pullback = op(xp, *inputs, **parameters)
            values = value if isinstance(value, tuple) else (value,)
            cotangents = op.make_cotangents([tuple(v.shape) for v in values], seed)
            with traced(trace):
                pullback(*cotangents)
    except Exception:  # noqa: BLE001 - most scaled sizes fit no operation, and say so in many ways
        return set()
    return lines


@contextlib.contextmanager
def traced(trace: Any) -> Iterator[None]:
    """Let a function of ``sys.settrace`` see what is run."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)

"""What the page of an operation takes from its source: arguments, code, sizes."""

from __future__ import annotations

import ast
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multigrad.ops.operation import Operation
from multigrad.ops.sizes import small_sizes
from multigrad.ops.source import source_of
from multigrad.ops.text import derivative_name, sizes_text

from .markup import code, grid, plain
from .quantities import grouped


def source_link(op: Operation, out: Path) -> str:
    """Return where the function stands, as a link from a page in the folder ``out``."""
    source = source_of(op)
    return f"{Path(os.path.relpath(source.path, out)).as_posix()}#L{source.line}"


def code_of(op: Operation) -> str:
    """Return the function without decorator and docstring, which stand above."""
    text = textwrap.dedent(source_of(op).text)
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    lines = text.splitlines()
    docstring = node.body[0]
    without = range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1) if op.doc else range(0)
    return "\n".join(line for i, line in enumerate(lines, 1) if i >= node.lineno and i not in without).rstrip()


def arguments(op: Operation) -> str:
    """Return the table of inputs, outputs and parameters."""
    rows = []
    for name, shape, wanted in zip(op.inputs, op.signature.inputs, op.differentiable, strict=True):
        rows.append([code(name), "input", code(_shape(shape)), derivative_name(f"{name}_bar") if wanted else "no"])
    values = [o for o in op.outputs if not o.endswith("_bar")]
    for name, shape in zip(values, op.signature.outputs, strict=True):
        rows.append([name, "output", code(_shape(shape)), ""])
    rows += [[code(name), "parameter", f"default {code(repr(value))}", ""] for name, value in op.parameters.items()]
    return grid(["", "", "shape", "gradient"], rows)


def _shape(shape: Sequence[str]) -> str:
    return f"({', '.join(shape)})"


def sizes(op: Operation) -> str:
    """Return the table of sizes, and the dtypes."""
    small = set(small_sizes(op))
    rows = [[plain(name), code(sizes_text(size)), _entries(op, size), "yes" if name in small else ""]
            for name, size in op.sizes.items()]  # fmt: skip
    table = grid(["size", "dimensions and parameters", "numbers in", "proven at"], rows, right=(2, 3))
    dtypes = ", ".join(op.dtypes)
    return f"{table}\n\nFor {dtypes}."


def _entries(op: Operation, size: Mapping[str, Any]) -> str:
    dimensions, _ = op.split(size)
    all_given = all(s.isdigit() or s in dimensions for shape in op.signature.inputs for s in shape)
    if not all_given:
        return ""  # what the generator makes of the size is not known without drawing it
    counts = (math.prod(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.inputs)
    return grouped(sum(counts))

"""What a traced function costs in ball arithmetic, beside the hand-written form of the same function.

    python -m tests.benchmarks.traced jax|torch [OPERATION …]

Every operation that has a native form in the framework is traced from that form. Both are evaluated in turns in one
run, at the smallest size; the ratio is that of the shortest times.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import multigrad
from multigrad import Operation, from_jax, from_torch
from multigrad.backend import backend
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import exact

TRACED = {"jax": from_jax, "torch": from_torch}
ARRAYS: dict[str, Callable[[], Callable[..., Any]]] = {
    "jax": lambda: lambda array: array,
    "torch": lambda: importlib.import_module("torch").as_tensor,
}
"""What each takes."""

TURNS = 5
"""So often each form is evaluated."""


def shortest(functions: Sequence[Callable[..., Any]], inputs: Sequence[Any]) -> list[float]:
    """Return the seconds that each function takes in ball arithmetic."""
    best = [float("inf")] * len(functions)
    for _ in range(TURNS):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            exact.evaluate(function, *inputs, width=1e-25)
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def traced(framework: str, name: str) -> tuple[Operation, list[Any], float]:
    """Return the native form of an operation as an operation, inputs, and the seconds of its first call."""
    native = importlib.import_module(f"multigrad.backends.{framework}_backend.native")
    op = multigrad.operations()[name]
    size = next(iter(op.sizes.values()))
    inputs = op.make_inputs(size, 0)
    example = tuple(map(ARRAYS[framework](), inputs))
    start = time.perf_counter()
    traced = TRACED[framework](
        getattr(native, name), op.signature.text, example=example, sizes={"one": op.split(size)[0]}
    )
    with np.errstate(all="ignore"):
        traced.function(numpy_standard(), *inputs, **op.split(size)[1])  # the first call of a shape traces it
    return traced, inputs, time.perf_counter() - start


def main(framework: str, *names: str) -> None:
    """Print one line for each operation, and the medians."""
    backend(framework).open("cpu", threads=1)
    native = importlib.import_module(f"multigrad.backends.{framework}_backend.native")
    ratios, seconds = [], []
    for name in names or [n for n in multigrad.operations() if hasattr(native, n)]:
        op = multigrad.operations()[name]
        parameters = op.split(next(iter(op.sizes.values())))[1]
        form, inputs, tracing = traced(framework, name)
        ours, theirs = shortest([each.forward(exact, parameters) for each in (form, op)], inputs)
        ratios.append(ours / theirs)
        seconds.append(tracing)
        figures = f"{ours * 1e3:8.2f} ms / {theirs * 1e3:8.2f} ms = {ratios[-1]:6.2f}"
        print(f"{name:36} traced in {tracing:5.2f} s, {figures}", flush=True)
    above = sum(ratio > 2 for ratio in ratios)
    print(f"median {statistics.median(ratios):.2f}; above 2: {above} of {len(ratios)}", end="; ")
    print(f"tracing: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])

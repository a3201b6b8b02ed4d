"""What a traced function costs in ball arithmetic, beside the hand-written form of the same function.

    python -m tests.benchmarks.traced [OPERATION …]

Every operation that has a native form in JAX is traced from that form. Both are evaluated in turns in one run, at the
smallest size; the ratio is that of the shortest times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import multigrad
from multigrad import from_jax
from multigrad.backend import backend
from multigrad.namespaces import exact

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


def main(names: Sequence[str]) -> None:
    """Print one line for each operation, and the median."""
    backend("jax").open("cpu", threads=1)
    from multigrad.backends.jax_backend import native

    ratios = []
    for name in names or [n for n in multigrad.operations() if hasattr(native, n)]:
        op = multigrad.operations()[name]
        size = next(iter(op.sizes.values()))
        dimensions, parameters = op.split(size)
        inputs = op.make_inputs(size, 0)
        start = time.perf_counter()
        traced = from_jax(getattr(native, name), op.signature.text, example=tuple(inputs), sizes={"one": dimensions})
        tracing = time.perf_counter() - start
        ours, theirs = shortest([each.forward(exact, parameters) for each in (traced, op)], inputs)
        ratios.append(ours / theirs)
        figures = f"{ours * 1e3:8.2f} ms / {theirs * 1e3:8.2f} ms = {ratios[-1]:6.2f}"
        print(f"{name:36} traced in {tracing:5.2f} s, {figures}", flush=True)
    above = sum(ratio > 2 for ratio in ratios)
    print(f"median {statistics.median(ratios):.2f}; above 2: {above} of {len(ratios)}")


if __name__ == "__main__":
    main(sys.argv[1:])

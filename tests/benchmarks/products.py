"""How near operations that are mostly matrix products come to those products alone.

    python tests/benchmarks/products.py [--quick] [--repetitions 20] [--backend numpy,torch,jax]

For every operation of the catalogue at its largest size: the products it makes, by the cost model, are made again by
themselves, of the same shapes and on the same backend. Both take their turn in each repetition, and the figure is the
time of the products over that of value and gradients: the share of the backend's own rate that the operation reaches.
Operations with under 9 of 10 FLOP in products are left out, those with under 16 FLOP a byte, which memory binds, and
those whose products stand in a loop.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import figures

MODES = {"numpy": "eager", "torch": "eager", "jax": "compiled"}
DTYPE = "float32"
WANTED, MOSTLY, INTENSE = 0.95, 0.9, 16


def products_of(op: Any, size: Any) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shapes of both factors of every product, or none where the operation is not mostly products."""
    from multigrad.namespaces import cost

    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    plain = cost.matmul

    def recorded(a: Any, b: Any, /) -> Any:
        shapes.append((tuple(a.shape), tuple(b.shape)))
        return plain(a, b)

    cost.matmul = recorded
    try:
        found = cost.cost(op, size, DTYPE)
    except AttributeError:
        return []
    finally:
        cost.matmul = plain
    # The forward part ran twice, once for the shapes of the cotangents.
    twice = len(shapes)
    cost.matmul = recorded
    try:
        cost.cost(op, size, DTYPE, variant="forward")
    finally:
        cost.matmul = plain
    forward = len(shapes) - twice
    shapes = shapes[forward:twice]
    counted = sum(2.0 * math.prod(a) * b[-1] for a, b in shapes if len(b) > 1)
    bound = counted == found.product_flops >= MOSTLY * found.flops and found.intensity >= INTENSE
    return shapes if shapes and bound else []


def duration(session: Any, call: Callable[..., Any], arguments: Sequence[Any]) -> float:
    start = time.perf_counter()
    session.wait(call(*arguments))
    return time.perf_counter() - start


def measure(name: str, repetitions: int) -> None:
    """Print a line for each operation on one backend."""
    import numpy as np
    from multigrad.bench.plan import largest_size

    from multigrad import truth
    from multigrad.backend import backends
    from multigrad.operation import operations

    threads = len(os.sched_getaffinity(0))
    found = backends()[name]
    os.environ.update(found.environment("cpu", threads, "strict"))
    session = found.open("cpu", threads=threads)
    rng = np.random.default_rng(0)
    shares = []
    for op in operations().values():
        if DTYPE not in op.dtypes:
            continue
        size = op.size(largest_size(op))
        shapes = products_of(op, size)
        if not shapes:
            continue
        _, parameters = op.split(size)
        arrays = truth.case_arrays(op, truth.Case("", op.name, size, "gaussian", DTYPE, 0))
        given = [session.to_device(a, DTYPE if a.dtype.kind == "f" else None) for a in arrays]
        function = session.function(op, parameters, "analytic", MODES[name])
        pairs = [[session.to_device(rng.standard_normal(s), DTYPE) for s in pair] for pair in shapes]

        def alone(*factors: Any) -> tuple[Any, ...]:
            return tuple(a @ b for a, b in zip(factors[::2], factors[1::2], strict=True))

        products = session.compile(alone) if MODES[name] == "compiled" else alone
        factors = [factor for pair in pairs for factor in pair]
        both = [(function, given), (products, factors)]
        for call, arguments in both * 2:
            session.wait(call(*arguments))
        ratios = []
        for _ in range(repetitions):
            whole, part = (duration(session, *one) for one in both)
            ratios.append(part / whole)
        shares.append(statistics.median(ratios))
        what = f"{name}: {op.name}, {len(shapes)} products"
        figures.figure(what, figures.quartiles(ratios), f"at least {WANTED}", shares[-1] >= WANTED)
        session.release()
    reached = sum(share >= WANTED for share in shares)
    print(f"{name}: {reached} of {len(shares)} at {WANTED} or more, median {statistics.median(shares):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--backend", default="numpy,torch,jax")
    chosen = parser.parse_args()
    names = chosen.backend.split(",")
    if len(names) == 1:
        measure(names[0], chosen.repetitions or (5 if chosen.quick else figures.REPETITIONS))
        return
    # A process for each: threads of two frameworks would stand in each other's way.
    rest = [a for a in sys.argv[1:] if not a.startswith("--backend") and a != chosen.backend]
    for name in names:
        subprocess.run([sys.executable, __file__, "--backend", name, *rest], check=True)


if __name__ == "__main__":
    main()

"""How near operations that are mostly matrix products come to those products alone.

    python tests/benchmarks/products.py [--quick] [--repetitions 20] [--backend numpy,torch,jax]

For every operation of the catalogue at its largest size: the products it makes, by the cost model, are made again by
themselves, of the same shapes and on the same backend. Both take their turn in each repetition, and the figure is the
time of the products over that of value and gradients: the share of the backend's own rate that the operation reaches.
Operations with under 9 of 10 FLOP in products are left out, those with under 16 FLOP a byte, which memory binds, and
those whose products stand in a loop.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import figures

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


def problems(session: Any) -> Iterator[figures.Problem]:
    """Give each operation beside what is measured alone."""
    import numpy as np
    from multigrad.bench.plan.cells import largest_size

    from multigrad.ops.find import operations

    rng = np.random.default_rng(0)
    for op in operations().values():
        shapes = products_of(op, op.size(largest_size(op))) if DTYPE in op.dtypes else []
        if not shapes:
            continue
        function, given = figures.largest(op, session, DTYPE)
        pairs = [[session.to_device(rng.standard_normal(s), DTYPE) for s in pair] for pair in shapes]

        def alone(*factors: Any) -> tuple[Any, ...]:
            return tuple(a @ b for a, b in zip(factors[::2], factors[1::2], strict=True))

        products = session.compile(alone) if figures.MODES[session.backend.name] == "compiled" else alone
        factors = [factor for pair in pairs for factor in pair]
        what = f"{len(shapes)} products"
        yield op.name, what, functools.partial(function, *given), functools.partial(products, *factors)


if __name__ == "__main__":
    figures.on_backends(__doc__, __file__, problems, WANTED)

"""How near operations that memory binds come to their traffic alone.

    python tests/benchmarks/traffic.py [--quick] [--repetitions 20] [--backend numpy,torch,jax] [--into FILE]

For every operation of the catalogue at its largest size with under 16 FLOP for each byte: what it cannot do without is
done by itself, on the same backend. Every input is read once and every result written once, as a new array: a result
that has the shape of an input is that input times a number, any other one number throughout, and what is left of the
inputs is summed. Both take their turn in each repetition, and the figure is the time of the traffic over that of value
and gradients. Results of 32 MiB and more come from the system for every call; with
GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in larger pages.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import figures

DTYPE = "float32"
WANTED, INTENSE = 0.6, 16


def traffic(xp: Any, shapes: Sequence[tuple[int, ...]], number: Any, *inputs: Any) -> tuple[Any, ...]:
    """Read every input once, and write new arrays of some shapes once."""
    left, results = list(inputs), []
    for shape in shapes:
        same = next((i for i, a in enumerate(left) if tuple(a.shape) == shape and a.dtype == number.dtype), None)
        results.append(xp.full(shape, 1.0, dtype=number.dtype) if same is None else left.pop(same) * number)
    return (*results, *(xp.sum(a) for a in left))


def problems(session: Any) -> Iterator[figures.Problem]:
    """Give each operation beside what is measured alone."""
    import numpy as np
    from multigrad.bench.plan.cells import largest_size

    from multigrad.namespaces.cost import cost
    from multigrad.ops.find import operations

    for op in operations().values():
        if DTYPE not in op.dtypes:
            continue
        found = cost(op, op.size(largest_size(op)), DTYPE)
        if found.intensity >= INTENSE:
            continue
        function, given = figures.largest(op, session, DTYPE)
        shapes = [tuple(a.shape) for a in function(*given)]
        alone = functools.partial(traffic, session.xp, shapes)
        least = session.compile(alone) if figures.MODES[session.backend.name] == "compiled" else alone
        number = session.to_device(np.asarray(1.0), DTYPE)
        what = f"{found.bytes / 2**20:.3g} MiB"
        yield op.name, what, functools.partial(function, *given), functools.partial(least, number, *given)


if __name__ == "__main__":
    figures.on_backends(__doc__, __file__, problems, WANTED)

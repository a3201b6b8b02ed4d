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
import statistics
from collections.abc import Sequence
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


def measure(session: Any, repetitions: int) -> dict[str, float]:
    """Print a line for each operation on one backend; return the shares."""
    import numpy as np
    from multigrad.bench.plan import largest_size

    from multigrad.namespaces.cost import cost
    from multigrad.operation import operations

    name = session.backend.name
    shares = {}
    for op in operations().values():
        if DTYPE not in op.dtypes:
            continue
        found = cost(op, op.size(largest_size(op)), DTYPE)
        if found.intensity >= INTENSE:
            continue
        _, function, given = figures.largest(op, session, DTYPE)
        shapes = [tuple(a.shape) for a in function(*given)]
        alone = functools.partial(traffic, session.xp, shapes)
        least = session.compile(alone) if figures.MODES[name] == "compiled" else alone
        number = session.to_device(np.asarray(1.0), DTYPE)
        ratios = figures.share(
            session, functools.partial(function, *given), functools.partial(least, number, *given), repetitions
        )
        shares[op.name] = statistics.median(ratios)
        what = f"{name}: {op.name}, {found.bytes / 2**20:.3g} MiB"
        figures.figure(what, figures.quartiles(ratios), f"at least {WANTED}", shares[op.name] >= WANTED)
        session.release()
    return shares


if __name__ == "__main__":
    figures.on_backends(__doc__, __file__, measure, WANTED)

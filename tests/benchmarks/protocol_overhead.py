"""What the protocol itself adds to a call of 1 ms, against a bare loop.

    python tests/benchmarks/protocol_overhead.py [--quick] [--repetitions 20]

The call spins for exactly 1 ms. Both take their turn in each repetition; the ratio is taken within one.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import replace

import figures

CALL_S = 1e-3
CALLS = 500


def call() -> tuple[()]:
    end = time.perf_counter() + CALL_S
    while time.perf_counter() < end:
        pass
    return ()


def bare() -> float:
    """Seconds per call of a bare loop, the fastest of blocks as long as the protocol's."""
    durations = []
    for _ in range(CALLS // 8):
        start = time.perf_counter()
        for _ in itertools.repeat(None, 8):
            call()
        durations.append((time.perf_counter() - start) / 8)
    return statistics.median(durations)


def main() -> None:
    chosen = figures.options(__doc__)
    from multigrad.bench.plan.cells import LATENCY
    from multigrad.bench.plan.protocol import FULL
    from multigrad.bench.timing import clock

    ratios = []
    for _ in range(chosen.repetitions):
        work = clock.Workload(call, (), lambda arrays: None, keep=8)
        result = clock.alone(clock.time_blocks(work, replace(FULL, process_s=CALLS * CALL_S)))
        ours = statistics.median(b.block_s / b.calls for b in result.blocks if b.kind == LATENCY)
        ratios.append(ours / bare())
    middle = statistics.median(ratios)
    figures.figure(
        "the protocol's time over a bare loop's, 1 ms call", figures.quartiles(ratios), "below 1.01", middle < 1.01
    )


if __name__ == "__main__":
    main()

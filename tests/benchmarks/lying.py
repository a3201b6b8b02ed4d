"""What the harness says of fakes whose true cost is known.

    python tests/benchmarks/lying.py [--quick] [--repetitions 20]

A device with a queue (timed right, and under-measured when the wait is taken out), a slow first call, periodic noise,
a drift, and known slowdowns of 3, 5, 10 and 20 %.
"""

from __future__ import annotations

import statistics
from typing import Any

import figures


def main() -> None:
    chosen = figures.options(__doc__)
    import fake_backends
    from fast_protocol import FAST
    from multigrad.bench import Protocol, measure
    from multigrad.bench.analysis.compare import within
    from multigrad.bench.plan.protocol import FULL

    square = f"{figures.FAKES / 'fake_operations.py'}::square"
    one = {"dtype": "float64", "threads": 1, "mode": "eager", "variant": "forward"}
    short = Protocol(**{**vars(FAST), "twins": 0, "peak_rounds": 0, "process_blocks": 20, "process_limit_s": 0.5})
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in range(chosen.repetitions):
        for name in ("QUEUE", "FORGETFUL", "SLOW_FIRST", "PERIODIC", "DRIFT"):
            run = measure(square, backend=f"fake_backends:{name}", protocol=short, seed=seed, **one)
            rows.setdefault(name, []).extend(run.summary.to_dict("records"))

    def middle(name: str, column: str) -> float:
        return statistics.median(row[column] for row in rows[name])

    call_s = fake_backends.CALL_S
    for name, column, low, high in (
        ("QUEUE", "median_s", 0.97, 1.05),
        ("QUEUE", "pipelined_s", 0.97, 1.05),
        ("QUEUE", "dispatch_s", 0.0, 0.2),
        ("FORGETFUL", "median_s", 0.0, 0.2),
        ("SLOW_FIRST", "median_s", 0.97, 1.05),
        ("SLOW_FIRST", "first_call_s", 290, 350),
        ("PERIODIC", "min_s", 0.97, 1.1),
    ):
        share = middle(name, column) / call_s
        figures.figure(f"{name} {column} over the true call", f"{share:.4f}", f"{low} to {high}", low <= share <= high)
    flagged = sum(bool({"spread-within", "not-warm"} & set(row["flags"].split())) for row in rows["DRIFT"])
    figures.figure(
        "drifts that are flagged", f"{flagged} of {chosen.repetitions}", "all", flagged == chosen.repetitions
    )
    full = Protocol(**{**vars(FULL), "memory": False, "twins": 1, "extra_rounds": 0, "peak_rounds": 0})
    slowdowns(chosen.repetitions, square, one, full, measure, within)


def slowdowns(repetitions: int, square: str, one: Any, protocol: Any, measure: Any, within: Any) -> None:
    """Print what is said of known slowdowns by the full protocol."""
    names = ("STEADY", "LONGER_3", "LONGER_5", "LONGER_10", "LONGER_20")
    found: dict[int, list[tuple[float, str]]] = {}
    for seed in range(repetitions):
        backends = [f"fake_backends:{name}" for name in names]
        run = measure(square, backend=backends, protocol=protocol, seed=seed, **one)
        for percent in (3, 5, 10, 20):
            (row,) = within(run, "backend", "longer_0", f"longer_{percent}").to_dict("records")
            found.setdefault(percent, []).append((row["ratio"], row["word"]))
    for percent, said in found.items():
        ratio = statistics.median(ratio for ratio, _ in said)
        words = [word for _, word in said]
        told = ", ".join(f"{word} {words.count(word)}" for word in dict.fromkeys(words))
        right = abs(ratio - 1 - percent / 100) < 0.01
        figures.figure(f"a slowdown of {percent} %", f"ratio {ratio:.4f}; {told}", "within 1 % of it", right)


if __name__ == "__main__":
    main()

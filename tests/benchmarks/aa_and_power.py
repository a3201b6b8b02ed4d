"""How often a pair of equals is called faster or slower, and how often a planted slowdown is found.

    python tests/benchmarks/aa_and_power.py [--quick] [--repetitions 20] [--keep FOLDER]

Real NumPy operations on one thread, by the protocol of a regression gate (ten rounds), beside two backends that are
NumPy: one as it is (the A/A pair), one whose every call takes 10 % longer. All three in the same rounds, in processes
of their own; a repetition is a whole run. A cell is stable if no side of it is flagged.
"""

from __future__ import annotations

import figures

PLANTED = "slowed_10"
BACKENDS = ["numpy", "fake_backends:SAME", "fake_backends:SLOWED_10"]
CELLS = (("relu_regression", ("digits",)), ("linear_map", ("small", "large")), ("conv2d", ("small",)))


def main() -> None:
    chosen = figures.options(__doc__, keep="the runs, to look at what another rule would have said")
    from multigrad.bench import Protocol
    from multigrad.bench.analysis import compare
    from multigrad.bench.measurement import measure
    from multigrad.bench.plan import cells as plan
    from multigrad.bench.plan.protocol import GATE

    from multigrad.ops.selection import Selection

    # Neither memory nor roofs are asked for.
    protocol = Protocol(**{**vars(GATE), "memory": False, "peak_rounds": 0, "twins": 1})
    cells: dict[plan.Cell, plan.Refusal | None] = {}
    for name, sizes in CELLS[: 1 if chosen.quick else None]:
        wanted = {"variant": "analytic", "mode": "eager", "dtype": "float32", "threads": 1}
        cells |= measure.cells_of(Selection.of(name, backend=BACKENDS, size=list(sizes), **wanted))
    words: dict[str, list[tuple[str, bool]]] = {"slowed_0": [], PLANTED: []}
    for repetition in range(chosen.repetitions):
        run = measure.measure_plan(
            plan.of_cells(cells, twins=1, seed=repetition, quick=False), protocol, out=chosen.keep
        )
        for other, found in words.items():
            frame = compare.within(run, "backend", "numpy", other)
            found += [(row["word"], row["flags"] == "") for row in frame.to_dict("records")]
        told = ", ".join(f"{other}: {[word for word, _ in found[-len(frame) :]]}" for other, found in words.items())
        print(f"repetition {repetition}: floor {run.noise_floor:.4f}; {told}", flush=True)
    equals = [word in ("faster", "slower") for word, _ in words["slowed_0"]]
    figures.figure(
        "A/A cells called faster or slower",
        f"{sum(equals)} of {len(equals)} = {sum(equals) / len(equals):.2%}",
        "at most 1 %",
        sum(equals) <= 0.01 * len(equals),
    )
    stable = [word == "slower" for word, is_stable in words[PLANTED] if is_stable]
    share = sum(stable) / len(stable) if stable else 0.0
    figures.figure(
        "planted slowdowns of 10 % found, of stable cells",
        f"{sum(stable)} of {len(stable)} = {share:.2%} ({len(words[PLANTED]) - len(stable)} cells are not stable)",
        "at least 95 %",
        share >= 0.95,
    )


if __name__ == "__main__":
    main()

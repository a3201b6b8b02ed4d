"""How often equals are called faster or slower, and how often a planted slowdown is found, measured.

    python tests/benchmarks/aa_and_power.py [--protocol quick|full|gate] [--repetitions 20] [--keep FOLDER]

Real NumPy operations on one thread, beside backends that are NumPy: four as it is (the A/A pairs), and one whose every
call takes longer, by 30 % where the protocol is that of a quick run and by 10 % else. All in the same rounds, in
processes of their own; a repetition is a whole run. Every pair counts, whatever its flags.
"""

from __future__ import annotations

import argparse
import itertools

import figures

EQUALS = ("numpy", "fake_backends:SAME", "fake_backends:SAME_2", "fake_backends:SAME_3", "fake_backends:SAME_4")
SLOWED = {"quick": ("SLOWED_30", 0.99), "full": ("SLOWED_10", 0.95), "gate": ("SLOWED_10", 0.95)}
"""By protocol, the slowed backend and the least share of its pairs that is to be found."""
CELLS = (("relu_regression", ("digits",)), ("linear_map", ("small", "large")), ("conv2d", ("small",)))


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", choices=[*SLOWED], default="quick")


def main() -> None:
    chosen = figures.options(__doc__, keep="the runs, to look at what another rule would have said", more=_more)
    from multigrad.bench.analysis import intervals
    from multigrad.bench.analysis.compare import times_of
    from multigrad.bench.measurement import measure
    from multigrad.bench.plan import cells as plan
    from multigrad.bench.plan import protocol as protocols

    from multigrad.ops.selection import Selection

    named, least = SLOWED[chosen.protocol]
    given = {"quick": protocols.QUICK, "full": protocols.FULL, "gate": protocols.GATE}[chosen.protocol]
    # Neither memory nor roofs are asked for, and the equals are pairs enough.
    protocol = protocols.Protocol(**{**vars(given), "memory": False, "peak_rounds": 0, "twins": 0})
    cells: dict[plan.Cell, plan.Refusal | None] = {}
    backends = [*EQUALS, f"fake_backends:{named}"]
    for name, sizes in CELLS:
        wanted = {"variant": "analytic", "mode": "eager", "dtype": "float32", "threads": 1}
        cells |= measure.cells_of(Selection.of(name, backend=backends, size=list(sizes), **wanted))
    equals: list[str] = []
    planted: list[str] = []
    for repetition in range(chosen.repetitions):
        made = plan.of_cells(cells, twins=0, seed=repetition, quick=False)
        times = times_of(measure.measure_plan(made, protocol, out=chosen.keep))
        for one, other in itertools.combinations(times.turns, 2):
            if times.problem[one] == times.problem[other]:
                slow = [named.lower() in cell for cell in (one, other)]
                before, after = (other, one) if slow[0] else (one, other)
                (planted if any(slow) else equals).append(intervals.word(times.ratio(after, before)))
        wrong = sum(word in ("faster", "slower") for word in equals)
        found = planted.count("slower")
        print(f"repetition {repetition}: {wrong} of {len(equals)}; {found} of {len(planted)}", flush=True)
    figures.figure(
        f"{chosen.protocol}: equals called faster or slower",
        f"{wrong} of {len(equals)} = {wrong / len(equals):.2%}",
        "at most 1 %",
        wrong <= 0.01 * len(equals),
    )
    figures.figure(
        f"{chosen.protocol}: planted {named.lower()} found",
        f"{found} of {len(planted)} = {found / len(planted):.2%} ({planted.count('faster')} called faster)",
        f"at least {least:.0%}",
        found >= least * len(planted),
    )


if __name__ == "__main__":
    main()

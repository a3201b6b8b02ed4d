"""How much of a default run is measurement, and how long it takes.

    python tests/benchmarks/time_share.py [--quick] [--repetitions 1]

A default `bench` of both starting problems on every CPU backend. One repetition takes some minutes, and the shares of
two differ little: one is the default here. --quick times a quick run instead.
"""

from __future__ import annotations

import sys

import figures


def main() -> None:
    chosen = figures.options(__doc__, quick=1)
    repetitions = chosen.repetitions if chosen.quick or "--repetitions" in " ".join(sys.argv) else 1
    from multigrad.bench.measurement.measure import measure

    shares, walls = [], []
    for seed in range(repetitions):
        run = measure(["relu_regression", "linear_map"], device="cpu", quick=chosen.quick, seed=seed)
        walls.append(run.info["wall_s"])
        shares.append(run.info["timed_s"] / run.info["wall_s"])
        setup = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in run.info["spent_s"].items())
        print(f"{len(run.summary)} cells, wall {walls[-1]:.0f} s: {setup}", flush=True)
    limit_s = 110 if chosen.quick else 600
    figures.figure("wall time of the run in s", figures.quartiles(walls), f"below {limit_s}", max(walls) < limit_s)
    if not chosen.quick:
        figures.figure(
            "share of it inside timed blocks and warm-up", figures.quartiles(shares), "at least 0.6", min(shares) >= 0.6
        )


if __name__ == "__main__":
    main()

"""Devices against time: the same compiled gradient on one device, and split among two, four and eight.

    python tests/benchmarks/devices.py [--quick] [--repetitions 5] [--operation gmm] [--markdown results/devices.md]

The host's processors are divided into so many devices; how many is settled when JAX begins, so that each count has
processes of its own, which take turns as those of every run do. `--repetitions` is how many for each count. Every time
is that of a result that was checked. Eight devices on two cores show what splitting costs, not what it saves.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

SIZES = {
    "relu_regression": "large",
    "linear_map": "large",
    "softmax_cross_entropy": "vocabulary",
    "layer_norm": "large",
    "gmm": "d10k100",
}
QUICK = {"relu_regression": "medium", "layer_norm": "medium"}
DEVICES = ["cpu", "cpu:2", "cpu:4", "cpu:8"]
HEAD = ["operation", "size", "devices", "median", "95 % interval", "one device's over it", "collectives", "flags"]


def rows(name: str, size: str, repetitions: int) -> list[list[str]]:
    """Measure one operation on every count of devices and return its lines of the table."""
    from multigrad.bench import Protocol, measure
    from multigrad.bench.plan.protocol import FULL
    from multigrad.bench.report.quantities import seconds

    protocol = Protocol(
        **{**vars(FULL), "rounds": repetitions, "extra_rounds": 0, "memory": False, "twins": 0, "peak_rounds": 0}
    )
    wanted = {"backend": "jax", "mode": "compiled", "variant": "analytic", "dtype": "float32", "size": size}
    run = measure(name, device=DEVICES, protocol=protocol, **wanted)
    found = []
    for row in run.summary.to_dict("records"):
        if row["median_s"] != row["median_s"]:
            raise SystemExit(f"{name} on {row['device']}: {row['verdict']} {row['reason']}")
        one = run.summary.iloc[0]["median_s"]
        interval = f"{seconds(row['ci_low_s'])} – {seconds(row['ci_high_s'])}"
        times = [seconds(row["median_s"]), interval, f"{one / row['median_s']:.2f}"]
        told = [row["collectives"], row["flags"]]
        found.append([name, row["sizes"], row["device"].partition(":")[2] or "1", *times, *told])
    return found


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes of two operations, two processes each")
    parser.add_argument("--repetitions", type=int, help="default 5")
    parser.add_argument("--operation", action="append", choices=list(SIZES))
    parser.add_argument("--markdown", type=Path, help="add the lines to this file too")
    chosen = parser.parse_args()
    sizes = QUICK if chosen.quick else SIZES
    print(f"{len(os.sched_getaffinity(0))} processors", line(HEAD), line(["---"] * len(HEAD)), sep="\n", flush=True)
    for name in chosen.operation or sizes:
        text = "\n".join(map(line, rows(name, sizes[name], chosen.repetitions or (2 if chosen.quick else 5))))
        print(text, flush=True)
        if chosen.markdown is not None:
            new = not chosen.markdown.exists()
            with chosen.markdown.open("a", encoding="utf-8") as file:
                file.write(f"{line(HEAD)}\n{line(['---'] * len(HEAD))}\n" * new + f"{text}\n")


if __name__ == "__main__":
    main()

"""Print how long `multigrad --help` takes: the median and the range of 20 fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 20


def main() -> None:
    """Time the command, and an interpreter that does nothing beside it."""
    for name, arguments in (
        ("python -c pass", ["-c", "pass"]),
        ("multigrad --help", ["-m", "multigrad.bench.cli", "--help"]),
    ):
        command = [sys.executable, *arguments]
        subprocess.run(command, check=True, capture_output=True)  # the first one writes the bytecode
        times = []
        for _ in range(RUNS):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - started)
        print(f"{name:17} median {statistics.median(times):.3f} s, {min(times):.3f} to {max(times):.3f} s, {RUNS} runs")


if __name__ == "__main__":
    main()

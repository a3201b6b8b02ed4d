"""kill -9 of the parent at a random moment: every finished cell is in the run, and a resumed run has them all.

python tests/benchmarks/kill_and_resume.py [--quick] [--repetitions 20]
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import figures

SCRIPT = """
import sys
from pathlib import Path
from fast_protocol import FAST
from multigrad.bench.measurement.measure import measure
measure(["relu_regression", "linear_map"], backend=["numpy", "fake_backends:BUSY"], mode="eager", size="tiny",
        variant=["forward", "analytic"], dtype="float64", threads=1, protocol=FAST, folder=Path(sys.argv[1]))
"""
BACKENDS = ["numpy", "fake_backends:BUSY"]
"""As in the script: a run that is resumed is told again whose code it may load."""

KEY = ["operation", "variant", "backend", "sizes"]


def cells(run: Any) -> set[tuple[Any, ...]]:
    """What is in a run: each cell with its verdict and its processes."""
    return {tuple(row) for row in run.summary[[*KEY, "verdict", "processes"]].itertuples(index=False)}


def processes(run: Any) -> set[tuple[Any, ...]]:
    """Every process of every cell that has blocks."""
    return {tuple(row) for row in run.samples[[*KEY, "round", "twin"]].drop_duplicates().itertuples(index=False)}


def main() -> None:
    chosen = figures.options(__doc__, quick=3)
    from multigrad.bench import load_run, measure
    from multigrad.bench.store.folder import JOURNAL, SUMMARY

    rng = random.Random(0)
    good = lost = unbegun = 0
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", SCRIPT, f"{scratch}/whole"], check=True)
        whole_s = time.perf_counter() - started
        whole = cells(load_run(Path(scratch) / "whole"))
        for number in range(chosen.repetitions):
            folder = Path(scratch) / f"run{number}"
            process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])
            moment = rng.uniform(0, whole_s)
            time.sleep(moment)
            process.kill()
            process.wait()
            if not (folder / JOURNAL).exists() and not (folder / SUMMARY).exists():
                unbegun += 1  # it had not begun to measure: there is nothing to resume, and nothing to lose
                good += 1
                continue
            try:
                before = processes(load_run(folder))
                unfinished = (folder / JOURNAL).exists()
                after = measure(backend=BACKENDS, resume=folder) if unfinished else load_run(folder)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a run that was lost
                print(f"killed after {moment:.2f} s: {error}", flush=True)
                continue
            lost += len(before - processes(after))
            good += cells(after) == whole
            print(f"killed after {moment:.2f} s of {whole_s:.2f} s: {len(before)} of {len(processes(after))} kept")
    figures.figure(
        "killed runs that were completed to the same cells",
        f"{good} of {chosen.repetitions} ({unbegun} killed before they began)",
        "all",
        good == chosen.repetitions,
    )
    figures.figure("measured processes that were lost", str(lost), "0", lost == 0)


if __name__ == "__main__":
    main()

"""What the scripts beside this one share: their options, the tests' fakes, and the line that a figure is printed on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAKES = ROOT / "tests" / "bench"

REPETITIONS = 20
"""A figure from fewer is an anecdote."""


def options(doc: str | None, quick: int = 2, keep: str = "") -> argparse.Namespace:
    """Read ``--quick`` and ``--repetitions``; workers and this process find the fakes from now on.

    Args:
        doc: the script's docstring.
        quick: repetitions of the short version.
        keep: what ``--keep FOLDER`` is for; without it there is no such option.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"a short version: {quick} repetitions")
    parser.add_argument("--repetitions", type=int, help=f"default {REPETITIONS}")
    if keep:
        parser.add_argument("--keep", type=Path, help=f"folder for {keep}")
    found = parser.parse_args()
    found.repetitions = found.repetitions or (quick if found.quick else REPETITIONS)
    paths = [str(path) for path in (ROOT, HERE, FAKES)]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    return found


def figure(what: str, found: str, wanted: str, reached: bool) -> None:
    """Print one figure with what was wanted."""
    print(f"{'reached' if reached else 'MISSED '}  {what}: {found}  (wanted: {wanted})", flush=True)


def quartiles(values: Sequence[float]) -> str:
    """Write the median of some values with their quartiles."""
    import numpy as np

    low, middle, high = np.quantile(np.asarray(values), [0.25, 0.5, 0.75])
    return f"{middle:.5g} [quartiles {low:.5g}, {high:.5g}; n = {len(values)}]"

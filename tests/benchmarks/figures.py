"""What the scripts beside this one share: their options, the tests' fakes, and the line that a figure is printed on."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAKES = ROOT / "tests" / "bench"

REPETITIONS = 20
"""A figure from fewer is an anecdote."""


def options(
    doc: str | None, quick: int = 2, keep: str = "", more: Callable[[argparse.ArgumentParser], None] = lambda _: None
) -> argparse.Namespace:
    """Read ``--quick`` and ``--repetitions``; workers and this process find the fakes from now on.

    Args:
        doc: the script's docstring.
        quick: repetitions of the short version.
        keep: what ``--keep FOLDER`` is for; without it there is no such option.
        more: adds options of the script's own.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"a short version: {quick} repetitions")
    parser.add_argument("--repetitions", type=int, help=f"default {REPETITIONS}")
    if keep:
        parser.add_argument("--keep", type=Path, help=f"folder for {keep}")
    more(parser)
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


MODES = {"numpy": "eager", "torch": "eager", "jax": "compiled"}
"""The CPU backends as their users have them."""


def share(session: Any, whole: Callable[[], Any], part: Callable[[], Any], repetitions: int) -> list[float]:
    """Return the time of a part over that of the whole, both in turns, one ratio for each repetition."""

    def duration(call: Callable[[], Any]) -> float:
        start = time.perf_counter()
        session.wait(call())
        return time.perf_counter() - start

    for call in (whole, part) * 2:
        duration(call)
    ratios = []
    for _ in range(repetitions):
        taken, alone = duration(whole), duration(part)
        ratios.append(alone / taken)
    return ratios


Problem = tuple[str, str, Callable[[], Any], Callable[[], Any]]
"""An operation, what its part is, in words, the whole, and the part."""


def on_backends(doc: str | None, file: str, problems: Callable[[Any], Iterable[Problem]], wanted: float) -> None:
    """Measure shares on every CPU backend, each in a process of its own, and say what the best of them reach.

    Threads of two frameworks in one process would stand in each other's way.

    Args:
        doc: the script's docstring.
        file: the script.
        problems: takes a session and gives the problems, one after the other.
        wanted: the share to reach.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short version: 5 repetitions")
    parser.add_argument("--repetitions", type=int, help=f"default {REPETITIONS}")
    parser.add_argument("--backend", default=",".join(MODES))
    parser.add_argument("--into", type=Path, help="a JSON file for the shares")
    chosen = parser.parse_args()
    repetitions = chosen.repetitions or (5 if chosen.quick else REPETITIONS)
    names = chosen.backend.split(",")
    found = {}
    if len(names) == 1:
        found[names[0]] = _medians(_session(names[0]), problems, repetitions, wanted)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                into = Path(folder) / name
                options = ["--backend", name, "--repetitions", str(repetitions), "--into", str(into)]
                subprocess.run([sys.executable, file, *options], check=True)
                found |= json.loads(into.read_text(encoding="utf-8"))
    if chosen.into:
        chosen.into.write_text(json.dumps(found), encoding="utf-8")
    for name, shares in found.items():
        _summary(name, list(shares.values()), wanted)
    best = {op: max(s[op] for s in found.values() if op in s) for shares in found.values() for op in shares}
    if len(found) > 1:
        _summary("the best", list(best.values()), wanted)
        short = {op: s for op, s in sorted(best.items(), key=lambda one: one[1]) if s < wanted}
        print(f"below: {', '.join(f'{op} {s:.2f}' for op, s in short.items()) or 'none'}", flush=True)


def _medians(
    session: Any, problems: Callable[[Any], Iterable[Problem]], repetitions: int, wanted: float
) -> dict[str, float]:
    """Print a line for each problem on one backend; return the median shares by operation."""
    medians = {}
    for name, what, whole, part in problems(session):
        ratios = share(session, whole, part, repetitions)
        medians[name] = statistics.median(ratios)
        what = f"{session.backend.name}: {name}, {what}"
        figure(what, quartiles(ratios), f"at least {wanted}", medians[name] >= wanted)
        session.release()
    return medians


def _session(name: str) -> Any:
    from multigrad.backend import backends

    threads = len(os.sched_getaffinity(0))
    found = backends()[name]
    os.environ.update(found.environment("cpu", threads, "strict"))
    return found.open("cpu", threads=threads)


def _summary(what: str, shares: Sequence[float], wanted: float) -> None:
    reached = sum(share >= wanted for share in shares)
    print(f"{what}: {reached} of {len(shares)} at {wanted} or more, median {statistics.median(shares):.2f}", flush=True)


def largest(op: Any, session: Any, dtype: str) -> tuple[Callable[..., Any], list[Any]]:
    """Return an operation's hand-derived function at its largest size, with inputs and cotangents on the device."""
    from multigrad.bench.plan.cells import largest_size

    from multigrad.truth.case import Case
    from multigrad.truth.inputs import case_arrays

    size = op.size(largest_size(op))
    _, parameters = op.split(size)
    arrays = case_arrays(op, Case("", op.name, size, "gaussian", dtype, 0))
    given = [session.to_device(a, dtype if a.dtype.kind == "f" else None) for a in arrays]
    return session.function(op, parameters, "analytic", MODES[session.backend.name]), given

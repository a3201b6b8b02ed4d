"""Run `multigrad check FILE` on each file of this folder, one at a time, and say how each ended.

    python tests/strangers/run.py [--only right|wrong|NAME] [--backend numpy] [--csv FILE]

A right file must end with 0 and a wrong one with 1; the exit code says whether all did.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
TIMEOUT = 300  # seconds for one file


@dataclass(frozen=True)
class Ending:
    """How the check of one file ended."""

    name: str  # of the file, without its suffix
    kind: str  # right or wrong
    code: int | None  # the exit code; None where the time was up
    seconds: float  # of the command, from start to end
    line: str  # the first that begins with FAIL, or else the last one

    @property
    def good(self) -> bool:
        return self.code == (0 if self.kind == "right" else 1)


def paths(only: str | None = None) -> list[Path]:
    """All files, or those of one kind, or the pair of one name."""
    every = [path for kind in ("right", "wrong") for path in sorted((FOLDER / kind).glob("*.py"))]
    return [path for path in every if only in (None, path.parent.name, path.stem)]


def check(path: Path, options: Sequence[str] = ()) -> Ending:
    """Check one file by the command line, in a process of its own."""
    environment = {**os.environ, "COLUMNS": "160", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "multigrad.bench.cli", "check", str(path), *options]
    code: int | None = None
    start = time.perf_counter()
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
        code, lines = done.returncode, (done.stdout + done.stderr).splitlines()
    except subprocess.TimeoutExpired:
        lines = [f"no end within {TIMEOUT} s"]
    failures = [line for line in lines if line.startswith("FAIL")]
    line = (failures or [line for line in lines if line.strip()][-1:] or ["no output"])[0]
    return Ending(path.stem, path.parent.name, code, round(time.perf_counter() - start, 1), line)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="right, wrong or a name")
    parser.add_argument("--backend", help="passed on, for a quick pass: numpy")
    parser.add_argument("--csv", type=Path, help="where the table is written as well")
    chosen = parser.parse_args(arguments)
    options = ["--backend", chosen.backend] if chosen.backend else []
    endings = []
    for path in paths(chosen.only):
        ending = check(path, options)
        endings.append(ending)
        mark = " " if ending.good else "!"
        sys.stdout.write(
            f"{mark} {ending.name:24} {ending.kind:5} {ending.code!s:4} {ending.seconds:6.1f} s  {ending.line[:110]}\n"
        )
        sys.stdout.flush()
    if not endings:
        parser.error(f"no file is named {chosen.only}")
    if chosen.csv:
        with chosen.csv.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([field.name for field in fields(Ending)])
            table.writerows(astuple(ending) for ending in endings)
    for kind in ("right", "wrong"):
        ended = [ending for ending in endings if ending.kind == kind]
        codes = {code: sum(e.code == code for e in ended) for code in sorted({e.code for e in ended}, key=str)}
        sys.stdout.write(f"{kind}: {sum(e.good for e in ended)} of {len(ended)} as they should; exit codes {codes}\n")
    return int(not all(ending.good for ending in endings))


if __name__ == "__main__":
    sys.exit(main())

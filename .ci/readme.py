"""Write into the README what its commands print today, wherever a console block has one command and its output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND_WITH_OUTPUT = re.compile(
    r"^```console\n\$ multigrad (?P<arguments>[^\n]*)\n(?!\$|```).*?^```$", re.DOTALL | re.MULTILINE
)


def printed(block: re.Match[str]) -> str:
    """Run a block's command again and return the block with what it printed."""
    arguments = shlex.split(block["arguments"])
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "multigrad.bench.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(f"multigrad {block['arguments']} ended with {done.returncode}: {done.stderr.strip()}")
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    return "\n".join(["```console", f"$ multigrad {block['arguments']}", *lines, "```"])


def with_tables(text: str) -> str:
    """Put the generated tables of ``results/`` between their marks."""
    for table in sorted((ROOT / "results").glob("*.md")):
        marks = re.compile(rf"(<!-- {table.stem} -->\n).*?(<!-- /{table.stem} -->)", re.DOTALL)
        text = marks.sub(
            lambda found, t=table: found[1] + t.read_text(encoding="utf-8").strip() + "\n" + found[2], text
        )
    return text


def main() -> None:
    """Rewrite README.md."""
    readme = ROOT / "README.md"
    text, count = COMMAND_WITH_OUTPUT.subn(printed, readme.read_text(encoding="utf-8"))
    if not count:
        raise SystemExit("README.md has no console block with output")
    readme.write_text(with_tables(text), encoding="utf-8")


if __name__ == "__main__":
    main()

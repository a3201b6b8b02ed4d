"""Write into the README and the pages what their commands print today, wherever a console block has an output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from multigrad.bench import load_run
from multigrad.bench.report.answers import EACH
from multigrad.bench.report.conclusions import conclusions
from multigrad.bench.report.figures import Figures
from multigrad.bench.report.markup import escape
from multigrad.bench.report.pictures import pictures, write_pictures

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
        whole = table.read_text(encoding="utf-8").strip()
        # Of an answer the README shows the first table; what each backend says by itself stands on a page.
        for mark, shown in {table.stem: whole, f"{table.stem}_answer": whole.partition(EACH)[0].strip()}.items():
            marks = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
            text = marks.sub(lambda found, shown=shown: f"{found[1]}{shown}\n{found[2]}", text)
    return text


CHART, PICTURES = "speed-up-places", Path("docs") / "pictures"
NO_RUN = "There is no committed run to draw from: `multigrad run --quick` measures one, with its own report."


def committed_run() -> Path | None:
    """Return the folder of the run that the README shows, or None."""
    found = sorted(ROOT.glob("results/*/reference/summary.csv"))
    return found[0].parent if found else None


def chart(run: Path | None) -> str:
    """Return what the README says of a run: its answer, the picture, and the command that draws it."""
    if run is None:
        return NO_RUN
    _, *answer = conclusions(Figures.of(load_run(run))).paragraphs()
    drawn = f"multigrad report {run.relative_to(ROOT).as_posix()} --chart {CHART} --svg {PICTURES.as_posix()}"
    picture = f"![Time of autodiff over that of the hand-derived gradient, place by place]({PICTURES / CHART}.svg)"
    return "\n\n".join([*map(escape, answer), picture, f"Drawn by `{drawn}`."])


def with_chart(text: str) -> str:
    """Put the chart of the committed run between its marks."""
    marks = re.compile(r"(<!-- speed_up -->\n).*?(<!-- /speed_up -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}{chart(committed_run())}\n{found[2]}", text)


def picture_is_fresh(run: Path) -> bool:
    """Tell whether the picture in the repository shows that run, drawn as it is drawn today."""
    (wanted,) = pictures(Figures.of(load_run(run)), [CHART])
    path = ROOT / PICTURES / f"{CHART}.svg"
    return path.exists() and path.read_text(encoding="utf-8").startswith(f"<!-- multigrad report: {wanted.digest} -->")


def main() -> None:
    """Rewrite them."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}
    if not any(COMMAND_WITH_OUTPUT.search(text) for text in texts.values()):
        raise SystemExit("neither README.md nor docs/ has a console block with output")
    run = committed_run()
    if run is not None and not picture_is_fresh(run):
        write_pictures(Figures.of(load_run(run)), ROOT / PICTURES, "svg", [CHART])
    for path, text in texts.items():
        path.write_text(with_chart(with_tables(COMMAND_WITH_OUTPUT.sub(printed, text))), encoding="utf-8")


if __name__ == "__main__":
    main()

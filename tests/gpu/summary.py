"""Print what a folder of ``run_all.sh`` holds, stage by stage, and write it to ``summary.md``.

    python tests/gpu/summary.py FOLDER

Exit 1 where a stage has a FAIL, 2 where one did not end, else 0.
"""

import csv
import json
import sys
from collections import Counter
from pathlib import Path

LIMIT = {"124", "130", "137", "143"}
"""Exit codes of what was stopped."""


def rows(path):
    """Yield the rows of a journal of a check, or of the findings of smoke; a line that was cut short is left out."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            values = json.loads(line)
            yield from (one["row"] for one in values.get("rows", ()))
            if "verdict" in values:
                yield values


def verdicts(folder, stage):
    """Count the verdicts in the files of a stage."""
    counts = Counter()
    for path in sorted(folder.glob(f"{stage}*.jsonl")):
        counts.update(row["verdict"] for row in rows(path))
    for path in sorted(folder.glob(f"{stage}/*/*/summary.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            counts.update(row["verdict"] or "not timed" for row in csv.DictReader(file))
    for path in sorted(folder.glob(f"{stage}/*/*/journal.jsonl")):
        if not path.with_name("summary.csv").exists():
            counts["lines of an unfinished journal"] += path.read_bytes().count(b"\n")
    return counts


def state(code, counts):
    """Return what is said of a stage."""
    if counts["FAIL"] or code == "1":
        return "FAIL"
    if code == "":
        return "killed"
    return "at its limit" if code in LIMIT else "done" if code == "0" else f"exit {code}"


def main(folder):
    """Print and write the table."""
    last = {}
    for line in (folder / "stages.tsv").read_text(encoding="utf-8").splitlines():
        name, seconds, limit, code = line.split("\t")
        last[name] = seconds, limit, code
    lines = ["| stage | seconds | limit | state | rows | verdicts |", "| --- | ---: | ---: | --- | ---: | --- |"]
    states = []
    for name, (seconds, limit, code) in last.items():
        counts = verdicts(folder, name)
        states.append(state(code, counts))
        listed = ", ".join(f"{count} {word}" for word, count in counts.most_common())
        lines.append(f"| {name} | {seconds} | {limit} | {states[-1]} | {counts.total()} | {listed} |")
    text = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return 1 if "FAIL" in states else 0 if set(states) <= {"done"} else 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""The documentation of a run's files, generated from the row classes: results/README.md."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from multigrad.matrix import MatrixRow

from ..analysis.flags import FLAGS
from ..analysis.scaling import ScalingRow
from ..store.folder import MATRIX, SAMPLES, SCALING, SUMMARY, write_text
from ..store.frames import type_of
from ..store.rows import SampleRow, SummaryRow
from .markup import grid

_PREFACE = """
Written by the tool, one folder for each machine and run: `results/<machine>/<run>/`. This page is generated from the
row classes in the source. Numbers are in SI units, which stand in the column names. A number is empty where its row has
no right result (see `verdict`), or where its column says so. A text that a spreadsheet would take for a formula, for it
begins with `=`, `+`, `-` or `@`, has an apostrophe before it.

`run.json` holds the schema version, the command, the seed, the state of the source, the host and its devices, versions,
threads and precision as the libraries reported them, the environment variables that matter, the noise floor of the A/A
pairs, whether the workers of a round took turns (`turns`), and every constant of the protocol. An unfinished run also
has `journal.jsonl`, from which `--resume` goes on. A run of several machines (made by `multigrad run --fleet` or by
`multigrad merge`) says in `machines` of each, by its name in the column `machine`, what is said of one above, with the
`fingerprint` that has to be the same for its times to be compared with another run's.
`scaling.csv` is there when a run has three sizes or more of one operation; the folder `before/` when another commit was
measured in the same rounds, and is itself a run.
"""


def columns_markdown() -> str:
    """Return the documentation of every file of a run, from the row classes."""
    parts = ["# Results", _PREFACE.strip()]
    files = ((MATRIX, MatrixRow), (SUMMARY, SummaryRow), (SAMPLES, SampleRow), (SCALING, ScalingRow))
    for name, row_class in files:
        rows = []
        for f in fields(row_class):
            kind, optional = type_of(row_class, f.name)
            rows.append([f"`{f.name}`", f"{kind.__name__}{', may be empty' if optional else ''}", f.metadata["doc"]])
        table = grid(["column", "type", "meaning"], rows)
        parts += [f"## {name}", (row_class.__doc__ or "").split("\n")[0], table]
    parts += ["## Flags", "\n".join(f"- `{name}`: {meaning}" for name, meaning in FLAGS.items())]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the documentation of the columns: ``python -m multigrad.bench.report.columns results/README.md``."""
    write_text(Path(sys.argv[1]), columns_markdown())


if __name__ == "__main__":
    main()

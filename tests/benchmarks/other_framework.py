"""What each reference of the literature costs on the other framework, from one run.

`python -m tests.benchmarks.other_framework [jax|torch] [--folder FOLDER] [--size SIZE]` measures value and gradients of
the references in `examples/references` on NumPy, torch and JAX by the protocol of a quick run, those of one framework
in one run. It writes `results/other_framework.csv` and the tables of `docs/other_framework.md`. `--table` takes the
file.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from multigrad.bench import Run
from multigrad.bench.analysis.compare import key_of, times_of
from multigrad.bench.measurement.measure import cells_of, measure_plan, selected
from multigrad.bench.plan.cells import of_cells
from multigrad.bench.plan.protocol import QUICK
from multigrad.bench.report.markup import grid

from multigrad import load_operations
from tests.benchmarks.coverage import with_table

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "other_framework.md"
CSV = ROOT / "results" / "other_framework.csv"
REFERENCES = {name: ROOT / "examples" / "references" / f"{name}_references.py" for name in ("jax", "torch")}
DTYPES = {"jax": "float64", "torch": "float32"}
"""What the references of each framework are timed in: what has no verdict has no time, and a filter wants digits."""

THREADS = 1

PLACES = {
    ("jax", "compiled"): "autodiff",
    ("torch", "eager"): "autodiff",
    ("numpy", "eager"): "analytic",
}
"""Where a person would run it, and who differentiates: the framework, or multigrad's tape where it has no autograd."""

HOME = {"jax": ("jax", "compiled"), "torch": ("torch", "eager")}
"""Where a reference of each framework is at home."""


@dataclass(frozen=True)
class Row:
    """One reference in one place, compared with its home."""

    framework: str
    """What the reference is written in."""
    operation: str
    size: str
    backend: str
    mode: str
    seconds: float
    """The median of value and gradients, one call."""
    ratio: float
    """This over home: above 1 it is slower here."""
    low: float
    high: float
    """The 95 % interval."""


def measured(framework: str, folder: Path | None, size: str | None) -> Run:
    """Time value and gradients of every reference of a framework in every place."""
    selection = selected(
        [str(REFERENCES[framework])],
        {
            "backend": list(dict.fromkeys(backend for backend, _ in PLACES)),
            "device": "cpu",
            "mode": list(dict.fromkeys(mode for _, mode in PLACES)),
            "variant": list(dict.fromkeys(PLACES.values())),
            "dtype": DTYPES[framework],
            "size": size,
            "threads": THREADS,
            "quick": True,
        },
    )
    cells = {c: refused for c, refused in cells_of(selection).items() if PLACES.get((c.backend, c.mode)) == c.variant}
    return measure_plan(of_cells(cells, twins=QUICK.twins, seed=0, quick=True), QUICK, folder=folder)


def rows_of(framework: str, run: Run) -> list[Row]:
    """Compare every cell of a run with that of its home, by the quotients of turns that followed each other."""
    times, rows = times_of(run), []
    cells = {
        (cell["operation"], cell["backend"], cell["mode"]): cell
        for cell in run.summary.to_dict("records")
        if PLACES.get((cell["backend"], cell["mode"])) == cell["variant"] and key_of(cell) in times
    }
    for op in load_operations([str(REFERENCES[framework])]):
        home = cells.get((op.name, *HOME[framework]))
        for backend, mode in PLACES:
            cell = cells.get((op.name, backend, mode))
            if cell is None or home is None:
                continue
            ratio = times.ratio(key_of(cell), key_of(home))
            figures = (float(cell["median_s"]), ratio.estimate, ratio.low, ratio.high)
            rows.append(Row(framework, op.name, str(cell["size"]), backend, mode, *figures))
    return rows


def table(rows: Sequence[Row], framework: str) -> str:
    """Return the ratios of the references of one framework, as Markdown."""
    others = [place for place in PLACES if place != HOME[framework]]
    lines = []
    for name in dict.fromkeys(row.operation for row in rows if row.framework == framework):
        of = {(row.backend, row.mode): row for row in rows if row.framework == framework and row.operation == name}
        home = of[HOME[framework]]
        cells = [f"{of[p].ratio:.2f} ({of[p].low:.2f} to {of[p].high:.2f})" if p in of else "–" for p in others]
        lines.append([f"`{name}`", home.size, f"{home.seconds * 1e6:.0f} µs", *cells])
    names = [f"{backend}, {mode}" for backend, mode in others]
    return grid(["reference", "size", f"{', '.join(HOME[framework])}", *names], lines, right=(2, 3, 4))


def read(path: Path = CSV) -> list[Row]:
    """Read the rows of a file; none where there is none."""
    if not path.is_file():
        return []
    kinds = {field.name: float if field.type == "float" else str for field in fields(Row)}
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**{k: kinds[k](v) for k, v in row.items()}) for row in csv.DictReader(file)]


def write(rows: Iterable[Row], path: Path = CSV) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()})


def generated(page: str, rows: Sequence[Row]) -> str:
    """Return the page with its tables."""
    for framework in REFERENCES:
        page = with_table(page, f"other_{framework}", table(rows, framework))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", nargs="?", choices=REFERENCES, help="measure its references alone")
    parser.add_argument("--folder", type=Path, help="keep the run here")
    parser.add_argument("--size", help="left out, small, or else the middle one")
    parser.add_argument("--table", action="store_true", help="write the tables of the page and do nothing else")
    chosen = parser.parse_args()
    if not chosen.table:
        for framework in [chosen.framework] if chosen.framework else REFERENCES:
            folder = chosen.folder and chosen.folder / framework
            rows = rows_of(framework, measured(framework, folder, chosen.size))
            write([*rows, *(row for row in read() if row.framework != framework)])
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
    print(*(table(read(), framework) for framework in REFERENCES), sep="\n\n")


if __name__ == "__main__":
    main()

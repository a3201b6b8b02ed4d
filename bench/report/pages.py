"""A page for each operation, from its docstring, its source and the results that were committed.

Read from each folder of results, where it is there: ``certificates.json`` (`multigrad check --certificate`),
``matrix.csv`` or ``matrix.csv.gz`` (`multigrad check --csv`, the columns of :class:`multigrad.matrix.MatrixRow`),
``summary.csv`` (`multigrad bench`, the columns of :class:`multigrad.bench.store.files.SummaryRow`) and the ``run.json``
beside it. A page depends on nothing else: not on the machine, the time, or what is installed.
"""

from __future__ import annotations

import ast
import inspect
import math
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.errors import BadInput
from multigrad.matrix.rows import MatrixRow, sentence
from multigrad.ops.find import given_operations, operations
from multigrad.ops.operation import Operation
from multigrad.ops.sizes import small_sizes
from multigrad.ops.source import source_of
from multigrad.ops.text import derivative_name, sizes_text
from multigrad.process.entry import entry_point, no_rows
from multigrad.proof.certificate import Certified, read_certificate
from multigrad.verdict.judge import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
)

from ..store import files as store
from .docstring import (
    code,
    described,
    fenced,
    grid,
    plain,
    prose,
)
from .drawing import VARIANTS, Figure, is_fresh, stamped
from .tables import SYMBOLS, figure, interval, place, worst

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results/catalogue*"
"""Where the committed results lie, if nothing else is said."""

CERTIFICATES, MATRICES = "certificates.json", (store.MATRIX, f"{store.MATRIX}.gz")
INDEX = "index.md"
MARK = "<!-- Written by `multigrad docs` from docstring, source and results; what is changed here is overwritten. -->"
STALE, MISSING, SUPERFLUOUS = "stale", "missing", "superfluous"
"""What a check may say of a file."""


@dataclass(frozen=True)
class Results:
    """What has been found out about operations."""

    certified: tuple[Certified, ...]
    matrix: pd.DataFrame
    """The columns of :class:`multigrad.matrix.MatrixRow`, ``where``, and ``own``: whether the operation is not
    the catalogue's, None where the run does not tell."""
    summary: pd.DataFrame
    """The columns of :class:`multigrad.bench.store.files.SummaryRow`, and the same two."""
    settings: tuple[str, ...]
    """What was measured on, a sentence for each run."""

    @classmethod
    def read(cls, folders: Iterable[Path]) -> Results:
        """Read folders of results; a file that is not there is empty.

        Raises:
            BadInput: a folder is not there, or a file is damaged.
        """
        import pandas as pd

        certified: list[Certified] = []
        tables: dict[type, list[pd.DataFrame]] = {MatrixRow: [], store.SummaryRow: []}
        settings = []
        folders = list(folders)
        timed = sum((Path(folder) / store.SUMMARY).exists() for folder in folders)
        for folder in map(Path, folders):
            if not folder.is_dir():
                raise BadInput(f"no folder {folder}; wanted one with {CERTIFICATES}, {store.MATRIX} or {store.SUMMARY}")
            if (folder / CERTIFICATES).exists():
                certified += [_resolved(one, folder) for one in read_certificate(folder / CERTIFICATES)]
            for row_class, names in ((MatrixRow, MATRICES), (store.SummaryRow, (store.SUMMARY,))):
                path = next((folder / name for name in names if (folder / name).exists()), None)
                if path is not None:
                    frame = store.read_rows(path, row_class)
                    frame = frame.assign(own=_own(frame, folder))
                    several = row_class is store.SummaryRow and timed > 1
                    tables[row_class].append(frame.assign(where=_places(frame, f" ({folder.name})" if several else "")))
            if (folder / store.RUN).exists():
                settings.append(_setting(store.read_info(folder), folder.name if timed > 1 else ""))
        matrix, summary = (
            pd.concat(frames, ignore_index=True) if frames else _places_of_none(store.to_frame([], row_class))
            for row_class, frames in tables.items()
        )
        return cls(tuple(certified), matrix, summary, tuple(settings))

    def rows(self, frame: pd.DataFrame, op: Operation) -> pd.DataFrame:
        """Return the rows of that very operation: what is the catalogue's is not another's of its name."""
        return frame[(frame["operation"] == op.name) & (frame["own"] != op.catalogued)]


def _own(frame: pd.DataFrame, folder: Path) -> Any:
    info = store.read_info(folder) if (folder / store.RUN).exists() else {}
    names = info.get("own_operations")
    return None if names is None else frame["operation"].isin(names)


def _resolved(one: Certified, folder: Path) -> Certified:
    """Return what was certified with the reference as an operation has it; the file's is seen from its own folder."""
    path, mark, name = one.reference.partition("::")
    return replace(one, reference=f"{(folder / path).resolve()}{mark}{name}") if mark else one


def _places(frame: pd.DataFrame, suffix: str) -> list[str]:
    return [place(row) + suffix for row in frame[["backend", "device", "mode"]].to_dict("records")]


def _places_of_none(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(where=_places(frame, ""), own=None)


def _setting(info: Mapping[str, Any], name: str) -> str:
    host = info.get("host") or {}
    versions = info.get("versions") or {}
    commit = (info.get("git") or {}).get("commit") or ""
    parts = [
        f"{host.get('cpu', 'an unknown processor')}, {host.get('processors', '?')} processors",
        *host.get("gpus", []),
        ", ".join(f"{k} {v}" for k, v in versions.items() if k not in ("multigrad", "pandas", "threadpoolctl")),
        f"{str(info.get('started', ''))[:10]}{f', commit {commit[:10]}' if commit else ''}",
    ]
    return (f"{name}: " if name else "") + "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Page:
    """A file of the documentation."""

    name: str
    text: str
    """Of Markdown, the whole of it."""
    figures: tuple[Figure, ...] | None = None
    """Of a picture, what it shows."""

    def is_fresh(self, found: str) -> bool:
        """Tell whether a file of that content is this one."""
        return found == self.text if self.figures is None else is_fresh(found, self.figures)

    def content(self) -> str:
        """Return what the file has to hold."""
        return self.text if self.figures is None else stamped(self.figures)


@entry_point(no_rows(("file", "state")))
def docs(
    ops: Sequence[str] | None = None,
    *,
    out: str | os.PathLike[str] = "docs/operations",
    runs: Iterable[str | os.PathLike[str]] | None = None,
    check: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Write the pages of operations, or tell which are not fresh.

    Args:
        ops: catalogue names or files; None is the whole catalogue, with its index, and what belongs to no operation
            any more is removed.
        out: the folder of the pages.
        runs: folders of results; None is every one named :data:`RESULTS`.
        check: write nothing.
        progress: told about every page.

    Returns:
        One row for each file, with ``file`` and ``state``: ``fresh``; ``written`` or ``removed``; or, of a check,
        ``stale``, ``missing`` or ``superfluous``.

    Raises:
        BadInput: an unknown operation, unreadable results, a folder that cannot be written, or no library for plots.
    """
    import pandas as pd

    folder = Path(out)
    found = given_operations(ops or None)
    results = Results.read(sorted(Path().glob(RESULTS)) if runs is None else map(Path, runs))
    rows = []
    wanted = list(pages(found, results, folder, index=not ops))
    for number, page in enumerate(wanted, 1):
        rows.append({"file": str(folder / page.name), "state": _settle(page, folder / page.name, check)})
        if progress:
            progress(number, len(wanted), page.name)
    if not ops:
        for path in _superfluous(folder, {page.name for page in wanted}):
            if not check:
                path.unlink()
            rows.append({"file": str(path), "state": SUPERFLUOUS if check else "removed"})
    return pd.DataFrame(rows, columns=["file", "state"])


def _settle(page: Page, path: Path, check: bool) -> str:
    try:
        found = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    if found is not None and page.is_fresh(found):
        return "fresh"
    if check:
        return MISSING if found is None else STALE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {path.parent}: {error.strerror}; choose another folder with --out") from error
    store.write_text(path, page.content())
    return "written"


def _superfluous(folder: Path, names: set[str]) -> list[Path]:
    """Return what was generated for operations that are there no more; a person's own files are let alone."""
    ours = [p for p in folder.glob("*.md") if p.read_text(encoding="utf-8").startswith(MARK)]
    drawn = [p for p in folder.glob("*.svg") if p.read_text(encoding="utf-8").startswith("<!-- multigrad docs:")]
    return sorted(p for p in ours + drawn if p.name not in names)


def pages(ops: Sequence[Operation], results: Results, out: Path, *, index: bool) -> Iterator[Page]:
    """Yield the files of operations, and the index if it is wanted; ``out`` is where they will lie."""
    templates = _templates()
    known = {op.name for op in (*ops, *operations().values())}
    for op in ops:
        if f"{op.name}.md" == INDEX:
            raise BadInput("an operation named 'index' would be written over the index of the pages; rename it")
        figures = _figures(op, results)
        page = templates.get_template("operation.md.jinja").render(_facts(op, results, out, known, bool(figures)))
        yield Page(f"{op.name}.md", page)
        if figures:
            yield Page(f"{op.name}.svg", "", figures)
    if index:
        families = [{"title": t, "table": _overview(members, results)} for t, members in _families(ops)]
        text = templates.get_template("index.md.jinja").render(mark=MARK, count=len(ops), families=families)
        yield Page(INDEX, text.rstrip("\n") + "\n")


def _templates() -> Any:
    import jinja2

    # No automatic escape: what comes here is Markdown already, and `escape` has made it.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _facts(op: Operation, results: Results, out: Path, known: set[str], drawn: bool) -> dict[str, str]:
    body, kinks, literature = described(op, known)
    return {
        "mark": MARK,
        "name": plain(op.name),
        "title": prose(op.title, known),
        "arguments": _arguments(op),
        "signature": code(op.signature.text),
        "source_link": _source_link(op, out),
        "formula": body or "The docstring has its first line only.",
        "kinks": kinks or "The docstring says nothing of a kink.",
        "literature": literature or "The docstring names none.",
        "code": fenced(_code(op), "python"),
        "sizes": _sizes(op),
        "certificate": _certificate(op, results),
        "matrix": _matrix(op, results),
        "timings": _timings(op, results, drawn),
    }


# The source


def _source_link(op: Operation, out: Path) -> str:
    source = source_of(op)
    return f"{Path(os.path.relpath(source.path, out)).as_posix()}#L{source.line}"


def _code(op: Operation) -> str:
    """Return the function without decorator and docstring, which stand above."""
    text = textwrap.dedent(source_of(op).text)
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    lines = text.splitlines()
    docstring = node.body[0]
    without = range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1) if op.doc else range(0)
    return "\n".join(line for i, line in enumerate(lines, 1) if i >= node.lineno and i not in without).rstrip()


def _arguments(op: Operation) -> str:
    rows = []
    for name, shape, wanted in zip(op.inputs, op.signature.inputs, op.differentiable, strict=True):
        rows.append([code(name), "input", code(_shape(shape)), derivative_name(f"{name}_bar") if wanted else "no"])
    values = [o for o in op.outputs if not o.endswith("_bar")]
    for name, shape in zip(values, op.signature.outputs, strict=True):
        rows.append([name, "output", code(_shape(shape)), ""])
    rows += [[code(name), "parameter", f"default {code(repr(value))}", ""] for name, value in op.parameters.items()]
    return grid(["", "", "shape", "gradient"], rows)


def _shape(shape: Sequence[str]) -> str:
    return f"({', '.join(shape)})"


def _sizes(op: Operation) -> str:
    small = set(small_sizes(op))
    rows = [[plain(name), code(sizes_text(size)), _entries(op, size), "yes" if name in small else ""]
            for name, size in op.sizes.items()]  # fmt: skip
    table = grid(["size", "dimensions and parameters", "numbers in", "proven at"], rows, right=2)
    dtypes = ", ".join(op.dtypes)
    return f"{table}\n\nFor {dtypes}."


def _entries(op: Operation, size: Mapping[str, Any]) -> str:
    dimensions, _ = op.split(size)
    known = all(s.isdigit() or s in dimensions for shape in op.signature.inputs for s in shape)
    if not known:
        return ""  # what the generator makes of the size is not known without drawing it
    counts = (math.prod(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.inputs)
    return f"{sum(counts):,}".replace(",", "\u202f")


# The proof


def _certificate(op: Operation, results: Results) -> str:
    mine = [c for c in results.certified if c.reference == op.reference]
    if not mine:
        return "Not certified yet: run `multigrad check --certificate results/catalogue/certificates.json`."
    groups: dict[tuple[str, str], list[Certified]] = {}
    for one in mine:
        groups.setdefault((sizes_text(one.size), one.regime), []).append(one)
    rows = [
        [
            code(sizes),
            " ".join(derivative_name(c.output) for c in group),
            f"{group[0].points} {plain(group[0].regime)}",
            _how(group),
            f"{sum(c.compared for c in group)}",
            _digits(group),
            _chance(group),
        ]
        for (sizes, regime), group in groups.items()
    ]
    columns = ["size", "certified", "points", "how", "enclosures compared", "digits", "chance of a wrong formula"]
    lost = [o for o in op.gradients if f"{o}_bar" not in {c.output for c in mine}]
    return "\n\n".join(
        [
            "In ball arithmetic the pullback and the derivative of the forward part alone, which knows nothing of it, "
            "are certified enclosures; they overlap.",
            grid(columns, rows, right=4),
            *([f"Not certified: {', '.join(derivative_name(f'{o}_bar') for o in lost)}."] if lost else []),
            f"Source {code(mine[0].source_sha256[:12])}; `multigrad verify` repeats the proof and says whether the "
            "source has changed since.",
        ]
    )


def _how(group: Sequence[Certified]) -> str:
    directions = [c.directions for c in group if c.directions is not None]
    return f"{max(directions)} random directions" if directions else "every entry"


def _digits(group: Sequence[Certified]) -> str:
    width = max(c.width for c in group)
    return "exact" if width <= 0 else str(math.floor(-math.log10(width)))


def _chance(group: Sequence[Certified]) -> str:
    if any(c.probability is None for c in group):
        return "not bounded"
    largest = max(c.probability or 0.0 for c in group)
    return "none" if largest <= 0 else f"< {figure(largest)}".replace("<", "&lt;")


# The matrix


def _matrix(op: Operation, results: Results) -> str:
    frame = results.rows(results.matrix, op)
    if frame.empty:
        return f"Not checked yet: run `multigrad check {op.name}`."
    parts = []
    proofs = frame[frame["backend"] == "exact"]
    if len(proofs):
        parts.append("\n".join(_proof_lines(proofs)))
    numbers = frame[(frame["backend"] != "exact") & (frame["verdict"] != UNAVAILABLE)]
    if len(numbers):
        parts += [_verdicts(numbers), _LEGEND]
    parts += _worded(frame)
    return "\n\n".join(parts)


_LEGEND = (
    "The largest error divided by its bound, over all inputs tried: above 1 it is not rounding. In brackets the "
    "largest error on normally distributed inputs, in units in the last place (ulp). ✓ PASS, &#126; NOTE, "
    "? INCONCLUSIVE, ✗ FAIL, † FINDING, ‡ PORTABILITY, ○ GAP."
)


def _proof_lines(proofs: pd.DataFrame) -> Iterator[str]:
    # What holds everywhere comes before what was asked on a kink.
    ordered = proofs.sort_values("regime", key=lambda r: r == "kink", kind="stable")
    for (verdict, regime, reason), rows in ordered.groupby(["verdict", "regime", "reason"], sort=False):
        outputs = " ".join(derivative_name(o) for o in dict.fromkeys(rows["output"]) if o != "*")
        said = [plain(SYMBOLS[str(verdict)][0]), str(verdict), plain(outputs), f"({plain(str(regime))})"]
        yield f"- Formula {' '.join(filter(None, said))}{f': {plain(str(reason))}' if reason else ''}"


def _verdicts(frame: pd.DataFrame) -> str:
    dtypes = [d for d in ("float64", "float32", "bfloat16", "float16") if (frame["dtype"] == d).any()]
    rows = []
    for where in _ordered(frame["where"]):
        for variant in _known_first(frame["variant"], VARIANTS):
            here = frame[(frame["where"] == where) & frame["variant"].isin([variant, "*"])]
            if (here["variant"] == variant).any():
                cells = [_verdict(here[here["dtype"].isin([dtype, "*"])]) for dtype in dtypes]
                rows.append([plain(where), plain(variant), *cells])
    return grid(["where", "", *dtypes], rows)


def _verdict(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    ratio = float(rows["ratio"].max())
    ulp = float(rows[rows["regime"] == "gaussian"]["max_ulp"].max())
    figures = f" {figure(ratio)}" if not math.isnan(ratio) else ""
    return (
        f"{plain(SYMBOLS[worst(rows['verdict'])][0])}{figures}{f' ({figure(ulp)} ulp)' if not math.isnan(ulp) else ''}"
    )


def _worded(frame: pd.DataFrame) -> list[str]:
    """Return what is wrong, doubtful or missing, each once."""
    lines = []
    for verdict in (FAIL, INCONCLUSIVE, FINDING, PORTABILITY, NOTE):
        rows = frame[(frame["verdict"] == verdict) & (frame["backend"] != "exact")]
        for _, alike in rows.groupby(["where", "variant", "dtype"], sort=False):
            row = alike.sort_values("ratio", ascending=False, kind="stable").iloc[0].to_dict()
            more = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
            lines.append(f"- {plain(sentence(row) + more)}")
    for (where, reason), rows in frame[frame["verdict"] == GAP].groupby(["where", "reason"], sort=False):
        dtypes = ", ".join(d for d in dict.fromkeys(rows["dtype"]) if d != "*")
        where = str(where).removesuffix(" *")
        lines.append(f"- GAP {plain(f'{where} {dtypes}'.strip())}: {plain(str(reason))}")
    return ["\n".join(dict.fromkeys(lines))] * bool(lines) + _not_here(frame[frame["verdict"] == UNAVAILABLE])


def _not_here(rows: pd.DataFrame) -> list[str]:
    """Return one line for all places that were not there, each with its reason."""
    keys = zip(rows["backend"], rows["device"], rows["reason"], strict=True)
    # What a framework has not by its nature is no news.
    said = dict.fromkeys(f"{b}/{d}: {r}" for b, d, r in keys if not r.startswith(f"{b} has no"))
    return [f"Not here: {plain('; '.join(said))}."] if said else []


def _ordered(places: Iterable[str]) -> list[str]:
    """Return the places: NumPy first, the others by name."""
    return sorted(dict.fromkeys(places), key=lambda p: (not p.startswith("numpy"), p))


def _known_first(values: Iterable[str], order: Sequence[str]) -> list[str]:
    present = set(values) - {"*"}
    return [v for v in order if v in present] + sorted(present - set(order))


# The timings


def _timings(op: Operation, results: Results, drawn: bool) -> str:
    frame = results.rows(results.summary, op)
    timed = frame[frame["median_s"].notna()]
    if timed.empty:
        said = "\n\n".join(_untimed(frame))
        return f"Not measured yet: run `multigrad bench {op.name}`." + (f"\n\n{said}" if said else "")
    parts = [f"Measured on {plain(setting)}." for setting in results.settings]
    if drawn:
        parts.append(f"![Times of {op.name} for each backend, analytic beside autodiff and native]({op.name}.svg)")
    keys = ["dtype", "sizes", "threads", "precision"]
    for (dtype, sizes, threads, precision), rows in _by_size(op, timed).groupby(keys, sort=False):
        name = rows["size"].iloc[0]
        title = f"{name}: {sizes}" if name else str(sizes)
        how = f"{threads} thread{'' if threads == 1 else 's'}" + ("" if precision == "strict" else f", {precision}")
        parts += [f"### {plain(title)}, {plain(str(dtype))}, {plain(how)}", _times(rows)]
    parts.append(
        "Median time of a call with its 95 % interval. Over autodiff and over native: how many times as long those "
        "take; in brackets where a time is doubtful (marked !). Memory: the peak beyond the arguments, analytic and "
        "autodiff."
    )
    return "\n\n".join(parts + _untimed(frame))


def _by_size(op: Operation, timed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of the operation's sizes, float64 first."""
    names = list(op.sizes)
    rank = [(names.index(s) if s in names else len(names)) for s in timed["size"]]
    dtype = [("float64", "float32", "bfloat16", "float16").index(d) for d in timed["dtype"]]
    order = [_ordered(timed["where"]).index(w) for w in timed["where"]]
    ranked = timed.assign(_size=rank, _dtype=dtype, _place=order)
    return ranked.sort_values(["_dtype", "_size", "sizes", "_place", "variant"], kind="stable")


def _times(rows: pd.DataFrame) -> str:
    variants = [v for v in ("analytic", "autodiff", "native", "forward") if (rows["variant"] == v).any()]
    ratios = [v for v in ("autodiff", "native") if v in variants and "analytic" in variants]
    has_memory = bool(rows["peak_bytes"].notna().any())
    body = []
    for where in dict.fromkeys(rows["where"]):
        here = {row["variant"]: row for row in rows[rows["where"] == where].to_dict("records")}
        cells = [plain(str(where)), *(_time(here.get(v)) for v in variants)]
        cells += [_ratio(here.get("analytic"), here.get(v)) for v in ratios]
        if has_memory:
            cells.append(" / ".join(_bytes(here.get(v)) for v in ("analytic", "autodiff")))
        body.append(cells)
    columns = ["where", *("value alone" if v == "forward" else v for v in variants), *(f"over {v}" for v in ratios)]
    return grid([*columns, *(["memory"] if has_memory else [])], body, right=1)


def _time(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return ""
    return f"{'! ' if row['flags'] else ''}{plain(interval(row['median_s'], row['ci_low_s'], row['ci_high_s']))}"


def _ratio(ours: Mapping[Any, Any] | None, theirs: Mapping[Any, Any] | None) -> str:
    if ours is None or theirs is None:
        return ""
    said = f"{theirs['median_s'] / ours['median_s']:.2f}×"
    return f"({said})" if ours["flags"] or theirs["flags"] else said


def _bytes(row: Mapping[Any, Any] | None) -> str:
    if row is None or math.isnan(row["peak_bytes"]):
        return "–"
    value = float(row["peak_bytes"])
    for scale, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"


def _untimed(frame: pd.DataFrame) -> list[str]:
    rows = frame[frame["median_s"].isna()]
    lines = [
        f"- {verdict} {plain(f'{where} {variant}')}: {plain(str(reason))}"
        for where, variant, verdict, reason in zip(
            rows["where"], rows["variant"], rows["verdict"], rows["reason"], strict=True
        )
        if verdict != UNAVAILABLE
    ]
    return ["\n".join(dict.fromkeys(lines))] * bool(lines) + _not_here(rows[rows["verdict"] == UNAVAILABLE])


def _figures(op: Operation, results: Results) -> tuple[Figure, ...]:
    """Return what the picture shows: one number of threads and one precision, those of most cells."""
    frame = results.rows(results.summary, op)
    mine = frame[frame["median_s"].notna() & frame["variant"].isin(VARIANTS)]
    if mine.empty:
        return ()
    counts = mine.groupby(["threads", "precision"]).size()
    threads, precision = min(counts.index, key=lambda key: (-counts[key], key))
    chosen = _by_size(op, mine[(mine["threads"] == threads) & (mine["precision"] == precision)])
    return tuple(
        {
            "where": row["where"],
            "dtype": row["dtype"],
            "size": row["size"] or row["sizes"],
            "variant": row["variant"],
            "median_s": float(row["median_s"]),
            "low_s": float(row["ci_low_s"]),
            "high_s": float(row["ci_high_s"]),
            "flagged": bool(row["flags"]),
        }
        for row in chosen.to_dict("records")
    )


# The index


def _families(ops: Iterable[Operation]) -> list[tuple[str, list[Operation]]]:
    """Return the operations by the file they lie in, with the first line of what it says of itself."""
    found: dict[str, list[Operation]] = {}
    for op in ops:
        found.setdefault(op.function.__module__, []).append(op)
    docs = {module: source_of(members[0]).module_doc for module, members in found.items()}
    titles = {module: inspect.cleandoc(doc or module).split("\n\n")[0] for module, doc in docs.items()}
    return [(plain(titles[module].rstrip(".")), members) for module, members in sorted(found.items())]


def _overview(ops: Iterable[Operation], results: Results) -> str:
    rows = []
    for op in ops:
        facts = (_certified(op, results), _worst(op, results), _gain(op, results))
        rows.append([f"[{code(op.name)}]({op.name}.md)", prose(op.title), *facts])
    return grid(["operation", "what it is", "certified", "numbers", "over autodiff"], rows)


def _certified(op: Operation, results: Results) -> str:
    mine = [c for c in results.certified if c.reference == op.reference]
    if not mine:
        return "not yet"
    outputs = {c.output for c in mine}
    digits = _digits(mine)
    return f"{len(outputs)} of {len(op.gradients)}, {digits}{'' if digits == 'exact' else ' digits'}"


def _worst(op: Operation, results: Results) -> str:
    frame = results.rows(results.matrix, op)
    frame = frame[frame["backend"] != "exact"]
    here = frame[frame["verdict"] != UNAVAILABLE]
    if here.empty:
        return "not checked yet"
    judged = here[here["verdict"] != GAP]
    ratio = float(judged["ratio"].max())
    figures = "" if math.isnan(ratio) else f" {figure(ratio)}"
    return f"{plain(SYMBOLS[worst(judged['verdict'] if len(judged) else here['verdict'])][0])}{figures}"


def _gain(op: Operation, results: Results) -> str:
    frame = results.rows(results.summary, op)
    frame = frame[frame["median_s"].notna()]
    steady = frame[frame["flags"] == ""]
    keys = ["where", "dtype", "sizes", "threads", "precision"]
    ours = steady[steady["variant"] == "analytic"].set_index(keys)["median_s"]
    theirs = steady[steady["variant"] == "autodiff"].set_index(keys)["median_s"]
    both = (theirs / ours).dropna()
    if both.empty:
        return "not measured yet" if frame.empty else ""
    return f"{math.exp(math.fsum(map(math.log, both)) / len(both)):.2f}× ({len(both)} cells)"

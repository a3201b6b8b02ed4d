"""What a person sees in the terminal: the catalogue, the matrix, the timings, the doctor's findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from multigrad.backend import backends
from multigrad.matrix.rows import PROOF_DIED, failing, sentence
from multigrad.ops.find import operations
from multigrad.ops.text import derivative_name
from multigrad.truth.case import DEFAULT_REGIMES, RESIZED
from multigrad.verdict.judge import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PASS,
    PORTABILITY,
    UNAVAILABLE,
)

from .plain import visible
from .terminal import least_width, say, show, table, width

if TYPE_CHECKING:
    import pandas as pd

    from ..store.files import Run

SYMBOLS = {
    FAIL: ("✗", "bold red"),
    INCONCLUSIVE: ("?", "yellow"),
    FINDING: ("†", "magenta"),
    PORTABILITY: ("‡", "magenta"),
    NOTE: ("~", "cyan"),
    PASS: ("✓", "green"),
    GAP: ("○", "dim"),
    UNAVAILABLE: ("·", "dim"),
}
"""Each verdict's sign and style, worst first."""

HALF = ("bfloat16", "float16")


def operations_frame() -> pd.DataFrame:
    """Return the catalogue: name, signature, gradients, sizes, title."""
    import pandas as pd

    return pd.DataFrame(
        {
            "operation": op.name,
            "signature": op.signature.text,
            "gradients": " ".join(op.gradients),
            "sizes": " ".join(op.sizes),
            "title": op.title,
        }
        for op in operations().values()
    )


def backends_frame() -> pd.DataFrame:
    """Return backends × devices: version, and what is missing with the line that installs it."""
    import pandas as pd

    return pd.DataFrame(
        {
            "backend": one.name,
            "device": device,
            "version": one.version() or "",
            "modes": " ".join(one.modes),
            "variants": " ".join(one.variants),
            "missing": one.missing(device) or "",
        }
        for one in backends().values()
        for device in one.devices
    )


def studies_frame() -> pd.DataFrame:
    """Return the studies with the question each one answers."""
    import pandas as pd

    from ..measurement.study import studies

    return pd.DataFrame({"study": name, "question": one.question} for name, one in studies().items())


def show_operations() -> None:
    """Print the catalogue."""
    made = table(["operation", "signature", "sizes", "what it is"])
    for row in operations_frame().to_dict("records"):
        made.add_row(row["operation"], Text(row["signature"]), row["sizes"], Text(row["title"]))
    show(made, "Operations")


def show_backends() -> None:
    """Print the backends, and what is missing."""
    made = table(["backend", "device", "version", "modes", "state"])
    for row in backends_frame().to_dict("records"):
        state = Text(row["missing"], "yellow") if row["missing"] else Text("here", "green")
        made.add_row(row["backend"], row["device"], row["version"], row["modes"], state)
    show(made, "Backends")


def is_wrong(frame: pd.DataFrame, fail_on: str | None = None) -> bool:
    """Tell whether any row is a correctness failure.

    Args:
        frame: rows with a verdict.
        fail_on: what fails besides a FAIL, as for :func:`multigrad.matrix.failing`.
    """
    return "verdict" in frame and bool(frame["verdict"].isin(failing(fail_on)).any())


def without_verdict(frame: pd.DataFrame) -> str:
    """Name the formulas that were to be judged and have no verdict, and the outputs no number of which could be judged.

    Returns:
        Names with reasons, in one line; empty where there is none.
    """
    asked = frame[(frame["backend"] == "exact") & (frame["regime"] != "kink")]
    names: list[str] = []
    for name, rows in asked.groupby("operation", sort=False):
        open_rows = rows[rows["verdict"].isin([INCONCLUSIVE, UNAVAILABLE])]
        died = open_rows[open_rows["reason"].str.startswith(PROOF_DIED)]
        if not rows["verdict"].isin([PASS, FAIL]).any() or len(died):
            names.append(f"the formula of {name} ({(died if len(died) else open_rows)['reason'].iloc[0]})")
    numbers = frame[(frame["backend"] != "exact") & (frame["variant"] == "analytic") & (frame["output"] != "*")]
    numbers = numbers[numbers["regime"].isin([*DEFAULT_REGIMES, "file"])]
    for key, rows in numbers.groupby(["operation", "output"], sort=False):
        name, output = map(str, key)
        if INCONCLUSIVE in set(rows["verdict"]) and not rows["verdict"].isin([PASS, NOTE, FAIL]).any():
            names.append(f"{name} {derivative_name(output)} ({rows['reason'].iloc[0]})")
    return _listed(names, most=3)


def worst(verdicts: Iterable[str]) -> str:
    """Return the worst of some verdicts."""
    present = set(verdicts)
    return next((v for v in SYMBOLS if v in present), UNAVAILABLE)


def telling(rows: pd.DataFrame) -> dict[Any, Any]:
    """Return the row to quote of several: what holds everywhere before what was asked on a kink, the worst first."""
    asked = rows.assign(kink=rows["regime"] == "kink")
    first: Any = asked.sort_values(["kink", "ratio"], ascending=[True, False], kind="stable").index[0]
    row: dict[Any, Any] = rows.loc[first].to_dict()
    return row


FEW = 12
"""How many operations may have several rows each, with figures; of more, each has one row of signs."""


class Formulas:
    """Prints verdicts on formulas while a check is running: see :data:`multigrad.matrix.Tell`.

    Of few operations it is their table, as soon as the last formula is judged; of many it is a line for each wrong one
    at once, and a line for every hundred.
    """

    EVERY = 100

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        self.operations: dict[str, str] = {}
        """The worst verdict so far of each operation."""
        self.shown = False
        """Whether the table has been printed."""

    def __call__(self, rows: Iterable[Mapping[str, Any]], judged: bool, names: Sequence[str]) -> None:
        """Take in rows as they come, and print what is to be said of them now."""
        for row in rows:
            if row["backend"] == "exact":
                self.rows[tuple(row[name] for name in ("operation", "output", "regime", "sizes"))] = row
                self._count(row)
        if judged and not self.shown and self.rows and len(self.operations) <= FEW:
            import pandas as pd

            self.shown = True
            # Which worker was first is chance; the order of the operations is not.
            rows = sorted(self.rows.values(), key=lambda row: names.index(row["operation"]))
            _show_formulas(pd.DataFrame(rows))

    def _count(self, row: Mapping[str, Any]) -> None:
        name, before = row["operation"], self.operations.get(row["operation"])
        self.operations[name] = worst([row["verdict"], *([before] if before else [])])
        if len(self.operations) <= FEW:
            return
        if row["verdict"] == FAIL and before != FAIL:
            say(visible(f"✗ {sentence(row)}"), SYMBOLS[FAIL][1])
        if before is None and len(self.operations) % self.EVERY == 0:
            wrong = sum(verdict == FAIL for verdict in self.operations.values())
            say(f"… {len(self.operations)} formulas judged, {wrong} of them wrong", "dim")


def show_matrix(frame: pd.DataFrame, *, verbose: bool = False, formulas: bool = True) -> None:
    """Print the correctness matrix, then everything that is not a plain PASS, then the count.

    Few operations have their figures, where there is room for them; else a sign says every verdict.

    Args:
        frame: the rows of a check.
        verbose: whether every row is printed.
        formulas: whether the table of the formulas is printed; not where :class:`Formulas` has done so.
    """
    numbers = frame[(frame["backend"] != "exact") & (frame["verdict"] != UNAVAILABLE)]
    figures = _figures(numbers)
    if frame["operation"].nunique() <= FEW and least_width(figures) <= width():
        if formulas:
            _show_formulas(frame[frame["backend"] == "exact"])
        if len(numbers):
            show(figures, "Are the numbers right?  (largest error ÷ its bound)")
    else:
        show(_signs(frame[(frame["verdict"] != UNAVAILABLE) & (frame["operation"] != "*")]),
             "Is the formula right, and are the numbers?")  # fmt: skip
        say(f"In each place, in this order: {', '.join(_in_order(_positions(numbers)))} (- there is none)", "dim")
    if len(numbers):
        say("  ".join(f"{symbol} {verdict}" for verdict, (symbol, _) in SYMBOLS.items()) + "\n", "dim")
    detailed = frame if verbose else frame[frame["regime"].isin([*DEFAULT_REGIMES, "file"])]
    if verbose or (frame["operation"].nunique() == 1 and len(detailed) <= 40):
        _show_rows(detailed)
    _show_reasons(frame)
    counts = frame["verdict"].value_counts()
    summary = " · ".join(f"{counts[v]} {v}" for v in SYMBOLS if v in counts)
    compared = frame["ratio"].notna().sum()
    say(f"{len(frame)} rows, {compared} outputs compared: {summary}")


def _show_formulas(proofs: pd.DataFrame) -> None:
    if proofs.empty:
        return
    made = table(["operation", "verdict", "gradients", "how"])
    for name, rows in proofs.groupby("operation", sort=False):
        verdict = worst(rows["verdict"])
        symbol, style = SYMBOLS[verdict]
        # What holds everywhere comes before what was asked on a kink.
        telling = rows[rows["verdict"] == verdict].sort_values("regime", key=lambda r: r == "kink", kind="stable")
        first = telling[telling["regime"] == telling["regime"].iloc[0]]
        outputs = " ".join(dict.fromkeys(derivative_name(o) for o in first["output"]))
        made.add_row(visible(str(name)), Text(f"{symbol} {verdict}", style), outputs, Text(first["reason"].iloc[0]))
    show(made, "Is the formula right?  (certified ball arithmetic)")


def _numpy_first(columns: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(columns), key=lambda c: (not c.startswith("numpy"), c))


def _figures(numbers: pd.DataFrame) -> Table:
    """Return a table with a row for each operation and variant, and one for half precision; a column for each place."""
    numbers = numbers.assign(column=[visible(place(row)) for row in numbers.to_dict("records")])
    columns = _numpy_first(numbers["column"])
    heads = ["\n".join(column.rsplit(" ", 1)) for column in columns]
    made = table(["operation", *heads], heads)
    for name, of_operation in numbers.groupby("operation", sort=False):
        half = of_operation["dtype"].isin(HALF)
        full, low = of_operation[~half], of_operation[half]
        # Eight or eleven bits see less: their verdicts stand apart, so that they do not hide the others.
        for variant, rows in sorted(full.groupby("variant"), key=lambda g: g[0] != "analytic"):
            label = Text(visible(str(name))) if variant == "analytic" else Text(f"  {variant}", "dim")
            made.add_row(label, *(_cell(rows[rows["column"] == column]) for column in columns))
        if len(low):
            label = Text("  half precision", "dim") if len(full) else Text(visible(f"{name} (half precision)"))
            made.add_row(label, *(_cell(low[low["column"] == column]) for column in columns))
    return made


HALF_PRECISION = "half precision"


def _positions(numbers: pd.DataFrame) -> list[str]:
    """Return for each row which of the signs of its place it has a part in."""
    of_variant = numbers["variant"] + " " + numbers["mode"]
    return list(of_variant.where(~numbers["dtype"].isin(HALF), HALF_PRECISION))


def _in_order(positions: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(positions), key=lambda p: (p == HALF_PRECISION, p.split()[0], p.endswith("compiled")))


def _signs(frame: pd.DataFrame) -> Table:
    """Return a table with one row for each operation, the wrong ones first, and a sign for each verdict."""
    numbers = frame[frame["backend"] != "exact"]
    numbers = numbers.assign(
        column=[visible(place({**row, "mode": ""})) for row in numbers.to_dict("records")],
        position=_positions(numbers),
    )
    columns, positions = _numpy_first(numbers["column"]), _in_order(numbers["position"])
    heads = [column.replace("/", "\n/") for column in columns]
    made = table(["operation", "proof", *heads, "error ÷\nbound"], ["error ÷\nbound"])
    names = sorted(
        frame.groupby("operation", sort=False), key=lambda g: worst(g[1]["verdict"]) not in (FAIL, INCONCLUSIVE)
    )
    for name, rows in names:
        mine = numbers[numbers["operation"] == name]
        by_place: dict[Any, list[str]] = {key: list(v) for key, v in mine.groupby(["column", "position"])["verdict"]}
        cells = [Text.assemble(*(_sign(by_place.get((c, p), ())) for p in positions)) for c in columns]
        formula = _sign(rows[rows["backend"] == "exact"]["verdict"])
        made.add_row(visible(str(name)), Text.assemble(formula), *cells, figure(mine["ratio"].max()))
    return made


def _sign(verdicts: Collection[str]) -> tuple[str, str]:
    return SYMBOLS[worst(verdicts)] if len(verdicts) else ("-", "dim")


def place(row: Mapping[Any, Any]) -> str:
    """Say where a row was computed, as it is written in the row; the CPU goes without saying."""
    device = "" if row["device"] == "cpu" else f"/{row['device']}"
    return f"{row['backend']}{device} {row['mode']}".strip()


def _cell(rows: pd.DataFrame) -> Text:
    if rows.empty:
        return Text("")
    verdict = worst(rows["verdict"])
    symbol, style = SYMBOLS[verdict]
    ratio = rows["ratio"].max()
    return Text(f"{symbol} {figure(ratio)}" if not math.isnan(ratio) else symbol, style)


def _show_rows(frame: pd.DataFrame) -> None:
    """Print each comparison: a row for every place, dtype and regime, a column for every output."""
    frame = frame[(frame["output"] != "*") & (frame["backend"] != "exact")]
    for (name, sizes), of_size in frame.groupby(["operation", "sizes"], sort=False):
        outputs = list(dict.fromkeys(of_size["output"]))
        names = [derivative_name(o) for o in outputs]
        made = table(["where", "dtype", "inputs", *names], names)
        keys = ["backend", "device", "mode", "variant", "dtype", "regime"]
        for key, rows in of_size.groupby(keys, sort=False):
            row = dict(zip(keys, map(str, key), strict=True))
            variant = "" if row["variant"] == "analytic" else f" {row['variant']}"
            cells = [_cell(rows[rows["output"] == output]) for output in outputs]
            made.add_row(f"{visible(place(row))}{variant}", row["dtype"], row["regime"], *cells)
        show(made, f"{name}  {sizes}")


def _show_reasons(frame: pd.DataFrame) -> None:
    keys = ["operation", "output", "backend", "device", "mode", "variant"]
    for verdict in (FAIL, PORTABILITY, FINDING):
        for _, rows in frame[frame["verdict"] == verdict].groupby(keys, sort=False):
            # One line for each place, the worst of its dtypes and regimes; the rest stands in the rows.
            row = rows.sort_values("ratio", ascending=False).iloc[0].to_dict()
            more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
            say(visible(sentence(row)) + more, SYMBOLS[verdict][1])
    for verdict in (INCONCLUSIVE, NOTE):
        worded = frame[frame["verdict"] == verdict]
        for row in worded.head(5).to_dict("records"):
            say(visible(sentence(row)), SYMBOLS[verdict][1])
        if len(worded) > 5:
            say(f"… and {len(worded) - 5} more {verdict} rows (--csv FILE has them all)")
    quiet = frame[frame["verdict"].isin([UNAVAILABLE, GAP])]
    # A shape that an operation does not have was tried, not asked for.
    quiet = quiet[~((quiet["backend"] == "exact") & quiet["regime"].isin(RESIZED))]
    for (name, device, word, reason), rows in quiet.groupby(["backend", "device", "verdict", "reason"], sort=False):
        what = "" if rows["operation"].nunique() == frame["operation"].nunique() else f" ({_listed(rows['operation'])})"
        say(visible(f"{word} {name}/{device}: {reason}{what}"), "dim")


def _listed(names: Iterable[str], most: int = 8) -> str:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def figure(x: float) -> str:
    """Write a figure with three digits; nothing for NaN."""
    return "" if math.isnan(x) else "∞" if math.isinf(x) else f"{x:.2g}".replace("e+0", "e").replace("e+", "e")


UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(x: float) -> str:
    """Write a duration with three digits and its unit; a dash for NaN."""
    if math.isnan(x):
        return "–"
    scale, unit = _unit(x)
    return f"{x / scale:.3g} {unit}"


def _unit(x: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in UNITS if x >= scale), UNITS[-1])


def interval(median: float, low: float, high: float) -> str:
    """Write a duration with its interval, all in one unit: ``12.5 ms [11.6, 14.1]``."""
    scale, unit = _unit(median)
    low_text, high_text = (f"{x / scale:.3g}" if x < 1000 * scale else f"{x / scale:.0f}" for x in (low, high))
    return f"{median / scale:.3g} {unit} [{low_text}, {high_text}]"


def show_summary(frame: pd.DataFrame) -> None:
    """Print the timings: one table for each operation, dtype and size; then what has no time, with the reason."""
    timed = frame[frame["median_s"].notna()]
    keys = ["operation", "dtype", "sizes", "threads", "precision", "machine"]
    for group, rows in timed.groupby(keys, sort=False, dropna=False):
        name, dtype, sizes, threads, precision, machine = group
        where = f", {machine}" if text(machine) else ""
        title = f"{name}  {dtype}  {sizes}  ({threads} thread{'s' if threads != 1 else ''}, {precision}{where})"
        columns = ["where", "variant", "time [95 %]", "1st call", "roof", "÷ auto"]
        made = table(columns, columns[2:])
        for row in rows.to_dict("records"):
            roof = row["roof_percent"]
            made.add_row(
                visible(place(row)),
                row["variant"],
                _marked(row),
                seconds(row["first_call_s"]),
                "" if math.isnan(roof) else f"{roof:.0f} %",
                _against_autodiff(row, rows),
            )
        show(made, title)
    flags = Counter(flag for flags in timed["flags"].map(text) for flag in flags.split())
    if flags:
        said = ", ".join(f"{flag} {count}" for flag, count in flags.most_common())
        say(f"! no winner, for it is doubtful: {said} (the column `flags`)", "yellow")
    _show_untimed(frame[frame["median_s"].isna()])


def _marked(row: Mapping[Any, Any]) -> Text:
    time = interval(row["median_s"], row["ci_low_s"], row["ci_high_s"])
    return Text.assemble(("! ", "bold yellow"), time) if text(row["flags"]) else Text(time)


def text(value: Any) -> str:
    """Return a text of a row; nothing where pandas has none."""
    return value if isinstance(value, str) else ""


def _show_untimed(frame: pd.DataFrame) -> None:
    known = frame.assign(reason=frame["reason"].map(text))
    # What a framework has not by its nature is in the table of backends; here it would only hide what is amiss.
    nature = [f"{b} has no" for b in known["backend"]]
    known = known.loc[[not r.startswith(n) for r, n in zip(known["reason"], nature, strict=True)]]
    for (name, device, verdict, reason), rows in known.groupby(["backend", "device", "verdict", "reason"], sort=False):
        line = f"{verdict} {name}/{device}: {reason} ({_listed(rows['operation'])}; {len(rows)} cells)"
        say(visible(line), SYMBOLS[str(verdict)][1])


def _against_autodiff(row: Mapping[Any, Any], rows: pd.DataFrame) -> str:
    if row["variant"] not in ("analytic", "native"):
        return ""
    same = rows[(rows["backend"] == row["backend"]) & (rows["device"] == row["device"]) & (rows["mode"] == row["mode"])]
    theirs = same[same["variant"] == "autodiff"]["median_s"]
    return f"{row['median_s'] / theirs.iloc[0]:.2f}" if len(theirs) else ""


def show_findings(findings: pd.DataFrame) -> None:
    """Print the doctor's findings with what to do."""
    made = table(["", "what", "found", "what to do"])
    for row in findings.to_dict("records"):
        mark = Text("✓", "green") if row["good"] else Text("!", "bold yellow")
        made.add_row(mark, row["what"], Text(row["found"]), Text(row["advice"]))
    show(made, "What would spoil a measurement here")


def show_frame(title: str, frame: pd.DataFrame) -> None:
    """Print any table as it is."""
    # Of one machine, which has no name, nothing need be said.
    columns = [str(c) for c in frame.columns if c != "machine" or frame[c].astype(bool).any()]
    right = [c for c in columns if frame[c].dtype.kind in "fiu"]
    made = table(columns, right, folds=columns)
    for row in frame.to_dict("records"):
        made.add_row(*(Text(_shown(row[c])) for c in columns))
    show(made, title)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return figure(value) if isinstance(value, float) else visible(str(value))


WORD_STYLES = {
    "slower": "bold red",
    "new failure": "bold red",
    "missing": "yellow",
    "faster": "green",
    "fixed": "green",
}


def show_machines(run: Run) -> None:
    """Print which machines a run is of, and what of several runs was left out."""
    columns = ["machine", "processor", "device", "noise floor", "runs", "cells with a time"]
    made = table(columns, columns[3:])
    for name, entry in run.info["machines"].items():
        floor = entry["noise_floor"]
        timed = run.summary[(run.summary["machine"] == name) & run.summary["median_s"].notna()]
        host = entry["host"]
        figures = ("" if floor is None else f"{100 * floor:.1f} %", str(len(entry["runs"])), str(len(timed)))
        made.add_row(name, visible(host.get("cpu", "")), visible(", ".join(host.get("gpus", []))), *figures)
    show(made, "Machines (times of one are never compared with another's)")
    twice = run.info.get("measured_twice")
    if twice:
        say(f"{twice} cells were measured twice on one machine: of each the newest time is kept", "yellow")


def show_scaling(run: Run) -> None:
    """Print how time and memory grow, where a run has a sweep of sizes."""
    from ..analysis.scaling import scaling

    frame = scaling(run)
    if frame.empty:
        return
    columns = [
        "operation",
        "variant",
        "where",
        "dtype",
        "sizes",
        "time ~ nᵖ, p [95 %]",
        "call costs",
        "until n",
        "memory p",
    ]
    made = table(columns, columns[5:])
    for row in frame.to_dict("records"):
        low, high = figure(row["exponent_low"]), figure(row["exponent_high"])
        exponent = f"{figure(row['exponent'])} [{low}, {high}]"
        sizes = f"{row['swept']} {row['n_low']:.0f}…{row['n_high']:.0f}"
        where = (row["operation"], row["variant"], visible(place(row)), row["dtype"], sizes)
        rest = (exponent, seconds(row["constant_s"]), figure(row["overhead_until_n"]), figure(row["memory_exponent"]))
        made.add_row(*where, *rest)
    show(made, "How time grows: a + b nᵖ, n the geometric mean of the dimensions that change")


def show_comparison(frame: pd.DataFrame, means: pd.DataFrame) -> None:
    """Print a comparison: every cell that is not the same, the count of words, the geometric means."""
    columns = ["operation", "variant", "where", "dtype", "sizes", "after ÷ before [95 %]", "word"]
    made = table(columns, columns[5:6])
    for row in frame[frame["word"] != "same"].to_dict("records"):
        word = Text(str(row["word"]), WORD_STYLES.get(str(row["word"]), ""))
        ratio = (
            "" if math.isnan(row["ratio"]) else f"{row['ratio']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
        )
        where = (row["operation"], row["variant"], visible(place(row)), row["dtype"], row["sizes"])
        made.add_row(*where, ratio, word)
    show(made, "Cell by cell (what is the same is left out)")
    counts = frame["word"].value_counts()
    say(" · ".join(f"{count} {word}" for word, count in counts.items()))
    for noted in frame.attrs.get("noted", ()):
        say(f"noted: {noted}", "yellow")
    show_frame("Geometric means of after ÷ before, flagged cells left out", means)

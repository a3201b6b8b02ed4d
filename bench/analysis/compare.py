"""Two runs, or two sides of one, cell by cell: faster, slower, same or unclear; new, missing, broken or fixed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.columns import doc
from multigrad.data.errors import BadInput
from multigrad.verdict.words import FAIL, FINDING

from ..plan.cells import KEY
from ..plan.protocol import Protocol
from ..store.folder import RUN
from ..store.frames import to_frame
from ..store.machine import host_name
from ..store.rows import text
from ..store.run import Run, named, read_info
from . import intervals
from .fingerprint import differences, namesakes
from .flags import barring
from .load import load_run
from .times import Times, beside

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ComparisonRow:
    """One cell in two runs."""

    operation: str = doc("Name of the operation.")
    variant: str = doc("`forward`, `analytic`, `autodiff`, `native`, or the name of an implementation.")
    mode: str = doc("`eager` or `compiled`.")
    backend: str = doc("Name of the backend.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    dtype: str = doc("Floating-point type.")
    sizes: str = doc("Dimensions and parameters.")
    threads: int = doc("Threads every library was allowed.")
    precision: str = doc("`strict` or `tf32`.")
    word: str = doc(
        "`faster`, `slower`, `same`, `unclear`; `new failure`, `fixed`; `missing` (only before), `new` (only after); "
        "`not comparable` (no time in either)."
    )
    ratio: float | None = doc(
        "Time after over time before. Of sides that were measured in the same rounds: the middle of the rounds' median "
        "quotients of turns that followed each other, without blocks that others kept waiting."
    )
    ratio_low: float | None = doc(
        "Lower end of the ratio's 95 % interval, the moderated t interval; empty where nothing is known of the noise."
    )
    ratio_high: float | None = doc("Upper end of the ratio's 95 % interval.")
    before_s: float | None = doc("Median before, in seconds per call.")
    after_s: float | None = doc("Median after, in seconds per call.")
    margin: float = doc(
        "How far from 1 the ratio must be: the larger of 5 % and twice what A/A pairs differ by beyond their intervals."
    )
    flags: str = doc(
        "Flags of either side. With one that makes a time meaningless, such as `above-roof` or `died`, or with "
        "`overhead-bound` on both sides, the cell is `unclear` at best."
    )
    reason: str = doc("Why there is no ratio, or `forced` where the fingerprints differ.")
    before: str = doc("Which side is before: the name of a run, or the value of the column that differs.")
    after: str = doc("Which side is after.")
    machine: str = doc("Machine that it was measured on; empty in a run of one machine.", default="")


WORDS = ("new failure", "slower", "missing", "unclear", "not comparable", "new", "fixed", "faster", "same")
"""Every word, what wants attention first."""

REGRESSIONS = ("slower", "new failure")
"""The words for which a gate exits with 2."""


def compare(before: Path | Run, after: Path | Run, *, force: bool = False) -> pd.DataFrame:
    """Compare two runs and return one row per cell, with the columns of :class:`ComparisonRow`.

    ``frame.attrs["noted"]`` lists the differences that do not forbid a comparison, such as versions.

    Args:
        before: a run or its folder.
        after: another.
        force: compare also where the fingerprints (processor, threads, precision …) differ; every row is then marked.

    Raises:
        BadInput: a run cannot be read, or the fingerprints differ (or an operation is the catalogue's in one and
            another of its name in the other) and ``force`` is not set.
    """
    old, new = _both_named(*(run if isinstance(run, Run) else load_run(run) for run in (before, after)))
    refused, noted = differences(old.info, new.info)
    refused += namesakes(old, new)
    if refused and not force:
        raise BadInput(f"the runs are not of a kind ({'; '.join(refused)}); --force compares and marks them")
    columns = _matched(old, new) if refused else KEY
    mark = f"forced: {'; '.join(refused)}" if refused else ""
    sides = Side.of(old, columns, _name(old, "before")), Side.of(new, columns, _name(new, "after"))
    frame = _compared(sides, margins_of(old, new), mark, in_turns=_beside(old, new) or _beside(new, old))
    frame.attrs["noted"] = noted
    return frame


def _both_named(*runs: Run) -> list[Run]:
    """Give a run of one machine that machine's name, where the other run names its own."""
    if len({bool(run.info.get("machines")) for run in runs}) == 1:
        return list(runs)
    return [run if run.info.get("machines") else _with_name(run) for run in runs]


def _with_name(run: Run) -> Run:
    name = host_name(run.info.get("host", {}))
    tables = named(run.summary, name), named(run.samples, name)
    return Run(run.folder, {**run.info, "machines": {name: run.info}}, *tables)


def _beside(one: Run, other: Run) -> bool:
    """Tell whether a run is the other commit of another, measured in the same rounds and in turns with it."""
    before = other.before
    return before is not None and before.info == one.info and all(bool(run.info.get("turns")) for run in (one, other))


def _name(run: Run, otherwise: str) -> str:
    return run.folder.name if run.folder is not None else otherwise


def _matched(old: Run, new: Run) -> tuple[str, ...]:
    """Return the columns by which cells are matched: not threads, precision or machine where all of them changed."""
    changed = [
        name
        for name in ("threads", "precision", "machine")
        if old.summary[name].nunique() == new.summary[name].nunique() == 1
        and old.summary[name].iloc[0] != new.summary[name].iloc[0]
    ]
    return tuple(name for name in KEY if name not in changed)


def within(run: Path | Run, column: str, before: Any, after: Any) -> pd.DataFrame:
    """Compare two variants, modes, backends, dtypes … of one run, cell by cell.

    The rows have the columns of :class:`ComparisonRow`; the column that differs holds the value after.

    Args:
        run: a run or its folder.
        column: one of the columns that make a cell, such as ``variant``.
        before: its value on one side, such as ``autodiff``.
        after: on the other, such as ``analytic``.

    Raises:
        BadInput: no such column, or no cell with such a value.
    """
    run = run if isinstance(run, Run) else load_run(run)
    names = [name for name in KEY if name != "machine"]  # one machine's times say nothing about another's
    if column not in names:
        raise BadInput(f"no column {column!r} to compare by; there are {', '.join(names)}")
    sides = []
    times = times_of(run)
    for value in (before, after):
        mine = run.summary[run.summary[column].astype(str) == str(value)]
        if mine.empty:
            there = ", ".join(dict.fromkeys(run.summary[column].astype(str)))
            raise BadInput(f"no cell has {column} {value!r}; there are {there}")
        sides.append(Side(str(value), tuple(name for name in KEY if name != column), mine, times))
    return _compared((sides[0], sides[1]), margins_of(run), "")


def find_run(reference: str | Path, root: Path = Path("results")) -> Path:
    """Return the folder of a run, given as such or as the commit (or the first digits of it) that it measured.

    Raises:
        BadInput: there is no such folder, and no run below ``root`` that measured such a commit.
    """
    if os.path.isdir(reference):
        return Path(reference)
    found = []
    text = str(reference).lower()
    if len(text) >= 4 and not set(text) - set("0123456789abcdef"):
        for path in Path(root).glob(f"*/*/{RUN}"):
            info = read_info(path.parent)
            if str((info.get("git") or {}).get("commit", "")).startswith(text):
                found.append((info.get("started", ""), path.parent))
    if not found:
        raise BadInput(f"no folder {reference}, and no run below {root} that measured a commit of that name")
    return max(found)[1]


def parse_words(text: str) -> tuple[str, ...]:
    """Return the words of ``--fail-on``: separated by commas, a hyphen for a space; ``none`` is no word at all.

    Raises:
        BadInput: a word that no comparison says.
    """
    words = [word.strip().replace("-", " ") for word in text.split(",") if word.strip()]
    if words == ["none"]:
        return ()
    for word in words:
        if word not in WORDS:
            raise BadInput(f"no comparison says {word!r}; there are {', '.join(WORDS)}, none")
    return tuple(words)


def failing(frame: pd.DataFrame, fail_on: Iterable[str] = REGRESSIONS) -> pd.DataFrame:
    """Return the rows for which a gate ends with exit code 2: those with one of the words."""
    return frame[frame["word"].isin(list(fail_on))]


def geometric_means(frame: pd.DataFrame, by: Sequence[str] = ("backend", "mode")) -> pd.DataFrame:
    """Return the geometric mean of the ratios, with how many cells it is of and how many are left out.

    Cells without a ratio are left out, and those with a flag that makes a time meaningless. One row for each group; the
    last one, ``all``, is of all cells.

    Returns:
        The columns of ``by``, ``geometric_mean`` (after over before; NaN without a cell), ``cells``, ``excluded``.
    """
    import pandas as pd

    def row(names: Sequence[Any], rows: pd.DataFrame) -> dict[str, Any]:
        meaningless = rows["flags"].map(lambda flags: bool(barring(text(flags))))
        used = rows[rows["ratio"].notna() & ~meaningless]
        mean = intervals.geometric_mean(used["ratio"])
        figures = {"geometric_mean": mean, "cells": len(used), "excluded": len(rows) - len(used)}
        return {**dict(zip(by, names, strict=True)), **figures}

    found = [row(names, rows) for names, rows in frame.groupby(list(by), sort=False)]
    return pd.DataFrame([*found, row(["all"] * len(by), frame)])


Key = tuple[Any, ...]


@dataclass(frozen=True)
class Side:
    """One of two sides of a comparison."""

    name: str
    columns: tuple[str, ...]
    """The columns that match a cell with its other."""
    summary: pd.DataFrame
    times: Times

    @classmethod
    def of(cls, run: Run, columns: tuple[str, ...], name: str) -> Side:
        """Take a run's cells, matched by some columns."""
        return cls(name, columns, run.summary, times_of(run))

    @cached_property
    def rows(self) -> Mapping[Key, Mapping[Any, Any]]:
        """The rows of the summary, by the columns that match them."""
        return {tuple(row[k] for k in self.columns): row for row in self.summary.to_dict("records")}


def times_of(run: Run) -> Times:
    """Return the times of a run's cells."""
    return Times.of(run.summary, run.samples, Protocol.of(run.info.get("protocol") or {}))


def key_of(row: Mapping[Any, Any]) -> Key:
    """Return what names a row's cell in :class:`.times.Times`."""
    return tuple(row[name] for name in KEY)


def margins_of(*runs: Run) -> dict[str, float]:
    """Return what the A/A pairs of each machine differ by beyond their intervals, the larger of several runs'."""
    names = dict.fromkeys(name for run in runs for name in run.machines)
    return {
        name: max(intervals.unexplained(run.machines.get(name, {}).get("pairs") or ()) for run in runs)
        for name in names
    }


def _compared(
    sides: tuple[Side, Side], margins: Mapping[str, float], mark: str, *, in_turns: bool = False
) -> pd.DataFrame:
    rows = []
    highest = max(margins.values(), default=0.0)
    both = beside(sides[0].times, sides[1].times) if in_turns else None
    for key in dict.fromkeys([*sides[0].rows, *sides[1].rows]):
        pair = [side.rows.get(key) for side in sides]
        if all(row is None or row["verdict"] in ("UNAVAILABLE", "GAP") for row in pair):
            continue
        known = {name: (pair[1] or pair[0] or {})[name] for name in KEY}
        known |= {"before": sides[0].name, "after": sides[1].name}
        timed = [
            None if row is None or key_of(row) not in side.times else row["median_s"]
            for side, row in zip(sides, pair, strict=True)
        ]
        ratio = None if None in timed else _ratio(sides, [key_of(row) for row in pair if row], both)
        rows.append(_row(known, pair, timed, ratio, margins.get(known["machine"], highest), mark))
    return to_frame(rows, ComparisonRow)


def _ratio(sides: tuple[Side, Side], keys: Sequence[Key], both: Times | None) -> intervals.Ratio:
    """Return the ratio of two cells, each with a time on its side."""
    old, new = (side.times for side in sides)
    if both is not None:
        return both.ratio((1, keys[1]), (0, keys[0]))
    if old is new:
        return new.ratio(keys[1], keys[0])
    return new.estimate(keys[1]).less(old.estimate(keys[0])).ratio(new.level)


def _row(
    known: Mapping[str, Any],
    pair: Sequence[Mapping[Any, Any] | None],
    times: Sequence[float | None],
    ratio: intervals.Ratio | None,
    unexplained: float,
    mark: str,
) -> ComparisonRow:
    said = "; ".join(dict.fromkeys(filter(None, [mark, *(row["reason"] for row in pair if row)])))
    flags = [text(row["flags"]) for row in pair if row]
    word: str | None = _word(pair[0], pair[1], times)
    if word is not None:
        ratio = None
    elif ratio is not None:
        word = intervals.word(ratio, unexplained)
        # Such a cell is shown, and wins nothing.
        word = "unclear" if barring(*flags) and word in ("faster", "slower") else word
    return ComparisonRow(
        **known,
        word=word or "not comparable",
        ratio=ratio.estimate if ratio else None,
        ratio_low=ratio.low if ratio else None,
        ratio_high=ratio.high if ratio else None,
        before_s=times[0],
        after_s=times[1],
        margin=intervals.margin(unexplained),
        flags=" ".join(sorted({*" ".join(flags).split()})),
        reason=said,
    )


WRONG = (FAIL, FINDING)
"""What has no time for what it returned, whoever wrote it."""


def _word(
    before: Mapping[Any, Any] | None, after: Mapping[Any, Any] | None, times: Sequence[float | None]
) -> str | None:
    """Return the word for a cell that has not two times; None for one that has."""
    if after is None:
        return "missing"
    if before is None:
        return "new failure" if after["verdict"] in WRONG else "new"
    if after["verdict"] in WRONG and before["verdict"] not in WRONG:
        return "new failure"
    if before["verdict"] in WRONG and times[1] is not None:
        return "fixed"
    if times[1] is None and times[0] is not None:
        return "missing"
    if times[0] is None and times[1] is not None:
        return "new"
    return None if times[0] is not None and times[1] is not None else "not comparable"

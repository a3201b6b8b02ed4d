"""Two runs, cell by cell: faster, slower, same or unclear; and what is new, gone, broken or fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.operation import BadInput

from . import statistics
from .protocol import FULL
from .store import KEY, Run, load_run, to_frame

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def _doc(text: str) -> Any:
    return field(metadata={"doc": text})


@dataclass(frozen=True)
class ComparisonRow:
    """One cell in two runs."""

    operation: str = _doc("Name of the operation.")
    variant: str = _doc("`forward`, `analytic`, `autodiff` or `native`.")
    mode: str = _doc("`eager` or `compiled`.")
    backend: str = _doc("Name of the backend.")
    device: str = _doc("`cpu` or `cuda`.")
    dtype: str = _doc("Floating-point type.")
    sizes: str = _doc("Dimensions and parameters.")
    threads: int = _doc("Threads every library was allowed.")
    precision: str = _doc("`strict` or `tf32`.")
    word: str = _doc(
        "`faster`, `slower`, `same`, `unclear`; `new failure`, `fixed`; `missing` (only before), `new` (only after); "
        "`not comparable` (no time in either)."
    )
    ratio: float | None = _doc("Time after over time before.")
    ratio_low: float | None = _doc(
        "Lower end of the ratio's 95 % interval, from a hierarchical bootstrap of both runs."
    )
    ratio_high: float | None = _doc("Upper end of the ratio's 95 % interval.")
    before_s: float | None = _doc("Median before, in seconds per call.")
    after_s: float | None = _doc("Median after, in seconds per call.")
    margin: float = _doc("How far from 1 the whole interval must lie: the larger of 5 % and twice the noise floor.")
    flags: str = _doc("Flags of either run; a flagged cell is `unclear` at best where it would be faster or slower.")
    reason: str = _doc("Why there is no ratio, or `forced` where the fingerprints differ.")


REGRESSIONS = ("slower", "new failure")
"""The words for which a gate exits with 2."""


def fingerprint(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same in two runs for their times to be compared."""
    host = info["host"]
    return {
        **{what: host.get(what) for what in ("cpu", "cores", "processors", "gpus", "architecture", "governor")},
        "precision": info.get("precision"),
        "threads": info.get("threads"),
    }


def compare(before: Path | Run, after: Path | Run, *, force: bool = False) -> pd.DataFrame:
    """Compare two runs and return one row per cell, with the columns of :class:`ComparisonRow`.

    Args:
        before: a run or its folder.
        after: another.
        force: compare also where the fingerprints (processor, threads, precision …) differ; every row is then marked.

    Raises:
        BadInput: a run cannot be read, or the fingerprints differ and ``force`` is not set.
    """
    old, new = (run if isinstance(run, Run) else load_run(run) for run in (before, after))
    differences = [
        f"{name}: {a!r} before, {b!r} after"
        for (name, a), b in zip(fingerprint(old.info).items(), fingerprint(new.info).values(), strict=True)
        if a != b
    ]
    if differences and not force:
        raise BadInput(f"the runs are not of a kind ({'; '.join(differences)}); --force compares and marks them")
    floor = max(old.noise_floor or 0.0, new.noise_floor or 0.0)
    sides = [_by_key(run) for run in (old, new)]
    blocks = [_blocks(run) for run in (old, new)]
    mark = f"forced: {'; '.join(differences)}" if differences else ""
    rows = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        pair = [side.get(key) for side in sides]
        if all(row is None or row["verdict"] in ("UNAVAILABLE", "GAP") for row in pair):
            continue
        rows.append(_row(key, pair[0], pair[1], [b.get(key, []) for b in blocks], floor, mark))
    return to_frame(rows, ComparisonRow)


Key = tuple[Any, ...]


def _by_key(run: Run) -> dict[Key, dict[Any, Any]]:
    return {tuple(row[k] for k in KEY): row for row in run.summary.to_dict("records")}


def _blocks(run: Run) -> dict[Key, list[np.ndarray]]:
    """Return seconds per call of the headline's blocks, one array for each process."""
    headline = {key: row["headline"] for key, row in _by_key(run).items()}
    samples = run.samples[run.samples["twin"] == 0]
    found: dict[Key, list[np.ndarray]] = {}
    for group, frame in samples.groupby([*KEY, "round"], sort=True):
        key = tuple(group)[:-1]
        mine = frame[frame["kind"] == headline.get(key)]
        if len(mine):
            found.setdefault(key, []).append((mine["block_s"] / mine["calls"]).to_numpy())
    return found


def _row(
    key: Key,
    before: dict[Any, Any] | None,
    after: dict[Any, Any] | None,
    blocks: list[list[np.ndarray]],
    floor: float,
    mark: str,
) -> ComparisonRow:
    known = dict(zip(KEY, key, strict=True))
    times = [
        None if row is None or not processes else row["median_s"]
        for row, processes in zip((before, after), blocks, strict=True)
    ]
    flags = sorted({flag for row in (before, after) if row for flag in row["flags"].split()})
    said = "; ".join(dict.fromkeys(filter(None, [mark, *(row["reason"] for row in (before, after) if row)])))
    word: str | None = _word(before, after, times)
    ratio = None
    if word is None:
        ratio = statistics.ratio(blocks[1], blocks[0])
        word = statistics.word(ratio, floor)
        # A flagged cell is shown, and wins nothing.
        word = "unclear" if flags and word in ("faster", "slower") else word
    return ComparisonRow(
        **known,
        word=word,
        ratio=ratio.estimate if ratio else None,
        ratio_low=ratio.low if ratio else None,
        ratio_high=ratio.high if ratio else None,
        before_s=times[0],
        after_s=times[1],
        margin=statistics.margin(floor, effect=FULL.effect, factor=FULL.floor_factor),
        flags=" ".join(flags),
        reason=said,
    )


def _word(before: Mapping[Any, Any] | None, after: Mapping[Any, Any] | None, times: list[Any]) -> str | None:
    """Return the word for a cell that has not two times; None for one that has."""
    if after is None:
        return "missing"
    if before is None:
        return "new failure" if after["verdict"] == "FAIL" else "new"
    if after["verdict"] == "FAIL" and before["verdict"] != "FAIL":
        return "new failure"
    if before["verdict"] == "FAIL" and times[1] is not None:
        return "fixed"
    if times[1] is None and times[0] is not None:
        return "missing"
    if times[0] is None and times[1] is not None:
        return "new"
    return None if times[0] is not None and times[1] is not None else "not comparable"

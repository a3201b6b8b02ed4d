"""The answer of a study as a Markdown page: for the README, where a table stands beside the command that made it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.answer import answer
from ..analysis.compare import within
from ..analysis.flags import barring
from ..analysis.intervals import geometric_mean
from ..plan.cells import KEY
from ..plan.study import Study
from ..store.folder import write_text
from ..store.rows import place, text
from ..store.run import Run
from .doubts import words
from .markup import escape, table
from .quantities import figure, seconds

if TYPE_CHECKING:
    import pandas as pd

QUIET = ("dtype", "threads", "precision", "device")
"""Columns that are said once, above the table, where they are the same in every row."""

EACH = "Each backend by itself"
"""Where the parts of an answer begin that are not its first table."""


def write_answer(path: Path, study: Study, run: Run) -> None:
    """Write the answer that a run gives to a study's question.

    Raises:
        BadInput: the run has not the cells that the answer needs, or the file cannot be written.
    """
    write_text(path, markdown(study, run))


def markdown(study: Study, run: Run) -> str:
    """Return the question, the answer in a sentence, and its table."""
    frame, sentence = answer(study, run)
    constant = {c: frame[c].iloc[0] for c in QUIET if c in frame and frame[c].nunique() == 1}
    asked = f"`multigrad bench --study {study.name}`"
    parts = [f"**{escape(study.question)}** {escape(sentence)}", f"{asked}: {_setting(run, constant)}"]
    parts.append(_table(frame.drop(columns=list(constant))))
    if study.answer.get("kind") == "best":
        parts += _each_beside_its_own(study.answer, run)
    if study.answer.get("kind") == "within" and study.answer.get("column") == "variant":
        parts += _memory_and_roof(run, str(study.answer["before"]), str(study.answer["after"]))
    return "\n\n".join(parts) + "\n"


def _setting(run: Run, constant: Mapping[str, Any]) -> str:
    host = run.info.get("host", {})
    threads = f"{constant['threads']} threads" if "threads" in constant else ""
    facts = [host.get("cpu", ""), threads, *(str(v) for c, v in constant.items() if c not in ("threads", "device"))]
    floor = "" if run.noise_floor is None else f"noise floor {100 * run.noise_floor:.1f} %"
    protocol = run.info.get("protocol") or {}
    rounds = f"{protocol['rounds']} rounds" if "rounds" in protocol else ""
    return escape(", ".join(fact for fact in (*facts, rounds, floor) if fact)) + "."


def _table(frame: pd.DataFrame) -> str:
    shown = [c for c in frame.columns if not (c.endswith(("_low", "_high")) or c.startswith("flags"))]
    rows = ([_cell(row, column) for column in shown] for row in frame.to_dict("records"))
    return table([_title(column) for column in shown], rows)


def _title(column: str) -> str:
    if column.endswith("_word"):
        return "ours is"
    return column.removesuffix("_s").replace("_ratio", " ÷ ours").replace("_", " ")


def _cell(row: Mapping[Any, Any], column: str) -> str:
    value = row[column]
    if column.endswith("_s"):
        return seconds(value)
    if f"{column.removesuffix('_ratio')}_low" in row:
        stem = column.removesuffix("_ratio")
        barred = text(row.get(f"flags_{stem}")).split() or barring(text(row.get("flags")))
        return ratio(value, row[f"{stem}_low"], row[f"{stem}_high"], barred)
    return figure(value) if isinstance(value, float) else str(value)


def ratio(value: float, low: float, high: float, barred: Iterable[str]) -> str:
    """Write a quotient with its interval, and why it cannot be trusted if it cannot; a dash for none."""
    why = ", ".join(words(barred))
    return "–" if math.isnan(value) else f"{value:.2f} ({low:.2f} to {high:.2f}){f' ! {why}' if why else ''}"


def _each_beside_its_own(wanted: Mapping[str, Any], run: Run) -> Iterator[str]:
    """Lay, on every backend by itself, the others of a ``best`` answer beside ours."""
    others = wanted["before"] if isinstance(wanted["before"], list) else [wanted["before"]]
    there = set(run.summary[wanted["column"]].astype(str))
    for other in (other for other in others if str(other) in there):
        frame = within(run, wanted["column"], wanted["after"], other)
        frame = frame[frame["ratio"].notna()]
        places = list(dict.fromkeys(frame["backend"] + " " + frame["mode"]))
        if not places:
            continue
        rows = []
        for (name, sizes), group in frame.groupby(["operation", "sizes"], sort=False):
            by_place = {f"{r['backend']} {r['mode']}": r for r in group.to_dict("records")}
            cells = [_cell(by_place[p], "ratio") if p in by_place else "" for p in places]
            rows.append([name, sizes, *cells])
        yield f"{EACH}: {escape(other)} ÷ {escape(wanted['after'])}."
        yield table(["operation", "sizes", *places], rows)


def _memory_and_roof(run: Run, ours: str, theirs: str) -> Iterator[str]:
    """Lay peak memory of two variants side by side, place by place, with how near the first comes to the roof."""
    cells = run.summary[run.summary["median_s"].notna()]
    columns = [column for column in KEY if column != "variant"]
    both = cells[cells["variant"] == ours].merge(
        cells[cells["variant"] == theirs], on=columns, suffixes=("", "_theirs")
    )
    if both.empty:
        return
    # A peak below what is noise in it says that nothing was needed.
    least = float((run.info.get("protocol") or {}).get("memory_noise_bytes", 1))
    peaks = [both[column].clip(lower=least) for column in ("peak_bytes_theirs", "peak_bytes")]
    both = both.assign(memory=peaks[0] / peaks[1], place=[place(row) for row in both.to_dict("records")])
    places = list(dict.fromkeys(both["place"]))
    means = [f"{p} {_mean(both.loc[both['place'] == p, 'memory'])}" for p in places]
    what = f"Peak memory of {escape(theirs)} ÷ {escape(ours)}"
    yield f"{what}, geometric mean: {escape('; '.join(means))}."
    yield f"{what}, and how near {escape(ours)} comes to its roof."
    rows = []
    for _, group in both.groupby([c for c in columns if c not in ("backend", "device", "mode")], sort=False):
        by_place = group.set_index("place")
        bound = next((b for b in group["bound"] if isinstance(b, str) and b), "")
        memory = [_written(by_place, p, "memory", "{:.2f}") for p in places]
        roof = [_written(by_place, p, "roof_percent", "{:.0f} %") for p in places]
        rows.append([group["operation"].iloc[0], group["sizes"].iloc[0], *memory, bound, *roof])
    titles = [f"{p} {what}" for what in ("memory", "roof") for p in places]
    yield table(["operation", "sizes", *titles[: len(places)], "bound by", *titles[len(places) :]], rows)


def _mean(values: pd.Series) -> str:
    measured = values.dropna()
    mean = f"{geometric_mean(measured):.2f} (of {len(measured)}, least {measured.min():.2f})"
    return mean if len(measured) else "–"


def _written(by_place: pd.DataFrame, where: str, column: str, shape: str) -> str:
    value: Any = by_place[column].get(where, math.nan)
    return "–" if math.isnan(value) else shape.format(value)

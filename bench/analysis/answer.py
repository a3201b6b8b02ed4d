"""The answer that a run gives to the question of a study: a table, and a sentence with its figures."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.decode import decode
from multigrad.data.errors import BadInput
from multigrad.ops.elsewhere import ask
from multigrad.ops.files import raised

from ..plan.cells import KEY
from ..plan.study import AnswerValues, Study, answerable, module_of
from ..store.folder import RUN
from ..store.frames import frame_json
from ..store.machine import thread_count
from ..store.rows import place, text
from ..store.run import Run
from . import intervals
from .compare import geometric_means, key_of, margins_of, times_of, within
from .flags import barring
from .load import load_run, write_run
from .scaling import sweeps

if TYPE_CHECKING:
    import pandas as pd

    Answer = tuple["pd.DataFrame", str]
    """A table, and a sentence with its figures."""


ANSWER_S = 600.0
"""How long a function of one's own may take to answer."""


def study_of(run: Run) -> Study | None:
    """Return the study that a run was measured for, or None."""
    values = run.info.get("study")
    if values is None:
        return None
    return Study(values["name"], values["question"], tuple(values["cells"]), values.get("answer", {}))


def answer(study: Study, run: Run) -> Answer:
    """Return the answer that a run gives to a study's question: a table, and a sentence with its figures.

    Raises:
        BadInput: the run has not the cells that the answer needs.
    """
    if study.program is not None:
        return _answered(study.program, run)
    answerable(study.name, decode(study.name, dict(study.answer), AnswerValues))
    return _ANSWERS[study.answer["kind"]](study.answer, run)


def _answered(path: Path, run: Run) -> Answer:
    import pandas as pd

    with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
        folder = run.folder
        if folder is None or not (folder / RUN).exists():
            folder = Path(scratch)
            write_run(replace(run, folder=folder, before=None))
        arguments = {"path": str(path), "folder": str(folder)}
        said = ask(f"{__name__}:give_answer", arguments, str(path), timeout_s=ANSWER_S)
    table = json.loads(said["frame"])
    return pd.DataFrame(table["data"], table["index"], table["columns"]), said["sentence"]


def give_answer(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer as a study says; the worker's side."""
    import pandas as pd

    name = Path(arguments["path"]).name
    try:
        found = module_of(arguments["path"]).answer(load_run(Path(arguments["folder"])))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is somebody's code
        yield {"refused": f"{name}: its answer {raised(error, arguments['path'], '')}"}
        return
    if not (isinstance(found, tuple) and [type(part) for part in found] == [pd.DataFrame, str]):
        yield {"refused": f"{name}: its answer is {type(found).__name__}; wanted a data frame and a sentence"}
        return
    frame, sentence = found
    yield {"answer": {"frame": frame_json(frame, "split"), "sentence": sentence}}


def _sides(wanted: Mapping[str, Any]) -> tuple[str, Any, Any]:
    column = wanted["column"]
    before, after = wanted["before"], wanted["after"]
    return (column, thread_count(before), thread_count(after)) if column == "threads" else (column, before, after)


def _within(wanted: Mapping[str, Any], run: Run) -> Answer:
    column, before, after = _sides(wanted)
    if before == after:
        raise BadInput(f"{column} is {before} on both sides: this machine has one core")
    frame = within(run, column, before, after)
    return frame, _compared(frame, f"{after} {column}" if column == "threads" else str(after), str(before))


def _compared(frame: pd.DataFrame, after: str, before: str) -> str:
    """Say what a comparison found, in all and by backend and mode."""
    means = geometric_means(frame)
    everything = means.iloc[-1]
    counts = frame["word"].value_counts()
    words = ", ".join(f"{word} in {count}" for word, count in counts.items())
    left_out = f", {everything['excluded']} left out, without a meaningful time" if everything["excluded"] else ""
    if not everything["cells"]:
        return f"No cell says what {after} costs beside {before}: {words}{left_out}."
    parts = [
        f"{row['backend']} {row['mode']} {row['geometric_mean']:.2f}"
        for row in means.iloc[:-1].to_dict("records")
        if row["cells"]
    ]
    return (
        f"{after} takes {everything['geometric_mean']:.2f} times as long as {before} "
        f"({_how_many(everything['cells'], 'cells')}{left_out}): {'; '.join(parts)}. It is {words}."
    )


def _how_many(count: int, of: str) -> str:
    return f"geometric mean of {count} {of}" if count > 1 else "one cell"


OURS: Mapping[intervals.Word, str] = {"slower": "faster", "faster": "slower", "same": "as fast", "unclear": "unclear"}
"""What ours is, where theirs over ours is called so."""


def _best(wanted: Mapping[str, Any], run: Run) -> Answer:
    """Lay the fastest of one side, whatever its backend and mode, beside the fastest of each of the others."""
    import pandas as pd

    column, after = wanted["column"], wanted["after"]
    others = wanted["before"] if isinstance(wanted["before"], list) else [wanted["before"]]
    times, unexplained = times_of(run), max(margins_of(run).values(), default=0.0)
    names = [name for name in KEY if name not in (column, "backend", "device", "mode")]
    timed = run.summary[run.summary["median_s"].notna()]
    if len(timed):
        timed = timed[[key in times for key in timed[list(KEY)].itertuples(index=False, name=None)]]
    rows = []
    for known, cells in timed.groupby(names, sort=False):
        fastest: dict[str, Mapping[Any, Any]] = {}
        for row in cells.sort_values("median_s").to_dict("records"):
            fastest.setdefault(str(row[column]), row)
        if str(after) not in fastest:
            continue
        ours = fastest[str(after)]
        found: dict[str, Any] = {
            **dict(zip(names, known, strict=True)),
            "by": place(ours),
            "median_s": ours["median_s"],
        }
        for other in others:
            theirs = fastest.get(str(other))
            ratio, barred = None, barring()
            if theirs is not None:
                ratio = times.ratio(key_of(theirs), key_of(ours))
                barred = barring(text(ours["flags"]), text(theirs["flags"]))
            found |= {
                f"{other}_by": "" if theirs is None else place(theirs),
                f"{other}_s": math.nan if theirs is None else theirs["median_s"],
                f"{other}_ratio": math.nan if ratio is None else ratio.estimate,
                f"{other}_low": math.nan if ratio is None else ratio.low,
                f"{other}_high": math.nan if ratio is None else ratio.high,
                f"{other}_word": "" if ratio is None or barred else OURS[intervals.word(ratio, unexplained)],
                f"flags_{other}": " ".join(barred),
            }
        rows.append(found)
    if not rows:
        raise BadInput(f"no cell has a time with {column} {after!r}")
    frame = pd.DataFrame(rows)
    if not frame["machine"].any():  # there is one, which has no name
        frame = frame.drop(columns="machine")
    parts = []
    for other in others:
        ratios = frame[f"{other}_ratio"].dropna()
        if len(ratios):
            mean, least = intervals.geometric_mean(ratios), ratios.min()
            parts.append(
                f"{mean:.2f} times as long with the best {other} ({_how_many(len(ratios), 'rows')}, least {least:.2f})"
                if len(ratios) > 1
                else f"{mean:.2f} times as long with the best {other}"
            )
    return frame, f"Beside the best {after}, it takes {' and '.join(parts) or 'nobody knows how long with the others'}."


def _break_even(wanted: Mapping[str, Any], run: Run) -> Answer:
    column, before, after = _sides(wanted)
    frame = within(run, column, before, after)
    keys = [name for name in KEY if name != column]
    first = {
        side: run.summary[run.summary[column].astype(str) == str(side)].set_index(keys)["first_call_s"]
        for side in (before, after)
    }
    calls = []
    for row in frame.to_dict("records"):
        key = tuple(row[name] for name in keys)
        price = first[after].get(key, math.nan) - first[before].get(key, math.nan)
        calls.append(_calls_to_pay(price, row["before_s"] - row["after_s"]))
    frame = frame.assign(break_even_calls=calls)
    paid = sorted(c for c in calls if math.isfinite(c))
    never = sum(math.isinf(c) for c in calls)
    sentence = _compared(frame, str(after), str(before))
    if paid:
        middle = paid[len(paid) // 2]
        sentence += f" It has paid for itself after {middle:.0f} calls (median; {paid[0]:.0f} to {paid[-1]:.0f})"
        sentence += f" in {len(paid)} cells, and never does in {never}."
    elif never:
        sentence += f" It never pays for itself, in {never} cells."
    return frame, sentence


def _calls_to_pay(price_s: float, saved_s: float) -> float:
    """Return the least number of calls whose savings pay the price; infinite if nothing is saved, NaN if unknown."""
    if math.isnan(price_s) or math.isnan(saved_s):
        return math.nan
    if price_s <= 0:
        return 0.0
    return float(math.ceil(price_s / saved_s)) if saved_s > 0 else math.inf


def _scaling(wanted: Mapping[str, Any], run: Run) -> Answer:
    frame = sweeps(run)
    if frame.empty:
        raise BadInput("no operation has times at three sizes or more: there is nothing to fit")
    parts = []
    for row in frame.to_dict("records"):
        grows = f"n^{row['exponent']:.2f} [{row['exponent_low']:.2f}, {row['exponent_high']:.2f}]"
        until = "" if math.isnan(row["overhead_until_n"]) else f", overhead up to n = {row['overhead_until_n']:.0f}"
        memory = "" if math.isnan(row["memory_exponent"]) else f", memory n^{row['memory_exponent']:.2f}"
        parts.append(f"{row['backend']} {row['mode']} {row['variant']} {grows}{until}{memory}")
    return frame, f"Time grows as {'; '.join(parts)}."


def _overhead(wanted: Mapping[str, Any], run: Run) -> Answer:
    timed = run.summary[run.summary["median_s"].notna()]
    if timed.empty:
        raise BadInput("no cell has a time")
    columns = ["operation", "variant", "backend", "mode", "device", "sizes", "latency_s", "pipelined_s", "dispatch_s"]
    frame = timed[[*columns, "flags"]].sort_values(["operation", "variant", "latency_s"]).reset_index(drop=True)
    means = frame.groupby(["backend", "device", "mode"])["latency_s"].median().sort_values()
    parts = [
        f"{row['backend']}/{row['device']} {row['mode']} {1e6 * row['latency_s']:.1f} µs"
        for row in means.reset_index().to_dict("records")
    ]
    return frame, f"A call costs, in the median of its cells: {'; '.join(parts)}."


_ANSWERS: Mapping[str, Callable[[Mapping[str, Any], Run], Answer]] = {
    "within": _within,
    "best": _best,
    "break even": _break_even,
    "scaling": _scaling,
    "overhead": _overhead,
}
"""How an answer of each kind of :data:`multigrad.bench.plan.study.KINDS` is found."""

"""Questions worth measuring, as data: which cells, and which comparison of them is the answer.

A study is a TOML file, here in ``studies/`` or anybody's::

    question = "What does half the width of a number save?"

    [answer]              # kind: within, best, break even, scaling or overhead
    kind = "within"
    column = "dtype"
    before = "float64"
    after = "float32"

    [[cells]]             # the arguments of `measure`, one table or several
    operation = ["relu_regression", "mine.py"]
    variant = "analytic"
    size = ["medium", { m = 64, k = 64, n = 64 }]
    threads = [1, "all"]

Or a Python file with a dictionary ``STUDY`` of the same shape, and, if it likes, a function ``answer(run)`` that
returns a data frame and a sentence.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from multigrad.data.decode import decode, read_bytes, reason
from multigrad.data.errors import BadInput
from multigrad.ops.elsewhere import ask
from multigrad.ops.files import import_file, raised
from multigrad.ops.find import Operations, files_of
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Selection
from multigrad.process.entry import entry_point

from ..analysis import intervals as statistics
from ..analysis.compare import Side, geometric_means, within
from ..analysis.scaling import scaling
from ..plan import cells as planning
from ..plan.protocol import FULL, QUICK, Protocol
from ..report.rows import place
from ..store import files as store
from ..store import machine as machines
from ..store import schema
from .measure import cells_of, measure_plan, with_rounds
from .record import Progress
from .resume import Given

if TYPE_CHECKING:
    import pandas as pd

    Answer = tuple["pd.DataFrame", str]
    """A table, and a sentence with its figures."""

FOLDER = Path(__file__).parent.parent / "studies"

CELLS = schema.CellTable.__struct_fields__
"""What a table of cells may say."""

COLUMNS = tuple(name for name in store.KEY if name != "machine")
"""What an answer may compare by: one machine's times say nothing about another's."""

ALL = "all"
"""As many threads as there are cores."""

ANSWER_S = 600.0
"""How long a function of one's own may take to answer."""


@dataclass(frozen=True)
class Study:
    """A question, the cells to measure for it, and how they answer it."""

    name: str
    question: str
    cells: tuple[Mapping[str, Any], ...]
    """Each with some of :data:`CELLS`; what is left out is as in :func:`.measure.measure`."""
    answer: Mapping[str, Any]
    """``kind``, and what that kind needs."""
    answering: Callable[[store.Run], Answer] | None = None
    """A function of one's own, instead."""
    data: Path | None = None
    """The TOML file it was read from: what that names is code, which runs only where somebody gives it too."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, without a function of one's own."""
        return {"name": self.name, "question": self.question, "cells": list(self.cells), "answer": dict(self.answer)}


def studies() -> dict[str, Study]:
    """Return the studies that come with multigrad, by name."""
    return {path.stem: load(path) for path in sorted(FOLDER.glob("*.toml"))}


def study(name: str | Path) -> Study:
    """Return a study by name, or from a TOML or Python file.

    Raises:
        BadInput: there is none of that name (with the nearest), or the file is not one.
    """
    if Path(name).suffix in (".toml", ".py"):
        return load(Path(name))
    known = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
    if str(name) not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise BadInput(f"no study named {str(name)!r}{hint} There are {', '.join(known)}; a file ends in .toml or .py")
    return load(known[str(name)])


def load(path: Path) -> Study:
    """Read a study from a file.

    Raises:
        BadInput: it is not there, or is no study; the message says what is wrong in it.
    """
    if not os.path.lexists(path):
        raise BadInput(f"no file {path}; wanted a study, a TOML or a Python file")
    data = read_bytes(path)
    if path.suffix == ".py":
        values, answering = _from_python(path)
        return replace(_checked(path, values, answering), answering=answering)
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} cannot be read as TOML: {reason(error)}") from error
    return replace(_checked(path, values, None), data=path)


def _from_python(path: Path) -> tuple[Any, Callable[[store.Run], Answer] | None]:
    """Let a worker import a file; what it defines, and a function that lets a worker answer as the file says."""
    said = ask(f"{__name__}:describe", {"path": str(path)}, str(path))
    return said["study"], functools.partial(_answered, path) if said["answers"] else None


def describe(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Import a study and say what it defines; the worker's side."""
    try:
        module = _module(arguments["path"])
        json.dumps(module.STUDY)
    except BadInput as error:
        yield {"refused": str(error)}
    except (TypeError, ValueError) as error:
        yield {"refused": f"{Path(arguments['path']).name}: STUDY is more than numbers, texts and lists: {error}"}
    else:
        yield {"answer": {"study": module.STUDY, "answers": callable(getattr(module, "answer", None))}}


def _module(path: str) -> Any:
    module = import_file(path, lambda module: hasattr(module, "STUDY"))
    if not hasattr(module, "STUDY"):
        raise BadInput(f"{Path(path).name} defines no STUDY; wanted a dictionary with question, answer and cells")
    return module


def _answered(path: Path, run: store.Run) -> Answer:
    import pandas as pd

    with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
        folder = run.folder
        if folder is None or not (folder / store.RUN).exists():
            folder = Path(scratch)
            store.write_run(replace(run, folder=folder, before=None))
        arguments = {"path": str(path), "folder": str(folder)}
        said = ask(f"{__name__}:give_answer", arguments, str(path), timeout_s=ANSWER_S)
    table = json.loads(said["frame"])
    return pd.DataFrame(table["data"], table["index"], table["columns"]), said["sentence"]


def give_answer(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer as a study says; the worker's side."""
    import pandas as pd

    name = Path(arguments["path"]).name
    try:
        found = _module(arguments["path"]).answer(store.load_run(Path(arguments["folder"])))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is somebody's code
        yield {"refused": f"{name}: its answer {raised(error, arguments['path'], '')}"}
        return
    if not (isinstance(found, tuple) and [type(part) for part in found] == [pd.DataFrame, str]):
        yield {"refused": f"{name}: its answer is {type(found).__name__}; wanted a data frame and a sentence"}
        return
    frame, sentence = found
    yield {"answer": {"frame": frame.to_json(orient="split", double_precision=15), "sentence": sentence}}


def _checked(path: Path, values: Any, answering: Any) -> Study:
    described = decode(path.name, values, schema.StudyFile)
    for table in values["cells"]:
        for name in table:
            if name not in CELLS:
                raise BadInput(f"{path.name}: no {name!r} in cells; there are {', '.join(CELLS)}")
    if answering is None:
        _answerable(path.name, described.answer)
    return Study(path.stem, values["question"], tuple(values["cells"]), values.get("answer", {}))


def _answerable(where: str, answer: schema.AnswerValues) -> None:
    needs = KINDS.get(answer.kind)
    if needs is None:
        raise BadInput(f"{where}: answer.kind is {answer.kind!r}; there are {', '.join(KINDS)}")
    for name in needs.needs:
        if getattr(answer, name) is UNSET:
            raise BadInput(f"{where}: answer.{name} is missing; {answer.kind} needs {', '.join(needs.needs)}")
    if needs.needs and answer.column not in COLUMNS:
        raise BadInput(f"{where}: answer.column is {answer.column!r}; there are {', '.join(COLUMNS)}")


@entry_point(store.no_run)
def measure_study(
    name: str | Path | Study,
    *,
    ops: Operations = None,
    quick: bool = False,
    protocol: Protocol | None = None,
    rounds: int | None = None,
    backend: str | Sequence[str] | None = None,
    seed: int = 0,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
) -> store.Run:
    """Measure the cells of a study; :func:`answer` then has its answer.

    Args:
        name: of a study, its file, or the study.
        ops: the files of operations that a TOML file names: it is data, and they are code.
        quick: two rounds instead of five, and no memory.
        protocol: other constants than those of a full or quick run.
        rounds: processes per cell; None is what the protocol says.
        backend: only these, instead of those of the study; ``module:ATTRIBUTE`` of a TOML file has to be given here.
        seed: seed of inputs and orders.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results.
        progress: told about every finished measurement.

    Raises:
        BadInput: there is no such study, or nothing to measure.
    """
    chosen = name if isinstance(name, Study) else study(name)
    constants = with_rounds(protocol or (QUICK if quick else FULL), rounds)
    cells: dict[planning.Cell, planning.Refusal | None] = {}
    given = Given(files_of(ops), Selection.of(backend=backend).backend or ())
    for table in chosen.cells:
        wanted = {("ops" if k == "operation" else k): v for k, v in table.items()}
        if "threads" in wanted:
            wanted["threads"] = _threads(wanted["threads"])
        if backend is not None:
            wanted["backend"] = backend
        selection = Selection.of(**wanted)
        if chosen.data is not None:
            _permit(selection, chosen.data, given)
        cells |= cells_of(selection)
    plan = planning.of_cells(cells, twins=constants.twins, seed=seed, quick=quick)
    more = {"study": chosen.to_json()}
    places: dict[str, Any] = {"out": out, "folder": folder, "machine": machine}
    return measure_plan(plan, constants, more=more, progress=progress, **places)


def _permit(selection: Selection, file: Path, given: Given) -> None:
    """Make sure that what a file names was given too, as far as it is code.

    Raises:
        BadInput: it was not.
    """
    operations = [selection.ops] if isinstance(selection.ops, str | Operation) else selection.ops
    for reference in operations or ():
        given.reference(str(reference), str(file), f"multigrad bench --study {file} FILE")
    for source in selection.backend or ():
        given.source(source, str(file))


def _threads(given: Any) -> list[int]:
    counts = given if isinstance(given, list) else [given]
    return list(dict.fromkeys(_count(count) for count in counts))


def _count(threads: Any) -> Any:
    return len(machines.physical_cpus()) if threads == ALL else threads


def study_of(run: store.Run) -> Study | None:
    """Return the study that a run was measured for, or None."""
    values = run.info.get("study")
    if values is None:
        return None
    return Study(values["name"], values["question"], tuple(values["cells"]), values.get("answer", {}))


def answer(study: Study, run: store.Run) -> Answer:
    """Return the answer that a run gives to a study's question: a table, and a sentence with its figures.

    Raises:
        BadInput: the run has not the cells that the answer needs.
    """
    if study.answering is not None:
        return study.answering(run)
    _answerable(study.name, decode(study.name, dict(study.answer), schema.AnswerValues))
    return KINDS[study.answer["kind"]].function(study.answer, run)


def _sides(wanted: Mapping[str, Any]) -> tuple[str, Any, Any]:
    column = wanted["column"]
    before, after = wanted["before"], wanted["after"]
    return (column, _count(before), _count(after)) if column == "threads" else (column, before, after)


def _within(wanted: Mapping[str, Any], run: store.Run) -> Answer:
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
    left_out = f", {everything['excluded']} left out as flagged or without a time" if everything["excluded"] else ""
    if not everything["cells"]:
        return f"No cell says what {after} costs beside {before}: {words}{left_out}."
    parts = [
        f"{row['backend']} {row['mode']} {row['geometric_mean']:.2f}"
        for row in means.iloc[:-1].to_dict("records")
        if row["cells"]
    ]
    return (
        f"{after} takes {everything['geometric_mean']:.2f} times as long as {before} "
        f"(geometric mean of {everything['cells']} cells{left_out}): {'; '.join(parts)}. It is {words}."
    )


def _best(wanted: Mapping[str, Any], run: store.Run) -> Answer:
    """Lay the fastest of one side, whatever its backend and mode, beside the fastest of each of the others."""
    import pandas as pd

    column, after = wanted["column"], wanted["after"]
    others = wanted["before"] if isinstance(wanted["before"], list) else [wanted["before"]]
    side = Side.of(run, store.KEY, "")
    names = [name for name in store.KEY if name not in (column, "backend", "device", "mode")]
    timed = run.summary[run.summary["median_s"].notna()]
    if len(timed):
        timed = timed[[key in side.blocks for key in timed[list(store.KEY)].itertuples(index=False, name=None)]]
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
            ratio = None
            if theirs is not None:
                keys = [tuple(one[name] for name in store.KEY) for one in (theirs, ours)]
                ratio = statistics.ratio(side.blocks[keys[0]], side.blocks[keys[1]])
            found |= {
                f"{other}_by": "" if theirs is None else place(theirs),
                f"{other}_s": math.nan if theirs is None else theirs["median_s"],
                f"{other}_ratio": math.nan if ratio is None else ratio.estimate,
                f"{other}_low": math.nan if ratio is None else ratio.low,
                f"{other}_high": math.nan if ratio is None else ratio.high,
                f"flags_{other}": "" if theirs is None else f"{ours['flags']} {theirs['flags']}".strip(),
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
            mean, least = math.exp(sum(map(math.log, ratios)) / len(ratios)), ratios.min()
            parts.append(
                f"{mean:.2f} times as long with the best {other} (geometric mean of {len(ratios)}, least {least:.2f})"
            )
    return frame, f"Beside the best {after}, it takes {' and '.join(parts) or 'nobody knows how long with the others'}."


def _break_even(wanted: Mapping[str, Any], run: store.Run) -> Answer:
    column, before, after = _sides(wanted)
    frame = within(run, column, before, after)
    keys = [name for name in store.KEY if name != column]
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


def _scaling(wanted: Mapping[str, Any], run: store.Run) -> Answer:
    frame = scaling(run)
    if frame.empty:
        raise BadInput("no operation has times at three sizes or more: there is nothing to fit")
    parts = []
    for row in frame.to_dict("records"):
        grows = f"n^{row['exponent']:.2f} [{row['exponent_low']:.2f}, {row['exponent_high']:.2f}]"
        until = "" if math.isnan(row["overhead_until_n"]) else f", overhead up to n = {row['overhead_until_n']:.0f}"
        memory = "" if math.isnan(row["memory_exponent"]) else f", memory n^{row['memory_exponent']:.2f}"
        parts.append(f"{row['backend']} {row['mode']} {row['variant']} {grows}{until}{memory}")
    return frame, f"Time grows as {'; '.join(parts)}."


def _overhead(wanted: Mapping[str, Any], run: store.Run) -> Answer:
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


@dataclass(frozen=True)
class _Kind:
    function: Callable[[Mapping[str, Any], store.Run], Answer]
    needs: tuple[str, ...]


KINDS: Mapping[Any, _Kind] = {
    "within": _Kind(_within, ("column", "before", "after")),
    "best": _Kind(_best, ("column", "before", "after")),
    "break even": _Kind(_break_even, ("column", "before", "after")),
    "scaling": _Kind(_scaling, ()),
    "overhead": _Kind(_overhead, ()),
}
"""How an answer is found, by its name in a study."""

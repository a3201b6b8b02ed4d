"""The references of a run: the truth that every timed result is held against, found once for all workers."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import Any

from multigrad.process.pool import Lost, Progress, work_through

from ..plan.cells import Plan
from ..plan.protocol import Protocol
from ..store.events import CostEvent
from ..store.journal import Journal
from ..timing.messages import Begun, ReferenceEnded, decoded
from .kept import Kept
from .record import Record
from .workers import Reference, Workers


def find_references(
    record: Record, workers: Workers, wanted: Collection[int], kept: Kept | None = None
) -> dict[int, Reference]:
    """Let workers find the references of cells, and write down what a call of each costs by the model.

    Args:
        record: of the run.
        workers: of the run.
        wanted: indices of cells.
        kept: the folder in which references are looked for first, and left; None is that of the environment, if any.

    Returns:
        By index of the cell, where its inputs and their truth are.
    """
    cells, seed = record.plan.cells, record.plan.seed
    found: dict[int, Reference] = {}
    files: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
    users: dict[int, list[int]] = {}
    for i in wanted:
        cell = cells[i]
        path = str(workers.scratch / f"reference-{len(files)}.npz")
        question = {"reference": cell.reference, "size": dict(cell.size), "seed": seed}
        question |= {"dtype": cell.dtype, "precision": cell.precision, "path": path, "variants": []}
        same = (cell.reference, cell.size, cell.dtype, cell.precision)
        number, entry = files.setdefault(same, (len(files), question))
        entry["variants"] = sorted({*entry["variants"], cell.variant})
        users.setdefault(number, []).append(i)
        found[i] = Reference(entry["path"])
    for number, answer in _answers(dict(files.values()), workers, kept or Kept.chosen()):
        if isinstance(answer, Lost):
            for i in users[number]:
                record.fail(i, 0, 0, "INCONCLUSIVE", f"no reference: {answer.reason}")
        elif isinstance(answer, Begun):
            record.tick(f"the truth of {cells[users[number][0]].operation}")
        else:
            for i in users[number]:
                found[i].array_bytes = answer.array_bytes
                record.add(CostEvent(i, answer.costs[cells[i].variant]))
    return found


def _answers(
    questions: Mapping[int, Mapping[str, Any]], workers: Workers, kept: Kept | None
) -> Generator[tuple[int, Begun | ReferenceEnded | Lost]]:
    """Yield what is said of each question, by its number: first of those whose answer was kept."""
    missing = []
    for number, question in questions.items():
        answer = None if kept is None else kept.take(question)
        if answer is None:
            missing.append(number)
        else:
            yield number, answer
    for message in work_through(missing, lambda pending: workers.prepare({i: questions[i] for i in pending})):
        if isinstance(message, Lost):
            yield message.task, message
            continue
        said = decoded(message, ReferenceEnded)
        if isinstance(said, Begun):
            yield said.task, said
        elif isinstance(said, ReferenceEnded):
            if kept is not None:
                kept.keep(questions[said.number], said)
            yield said.number, said


def keep_references(plan: Plan, protocol: Protocol, folder: Path, progress: Progress | None = None) -> int:
    """Find the references of a plan and keep them in a folder; nothing is timed.

    Returns:
        How many cells have one.

    Raises:
        BadInput: the folder cannot be written to.
    """
    kept = Kept.at(folder)
    with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
        record = Record(plan, protocol, Journal(Path(scratch), new=True), progress)
        wanted = [i for i in range(len(plan.cells)) if i not in plan.refused]
        found = find_references(record, Workers(record, Path(scratch), None), wanted, kept)
        record.journal.close()
    return sum(not record.failed(i) for i in found)

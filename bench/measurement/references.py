"""The references of a run: the truth that every timed result is held against, found once for all workers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from multigrad.process.pool import Lost, work_through

from ..store.events import CostEvent
from ..timing.messages import Begun, ReferenceEnded, decoded
from .record import Record
from .workers import Reference, Workers


def find_references(record: Record, workers: Workers, wanted: Collection[int]) -> dict[int, Reference]:
    """Let workers find the references of cells, and write down what a call of each costs by the model.

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
    entries = dict(files.values())
    for message in work_through(list(entries), lambda pending: workers.prepare({i: entries[i] for i in pending})):
        if isinstance(message, Lost):
            for i in users[message.task]:
                record.fail(i, 0, 0, "INCONCLUSIVE", f"no reference: {message.reason}")
            continue
        answer = decoded(message, ReferenceEnded)
        if isinstance(answer, Begun):
            record.tick(f"the truth of {cells[users[answer.task][0]].operation}")
        elif isinstance(answer, ReferenceEnded):
            for i in users[answer.number]:
                found[i].array_bytes = answer.array_bytes
                record.add(CostEvent(i, answer.costs[cells[i].variant]))
    return found

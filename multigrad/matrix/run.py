"""Carries a plan out: the formulas first, then every backend, in processes of their own."""

from __future__ import annotations

import itertools
import os
import queue
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from ..backend.registry import backend
from ..process import child
from ..process.pool import Lost, Progress, lanes, work_through
from ..truth.files import write_unknown
from ..verdict.judge import worded
from ..verdict.words import FAIL, INCONCLUSIVE, UNAVAILABLE
from .journal import Journal, Record
from .plan import Cell, Plan
from .rows import PROOF_DIED, JudgedRow, judged_row, message_of, rows_of

# By name: what a worker imports is no matter of whoever starts it, nor of the other workers.
TRUTH_WORKER = "multigrad.matrix.formula_side:truth_worker"
DIAGNOSIS_WORKER = "multigrad.matrix.formula_side:diagnosis_worker"
BACKEND_WORKER = "multigrad.matrix.backend_side:backend_worker"

SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""What a worker is told that computes with balls: there is nothing for a second thread to do."""


@dataclass(frozen=True)
class Batch:
    """Rows as they come."""

    rows: Sequence[JudgedRow]
    complete: bool
    """Whether all formulas have been judged."""


def run(plan: Plan, progress: Progress | None = None, journal: Journal | None = None) -> Iterator[Batch]:
    """Judge the formulas, then let every backend work; yield rows as they come.

    A row on a wrong formula comes twice: at once with the figures, and later with the name of the mistake.

    Args:
        plan: what is to be checked.
        progress: told about every cell, as it begins and as it ends.
        journal: where rows are written; what stands there already is not computed again.
    """
    record = Record(plan, journal)
    plan, judged = record.left()
    total = len(plan.cases) + sum(map(len, plan.work.values()))
    done: list[str] = []

    def tick(text: str, *, ends: bool) -> None:
        if ends:
            done.append(text)
        if progress:
            progress(len(done), total, text)

    yield Batch([*plan.unavailable, *judged], complete=False)
    with tempfile.TemporaryDirectory(prefix="multigrad-") as folder:
        work = _Work(plan, folder, tick, record)
        workers = lanes() if plan.isolated else 1
        parts = max(1, workers // max(1, len(plan.work)))
        with ThreadPoolExecutor(workers) as pool:
            # Whole operations: what is known of one holds for all of its cases.
            several = min(workers, len(plan.ops))
            for rows in _as_they_come(pool, [partial(work.judge_formulas, part, several) for part in range(several)]):
                yield Batch(rows, complete=False)
            yield Batch((), complete=True)
            # NumPy opens at once: its verdicts come first.
            places = sorted(plan.work, key=lambda place: place[0] != "numpy")
            jobs = [partial(work.run_backend, *place, part, parts) for place in places for part in range(parts)]
            for rows in _as_they_come(pool, jobs):
                yield Batch(rows, complete=True)


@dataclass(frozen=True)
class _Work:
    """What the processes of one check share."""

    plan: Plan
    folder: str
    """Where the truth of each case lies."""
    tick: Callable[..., None]
    record: Record

    def judge_formulas(self, part: int, parts: int) -> Iterator[Sequence[JudgedRow]]:
        """Judge the formulas of some operations and write the truth of their cases, then name the mistakes."""
        plan = self.plan
        references = {*itertools.islice(plan.ops, part, None, parts)}
        numbers = [i for i, case in enumerate(plan.cases) if case.reference in references]

        def start(pending: list[int]) -> Iterator[Any]:
            cases = {str(i): asdict(plan.cases[i]) for i in pending}
            kinks = plan.kinks and len(pending) == len(numbers)
            return self._start(TRUTH_WORKER, {"folder": self.folder, "cases": cases, "kinks": kinks}, SINGLE_THREADED)

        def lost(task: Lost) -> JudgedRow:
            write_unknown(self.folder, task.task, task.reason)
            return judged_row(plan.cases[task.task], "*", worded(INCONCLUSIVE, f"{PROOF_DIED}{task.reason}"))

        wrong: dict[int, Sequence[JudgedRow]] = {}

        def ended(task: int, rows: Sequence[JudgedRow]) -> None:
            if any(row.undiagnosed for row in rows):
                wrong[task] = rows
            else:
                self.record.write(self.record.of_formula(task), rows)

        yield from self._rows(numbers, start, lost, lambda i: f"{plan.cases[i].operation}: the truth", ended)
        yield from self._diagnose(wrong)

    def _diagnose(self, judged: Mapping[int, Sequence[JudgedRow]]) -> Iterator[Sequence[JudgedRow]]:
        """Name the mistakes in worker processes of their own: what dies or hangs there costs a sentence."""
        wrong = {task: [row for row in rows if row.undiagnosed] for task, rows in judged.items()}

        def start(pending: list[int]) -> Iterator[Any]:
            rows = {str(i): message_of(wrong[i]) for i in pending}
            cases = {str(i): asdict(self.plan.cases[i]) for i in pending}
            return self._start(DIAGNOSIS_WORKER, {"rows": rows, "cases": cases}, SINGLE_THREADED)

        for task, message in _of_tasks(work_through([*wrong], start)):
            right = [row for row in judged[task] if not row.undiagnosed]
            if isinstance(message, Lost):
                unnamed = [replace(row, undiagnosed=False) for row in wrong[task]]
                self.record.write(self.record.of_formula(task), [*right, *unnamed])
            elif "rows" in message:
                named = rows_of(message)
                yield named
                self.record.write(self.record.of_formula(task), [*right, *named])

    def run_backend(self, name: str, device: str, part: int, parts: int) -> Iterator[Sequence[JudgedRow]]:
        """Let a backend compute and judge its part of the cells."""
        plan, cells = self.plan, self.plan.work[name, device]
        source = plan.sources.get(name, name)
        hung: dict[str, str] = {}
        environment = backend(source).environment(device, 1, plan.precision)

        def start(pending: list[int]) -> Iterator[Any]:
            arguments = {
                "folder": self.folder,
                "backend": source,
                "device": device,
                "precision": plan.precision,
                "cases": {str(cells[i].case): asdict(plan.cases[cells[i].case]) for i in pending},
                "cells": {str(i): asdict(cells[i]) for i in pending},
                "first": part == 0,
                "hung": hung,
            }
            return self._start(BACKEND_WORKER, arguments, environment)

        def lost(task: Lost) -> JudgedRow:
            cell = cells[task.task]
            case = plan.cases[cell.case]
            if cell.mode == "compiled" and task.reason.startswith(child.SILENT):
                # That a compiler takes minutes says nothing of a gradient, and it would take as many in the next dtype.
                hung[case.reference] = f"its compiler {task.reason}"
                return cell.row(case, name, device, "*", worded(UNAVAILABLE, hung[case.reference]))
            return cell.row(case, name, device, "*", worded(FAIL, task.reason))

        def text(number: int) -> str:
            cell, case = cells[number], plan.cases[cells[number].case]
            return f"{case.operation} {cell.variant} {cell.mode} on {name}/{device} {case.dtype}"

        def ended(number: int, rows: Sequence[JudgedRow]) -> None:
            place = name, device
            key = self.record.of_place(place) if number < 0 else self.record.of_cell(place, cells[number])
            self.record.write(key, rows)

        yield from self._rows(self._share(cells, part, parts), start, lost, text, ended)

    def _share(self, cells: Sequence[Cell], part: int, parts: int) -> list[int]:
        """Return the cells that one of several workers of a backend takes: whole functions, so none compiles twice."""
        functions = [cell.function(self.plan.cases[cell.case]) for cell in cells]
        numbers = {function: i for i, function in enumerate(dict.fromkeys(functions))}
        return [i for i, function in enumerate(functions) if numbers[function] % parts == part]

    def _start(self, target: str, arguments: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Any]:
        if not self.plan.isolated:
            return child.run_here(child.function_of(target)(arguments, self.plan.ops))
        timeout_s = self.plan.timeout_s * busy()
        return child.run(target, arguments, environment=environment, timeout_s=timeout_s)

    def _rows(
        self,
        tasks: Sequence[int],
        start: Callable[[list[int]], Iterator[Any]],
        lost: Callable[[Lost], JudgedRow],
        text: Callable[[int], str],
        ended: Callable[[int, Sequence[JudgedRow]], None],
    ) -> Iterator[Sequence[JudgedRow]]:
        """Let workers do tasks, tell the progress, and yield rows as they come.

        ``ended`` is told all rows of a task once there are no more; −1 stands for what a worker says before the first.
        What a worker said of a task before it died is kept.
        """
        rows: list[JudgedRow] = []
        for task, message in _of_tasks(work_through(tasks, start)):
            if isinstance(message, Lost):
                row = lost(message)
                ended(task, [*rows, row])
                rows = []
                yield [row]
            elif "begin" in message:
                self.tick(text(task), ends=False)
            elif "rows" in message:
                come = rows_of(message)
                rows += come
                if task < 0 and come:
                    ended(task, come)
                yield come
            elif "end" in message:
                ended(task, rows)
                rows = []
                self.tick(text(task), ends=True)


def _of_tasks(messages: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    """Yield each message with the task that it belongs to; −1 before the first."""
    task = -1
    for message in messages:
        if isinstance(message, Lost):
            task = message.task
        elif "begin" in message:
            task = message["begin"]
        yield task, message


def _as_they_come(
    pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], Iterator[Sequence[JudgedRow]]]]
) -> Iterator[Sequence[JudgedRow]]:
    """Run jobs side by side and yield what each of them yields, in the order of time."""
    batches: queue.SimpleQueue[Sequence[JudgedRow] | None] = queue.SimpleQueue()

    def run(job: Callable[[], Iterator[Sequence[JudgedRow]]]) -> None:
        try:
            for batch in job():
                batches.put(batch)
        finally:
            batches.put(None)

    futures = [pool.submit(run, job) for job in jobs]
    running = len(futures)
    while running:
        batch = batches.get()
        if batch is None:
            running -= 1
        else:
            yield batch
    for future in futures:
        future.result()


def busy() -> float:
    """Return by how much longer everything may take now than on an idle machine; at least 1."""
    try:
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    except OSError:
        return 1.0

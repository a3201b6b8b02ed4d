"""Tasks in workers that may die: a death costs the task it happened in, and a new worker takes the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .child import Death, Message

Progress = Callable[[int, int, str], None]
"""Called with tasks done, tasks in all, and what is running: as one begins, and as it ends."""


@dataclass(frozen=True)
class Lost:
    """A task whose worker died."""

    task: int
    """The task's number."""
    reason: str
    """One line: how the worker ended."""


def work_through(
    tasks: Sequence[int], start: Callable[[list[int]], Iterator[Message | Death]]
) -> Iterator[Message | Lost]:
    """Let one worker after the other work until every task has ended or is lost; yield what they say.

    Args:
        tasks: numbers of the tasks.
        start: starts a worker for the tasks that are left and yields its messages. ``{"begin": i}`` says that it is
            busy with task i, ``{"end": i}`` that the task is done. A worker that ends well is the last one, also where
            tasks are left: it had a reason, and has said it.
    """
    pending = list(tasks)
    while pending:
        died = False
        for message in start(list(pending)):
            if isinstance(message, Death):
                died = True
                task = pending[0] if message.task is None else message.task
                pending.remove(task)
                yield Lost(task, message.reason)
                continue
            if "end" in message:
                pending.remove(message["end"])
            yield message
        if not died:
            return


def lanes() -> int:
    """Return how many processors this process may use: so many workers run side by side."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

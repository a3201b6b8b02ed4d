"""Who watches the checker: every mutant of every pullback, and which check kills it. Beside ours, the usual ones.

A mutant that no check of ours kills must be shown equivalent by ball arithmetic: its gradients overlap with those of
the original at many points, of many sizes, and where they differ on a kink, lie in the subdifferential there. What is
neither killed nor shown equivalent survives, and the bar is that none does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ..backend.registry import backend, backends
from ..data.columns import doc
from ..data.errors import BadInput
from ..ops.find import Operations, given_operations
from ..ops.operation import Operation
from ..process import child
from ..process.entry import entry_point, no_rows
from ..process.pool import Lost, Progress, lanes, work_through
from .checks import CORRECT, OURS, Answer, describe, serve

if TYPE_CHECKING:
    import pandas as pd

TIMEOUT_S = 60.0
"""How long a mutant may take; one that hangs is killed by its own slowness."""


@dataclass(frozen=True)
class KillRow:
    """One mutant before one check."""

    operation: str = doc("Name of the operation.")
    mutant: int = doc("Number of the mutant; −1 is the operation itself, which no check may kill.")
    kind: str = doc("Kind of the mistake; `correct` for the operation itself.")
    line: int = doc("Line in the operation's file; 0 where the mistake is put around the pullback.")
    change: str = doc("What was changed, as source text.")
    check: str = doc("The check; ours, or another tool's.")
    backend: str = doc("Where it ran; `exact` for ball arithmetic.")
    killed: bool = doc("Whether the check noticed.")
    equivalent: bool = doc("Whether ball arithmetic shows that the mutant is as right as the original.")
    reason: str = doc("What the check said; for an equivalent mutant, how that was shown.")
    seconds: float = doc("How long the check took.")


COLUMNS = tuple(f.name for f in fields(KillRow))


@dataclass(frozen=True)
class Work:
    """What one process does: mutants of some operations before one group of checks."""

    group: str
    """``formula``, ``equivalence``, ``ours`` or ``rivals``."""
    backend: str
    items: list[tuple[str, int]]
    """Reference of an operation, number of a mutant."""


@entry_point(no_rows(COLUMNS))
def kill_matrix(
    ops: Operations = None,
    *,
    backends: Sequence[str] | None = None,  # the public word for it
    rivals: bool = True,
    every: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Put every mutant of operations to every check and return one row for each, with the columns of :class:`KillRow`.

    Args:
        ops: operations that another process can find again, catalogue names or files; None is the whole catalogue.
        backends: names; None is every one that opens on the CPU here.
        rivals: whether the frameworks' own checkers are asked too.
        every: take every so many mutants only: a sample.
        progress: told about every finished mutant.

    Raises:
        BadInput: an unknown name, or an operation that another process cannot find.
    """
    import pandas as pd

    texts = _described(_operations(ops), every)
    items = list(texts)
    names = _present(backends)
    works = [Work("formula", "exact", items)]
    works += [Work("ours", name, items) for name in names]
    works += [Work("rivals", name, items) for name in names if rivals]
    total, count = len(items) * len(works), itertools.count(1)

    def tick(text: str) -> None:
        if progress:
            progress(next(count), total, text)

    workers = lanes()
    with ThreadPoolExecutor(workers) as pool:
        answers = [answer for each in pool.map(lambda w: _run(w, tick), works) for answer in each]
        killed = {(a.reference, a.mutant) for a in answers if a.killed and a.check in OURS}
        pending = [item for item in items if item not in killed and item[1] != CORRECT]
        chunks = [Work("equivalence", "exact", pending[i::workers]) for i in range(workers) if pending[i::workers]]
        answers += [answer for each in pool.map(lambda w: _run(w, tick), chunks) for answer in each]
    equivalent = {(a.reference, a.mutant) for a in answers if a.equivalent}
    equivalent |= {item for item in items if item[1] == CORRECT}
    rows = [
        {**asdict(answer), **texts[item], "equivalent": item in equivalent}
        for answer in answers
        for item in [(answer.reference, answer.mutant)]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["operation", "mutant"], kind="stable", ignore_index=True
    )


def _operations(ops: Operations) -> list[Operation]:
    operations = given_operations(ops)
    for op in operations:
        if not op.reference:
            raise BadInput(
                f"{op.name} lies in no file, so another process cannot find it; wanted a catalogue name or file"
            )
    return operations


def _described(ops: Sequence[Operation], every: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Let a worker make the mutants, which compiles somebody's code, and say what each of them is."""
    texts: dict[tuple[str, int], dict[str, Any]] = {}
    arguments = {"references": [op.reference for op in ops], "every": every}
    for message in child.run(child.target_of(describe), arguments):
        if isinstance(message, child.Death):
            raise BadInput(f"no mutants of {ops[message.task or 0].name}: the process that makes them {message.reason}")
        if "refused" in message:
            raise BadInput(message["refused"])
        if "end" in message:
            texts |= {(ops[message["end"]].reference, number): text for number, text in message["texts"]}
    return texts


def _present(names: Sequence[str] | None) -> list[str]:
    if names is not None:
        return [backend(name).name for name in names]
    return [b.name for b in backends().values() if "cpu" in b.devices and b.missing("cpu") is None]


def _run(work: Work, tick: Callable[[str], None]) -> list[Answer]:
    """Let one process after the other work until every mutant has been before the checks."""
    answers: list[Answer] = []
    checks = {"formula": ["formula"], "equivalence": ["further sizes"], "ours": ["number"], "rivals": []}[work.group]
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if work.backend != "exact":
        environment = backend(work.backend).environment("cpu", 1, "strict")
    timeout_s = TIMEOUT_S if work.group != "equivalence" else 10 * TIMEOUT_S

    def start(pending: list[int]) -> Iterator[Any]:
        arguments = {**asdict(work), "items": {str(i): work.items[i] for i in pending}}
        return child.run(child.target_of(serve), arguments, environment=environment, timeout_s=timeout_s)

    current: list[Answer] = []
    for message in work_through(range(len(work.items)), start):
        if isinstance(message, Lost):
            item, answered = work.items[message.task], {answer.check for answer in current}
            # A mutant that hangs or crashes did so before its formula: here the proof itself was too slow.
            died = work.group != "equivalence"
            current += [
                Answer(*item, check, work.backend, message.reason, 0.0, killed=died)
                for check in checks
                if check not in answered
            ]
        elif "checks" in message:
            checks = message["checks"]
        elif "answer" in message:
            current.append(Answer(**message["answer"]))
        elif "end" in message:
            tick(f"{work.backend}: {work.group}")
        if isinstance(message, Lost) or "end" in message:
            answers += current
            current = []
    return answers

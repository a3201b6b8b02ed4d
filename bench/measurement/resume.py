"""Going on with an unfinished run, and the code that a person lets it load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multigrad.backend import backends
from multigrad.data.errors import BadInput
from multigrad.ops.find import allowed
from multigrad.process.pool import Progress

from ..plan.cells import Plan
from ..plan.protocol import Protocol
from ..store.journal import Journal, journal_events
from ..store.run import Run
from . import worktree
from .conductor import Conductor
from .info import run_info
from .record import Record


@dataclass(frozen=True)
class Given:
    """The code that a person lets run, of what the journal of a run names."""

    files: Sequence[Path]
    """Files of operations."""
    backends: Sequence[str]
    """Names, or ``module:ATTRIBUTE``."""
    commit: str | None = None

    def reference(self, reference: str, origin: str, how: str) -> str:
        """Return a reference that may be loaded.

        Raises:
            BadInput: it names a file that was not given.
        """
        return allowed(reference, self.files, origin, how)

    def source(self, source: str, origin: str) -> str:
        """Return the source of a backend that may be loaded.

        Raises:
            BadInput: it names a module, and was not given.
        """
        if source not in backends() and source not in self.backends:
            raise BadInput(f"{origin} names the backend {source}, which is code; to let it run: --backend {source}")
        return source

    def plan(self, plan: Plan, folder: Path) -> Plan:
        """Return a plan that was read, with what may be loaded.

        Raises:
            BadInput: it names what was not given.
        """
        how = f"multigrad bench FILE --resume {folder}"
        cells = [
            replace(
                c, reference=self.reference(c.reference, str(folder), how), source=self.source(c.source, str(folder))
            )
            for c in plan.cells
        ]
        return replace(plan, cells=tuple(cells))


def resumed(folder: Path, given: Given, progress: Progress | None) -> Run:
    """Measure what an unfinished run lacks.

    Raises:
        BadInput: there is no such run, its code was not given, or this machine is another.
    """
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; wanted the folder of an unfinished run")
    journal = Journal(folder, new=False)
    try:
        begin, events = journal_events(folder)
        if not begin.plan:
            raise BadInput(
                f"{folder} is a fleet's run; multigrad run --fleet ADDRESS --resume {folder} goes on with it"
            )
        plan = given.plan(begin.plan.plan(), folder)
        _check_setting(folder, plan, begin.info, given)
        record = Record(plan, Protocol.of(begin.protocol or {}), journal, progress, [begin, *events])
        return Conductor(record, begin, folder).run()
    finally:
        journal.close()


def _check_setting(folder: Path, plan: Plan, info: dict[str, Any], given: Given) -> None:
    """Make sure that the other commit was given, and that machine and versions are those of the beginning."""
    other = info.get("against_commit")
    if other is not None:
        repository = worktree.repository(c.reference for c in plan.cells)
        if given.commit is None or worktree.commit(repository, given.commit) != other:
            raise BadInput(f"{folder} runs the code of another commit; to let it run: --against-commit {other}")
    now = run_info(plan)
    for what in ("cpu", "cores", "gpus", "python"):
        begun = info.get("host", {}).get(what)
        if begun != now["host"][what]:
            raise BadInput(f"{folder} was begun with {what} {begun!r}; here it is {now['host'][what]!r}")
    if info.get("versions") != now["versions"]:
        changed = sorted({n for n, v in {*(info.get("versions") or {}).items()} ^ {*now["versions"].items()}})
        raise BadInput(f"{folder} was begun with other versions of {', '.join(changed)}; start a new run")

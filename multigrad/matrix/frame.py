"""The check: judges operations on backends and returns the correctness matrix as a DataFrame, or raises."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ..data.errors import BadInput
from ..ops.find import Operations
from ..ops.selection import CheckSelectors, Selection
from ..process.entry import entry_point, no_rows
from ..process.pool import Progress
from ..verdict.words import FAIL, PASS, PORTABILITY
from .journal import Journal
from .plan import TIMEOUT_S, Plan
from .rows import COLUMNS, JudgedRow, failing, sentence
from .run import run

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[Sequence[Mapping[str, Any]], bool, Sequence[str]], None]
"""Called with rows as they come, whether those on the formulas are complete, and the names of all operations."""


class GradientError(AssertionError):
    """A gradient is wrong; the message says which, where and by how much."""

    __module__ = "multigrad.matrix"  # where people import it from, and what pytest prints


@entry_point(no_rows(COLUMNS))
def check(
    ops: Operations = None,
    *,
    inputs: str | os.PathLike[str] | None = None,
    timeout_s: float = TIMEOUT_S,
    order: int | Iterable[int] = 1,
    journal: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    tell: Tell | None = None,
    **selectors: Unpack[CheckSelectors],
) -> pd.DataFrame:
    """Judge operations on backends and return one row per output, with the columns of :class:`.rows.MatrixRow`.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        inputs: an .npz file with one array per input, by name, instead of drawn ones.
        timeout_s: seconds after which a worker that gives no sign is killed; as many times longer as more processes
            want to run than there are processors.
        order: of the derivatives that are judged, 1 or 2, or both: ``(1, 2)``. Of order 2, the operation of a row is
            the gradient, ``∇f``, and its outputs are ∂f/∂x, ∂²f/∂x²·v and J·v (:mod:`multigrad.ops.derived`).
        journal: a new file to which every row is written as soon as it is known.
        resume: the journal of the same check, which was interrupted. What stands in it is not computed again, unless
            the file of an operation, multigrad itself or the version of a backend has changed.
        progress: told about every cell, as it begins and as it ends.
        tell: given rows as soon as they are known. A row on a wrong formula comes twice: at once with the figures, and
            later with the name of the mistake.
        selectors: ``backend``, ``device``, ``dtype``, ``mode``, ``variant``, ``size``, ``regime``, ``seed`` and
            ``precision``, as :class:`multigrad.ops.selection.Selection` says. For a mesh the dimension that is split
            (:mod:`multigrad.backend.placement`) is rounded up to a multiple, on every backend.

    Raises:
        BadInput: an unknown name, or a file that does not fit.
    """
    for name in selectors.keys() - CheckSelectors.__annotations__:
        raise TypeError(f"check() got an unexpected keyword argument {name!r}")
    plan = Plan.make(Selection.of(ops, **selectors), inputs, timeout_s, order)
    if not plan.work:
        raise BadInput(f"nothing to compare: {_why_nothing(plan.unavailable, asked=True)}")
    with _opened(journal, resume) as kept:
        rows = _named_once(_run(plan, progress, tell, kept))
    if not any(j.row.verdict == FAIL or (j.compared and j.row.backend != "exact") for j in rows):
        raise BadInput(f"nothing was compared: {_why_nothing(rows, asked=selectors.get('backend') is not None)}")
    return _framed(rows, [op.name for op in plan.ops.values()])


def assert_gradients(
    ops: Operations, *, fail_on: str | Iterable[str] = ("inconclusive",), **options: Any
) -> pd.DataFrame:
    """Do what :func:`check` does, and raise if anything is wrong.

    Args:
        ops: as for :func:`check`.
        fail_on: what fails besides a FAIL, as for :func:`failing`.
        options: as for :func:`check`.

    Raises:
        GradientError: a verdict is one that fails; the message names operation, output, backend and figures.
        BadInput: as :func:`check`.
    """
    verdicts = failing(fail_on)
    frame = check(ops, **options)
    bad = frame[frame["verdict"].isin(verdicts)]
    if len(bad):
        raise GradientError("\n".join(sentence(row) for row in bad.to_dict("records")))
    return frame


@contextlib.contextmanager
def _opened(journal: str | os.PathLike[str] | None, resume: str | os.PathLike[str] | None) -> Iterator[Journal | None]:
    """Open the journal that is wanted, if one is."""
    if journal is not None and resume is not None:
        raise BadInput("journal and resume are both given; a check that goes on writes to the journal it goes on with")
    path = resume if journal is None else journal
    if path is None:
        yield None
        return
    with contextlib.closing(Journal(Path(path), new=journal is not None)) as opened:
        yield opened


def _run(plan: Plan, progress: Progress | None, tell: Tell | None, journal: Journal | None) -> list[JudgedRow]:
    """Carry a plan out and return its rows, each once, as it was known last."""
    rows: list[JudgedRow] = []
    undiagnosed: dict[tuple[Any, ...], int] = {}
    names = [op.name for op in plan.ops.values()]
    for batch in run(plan, progress, journal):
        for judged in batch.rows:
            if judged.undiagnosed:
                if judged.identity in undiagnosed:
                    continue  # a worker that took over from one that died has judged it again
                undiagnosed[judged.identity] = len(rows)
            elif judged.identity in undiagnosed and judged.row.verdict == FAIL:
                rows[undiagnosed.pop(judged.identity)] = judged
                continue
            rows.append(judged)
        if tell:
            tell([asdict(judged.row) for judged in batch.rows], batch.complete, names)
    return rows


def _named_once(rows: Iterable[JudgedRow]) -> list[JudgedRow]:
    """Return rows with what is not portable said once of each operation: every cell meets the same first place."""
    named: set[tuple[str, str]] = set()
    kept = []
    for judged in rows:
        if judged.row.verdict == PORTABILITY:
            key = judged.row.operation, judged.row.backend
            if key in named:
                continue
            named.add(key)
        kept.append(judged)
    return kept


def _why_nothing(rows: Iterable[JudgedRow], *, asked: bool) -> str:
    """Return the reasons that matter, each once: of the backends asked for, else of those that could be opened."""
    unjudged = [j.row for j in rows if j.row.verdict != PASS and j.row.reason]
    for beside in ("exact", None if asked else "*"):
        unjudged = [row for row in unjudged if beside not in (row.backend, row.mode)] or unjudged
    reasons: dict[str, dict[str, None]] = {}
    for row in unjudged:
        reasons.setdefault(row.reason, {})[row.backend] = None
    said = (f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return "; ".join(itertools.islice(said, 4)) or "no operation, backend, device and dtype go together"


def _framed(rows: Sequence[JudgedRow], names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    def key(judged: JudgedRow) -> tuple[Any, ...]:
        row = judged.row
        return row.operation, row.output, row.dtype, row.regime, row.sizes, row.seed

    numpy = {key(j): j.digest for j in rows if j.digest and (j.row.backend, j.row.variant) == ("numpy", "analytic")}
    equal = [numpy[key(j)] == j.digest if j.digest and key(j) in numpy else None for j in rows]
    frame = pd.DataFrame([replace(j.row, bitwise_equal_to_numpy=same) for j, same in zip(rows, equal, strict=True)])
    # Which worker was first is chance; the order of the operations is not.
    place = {name: i for i, name in enumerate(names)}
    return frame.sort_values("operation", key=lambda names: names.map(place), kind="stable", ignore_index=True)

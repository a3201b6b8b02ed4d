"""Measure operations on backends: what ``multigrad bench`` does, as a function.

This process stays idle while a worker times: it imports no array library until the last worker has ended.
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from multigrad.backend import backend as find_backend
from multigrad.backend import backends as known_backends
from multigrad.backend import device_kind
from multigrad.data.errors import BadInput
from multigrad.ops.find import Operations, allowed, files_of, given_operations
from multigrad.ops.operation import DTYPES, Operation
from multigrad.ops.selection import Precision
from multigrad.process import child as worker
from multigrad.process.entry import entry_point

from ..analysis.assemble import assemble
from ..plan import cells as planning
from ..plan.cells import Plan, Work
from ..plan.protocol import FULL, QUICK, Protocol
from ..store import files as store
from ..store import machine
from ..timing import memory
from ..timing.clock import headline
from . import worktree
from .turns import in_turns

Progress = Callable[[int, int, str], None]
"""Called with measurements done, measurements in all, and what is running: as one begins, and as it ends."""

Event = dict[str, Any]


@entry_point(store.no_run)
def measure(
    ops: Operations = None,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | Sequence[str] | None = None,
    dtype: str | Sequence[str] | None = None,
    mode: str | Sequence[str] | None = None,
    variant: str | Sequence[str] | None = None,
    size: planning.SizeGiven | Sequence[planning.SizeGiven] | None = None,
    threads: int | Sequence[int] | None = None,
    precision: Precision = "strict",
    rounds: int | None = None,
    quick: bool = False,
    protocol: Protocol | None = None,
    resume: Path | None = None,
    against: Path | None = None,
    against_commit: str | None = None,
    seed: int = 0,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
) -> store.Run:
    """Time every cell of operations × backends × devices × variants × modes × dtypes × sizes × threads.

    Unless others are named, a run has float32, every variant eager and analytic and autodiff compiled. A quick run has
    two rounds, the size ``small`` (else the middle one) and no memory; a full run five rounds, the size ``medium`` and
    the largest, and memory at the largest. Later rounds find what a compiler wrote in the first.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        backend: names, or ``module:ATTRIBUTE``; None is every backend there is.
        device: ``cpu``, ``cuda``, or a mesh of several, such as ``cuda:2``; None is every single one that is here.
        dtype: names; None is float32.
        mode: ``eager``, ``compiled``; None is both.
        variant: ``forward``, ``analytic``, ``autodiff``, ``native``; None is all.
        size: named sizes, ``largest``, or mappings such as ``{"m": 512, "n": 256}``; None is ``medium`` (else the
            middle one) and the largest (quick: ``small``, else the middle).
        threads: threads of each worker, or several counts; None is one for each physical core.
        precision: what float32 products may be computed in.
        rounds: processes per cell; None is what the protocol says.
        quick: a first look in minutes.
        protocol: other constants than those of a full or quick run.
        resume: folder of an unfinished run, whose missing cells are measured; everything but ``progress`` is taken
            from it. What of its code is neither the catalogue's nor one of the backends there are has to be given once
            more: files as ``ops``, ``module:ATTRIBUTE`` as ``backend``, and a commit as ``against_commit``.
        against: folder of an older run, whose cells (those that have a time) are measured again, by its protocol and
            seed; of the other arguments only ``ops`` and ``backend`` count, to find what is not in the catalogue.
        against_commit: a commit that measures the same cells in the same rounds, interleaved; what it found is the
            run's ``before``.
        seed: seed of inputs and orders.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results; None makes one from its GPU or processor.
        progress: told about every finished measurement.

    Returns:
        The run: its folder, ``summary`` (one row per cell) and ``samples`` (one row per block) as data frames.

    Raises:
        BadInput: an unknown name, nothing to measure, or a folder that cannot be written to.
        KeyboardInterrupt: after what was measured has been made readable.
    """
    if resume is not None:
        given = Given(files_of(ops), as_list(backend) or [], against_commit)
        return _resumed(Path(resume), given, progress)
    older = store.load_run(Path(against)) if against is not None else None
    if older is not None and len(older.machines) > 1:
        raise BadInput(f"{against} is of several machines ({', '.join(older.machines)}); wanted a run of this one")
    chosen = protocol or (QUICK if quick else Protocol.of(older.info["protocol"]) if older else FULL)
    chosen = with_rounds(chosen, rounds)
    if older is not None:
        found = given_operations(ops)
        sources = as_list(backend)
        own = older.info.get("own_operations")
        plan = planning.again(older.summary, found, sources, seed=older.info["seed"], twins=chosen.twins, own=own)
    else:
        wanted: Event = {"backend": backend, "device": device, "dtype": dtype, "mode": mode, "variant": variant}
        wanted |= {"size": size, "threads": threads, "precision": precision}
        cells = cells_of(ops, quick=quick, **wanted)
        plan = planning.of_cells(cells, twins=chosen.twins, seed=seed, quick=quick)
    more: Event = {}
    if older is not None and older.folder is not None:
        more["against"] = older.folder.name
    if against_commit is not None:
        more["against_commit"] = worktree.commit(worktree.repository(c.reference for c in plan.cells), against_commit)
    return measure_plan(plan, chosen, more=more, out=out, folder=folder, machine=machine, progress=progress)


def with_rounds(protocol: Protocol, rounds: int | None) -> Protocol:
    """Return a protocol with another number of processes per cell; None leaves it.

    Raises:
        BadInput: fewer than one.
    """
    if rounds is None:
        return protocol
    if rounds < 1:
        raise BadInput(f"rounds is {rounds}; wanted at least 1")
    return replace(protocol, rounds=rounds)


def cells_of(
    ops: Operations = None,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | Sequence[str] | None = None,
    dtype: str | Sequence[str] | None = None,
    mode: str | Sequence[str] | None = None,
    variant: str | Sequence[str] | None = None,
    size: planning.SizeGiven | Sequence[planning.SizeGiven] | None = None,
    threads: int | Sequence[int] | None = None,
    precision: Precision = "strict",
    quick: bool = False,
) -> dict[planning.Cell, planning.Refusal | None]:
    """Return the cells that :func:`measure` would measure for these arguments, each with why it is refused, or None."""
    return planning.cells(
        given_operations(ops),
        backends=as_list(backend),
        devices=as_list(device),
        dtypes=_dtypes(as_list(dtype)),
        variants=as_list(variant),
        modes=as_list(mode),
        sizes=as_list(size),
        threads=thread_counts(threads),
        precision=precision,
        quick=quick,
    )


def measure_plan(
    plan: Plan,
    chosen: Protocol,
    *,
    more: Mapping[str, Any] | None = None,
    out: Path | None = None,
    folder: Path | None = None,
    machine: str | None = None,
    progress: Progress | None = None,
) -> store.Run:
    """Measure the cells of a plan; the arguments are those of :func:`measure`.

    Args:
        plan: the cells.
        chosen: the constants.
        more: what ``run.json`` shall say besides.
        out: folder that holds ``<machine>/<run>/``; a new run is made in it.
        folder: the run's own folder, instead of ``out``; with neither nothing is kept.
        machine: name of this machine in the results.
        progress: told about every finished measurement.
    """
    info = {**_info(plan), **(more or {})}
    with _folder(out, folder, machine or _machine_name(plan, info)) as place:
        kept = place if out is not None or folder is not None else None
        return Conductor(plan, chosen, store.Journal(place, new=True), place, kept, progress, [], info).run()


def events_of(plan: Plan, chosen: Protocol, progress: Progress | None = None) -> list[Event]:
    """Measure the cells of a plan and return what a journal would hold; nothing is kept here."""
    info = _info(plan)
    with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
        place = Path(scratch)
        conductor = Conductor(plan, chosen, store.Journal(place, new=True), place, None, progress, [], info)
        conductor.run()
    return conductor.events


def as_list(values: Any) -> list[Any] | None:
    """Return one value as a list of it, several as a list, and None as it is."""
    if values is None:
        return None
    return [values] if isinstance(values, str | int | Operation | Mapping) else list(values)


def _dtypes(names: list[str] | None) -> Sequence[str]:
    for name in names or ():
        if name not in DTYPES:
            raise BadInput(f"no dtype named {name!r}; there are {', '.join(DTYPES)}")
    return names or planning.DEFAULT_DTYPES


def thread_counts(threads: int | Sequence[int] | None) -> list[int]:
    """Return the counts of threads that are asked for; of None one for each physical core.

    Raises:
        BadInput: more than there are processors, or fewer than one.
    """
    counts = as_list(threads) or [len(machine.physical_cpus())]
    for count in counts:
        if not 1 <= count <= len(machine.allowed_cpus()):
            raise BadInput(f"threads is {count}; wanted 1 to {len(machine.allowed_cpus())}, the processors there are")
    return counts


def _info(plan: Plan) -> Event:
    distributions = {d for c in plan.cells for d in find_backend(c.source).distributions}
    return {
        "schema": store.SCHEMA,
        "command": machine.command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": plan.seed,
        "precision": " ".join(sorted({c.precision for c in plan.cells})),
        "threads": sorted({c.threads for c in plan.cells}),
        "git": machine.git_state(),
        "host": machine.describe(),
        "versions": machine.versions(distributions),
        # Their files, for another run may have the catalogue's of the same name.
        "own_operations": {
            c.operation: Path(c.reference.partition("::")[0]).name for c in plan.cells if c.reference != c.operation
        },
        "environment": machine.environment_that_matters(os.environ),
    }


def _machine_name(plan: Plan, info: Event) -> str:
    measured = {device_kind(c.device) for i, c in enumerate(plan.cells) if i not in plan.refused}
    return machine.machine_name(info["host"], "cuda" in measured)


@contextlib.contextmanager
def _folder(out: Path | None, folder: Path | None, name: str) -> Iterator[Path]:
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder with --out") from error
        store.check_writable(Path(folder))
        yield Path(folder)
    elif out is not None:
        yield store.new_run(Path(out), machine.slug(name))
    else:
        with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
            yield Path(scratch)


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
        if source not in known_backends() and source not in self.backends:
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


def _resumed(folder: Path, given: Given, progress: Progress | None) -> store.Run:
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; wanted the folder of an unfinished run")
    journal = store.Journal(folder, new=False)
    try:
        return _gone_on_with(folder, journal, given, progress)
    finally:
        journal.close()


def _gone_on_with(folder: Path, journal: store.Journal, given: Given, progress: Progress | None) -> store.Run:
    if "portions" in next(store.journal_events(folder)):
        raise BadInput(f"{folder} is a fleet's run; multigrad run --fleet ADDRESS --resume {folder} goes on with it")
    events = store.read_journal(folder)
    info = events[0]["info"]
    plan = given.plan(Plan.from_json(events[0]["plan"]), folder)
    other = info.get("against_commit")
    if other is not None:
        repository = worktree.repository(c.reference for c in plan.cells)
        if given.commit is None or worktree.commit(repository, given.commit) != other:
            raise BadInput(f"{folder} runs the code of another commit; to let it run: --against-commit {other}")
    now = _info(plan)
    for what in ("cpu", "cores", "gpus", "python"):
        begun = info.get("host", {}).get(what)
        if begun != now["host"][what]:
            raise BadInput(f"{folder} was begun with {what} {begun!r}; here it is {now['host'][what]!r}")
    if info.get("versions") != now["versions"]:
        changed = sorted({n for n, v in {*(info.get("versions") or {}).items()} ^ {*now["versions"].items()}})
        raise BadInput(f"{folder} was begun with other versions of {', '.join(changed)}; start a new run")
    protocol = Protocol.of(events[0]["protocol"])
    return Conductor(plan, protocol, journal, folder, folder, progress, events, info).run()


@dataclass
class Conductor:
    """Runs the workers of a plan, round by round and in turns, and writes down what they say."""

    plan: Plan
    protocol: Protocol
    journal: store.Journal
    place: Path
    kept: Path | None
    progress: Progress | None
    events: list[Event]
    """What the journal holds already."""
    info: Event
    references: dict[int, str] = field(default_factory=dict)
    """By index of the cell, the file with its inputs and reference."""
    scratch: Path = Path()
    other: worktree.Tree | None = None
    """The commit that measures the same cells, if one was asked for."""
    noting: threading.Lock = field(default_factory=threading.Lock)
    answers: dict[int, list[Event]] = field(default_factory=dict)
    """By index of the cell, what its workers said: the events again, so that nobody looks through all of them."""
    ended: int = 0
    """Measurements that have ended."""
    begun: dict[tuple[int, int], float] = field(default_factory=dict)
    """By index and twin of a cell, when its last worker began it, in seconds since 1970."""

    def __post_init__(self) -> None:
        """Heed what the journal holds already."""
        for event in self.events:
            self._heed(event)

    def run(self) -> store.Run:
        """Measure what is missing and return the run; also when interrupted, what there is becomes readable."""
        started = time.perf_counter()
        state = "interrupted"
        try:
            with tempfile.TemporaryDirectory(prefix="multigrad-", ignore_cleanup_errors=True) as scratch:
                self.scratch = Path(scratch)
                if not self.events:
                    plan, protocol = self.plan.to_json(), asdict(self.protocol)
                    self._note({"event": "run", "info": self.info, "plan": plan, "protocol": protocol})
                with self._other_commit() as self.other:
                    self._measure()
            state = "complete"
        finally:
            try:
                self._note({"event": "wall", "wall_s": time.perf_counter() - started})
                self._note({"event": "end", "state": state})
            finally:
                self.journal.close()
            run = assemble(self.events, self.kept)
            store.write_run(run)
        # Everything is in the tables now; an unfinished run keeps its journal to go on from.
        (self.place / store.JOURNAL).unlink(missing_ok=True)
        return run

    def _note(self, event: Event) -> None:
        with self.noting:
            self.journal.append(event)
            self.events.append(event)
            self._heed(event)

    def _heed(self, event: Event) -> None:
        self.ended += event["event"] in ("cell", "memory")
        if event["event"] == "cell":
            self.answers.setdefault(event["cell"], []).append(event)

    @contextlib.contextmanager
    def _other_commit(self) -> Iterator[worktree.Tree | None]:
        revision = self.info.get("against_commit")
        if revision is None:
            yield None
            return
        repository = worktree.repository(c.reference for c in self.plan.cells)
        with worktree.checked_out(repository, revision, self.scratch) as tree:
            yield tree

    def _measure(self) -> None:
        wanted = [i for i in range(len(self.plan.cells)) if i not in self.plan.refused]
        rounds = self.protocol.rounds
        memorable = self._memorable(wanted) if self.protocol.memory else []
        sides = 1 if self.other is None else 2
        self.total = rounds * (sides * len(wanted) + len(self.plan.twins)) + len(memorable)
        with self._spending("references"):
            self._find_references(wanted)
        for number in range(rounds + self.protocol.extra_rounds):
            alive = [i for i in wanted if not self._failed(i)]
            if number >= rounds:
                alive = [i for i in alive if self._unstable(i)]
            twins = [i for i in self.plan.twins if not self._failed(i)] if number < rounds else []
            other = [i for i in alive if not self._failed(i, other=True)] if self.other else []
            items = planning.work(self.plan, number, alive, twins, other)
            places = planning.places(self.plan, number)
            works = [self._work(planning.without(item, self._finished(item)), places) for item in items]
            with self._spending("workers"):
                # How long a framework takes to begin is measured in the first round, where each begins alone.
                in_turns(works, together=len(machine.physical_cpus()) if number else 1)
        known = {e["cell"] for e in self.events if e["event"] == "memory"}
        with self._spending("memory"):
            self._measure_memory([i for i in memorable if i not in known and not self._failed(i)])

    def _memorable(self, wanted: Sequence[int]) -> Sequence[int]:
        """Return the cells whose memory tells something.

        Left out are the forward part, whose memory is part of what its gradient needs, where that is measured too, and
        the smaller of two sizes: how memory grows is the question of a sweep.
        """
        gradients = [i for i in wanted if self.plan.cells[i].variant != "forward"] or wanted
        sizes: dict[str, dict[tuple[tuple[str, Any], ...], int]] = {}
        for i in gradients:
            cell = self.plan.cells[i]
            sizes.setdefault(cell.operation, {})[cell.size] = math.prod(n for _, n in cell.size if isinstance(n, int))
        kept = {
            op: set(found) if len(found) > 2 else {max(found, key=found.__getitem__)} for op, found in sizes.items()
        }
        return [i for i in gradients if self.plan.cells[i].size in kept[self.plan.cells[i].operation]]

    @contextlib.contextmanager
    def _spending(self, what: str) -> Iterator[None]:
        """Write down how long something took."""
        started = time.perf_counter()
        yield
        self._note({"event": "spent", "what": what, "seconds": time.perf_counter() - started})

    def _answers(self, index: int) -> Iterable[Event]:
        return self.answers.get(index, ())

    def _finished(self, item: Work) -> set[int]:
        process = (item.round, item.twin)
        return {i for i in item.cells if any((e["round"], e["twin"]) == process for e in self._answers(i))}

    def _failed(self, index: int, *, other: bool = False) -> bool:
        # What was wrong, missing or deadly once is not tried again in the next round.
        return any((e["twin"] == planning.OTHER) == other and "blocks" not in e for e in self._answers(index))

    def _unstable(self, index: int) -> bool:
        kind = headline(self.plan.cells[index].device)
        medians = [
            statistics.median(seconds / calls for k, calls, seconds, *_ in e["blocks"] if k == kind)
            for e in self._answers(index)
            if e["twin"] == 0 and "blocks" in e
        ]
        if len(medians) < 2:
            return False
        low, _, high = statistics.quantiles(medians, n=4, method="inclusive")
        return bool(high - low > self.protocol.spread_between * statistics.median(medians))

    def _find_references(self, wanted: Collection[int]) -> None:
        files: dict[tuple[Any, ...], tuple[int, Event]] = {}
        users: dict[int, list[int]] = {}
        for i in wanted:
            cell = self.plan.cells[i]
            path = str(self.scratch / f"reference-{len(files)}.npz")
            known = {"reference": cell.reference, "size": dict(cell.size), "seed": self.plan.seed}
            known |= {"dtype": cell.dtype, "precision": cell.precision}
            same = (cell.reference, cell.size, cell.dtype, cell.precision)
            number, entry = files.setdefault(same, (len(files), {**known, "path": path, "variants": []}))
            entry["variants"] = sorted({*entry["variants"], cell.variant})
            users.setdefault(number, []).append(i)
            self.references[i] = entry["path"]
        pending = dict(files.values())
        while pending:
            order = list(pending)
            arguments = {"wanted": [pending[i] for i in order]}
            for message in worker.run(
                "multigrad.bench.timing.gate:prepare", arguments, timeout_s=self.protocol.cell_timeout_s
            ):
                if isinstance(message, worker.Death):
                    lost = order[message.task or 0]
                    del pending[lost]
                    for i in users[lost]:
                        self._fail(i, 0, 0, "INCONCLUSIVE", f"no reference: {message.reason}")
                elif "begin" in message:
                    self._tick(f"the truth of {self.plan.cells[users[order[message['begin']]][0]].operation}")
                elif "end" in message:
                    lost = order[message["end"]]
                    del pending[lost]
                    for i in users[lost]:
                        model = message["costs"][self.plan.cells[i].variant]
                        self._note({"event": "cost", "cell": i, "model": model})

    def _fail(self, index: int, round: int, twin: int, verdict: str, reason: str, *, died: bool = False) -> None:
        event = {"event": "cell", "cell": index, "round": round, "twin": twin, "verdict": verdict, "reason": reason}
        self._note({**event, "died": died, **self._span(index, twin)})

    def _span(self, index: int, twin: int) -> Event:
        """Return when a worker began a cell and when it ended; the turns of others lie between."""
        now = time.time()
        return {"began": self.begun.pop((index, twin), now), "ended": now}

    def _work(self, item: Work, places: Sequence[int]) -> Generator[int]:
        """Let workers measure until no cell is left: one that dies costs the cell it was at.

        Yields the place of the cell they are at, whenever others may have their turn.
        """
        stillborn = 0
        while item.cells:
            begun = False
            with contextlib.closing(self._run(item)) as messages:
                for message in messages:
                    if isinstance(message, worker.Death):
                        begun = begun or message.task is not None
                        if message.task is not None:
                            self._fail(
                                message.task, item.round, item.twin, "FAIL", f"worker {message.reason}", died=True
                            )
                        stillborn = 0 if begun else stillborn + 1
                        reason = f"worker {message.reason}"
                    elif "unavailable" in message:
                        for i in item.cells:
                            self._fail(i, item.round, item.twin, "UNAVAILABLE", message["unavailable"])
                    elif "turn" in message:
                        yield places[message["turn"]]
                    else:
                        begun = begun or "begin" in message
                        self._hear(item, message)
            item = planning.without(item, self._finished(item))
            # Twice dead before its first cell: it is not the cells.
            if stillborn == 2:
                for i in item.cells:
                    self._fail(i, item.round, item.twin, "FAIL", reason, died=True)
                return

    def _run(self, item: Work) -> Generator[Event | worker.Death]:
        cells = {str(i): self.plan.cells[i].to_json() for i in item.cells}
        if self.other is not None and item.twin == planning.OTHER:
            for cell in cells.values():
                cell["reference"] = self.other.reference(cell["reference"])
        arguments = {
            **self._arguments(item, cells),
            "calls": {key: self._calls(int(key)) for key in cells},
            "peaks": self._peaks_wanted(item),
        }
        environment = self._environment(item, self._cache(item), self.protocol.share_compiled)
        timeout_s = self.protocol.cell_timeout_s
        cpus = _cpus(item.threads)
        target = "multigrad.bench.worker:measure"
        root = self.other.root if self.other is not None and item.twin == planning.OTHER else None
        yield from worker.run(target, arguments, environment=environment, cpus=cpus, timeout_s=timeout_s, root=root)

    def _cache(self, item: Work) -> str:
        """Return the name of the folder in which compilers find what earlier workers compiled."""
        # Another commit never finds what this one compiled.
        common = self.protocol.share_compiled
        return f"{item.backend}-{item.twin == planning.OTHER}" if common else f"{item.backend}-{item.round}-{item.twin}"

    def _arguments(self, item: Work, cells: Mapping[str, Any]) -> Event:
        return {
            "protocol": asdict(self.protocol),
            "source": item.source,
            "device": item.device,
            "threads": item.threads,
            "precision": item.precision,
            "cells": cells,
            "references": {key: self.references[int(key)] for key in cells},
            "judged": self._judged(),
        }

    def _judged(self) -> dict[str, list[Any]]:
        """Return what the gate found so far, by the digest of the outputs that it saw."""
        # A GAP is what the gate's FAIL is called on one backend: the same bits from another one are judged anew.
        every = (e for mine in list(self.answers.values()) for e in mine)
        judged = (e for e in every if "digest" in e and e["verdict"] != "GAP")
        return {e["digest"]: [e["verdict"], e["ratio"], e["reason"]] for e in judged}

    def _environment(self, item: Work, name: str, caches: bool) -> dict[str, str | None]:
        # Compilers write below the folder for temporary files: an own one is empty, and goes with the run.
        temporary = self.scratch / machine.slug(f"{name} {item.device} {item.threads}")
        temporary.mkdir(exist_ok=True)
        one = find_backend(item.source)
        return {
            **dict.fromkeys(machine.UNSET_VARIABLES),
            **one.environment(item.device, item.threads, item.precision, caches=caches),  # type: ignore[arg-type]
            "TMPDIR": str(temporary),
        }

    def _calls(self, index: int) -> dict[str, int] | None:
        """Return the calls per block that an earlier process found: what round 0 fixes holds for all."""
        return next((e["calls"] for e in self._answers(index) if "calls" in e), None)

    def _peaks_wanted(self, item: Work) -> Event | None:
        if item.twin or item.round >= self.protocol.peak_rounds:
            return None
        found = [e for e in self.events if e["event"] == "peaks" and e["round"] == item.round]
        here = [e for e in found if (e["device"], e["threads"]) == (item.device, item.threads)]
        if any(e["backend"] == item.backend and e["precision"] == item.precision for e in here):
            return None
        dtypes = sorted({c.dtype for i in item.cells for c in [self.plan.cells[i]]})
        return {"dtypes": dtypes, "bandwidth": not any(e["bandwidth"] for e in here)}

    def _hear(self, item: Work, message: Event) -> None:
        where = {"round": item.round, "twin": item.twin}
        group = f"{item.backend} {item.device} {item.threads} {item.precision}"
        if "worker" in message:
            self._note({"event": "worker", **where, "group": group, "facts": message["worker"]})
        elif "peaks" in message:
            place = {"backend": item.backend, "device": item.device, "threads": item.threads}
            self._note({"event": "peaks", **where, **place, "precision": item.precision, **message["peaks"]})
        elif "begin" in message:
            self.begun[message["begin"], item.twin] = time.time()
            self._tick(f"{self.plan.cells[message['begin']].text}, round {item.round + 1}")
        elif "end" in message:
            answer = {k: v for k, v in message.items() if k != "end"} | self._span(message["end"], item.twin)
            self._note({"event": "cell", "cell": message["end"], **where, "group": group, **answer})
            self._tick(f"{self.plan.cells[message['end']].text}, round {item.round + 1}")

    def _tick(self, text: str) -> None:
        if self.progress:
            self.progress(self.ended, max(self.ended, self.total), text)

    def _measure_memory(self, indices: Sequence[int]) -> None:
        """Measure the memory of cells, as many side by side as there are cores: nothing is timed. A device is one."""
        on_cpu = all(device_kind(self.plan.cells[i].device) == "cpu" for i in indices)
        with ThreadPoolExecutor(len(machine.physical_cpus()) if on_cpu else 1) as threads:
            try:
                answers = [threads.submit(self._memory, i) for i in indices]
                for i, answer in zip(indices, answers, strict=True):
                    self._note({"event": "memory", "cell": i, **answer.result()})
                    self._tick(f"memory of {self.plan.cells[i].text}")
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _memory(self, index: int) -> Event:
        cell = self.plan.cells[index]
        item = Work(cell.source, cell.backend, cell.device, cell.threads, cell.precision, 0, 0, (index,))
        arguments = self._arguments(item, {str(index): cell.to_json()})
        # Compile time is not measured here, so what the timing workers compiled may be found again.
        environment = {**self._environment(item, self._cache(item), True), **memory.ENVIRONMENT}
        target = "multigrad.bench.worker:measure_memory"
        answer: Event = {"peak_bytes": None, "reason": "the worker said nothing"}
        limits = {"cpus": _cpus(item.threads), "timeout_s": self.protocol.cell_timeout_s}
        for message in worker.run(target, arguments, environment=environment, **limits):  # type: ignore[arg-type]
            if isinstance(message, worker.Death):
                answer = {"peak_bytes": None, "reason": message.reason}
            elif "end" in message:
                answer = {"peak_bytes": message.get("peak_bytes"), "reason": message["reason"]}
        return answer


def _cpus(threads: int) -> list[int]:
    cores = machine.physical_cpus()
    return (cores if threads <= len(cores) else machine.allowed_cpus())[:threads]

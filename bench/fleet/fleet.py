"""A run over a fleet: Dask workers on many machines measure portions of it, and what comes back is one run.

A portion is one operation on one kind of device: all backends, modes, variants, dtypes and sizes whose times are
compared, so one machine measures it, by the code that measures a run of one machine. What a machine needs is multigrad
in the client's version and a worker that says what it offers: ``dask worker ADDRESS --nthreads 1 --resources "cpu=1"``,
or ``gpu=1``; ``"cpu=1 atlas=1"`` is a machine that ``machine="atlas"`` asks for.

A portion is finished when its answer stands in the journal here. A machine that is lost costs the portion it was at,
which goes to another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import gzip
import json
import os
import queue
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import multigrad
from multigrad.backend import THREAD_VARIABLES, backends, device_kind
from multigrad.data.errors import BadInput, one_line
from multigrad.matrix.frame import check
from multigrad.matrix.plan import Plan
from multigrad.ops.find import Operations, files_of, given_operations
from multigrad.ops.selection import Precision, Selection
from multigrad.process.entry import entry_point

from ..analysis.assemble import Event
from ..measurement import measure
from ..measurement.job import checked_dtypes, chosen_operations
from ..measurement.measure import Progress, as_list
from ..plan import cells as planning
from ..plan.protocol import FULL, QUICK, Protocol
from ..report.writing import write_reports
from ..store import files as store
from ..store import machine as machines

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""
LOOK_S, LOOK_SHARE = 1.0, 0.01
"""How often the machines are counted: at most once a second, and for no more than this share of the time."""
PATIENCE_S = 60.0
"""Without a machine of a kind for so long, its portions are given up: a worker that a nanny restarts is back sooner."""

DIED, GONE = "FAIL", "UNAVAILABLE"
"""The verdicts of portions that came to nothing: at which machines died; for which no machine is left."""


@dataclass(frozen=True)
class Portion:
    """What one machine measures: one operation on one kind of device."""

    number: int
    reference: str
    """How a worker finds the operation."""
    operation: str
    tag: str
    """What the machine offers: ``cpu`` or ``gpu``."""
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What all portions have in common; the fields are arguments of :func:`run_fleet`."""

    backend: list[str] | None
    asked: bool
    """Whether devices were asked for; if not, a backend that does not know a device need not say so."""
    dtype: list[str] | None
    mode: list[str] | None
    variant: list[str] | None
    size: list[str] | None
    threads: int | None
    precision: Precision
    quick: bool
    seed: int
    machine: str | None
    protocol: Mapping[str, Any]

    def examine(self, ops: Sequence[multigrad.Operation], devices: list[str] | None) -> None:
        """Make sure that the names are names, before anything is handed out.

        Raises:
            BadInput: one is not.
        """
        Plan.make(
            Selection.of(
                ops,
                backend=self.backend,
                device=devices,
                dtype=self.dtype,
                mode=self.mode,
                variant=self.judged,
                seed=self.seed,
                precision=self.precision,
            )
        )
        planning.cells(
            ops,
            backends=self.backend,
            devices=devices,
            dtypes=self.dtype or planning.DEFAULT_DTYPES,
            variants=self.variant,
            modes=self.mode,
            sizes=self.size,
            threads=[1],
            precision=self.precision,
            quick=self.quick,
        )

    @property
    def judged(self) -> list[str] | None:
        """The variants that have rows in the matrix."""
        return None if self.variant is None else [name for name in self.variant if name != "forward"] or None

    def cells(self, portion: Portion, threads: int) -> dict[planning.Cell, planning.Refusal | None]:
        """Return the cells of a portion, each with why it is refused here, or None."""
        return planning.cells(
            given_operations(portion.reference),
            backends=self.backends(portion.devices),
            devices=portion.devices,
            dtypes=self.dtype or planning.DEFAULT_DTYPES,
            variants=self.variant,
            modes=self.mode,
            sizes=self.size,
            threads=[threads],
            precision=self.precision,
            quick=self.quick,
        )

    def backends(self, devices: Sequence[str]) -> list[str]:
        """Return the backends of a portion: those that were asked for, of these the ones that know its devices."""
        from multigrad.backend import backend as find_backend

        names = [*backends()] if self.backend is None else self.backend
        return [name for name in names if self.asked or {*devices} & {*find_backend(name).devices}]


@entry_point(store.no_run)
def run_fleet(
    ops: Operations = None,
    *,
    address: str,
    backend: Sequence[str] | None = None,
    device: Sequence[str] | None = None,
    dtype: Sequence[str] | None = None,
    mode: Sequence[str] | None = None,
    variant: Sequence[str] | None = None,
    size: Sequence[str] | None = None,
    threads: int | None = None,
    precision: Precision = "strict",
    quick: bool = False,
    seed: int = 0,
    out: Path = Path("results"),
    machine: str | None = None,
    protocol: Protocol | None = None,
    resume: Path | None = None,
    progress: Progress | None = None,
    patience_s: float = PATIENCE_S,
) -> store.Run:
    """Check and time operations on the machines of a Dask cluster, and write one run into ``out/fleet/<run>/``.

    Operations and backends of one's own have to be found under the same names on every machine.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        address: of the scheduler, ``tcp://host:port``.
        backend: names, or ``module:ATTRIBUTE``; None is every backend there is.
        device: names; None is every kind that a machine of the fleet offers.
        dtype: names; None is float32 for times, and for the matrix every one that operation and backend have.
        mode: ``eager``, ``compiled``; None is both.
        variant: ``forward``, ``analytic``, ``autodiff``, ``native``; None is all.
        size: named sizes, or ``largest``; None is what a run of one machine times.
        threads: threads of each worker; None is one for each physical core of the machine that measures.
        precision: what float32 products may be computed in.
        quick: a first look in minutes.
        seed: seed of inputs and orders.
        out: folder that holds ``fleet/<run>/``.
        machine: a tag that the machines must offer besides ``cpu`` or ``gpu``: the name of one, or of several.
        protocol: other constants than those of a full or quick run.
        resume: folder of an unfinished run of a fleet, whose missing portions are measured; of the other arguments only
            ``address``, ``progress`` and ``patience_s`` count, and ``ops`` and ``backend``, which let code run that the
            run names, as :func:`.measure.measure` says.
        progress: told of every portion that comes back.
        patience_s: how long a kind of machine may be missing before its portions are given up, in seconds.

    Returns:
        The run, with its matrix.

    Raises:
        BadInput: a bad name, no scheduler at the address, versions that differ, no machine that offers what is asked
            for, or a scheduler that is lost: what is finished is readable then, and ``resume`` goes on.
    """
    with connected(address) as client:
        agree(client)
        if resume is not None:
            given = measure.Given(files_of(ops), as_list(backend) or [])
            fleet = _resumed(client, Path(resume), given, progress, patience_s)
        else:
            chosen = chosen_operations(ops, quick=quick)
            request = Request(
                backend=as_list(backend),
                asked=device is not None,
                dtype=as_list(dtype),
                mode=as_list(mode),
                variant=as_list(variant),
                size=as_list(size),
                threads=threads,
                precision=precision,
                quick=quick,
                seed=seed,
                machine=machine,
                protocol=asdict(protocol or (QUICK if quick else FULL)),
            )
            request.examine(chosen, as_list(device))
            portions = _portions(chosen, request, as_list(device), offered(client))
            folder = store.new_run(Path(out), "fleet")
            fleet = Fleet(client, request, portions, store.Journal(folder, new=True), folder, progress, patience_s)
        run = fleet.run()
    write_reports(fleet.folder)
    return run


# The cluster


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """Give a client of the scheduler at an address.

    Raises:
        BadInput: Dask is not installed, the address is none, or nobody answers.
    """
    try:
        import distributed
    except ImportError as error:
        raise BadInput('a fleet needs Dask, not installed; pip install "multigrad[dask]"') from error
    if not re.fullmatch(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^\s/:\[\]]+):\d{1,5}", address):
        raise BadInput(f"{address!r} is no address of a scheduler; wanted tcp://host:port, as dask scheduler prints it")
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"no scheduler answers at {address}: {one_line(error)}; dask scheduler starts one") from error
    try:
        yield client
    finally:
        # One that has lost its scheduler has nobody to say goodbye to.
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=CONNECT_S)


def facts() -> dict[str, str]:
    """Return the versions that client and workers have to share, here."""
    import distributed

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, "distributed": distributed.__version__, "multigrad": multigrad.__version__}


def agree(client: Client) -> None:
    """Make sure that scheduler and workers have the client's versions.

    Raises:
        BadInput: one has not, or a worker has no multigrad; the message names both versions.
    """
    ours = facts()
    there = client.get_versions()["scheduler"]
    _same(ours, {"distributed": there["packages"]["distributed"]}, "the scheduler")
    for worker, found in client.run(facts, on_error="return").items():
        if isinstance(found, BaseException):
            raise BadInput(
                f"the worker {worker} cannot run multigrad: {one_line(found)}; pip install "
                f'"multigrad[dask]=={ours["multigrad"]}" there'
            )
        _same(ours, found, f"the worker {worker}")


def _same(ours: Mapping[str, str], theirs: Mapping[str, str], who: str) -> None:
    differ = [f"{name} {found}, here it is {ours[name]}" for name, found in theirs.items() if found != ours[name]]
    if differ:
        raise BadInput(f"{who} has {'; '.join(differ)}: install the same version in both places")


def offered(client: Client) -> Counter[frozenset[str]]:
    """Return how many workers offer each set of tags."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return Counter(frozenset(tag for tag, count in w["resources"].items() if count >= 1) for w in workers)


def _count(found: Counter[frozenset[str]], wanted: set[str]) -> int:
    return sum(count for tags, count in found.items() if wanted <= tags)


def kind_of(device: str) -> str:
    """Return the tag of the machines that have a device."""
    return "gpu" if device_kind(device) == "cuda" else "cpu"


def _tags(tag: str, machine: str | None) -> set[str]:
    return {tag, machine} if machine else {tag}


def _portions(
    ops: Sequence[multigrad.Operation],
    request: Request,
    device: list[str] | None,
    found: Counter[frozenset[str]],
) -> list[Portion]:
    """Return the portions: one for each operation and kind of device that is asked for, or else offered."""
    kinds: dict[str, list[str]] = {}
    for name in device or ("cpu", "cuda"):
        if device is not None or _count(found, _tags(kind_of(name), request.machine)):
            kinds.setdefault(kind_of(name), []).append(name)
    for tag in kinds or ("cpu",):
        wanted = _tags(tag, request.machine)
        if not _count(found, wanted):
            there = "; ".join(f"{count} offer {' '.join(sorted(tags)) or 'nothing'}" for tags, count in found.items())
            needed = " ".join(f"{one}=1" for one in sorted(wanted))
            raise BadInput(
                f"no worker offers {' and '.join(sorted(wanted))} (of {found.total()} workers: {there or 'none'}); "
                f'dask worker ADDRESS --nthreads 1 --resources "{needed}" starts one'
            )
    for op in ops:
        if not op.reference:
            raise BadInput(f"{op.name} cannot be found by another process; define it at the top of a file")
    known = {tag: devices for tag, devices in kinds.items() if request.backends(devices)}
    if not known:
        raise BadInput(f"nothing to measure: no backend that was asked for knows {', '.join(kinds)}")
    wanted_portions = [(op, tag) for op in ops for tag in known]
    return [Portion(i, op.reference, op.name, tag, tuple(known[tag])) for i, (op, tag) in enumerate(wanted_portions)]


# The coordinator's side


def _resumed(client: Client, folder: Path, given: measure.Given, progress: Progress | None, patience_s: float) -> Fleet:
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; wanted the folder of an unfinished run")
    journal = store.Journal(folder, new=False)
    events = store.journal_events(folder)
    begin = next(events)
    if "portions" not in begin:
        journal.close()
        raise BadInput(f"{folder} is no fleet's run; multigrad bench --resume {folder} goes on with it")
    portions = [Portion(**{**p, "devices": tuple(p["devices"])}) for p in begin["portions"]]
    for portion in portions:
        given.reference(portion.reference, str(folder), f"multigrad run FILE --fleet ADDRESS --resume {folder}")
    for source in begin["request"]["backend"] or ():
        given.source(source, str(folder))
    finished = {e["number"] for e in events if e["event"] == "portion" and not e.get("gone")}
    return Fleet(client, Request(**begin["request"]), portions, journal, folder, progress, patience_s, begin, finished)


@dataclass
class Fleet:
    """Hands out the portions of a run, and writes down what comes back."""

    client: Client
    request: Request
    portions: Sequence[Portion]
    journal: store.Journal
    folder: Path
    progress: Progress | None
    patience_s: float
    begin: Event | None = None
    """The journal's first event, if there is one already."""
    finished: set[int] = field(default_factory=set)
    """Numbers of the portions that it holds."""
    running: dict[str, tuple[Portion, Future]] = field(default_factory=dict)
    """By the future's key, what is at a machine."""
    at_work: Counter[str] = field(default_factory=Counter)
    """How many of these there are of each tag."""
    ended: int = 0
    """Portions that have come back, or to nothing."""
    done: queue.SimpleQueue[Future] = field(default_factory=queue.SimpleQueue)
    """What has come to an end, whichever, and was not looked at yet."""

    def run(self) -> store.Run:
        """Measure what is missing and return the run; whatever happens, what there is becomes readable."""
        started = time.perf_counter()
        state = "interrupted"
        try:
            if self.begin is None:
                portions = [asdict(portion) for portion in self.portions]
                begin = {"event": "run", "info": self._info(), "portions": portions, "request": asdict(self.request)}
                self.journal.append(begin)
            state = "complete" if self._hand_out() else state
        finally:
            try:
                self.journal.append({"event": "wall", "wall_s": time.perf_counter() - started})
                self.journal.append({"event": "end", "state": state})
            finally:
                self.journal.close()
            # From the disk: what is handed out may be more than memory holds at once.
            run = store.rebuild(self.folder)
        if state == "complete":
            (self.folder / store.JOURNAL).unlink(missing_ok=True)
        return run

    def _info(self) -> Event:
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return {"schema": store.SCHEMA, "command": machines.command(), "started": started, "seed": self.request.seed}

    def _hand_out(self) -> bool:
        """Hand out what is not finished, as much at a time as there are machines; tell whether all of it came back."""
        waiting = {
            tag: deque(p for p in self.portions if p.tag == tag and p.number not in self.finished)
            for tag in dict.fromkeys(p.tag for p in self.portions)
        }
        self.ended = len(self.finished)
        missing_since: dict[str, float] = {}
        look_at, complete = 0.0, True
        try:
            while self.running or any(waiting.values()):
                if time.monotonic() >= look_at:
                    started = time.monotonic()
                    found = self._look()
                    took = time.monotonic() - started
                    look_at = started + max(LOOK_S, took / LOOK_SHARE)
                for tag, left in waiting.items():
                    room = _count(found, _tags(tag, self.request.machine)) - self.at_work[tag]
                    for _ in range(min(room, len(left))):
                        self._hand(left.popleft())
                    if self._given_up(tag, found, missing_since) and (left or self.at_work[tag]):
                        complete = False
                        self._give_up(tag, left)
                with contextlib.suppress(queue.Empty):
                    self._take(self.done.get(timeout=LOOK_S))
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is gone has forgotten them already
                self.client.cancel([future for _, future in self.running.values()])
        return complete

    def _look(self) -> Counter[frozenset[str]]:
        try:
            return offered(self.client)
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def _lost(self) -> BadInput:
        return BadInput(
            f"the scheduler is gone; what is finished is in {self.folder}: "
            f"multigrad run --fleet ADDRESS --resume {self.folder} goes on"
        )

    def _hand(self, portion: Portion) -> None:
        resources = dict.fromkeys(_tags(portion.tag, self.request.machine), 1)
        given = (asdict(portion), asdict(self.request), facts())
        future = self.client.submit(measure_portion, *given, resources=resources, pure=False)
        self._await(portion, future)
        self._tick(f"{portion.operation} on {portion.tag}")

    def _await(self, portion: Portion, future: Future) -> None:
        self.running[future.key] = (portion, future)
        self.at_work[portion.tag] += 1
        future.add_done_callback(self.done.put)

    def _tick(self, text: str) -> None:
        if self.progress:
            self.progress(self.ended, len(self.portions), text)

    def _take(self, future: Future) -> None:
        """Write down what became of a portion."""
        from distributed import KilledWorker

        if future.key not in self.running:
            return  # given up meanwhile
        portion, _ = self.running.pop(future.key)
        self.at_work[portion.tag] -= 1
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            where = getattr(error.last_worker, "address", "a machine")
            tries = error.allowed_failures + 1
            self._come_to_nothing(portion, DIED, f"died: {tries} workers were lost at it, the last at {where}")
        elif isinstance(error, ImportError):
            raise BadInput(f"a worker cannot run multigrad: {one_line(error)}; what is finished is in {self.folder}")
        elif error is not None:
            self._come_to_nothing(portion, DIED, f"raised {one_line(error)}")
        else:
            answer = self._answer(future)
            if answer is None:
                self._await(portion, future)
                return
            self._keep(portion, answer)
        self.ended += 1
        self._tick(f"{portion.operation} on {portion.tag}")

    def _answer(self, future: Future) -> Event | None:
        """Return what a machine answered; None if it was lost before it could give it away, and another begins anew."""
        from distributed import CancelledError
        from distributed.comm import CommClosedError

        try:
            answer: Event = json.loads(gzip.decompress(future.result(timeout=PATIENCE_S)))
        except (CancelledError, CommClosedError, OSError) as error:  # a TimeoutError is an OSError
            if isinstance(error, TimeoutError) and self.client.status == "running":
                return None
            raise self._lost() from error
        return answer

    def _keep(self, portion: Portion, answer: Event) -> None:
        if "refused" in answer:
            raise BadInput(f"{answer['refused']}; what is finished is in {self.folder}, --resume goes on with it")
        if "nothing" in answer:
            self._come_to_nothing(portion, GONE, answer["nothing"])
        else:
            self.journal.append({**self._known(portion), **answer})

    def _known(self, portion: Portion) -> Event:
        known = {"operation": portion.operation, "devices": list(portion.devices)}
        return {"event": "portion", "number": portion.number, **known}

    def _given_up(self, tag: str, found: Counter[frozenset[str]], missing_since: dict[str, float]) -> bool:
        """Tell whether there has been no machine of a kind for too long."""
        if _count(found, _tags(tag, self.request.machine)):
            missing_since.pop(tag, None)
            return False
        return time.monotonic() - missing_since.setdefault(tag, time.monotonic()) > self.patience_s

    def _give_up(self, tag: str, left: deque[Portion]) -> None:
        mine = {key: portion for key, (portion, _) in self.running.items() if portion.tag == tag}
        self.client.cancel([self.running.pop(key)[1] for key in mine])
        wanted = " and ".join(sorted(_tags(tag, self.request.machine)))
        for portion in [*mine.values(), *left]:
            reason = f"lost: for {self.patience_s:.0f} s there was no machine left that offers {wanted}"
            self._come_to_nothing(portion, GONE, reason)
            self.ended += 1
        left.clear()
        self.at_work[tag] = 0

    def _come_to_nothing(self, portion: Portion, verdict: str, reason: str) -> None:
        """Write down all cells of a portion as not measured; of how many threads nobody knows, if it was not said."""
        cells = self.request.cells(portion, self.request.threads or 1)
        if self.request.threads is None:
            cells = {replace(cell, threads=0): refusal for cell, refusal in cells.items()}
        known = self._known(portion)
        events = _refused(cells, planning.Refusal(verdict, reason), self.request)
        self.journal.append({**known, "worker": "", "events": events, "matrix": [], "gone": verdict == GONE})


def _refused(
    cells: Mapping[planning.Cell, planning.Refusal | None], why: planning.Refusal, request: Request
) -> list[Event]:
    """Return the journal of cells none of which was measured; a gap stays what it is."""
    reasons = {i: old if old and old.verdict == "GAP" else why for i, old in enumerate(cells.values())}
    plan = planning.Plan(tuple(cells), reasons, (), request.seed)
    info = {"schema": store.SCHEMA, "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seed": request.seed}
    begin = {"event": "run", "info": info, "plan": plan.to_json(), "protocol": dict(request.protocol)}
    return [begin, {"event": "end", "state": "complete"}]


# The machine's side


class Unwanted(Exception):
    """Whoever asked for a portion has given it up or is gone."""


def measure_portion(
    given_portion: Mapping[str, Any], given_request: Mapping[str, Any], versions: Mapping[str, str]
) -> bytes:
    """Check and time one operation on this machine, alone; the worker's side.

    Returns:
        Compressed JSON: ``events``, as a journal holds them; ``matrix``, its rows; ``worker``, who measured. Or
        ``refused``, where the versions are not the client's; or ``nothing``: why nothing can be measured here.
    """
    from distributed import get_worker

    here = get_worker()
    worker, key = here.address, here.get_current_task()

    def heed(done: int, total: int, text: str) -> None:
        # Dask stops no task that runs: this one looks itself, whenever a cell begins or ends.
        task = here.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Unwanted(f"nobody waits for {text} any more")

    try:
        _same(versions, facts(), f"the worker {worker}")
    except BadInput as error:
        return _packed({"refused": str(error)})
    portion = Portion(**{**given_portion, "devices": tuple(given_portion["devices"])})
    request = Request(**given_request)
    # What a nanny sets for Dask's own work: ours say themselves how many threads they have.
    for name in (*THREAD_VARIABLES, "MALLOC_TRIM_THRESHOLD_"):
        os.environ.pop(name, None)
    try:
        threads = measure.thread_counts(request.threads)[0]
        cells = request.cells(portion, threads)
    except BadInput as error:
        return _packed({"nothing": f"{worker}: {error}"})
    with alone():
        heed(0, 0, portion.operation)  # it may have waited for long
        rows = _checked(portion, request, heed)
        return _packed({"worker": worker, "matrix": rows, "events": _timed(cells, request, heed)})


def _packed(answer: Event) -> bytes:
    return gzip.compress(json.dumps(answer, ensure_ascii=False).encode(), compresslevel=6, mtime=0)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other worker of this user measures on this machine; the kernel gives way when a process dies."""
    path = Path(tempfile.gettempdir()) / f"multigrad-{machines.slug(getpass.getuser())}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checked(portion: Portion, request: Request, progress: Progress) -> list[dict[str, Any]]:
    """Return the rows of the matrix; none where nothing can be compared here, for reasons that the cells have too."""
    try:
        frame = check(
            given_operations(portion.reference),
            backend=request.backends(portion.devices),
            device=portion.devices,
            dtype=checked_dtypes(request.dtype, quick=request.quick),
            mode=request.mode,
            variant=request.judged,
            seed=request.seed,
            precision=request.precision,
            progress=progress,
        )
    except BadInput:
        return []
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _timed(cells: Mapping[planning.Cell, planning.Refusal | None], request: Request, progress: Progress) -> list[Event]:
    try:
        plan = planning.of_cells(cells, twins=request.protocol["twins"], seed=request.seed, quick=request.quick)
    except BadInput:  # all of them are refused, each with its reason
        plan = planning.Plan(tuple(cells), {i: r for i, r in enumerate(cells.values()) if r}, (), request.seed)
    return measure.events_of(plan, Protocol.of(request.protocol), progress)

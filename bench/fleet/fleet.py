"""A run over a fleet: Dask workers on many machines measure portions of it, and what comes back is one run.

A portion is one operation on one kind of device: all backends, modes, variants, dtypes and sizes whose times are
compared, so one machine measures it, by the code that measures a run of one machine. What a machine needs is multigrad
in the client's version and a worker that says what it offers: ``dask worker ADDRESS --nthreads 1 --resources "cpu=1"``,
or ``gpu=1``; ``"cpu=1 atlas=1"`` is a machine that ``machine="atlas"`` asks for.

A portion is finished when its answer stands in the journal here. A machine that is lost costs the portion it was at,
which goes to another one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import msgspec

from multigrad.data.errors import BadInput
from multigrad.ops.find import Operations, files_of
from multigrad.ops.selection import Selectors
from multigrad.process.entry import entry_point
from multigrad.process.pool import Progress

from ..measurement.job import chosen_operations
from ..measurement.measure import selected
from ..measurement.resume import Given
from ..plan.protocol import FULL, QUICK, Protocol
from ..report.writing import write_reports
from ..store.events import PortionEvent
from ..store.folder import new_run
from ..store.journal import Journal, journal_events
from ..store.run import Run, no_run
from .cluster import agree, connected, offered
from .coordinator import PATIENCE_S, Coordinator
from .portions import Portion, Request, portions_of

if TYPE_CHECKING:
    from distributed import Client


@entry_point(no_run)
def run_fleet(
    ops: Operations = None,
    *,
    address: str,
    out: Path = Path("results"),
    machine: str | None = None,
    protocol: Protocol | None = None,
    resume: Path | None = None,
    progress: Progress | None = None,
    patience_s: float = PATIENCE_S,
    **selectors: Unpack[Selectors],
) -> Run:
    """Check and time operations on the machines of a Dask cluster, and write one run into ``out/fleet/<run>/``.

    Operations and backends of one's own have to be found under the same names on every machine.

    Args:
        ops: operations, catalogue names or files; None is the whole catalogue.
        address: of the scheduler, ``tcp://host:port``.
        out: folder that holds ``fleet/<run>/``.
        machine: a tag that the machines must offer besides ``cpu`` or ``gpu``: the name of one, or of several.
        protocol: other constants than those of a full or quick run.
        resume: folder of an unfinished run of a fleet, whose missing portions are measured; of the other arguments only
            ``address``, ``progress`` and ``patience_s`` count, and ``ops`` and ``backend``, which let code run that the
            run names, as :func:`multigrad.bench.measurement.measure.measure` says.
        progress: told of every portion that comes back.
        patience_s: how long a kind of machine may be missing before its portions are given up, in seconds.
        **selectors: what is measured, as for :func:`multigrad.bench.measurement.measure.measure`. No ``device`` is
            every kind that a machine of the fleet offers, no ``dtype`` for the matrix every one that
            operation and backend have, and no ``threads``
            one for each physical core of the machine that measures.

    Returns:
        The run, with its matrix.

    Raises:
        BadInput: a bad name, no scheduler at the address, versions that differ, no machine that offers what is asked
            for, or a scheduler that is lost: what is finished is readable then, and ``resume`` goes on.
    """
    selection = selected(ops, selectors)
    if len(selection.threads or ()) > 1:
        raise BadInput(f"threads is {list(selection.threads or ())}; wanted one number for the run of a fleet")
    with connected(address) as client:
        agree(client)
        if resume is not None:
            given = Given(files_of(selection.ops), selection.backend or ())
            coordinator = _resumed(client, Path(resume), given, progress, patience_s)
        else:
            constants = asdict(protocol or (QUICK if selection.quick else FULL))
            selection = replace(selection, ops=chosen_operations(ops, quick=selection.quick))
            request = Request(selection, selection.device is not None, machine, constants)
            request.examine()
            portions = portions_of(request, offered(client))
            folder = new_run(Path(out), "fleet")
            journal = Journal(folder, new=True)
            coordinator = Coordinator(client, request, portions, journal, folder, progress, patience_s)
        run = coordinator.run()
    write_reports(run)
    return run


def _resumed(client: Client, folder: Path, given: Given, progress: Progress | None, patience_s: float) -> Coordinator:
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; wanted the folder of an unfinished run")
    journal = Journal(folder, new=False)
    begin, events = journal_events(folder)
    if not (begin.portions and begin.request):
        journal.close()
        raise BadInput(f"{folder} is no fleet's run; multigrad bench --resume {folder} goes on with it")
    portions = [Portion.from_json(msgspec.to_builtins(values)) for values in begin.portions]
    for portion in portions:
        given.reference(portion.reference, str(folder), f"multigrad run FILE --fleet ADDRESS --resume {folder}")
    for source in begin.request["backend"] or ():
        given.source(source, str(folder))
    finished = {e.number for e in events if isinstance(e, PortionEvent) and not e.gone}
    request = Request.from_json(begin.request)
    return Coordinator(client, request, portions, journal, folder, progress, patience_s, begin, finished)

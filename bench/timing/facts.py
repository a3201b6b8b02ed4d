"""What a worker says about itself and its machine: threads, libraries, an empty operation, peaks."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from multigrad.backend import Session, device_kind

from ..plan.protocol import Protocol
from ..store import machine
from ..store.schema import Facts
from .clock import Workload, timer_step
from .messages import PeakRates
from .roofline import bandwidth, product_rate


def session_facts(session: Session, empty: Mapping[str, Workload | None], protocol: Protocol) -> Facts:
    """Return what a session says about itself.

    Args:
        session: the session.
        empty: by mode, what :func:`empty_function` returned.
        protocol: the constants.
    """
    own = tempfile.gettempdir()  # goes with the run, and is named anew in each
    return Facts(
        device_name=session.device_name,
        settings=dict(session.settings()),
        thread_pools=thread_pools(),
        cpus=machine.allowed_cpus(),
        busy_threads=busy_threads(session) if device_kind(session.device) == "cpu" else None,
        empty_s={mode: None if work is None else empty_time(work, protocol) for mode, work in empty.items()},
        empty_pipelined_s={
            mode: None if work is None else empty_pipelined_time(work, protocol) for mode, work in empty.items()
        },
        timer_step_s=timer_step(),
        environment={k: v for k, v in machine.environment_that_matters(os.environ).items() if not v.startswith(own)},
        load=os.getloadavg()[0],
        turns=True,
    )


def thread_pools() -> list[dict[str, Any]]:
    """Return every thread pool that threadpoolctl finds in this process, without the paths."""
    from threadpoolctl import threadpool_info

    wanted = ("user_api", "internal_api", "version", "num_threads", "threading_layer", "architecture")
    return [{k: pool[k] for k in wanted if pool.get(k) is not None} for pool in threadpool_info()]


def busy_threads(session: Session) -> float:
    """Return CPU time over wall time of large products: how many threads really work, whatever anybody says."""
    import numpy as np

    matrix = session.to_device(np.ones((512, 512)), _usual_dtype(session))
    session.wait((matrix @ matrix,))
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < 0.05:
        session.wait((matrix @ matrix,))
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def empty_function(session: Session, mode: str) -> Workload | None:
    """Return the least there is to call, one addition of two single numbers; None where it cannot be compiled."""
    import numpy as np

    array = session.to_device(np.ones(1), _usual_dtype(session))

    def least(x: Any) -> tuple[Any, ...]:
        return (x + x,)

    try:
        work = Workload(session.compile(least) if mode == "compiled" else least, (array,), session.wait)
        work.call()
    except Exception:  # noqa: BLE001 - whatever a compiler raises, the cells will say it too
        return None
    return work


def empty_pipelined_time(work: Workload, protocol: Protocol, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds per call of an empty operation that is called as often before one wait, of several blocks."""
    blocks = []
    for _ in range(max(1, protocol.other_blocks)):
        start = clock()
        for _ in range(protocol.empty_calls):
            outputs = work.function(*work.arguments)
        work.wait(outputs)
        blocks.append((clock() - start) / protocol.empty_calls)
        if sum(blocks) * protocol.empty_calls > protocol.empty_limit_s:
            break
    return statistics.median(blocks)


def empty_time(work: Workload, protocol: Protocol) -> float:
    """Return the seconds of an empty operation that is waited for, the median of the later half of its calls."""
    durations: list[float] = []
    while len(durations) < protocol.empty_calls and sum(durations) < protocol.empty_limit_s:
        start = time.perf_counter()
        work.call()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[len(durations) // 2 :])


def _usual_dtype(session: Session) -> str:
    return "float32" if "float32" in session.dtypes else session.dtypes[0]


def peaks(session: Session, threads: int, wanted: Mapping[str, Any], protocol: Protocol) -> PeakRates:
    """Measure the product's rate for each dtype in ``wanted["dtypes"]``, and bandwidth if ``wanted["bandwidth"]``."""
    rates = {name: product_rate(session, name, protocol) for name in wanted["dtypes"] if name in session.dtypes}
    return PeakRates(rates, bandwidth(session, threads, protocol) if wanted["bandwidth"] else None)

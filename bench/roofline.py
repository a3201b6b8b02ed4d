"""What the machine could do at best: the rate of a large product, and the bandwidth of a copy and a triad."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import machine
from .protocol import Protocol

if TYPE_CHECKING:
    from multigrad.backend import Session


@dataclass(frozen=True)
class Bandwidth:
    """How fast memory is, and on what that was found."""

    bytes_per_s: float
    array_bytes: int
    in_cache: bool
    """Whether the arrays were smaller than the protocol demands, so that a cache may have helped."""


def _best(call: Callable[[], Any], limit_s: float) -> float:
    call()
    durations: list[float] = []
    started = time.perf_counter()
    while not durations or time.perf_counter() - started < limit_s:
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return min(durations)


def product_rate(session: Session, dtype: str, protocol: Protocol) -> float:
    """Return the best rate in FLOP/s at which a session multiplies large square matrices of a dtype."""
    import numpy as np

    wanted = protocol.peak_product_flops if session.device == "cpu" else protocol.peak_product_device_flops
    side = 8 * math.ceil((wanted / 2) ** (1 / 3) / 8)
    # A small one first: where there is no fast product (float16 in NumPy) the large one would take minutes.
    for n in (128, side):
        ones = session.to_device(np.ones((n, n)), dtype)

        def multiply(matrix: Any = ones) -> None:
            session.wait((matrix @ matrix,))

        seconds = _best(multiply, 0.0 if n == 128 else protocol.peak_s)
        if seconds * (side / n) ** 3 > 10 * protocol.peak_s:
            break
    return 2 * n**3 / seconds


def bandwidth(session: Session, threads: int, protocol: Protocol) -> Bandwidth:
    """Return the better of copy and triad, in bytes that have to move per second."""
    return _host_bandwidth(threads, protocol) if session.device == "cpu" else _device_bandwidth(session, protocol)


def _host_bandwidth(threads: int, protocol: Protocol) -> Bandwidth:
    # With NumPy and Python threads, which copy without the lock: the roof is the machine's, whatever the framework.
    import numpy as np
    import psutil

    wanted = int(protocol.peak_caches * machine.last_cache_bytes())
    size = min(wanted, protocol.peak_array_bytes, psutil.virtual_memory().available // 8)
    count = size // 8 // threads
    piece = 2**14  # 128 KiB: the intermediate product of the triad stays in the second-level cache
    arrays = [[np.ones(count) for _ in range(3)] for _ in range(threads)]
    scratch = [np.ones(piece) for _ in range(threads)]

    def copy(t: int) -> None:
        np.copyto(arrays[t][0], arrays[t][1])

    def triad(t: int) -> None:
        a, b, c = arrays[t]
        for start in range(0, count, piece):
            part = slice(start, min(start + piece, count))
            product = scratch[t][: part.stop - part.start]
            np.multiply(c[part], 3.0, out=product)
            np.add(b[part], product, out=a[part])

    with ThreadPoolExecutor(threads) as pool:

        def rate(kernel: Callable[[int], None], moved: int) -> float:
            return moved * count * 8 * threads / _best(lambda: list(pool.map(kernel, range(threads))), protocol.peak_s)

        best = max(rate(copy, 2), rate(triad, 3))
    return Bandwidth(best, size, size < wanted)


def _device_bandwidth(session: Session, protocol: Protocol) -> Bandwidth:
    import numpy as np

    # 256 MiB: several times the last cache of any accelerator there is (H200: 50 MB).
    count = 2**26
    a, b = (session.to_device(np.ones(count), "float32") for _ in range(2))

    def copy() -> None:
        session.wait((a * 3.0,))

    def add() -> None:
        session.wait((a + b,))

    rates = [moved * count * 4 / _best(call, protocol.peak_s) for call, moved in ((copy, 2), (add, 3))]
    return Bandwidth(max(rates), count * 4, False)


@dataclass(frozen=True)
class Roof:
    """Where a cell stands under its roof."""

    gflop_per_s: float
    gbyte_per_s: float
    binds: str
    """``compute`` or ``memory``: which of the two limits it at its intensity."""
    percent: float
    """Of the least time that product rate and bandwidth allow."""


def place(seconds: float, flops: float, moved: float, flop_per_s: float, bytes_per_s: float) -> Roof:
    """Lay a cell under its roof: min(product rate, intensity × bandwidth).

    Args:
        seconds: time of one call.
        flops: floating-point operations of one call.
        moved: bytes one call must move at least.
        flop_per_s: rate of a large product.
        bytes_per_s: bandwidth.
    """
    compute, memory = flops / flop_per_s, moved / bytes_per_s
    binds = "compute" if compute > memory else "memory"
    return Roof(flops / seconds / 1e9, moved / seconds / 1e9, binds, 100 * max(compute, memory) / seconds)

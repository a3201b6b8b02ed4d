"""What the machine could do at best: the rate of a large product, and the bandwidth at every size of its data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multigrad.backend import device_kind, mesh_shape
from multigrad.ops.operation import operation

from ..plan.protocol import Protocol
from ..store import machine
from ..store.schema import BandwidthBySize

if TYPE_CHECKING:
    import numpy as np

    from multigrad.backend import Session


@operation("(m,k),(k,n)->(m,n)")
def product(xp: Any, A: Any, B: Any) -> Any:
    """A product of matrices, f = AB."""
    return A @ B, lambda f_bar: (f_bar @ xp.matrix_transpose(B), xp.matrix_transpose(A) @ f_bar)


@operation("(n),(n)->(n)")
def total(xp: Any, a: Any, b: Any) -> Any:
    """A sum of vectors, f = a + b."""
    return a + b, lambda f_bar: (f_bar, f_bar)


def bandwidth_at(by_size: Sequence[Sequence[float]], used_bytes: float) -> float:
    """Return the bandwidth in bytes per second that is the roof of work that uses so many bytes.

    It is the best that was seen at the next smaller size or any larger one: bandwidth falls as sizes grow, and a roof
    that errs must err upwards.

    Args:
        by_size: (bytes in use, bytes per second), as in :class:`multigrad.bench.store.schema.BandwidthBySize`.
        used_bytes: what one call reads and writes.
    """
    smaller = max((size for size, _ in by_size if size <= used_bytes), default=0)
    return max(rate for size, rate in by_size if size >= smaller)


def _best(call: Callable[[], Any], limit_s: float, least: int = 3) -> float:
    call()
    durations: list[float] = []
    started = time.perf_counter()
    while len(durations) < least or time.perf_counter() - started < limit_s:
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return min(durations)


def product_rate(session: Session, dtype: str, protocol: Protocol) -> float:
    """Return the best rate in FLOP/s at which a session multiplies large square matrices of a dtype."""
    import numpy as np

    on_cpu = device_kind(session.device) == "cpu"
    wanted = protocol.peak_product_flops if on_cpu else protocol.peak_product_device_flops
    step = math.lcm(8, *mesh_shape(session.device))  # a mesh divides it
    side = step * math.ceil((wanted / 2) ** (1 / 3) / step)

    def rate(n: int, limit_s: float, least: int) -> float:
        # Of ones a GPU switches few of its transistors, draws less power and keeps a clock that no real data allow.
        a, b = session.place(product, [np.random.default_rng(0).random((n, n)) - 0.5] * 2, dtype)

        def multiply() -> None:
            session.wait((a @ b,))

        return 2 * n**3 / _best(multiply, limit_s, least)

    if not on_cpu:
        return rate(side, protocol.peak_s, 3)
    # A small one first: where there is no fast product (float16 in NumPy) the large one would take minutes. So small
    # that no library shares it out among threads: on a busy machine they wait for each other a thousand times as long.
    small = min(step * math.ceil(48 / step), side)
    best = rate(small, 0.0, 20)
    if 2 * side**3 / best > protocol.peak_patience_s:
        return max(best, rate(2 * small, 0.0, 3))
    return max(best, rate(side, protocol.peak_s, 3))


def bandwidth(session: Session, threads: int, protocol: Protocol) -> BandwidthBySize:
    """Return the best of reading, copying and a triad, in bytes that have to move per second, for a row of sizes."""
    on_cpu = device_kind(session.device) == "cpu"
    return _host_bandwidth(threads, protocol) if on_cpu else _device_bandwidth(session, protocol)


def _host_bandwidth(threads: int, protocol: Protocol) -> BandwidthBySize:
    # With NumPy and Python threads, which work without the lock: the roof is the machine's, whatever the framework.
    import psutil
    from threadpoolctl import threadpool_limits

    wanted = int(protocol.peak_caches * machine.last_cache_bytes())
    largest = min(wanted, protocol.peak_array_bytes, psutil.virtual_memory().available // 8)
    by_size = []
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        # Once for all sizes, each thread its own: getting gigabytes from the system takes longer than to use them.
        arrays = list(pool.map(_three_arrays, [max(2, largest // 8 // threads)] * threads))
        for array_bytes in _sizes(protocol.peak_smallest_bytes, largest, machine.last_cache_bytes()):
            # A private cache has as much bandwidth beside a busy neighbour as alone, and no hand-over of the lock.
            alone = 3 * array_bytes // threads <= machine.private_cache_bytes()
            used = 1 if alone else threads
            limit_s = protocol.peak_s if array_bytes == largest else protocol.peak_s / 5
            count = max(2, array_bytes // 8 // threads)
            rate = _host_rate(pool, [[a[:count] for a in own] for own in arrays[:used]], limit_s) * threads / used
            by_size.append((3 * array_bytes, rate))
    return BandwidthBySize(bytes_per_s=by_size[-1][1], array_bytes=largest, in_cache=largest < wanted, by_size=by_size)


def _sizes(smallest: int, largest: int, cache: int) -> list[int]:
    """Sizes up to the largest: four times as much each in the caches, twice as much where the last one ends."""
    sizes = [smallest]
    while (size := sizes[-1] * (4 if 4 * sizes[-1] < cache else 2)) < largest:
        sizes.append(size)
    return [*sizes, largest] if smallest < largest else [largest]


def _three_arrays(count: int) -> list[np.ndarray]:
    import numpy as np

    return [np.ones(count) for _ in range(3)]


def _host_rate(pool: ThreadPoolExecutor, arrays: Sequence[Sequence[np.ndarray]], limit_s: float) -> float:
    """Return the best bytes per second of three kernels, each thread with three arrays of its own."""
    import numpy as np

    threads, count = len(arrays), len(arrays[0][0])
    piece = 2**14  # 128 KiB: the triad's intermediate product stays in a private cache, and Python has little to say
    scratch = [np.ones(min(piece, count)) for _ in range(threads)]
    # What one thread is given lasts long against the hand-over to it.
    repeats = max(1, 2**22 // (8 * count))

    def read(t: int) -> None:
        a, b, _ = arrays[t]
        for _ in range(repeats):
            np.dot(a, b)

    def copy(t: int) -> None:
        a, b, _ = arrays[t]
        for _ in range(repeats):
            np.copyto(a, b)

    def triad(t: int) -> None:
        a, b, c = arrays[t]
        for _ in range(repeats):
            for start in range(0, count, piece):
                part = slice(start, min(start + piece, count))
                product = scratch[t][: part.stop - part.start]
                np.multiply(c[part], 3.0, out=product)
                np.add(b[part], product, out=a[part])

    def rate(kernel: Callable[[int], None], moved: int) -> float:
        seconds = _best(lambda: list(pool.map(kernel, range(threads))), limit_s / 3)
        return moved * count * 8 * threads * repeats / seconds

    return max(rate(read, 2), rate(copy, 2), rate(triad, 3))


def _device_bandwidth(session: Session, protocol: Protocol) -> BandwidthBySize:
    # 256 MiB: several times the last cache of any accelerator there is (H200: 50 MB).
    devices = math.prod(mesh_shape(session.device))
    largest = 2**28
    by_size = []
    for array_bytes in _sizes(2**20, largest, 2**26):
        limit_s = protocol.peak_s if array_bytes == largest else protocol.peak_s / 5
        # Of one device: those of a mesh have as many arrays of that size.
        by_size.append((3 * array_bytes * devices, _device_rate(session, array_bytes // 4 * devices, limit_s)))
    return BandwidthBySize(bytes_per_s=by_size[-1][1], array_bytes=largest, in_cache=False, by_size=by_size)


def _device_rate(session: Session, count: int, limit_s: float) -> float:
    import numpy as np

    a, b = session.place(total, [np.ones(count)] * 2, "float32")
    # The queue is kept full, as in a pipelined block, so that the launch of a small one is not what is measured.
    repeats = max(1, 2**26 // count)

    def scale() -> None:
        for _ in range(repeats):
            last = a * 3.0
        session.wait((last,))

    def add() -> None:
        for _ in range(repeats):
            last = a + b
        session.wait((last,))

    return max(moved * count * 4 * repeats / _best(call, limit_s / 2) for call, moved in ((scale, 2), (add, 3)))


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

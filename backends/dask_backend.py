"""Dask: arrays in chunks, on a cluster of this process's own or on one that is there."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Array,
    Backend,
    Refusal,
    Session,
    Unavailable,
    cpu_name,
    namespace,
)
from multigrad.backend.placement import split_axes
from multigrad.backend.scheduler import VARIABLE
from multigrad.data.errors import BadInput, one_line
from multigrad.extra.hooks import Hooks
from multigrad.namespaces.shared.factorisations import QR, SVD, Eigh, SLogDet
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Mode, Precision

from . import numpy_backend

if TYPE_CHECKING:
    import numpy as np

CHUNK_BYTES = 2**25
"""How large the largest chunk of an argument is at most: docs/dask.md has the table it was chosen by."""

CONNECT_S = 5
"""How long a scheduler may take to answer."""

SETTINGS = {
    "array.chunk-size": CHUNK_BYTES,  # of what an operation makes itself
    "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
    "distributed.scheduler.worker-ttl": None,  # one that was stopped while others had their turn is not lost
    "distributed.worker.profile.enabled": False,  # it would look at every task a hundred times a second
    "distributed.admin.tick.limit": "1h",
    "logging": dict.fromkeys(
        (
            "distributed",
            "distributed.client",
            "distributed.gc",
            "distributed.shuffle",
            "tornado",
            "tornado.application",
        ),
        "critical",
    ),
}

BY_MATRIX = {
    "cholesky": "(i,j)->(i,j)",
    "det": "(i,j)->()",
    "eigh": "(i,j)->(i),(i,j)",
    "eigvalsh": "(i,j)->(i)",
    "inv": "(i,j)->(i,j)",
    "pinv": "(i,j)->(j,i)",
    "qr": "(i,j)->(i,m),(m,j)",
    "slogdet": "(i,j)->(),()",
    "solve": "(i,j),(j,l)->(i,l)",
    "svd": "(i,j)->(i,m),(k),(n,j)",
    "svdvals": "(i,j)->(k)",
}
"""The functions of ``linalg`` that NumPy does chunk by chunk, each matrix of a batch whole in one chunk: Dask has them
for a single matrix, or not at all."""

NAMED = {"eigh": Eigh, "qr": QR, "slogdet": SLogDet, "svd": SVD}
"""The results that the standard names."""


def array_namespace(array: Any) -> Any:
    """Return array-api-compat's namespace of Dask arrays, with what NumPy does in each chunk."""
    xp = importlib.import_module("array_api_compat.dask.array")
    place_arrays(array)
    linear = {name: functools.partial(by_matrix, array, name) for name in BY_MATRIX}
    return namespace(
        xp,
        Hooks(scatter_add=functools.partial(scatter_add, array)),
        linalg=namespace(xp.linalg, **linear),
        reshape=functools.partial(reshape, xp),
        concat=functools.partial(concat, xp),
        max=functools.partial(extremum, xp, "max"),
        min=functools.partial(extremum, xp, "min"),
        take_along_axis=functools.partial(take_along_axis, array),
    )


def place_arrays(array: Any) -> None:
    """Let a Dask array be on the device ``cpu``, which array-api-compat says of it and takes for it: it has no word."""
    if not hasattr(array.Array, "device"):
        array.Array.device = property(lambda x: "cpu")


def by_matrix(array: Any, name: str, *matrices: Array, **options: Any) -> Any:
    """Run a function of ``linalg`` in NumPy, chunk by chunk along the batch."""
    rows, columns = matrices[0].shape[-2:]
    least = min(rows, columns)
    full = options.get("full_matrices", name == "svd") or options.get("mode") == "complete"
    signature = BY_MATRIX[name] if matrices[-1].ndim > 1 else "(i,j),(j)->(i)"
    if 0 in (n for matrix in matrices for n in matrix.shape):
        return of_nothing(array, name, options, matrices)
    outputs = signature.partition("->")[2].count("(")
    dtype = matrices[0].dtype
    results = array.apply_gufunc(
        functools.partial(matrices_of_chunk, name, options),
        signature,
        *matrices,
        output_dtypes=dtype if outputs == 1 else [dtype] * outputs,
        output_sizes={"k": least, "m": rows if full else least, "n": columns if full else least},
        allow_rechunk=True,
    )
    return NAMED[name](*results) if name in NAMED else results


def of_nothing(array: Any, name: str, options: Mapping[str, Any], matrices: Sequence[Array]) -> Any:
    """Run a function of ``linalg`` where a matrix or the batch is empty: what is computed depends on shapes alone.

    Dask cannot divide such arrays into chunks.
    """
    import numpy as np

    stand_ins = [
        np.zeros(m.shape, m.dtype) + (np.eye(*m.shape[-2:], dtype=m.dtype) if m.ndim > 1 else 0) for m in matrices
    ]
    results = matrices_of_chunk(name, options, *stand_ins)
    return NAMED[name](*map(array.from_array, results)) if name in NAMED else array.from_array(results)


def matrices_of_chunk(name: str, options: Mapping[str, Any], *matrices: np.ndarray) -> Any:
    """Run a function of ``linalg`` on the matrices of a chunk."""
    linalg = importlib.import_module("array_api_compat.numpy.linalg")
    return getattr(linalg, name)(*matrices, **options)


def reshape(xp: Any, x: Array, shape: Sequence[int], *, copy: bool | None = None) -> Array:
    """Reshape; Dask merges dimensions or splits them, and what does both goes by way of a single one."""
    if x.size == 0:
        return xp.zeros(tuple(max(n, 0) for n in shape), dtype=x.dtype)
    try:
        return xp.reshape(x, shape, copy=copy)
    except NotImplementedError:
        return xp.reshape(xp.reshape(x, (-1,)), shape, copy=copy)


def concat(xp: Any, arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Join arrays along an axis; Dask cannot sum over several chunks that are all empty (2026.8.0), so there is one."""
    joined = xp.concat(arrays, axis=axis)
    return joined if joined.size else xp.zeros(joined.shape, dtype=joined.dtype)


def extremum(
    xp: Any, name: str, x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Array:
    """Take the largest or the smallest along axes; in Dask's own an empty chunk loses its shape (2026.8.0)."""
    if x.size == 0:
        import numpy as np

        return xp.asarray(getattr(np, name)(np.zeros(x.shape, x.dtype), axis=axis, keepdims=keepdims))
    return getattr(xp, name)(x, axis=axis, keepdims=keepdims)


def take_along_axis(array: Any, X: Array, order: Array, *, axis: int = -1) -> Array:
    """Gather along an axis, which every chunk has whole."""
    if order.size == 0:
        return array.zeros(order.shape, dtype=X.dtype)
    return array.apply_gufunc(
        gathered,
        "(i),(j)->(j)",
        X,
        order,
        axes=[(axis,)] * 3,
        output_dtypes=X.dtype,
        allow_rechunk=True,
    )


def gathered(X: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Gather along the last axis of a chunk."""
    import numpy as np

    return np.take_along_axis(X, order, axis=-1)


def scatter_add(array: Any, X: Array, t: Array, v: int) -> Array:
    """Return what :func:`multigrad.extra.scatter.scatter_add` asks for: each chunk adds up its own rows."""
    X = X.rechunk({1: -1})
    parts = array.map_blocks(
        scattered, X, t.rechunk((X.chunks[0],))[:, None], v, dtype=X.dtype, chunks=((v,) * X.numblocks[0], X.chunks[1])
    )
    return parts.reshape((X.numblocks[0], v, X.shape[1])).sum(axis=0)


def scattered(X: np.ndarray, t: np.ndarray, v: int) -> np.ndarray:
    """Add up the rows of a chunk."""
    import numpy as np

    sums: np.ndarray = numpy_backend.scatter_add(np, X, t[:, 0], v)
    return sums


class DaskSession(Session):
    """Dask on a cluster; arrays are split as :mod:`multigrad.backend.placement` says and stay where they are."""

    dtypes = ("float64", "float32")

    def __init__(self, backend: Backend, array: Any, client: Any, address: str | None) -> None:
        self.backend = backend
        self.array = array
        self.client = client
        self.address = address
        self.device = "cpu"
        self.device_name = cpu_name()
        self.threads = dict(client.nthreads())
        self.xp = array_namespace(array)

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        return self._sent([(array, dtype, None, 1)])[0]

    def place(self, operation: Operation, arrays: Sequence[np.ndarray], dtype: str) -> list[Array]:
        axes = split_axes(operation, [a.shape for a in arrays])
        length = self.chunk_length(
            [a.shape for a in arrays], axes, max(8 if a.dtype.kind != "f" or dtype == "float64" else 4 for a in arrays)
        )
        return self._sent(
            [(a, dtype if a.dtype.kind == "f" else None, axis, length) for a, axis in zip(arrays, axes, strict=True)]
        )

    def chunk_length(
        self, shapes: Sequence[tuple[int, ...]], axes: Sequence[int | None], itemsize: int, chunk_bytes: int = 0
    ) -> int:
        """Return how many steps along the split dimension a chunk has.

        The largest chunk has :data:`CHUNK_BYTES` at most, unless one step alone has more. Every thread gets a chunk,
        and there are two at least, so that what is right for small arrays is right for those that must be split.

        Args:
            shapes: of the arguments.
            axes: along which each is split, or None.
            itemsize: bytes of one element.
            chunk_bytes: in place of :data:`CHUNK_BYTES`.
        """
        split = [(shape[axis], shape) for shape, axis in zip(shapes, axes, strict=True) if axis is not None]
        count = split[0][0] if split else 0
        if count == 0:
            return 1
        step = max(itemsize * prod(shape) // count for _, shape in split)
        least = max(2, sum(self.threads.values()))
        return max(1, min((chunk_bytes or CHUNK_BYTES) // max(step, 1), -(-count // least)))

    def _sent(self, given: Sequence[tuple[np.ndarray, str | None, int | None, int]]) -> list[Any]:
        """Send arrays to the workers, each with its dtype, the axis it is split along and the length of a chunk."""
        import numpy as np

        chunks: dict[tuple[Any, ...], np.ndarray] = {}
        layouts = []
        for array, dtype, axis, length in given:
            name = f"placed-{uuid.uuid4().hex}"
            lengths = [(n,) if i != axis else _lengths(n, length) for i, n in enumerate(array.shape)]
            layouts.append((name, lengths, np.dtype(dtype or array.dtype)))
            for place in itertools.product(*(range(len(n)) for n in lengths)):
                part = tuple(slice(sum(n[:i]), sum(n[: i + 1])) for n, i in zip(lengths, place, strict=True))
                # A copy of our own: workers in this process keep the very array.
                chunks[name, *place] = np.array(array[part], dtype=dtype, order="C")
        futures = self.client.scatter(chunks)
        return [
            self.array.Array({k: f for k, f in futures.items() if k[0] == name}, name, tuple(lengths), dtype)
            for name, lengths, dtype in layouts
        ]

    def to_numpy(self, array: Any) -> np.ndarray:
        import numpy as np

        if not isinstance(array, self.array.Array):
            return np.array(array)
        self.wait([array])
        joined, more = array.__dask_postcompute__()
        return np.array(joined(self.client.gather(_looked_up(array.dask, array.__dask_keys__())), *more))

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def wait(self, arrays: Sequence[Array]) -> None:
        """Compute these arrays where their chunks are, and let them stay there.

        Raises:
            Exception: whatever a chunk raised.
        """
        distributed = importlib.import_module("distributed")
        given = [a for a in arrays if isinstance(a, self.array.Array)]
        if lazy := [a for a in given if not self._is_persisted(a)]:
            for array, persisted in zip(lazy, self.client.persist(lazy), strict=True):
                array.dask = persisted.dask  # as assignment to a Dask array does it
        futures = distributed.futures_of(given)
        if pending := [f for f in futures if not f.done()]:
            distributed.wait(pending)
        for future in futures:
            if future.status != "finished":
                future.result()

    def _is_persisted(self, array: Array) -> bool:
        future = importlib.import_module("distributed").Future
        return len(array.dask.layers) == 1 and all(isinstance(f, future) for f in array.dask.values())

    def function(
        self, operation: Operation, parameters: Mapping[str, Any], variant: str, mode: Mode
    ) -> Callable[..., tuple[Array, ...]]:
        function = super().function(operation, parameters, variant, mode)
        return lambda *arrays: function(*map(self._renamed, arrays))

    def _renamed(self, x: Array) -> Array:
        # Dask gives what it still has under a name instead of computing it; every call of ours computes.
        name = f"argument-{uuid.uuid4().hex}"
        keys = itertools.product([x.name], *map(range, x.numblocks))
        graph = importlib.import_module("dask.highlevelgraph").HighLevelGraph
        layer = {(name, *key[1:]): key for key in keys}
        return self.array.Array(graph.from_collections(name, layer, dependencies=[x]), name, x.chunks, meta=x._meta)

    def settings(self) -> Mapping[str, Any]:
        return {
            "threads": sum(self.threads.values()),
            "workers": len(self.threads),
            "scheduler": self.address or "of this process",
            "chunk_bytes": CHUNK_BYTES,
        }


def _looked_up(graph: Mapping[Any, Any], keys: Any) -> Any:
    return [_looked_up(graph, key) for key in keys] if isinstance(keys, list) else graph[keys]


def _lengths(count: int, length: int) -> tuple[int, ...]:
    return tuple(min(length, count - i) for i in range(0, count, length)) or (0,)


class DaskBackend(Backend):
    """Dask, with the array namespace of array-api-compat."""

    name = "dask"
    module = "dask"
    distributions = ("dask",)
    install = "pip install 'dask[array]' distributed"
    refusals = (
        *numpy_backend.BACKEND.refusals,
        Refusal("ValueError", "[Uu]nknown chunk|chunk sizes", "Dask does not know the length of what a mask selects."),
    )
    breakdowns = numpy_backend.BACKEND.breakdowns
    scheduler = True

    def missing(self, device: str) -> str | None:
        reason = super().missing(device)
        if reason is None and importlib.util.find_spec("distributed") is None:
            return f"dask is installed without distributed ({self.install})"
        return reason

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        """Open a cluster of one worker in this process, or the one whose scheduler ``MULTIGRAD_SCHEDULER`` names.

        Threads and no processes: chunks go from task to task without a copy, a process that is stopped or killed takes
        its cluster along, and NumPy lets go of the interpreter's lock where it computes.

        Raises:
            Unavailable: Dask is not here.
            BadInput: there is no scheduler at the address, or its workers cannot do the work.
        """
        if reason := self.missing(device):
            raise Unavailable(reason)
        self.load().config.set(SETTINGS)
        distributed = importlib.import_module("distributed")
        array = importlib.import_module("dask.array")
        address = os.environ.get(VARIABLE)
        client = _local(distributed, threads) if address is None else reached(distributed, address)
        return DaskSession(self, array, client, address)


def _local(distributed: Any, threads: int | None) -> Any:
    from threadpoolctl import threadpool_limits

    threads = threads or len(os.sched_getaffinity(0))
    importlib.import_module("numpy")
    threadpool_limits(1)  # the threads are the cluster's: each has a chunk of its own
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=threads,
        processes=False,
        dashboard_address="127.0.0.1:0",  # what answers there is not the dashboard; None would be port 8787
        scheduler_kwargs={"dashboard": False},
        silence_logs=False,
    )
    return distributed.Client(cluster)


def reached(distributed: Any, address: str) -> Any:
    """Return a client of the scheduler at an address, once its workers are known to be able to do the work.

    Raises:
        BadInput: in one line what is not there, or differs, and where.
    """
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except Exception as error:  # a socket, a parser or the other side's protocol: each has its own class
        raise BadInput(
            f"no Dask scheduler at {address} ({one_line(error)}); start one (dask scheduler), "
            "or leave --scheduler out for a cluster of this machine"
        ) from error
    if fault := _fault(client):
        client.close()
        raise BadInput(f"the Dask scheduler at {address} {fault}")
    return client


NEEDED = ("numpy", "array_api_compat", "multigrad")
"""What workers and scheduler have to have, for the functions that they are sent."""


def _fault(client: Any) -> str:
    """Say why a cluster cannot do the work, or nothing."""
    if not client.nthreads():
        return "has no workers; start some (dask worker tcp://host:port)"
    for module in NEEDED:
        where = client.run(importlib.util.find_spec, module, on_error="return")
        where["itself"] = client.run_on_scheduler(importlib.util.find_spec, module)
        if lacking := [place for place, spec in where.items() if spec is None or isinstance(spec, BaseException)]:
            if lacking == ["itself"]:
                return f"lacks {module}: install there what is installed here"
            return f"has workers without {module} ({', '.join(sorted(lacking))}): install there what is installed here"
    found = client.get_versions(packages=NEEDED)
    here = found["client"]["packages"]
    for place, there in {"the scheduler": found["scheduler"], **found["workers"]}.items():
        for package, version in here.items():
            other = there["packages"].get(package)
            if package != "pandas" and other != version:
                return f"has {package} {other} on {place}, and here it is {version}: install the same there"
    return ""


BACKEND = DaskBackend()

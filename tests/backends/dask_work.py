"""What the tests of the Dask backend do in a process of their own."""

import os

import numpy as np

from multigrad.backend import backend
from multigrad.extra.scatter import scatter_add
from multigrad.ops.find import operations
from multigrad.ops.operation import operation
from multigrad.truth.inputs import dtype_arrays


def opened(threads=1):
    return backend("dask").open("cpu", threads=threads)


def chunks(arguments):
    """How the arguments of every operation are cut, at its smallest size."""
    session = opened()
    for op in operations().values():
        arrays = dtype_arrays(op, op.size(next(iter(op.sizes))), 0, "gaussian", "float64")
        placed = session.place(op, arrays, "float64")
        yield {
            "operation": op.name,
            "shapes": [list(a.shape) for a in arrays],
            "blocks": [list(a.numblocks) for a in placed],
        }


def lengths(arguments):
    """How long a chunk is."""
    from multigrad.backends.dask_backend import CHUNK_BYTES

    session = opened(threads=3)
    step = 1000 * 8
    yield {
        "step": step,
        "chunk_bytes": CHUNK_BYTES,
        "large": session.chunk_length([(10**6, 1000), (1000,)], (0, None), 8),
        "small": [session.chunk_length([(n, 3)], (0,), 8) for n in (12, 10, 0)],
        "wide": session.chunk_length([(100, CHUNK_BYTES)], (0,), 8),
    }


COUNTED = []


def counted(x):
    COUNTED.extend([len(x)] * bool(len(x)))  # Dask tries it on nothing first
    return x + 1


@operation("(n)->(n)", sizes={"tiny": {"n": 6}})
def one_more(xp, x):
    """Add one, and count the chunks."""
    return x.map_blocks(counted, dtype=x.dtype), lambda bar: bar


def again(arguments):
    """One function called twice with the same arrays, the first results still held."""
    session = opened()
    (x,) = session.place(one_more, [np.arange(6.0)], "float64")
    function = session.function(one_more, {}, "forward", "eager")
    held, calls = [], []
    for _ in range(2):
        held.append(function(x))
        session.wait(held[-1])
        calls.append(len(COUNTED))
    yield {"calls": calls, "blocks": x.numblocks[0]}


def raising(arguments):
    """A singular matrix."""
    session = opened()
    try:
        session.wait([session.xp.linalg.inv(session.to_device(np.zeros((2, 3, 3)), "float64"))])
    except Exception as error:  # noqa: BLE001 - what it is is the finding
        yield {"raised": f"{type(error).__name__}: {error}"}


def linear_algebra(arguments):
    """Every function of linalg beside NumPy's, on a batch in two chunks."""
    import array_api_compat.numpy as numpy
    from multigrad.backends.dask_backend import BY_MATRIX

    session = opened()
    A = np.random.default_rng(0).standard_normal((4, 3, 3))
    A = A @ np.swapaxes(A, 1, 2) + np.eye(3)
    there = session.to_device(A, "float64").rechunk((2, 3, 2))
    tall = np.random.default_rng(1).standard_normal((4, 5, 3))
    there_tall = session.to_device(tall, "float64").rechunk((2, 2, 3))
    calls = [(name, {}, ()) for name in BY_MATRIX if name not in ("solve", "svd")]
    calls += [("solve", {}, (A[:, :, :2],)), ("solve", {}, (A[0, 0],))]
    calls += [("svd", {"full_matrices": full}, ()) for full in (True, False)] + [("qr", {"mode": "complete"}, ())]
    for name, options, more in calls:
        matrices, chunked = (tall, there_tall) if name in ("svd", "qr", "pinv", "svdvals") else (A, there)
        wanted = getattr(numpy.linalg, name)(matrices, *more, **options)
        found = getattr(session.xp.linalg, name)(chunked, *(session.to_device(m, "float64") for m in more), **options)
        pairs = list(zip(found, wanted, strict=True)) if isinstance(wanted, tuple) else [(found, wanted)]
        yield {
            "name": name,
            "options": options,
            "equal": all(np.array_equal(session.to_numpy(f), w) and f.shape == w.shape for f, w in pairs),
            "batch_chunks": min(f.numblocks[0] for f, _ in pairs),
        }


def scatters(arguments):
    """Rows by number, in chunks."""
    session = opened()
    rng = np.random.default_rng(0)
    X, t = rng.standard_normal((50, 3)), rng.integers(0, 200, 50)
    there, numbers = session.to_device(X, "float64").rechunk((20, 2)), session.to_device(t)
    wanted = np.zeros((200, 3))
    np.add.at(wanted, t, X)
    found = session.to_numpy(scatter_add(session.xp, there, numbers, 200))
    yield {"equal": bool(np.allclose(found, wanted, rtol=1e-15, atol=1e-15)), "chunks": there.numblocks[0]}


def one_thread(arguments):
    """The threads of a session that may have one, and its processes."""
    import psutil
    from threadpoolctl import threadpool_info

    session = opened(threads=1)
    a = session.to_device(np.ones((300, 300)), "float32")
    session.wait([a @ a])
    yield {
        "settings": dict(session.settings()),
        "blas": [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"],
        "children": len(psutil.Process().children(recursive=True)),
    }


def stopped(arguments):
    """A sum before and after others had their turn."""
    session = opened()
    yield {"ttl": session.client.cluster.scheduler.worker_ttl}
    x = session.to_device(np.arange(4.0))
    sums = [float(session.to_numpy(session.xp.sum(x)))]
    arguments["turn"](1)
    sums.append(float(session.to_numpy(session.xp.sum(x + 0))))
    yield {"sums": sums}


def arrived(arguments):
    """Wait until a scheduler has its workers."""
    import distributed

    client = distributed.Client(arguments["address"], timeout=20)
    if arguments["workers"]:
        client.wait_for_workers(arguments["workers"], timeout=60)
    yield {"workers": len(client.nthreads())}


def remote(arguments):
    """Value and gradients on the scheduler that the environment names."""
    session = opened()
    op = operations()["relu_regression"]
    arrays = dtype_arrays(op, op.size("tiny"), 0, "integers", "float64")
    outputs = session.function(op, {}, "analytic", "eager")(*session.place(op, arrays, "float64"))
    session.wait(outputs)
    wanted = op.analytic(np, {})(*arrays)
    processes = set(session.client.run(os.getpid).values()) - {os.getpid()}
    yield {
        "settings": dict(session.settings()),
        "processes": len(processes),
        "right": all(np.array_equal(session.to_numpy(f), w) for f, w in zip(outputs, wanted, strict=True)),
    }

"""What the tests of the backends do in a process of their own, one framework each."""

import contextlib
import importlib
import sys
import types
from pathlib import Path

import numpy as np

from multigrad.backend import Unavailable, backend
from multigrad.extra.recurrence import scan
from multigrad.ops.find import operations
from multigrad.ops.operation import operation
from multigrad.truth.inputs import dtype_arrays
from multigrad.truth.references import bounded
from multigrad.truth.variant import judge_variant
from tests.backends import cupy_stand_in

BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def rounded(array, dtype):
    """Round float64 values to numbers of a dtype, so that every backend begins with the same ones."""
    significand, exponent = np.frexp(array)
    scale = 2.0 ** BITS[dtype]
    return np.ldexp(np.rint(significand * scale) / scale, exponent)


def opened(arguments):
    return backend(arguments["backend"]).open(arguments["device"], threads=arguments.get("threads", 1))


def several(arguments):
    """What several of the functions below yield, in one process: a framework's import takes longer than they do."""
    for what in arguments["several"]:
        for row in globals()[what](arguments):
            yield {"what": what, "row": row}


def cells(arguments):
    """Every dtype, mode and variant of the two founding operations: the error in units of what the dtype allows."""
    session = opened(arguments)
    for op in (operations()["relu_regression"], operations()["linear_map"]):
        size = next(iter(op.sizes.values()))
        for dtype in session.dtypes:
            inputs = [rounded(a, dtype) for a in op.make_inputs(size, seed=7)]
            expected_value, pullback = op(np, *inputs)
            cotangent = rounded(op.make_cotangents([np.shape(expected_value)], seed=7)[0], dtype)
            gradients = pullback(cotangent)
            expected = [expected_value, *(gradients if isinstance(gradients, tuple) else (gradients,))]
            on_device = [session.to_device(a, dtype) for a in (*inputs, cotangent)]
            # A compiler takes its time for each: the second operation is compiled in one dtype.
            modes = session.backend.modes if op.name == "relu_regression" or dtype == "float32" else ("eager",)
            for mode in modes:
                for variant in session.backend.variants:
                    cell = {"operation": op.name, "dtype": dtype, "mode": mode, "variant": variant}
                    try:
                        function = session.function(op, {}, variant, mode)
                        found = function(*on_device[: len(inputs)] if variant == "forward" else on_device)
                        session.wait(found)
                    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
                        yield {**cell, "raised": f"{type(error).__name__}: {error}"[:500]}
                        continue
                    wanted = expected[:1] if variant == "forward" else expected
                    shapes = [np.shape(a) for a in wanted]
                    unit = sum(size.values()) * 2.0 ** -BITS[dtype]
                    errors = [
                        np.max(np.abs(session.to_numpy(f) - w)) / (unit * np.max(np.abs(w)))
                        for f, w in zip(found, wanted, strict=True)
                    ]
                    yield {
                        **cell,
                        "dtypes": [session.dtype_name(f) for f in found],
                        "shapes_fit": [tuple(f.shape) for f in found] == shapes,
                        "error": float(max(errors)),
                    }
            session.release()


def round_trips(arguments):
    """Arrays of awkward shapes and layouts, to the device and back."""
    session = opened(arguments)
    base = np.random.default_rng(3).integers(-100, 100, (4, 6)) / 4  # numbers of every dtype
    shapes = {
        "matrix": base,
        "scalar": np.asarray(base[0, 0]),
        "empty": base[:0],
        "one": base[:1, 0],
        "transposed": base.T,
        "strided": base[::2, ::3],
        "reversed": base[::-1],
        "huge and tiny": np.asarray([0.0, -0.0, 2.0**15, 2.0**-14, np.inf, -np.inf]),
    }
    for dtype in session.dtypes:
        for name, array in shapes.items():
            given = array.view()
            given.flags.writeable = False
            there = session.to_device(given, dtype)
            back = session.to_numpy(there)
            yield {
                "case": f"{dtype} {name}",
                "exact": bool(np.array_equal(back, given) and np.array_equal(np.signbit(back), np.signbit(given))),
                "dtype": session.dtype_name(there) == dtype,
                "shape": back.shape == given.shape == tuple(there.shape),
                "back": back.dtype == ("float32" if dtype == "bfloat16" else dtype),
            }
    for array in (np.arange(5), np.asarray([True, False]), np.asarray(3)):
        there = session.to_device(array)
        back = session.to_numpy(there)
        yield {
            "case": f"{array.dtype} kept",
            "exact": bool(np.array_equal(back, array)),
            "dtype": session.dtype_name(there) == str(array.dtype),
            "shape": back.shape == array.shape,
            "back": back.dtype == array.dtype,
        }
    mutable = np.ones(1000)
    there = session.to_device(mutable, session.dtypes[0])
    mutable[:] = 2.0
    back = session.to_numpy(there)
    back[:] = 3.0
    again = session.to_numpy(there)
    yield {
        "case": "no memory is shared",
        "exact": bool(np.all(again == 1.0)),
        "dtype": True,
        "shape": True,
        "back": True,
    }


@operation("(n),(n),(n)->()", nondifferentiable=["mask"], sizes={"tiny": {"n": 4}})
def masked_sum(xp, x, mask, unused):
    """Σ xᵢ where the mask is set."""
    kept = xp.where(mask > 0, x, 0)

    def pullback(f_bar):
        return xp.where(mask > 0, f_bar, 0), 0 * unused

    return xp.sum(kept), pullback


def autodiff_edges(arguments):
    """An integer input without a gradient, and an input that takes no part."""
    session = opened(arguments)
    x, mask = np.asarray([1.0, 2.0, 3.0, 4.0]), np.asarray([1, 0, 1, 0])
    arrays = [session.to_device(x, "float32"), session.to_device(mask), session.to_device(x, "float32")]
    for mode in session.backend.modes:
        function = session.function(masked_sum, {}, "autodiff", mode)
        value, x_bar, unused_bar = function(*arrays, session.to_device(np.asarray(2.0), "float32"))
        yield {
            "mode": mode,
            "value": float(session.to_numpy(value)),
            "x_bar": session.to_numpy(x_bar).tolist(),
            "unused_bar": session.to_numpy(unused_bar).tolist(),
        }


def numbers(arguments):
    """Python numbers where the standard allows them: which calls raise, and which lose the dtype."""
    session = opened(arguments)
    xp = session.xp
    calls = {
        "maximum(Z, 0)": lambda Z: xp.maximum(Z, 0),
        "maximum(0.5, Z)": lambda Z: xp.maximum(0.5, Z),
        "minimum(Z, 0.5)": lambda Z: xp.minimum(Z, 0.5),
        "where(Z > 0, Z, 0)": lambda Z: xp.where(Z > 0, Z, 0),
        "where(Z > 0, 0, Z)": lambda Z: xp.where(Z > 0, 0, Z),
        "2 * sum(Z) * Z": lambda Z: 2 * xp.sum(Z) * Z,
        "hypot(Z, 1)": lambda Z: xp.hypot(Z, 1.0),
        "copysign(1, Z)": lambda Z: xp.copysign(1.0, Z),
        "logaddexp(Z, 0)": lambda Z: xp.logaddexp(Z, 0.0),
        "where(greater(0, Z), Z, 1)": lambda Z: xp.where(xp.greater(0, Z), Z, 1),
        "clip(Z, 0, 1)": lambda Z: xp.clip(Z, 0, 1),
        "pow(Z, 2)": lambda Z: xp.pow(Z, 2),
        "eye(3, device=Z.device)": lambda Z: xp.eye(3, dtype=Z.dtype, device=Z.device),
    }
    for dtype in session.dtypes:
        Z = session.to_device(rounded(np.random.default_rng(1).standard_normal((3, 4)), dtype), dtype)
        for mode in session.backend.modes:
            if mode == "compiled":
                # All in one: what is asked is whether it can be traced, and a compiler takes its time for each.
                try:
                    results = session.compile(lambda Z: tuple(call(Z) for call in calls.values()))(Z)
                    found = [session.dtype_name(r) for r in results]
                except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
                    found = [f"{type(error).__name__}: {error}"[:300]] * len(calls)
            else:
                found = [name_of(session, call, Z) for call in calls.values()]
            for name, dtype_or_error in zip(calls, found, strict=True):
                yield {"call": name, "dtype": dtype, "mode": mode, "found": dtype_or_error}


def name_of(session, call, Z):
    """Return the dtype of a call's result, or what it raised."""
    try:
        return session.dtype_name(call(Z))
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return f"{type(error).__name__}: {error}"[:300]


NAMES = {
    "eigh": ("eigenvalues", "eigenvectors"),
    "qr": ("Q", "R"),
    "slogdet": ("sign", "logabsdet"),
    "svd": ("U", "S", "Vh"),
}


def factors(arguments):
    """The results that the standard names, each by its names."""
    session = opened(arguments)
    A = session.to_device(np.eye(3) + 1, "float64")
    for name, names in NAMES.items():
        result = getattr(session.xp.linalg, name)(A)
        missing = [each for each in names if not hasattr(result, each)]
        same = [
            np.array_equal(session.to_numpy(a), session.to_numpy(getattr(result, n, a)))
            for n, a in zip(names, result, strict=True)
        ]
        yield {"name": name, "missing": missing, "same": all(same)}


def settings(arguments):
    """What the framework says of itself."""
    session = opened(arguments)
    array = session.to_device(np.ones((300, 300)), "float32")
    session.wait([array @ array])
    # What a worker stores must be JSON, and everything optional must answer or say None.
    yield {
        "settings": dict(session.settings()),
        "device_name": session.device_name,
        "peak": session.peak_memory(),
        "events": session.events(lambda: array @ array),
    }


def stages(arguments):
    """Compilation ahead of time."""
    session = opened(arguments)
    op = operations()["linear_map"]
    arrays = [session.to_device(a, "float32") for a in op.make_inputs(op.size("tiny"), 0)]
    found = session.compile_stages(session.function(op, {}, "forward", "eager"), *arrays)
    if found is None:
        yield {"stages": None}
        return
    compiled, seconds = found
    right = bool(np.allclose(compiled(*arrays)[0], arrays[0] @ arrays[1]))
    results = sum(result.nbytes for result in compiled(*arrays))
    yield {"stages": seconds, "right": right, "results": results, "planned": session.planned_memory(compiled, *arrays)}


def kept(arguments):
    """How many files a compiler has left in the folder that it was given, after eager calls and after compiling."""
    session, folder = opened(arguments), Path(arguments["caches"])
    op = operations()["linear_map"]
    arrays = [session.to_device(a, "float32") for a in op.make_inputs(op.size("tiny"), 0)]
    eager = session.function(op, {}, "forward", "eager")

    def files():
        return sum(path.is_file() for path in folder.rglob("*"))

    session.wait(eager(*arrays))
    session.make_cold()
    session.wait(eager(*arrays))
    after_eager = files()
    staged = session.compile_stages(eager, *arrays)
    compiled = staged[0] if staged is not None else session.compile(eager)
    session.wait(compiled(*arrays))
    yield {"eager": after_eager, "compiled": files()}


def vectors(arguments):
    """The vector instructions that Inductor picks after our probe, and those that it picks by its own."""
    from multigrad.backends.torch_backend.compiler import _knows_flags, probe_processor

    opened(arguments)
    probe_processor("cpu")
    sets, options = (importlib.import_module(f"torch._inductor.{name}") for name in ("cpu_vec_isa", "config"))
    mine, options.cpp.vec_isa_ok = str(sets.pick_vec_isa()), None
    yield {"mine": mine, "own": str(sets.pick_vec_isa()), "nonsense": _knows_flags("-mno-such-vectors-at-all")}


def natives(arguments):
    """The native convolutions beside sums written out in NumPy, in float64."""
    session = opened(arguments)
    rng = np.random.default_rng(5)
    for how in (
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 2},
    ):
        groups = how.get("groups", 1)
        image, kernel = rng.standard_normal((2, 4, 7, 8)), rng.standard_normal((6, 4 // groups, 3, 2))
        direct, transposed = session.native("conv2d"), session.native("conv_transpose2d")
        if direct is None:
            yield {"direct": 0.0, "adjoint": 0.0, "none": True}
            return
        y = session.to_numpy(direct(session.to_device(image, "float64"), session.to_device(kernel, "float64"), **how))
        expected = convolved(image, kernel, **how)
        # ⟨conv(x), u⟩ = ⟨x, convᵀ(u)⟩: the transposed convolution is the adjoint, by definition.
        u = rng.standard_normal(y.shape)
        pair = {k: (v, v) if isinstance(v, int) else v for k, v in how.items() if k != "groups"}
        reach = [
            (n - 1) * s - 2 * p + d * (w - 1) + 1
            for n, s, p, d, w in zip(
                y.shape[2:],
                pair.get("stride", (1, 1)),
                pair.get("padding", (0, 0)),
                pair.get("dilation", (1, 1)),
                kernel.shape[2:],
                strict=True,
            )
        ]
        extra = tuple(a - b for a, b in zip(image.shape[2:], reach, strict=True))
        back = transposed(
            session.to_device(u, "float64"), session.to_device(kernel, "float64"), output_padding=extra, **how
        )
        left, right = np.sum(expected * u), np.sum(image * session.to_numpy(back))
        yield {
            "direct": float(np.max(np.abs(y - expected))),
            "adjoint": float(abs(left - right)),
            "shape": list(np.shape(back)) == list(image.shape),
        }


def convolved(image, kernel, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation, as a sum over the kernel's places."""
    (s, t), (p, q), (d, e) = ((v, v) if isinstance(v, int) else v for v in (stride, padding, dilation))
    b, c, h, w = image.shape
    o, per_group, m, n = kernel.shape
    wide = np.zeros((b, c, h + 2 * p, w + 2 * q))
    wide[:, :, p : p + h, q : q + w] = image
    rows, columns = (h + 2 * p - d * (m - 1) - 1) // s + 1, (w + 2 * q - e * (n - 1) - 1) // t + 1
    result = np.zeros((b, o, rows, columns))
    for out in range(o):
        group = out // (o // groups)
        for inner in range(per_group):
            for i in range(m):
                for j in range(n):
                    patch = wide[:, group * per_group + inner, d * i :, e * j :]
                    result[:, out] += kernel[out, inner, i, j] * patch[:, : rows * s : s, : columns * t : t]
    return result


def imported(arguments):
    """Which frameworks a process has imported that knows every backend."""
    from multigrad.backend import backends

    modules = {b.module for b in backends().values()}
    yield {
        "imported": sorted(m for m in modules if m in sys.modules and m != "multigrad" and m not in arguments["known"])
    }


def unavailable(arguments):
    """Open a backend that is not to be had, in a process that has never seen it."""
    try:
        opened(arguments)
    except Unavailable as error:
        yield {"reason": str(error)}


def fake_cupy(arguments):
    """CuPy's session over a stand-in made of NumPy: what can be exercised without a GPU."""
    _, log = stand_in()
    cupy_backend = backend("cupy")
    type(cupy_backend).missing = lambda self, device: None
    session = cupy_backend.open("cuda", precision="strict")
    array = session.to_device(np.asarray([[1.0, 2.0]]), "float16")
    session.reset_peak_memory()
    for hook in list(log["hooks"].values()):
        hook.malloc_postprocess(device_id=0, size=900, mem_size=1024, mem_ptr=1, pmem_id=1)
        hook.malloc_postprocess(device_id=0, size=100, mem_size=512, mem_ptr=2, pmem_id=2)
        hook.free_postprocess(device_id=0, mem_size=1024, mem_ptr=1, pmem_id=1)
        hook.malloc_postprocess(device_id=0, size=100, mem_size=512, mem_ptr=0, pmem_id=0)
    peak = session.peak_memory()
    op = operations()["relu_regression"]
    inputs = [session.to_device(a, "float32") for a in op.make_inputs(op.size("tiny"), 0)]
    found = session.function(op, {}, "analytic", "eager")(*inputs, session.to_device(np.asarray(2.0), "float32"))
    session.wait(found)
    seconds = session.events(lambda: log["calls"].append("work"))
    with contextlib.suppress(Unavailable):
        session.compile(lambda: ())
    session.release()
    yield {
        "dtype": session.dtype_name(array),
        "back": session.to_numpy(array).tolist(),
        "peak": peak,
        "hooks_left": len(log["hooks"]),
        "seconds": seconds,
        "calls": log["calls"],
        "device_name": session.device_name,
        "settings": dict(session.settings()),
        "outputs": [session.dtype_name(f) for f in found],
    }


def stand_in(**names):
    log = {"hooks": {}, "calls": []}

    class MemoryHook:
        name = "MemoryHook"

        def __enter__(self):
            log["hooks"][self.name] = self
            return self

        def __exit__(self, *_):
            del log["hooks"][self.name]

    class Device(cupy_stand_in.Device):
        def use(self):
            log["calls"].append("use")

        def synchronize(self):
            log["calls"].append("synchronize")

    class Event:
        def record(self):
            log["calls"].append("record")

        def synchronize(self):
            log["calls"].append("event synchronize")

    cupy = cupy_stand_in.install(**names)
    cupy.cuda.MemoryHook, cupy.cuda.Device, cupy.cuda.Event = MemoryHook, Device, Event
    cupy.cuda.device.Device = Device
    cupy.cuda.get_elapsed_time = lambda start, end: 250.0
    cupy.cuda.runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda index: {"name": b"Stand-in"},
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
    )
    pool = types.SimpleNamespace(used_bytes=lambda: 4096, free_all_blocks=lambda: log["calls"].append("free"))
    cupy.get_default_memory_pool = lambda: pool
    return cupy, log


def inaccuracies(arguments):
    """Every known inaccuracy of a backend at the size that it names: the worst judgement of its outputs."""
    one = backend(arguments["backend"])
    session = one.open("cpu", threads=1)
    for known in one.inaccuracies:
        op = operations()[known.operation]
        size = op.size(known.size) if isinstance(known.size, str) else known.size
        _, parameters = op.split(size)
        drawn = f"{known.regime}:float64" if known.regime in ("huge", "tiny") else known.regime
        arrays = dtype_arrays(op, size, 0, drawn, "float64")
        references = bounded(op, arrays, parameters, "float64", hull=False)
        function = session.function(op, parameters, known.variant, known.mode)
        outputs = function(*(session.to_device(a, "float64") for a in arrays))
        hosts = [session.to_numpy(a) for a in outputs]
        judged = [
            judge_variant(op, parameters, "float64", known.variant, lambda given=arrays: given, i, a, r)
            for i, (a, r) in enumerate(zip(hosts, references, strict=True))
        ]
        worst = known.worded(max(judged, key=lambda j: j.ratio))
        yield {"operation": op.name, "verdict": worst.verdict, "reason": worst.reason}


@operation("(),(n,d)->(d)", sizes={"long": {"n": 100, "d": 3}})
def relaxed(xp, w, X):
    """y ← tanh(w y + x) for each row x of X."""

    def step(y, x):
        new = xp.tanh(w * y + x)
        return new, (y, new)

    y, (before, after) = scan(xp, step, xp.zeros_like(X[0, :]), X)

    def pullback(y_bar):
        def back(y_bar, kept):
            z_bar = y_bar * (1 - kept[1] * kept[1])
            return w * z_bar, (z_bar, xp.sum(z_bar * kept[0]))

        _, (X_bar, w_bars) = scan(xp, back, y_bar, (before, after), reverse=True)
        return xp.sum(w_bars), X_bar

    return y, pullback


def two_threads(arguments):
    """Operations that scatter, and a recurrence of many steps, compiled and eager with two threads, several times."""
    session = backend("torch").open("cpu", threads=2)
    sizes = {name: {} for name in ("bundle_adjustment", "embedding", "kmeans", "hand_tracking")} | {"lstm": {"c": 40}}
    for name, more in sizes.items():
        op = operations()[name]
        size = {**op.size("small"), **more}
        arrays = session.place(op, dtype_arrays(op, size, 0, "gaussian", "float64"), "float64")
        _, parameters = op.split(size)
        wanted = [session.to_numpy(a) for a in session.function(op, parameters, "analytic", "eager")(*arrays)]
        compiled = session.function(op, parameters, "analytic", "compiled")
        for _ in range(5):
            found = [session.to_numpy(a) for a in compiled(*arrays)]
            errors = [np.max(np.abs(f - w)) / np.max(np.abs(w)) for f, w in zip(found, wanted, strict=True)]
            yield {"operation": name, "error": float(max(errors))}


def long_recurrence(arguments):
    """A recurrence of a hundred steps on PyTorch: how many nodes its graph has, and what comes of it."""
    import torch

    session = backend("torch").open("cpu", threads=1)
    nodes = []

    def counted(graph, _):
        nodes.append(len(graph.graph.nodes))
        return graph.forward

    compiler, torch.compile = torch.compile, lambda f, **how: compiler(f, backend=counted, **how)
    w, X = relaxed.make_inputs(relaxed.size("long"), seed=0)
    arrays = [session.to_device(a, "float64") for a in (0.5 * np.tanh(w), X, np.array([1.0, -2.0, 3.0]))]
    expected = [session.to_numpy(a) for a in session.function(relaxed, {}, "autodiff", "eager")(*arrays)]
    for variant in ("analytic", "autodiff"):
        nodes.clear()
        found = session.function(relaxed, {}, variant, "compiled")(*arrays)
        pairs = zip(found, expected, strict=True)
        error = max(float(np.max(np.abs(session.to_numpy(f) - e))) for f, e in pairs)
        yield {"variant": variant, "nodes": sum(nodes), "error": error}


def traced_devices(arguments):
    """What is traced by JAX's transforms, once a session is open: its device, and what is made there."""
    session = opened(arguments)
    import jax

    xp, x = session.xp, session.to_device(np.ones(3))
    found = {}
    for name, transform in {"jit": jax.jit, "vmap": jax.vmap, "grad": jax.grad, "linearize": jax.linearize}.items():

        def f(x, name=name):
            found[name] = x.device
            return xp.sum(x * xp.ones(x.shape, dtype=x.dtype, device=x.device))

        transform(f, x) if name == "linearize" else transform(f)(x)
    yield {"found": {name: device is None for name, device in found.items()}, "concrete": x.device is not None}


SPLIT = {
    "relu_regression": {"m": 16, "k": 4, "n": 3},
    "affine": {"m": 16, "k": 4, "n": 3},
    "softplus": {"m": 16, "n": 3},
    "whole": {"m": 12, "k": 4, "n": 3},
    "forward": {"m": 16, "k": 4, "n": 3},
}
"""Sizes; ``whole`` is that of a relu_regression that eight devices do not divide, ``forward`` of its value alone."""


def placed(arguments):
    """How arguments lie on a mesh (different parts, and the shape of one), and what the compiler put in."""
    session = opened(arguments)
    for name, size in SPLIT.items():
        op = operations()[name if name in operations() else "relu_regression"]
        arrays = dtype_arrays(op, size, 0, "gaussian", "float32")
        variant = "forward" if name == "forward" else "analytic"
        if variant == "forward":
            arrays = arrays[: len(op.inputs)]
        on_device = session.place(op, arrays, "float32")
        function = session.function(op, {}, variant, "compiled")
        session.wait(function(*on_device))
        parts = []
        for array in on_device:
            indices = {str(shard.index) for shard in array.addressable_shards}
            parts.append([len(indices), list(array.addressable_shards[0].data.shape)])
        yield {
            "operation": name,
            "parts": parts,
            "devices": len(on_device[0].devices()),
            "collectives": session.collectives(function, *on_device),
        }


def too_late(arguments):
    """A mesh that is asked for when the framework has begun with one device."""
    opened(arguments)
    try:
        backend(arguments["backend"]).open("cpu:8", threads=1)
    except Unavailable as error:
        yield {"operation": "too late", "said": str(error)}


class Accelerator:
    """Stands in for torch.mps or torch.xpu, and notes what it is asked."""

    def __init__(self, *absent):
        self.called = []
        self.absent = absent

    def __getattr__(self, name):
        if name in self.absent:
            raise AttributeError(name)
        answers = {"max_memory_allocated": 4096, "get_device_name": "an xpu"}
        return lambda *arguments, **named: (self.called.append(name), answers.get(name))[1]

    class Event:
        """An event of 2 ms."""

        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            """Be recorded."""

        def synchronize(self):
            """Be awaited."""

        def elapsed_time(self, other):
            """Return milliseconds."""
            return 2.0


def other_accelerators(arguments):
    """What a session of torch does on devices that are not here, whose module in torch is a stand-in."""
    import torch
    from multigrad.backends.torch_backend.session import TorchSession

    one, answer = backend("torch"), {}
    modules = {"mps": Accelerator("max_memory_allocated", "reset_peak_memory_stats"), "xpu": Accelerator()}
    torch.get_device_module = modules.__getitem__
    torch.backends.mps.get_name = lambda: "an mps"
    made, tensor = [], torch.tensor
    torch.tensor = lambda array, dtype, device: (made.append(device), tensor(array, dtype=dtype))[1]
    torch.zeros = lambda *shape, device, **how: made.append(device)
    for kind, module in modules.items():
        one.missing = lambda device: None
        try:
            one.open(kind)
        except Unavailable as error:
            refused = str(error)
        session = TorchSession(one, kind)
        session.to_device(np.ones(2), "float32")
        session.reset_peak_memory()
        answer[kind] = {"dtypes": session.dtypes, "peak": session.peak_memory(), "event_s": session.events(lambda: 0)}
        session.release()
        session.xp.zeros((2,))
        on = made[-2:]
        answer[kind] |= {"called": module.called, "name": session.device_name, "refused": refused}
        answer[kind] |= {"input_on": on[0], "made_on": on[1]}
    yield answer

"""A stand-in for CuPy that computes with NumPy: it has CuPy's names, takes CuPy's arguments, and counts the waits.

What CuPy has stands in ``tests/data/cupy_names.json``, written by ``tests/backends/cupy_names.py`` where CuPy is. A
name that CuPy lacks is an AttributeError here, an argument that it does not take a TypeError, and so is an array of
NumPy's where CuPy wants one of its own. Whatever the host would wait for is counted.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

NAMES = Path(__file__).parents[1] / "data" / "cupy_names.json"
CALLS: Counter[str] = Counter()
"""How often each function of CuPy's was called, with arguments that it takes."""

WAITS: list[str] = []
"""What the host waited for."""

MODULES = {
    "cupy": np,
    "cupy.linalg": np.linalg,
    "cupy.fft": np.fft,
    "cupyx.scipy.linalg": scipy.linalg,
    "cupyx.scipy.special": scipy.special,
}
"""The modules, each with the one that computes in its place."""

READ_BY_THE_HOST = {
    "cupy.nonzero": 1,
    "cupy.unique": 1,
    "cupy.asnumpy": 1,
    "cupy.linalg.pinv": 1,
    "cupyx.scipy.linalg.lu_factor": 2,
    "cupyx.scipy.linalg.lu_solve": 1,
}
"""Functions that wait for the device, with how often."""


class Device:
    """A device; of ``cupy.cuda.Device``, what array-api-compat uses."""

    def __init__(self, index: int | None = None) -> None:
        self.id = index or 0

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    __hash__ = None  # type: ignore[assignment]


def wait(what: str, times: int = 1) -> None:
    """Count what the host waits for."""
    WAITS.extend([what] * times)


def inside(x: Any) -> Any:
    """Return the array of NumPy's that an array holds, of each in a list of them; anything else as it is."""
    if isinstance(x, NDArray):
        return x._host
    if isinstance(x, list | tuple):
        return type(x)(map(inside, x)) if not hasattr(x, "_fields") else type(x)(*map(inside, x))
    return x


def outside(x: Any) -> Any:
    """Return what NumPy computed as CuPy would: arrays, without dimensions where NumPy has numbers."""
    if isinstance(x, np.ndarray | np.generic):
        return NDArray(np.asarray(x))
    if isinstance(x, list | tuple):
        return type(x)(map(outside, x)) if not hasattr(x, "_fields") else tuple(map(outside, x))
    return x


def refuse_numpys(arguments: Any) -> None:
    """Raise the error that CuPy raises for an array of NumPy's."""
    for x in arguments:
        if isinstance(x, np.ndarray):
            raise TypeError(f"Unsupported type {type(x)}")


class NDArray:
    """An array on the device."""

    __array_ufunc__ = None
    names: dict[str, str] = {}  # noqa: RUF012 - filled when the names are read

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        kind = self.names.get(name)
        if kind is None:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        if name == "device":
            return Device(0)
        if kind == "value":
            return outside(getattr(self._host, name))

        def method(*args: Any, **options: Any) -> Any:
            signature(kind).bind(self, *args, **options)
            refuse_numpys(args)
            CALLS[f"cupy.ndarray.{name}"] += 1
            if name in ("get", "item", "tolist", "nonzero", "tobytes"):
                wait(f"{name}()")
            with np.errstate(all="ignore"):
                return outside(getattr(self._host, name)(*inside(args), **{k: inside(v) for k, v in options.items()}))

        return method

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (NDArray(np.asarray(part)) for part in self._host)

    def __getitem__(self, key: Any) -> NDArray:
        self._note_mask(key)
        return NDArray(np.asarray(self._host[inside(key)]))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._note_mask(key)
        refuse_numpys([value])
        self._host[inside(key)] = inside(value)

    @staticmethod
    def _note_mask(key: Any) -> None:
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, NDArray) and k._host.dtype == bool for k in keys):
            wait("an index by a condition")


def _operator(name: str) -> Callable[..., Any]:
    def operate(self: NDArray, *others: Any) -> Any:
        refuse_numpys(others)
        with np.errstate(all="ignore"):
            found = getattr(self._host, name)(*inside(others))
        return found if found is NotImplemented else outside(found)

    return operate


def _read(name: str) -> Callable[..., Any]:
    def read(self: NDArray) -> Any:
        wait(name)
        return getattr(self._host, name)()

    return read


REVERSED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
OPERATORS = (
    *(f"__{prefix}{name}__" for name in REVERSED for prefix in ("", "r")),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__neg__", "__pos__", "__abs__", "__invert__"),
)
for _name in OPERATORS:
    setattr(NDArray, _name, _operator(_name))
for _name in ("__bool__", "__float__", "__int__", "__index__"):
    setattr(NDArray, _name, _read(_name))


@functools.cache
def signature(arguments: str) -> inspect.Signature:
    """Return the signature that is written as a ``def`` has it; of what nobody knows the arguments, it takes all."""
    scope: dict[str, Any] = {}
    exec(f"def f{'(*args, **options)' if arguments == 'callable' else arguments}: ...", scope)
    return inspect.signature(scope["f"])


class ReductionKernel:
    """A kernel of CuPy's, whose expressions are taken for Python: a map, and ``a + b``."""

    arguments = ""

    def __init__(self, *args: Any) -> None:
        signature(self.arguments).bind(*args)
        inputs, outputs, self.mapped, reduced, after, identity, _ = args
        if (outputs, reduced, after, identity) != ("T z", "a + b", "z = a", "0"):
            raise NotImplementedError(args)
        self.names = [one.split()[1] for one in inputs.split(",")]

    def __call__(self, *arrays: NDArray, axis: int | None = None, keepdims: bool = False) -> Any:
        if len({a._host.dtype for a in arrays}) > 1:
            raise TypeError("Type is mismatched. T")
        scope = dict(zip(self.names, inside(arrays), strict=True))
        return outside(np.sum(eval(self.mapped, scope), axis=axis, keepdims=keepdims))


def _finite_or_not(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of ``linalg`` that does not raise: CuPy does not look whether a matrix was singular."""

    def computed(*args: Any, **options: Any) -> Any:
        try:
            return compute(*args, **options)
        except np.linalg.LinAlgError:
            shape = args[-1].shape if len(args) > 1 else args[0].shape
            return np.full(shape, np.nan, dtype=args[0].dtype)

    return computed


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    return np.linalg.solve(a, b)


OWN: dict[str, Callable[..., Any]] = {
    "cupy.array": lambda obj, **how: np.array(obj, **{k: v for k, v in how.items() if k != "blocking"}),
    "cupy.asnumpy": lambda a, **how: np.array(a),
    "cupy.linalg.inv": _finite_or_not(np.linalg.inv),
    "cupy.linalg.solve": _finite_or_not(_solve),
    "cupy.linalg.cholesky": _finite_or_not(np.linalg.cholesky),
}
"""Functions that NumPy has in another way."""

FROM_THE_HOST = ("cupy.array", "cupy.asarray", "cupy.ascontiguousarray")
TO_THE_HOST = ("cupy.asnumpy",)
"""Functions that take an array of NumPy's, and that return one."""


def _function(path: str, computing: Any, name: str, arguments: str) -> Callable[..., Any]:
    """Return a function of CuPy's, which NumPy computes."""
    full = f"{path}.{name}"
    compute = OWN.get(full) or getattr(computing, name, None)

    def call(*args: Any, **options: Any) -> Any:
        signature(arguments).bind(*args, **options)
        if full not in FROM_THE_HOST:
            refuse_numpys([*args, *options.values()])
        if compute is None:
            raise NotImplementedError(f"{full}: the stand-in has nothing that computes it")
        CALLS[full] += 1
        wait(full, READ_BY_THE_HOST.get(full, 0))
        with np.errstate(all="ignore"):
            found = compute(*inside(args), **{k: inside(v) for k, v in options.items()})
        return found if full in TO_THE_HOST else outside(found)

    call.__name__ = name
    return call


class _Grid:
    """``ogrid`` and ``mgrid``."""

    def __init__(self, grid: Any) -> None:
        self.grid = grid

    def __getitem__(self, key: Any) -> Any:
        return outside(self.grid[key])


def _module(path: str, computing: Any, names: dict[str, str]) -> types.ModuleType:
    module = types.ModuleType(path)
    for name, kind in names.items():
        if kind.startswith("("):
            member: Any = _function(path, computing, name, kind)
        elif kind == "callable":
            member = _function(path, computing, name, "(*args, **options)")
        else:
            member = getattr(computing, name, None)  # a dtype or a number; a module is set where it is wanted
        setattr(module, name, member)
    return module


def install(names: str | Path = NAMES) -> types.ModuleType:
    """Put the stand-in where ``import cupy`` finds it, and return it.

    Args:
        names: the file that says what CuPy has.
    """
    listed = json.loads(Path(names).read_text())
    NDArray.names = listed["cupy.ndarray"]
    ReductionKernel.arguments = listed["cupy"]["ReductionKernel"].removeprefix("class ")
    modules = {path: _module(path, computing, listed[path]) for path, computing in MODULES.items()}
    cupy = modules["cupy"]
    vars(cupy).update(ndarray=NDArray, ogrid=_Grid(np.ogrid), mgrid=_Grid(np.mgrid), ReductionKernel=ReductionKernel)
    vars(cupy).update(linalg=modules["cupy.linalg"], fft=modules["cupy.fft"], __version__=listed["version"])
    cupy.__spec__ = types.SimpleNamespace(name="cupy")  # type: ignore[assignment]
    cupy.cuda = types.ModuleType("cupy.cuda")
    cupy.cuda.device = types.ModuleType("cupy.cuda.device")
    cupy.cuda.Device = cupy.cuda.device.Device = Device
    modules |= {"cupy.cuda": cupy.cuda, "cupy.cuda.device": cupy.cuda.device}
    modules |= {path: types.ModuleType(path) for path in ("cupyx", "cupyx.scipy")}
    sys.modules.update(modules)
    return importlib.import_module("cupy")

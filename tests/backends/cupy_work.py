"""What the tests of CuPy's namespace do in a process of their own: everything it has, on a stand-in for CuPy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from multigrad.backend import backend
from multigrad.data.standard import SPECIAL, numpy_standard
from multigrad.extra.elimination import eliminated, triangular
from multigrad.extra.hooks import hooks_of
from multigrad.extra.scatter import scatter_add, scatter_along_axis, scatter_diagonal
from multigrad.ops.find import operations
from multigrad.truth.inputs import dtype_arrays
from tests.backends import cupy_stand_in
from tests.backends.session_work import stand_in


def opened(arguments: Any) -> tuple[Any, Any, Any]:
    """Return the stand-in, our namespace of it, and a session."""
    cupy, _ = stand_in(**{k: v for k, v in arguments.items() if k == "names"})
    cupy_backend = backend("cupy")
    type(cupy_backend).missing = lambda self, device: None  # type: ignore[method-assign]
    session = cupy_backend.open("cuda", precision="strict")
    importlib.import_module("multigrad.backends.cupy_backend.matrices").LARGE = LARGE  # type: ignore[attr-defined]
    return cupy, session.xp, session


def catalogue(arguments: Any) -> Iterator[dict[str, Any]]:
    """Run the value, the pullback and the gradient of the tape of every operation, beside NumPy's."""
    session, numpys = opened(arguments)[2], backend("numpy").open("cpu")
    for name, op in operations().items():
        size = op.size(next(iter(op.sizes)))
        arrays, parameters = dtype_arrays(op, size, 0, "gaussian", "float64"), op.split(size)[1]
        for variant in session.backend.variants:
            given = arrays[: len(op.inputs)] if variant == "forward" else arrays
            wanted = numpys.function(op, parameters, variant, "eager")(*map(numpys.to_device, given))
            function = session.function(op, parameters, variant, "eager")
            there = [session.to_device(a) for a in given]
            cupy_stand_in.WAITS.clear()
            found = function(*there)
            waits = list(cupy_stand_in.WAITS)
            yield {
                "name": f"{name} {variant}",
                "waits": waits,
                "kinds": sorted({type(f).__name__ for f in found}),
                "error": max((apart(session.to_numpy(f), w) for f, w in zip(found, wanted, strict=True)), default=0.0),
            }
    yield {"calls": dict(cupy_stand_in.CALLS), "version": session.cupy.__version__}


SIDE = 40
LARGE = 2**8
"""So that matrices of :data:`SIDE` rows are large, one of them and three."""

MATRICES = np.random.default_rng(0).standard_normal((3, SIDE, SIDE)) / 6 + np.eye(SIDE)
MANY = np.random.default_rng(1).standard_normal((50, 4, 4)) + 4 * np.eye(4)
SINGULAR = MATRICES * np.where(np.arange(3)[:, None, None] == 1, np.arange(SIDE) != 7, True)
TALL = np.random.default_rng(2).standard_normal((2, 3, 5, 4))
RIGHT = np.random.default_rng(3).standard_normal((3, SIDE, 2))
X = np.array([[-2.0, 0.0, 3.0], [np.nan, np.inf, -np.inf]])
ORDER = np.argsort(TALL, axis=2)
SPLITS = {"one": slice(0, 1), "several": slice(None)}


def system(xp: Any, A: Any, B: Any) -> tuple[Any, ...]:
    """Everything that is asked of factors."""
    factors = eliminated(xp, A)
    return (
        *(factors.solve(B, transposed=transposed) for transposed in (False, True)),
        *(factors.log_abs_det(), factors.det(), factors.adjugate()),
    )


def triangle(xp: Any, L: Any, B: Any) -> tuple[Any, ...]:
    """Everything that is asked of triangles."""
    triangles = triangular(xp, L)
    return (*(triangles.solve(B, transposed=transposed) for transposed in (False, True)), triangles.inverse())


USES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    **{f"large systems, {n}": (system, (MATRICES[s], RIGHT[s])) for n, s in SPLITS.items()},
    "large systems, in two dimensions": (system, (MATRICES[None], RIGHT[None])),
    **{f"small systems, {n}": (system, (MANY[s], MANY[s, :, :2])) for n, s in SPLITS.items()},
    **{f"large triangles, {n}": (triangle, (MATRICES[s], RIGHT[s])) for n, s in SPLITS.items()},
    "small triangles": (triangle, (MANY, MANY)),
    "no triangles": (triangle, (MANY[:0], MANY[:0])),
    **{
        f"{name}, {n}": (lambda xp, A, f=name: getattr(xp.linalg, f)(A), (M[s],))
        for name in ("cholesky", "det", "eigvalsh", "inv", "pinv", "qr", "slogdet", "svdvals")
        for M in (MANY @ np.swapaxes(MANY, 1, 2), MATRICES @ np.swapaxes(MATRICES, 1, 2))
        for n, s in {f"{M.shape[-1]} {n}": s for n, s in SPLITS.items()}.items()
    },
    "pinv of a wide one": (lambda xp, A: xp.linalg.pinv(xp.matrix_transpose(A), rtol=0.5), (TALL,)),
    "pinv of nothing": (lambda xp, A: xp.linalg.pinv(A), (TALL[:, :, :0, :],)),
    "solve, a vector": (lambda xp, A, b: xp.linalg.solve(A, b), (MANY[0], MANY[0, 0])),
    "solve, one matrix for many": (lambda xp, A, B: xp.linalg.solve(A, B), (MANY[0], MANY)),
    "solve, large": (lambda xp, A, B: xp.linalg.solve(A, B), (MATRICES, RIGHT)),
    "solve for nothing": (lambda xp, A, B: xp.linalg.solve(A, B), (MANY, MANY[:, :, :0])),
    "clip by numbers": (lambda xp, x: (xp.clip(x, -1, 2.5), xp.clip(x, None, 0.0), xp.clip(x)), (X,)),
    "clip by arrays": (lambda xp, x, y: (xp.clip(x, y, y + 1), xp.clip(x, max=y), xp.clip(x, y, 1.0)), (X, X[::-1])),
    "clip of integers": (lambda xp, i: xp.clip(i, 1, 3), (ORDER,)),
    "sign": (lambda xp, x: xp.sign(x), (X,)),
    "sign of integers": (lambda xp, i: xp.sign(i - 1), (ORDER,)),
    **{
        f"vecdot, {axis}": (lambda xp, x, y, a=axis: xp.vecdot(x, y, axis=a), (TALL, TALL[:, ::-1]))
        for axis in (-1, -2, 1)
    },
    "vecdot, broadcast": (lambda xp, x, y: (xp.vecdot(x, y), xp.linalg.vecdot(y, x)), (TALL, TALL[0, 0, 0])),
    "vecdot of halves": (lambda xp, x: xp.vecdot(xp.astype(x, xp.float16), xp.astype(x, xp.float16)), (TALL,)),
    "vecdot of nothing": (lambda xp, x: xp.vecdot(x, x), (TALL[..., :0],)),
    "scatter_diagonal": (scatter_diagonal, (TALL,)),
    **{
        f"scatter_along_axis, {axis}": (
            lambda xp, x, order, a=axis: scatter_along_axis(xp, x, order, axis=a),
            (TALL, np.argsort(TALL, axis=axis)),
        )
        for axis in (0, 2, -1)
    },
    "scatter_add": (lambda xp, x, t: scatter_add(xp, x, t, 100), (TALL[0, 0], np.array([70, 3, 70, 99, 3]))),
    **{name: (lambda xp, x, f=name: getattr(xp, f)(x), (np.array([0.25, 0.75]),)) for name in (*SPECIAL, "trigamma")},
    "hurwitz_zeta": (lambda xp, x: xp.hurwitz_zeta(3, x), (np.array([0.25, 0.75]),)),
}


def pieces(arguments: Any) -> Iterator[dict[str, Any]]:
    """Run each function that our namespace has in a way of its own, beside NumPy's and without its hooks."""
    cupy, xp, _ = opened(arguments)
    standard = sys.modules["array_api_compat.cupy"]
    for name, (function, arrays) in USES.items():
        wanted = several(function(numpy_standard(), *arrays))
        cupy_stand_in.WAITS.clear()
        found = several(function(xp, *map(cupy.asarray, arrays)))
        row = {"name": name, "waits": list(cupy_stand_in.WAITS)}
        row["error"] = max(apart(cupy.asnumpy(f), np.asarray(w)) for f, w in zip(found, wanted, strict=True))
        cupy_stand_in.WAITS.clear()
        if hasattr(standard, name.partition(",")[0].partition(" ")[0]):
            function(standard, *map(cupy.asarray, arrays))
            row["waits of array-api-compat"] = list(cupy_stand_in.WAITS)
        yield row


def singular(arguments: Any) -> Iterator[dict[str, Any]]:
    """Ask large and small singular matrices for what has an answer."""
    cupy, xp, _ = opened(arguments)
    for A in (SINGULAR, np.stack([np.eye(2), np.ones((2, 2))])):
        factors = eliminated(xp, cupy.asarray(A))
        X = cupy.asnumpy(factors.solve(cupy.asarray(A[:, :, :1]), regular=cupy.asarray(np.arange(len(A)) != 1)))
        yield {
            "kind": type(factors).__name__,
            "det": cupy.asnumpy(factors.det()).tolist(),
            "finite": [bool(np.isfinite(x).all()) for x in X],
            "adjugate": bool(np.isfinite(cupy.asnumpy(factors.adjugate())).all()),
        }


def faults(arguments: Any) -> Iterator[dict[str, Any]]:
    """What CuPy does not take, the stand-in does not take either."""
    cupy, *_ = opened(arguments)
    x = cupy.asarray(np.ones(3))
    tries: dict[str, Callable[[], Any]] = {
        "a name that NumPy has alone": lambda: cupy.vecdot(x, x),
        "a method that NumPy has alone": lambda: x.byteswap_(),
        "an argument that NumPy takes alone": lambda: cupy.max(x, axis=0, initial=0),
        "an argument of an elementwise function": lambda: cupy.add(x, x, where=True),
        "an argument of a method": lambda: x.sum(where=True),
        "an array of NumPy's": lambda: cupy.add(x, np.ones(3)),
        "an array of NumPy's, added": lambda: x + np.ones(3),
        "made an array of NumPy's": lambda: np.asarray(x),
        "matrices of another batch": lambda: cupy.linalg.solve(cupy.ones((2, 3, 3)), cupy.ones((3, 1))),
        "two dtypes in a kernel": lambda: cupy.ReductionKernel(
            "T x, T y", "T z", "x * y", "a + b", "z = a", "0", "dot"
        )(x, x.astype("float32")),
    }
    for name, attempt in tries.items():
        try:
            attempt()
        except (AttributeError, TypeError, ValueError) as error:
            yield {"name": name, "raised": type(error).__name__}
        else:
            yield {"name": name, "raised": ""}
    for name, attempt in {
        "a condition": lambda: x[x > 0],
        "a number": lambda: float(x[0]),
        "a truth": lambda: bool(x[0] > 0),
        "written where a condition holds": lambda: x.__setitem__(x > 0, 1.0),
    }.items():
        cupy_stand_in.WAITS.clear()
        attempt()
        yield {"name": name, "waits": len(cupy_stand_in.WAITS)}


def several(values: Any) -> tuple[Any, ...]:
    """Return a result as a tuple of them."""
    return tuple(values) if isinstance(values, tuple | list) else (values,)


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference over the largest entry; infinite where the shapes or dtypes differ."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted)) if found.dtype.kind == "f" else found == wanted
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0, np.abs(found - wanted))
    return float(difference.max(initial=0) / np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-300))


def hooks(arguments: Any) -> Iterator[dict[str, Any]]:
    """Say which hooks there are, and where each is defined."""
    _, xp, _ = opened(arguments)
    found = hooks_of(xp)
    own = {field.name: getattr(found, field.name) for field in fields(found)}
    yield {
        "attribute": type(found).__name__,
        "hooks": {name: hook.func.__module__ for name, hook in own.items() if hook is not None},
    }

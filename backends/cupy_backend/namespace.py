"""The array namespace of CuPy, and what it has beyond the standard. Nothing in it waits for the device unless said."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from multigrad.backend import Array, namespace
from multigrad.data.standard import special_functions
from multigrad.extra.hooks import Hooks

from .matrices import Triangular, eliminated, inverted_by_svd, matrix_by_matrix, solved

DECOMPOSITIONS = ("cholesky", "det", "eigh", "eigvalsh", "inv", "qr", "slogdet", "svd", "svdvals")
"""Functions of ``linalg`` of one matrix, or of a batch of them."""


def array_namespace(cupy: Any) -> Any:
    """Return array-api-compat's namespace with functions of CuPy's that do not wait for the device.

    An array indexed by a condition waits, since the host has to know how many entries it has; so ``clip``, ``sign`` and
    ``linalg.pinv`` are written without one.

    There is no hook ``scatter_add``: ``cupy.add.at`` and ``cupyx.scatter_add`` add in an order of their own each time,
    and what is sorted first adds up the same way again. Nor is there ``in_blocks``: a pass over memory is fast here.

    Args:
        cupy: the module.
    """
    xp = importlib.import_module("array_api_compat.cupy")
    scipy_linalg = importlib.import_module("cupyx.scipy.linalg")
    matrices = {name: matrix_by_matrix(cupy, getattr(xp.linalg, name)) for name in DECOMPOSITIONS}
    vecdot = vecdot_of(cupy, xp.vecdot)
    hooks = Hooks(
        eliminated=functools.partial(eliminated, cupy, scipy_linalg, xp),
        triangular=functools.partial(Triangular, cupy, scipy_linalg),
        scatter_along_axis=functools.partial(scatter_along_axis, cupy),
        scatter_diagonal=functools.partial(scatter_diagonal, cupy),
    )
    return namespace(
        xp,
        hooks,
        clip=functools.partial(clip, cupy, xp.clip),
        sign=functools.partial(sign, cupy, xp.sign),
        vecdot=vecdot,
        linalg=namespace(
            xp.linalg,
            **matrices,
            pinv=functools.partial(inverted_by_svd, cupy, matrices["svd"]),
            solve=functools.partial(solved, cupy),
            vecdot=vecdot,
        ),
        **special_functions(importlib.import_module("cupyx.scipy.special")),
    )


def clip(
    cupy: Any, whole: Callable[..., Array], x: Array, /, min: Array | float | None = None, max: Any = None
) -> Array:
    """Return x kept between two bounds, NaN where x or a bound is; integers as array-api-compat does it.

    Args:
        cupy: the module.
        whole: does it for integers.
        x: any array.
        min: the lower bound, a number or an array; None is none.
        max: the upper bound.
    """
    if x.dtype.kind != "f":
        return whole(x, min, max)
    if all(bound is None or isinstance(bound, int | float) for bound in (min, max)):
        return x.copy() if min is max is None else cupy.clip(x, min, max)
    for bound, limited in ((min, cupy.maximum), (max, cupy.minimum)):
        if bound is not None:
            x = limited(x, bound).astype(x.dtype, copy=False)
    return x


def sign(cupy: Any, whole: Callable[..., Array], x: Array, /) -> Array:
    """Return −1, 0 or 1, and NaN of NaN, of which CuPy's own is 0; integers as array-api-compat does it."""
    return cupy.where(cupy.isnan(x), x, cupy.sign(x)) if x.dtype.kind == "f" else whole(x)


def vecdot_of(cupy: Any, whole: Callable[..., Array]) -> Callable[..., Array]:
    """Return the inner product along an axis: one kernel, which copies nothing and keeps no product.

    Args:
        cupy: the module.
        whole: does it for dtypes other than float32 and float64, and for two different ones.
    """
    kernel = cupy.ReductionKernel("T x, T y", "T z", "x * y", "a + b", "z = a", "0", "multigrad_vecdot")

    def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
        if x1.dtype != x2.dtype or x1.dtype.name not in ("float32", "float64"):
            return whole(x1, x2, axis=axis)
        if x1.shape[axis] != x2.shape[axis]:
            raise ValueError(f"vecdot of vectors of length {x1.shape[axis]} and {x2.shape[axis]}")
        return kernel(x1, x2, axis=axis)

    return vecdot


def scatter_along_axis(cupy: Any, X: Array, order: Array, *, axis: int) -> Array:
    """Return what :func:`multigrad.extra.scatter.scatter_along_axis` asks for; of a permutation no two writes meet."""
    Y = cupy.empty_like(X)
    place: list[Array] = list(cupy.ogrid[tuple(slice(n) for n in X.shape)])
    place[axis] = order
    Y[tuple(place)] = X
    return Y


def scatter_diagonal(cupy: Any, d: Array) -> Array:
    """Return what :func:`multigrad.extra.scatter.scatter_diagonal` asks for: zeros, and the diagonals written there."""
    n = d.shape[-1]
    Y = cupy.zeros((*d.shape[:-1], n * n), dtype=d.dtype)
    Y[..., :: n + 1] = d
    return Y.reshape((*d.shape, n))

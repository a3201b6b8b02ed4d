"""NumPy's protocols for our arrays: NumPy's own functions run on them, and what cannot run says so.

``np.exp(x)`` and ``np.linalg.norm(x)`` call the function of the array's own namespace; so do the methods of NumPy's
arrays, ``x.sum(axis=0)``, and a ufunc of SciPy, ``scipy.special.erf(x)``, where the namespace has one of that name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from .unsupported import NO_VALUE, STANDARD_NAMES, VALUES, Unsupported, absent, fits, guarded

Array = Any
"""An array of the namespace at hand."""

REDUCTIONS: Mapping[str, str] = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
"""What ``ufunc.reduce`` is in the standard."""


def _axes_last(xp: Any, a: Array, first: int, second: int) -> Array:
    axes = list(range(a.ndim))
    axes[first], axes[second] = axes[second], axes[first]
    return xp.permute_dims(a, tuple(axes))


def _transposed(xp: Any, a: Array, axes: Any = None) -> Array:
    return xp.permute_dims(a, tuple(reversed(range(a.ndim))) if axes is None else tuple(axes))


def _dot(xp: Any, a: Array, b: Array) -> Array:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return xp.multiply(a, b)
    return xp.matmul(a, b) if np.ndim(b) <= 2 else xp.tensordot(a, b, axes=((-1,), (-2,)))


def _diag(xp: Any, v: Array, k: int = 0) -> Array:
    if v.ndim == 2:
        return xp.linalg.diagonal(v, offset=k)
    before, after = (xp.zeros((max(n, 0),), dtype=v.dtype, device=v.device) for n in (k, -k))
    columns = xp.concat([before, v, after], axis=0)
    i = xp.arange(v.shape[0] + abs(k), device=v.device)
    return xp.where(i[:, None] + k == i[None, :], columns, 0)


def _kron(xp: Any, a: Array, b: Array) -> Array:
    blocks = xp.tensordot(a, b, axes=0)
    order = [axis for pair in zip(range(a.ndim), range(a.ndim, a.ndim + b.ndim), strict=True) for axis in pair]
    return xp.reshape(
        xp.permute_dims(blocks, tuple(order)), tuple(m * n for m, n in zip(a.shape, b.shape, strict=True))
    )


def _at_least(rank: int) -> Callable[..., Array]:
    return lambda xp, a: a if a.ndim >= rank else xp.reshape(a, (1,) * (rank - a.ndim) + tuple(a.shape))


def _column(xp: Any, a: Array) -> Array:
    return a if a.ndim > 1 else a[:, None]


def _average(xp: Any, a: Array, axis: Any = None, weights: Any = None) -> Array:
    if weights is None:
        return xp.mean(a, axis=axis)
    shape = [1] * a.ndim
    if np.ndim(weights) == 1 and axis is not None:
        shape[axis] = -1
        weights = xp.reshape(xp.asarray(weights), tuple(shape))
    weights = xp.asarray(weights) * xp.ones_like(a)
    return xp.sum(a * weights, axis=axis) / xp.sum(weights, axis=axis)


def _pad(xp: Any, array: Array, pad_width: Any, mode: str = "constant", *, constant_values: float = 0) -> Array:
    if mode != "constant":
        raise TypeError(f"np.pad here has the mode 'constant'; found {mode!r}")
    for axis, (before, after) in enumerate(np.broadcast_to(pad_width, (array.ndim, 2)).tolist()):
        edges = []
        for length in (before, after):
            shape = tuple(length if i == axis else n for i, n in enumerate(array.shape))
            edges.append(xp.full(shape, float(constant_values), dtype=array.dtype, device=array.device))
        array = xp.concat([edges[0], array, edges[1]], axis=axis)
    return array


def _split(xp: Any, ary: Array, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    places = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    ahead = (slice(None),) * (axis % ary.ndim)
    ends = np.cumsum([len(p) for p in places]).tolist()
    return [ary[(*ahead, slice(start, end), ...)] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _convolve(xp: Any, a: Array, v: Array, mode: str = "full") -> Array:
    a, v = (a, v) if a.shape[0] >= v.shape[0] else (v, a)
    m, n = a.shape[0], v.shape[0]
    a = xp.asarray(a)
    wide = _pad(xp, a, ((n - 1, n - 1),))
    whole = sum(wide[n - 1 - k : 2 * n + m - 2 - k] * v[k] for k in range(n))
    start, length = {"full": (0, m + n - 1), "same": ((n - 1) // 2, m), "valid": (n - 1, m - n + 1)}[mode]
    return whole[start : start + length]


def _svd(xp: Any, a: Array, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return xp.linalg.svd(a, full_matrices=full_matrices) if compute_uv else xp.linalg.svdvals(a)


def _norm(xp: Any, x: Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    if ord is None or (x.ndim if axis is None else np.size(axis)) == 1:
        return xp.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=2 if ord is None else ord)
    last = x if axis is None else xp.moveaxis(x, axis, (-2, -1))
    result = xp.linalg.matrix_norm(last, ord=ord)
    return result if not keepdims else xp.expand_dims(result, axis=tuple(axis) if axis else (0, 1))


def _varied(name: str) -> Callable[..., Array]:
    def function(xp: Any, a: Array, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
        return getattr(xp, name)(a, axis=axis, correction=ddof, keepdims=keepdims)

    return function


def _reduced(name: str) -> Callable[..., Array]:
    def function(xp: Any, a: Array, axis: Any = None, *, keepdims: bool = False) -> Array:
        return getattr(xp, name)(a, axis=axis, keepdims=keepdims)

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _reduced(name) for name in ("sum", "prod", "mean", "max", "min", "all", "any")},
    **{name: _reduced(name) for name in ("argmax", "argmin", "count_nonzero")},
    **{name: _reduced(STANDARD_NAMES[name]) for name in ("amax", "amin")},
    **{name: _varied(name) for name in ("var", "std")},
    "argsort": lambda xp, a, axis=-1: xp.argsort(a, axis=axis),
    "array_split": _split,
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "average": _average,
    "broadcast_to": lambda xp, a, shape: xp.broadcast_to(a, (shape,) if isinstance(shape, int) else tuple(shape)),
    "clip": lambda xp, a, a_min=None, a_max=None, **limits: xp.clip(a, **{"min": a_min, "max": a_max, **limits}),
    "column_stack": lambda xp, tup: xp.concat([_column(xp, a) for a in tup], axis=1),
    "convolve": _convolve,
    "concatenate": lambda xp, arrays, axis=0: xp.concat(arrays, axis=axis),
    "copy": lambda xp, a: xp.asarray(a, copy=True),
    "cross": lambda xp, a, b, *, axis=-1: xp.linalg.cross(a, b, axis=axis),
    "cumprod": lambda xp, a, axis=None: xp.cumulative_prod(_lane(xp, a, axis), axis=axis or 0),
    "cumsum": lambda xp, a, axis=None: xp.cumulative_sum(_lane(xp, a, axis), axis=axis or 0),
    "diag": _diag,
    "diagonal": lambda xp, a, offset=0: xp.linalg.diagonal(a, offset=offset),
    "diff": lambda xp, a, n=1, axis=-1: xp.diff(a, n=n, axis=axis),
    "dot": _dot,
    "einsum": lambda xp, subscripts, *arrays: xp.einsum(subscripts, *arrays),
    "expand_dims": lambda xp, a, axis: xp.expand_dims(a, axis=axis),
    "fliplr": lambda xp, m: xp.flip(m, axis=1),
    "flipud": lambda xp, m: xp.flip(m, axis=0),
    "flip": lambda xp, a, axis=None: xp.flip(a, axis=axis),
    "full_like": lambda xp, a, fill_value: xp.full_like(a, fill_value),
    "hstack": lambda xp, arrays: xp.concat(arrays, axis=0 if arrays[0].ndim < 2 else 1),
    "inner": lambda xp, a, b: xp.tensordot(a, b, axes=((-1,), (-1,))),
    "kron": _kron,
    "ndim": lambda xp, a: len(a.shape),
    "ones_like": lambda xp, a: xp.ones_like(a),
    "outer": lambda xp, a, b: xp.linalg.outer(a, b),
    "pad": _pad,
    "ptp": lambda xp, a, axis=None: xp.max(a, axis=axis) - xp.min(a, axis=axis),
    "ravel": lambda xp, a: xp.reshape(a, (-1,)),
    "repeat": lambda xp, a, repeats, axis=None: xp.repeat(a, repeats, axis=axis),
    "reshape": lambda xp, a, shape: xp.reshape(a, (shape,) if isinstance(shape, int) else tuple(shape)),
    "roll": lambda xp, a, shift, axis=None: xp.roll(a, shift, axis=axis),
    "shape": lambda xp, a: tuple(a.shape),
    "size": lambda xp, a, axis=None: int(np.prod(a.shape)) if axis is None else a.shape[axis],
    "sort": lambda xp, a, axis=-1: xp.sort(a, axis=axis),
    "squeeze": lambda xp, a, axis=None: xp.squeeze(
        a, tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axis
    ),
    "split": _split,
    "stack": lambda xp, arrays, axis=0: xp.stack(arrays, axis=axis),
    "swapaxes": _axes_last,
    "take": lambda xp, a, indices, axis=None: xp.take(_lane(xp, a, axis), indices, axis=axis or 0),
    "take_along_axis": lambda xp, a, indices, axis: xp.take_along_axis(a, indices, axis=axis),
    "tensordot": lambda xp, a, b, axes=2: xp.tensordot(a, b, axes=axes),
    "trace": lambda xp, a, offset=0: xp.linalg.trace(a, offset=offset),
    "transpose": _transposed,
    "tril": lambda xp, m, k=0: xp.tril(m, k=k),
    "triu": lambda xp, m, k=0: xp.triu(m, k=k),
    "vdot": lambda xp, a, b: xp.matmul(xp.reshape(a, (-1,)), xp.reshape(b, (-1,))),
    "vstack": lambda xp, tup: xp.concat([_at_least(2)(xp, a) for a in tup], axis=0),
    "zeros_like": lambda xp, a: xp.zeros_like(a),
}
"""NumPy's functions whose arguments differ from the standard's; the namespace comes first."""

LINALG: dict[str, Callable[..., Any]] = {"norm": _norm, "svd": _svd}
"""The same for ``numpy.linalg``."""


def _several(name: str) -> Callable[..., Array]:
    def method(xp: Any, a: Array, *sizes: Any, **options: Any) -> Array:
        given = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes or None
        return FUNCTIONS[name](xp, a, given, **options)

    return method


def _astype(xp: Any, a: Array, dtype: Any, copy: bool = True) -> Array:
    try:
        return xp.astype(a, getattr(xp, np.dtype(dtype).name))
    except TypeError:  # a dtype of the namespace's own
        return xp.astype(a, dtype)


METHODS: dict[str, Callable[..., Any]] = {
    "astype": _astype,
    "flatten": FUNCTIONS["ravel"],
    "reshape": _several("reshape"),
    "transpose": _several("transpose"),
}
"""Methods of NumPy's arrays that are called unlike the function of that name; the namespace comes first."""

IN_PLACE = ("byteswap", "fill", "itemset", "partition", "put", "resize", "sort")
"""Methods of NumPy's arrays that change the array or return no other."""


def method_of(array: NumpyProtocols, name: str) -> Callable[..., Any] | None:
    """Return a method that NumPy's arrays have, as the function of that name; None where there is none."""
    xp, call = array.namespace, f"x.{name}"
    if name in IN_PLACE or not hasattr(np.ndarray, name):
        return None
    function = METHODS.get(name) or FUNCTIONS.get(name)
    if function is not None:
        return guarded(functools.partial(function, xp, array), call, array.knower)
    same = None if name in VALUES else getattr(xp, STANDARD_NAMES.get(name, name), None)
    return None if same is None else functools.partial(_called, call, array, same, array)


def _lane(xp: Any, a: Array, axis: int | None) -> Array:
    return xp.reshape(a, (-1,)) if axis is None else a


def numpys_own(xp: Any, name: str, knower: str, prefix: str = "xp") -> Callable[..., Any]:
    """Return a function that NumPy has beside the standard's, for ``xp.concatenate(…)`` and ``xp.linalg.norm(x)``.

    Args:
        xp: one of our namespaces.
        name: the name that the standard does not have.
        knower: what the messages call the namespace.
        prefix: ``xp`` or ``xp.linalg``.

    Raises:
        Unsupported: NumPy has none either, or it is not known.
    """
    linear = prefix == "xp.linalg"
    adapted = (LINALG if linear else FUNCTIONS).get(name)
    if adapted is not None:
        return guarded(functools.partial(adapted, xp), f"{prefix}.{name}", knower)
    function: Callable[..., Any] | None = None
    if not linear and name in STANDARD_NAMES and isinstance(getattr(np, name, None), np.ufunc):
        function = getattr(xp, STANDARD_NAMES[name], None)
    if function is None:
        raise absent(xp.linalg if linear else xp, prefix, f"{prefix}.{name}", name, knower)
    return function


class NumpyProtocols:
    """What every array of ours has: NumPy's functions come here, and nobody gets a value."""

    __slots__ = ()
    knower = "the proof"
    """What the messages call the namespace."""
    rank = 0
    """Of two namespaces in one call the higher one computes."""
    namespace: ClassVar[Any]
    """The array namespace of the class. It registers itself here: a class imports no functions."""
    shape: Any

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self.namespace

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        call = f"{'np' if getattr(np, ufunc.__name__, None) is ufunc else 'scipy.special'}.{ufunc.__name__}"
        name = STANDARD_NAMES.get(ufunc.__name__, ufunc.__name__)
        if "out" in options:
            raise Unsupported(f"{call}(…, out=…)", "write `x = x + y`, which makes a new array", self.knower)
        xp = _namespace(inputs)
        if method == "reduce" and name in REDUCTIONS:
            return _called(f"{call}.reduce", self, getattr(xp, REDUCTIONS[name]), *inputs, **{"axis": 0, **options})
        if method != "__call__":
            raise Unsupported(f"{call}.{method}", "write it with other functions of `xp`", self.knower)
        function = getattr(xp, name, None)
        if function is None:
            raise absent(xp, "xp", call, ufunc.__name__, self.knower)
        return _called(call, self, function, *inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        xp, linear = _namespace(_flat((*args, *options.values()))), function.__module__ == "numpy.linalg"
        call = f"np.{'linalg.' if linear else ''}{function.__name__}"
        adapted = (LINALG if linear else FUNCTIONS).get(function.__name__)
        if adapted is not None:
            return _called(call, self, adapted, xp, *args, **options)
        place, prefix = (xp.linalg, "xp.linalg") if linear else (xp, "xp")
        same = getattr(place, STANDARD_NAMES.get(function.__name__, function.__name__), None)
        if same is None or function.__module__ not in ("numpy", "numpy.linalg"):
            raise absent(place, prefix, call, function.__name__, self.knower)
        return _called(call, self, same, *args, **options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unsupported(
            "np.asarray(x)", "an array of NumPy cannot hold it; write `xp.stack`, or `xp.zeros` to fill", self.knower
        )

    def __bool__(self) -> Any:
        raise Unsupported("bool(x)", NO_VALUE, self.knower)

    def __float__(self) -> Any:
        raise Unsupported("float(x)", NO_VALUE, self.knower)

    def __int__(self) -> Any:
        raise Unsupported("int(x)", NO_VALUE, self.knower)

    def __complex__(self) -> Any:
        raise Unsupported("complex(x)", NO_VALUE, self.knower)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = method_of(self, name)
        if method is None:
            raise absent(self.namespace, "xp", f"x.{name}", name, self.knower)
        return method


def _flat(arguments: Any) -> list[Any]:
    return [one for a in arguments for one in (_flat(a) if isinstance(a, list | tuple) else [a])]


def _namespace(arguments: Any) -> Any:
    ours = [a for a in arguments if isinstance(a, NumpyProtocols)]
    return max(ours, key=lambda a: a.rank).namespace


def _called(call: str, array: NumpyProtocols, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    given = {k: v for k, v in options.items() if v is not np._NoValue}
    try:
        return function(*args, **given)
    except TypeError as error:
        if isinstance(error, Unsupported) or fits(function, args, given):
            raise
        what = f" with {', '.join(given)}" if given else ""
        raise Unsupported(call, f"found no such form{what}; write it with functions of `xp`", array.knower) from error

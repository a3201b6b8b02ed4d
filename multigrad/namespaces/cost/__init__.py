# ruff: noqa: A001  the names are the standard's
"""What an operation costs, from shapes alone: an array namespace without data, and :func:`cost`, which runs it.

Counted are floating-point operations: 1 for an addition, a multiplication, a division, a comparison, a maximum or the
call of an elementary function; 2mnk for a matrix product; the textbook's count for a factorisation
(:data:`FACTORISATIONS`). Moving, choosing by a condition, and integers count nothing. Elementary functions are
counted a second time by themselves, because hardware takes several instructions for each.

Bytes are counted twice: once as what must be moved whatever the implementation does (each input read once, each output
written once), and once as an eager framework moves them, one pass per function (``streamed_bytes``). Views are free.

Shapes that depend on data are not supported: an operation that asks for a value raises.
"""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...data.errors import BadInput
from ...ops.operation import Operation
from ...ops.signature import Size
from ..shared import textbook
from ..shared.namespace import namespace_info
from ..shared.numpy_protocols import numpys_own
from ..shared.operators import PythonOperators
from ..shared.unsupported import NO_INDEX, Unsupported, guard
from . import linalg

__all__ = ["FACTORISATIONS", "Array", "Cost", "cost", "counting", "linalg"]

__array_api_version__ = "2024.12"

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "bfloat16": 2,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element."""

FLOATS = ("float64", "float32", "bfloat16", "float16")
"""The floating-point types, widest first."""

FACTORISATIONS: Mapping[str, Callable[[int, int], float]] = {
    # m rows, n columns, m ≥ n. Golub & Van Loan, Matrix Computations, 4th ed. 2013, the section named.
    "elimination": lambda m, n: 2 / 3 * n**3,  # 3.2
    "inverse": lambda m, n: 2 * n**3,  # 3.4
    "cholesky": lambda m, n: n**3 / 3,  # 4.2
    "qr": lambda m, n: 4 * n**2 * (m - n / 3),  # 5.2: half for R, half to form the thin Q
    "eigenvalues": lambda m, n: 4 / 3 * n**3,  # 8.3
    "eigenvectors": lambda m, n: 9 * n**3,  # 8.3
    "singular values": lambda m, n: 4 * m * n**2 - 4 / 3 * n**3,  # 8.6
    "singular vectors": lambda m, n: 14 * m * n**2 + 8 * n**3,  # 8.6
}
"""Floating-point operations of one factorisation, to leading order."""


@dataclass(frozen=True)
class Cost:
    """What one call of an operation costs."""

    flops: float
    """Floating-point operations, those of matrix products and elementary functions included."""
    bytes: float
    """Compulsory traffic in bytes: every input read once, every output written once."""
    streamed_bytes: float
    """Traffic in bytes if every function were a pass over memory of its own, as in eager mode."""
    product_flops: float
    """The part of ``flops`` that is in matrix products."""
    transcendentals: float
    """The part of ``flops`` that is calls of elementary functions, roots among them."""

    @property
    def intensity(self) -> float:
        """Floating-point operations per compulsory byte."""
        return self.flops / self.bytes if self.bytes else math.inf


@dataclass
class _Tally:
    dtype: str
    flops: float = 0.0
    streamed_bytes: float = 0.0
    product_flops: float = 0.0
    transcendentals: float = 0.0


_TALLY: ContextVar[_Tally] = ContextVar("cost_tally")


@contextmanager
def counting(dtype: str = "float32") -> Iterator[_Tally]:
    """Count what the functions of this namespace cost; new floating-point arrays are of that dtype."""
    tally = _Tally(dtype)
    token = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(token)


def _tally() -> _Tally:
    found = _TALLY.get(None)
    if found is None:
        raise RuntimeError("nothing is being counted; wrap the computation in `with cost.counting(dtype):`")
    return found


class DType(str):
    """A dtype: its name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name."""
        return str(self)


float64, float32, bfloat16, float16 = (DType(n) for n in FLOATS)
int64, int32, int16, int8, uint8 = (DType(n) for n in ("int64", "int32", "int16", "int8", "uint8"))
bool = DType("bool")
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return numpys_own(sys.modules[__name__], name, Array.knower)


class Array(PythonOperators):
    """A shape and a dtype."""

    __slots__ = ("dtype", "shape", "stored")
    knower = "the count of operations"
    shape: tuple[int, ...]

    def __init__(self, shape: Sequence[int], dtype: str, stored: int | None = None) -> None:
        self.shape = tuple(int(n) for n in shape)
        """The shape."""
        self.dtype = DType(dtype)
        """The dtype."""
        self.stored = math.prod(self.shape) if stored is None else stored
        """How many elements lie in memory: fewer than ``size`` for a broadcast view."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def device(self) -> str:
        """Always ``cpu``."""
        return "cpu"

    @property
    def nbytes(self) -> int:
        """The bytes that lie in memory."""
        return self.stored * ITEM_BYTES[self.dtype]

    @property
    def T(self) -> Any:
        """The transpose of a matrix."""
        return permute_dims(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Any:
        """The transpose of the last two axes."""
        return matrix_transpose(self)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Array({self.shape}, {self.dtype})"

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        from .. import cost as namespace

        return namespace

    def __getitem__(self, key: Any) -> Array:
        keys = tuple(_as_index(k) for k in (key if isinstance(key, tuple) else (key,)))
        shape = _ghost(self.shape)[keys].shape
        gathers = builtins.any(isinstance(k, np.ndarray) for k in keys)
        return _moved(shape, self.dtype, self) if gathers else _view(self, shape)

    def __setitem__(self, key: Any, value: Any) -> None:
        keys = tuple(_as_index(k) for k in (key if isinstance(key, tuple) else (key,)))
        _moved(_ghost(self.shape)[keys].shape, self.dtype, value)


def _ghost(shape: tuple[int, ...]) -> np.ndarray:
    """Return a NumPy array of that shape that takes no memory, so that NumPy works the shapes out."""
    return np.broadcast_to(np.int8(0), shape)


def _as_index(key: Any) -> Any:
    if isinstance(key, Array):
        if key.dtype == "bool":
            raise Unsupported("x[mask]", "here are shapes only; write `xp.where`", Array.knower)
        if key.dtype in FLOATS:
            raise Unsupported("x[real numbers]", NO_INDEX, Array.knower)
        return np.zeros(key.shape, dtype=np.int64)
    return np.asarray(key) if isinstance(key, list) else key


def _dtype(*operands: Any) -> str:
    """Return the dtype of a result: the widest kind, Python's numbers last."""
    names = [str(o.dtype) for o in operands if hasattr(o, "dtype")]
    floats = [n for n in names if n in FLOATS]
    if floats:
        return builtins.min(floats, key=FLOATS.index)
    if builtins.any(isinstance(o, float) for o in operands):
        return _tally().dtype
    whole = [n for n in names if n != "bool"]
    return whole[0] if whole else "int64" if builtins.any(type(o) is int for o in operands) else "bool"


def _shape(operand: Any) -> tuple[int, ...]:
    return tuple(np.shape(operand)) if not isinstance(operand, Array) else operand.shape


def _bytes(operand: Any) -> int:
    return operand.nbytes if isinstance(operand, Array) else int(getattr(operand, "nbytes", 0))


def _computed(shape: Sequence[int], dtype: str, operands: Sequence[Any], flops: float) -> Array:
    """Make the result of a pass over the operands, and count it."""
    tally, result = _tally(), Array(shape, dtype)
    tally.streamed_bytes += result.nbytes + builtins.sum(_bytes(o) for o in operands)
    if builtins.any(_dtype(o) in FLOATS for o in (*operands, result)):
        tally.flops += flops
    return result


def _moved(shape: Sequence[int], dtype: str, *operands: Any) -> Array:
    """Make a copy: as much is read as is written, and no more of an operand than it has."""
    result = Array(shape, dtype)
    _tally().streamed_bytes += result.nbytes + builtins.min(result.nbytes, builtins.sum(_bytes(o) for o in operands))
    return result


def _view(x: Any, shape: Sequence[int]) -> Array:
    return Array(
        shape, _dtype(x), builtins.min(math.prod(shape), x.stored if isinstance(x, Array) else math.prod(shape))
    )


# Elementwise


def _elementwise(name: str, flops: float = 1.0, dtype: str | None = None, *, elementary: builtins.bool = False) -> Any:
    def function(*operands: Any, **_: Any) -> Array:
        shape = np.broadcast_shapes(*(_shape(o) for o in operands))
        kind = dtype or _dtype(*operands)
        if (elementary or name == "divide") and kind not in FLOATS:
            kind = _tally().dtype
        result = _computed(shape, kind, operands, flops * math.prod(shape))
        _tally().transcendentals += result.size if elementary else 0
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As ``{name}`` in the standard: {flops:g} operations for each element."
    return function


def _arithmetic(*names: str) -> list[Any]:
    return [_elementwise(n) for n in names]


def _questions(*names: str, flops: float = 1.0) -> list[Any]:
    return [_elementwise(n, flops, "bool") for n in names]


def _calls(*names: str) -> list[Any]:
    return [_elementwise(n, elementary=True) for n in names]


# fmt: off
add, subtract, multiply, divide          = _arithmetic("add", "subtract", "multiply", "divide")
floor_divide, remainder                  = _arithmetic("floor_divide", "remainder")
maximum, minimum, abs, square            = _arithmetic("maximum", "minimum", "abs", "square")
negative, reciprocal, sign, copysign     = _arithmetic("negative", "reciprocal", "sign", "copysign")
floor, ceil, round, trunc                = _arithmetic("floor", "ceil", "round", "trunc")
less, less_equal, equal                  = _questions("less", "less_equal", "equal")
greater, greater_equal, not_equal        = _questions("greater", "greater_equal", "not_equal")
isnan, isinf, isfinite, signbit          = _questions("isnan", "isinf", "isfinite", "signbit")
logical_and, logical_or                  = _questions("logical_and", "logical_or", flops=0.0)
logical_xor, logical_not                 = _questions("logical_xor", "logical_not", flops=0.0)
bitwise_and, bitwise_or                  = _arithmetic("bitwise_and", "bitwise_or")
bitwise_xor, bitwise_invert              = _arithmetic("bitwise_xor", "bitwise_invert")
bitwise_left_shift, bitwise_right_shift  = _arithmetic("bitwise_left_shift", "bitwise_right_shift")
exp, expm1, log, log1p, log2, log10      = _calls("exp", "expm1", "log", "log1p", "log2", "log10")
sin, cos, tan, asin, acos, atan          = _calls("sin", "cos", "tan", "asin", "acos", "atan")
sinh, cosh, tanh, asinh, acosh, atanh    = _calls("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
sqrt, atan2, hypot, logaddexp            = _calls("sqrt", "atan2", "hypot", "logaddexp")
(_general_power,)                        = _calls("pow")
erf, erfc, erfinv                        = _calls("erf", "erfc", "erfinv")
lgamma, gamma, digamma                   = _calls("lgamma", "gamma", "digamma")
# fmt: on
globals().update(zip(textbook.SPECIAL, _calls(*textbook.SPECIAL), strict=True))
broadcast_shapes, iinfo = np.broadcast_shapes, np.iinfo


def positive(x: Any, /) -> Any:
    """X itself."""
    return x


conj = real = positive


def pow(a: Any, b: Any, /) -> Array:
    """A whole power by repeated squaring; any other is one elementary function."""
    if not isinstance(b, int | float) or not float(b).is_integer() or builtins.abs(b) > 64:
        result: Array = _general_power(a, b)
        return result
    n = builtins.abs(int(b))
    products = builtins.max(n.bit_length() + n.bit_count() - 2, 0) + (b < 0)
    return _computed(_shape(a), _dtype(a), (a,), products * math.prod(_shape(a)))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """One comparison for each limit."""
    limits = [o for o in (min, max) if o is not None]
    shape = np.broadcast_shapes(*(_shape(o) for o in (x, *limits)))
    return _computed(shape, _dtype(x, *limits), (x, *limits), len(limits) * math.prod(shape))


def where(condition: Any, a: Any, b: Any, /) -> Array:
    """Choosing costs memory traffic only."""
    shape = np.broadcast_shapes(*(_shape(o) for o in (condition, a, b)))
    return _computed(shape, _dtype(a, b), (condition, a, b), 0.0)


# Reductions


def _kept(shape: tuple[int, ...], axis: Any, keepdims: builtins.bool) -> tuple[int, ...]:
    chosen = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {a % len(shape) for a in chosen}
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if keepdims or i not in gone)


def _reduction(name: str, per_input: float = 1.0, per_output: float = 0.0, dtype: str | None = None) -> Any:
    def function(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False, **_: Any) -> Array:
        shape = _kept(_shape(x), axis, keepdims)
        kind = dtype or ("int64" if name in ("sum", "prod") and _dtype(x) == "bool" else _dtype(x))
        flops = per_input * math.prod(_shape(x)) + per_output * math.prod(shape)
        return _computed(shape, kind, (x,), flops)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As ``{name}`` in the standard: {per_input:g} operations for each element."
    return function


# fmt: off
sum, prod       = _reduction("sum"), _reduction("prod")
mean            = _reduction("mean", 1.0, 1.0)
var             = _reduction("var", 4.0, 2.0)  # the mean, its subtraction, a square, a sum
std             = _reduction("std", 4.0, 3.0)
max, min        = _reduction("max"), _reduction("min")
argmax, argmin  = _reduction("argmax", dtype="int64"), _reduction("argmin", dtype="int64")
any, all        = _reduction("any", 0.0, dtype="bool"), _reduction("all", 0.0, dtype="bool")
count_nonzero   = _reduction("count_nonzero", dtype="int64")
# fmt: on


def _along(name: str, dtype: str | None = None) -> Any:
    def function(x: Any, /, *, axis: int | None = None, include_initial: builtins.bool = False, **_: Any) -> Array:
        shape, chosen = list(_shape(x)), -1 if axis is None else axis
        length = shape[chosen] if shape else 1
        # Sorting compares n·log₂ n times.
        weight = math.log2(builtins.max(length, 2)) if "sort" in name else 1.0
        flops = weight * math.prod(shape)
        if include_initial:
            shape[chosen] += 1
        return _computed(shape, dtype or _dtype(x), (x,), flops)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As ``{name}`` in the standard."
    return function


cumulative_sum, cumulative_prod = _along("cumulative_sum"), _along("cumulative_prod")
sort, argsort = _along("sort"), _along("argsort", "int64")


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Array:
    """Each entry is compared log₂ n times."""
    given = (x1, x2) if sorter is None else (x1, x2, sorter)
    return _computed(_shape(x2), "int64", given, math.log2(math.prod(_shape(x1)) + 1) * math.prod(_shape(x2)))


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours."""
    pieces = [p for p in (prepend, x, append) if p is not None]
    x = concat(pieces, axis=axis) if len(pieces) > 1 else x
    for _ in range(n):
        shape = list(x.shape)
        shape[axis] -= 1
        x = _computed(shape, x.dtype, (x,), math.prod(shape))
    return x  # type: ignore[no-any-return]


# Products


def matmul(a: Any, b: Any, /) -> Array:
    """2mnk operations."""
    (left, right), k = (_shape(a), _shape(b)), _shape(a)[-1]
    if k != right[-2 if len(right) > 1 else 0]:
        raise ValueError(f"shapes {left} and {right} do not fit in a matrix product")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), *rows, *columns)
    return _product(shape, (a, b), k)


def _product(shape: Sequence[int], operands: Sequence[Any], k: int) -> Array:
    flops = 2.0 * math.prod(shape) * k
    result = _computed(shape, _dtype(*operands), operands, flops)
    _tally().product_flops += flops if result.dtype in FLOATS else 0.0
    return result


def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Array:
    """2 operations for each pair."""
    full = np.broadcast_shapes(_shape(a), _shape(b))
    return _computed(_kept(full, axis, False), _dtype(a, b), (a, b), 2.0 * math.prod(full))


def tensordot(a: Any, b: Any, /, *, axes: Any = 2) -> Array:
    """2mnk operations."""
    left, right = _shape(a), _shape(b)
    if isinstance(axes, int):
        axes = (range(len(left) - axes, len(left)), range(axes))
    first, second = (
        {i % n for i in ([x] if isinstance(x, int) else x)} for x, n in zip(axes, (len(left), len(right)), strict=True)
    )
    shape = [n for i, n in enumerate(left) if i not in first] + [n for i, n in enumerate(right) if i not in second]
    return _product(shape, (a, b), math.prod(left[i] for i in first))


def einsum(subscripts: str, /, *operands: Any) -> Array:
    """2 operations for each term of the sum over all letters."""
    terms, result, sizes = textbook.letters(subscripts, operands)
    shape = [sizes[letter] for letter in result]
    summed = math.prod(n for letter, n in sizes.items() if letter not in result)
    if len(terms) > 1:
        return _product(shape, operands, summed)
    return _computed(shape, _dtype(*operands), operands, math.prod(shape) * summed)


# Creation and types


def asarray(value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """The shape and the dtype of anything."""
    if isinstance(value, Array):
        return value if dtype is None else astype(value, dtype)
    if textbook.holds_arrays(value):
        return stack([asarray(v) for v in value])
    plain = np.asarray(value)
    return Array(
        plain.shape,
        str(dtype) if dtype is not None else _tally().dtype if plain.dtype.kind == "f" else str(plain.dtype),
    )


def astype(x: Any, dtype: Any, /, **_: Any) -> Array:
    """A pass, unless the dtype is the same."""
    return x if _dtype(x) == str(dtype) else _computed(_shape(x), str(dtype), (x,), 0.0)


def _created(shape: Any, dtype: Any) -> Array:
    sizes = (shape,) if isinstance(shape, int) else shape
    return _computed(sizes, _tally().dtype if dtype is None else str(dtype), (), 0.0)


def zeros(shape: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(shape, dtype)


ones = empty = zeros


def full(shape: Any, fill_value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(shape, dtype or _dtype(fill_value))


def zeros_like(x: Any, /, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(x.shape, dtype or x.dtype)


ones_like = empty_like = zeros_like


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created(x.shape, dtype or x.dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes; integers unless said otherwise."""
    plain = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return _created(plain.shape, dtype or ("int64" if plain.dtype.kind == "i" else None))


def linspace(start: float, stop: float, /, num: int, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created((num,), dtype)


def eye(n: int, m: int | None = None, /, *, dtype: Any = None, **_: Any) -> Array:
    """A pass that writes."""
    return _created((n, n if m is None else m), dtype)


def meshgrid(*arrays: Any, indexing: Any = "xy") -> list[Array]:
    """Views."""
    shape = np.meshgrid(*(_ghost(a.shape) for a in arrays), indexing=indexing)[0].shape
    return [_view(a, shape) for a in arrays]


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """As in the standard."""
    if isinstance(kind, tuple):
        return builtins.any(isdtype(dtype, k) for k in kind)
    if str(dtype) in FLOATS:
        return str(kind) in ("real floating", "numeric", str(dtype))
    return builtins.bool(
        str(kind) == str(dtype) or (str(kind) not in ITEM_BYTES and np.isdtype(np.dtype(str(dtype)), str(kind)))
    )


def finfo(dtype: Any, /) -> Any:
    """``eps``, ``max``, ``min``, ``smallest_normal`` and ``bits``."""
    from ..bounds import finfo as found

    return found(SimpleNamespace(dtype=SimpleNamespace(name=str(getattr(dtype, "dtype", dtype)))))


def result_type(*operands: Any) -> DType:
    """The widest kind."""
    return DType(_dtype(*(Array((), o) if isinstance(o, str) else o for o in operands)))


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(DType(_tally().dtype), int64)


# Moving elements about


def reshape(x: Any, /, shape: Any, **_: Any) -> Array:
    """A view."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    known = math.prod(n for n in sizes if n != -1)
    sizes = tuple(math.prod(x.shape) // builtins.max(known, 1) if n == -1 else n for n in sizes)
    if math.prod(sizes) != math.prod(x.shape):
        raise ValueError(f"shape {x.shape} does not fit into {sizes}")
    return _view(x, sizes)


def permute_dims(x: Any, /, axes: tuple[int, ...]) -> Array:
    """A view."""
    return _view(x, [x.shape[a] for a in axes])


def _viewing(name: str, function: Callable[..., Any]) -> Any:
    def view(x: Any, /, *arguments: Any, **keywords: Any) -> Array:
        return _view(x, function(_ghost(x.shape), *arguments, **keywords).shape)

    view.__name__ = view.__qualname__ = name
    view.__doc__ = f"As ``{name}`` in the standard: a view."
    return view


matrix_transpose = _viewing("matrix_transpose", np.matrix_transpose)
moveaxis = _viewing("moveaxis", np.moveaxis)
expand_dims = _viewing("expand_dims", lambda p, axis=0: np.expand_dims(p, axis))
squeeze = _viewing("squeeze", np.squeeze)
broadcast_to = _viewing("broadcast_to", np.broadcast_to)


def broadcast_arrays(*arrays: Any) -> list[Array]:
    """Views."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return [broadcast_to(a, shape) for a in arrays]


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Views."""
    shape = _kept(x.shape, axis, False)
    return tuple(Array(shape, x.dtype) for _ in range(x.shape[axis]))


def _same(name: str) -> Any:
    def copy(x: Any, /, *_: Any, **__: Any) -> Array:
        return _moved(_shape(x), _dtype(x), x)

    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = f"As ``{name}`` in the standard: a copy."
    return copy


flip, roll, tril, triu = (_same(n) for n in ("flip", "roll", "tril", "triu"))


def tile(x: Any, repetitions: tuple[int, ...], /) -> Array:
    """A copy."""
    rank = builtins.max(x.ndim, len(repetitions))
    left, right = ((1,) * (rank - len(t)) + tuple(t) for t in (x.shape, repetitions))
    return _moved([a * b for a, b in zip(left, right, strict=True)], x.dtype, x)


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Array:
    """A copy."""
    if not isinstance(repeats, int):
        raise Unsupported("xp.repeat(x, array)", "here are shapes only; write `xp.take`", Array.knower)
    shape = [x.size] if axis is None else list(x.shape)
    shape[0 if axis is None else axis] *= repeats
    return _moved(shape, x.dtype, x)


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Array:
    """A copy."""
    if axis is None:
        shape = [builtins.sum(math.prod(_shape(a)) for a in arrays)]
    else:
        shape = list(_shape(arrays[0]))
        shape[axis] = builtins.sum(_shape(a)[axis] for a in arrays)
    return _moved(shape, _dtype(*arrays), *arrays)


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Array:
    """A copy."""
    shape = list(_shape(arrays[0]))
    shape.insert(axis % (len(shape) + 1), len(arrays))
    return _moved(shape, _dtype(*arrays), *arrays)


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Array:
    """A copy, and the indices are read."""
    chosen = (0 if axis is None else axis) % len(_shape(x))
    shape = (*_shape(x)[:chosen], *_shape(indices), *_shape(x)[chosen + 1 :])
    _tally().streamed_bytes += _bytes(indices)
    return _moved(shape, _dtype(x), x)


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """A copy, and the indices are read."""
    shape = list(np.broadcast_shapes(_kept(_shape(x), axis, True), _kept(_shape(indices), axis, True)))
    shape[axis] = _shape(indices)[axis]
    _tally().streamed_bytes += _bytes(indices)
    return _moved(shape, _dtype(x), x)


def scatter_add(x: Any, numbers: Any, count: int, /) -> Array:
    """One addition for each element; the numbers are read."""
    return _computed((count, *_shape(x)[1:]), _dtype(x), (x, numbers), math.prod(_shape(x)))


def scan(step: Any, carry: Any, xs: Any, /, *, reverse: builtins.bool = False) -> tuple[Any, Any]:
    """Count one step and take it as often as there are: every step has the same shapes."""
    slices = tuple(x[0, ...] for x in xs) if isinstance(xs, tuple) else xs[0, ...]
    count = _shape(xs[0] if isinstance(xs, tuple) else xs)[0]
    before = vars(_tally()).copy()
    carry, y = step(carry, slices)
    after = vars(_tally())
    for name, value in before.items():
        if not isinstance(value, str):
            after[name] += (count - 1) * (after[name] - value)
    if y is None:
        return carry, None
    if isinstance(y, tuple):
        return carry, tuple(_moved((count, *_shape(one)), _dtype(one), *([one] * count)) for one in y)
    return carry, _moved((count, *_shape(y)), _dtype(y), *([y] * count))


# Running an operation


def cost(op: Operation, size: Size, dtype: str = "float32", variant: str = "analytic") -> Cost:
    """Count what one call of an operation costs, without running it.

    Args:
        op: any operation.
        size: values for its dimensions and parameters.
        dtype: the floating-point dtype of its inputs.
        variant: ``forward`` reads the inputs and writes the values; every other variant reads inputs and cotangents
            and writes values and gradients. Autodiff and native forms are charged with the hand-derived work.

    Raises:
        BadInput: the dtype is unknown, or the size gives no value for a dimension.
        Unsupported: the operation uses a function that is not here; the message names it.
    """
    if dtype not in FLOATS:
        raise BadInput(f"no floating-point dtype {dtype!r}; there are {', '.join(FLOATS)}")
    from .. import cost as namespace

    inputs = _inputs(op, size, dtype)
    _, parameters = op.split(size)
    with counting(dtype):
        cotangents = [] if variant == "forward" else list(op.forward(namespace, parameters)(*inputs))
    function = (op.forward if variant == "forward" else op.analytic)(namespace, parameters)
    with counting(dtype) as tally:
        outputs = function(*inputs, *cotangents)
    moved = builtins.sum(_bytes(a) for a in (*inputs, *cotangents))
    # A gradient that is a broadcast view still has to be written out.
    moved += builtins.sum(math.prod(_shape(a)) * ITEM_BYTES[_dtype(a)] for a in outputs)
    return Cost(tally.flops, float(moved), tally.streamed_bytes, tally.product_flops, tally.transcendentals)


def _inputs(op: Operation, size: Size, dtype: str) -> list[Array]:
    dimensions, _ = op.split(size)
    if op.draw is not None:
        drawn = op.make_inputs(size, 0)
        return [Array(a.shape, dtype if a.dtype.kind == "f" else str(a.dtype)) for a in drawn]
    missing = [s for s in op.signature.symbols if s not in dimensions]
    if missing:
        raise BadInput(f"{op.name} needs a size for {missing[0]}; found {', '.join(map(str, size)) or 'none'}")
    return [Array([int(dimensions.get(s, s)) for s in shape], dtype) for shape in op.signature.inputs]


guard(globals(), "xp", Array.knower, besides=("cost", "counting"))
guard(vars(linalg), "xp.linalg", Array.knower)

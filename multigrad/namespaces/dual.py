"""An array namespace of values and tangents, over `exact`: the derivative of a forward part, knowing nothing else.

This module is the namespace: ``forward(dual, *inputs)``. A :class:`DualArray` is an exact value of shape s with a
tangent of shape (T, *s): its derivative in T directions at once, or None where it is constant. Conditions act on
values.

Three things are told about derivatives here: the rules of the elementary functions (:data:`UNARY`, :data:`BINARY`),
that a matrix product is bilinear, and that what moves entries moves their tangents. The rest follows, from the same
lines that `exact` runs (:mod:`.shared.textbook`). One exception: eigenvalues and eigenvectors of a symmetric matrix use
first-order perturbation, dλᵢ = vᵢᵀ dA vᵢ and dvᵢ = Σⱼ vⱼ (vⱼᵀ dA vᵢ)/(λᵢ − λⱼ), which is the forward-mode statement
and not any pullback of the catalogue.

On a kink there is no derivative. A comparison of equal values that move raises :class:`Kink` at once; |x| at 0, √0 and
a tied maximum give a tangent of NaN, which a later `where` may still leave behind, and :class:`Kink` follows if it does
not. A tie between values that move alike (the zeros of a padding) is no kink of a maximum.

Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3 (forward mode, vector form).
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import exact
from .exact import CONSTANTS, ExactArray, Kink
from .shared import linear_algebra, structure, textbook
from .shared.numpy_protocols import numpys_own
from .shared.operators import COMPARISONS, Linalg, Operators, plain_key
from .shared.unsupported import Guards

if TYPE_CHECKING:
    from ..ops.operation import Operation

Tangent = ExactArray | None


class DualArray(Operators):
    """An exact value and its derivative in T directions."""

    __slots__ = ("tangent", "value")
    rank = 1
    value: ExactArray
    """The value, of shape s."""
    tangent: Tangent
    """Its derivatives, of shape (T, *s); None is zero in every direction."""

    def __init__(self, value: ExactArray, tangent: Tangent = None) -> None:
        self.value = value
        self.tangent = tangent

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The size of each axis of the value."""
        return self.value.shape

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return sys.modules[__name__]

    def __setitem__(self, key: Any, value: Any) -> None:
        def written(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            changed = old.copy()
            changed[plain_key(key)] = new if new.ndim else new[()]
            return changed

        changed = rearranged(written, self, value)
        self.value, self.tangent = changed.value, changed.tangent

    def __repr__(self) -> str:
        return f"DualArray({self.value!r}, {self.tangent!r})"


def _lift(x: Any) -> DualArray:
    return x if isinstance(x, DualArray) else DualArray(exact.lift(x))


_kinks: list[str] = []
"""What gave a tangent of NaN since :func:`directional_derivatives` began: for the message."""


# ── Elementary functions ─────────────────────────────────────────────────────────────────────────────────────────────

_f = exact.FUNCTIONS

UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "negative": lambda x, y: -1,
    "positive": lambda x, y: 1,
    "square": lambda x, y: 2 * x,
    "reciprocal": lambda x, y: -y * y,
    "exp": lambda x, y: y,
    "expm1": lambda x, y: y + 1,
    "log": lambda x, y: 1 / x,
    "log1p": lambda x, y: 1 / (1 + x),
    "log2": lambda x, y: 1 / (x * _f["log"](2)),
    "log10": lambda x, y: 1 / (x * _f["log"](10)),
    "sqrt": lambda x, y: _nowhere("sqrt", np.equal(x.elements, 0), 1 / (2 * y)),
    "sin": lambda x, y: _f["cos"](x),
    "cos": lambda x, y: -_f["sin"](x),
    "tan": lambda x, y: 1 + y * y,
    "asin": lambda x, y: 1 / _f["sqrt"](1 - x * x),
    "acos": lambda x, y: -1 / _f["sqrt"](1 - x * x),
    "atan": lambda x, y: 1 / (1 + x * x),
    "sinh": lambda x, y: _f["cosh"](x),
    "cosh": lambda x, y: _f["sinh"](x),
    "tanh": lambda x, y: 1 - y * y,
    "asinh": lambda x, y: 1 / _f["sqrt"](1 + x * x),
    "acosh": lambda x, y: 1 / (_f["sqrt"](x - 1) * _f["sqrt"](x + 1)),
    "atanh": lambda x, y: 1 / (1 - x * x),
    "erf": lambda x, y: 2 / _f["sqrt"](_f["acos"](-1)) * _f["exp"](-x * x),
    "erfc": lambda x, y: -2 / _f["sqrt"](_f["acos"](-1)) * _f["exp"](-x * x),
    "erfinv": lambda x, y: _f["sqrt"](_f["acos"](-1)) / 2 * _f["exp"](y * y),
    "gamma": lambda x, y: y * _f["digamma"](x),
    "lgamma": lambda x, y: _f["digamma"](x),
    "digamma": lambda x, y: _f["trigamma"](x),
    "trigamma": lambda x, y: -2 * exact.hurwitz_zeta(3, x),
    "sign": lambda x, y: _nowhere_zero("sign", x, 0 * x),
    "floor": lambda x, y: _nowhere_zero("floor", x - y, 0 * x),
    "ceil": lambda x, y: _nowhere_zero("ceil", x - y, 0 * x),
    "trunc": lambda x, y: _nowhere_zero("trunc", _f["where"](_f["equal"](y, 0), 1, x - y), 0 * x),
    "round": lambda x, y: _nowhere_zero("round", _f["abs"](x - y) - 0.5, 0 * x),
}
"""The derivative of y = f(x), from x and y; None where y is constant."""

BINARY: dict[str, tuple[Callable[[Any, Any, Any], Any], Callable[[Any, Any, Any], Any]]] = {
    "add": (lambda a, b, y: 1, lambda a, b, y: 1),
    "subtract": (lambda a, b, y: 1, lambda a, b, y: -1),
    "multiply": (lambda a, b, y: b, lambda a, b, y: a),
    "divide": (lambda a, b, y: 1 / b, lambda a, b, y: -y / b),
    "pow": (lambda a, b, y: exact.lift(b) * a ** (b - 1), lambda a, b, y: y * _f["log"](a)),
    "atan2": (lambda a, b, y: b / (a * a + b * b), lambda a, b, y: -a / (a * a + b * b)),
}
"""The derivatives of y = f(a, b) by a and by b, from a, b and y."""


def _nowhere_zero(name: str, distance: Any, derivative: Any) -> Any:
    # Between its jumps a step function is constant, and may be compared with what it equals.
    kinks = np.asarray(_f["equal"](distance, 0), dtype=bool)
    return _nowhere(name, kinks, derivative) if kinks.any() else None


def _nowhere(name: str, kinks: Any, derivative: Any) -> Any:
    """Replace a derivative by NaN where there is none."""
    kinks = np.asarray(kinks, dtype=bool)
    if not kinks.any():
        return derivative
    _kinks.append(name)
    return _f["where"](kinks, math.nan, derivative)


def _aligned(tangent: ExactArray, ndim: int) -> ExactArray:
    """Give a tangent of shape (T, *s) axes of length 1 after the first, so that s has that many dimensions."""
    count = tangent.shape[0]
    result: ExactArray = exact.rearranged(
        lambda t: t.reshape(count, *(1,) * (ndim + 1 - t.ndim), *t.shape[1:]), tangent
    )
    return result


def _scaled(factor: Any, tangent: ExactArray) -> Any:
    if factor is None:
        return None
    if isinstance(factor, int):
        return tangent if factor == 1 else -tangent
    return factor * tangent


def _unary(name: str) -> Callable[[Any], Any]:
    function, derivative = exact.FUNCTIONS[name], UNARY[name]

    def apply(x: Any, /) -> Any:
        if not isinstance(x, DualArray):
            return function(x)
        y = function(x.value)
        return DualArray(y, None if x.tangent is None else _scaled(derivative(x.value, y), x.tangent))

    return apply


def _binary(name: str) -> Callable[[Any, Any], Any]:
    function: Callable[..., Any] = exact.FUNCTIONS[name]
    derivatives = BINARY[name]

    def apply(x1: Any, x2: Any, /) -> Any:
        if not isinstance(x1, DualArray) and not isinstance(x2, DualArray):
            return function(x1, x2)
        # A rule must not divide or subtract Python's floats: they round. Integer exponents alone stay what they are.
        a, b = (x if isinstance(x, int) and name == "pow" else _lift(x).value for x in (x1, x2))
        tangents = [x.tangent if isinstance(x, DualArray) else None for x in (x1, x2)]
        y = function(a, b)
        parts = [
            _scaled(derivative(a, b, y), _aligned(t, y.ndim))
            for derivative, t in zip(derivatives, tangents, strict=True)
            if t is not None
        ]
        if not parts:
            return DualArray(y)
        total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return DualArray(y, _f["broadcast_to"](total, (total.shape[0], *y.shape)))

    return apply


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _unary(name) for name in UNARY},
    **{name: _binary(name) for name in BINARY},
}
"""The functions that treat a tangent; see :func:`__getattr__` for the rest."""


def _public(function: Callable[..., Any]) -> Callable[..., Any]:
    # What has no tangent is left to `exact`; a trailing underscore keeps Python's own names in sight.
    name = function.__name__.rstrip("_")
    valued = exact.FUNCTIONS[name]

    @functools.wraps(function)
    def chosen(*args: Any, **options: Any) -> Any:
        if any(isinstance(a, DualArray) for a in args):
            return function(*args, **options)
        return valued(*args, **options)

    FUNCTIONS[name] = chosen
    return chosen


FUNCTIONS["true_divide"] = FUNCTIONS["divide"]
FUNCTIONS["conj"] = FUNCTIONS["real"] = FUNCTIONS["positive"]
_power = FUNCTIONS["pow"]


@_public
def pow_(x1: Any, x2: Any, /) -> Any:
    """x₁ to the power x₂; x⁰ is constant, also at 0."""
    if isinstance(x2, int | float | np.number) and x2 == 0:
        return DualArray(exact.FUNCTIONS["pow"](x1.value, 0))
    return _power(x1, int(x2) if isinstance(x2, float | np.integer) and float(x2).is_integer() else x2)


def _compared(name: str) -> Callable[[Any, Any], Any]:
    def compare(x1: Any, x2: Any, /) -> Any:
        first, second = (x.value if isinstance(x, DualArray) else x for x in (x1, x2))
        if any(isinstance(x, DualArray) and x.tangent is not None for x in (x1, x2)):
            # What moves alike stays equal, such as the distance of a point from itself and 0.
            ties = _unlike(_lift(x1), _lift(x2))
            if ties.any():
                raise Kink(f"{name} compares equal values in {int(ties.sum())} of {ties.size} entries: a kink")
        return exact.FUNCTIONS[name](first, second)

    return compare


FUNCTIONS.update({name: _compared(name) for name in COMPARISONS})


def _unlike(a: DualArray, b: DualArray) -> np.ndarray:
    """Tell where two arrays have equal values, but not certainly equal tangents."""
    equal = np.asarray(exact.FUNCTIONS["equal"](a.value, b.value), dtype=bool)
    moving = [x.tangent for x in (a, b) if x.tangent is not None]
    if not equal.any() or not moving:
        return np.zeros(equal.shape, dtype=bool)
    first, second = (_aligned(_tangent(x, moving[0].shape[0]), equal.ndim).elements for x in (a, b))
    alike = np.equal(first, second) | np.frompyfunc(operator.is_, 2, 1)(first, second)
    unlike: np.ndarray = equal & ~np.all(alike.astype(bool), axis=0)
    return unlike


def _extreme(name: str, better: str) -> Callable[..., Any]:
    def apply(x1: Any, x2: Any, /) -> Any:
        a, b = _lift(x1), _lift(x2)
        result = FUNCTIONS["where"](exact.FUNCTIONS[better](a.value, b.value), a, b)
        return _poisoned(name, _unlike(a, b), result)

    apply.__name__ = name
    return _public(apply)


_extreme("maximum", "greater_equal")
_extreme("minimum", "less_equal")


@_public
def abs_(x: Any, /) -> Any:
    """The larger of x and −x; 0 has a tangent of NaN, unless it does not move."""
    negative = FUNCTIONS["negative"](x)
    result = FUNCTIONS["where"](exact.FUNCTIONS["greater_equal"](x.value, 0), x, negative)
    return _poisoned("abs", _unlike(x, negative), result)


def _poisoned(name: str, kinks: np.ndarray, x: DualArray) -> DualArray:
    """Replace the tangent by NaN in those entries."""
    return x if x.tangent is None else DualArray(x.value, _nowhere(name, kinks, x.tangent))


# ── Moving entries, sums, products ───────────────────────────────────────────────────────────────────────────────────


def rearranged(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a NumPy function that only moves entries; the tangents follow the entries' numbers."""
    tangents = [x.tangent for x in arrays if isinstance(x, DualArray) and x.tangent is not None]
    values = exact.rearranged(function, *(x.value if isinstance(x, DualArray) else x for x in arrays))
    if not any(isinstance(x, DualArray) for x in arrays):
        return values
    several = isinstance(values, list)
    if not tangents:
        return [DualArray(v) for v in values] if several else DualArray(values)
    count = tangents[0].shape[0]
    sizes = [math.prod(np.shape(x)) for x in arrays]
    numbers = [
        start + np.arange(size).reshape(np.shape(x))
        for x, size, start in zip(arrays, sizes, itertools.accumulate(sizes, initial=0), strict=False)
    ]
    flat = _f["concat"](
        [_f["reshape"](_tangent(x, count), (count, size)) for x, size in zip(arrays, sizes, strict=True)], axis=1
    )
    moved = function(*numbers)
    if several:
        return [DualArray(v, flat[:, np.asarray(n)]) for v, n in zip(values, moved, strict=True)]
    return DualArray(values, flat[:, np.asarray(moved)])


def _tangent(x: Any, count: int) -> ExactArray:
    if isinstance(x, DualArray) and x.tangent is not None:
        return x.tangent
    result: ExactArray = _f["zeros"]((count, *np.shape(x)))
    return result


FUNCTIONS.update({name: functools.partial(rule, rearranged) for name, rule in structure.FUNCTIONS.items()})


def _linear(name: str) -> None:
    def apply(x: Any, /, *, axis: Any = None, **options: Any) -> Any:
        # Axes counted from the end are the same ones in the tangent.
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        from_end = tuple(a - x.ndim if a >= 0 else a for a in axes)
        if name == "cumulative_sum":
            (from_end,) = from_end  # type: ignore[assignment]
        function = getattr(exact, name)
        value = function(x.value, axis=from_end, **options)
        return DualArray(value, None if x.tangent is None else function(x.tangent, axis=from_end, **options))

    apply.__name__ = name
    _public(apply)


_linear("sum")
_linear("cumulative_sum")


@_public
def matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product, d(AB) = dA·B + A·dB, batched over leading axes."""
    a, b = _lift(x1), _lift(x2)
    first, second = a.ndim == 1, b.ndim == 1
    a, b = (a[None, :] if first else a), (b[:, None] if second else b)
    value = exact.FUNCTIONS["matmul"](a.value, b.value)
    parts = []
    if a.tangent is not None:
        parts.append(_f["matmul"](_aligned(a.tangent, value.ndim), b.value))
    if b.tangent is not None:
        parts.append(_f["matmul"](a.value, _aligned(b.tangent, value.ndim)))
    result = DualArray(value, parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None)
    result = result[..., 0, :] if first else result
    return result[..., 0] if second else result


# ── Order ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _value_only(name: str) -> None:
    def apply(x: Any, /, **options: Any) -> Any:
        return getattr(exact, name)(x.value, **options)

    apply.__name__ = name
    _public(apply)


for _name in ("argmax", "argmin", "argsort", "isnan", "isfinite", "isinf"):
    _value_only(_name)


def _extremum(name: str) -> None:
    def apply(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        kept = structure.extremum(sys.modules[__name__], f"arg{name}", x, axis, keepdims=True)
        axes = tuple(range(x.ndim)) if axis is None else axis
        # The entry that was kept equals itself, tangent and all.
        kinks = np.any(_unlike(x, kept), axis=axes, keepdims=True)
        result = _poisoned(name, kinks, kept)
        return result if keepdims else FUNCTIONS["squeeze"](result, axes)

    apply.__name__ = name
    _public(apply)


_extremum("max")
_extremum("min")


@_public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The entries of an axis in order; equal neighbours have a tangent of NaN."""
    index = exact.FUNCTIONS["argsort"](x.value, axis=axis, descending=descending)
    result = FUNCTIONS["take_along_axis"](x, index, axis=axis)
    lanes = FUNCTIONS["moveaxis"](result, axis, -1)
    kinks = np.zeros(lanes.shape, dtype=bool)
    if kinks.shape[-1] > 1:
        neighbours = _unlike(lanes[..., 1:], lanes[..., :-1])
        kinks[..., 1:] |= neighbours
        kinks[..., :-1] |= neighbours
    return _poisoned("sort", np.moveaxis(kinks, -1, axis), result)


def _counted(name: str) -> None:
    def apply(x: Any, /, **options: Any) -> Any:
        return getattr(exact, name)(FUNCTIONS["not_equal"](x, 0), **options)

    apply.__name__ = name
    _public(apply)


for _name in ("all", "any", "count_nonzero", "nonzero"):
    _counted(_name)


@_public
def asarray_(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """The array itself."""
    return FUNCTIONS["astype"](x, dtype or exact.float64)


@_public
def astype_(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Any:
    """Reals to booleans by ≠ 0; reals stay reals."""
    kind = np.dtype(dtype).kind
    if kind == "f":
        return DualArray(x.value, x.tangent)
    return FUNCTIONS["not_equal"](x, 0) if kind == "b" else exact.FUNCTIONS["astype"](x.value, dtype)


# ── Linear algebra ───────────────────────────────────────────────────────────────────────────────────────────────────


def midpoints(x: Any) -> np.ndarray:
    """Return the nearest float64 of every value."""
    return exact.midpoints(_lift(x).value)


def is_certainly_nonzero(x: Any) -> np.ndarray:
    """Tell where a value cannot be zero."""
    return exact.is_certainly_nonzero(_lift(x).value)


def is_certainly_positive(x: Any) -> np.ndarray:
    """Tell where a value must be positive."""
    return exact.is_certainly_positive(_lift(x).value)


def eigh(x: Any, /) -> linear_algebra.Eigh:
    """Eigenvalues and eigenvectors of a symmetric matrix, from its lower triangle, by first-order perturbation.

    Raises:
        Undecided: two eigenvalues may be equal.
    """
    A = _lift(x)
    values, V = exact.eigh(A.value)
    if A.tangent is None:
        return linear_algebra.Eigh(DualArray(values), DualArray(V))
    n = A.shape[-1]
    lower = np.tri(n, dtype=bool)
    dA = _f["where"](lower, A.tangent, _f["matrix_transpose"](A.tangent))
    inner = _f["matmul"](_f["matmul"](_f["matrix_transpose"](V), dA), V)
    diagonal = np.eye(n, dtype=bool)
    gaps = _f["where"](diagonal, 1, values[..., None, :] - values[..., :, None])
    rotation = _f["where"](diagonal, 0, inner / gaps)
    return linear_algebra.Eigh(
        DualArray(values, linear_algebra.diagonal(exact, inner)), DualArray(V, _f["matmul"](V, rotation))
    )


_this = sys.modules[__name__]
for _name, _written in (textbook.FUNCTIONS | textbook.SPECIAL).items():
    FUNCTIONS[_name] = functools.partial(_written, _this)
LINALG: dict[str, Callable[..., Any]] = {
    **{name: functools.partial(written, _this) for name, written in linear_algebra.LINALG.items()},
    "eigh": eigh,
    "matmul": FUNCTIONS["matmul"],
    "matrix_transpose": FUNCTIONS["matrix_transpose"],
}
"""The same for ``linalg``."""

linalg = Linalg(sys.modules[__name__], LINALG)


@_public
def full_(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value."""
    return FUNCTIONS["broadcast_to"](fill_value, shape if isinstance(shape, Sequence) else (shape,))


@_public
def full_like_(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, of another's shape."""
    return FUNCTIONS["full"](x.shape, fill_value, dtype=dtype or x.dtype)


def _created(name: str) -> None:
    make = FUNCTIONS.get(name, exact.FUNCTIONS[name])

    @functools.wraps(make)
    def create(*args: Any, **options: Any) -> Any:
        if name == "asarray" and textbook.holds_arrays(args[0]):
            return textbook.stacked(_this, args[0])
        # As an array of this namespace, so that entries with a tangent can be written into it.
        result = make(*args, **options)
        return DualArray(result) if isinstance(result, ExactArray) else result

    FUNCTIONS[name] = create


for _name in ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"):
    _created(_name)
for _name in ("eye", "arange", "linspace", "asarray", "astype"):
    _created(_name)

WITHOUT_TANGENT = (
    *("result_type", "isdtype", "can_cast", "broadcast_shapes", "finfo", "iinfo"),
    *("logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor"),
    *("bitwise_invert", "bitwise_left_shift", "bitwise_right_shift", "isin"),
    *("unique_all", "unique_counts", "unique_inverse", "unique_values"),
)
"""What makes or asks about arrays, and never needs a tangent."""

__array_namespace_info__ = exact.__array_namespace_info__


_guarded = Guards(FUNCTIONS, Operators.knower)


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return _guarded[name]
    if name in WITHOUT_TANGENT:
        return getattr(exact, name)
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name.startswith("__"):  # what the import system asks of every module
        raise AttributeError(name)
    return numpys_own(sys.modules[__name__], name, Operators.knower)


# ── Derivatives ──────────────────────────────────────────────────────────────────────────────────────────────────────


def directional_derivatives(
    forward: Callable[..., tuple[Any, ...]], inputs: Sequence[Any], directions: Sequence[Any]
) -> tuple[list[ExactArray], list[ExactArray]]:
    """Differentiate a function of arrays in T directions at once.

    Args:
        forward: ``f(*inputs)`` over this namespace, that returns a tuple of arrays.
        inputs: exact arrays, or integer arrays.
        directions: for each input an exact array of shape (T, *its shape), or None where it is held fixed.

    Returns:
        The values, and their derivatives with a leading axis of length T.

    Raises:
        Kink: the forward part has no derivative at these inputs.
        Undecided: a comparison needs more precision.
    """
    count = next(d.shape[0] for d in directions if d is not None)
    _kinks.clear()
    duals = [DualArray(x, d) if isinstance(x, ExactArray) else x for x, d in zip(inputs, directions, strict=True)]
    outputs = [_lift(output) for output in forward(*duals)]
    tangents = [_tangent(output, count) for output in outputs]
    if _kinks and any(np.asarray(_f["isnan"](t)).any() for t in tangents):
        raise Kink(f"no derivative: {', '.join(sorted(set(_kinks)))} at equal values, a kink")
    return [output.value for output in outputs], tangents


@dataclass(frozen=True)
class Derivative:
    """The derivative of ⟨value, cotangent⟩ with respect to one input."""

    name: str
    """The input's."""
    directions: np.ndarray | None
    """Integers of shape (D, *shape of the input), the directions it was taken in; None means every basis direction."""
    enclosure: ExactArray
    """The gradient itself, of the input's shape; or its D products with the directions."""


def choose_directions(
    op: Operation, shapes: Mapping[str, tuple[int, ...]], *, limit: int = 300, count: int = 8, seed: int = 0
) -> dict[str, np.ndarray | None]:
    """Choose for each differentiable input every basis direction (None) or, beyond the limit, random integer ones."""
    rng = np.random.default_rng(seed)
    return {
        name: None if math.prod(shapes[name]) <= limit else rng.integers(-(2**63), 2**63, (count, *shapes[name]))
        for name in op.gradients
    }


def differentiate(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    *,
    directions: Mapping[str, np.ndarray | None] | None = None,
) -> list[Derivative]:
    """Differentiate an operation's forward part alone, at the precision of the context.

    Args:
        op: the operation; its pullback is not called.
        parameters: its keyword parameters.
        inputs: one exact (or integer) array per input, as :func:`multigrad.namespaces.exact.variable` makes them.
        cotangents: one exact array per output.
        directions: from :func:`choose_directions`; by default chosen there.

    Returns:
        One derivative for each differentiable input, in order.

    Raises:
        Kink: no derivative here.
        Undecided: a comparison needs more precision.
    """
    shapes = {name: tuple(x.shape) for name, x in zip(op.inputs, inputs, strict=True)}
    directions = choose_directions(op, shapes) if directions is None else directions
    blocks = {n: _block(directions[n], shapes[n]) for n in op.gradients}
    counts = [block.shape[0] for block in blocks.values()]
    starts = dict(zip(blocks, itertools.accumulate(counts, initial=0), strict=False))
    pushed = [_placed(blocks[n], starts[n], sum(counts)) if n in blocks else None for n in op.inputs]
    _, tangents = directional_derivatives(op.forward(_this, parameters), inputs, pushed)
    total: Any = 0
    for tangent, cotangent in zip(tangents, cotangents, strict=True):
        flat = _f["reshape"](tangent, (tangent.shape[0], math.prod(tangent.shape[1:])))
        total = total + _f["matmul"](flat, _f["reshape"](exact.lift(cotangent), (flat.shape[1],)))
    results = []
    for name, block in blocks.items():
        part = total[starts[name] : starts[name] + block.shape[0]]
        given = directions[name]
        results.append(Derivative(name, given, part if given is not None else _f["reshape"](part, shapes[name])))
    return results


def _block(directions: np.ndarray | None, shape: tuple[int, ...]) -> ExactArray:
    if directions is None:
        size = math.prod(shape)
        basis: ExactArray = _f["where"](np.eye(size, dtype=bool).reshape(size, *shape), exact.lift(1), exact.lift(0))
        return basis
    return as_variables(directions)


def as_variables(directions: np.ndarray) -> ExactArray:
    """Return random integer directions as an exact array: each entry is one more variable of the polynomial."""
    return ExactArray(exact.lift(directions).elements, (1, 0))


def _placed(block: ExactArray, start: int, count: int) -> ExactArray:
    before, after = start, count - start - block.shape[0]
    zeros = [_f["zeros"]((n, *block.shape[1:])) for n in (before, after)]
    result: ExactArray = _f["concat"]([zeros[0], block, zeros[1]], axis=0)
    return result

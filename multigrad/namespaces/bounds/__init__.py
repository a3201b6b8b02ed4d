# ruff: noqa: A001  the names are the standard's
"""How far an honest floating-point evaluation may be from the exact result, element by element: an array namespace.

Run any operation in it::

    with bounds.context("float32"):
        outputs = operation.analytic(bounds, parameters)(*(bounds.asarray(a) for a in arrays))
    outputs[0].value, outputs[0].worst, outputs[0].probable

or in one call, ``bounds.analyse(function, *arrays, context="float32")``. The model and the invariant stand in
:mod:`multigrad.namespaces.bounds.model`. The bounds hold for every order of summation, every blocking of a matrix
product, with fused multiply-adds or without, with intermediate results rounded to the format or kept wider. Products by
Strassen's or Winograd's method and convolutions by transforms are not covered: they satisfy norm-wise bounds only.

What it cannot see is that two errors are the same: ``x - x`` is bounded by twice the error of x. Where an operation
subtracts nearly equal quantities that were both computed with error, the bound is wider than the truth.

Conditions that the error leaves undecided take the hull of both branches. Integers and booleans are plain NumPy arrays
and are left alone; indices that depend on data (``argmax``) know where they are undecided. Small integers that every
evaluation gets exactly have no error at all.
"""

from __future__ import annotations

import builtins
import functools
import math
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...verdict.formats import FORMATS
from ..shared import textbook
from ..shared.namespace import namespace_info
from ..shared.numpy_protocols import numpys_own
from ..shared.unsupported import Unsupported, guard
from . import linalg
from .model import (
    Array,
    Choice,
    Condition,
    Context,
    Error,
    Floats,
    FloatType,
    Parts,
    context,
    current,
    error_or_zero,
    plus,
    times,
    up,
)
from .rules import (
    accumulated,
    added,
    as_array,
    bounded,
    count_reduced,
    elementwise,
    is_ours,
    matmul,
    rounding,
    within,
)

__all__ = ["FORMATS", "Array", "Choice", "Condition", "Context", "analyse", "context", "linalg"]

__array_api_version__ = "2024.12"

float64, float32, bfloat16, float16 = (FloatType(name) for name in FORMATS)
int64, int32, int16, int8, uint8 = (np.dtype(n) for n in ("int64", "int32", "int16", "int8", "uint8"))
bool = np.dtype("bool")
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return numpys_own(sys.modules[__name__], name, Parts.knower)


def analyse(function: Callable[..., Any], *arrays: Any, context: str | Context = "float32", **settings: Any) -> Any:
    """Run a function of arrays in this namespace and return its outputs as bounded arrays.

    Args:
        function: ``f(*arrays)``, such as ``operation.analytic(bounds, parameters)``.
        arrays: NumPy arrays. Floating-point ones are taken to be exact where they are numbers of the format.
        context: the arithmetic, or the name of a dtype.
        settings: the keywords of :meth:`Context.of`.

    Returns:
        A tuple of :class:`Array` if the function returns a tuple, else one :class:`Array`.
    """
    with _in_force(context, **settings):
        outputs = function(*(asarray(a) for a in arrays))
        return tuple(as_array(o) for o in outputs) if isinstance(outputs, tuple | list) else as_array(outputs)


_in_force = context


# Creation


def asarray(value: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Floating-point numbers enter exactly if the format has them, else with a rounding; integers stay NumPy's."""
    if is_ours(value):
        return value if dtype is None else astype(value, dtype)
    if textbook.holds_arrays(value):
        return textbook.stacked(_this, value)
    plain = np.asarray(value)
    if isinstance(dtype, FloatType) or (dtype is None and plain.dtype.kind == "f"):
        return as_array(plain)
    return plain if dtype is None else plain.astype(dtype)


def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:  # type: ignore[valid-type]
    """Change the dtype. A floating-point type coarser than the one under test rounds; a wider one is ignored."""
    if not isinstance(dtype, FloatType):
        if not is_ours(x):
            return np.asarray(x).astype(dtype)
        kind = np.dtype(dtype).kind
        if kind == "b":
            return x if isinstance(x, Condition) else not_equal(x, 0)
        if isinstance(x, Choice):
            return x
        return _cut_off(as_array(x))
    array = as_array(x)
    coarse = FORMATS[dtype.name]
    if array.integral or coarse.unit_roundoff <= current().u:
        return array
    return elementwise([array], array.value, lambda w: w, ulps=0.5 * coarse.unit_roundoff / current().u)


def _cut_off(x: Array) -> Choice:
    """Real numbers to integers, undecided where the error spans a whole number."""
    with np.errstate(invalid="ignore"):
        ends = [np.trunc(x.value + sign * 2.0 * x.worst) for sign in (-1.0, 1.0)]
        whole = np.where(np.isfinite(x.value), np.trunc(x.value), 0.0).astype(np.int64)
    return Choice(whole, ~(ends[0] == ends[1]))


def _constant(value: np.ndarray, dtype: Any, otherwise: Any = FloatType) -> Any:
    wanted = otherwise if dtype is None else dtype
    return as_array(value) if isinstance(wanted, FloatType) or wanted is FloatType else value.astype(wanted)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros."""
    return _constant(np.zeros(shape), dtype)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones."""
    return _constant(np.ones(shape), dtype)


empty = zeros


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value everywhere."""
    if is_ours(fill_value):
        return broadcast_to(fill_value, (shape,) if isinstance(shape, int) else shape)
    plain = np.full(shape, fill_value)
    return _constant(plain, dtype, FloatType if plain.dtype.kind == "f" else plain.dtype)


def zeros_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros of the shape of x."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype)


def ones_like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones of the shape of x."""
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype)


empty_like = zeros_like


def full_like(x: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value everywhere, in the shape of x."""
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Equally spaced numbers; integers unless a floating-point dtype is asked for."""
    plain = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return _constant(plain, dtype, FloatType if plain.dtype.kind == "f" else plain.dtype)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: builtins.bool = True
) -> Array:
    """Equally spaced numbers, each with the error of a product and a sum of the ends."""
    array = as_array(np.linspace(start, stop, num, endpoint=endpoint))
    scale = builtins.abs(start) + builtins.abs(stop)
    return bounded(
        [array], array.value, lambda errors, unit: rounding(array.value, errors[0], 1.0) + 4 * current().u * scale
    )


def eye(n: int, m: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """The identity."""
    return _constant(np.eye(n, m, k=k), dtype)


def meshgrid(*arrays: Any, indexing: Any = "xy") -> list[Any]:
    """Coordinate arrays."""
    shapes = [np.zeros(a.shape, dtype=np.int8) for a in arrays]
    target = np.meshgrid(*shapes, indexing=indexing)[0].shape
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        axes[0], axes[1] = 1, 0
    slots = [tuple(-1 if i == axis else 1 for i in range(len(arrays))) for axis in axes]
    return [broadcast_to(reshape(a, slot), target) for a, slot in zip(arrays, slots, strict=True)]


def _triangle(keep: Callable[..., Any]) -> Callable[..., Any]:
    def triangle(x: Any, /, *, k: int = 0) -> Any:
        return _move(x, lambda p: keep(p, k=k))

    triangle.__doc__ = f"As NumPy's ``{keep.__name__}``."
    return triangle


tril, triu = _triangle(np.tril), _triangle(np.triu)


# Types


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """As in the standard; the floating-point types are ours."""
    if isinstance(kind, tuple):
        return builtins.any(isdtype(dtype, k) for k in kind)
    if isinstance(dtype, FloatType):
        return kind in ("real floating", "numeric") or kind == dtype
    return builtins.bool(not isinstance(kind, FloatType) and np.isdtype(dtype, kind))


def finfo(dtype: Any) -> Any:
    """``eps``, ``max``, ``min``, ``smallest_normal``, ``bits`` and ``dtype`` of a floating-point type."""
    form = FORMATS[dtype.name if isinstance(dtype, FloatType) else dtype.dtype.name]
    return SimpleNamespace(
        eps=2 * form.unit_roundoff,
        max=form.overflow,
        min=-form.overflow,
        smallest_normal=math.ldexp(1.0, form.smallest_exponent),
        bits={53: 64, 24: 32}.get(form.significand_bits, 16),
        dtype=dtype,
    )


def result_type(*arrays: Any) -> Any:
    """The type under test if any argument is a floating-point one, else NumPy's answer."""
    kinds = [a.dtype if hasattr(a, "dtype") else a for a in arrays]
    if builtins.any(isinstance(k, FloatType | float) for k in kinds):
        return FloatType(current().dtype)
    return np.result_type(*kinds)


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(FloatType(current().dtype), int64)


# Arithmetic


def _plain(*operands: Any) -> builtins.bool:
    """Whether all operands are integers or booleans of NumPy or Python, so that NumPy computes."""
    return not builtins.any(is_ours(o) or np.asarray(o).dtype.kind == "f" for o in operands)


def _of_whole_numbers(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leave integers to NumPy; of indices that depend on data the result is one, as undecided as they are."""

    def decorate(of_reals: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(of_reals)
        def chosen(*operands: Any) -> Any:
            if _plain(*operands):
                return function(*operands)
            if not _plain(*(o.value if isinstance(o, Choice) else o for o in operands)):
                return of_reals(*operands)
            value = np.asarray(function(*(o.value if isinstance(o, Choice) else o for o in operands)))
            loose = [o.undecided for o in operands if isinstance(o, Choice)]
            return Choice(value, np.broadcast_to(np.logical_or.reduce(np.broadcast_arrays(*loose)), value.shape))

        return chosen

    return decorate


@_of_whole_numbers(np.add)
def add(a: Any, b: Any, /) -> Any:
    """Errors add up."""
    A, B = as_array(a), as_array(b)
    return added(A, B, A.value + B.value, infinite=_endless(A, B), signed=not _both(A, B))


@_of_whole_numbers(np.subtract)
def subtract(a: Any, b: Any, /) -> Any:
    """Errors add up."""
    A, B = as_array(a), as_array(b)
    return added(A, B, A.value - B.value, infinite=_endless(A, B))


@_of_whole_numbers(np.multiply)
def multiply(a: Any, b: Any, /) -> Any:
    """|âb̂ − ab| ≤ E_a|b| + |a|E_b + E_a E_b, with |a| ≤ |v_a| + E_a."""
    A, B = as_array(a), as_array(b)

    def moved(x: Error, y: Error) -> Error:
        return plus(times(np.abs(B.value), x), times(np.abs(A.value), y), times(3.0, times(x, y)))

    square = a is b
    value = A.value * B.value
    return elementwise(
        [A, B], value, moved, ulps=0.5, exact=True, infinite=_endless(A, B), signed=not (square or _both(A, B))
    )


def divide(a: Any, b: Any, /) -> Array:
    """|â/b̂ − a/b| ≤ (E_a + |a/b|E_b)/|b̂|; infinite where the denominator may be 0."""
    A, B = as_array(a), as_array(b)
    value = A.value / B.value

    def moved(x: Error, y: Error) -> Error:
        size = np.abs(B.value)
        if isinstance(y, float):
            return times(1.0 / size, x)
        low = size - 2.0 * y
        quotient = plus(np.abs(A.value), x) / (size - y)
        return np.where(low > 0, plus(quotient * y, x) / low, np.inf)

    return elementwise([A, B], value, moved, ulps=current().ulps("divide"), signed=not _both(A, B))


def _both(a: Array, b: Array) -> builtins.bool:
    return a.nonnegative and b.nonnegative


def _endless(*operands: Array) -> Callable[[Floats, int], Any]:
    """Find where a result is infinite because an operand is exactly so, as a mask of −∞ makes it."""

    def find(value: Floats, part: int) -> Any:
        errors = [a.parts()[part] for a in operands]
        given = [np.isinf(a.value) & (r == 0) for a, r in zip(operands, errors, strict=True)]
        finite = [
            np.isfinite(r) & (np.abs(a.value) > 2 * r) | g for a, r, g in zip(operands, errors, given, strict=True)
        ]
        return (
            np.isinf(value)
            & np.logical_or.reduce(np.broadcast_arrays(*given))
            & np.logical_and.reduce(np.broadcast_arrays(*finite))
        )

    return find


@_of_whole_numbers(np.negative)
def negative(x: Any, /) -> Any:
    """−x, exactly."""
    x = as_array(x)
    return Array(-x.value, x.worst, x.probable, integral=x.integral)


def positive(x: Any, /) -> Any:
    """X itself."""
    return x


conj = real = positive


@_of_whole_numbers(np.abs)
def abs(x: Any, /) -> Any:
    """|x|, whose error is no larger than that of x."""
    x = as_array(x)
    return Array(np.abs(x.value), x.worst, x.probable, integral=x.integral, nonnegative=True)


def square(x: Any, /) -> Any:
    """x·x."""
    return multiply(x, x)


def reciprocal(x: Any, /) -> Any:
    """1/x."""
    return divide(1, x)


# Elementary functions: name, and how far an error r moves the result y = f(v). Both v and the point where f is
# evaluated lie within 2r of the exact argument's neighbour, so slopes are taken over v ± 2r.

Moved = Callable[[Floats, Floats, Floats], Any]


def _elementary(name: str, function: Callable[[Floats], Floats], moved: Moved, *, signed: bool = True) -> Any:  # type: ignore[valid-type]
    def elementary(x: Any, /) -> Array:
        A = as_array(x)
        value = function(A.value)

        def propagate(r: Error) -> Error:
            return r if isinstance(r, float) else moved(A.value, value, r)

        return elementwise([A], value, propagate, ulps=current().ulps(name), signed=builtins.bool(signed))

    elementary.__name__ = elementary.__qualname__ = name
    elementary.__doc__ = f"As NumPy's ``{function.__name__}``."
    return elementary


def _far(v: Floats, r: Floats) -> Any:
    return np.abs(v) + 2.0 * r


def _near(v: Floats, r: Floats) -> Any:
    return np.maximum(np.abs(v) - 2.0 * r, 0.0)


def _over(r: Floats, low: Any) -> Any:
    return np.where(low > 0, r / low, np.where(r > 0, np.inf, 0.0))


# fmt: off
exp   = _elementary("exp",   np.exp,     lambda v, y, r: y * np.exp(r) * np.expm1(r), signed=False)
expm1 = _elementary("expm1", np.expm1,   lambda v, y, r: np.exp(v + r) * np.expm1(r))
log   = _elementary("log",   np.log,     lambda v, y, r: _over(r, v - 2.0 * r))
log2  = _elementary("log2",  np.log2,    lambda v, y, r: _over(r, v - 2.0 * r) / math.log(2.0))
log10 = _elementary("log10", np.log10,   lambda v, y, r: _over(r, v - 2.0 * r) / math.log(10.0))
log1p = _elementary("log1p", np.log1p,   lambda v, y, r: _over(r, 1.0 + v - 2.0 * r))
sin   = _elementary("sin",   np.sin,     lambda v, y, r: r * np.minimum(1.0, np.abs(np.cos(v)) + 2.0 * r))
cos   = _elementary("cos",   np.cos,     lambda v, y, r: r * np.minimum(1.0, np.abs(np.sin(v)) + 2.0 * r))
tan   = _elementary("tan",   np.tan,     lambda v, y, r: _over(r, np.maximum(np.abs(np.cos(v)) - 2.0 * r, 0.0) ** 2))
sinh  = _elementary("sinh",  np.sinh,    lambda v, y, r: r * np.cosh(_far(v, r)))
cosh  = _elementary("cosh",  np.cosh,    lambda v, y, r: r * np.sinh(_far(v, r)), signed=False)
tanh  = _elementary("tanh",  np.tanh,    lambda v, y, r: r / np.cosh(_near(v, r)) ** 2)
asin  = _elementary("asin",  np.arcsin,  lambda v, y, r: _over(r, np.sqrt(np.maximum(1.0 - _far(v, r) ** 2, 0.0))))
acos  = _elementary("acos",  np.arccos,  lambda v, y, r: _over(r, np.sqrt(np.maximum(1.0 - _far(v, r) ** 2, 0.0))))
atan  = _elementary("atan",  np.arctan,  lambda v, y, r: r / (1.0 + _near(v, r) ** 2))
asinh = _elementary("asinh", np.arcsinh, lambda v, y, r: r / np.sqrt(1.0 + _near(v, r) ** 2))
acosh = _elementary("acosh", np.arccosh, lambda v, y, r: _over(r, np.sqrt(np.maximum(v - 2.0 * r, 1.0) ** 2 - 1.0)))
atanh = _elementary("atanh", np.arctanh, lambda v, y, r: _over(r, 1.0 - _far(v, r) ** 2))
# fmt: on


def _special(name: str, moved: Moved, scale: float = 0.0) -> Any:
    """A function that the standard lacks; near its zeros libraries are as far off as where it is ``scale``."""
    from .. import exact

    def special(x: Any, /) -> Array:
        A = as_array(x)
        value = exact.midpoints(exact.FUNCTIONS[name](A.value))

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            shift = errors[0] if isinstance(errors[0], float) else moved(A.value, value, errors[0])
            return rounding(value, shift, 16.0) + 32.0 * current().u * scale

        return bounded([A], value, rule, rounds=True)

    special.__name__ = special.__qualname__ = name
    special.__doc__ = f"As SciPy's or torch's ``{name}``."
    return special


def _slope(name: str) -> Moved:
    """The slope times r, for positive arguments: the larger of those at the ends of the interval."""
    from .. import exact

    def moved(v: Floats, y: Floats, r: Floats) -> Any:
        ends = [np.abs(exact.midpoints(exact.FUNCTIONS[name](e))) for e in (v - 2.0 * r, v + 2.0 * r)]
        return np.where(v - 2.0 * r > 0, np.maximum(*ends) * r, np.where(r > 0, np.inf, 0.0))

    return moved


def _bell(v: Floats, y: Floats, r: Floats) -> Any:
    return r * (2.0 / math.sqrt(math.pi)) * np.exp(-(_near(v, r) ** 2))


def _of_gamma(v: Floats, y: Floats, r: Floats) -> Any:
    return _slope("digamma")(v, y, r) * np.maximum(*(_gamma_at(e) for e in (v - 2.0 * r, v + 2.0 * r)))


def _gamma_at(x: Floats) -> Floats:
    from .. import exact

    return np.asarray(np.abs(exact.midpoints(exact.FUNCTIONS["gamma"](x))))


def _of_erfinv(v: Floats, y: Floats, r: Floats) -> Any:
    from .. import exact

    far = _far(v, r)
    end = exact.midpoints(exact.FUNCTIONS["erfinv"](np.where(far < 1, far, 0.0)))
    return np.where(far < 1, r * (0.5 * math.sqrt(math.pi)) * np.exp(end * end), np.where(r > 0, np.inf, 0.0))


erf, erfc = _special("erf", _bell), _special("erfc", _bell)
lgamma, gamma = _special("lgamma", _slope("digamma"), scale=1.0), _special("gamma", _of_gamma)
digamma = _special("digamma", _slope("trigamma"), scale=1.0)
erfinv = _special("erfinv", _of_erfinv)


def sqrt(x: Any, /) -> Array:
    """|√x̂ − √x| = |x̂ − x|/(√x̂ + √x); infinite where an evaluation may find a negative number."""
    A = as_array(x)

    def moved(r: Error) -> Error:
        if isinstance(r, float):
            return r
        low, lower = np.maximum(A.value - r, 0.0), np.maximum(A.value - 2.0 * r, 0.0)
        slope = np.where(lower > 0, r / (np.sqrt(low) + np.sqrt(lower)), np.inf)
        # |√a − √b| ≤ √|a − b| holds down to zero, for numbers that cannot be negative.
        return np.minimum(slope, np.where(A.nonnegative | (lower > 0) | (r == 0), np.sqrt(r), np.inf))

    return elementwise([A], np.sqrt(A.value), moved, ulps=current().ulps("sqrt"), signed=False)


def pow(a: Any, b: Any, /) -> Any:
    """Powers: by products for a small whole exponent, else as exp(b·log a)."""
    if _plain(a, b):
        return np.power(a, b)
    if isinstance(b, int | float) and float(b).is_integer() and builtins.abs(b) <= 64:
        return _whole_power(as_array(a), int(b))
    A, B = as_array(a), as_array(b)
    value = A.value**B.value

    def moved(x: Error, y: Error) -> Error:
        logarithm = np.log(A.value)
        low = A.value - times(2.0, x)
        shift = np.where(low > 0, np.asarray(x) / low, np.where((value == 0) & (np.asarray(x) == 0), 0.0, np.inf))
        exponent = plus(np.abs(B.value) * shift, times(np.abs(logarithm), y), times(3.0, times(shift, y)))
        moving = value * np.exp(exponent) * np.expm1(exponent)
        return np.where((A.value == 0) & (np.asarray(x) == 0) & (B.value > 0), 0.0, moving)

    return elementwise([A, B], value, moved, ulps=current().ulps("pow"), signed=False)


def _whole_power(A: Array, n: int) -> Any:
    if n == 0:
        return ones(A.shape)
    if n < 0:
        return divide(1, _whole_power(A, -n))
    if n <= 2:
        return A if n == 1 else multiply(A, A)

    def moved(r: Error) -> Error:
        return r if isinstance(r, float) else n * _far(A.value, r) ** (n - 1) * r

    ulps = builtins.max(0.5 * (n - 1), current().ulps("pow"))
    signed = bool_(n % 2) and not A.nonnegative
    return elementwise([A], A.value**n, moved, ulps=ulps, exact=True, signed=signed)


bool_ = builtins.bool


def atan2(a: Any, b: Any, /) -> Array:
    """The slope is at most 1/r; a whole turn where the cut may be crossed."""
    A, B = as_array(a), as_array(b)

    def moved(x: Error, y: Error) -> Error:
        x, y = np.asarray(x), np.asarray(y)
        low = np.hypot(_near(A.value, x), _near(B.value, y))
        cut = (np.abs(A.value) <= 2.0 * x) & (x > 0) & (B.value - 2.0 * y <= 0)
        slope = _over(_far(A.value, x) * y + _far(B.value, y) * x, low**2)
        return np.where(cut, 2.0 * np.pi, np.minimum(slope, 2.0 * np.pi))

    return elementwise([A, B], np.arctan2(A.value, B.value), moved, ulps=current().ulps("atan2"))


def hypot(a: Any, b: Any, /) -> Array:
    """√(a² + b²), whose slope is at most 1 in each argument."""
    A, B = as_array(a), as_array(b)
    return elementwise([A, B], np.hypot(A.value, B.value), plus, ulps=current().ulps("hypot"), signed=False)


def logaddexp(a: Any, b: Any, /) -> Array:
    """log(eᵃ + eᵇ), which moves no further than the larger error; computed as max(a, b) + log1p(e^−|a−b|)."""
    A, B = as_array(a), as_array(b)
    value = np.logaddexp(A.value, B.value)
    ulps = current().ulps("logaddexp")

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        moved = np.maximum(errors[0], errors[1])
        # The sum may cancel, so its parts are what is rounded.
        parts = np.abs(np.maximum(A.value, B.value)) + 1.0
        return rounding(value, moved, ulps) + 2.0 * ulps * current().u * (parts + 2.0 * moved)

    return bounded([A, B], value, rule)


# Steps, extrema and conditions


def _step(function: Callable[[Floats], Floats]) -> Callable[..., Any]:
    def step(x: Any, /) -> Any:
        if not is_ours(x):
            return function(x)
        A = as_array(x)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            return function(A.value + 2.0 * errors[0]) - function(A.value - 2.0 * errors[0])

        return bounded([A], function(A.value), rule, integral=A.integral)

    step.__doc__ = f"As NumPy's ``{function.__name__}``; where the error spans a jump, the jump is the error."
    return step


floor, ceil, trunc, round, sign = _step(np.floor), _step(np.ceil), _step(np.trunc), _step(np.rint), _step(np.sign)


def _extremum(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    @_of_whole_numbers(function)
    def extremum(a: Any, b: Any, /) -> Any:
        A, B = as_array(a), as_array(b)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            x, y = errors
            if isinstance(x, float) and isinstance(y, float):
                return 0.0
            lead, margin = turn * (A.value - B.value), times(2.0000001, plus(x, y))
            return np.where(lead > margin, x, np.where(-lead > margin, y, np.maximum(x, y)))

        upward = A.nonnegative or B.nonnegative if turn > 0 else _both(A, B)
        return bounded([A, B], function(A.value, B.value), rule, integral=A.integral and B.integral, nonnegative=upward)

    extremum.__doc__ = f"As NumPy's ``{function.__name__}``; its error is no larger than that of either argument."
    return extremum


maximum, minimum = _extremum(np.maximum, 1.0), _extremum(np.minimum, -1.0)


@_of_whole_numbers(np.floor_divide)
def floor_divide(a: Any, b: Any, /) -> Any:
    """⌊a / b⌋."""
    return floor(divide(a, b))


@_of_whole_numbers(np.remainder)
def remainder(a: Any, b: Any, /) -> Any:
    """What is left, a − ⌊a / b⌋b, which has the sign of b."""
    return subtract(a, multiply(floor_divide(a, b), b))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """The nearest number in [min, max]."""
    raised = x if min is None else maximum(x, min)
    return raised if max is None else minimum(raised, max)


def _compare(function: Callable[..., Any]) -> Callable[..., Any]:
    def compare(a: Any, b: Any, /) -> Any:
        if _plain(a, b):
            return function(a, b)
        if isinstance(a, Choice) or isinstance(b, Choice):
            return _compare_choices(function, a, b)
        A, B = as_array(a), as_array(b)
        value = function(A.value, B.value)
        distance = np.abs(A.value - B.value)

        def open_question(x: Floats, y: Floats) -> Any:
            margin = plus(error_or_zero(x), error_or_zero(y))
            if isinstance(margin, float):
                return np.broadcast_to(np.False_, value.shape)
            return ~(distance > 2.0000001 * margin) & (margin > 0)

        undecided = open_question(A.worst, B.worst)
        return Condition(value, undecided, undecided & open_question(A.probable, B.probable))

    compare.__doc__ = f"As NumPy's ``{function.__name__}``: true, false, or undecided where the errors overlap."
    return compare


def _compare_choices(function: Callable[..., Any], a: Any, b: Any) -> Condition:
    A, B = (c.value if isinstance(c, Choice) else np.asarray(c) for c in (a, b))
    value = function(A, B)
    undecided: Any = np.broadcast_to(np.False_, value.shape)
    for choice in (a, b):
        if isinstance(choice, Choice):
            undecided = undecided | choice.undecided
    return Condition(value, undecided, undecided)


# fmt: off
less          = _compare(np.less)
less_equal    = _compare(np.less_equal)
greater       = _compare(np.greater)
greater_equal = _compare(np.greater_equal)
equal         = _compare(np.equal)
not_equal     = _compare(np.not_equal)
# fmt: on


def _choice(x: Any) -> Choice:
    if isinstance(x, Choice):
        return x
    if is_ours(x) or np.asarray(x).dtype.kind == "f":
        raise Unsupported("xp.where(mask, indices, x)", "write indices on both sides", Parts.knower)
    return Choice(np.asarray(x), np.zeros(np.shape(x), dtype=np.bool_))


def _condition(x: Any) -> Condition:
    if isinstance(x, Condition):
        return x
    value = np.asarray(x, dtype=np.bool_)
    return Condition(value, np.broadcast_to(np.False_, value.shape), np.broadcast_to(np.False_, value.shape))


def logical_and(a: Any, b: Any, /) -> Any:
    """Decided where both are, or where one is decidedly false."""
    if not is_ours(a) and not is_ours(b):
        return np.logical_and(a, b)
    A, B = _condition(a), _condition(b)

    def unsettled(x: Any, y: Any) -> Any:
        return (x | y) & (A.value | x) & (B.value | y)

    return Condition(A.value & B.value, unsettled(A.undecided, B.undecided), unsettled(A.doubtful, B.doubtful))


def logical_or(a: Any, b: Any, /) -> Any:
    """Decided where both are, or where one is decidedly true."""
    if not is_ours(a) and not is_ours(b):
        return np.logical_or(a, b)
    return ~logical_and(~_condition(a), ~_condition(b))


def logical_xor(a: Any, b: Any, /) -> Any:
    """Decided where both are."""
    if not is_ours(a) and not is_ours(b):
        return np.logical_xor(a, b)
    A, B = _condition(a), _condition(b)
    return Condition(A.value ^ B.value, A.undecided | B.undecided, A.doubtful | B.doubtful)


def logical_not(x: Any, /) -> Any:
    """Decided where x is."""
    return Condition(~x.value, x.undecided, x.doubtful) if isinstance(x, Condition) else np.logical_not(x)


def _bitwise(function: Callable[..., Any], of_conditions: Callable[..., Any]) -> Callable[..., Any]:
    @_of_whole_numbers(function)
    def bitwise(*operands: Any) -> Any:
        if builtins.any(isinstance(o, Array) for o in operands):
            raise Unsupported(f"xp.{function.__name__}", "it takes integers and conditions alone", Parts.knower)
        return of_conditions(*operands)

    bitwise.__doc__ = f"As NumPy's ``{function.__name__}``, of integers and conditions."
    return bitwise


bitwise_and, bitwise_or = _bitwise(np.bitwise_and, logical_and), _bitwise(np.bitwise_or, logical_or)
bitwise_xor, bitwise_invert = _bitwise(np.bitwise_xor, logical_xor), _bitwise(np.bitwise_invert, logical_not)


def _whole_only(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*operands: Any, **options: Any) -> Any:
        settled = [o.value if isinstance(o, Condition) and not o.undecided.any() else o for o in operands]
        if builtins.any(is_ours(o) for o in settled):
            raise Unsupported(f"xp.{function.__name__}", "it takes integers and decided conditions alone", Parts.knower)
        return function(*settled, **options)

    apply.__doc__ = f"As NumPy's ``{function.__name__}``, of integers and decided conditions."
    return apply


bitwise_left_shift, bitwise_right_shift = _whole_only(np.bitwise_left_shift), _whole_only(np.bitwise_right_shift)
isin, nonzero, unique_all, unique_counts, unique_inverse, unique_values = (
    _whole_only(f) for f in (np.isin, np.nonzero, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values)
)
broadcast_shapes, iinfo = np.broadcast_shapes, np.iinfo


def _quality(function: Callable[..., Any]) -> Callable[..., Any]:
    def quality(x: Any, /) -> Any:
        return _condition(function(as_array(x).value))

    quality.__doc__ = f"As NumPy's ``{function.__name__}``, of the float64 evaluation."
    return quality


isnan, isinf, isfinite, signbit = (_quality(f) for f in (np.isnan, np.isinf, np.isfinite, np.signbit))


def where(condition: Any, a: Any, b: Any, /) -> Any:
    """Choose; where the condition is undecided, the error covers both branches.

    There |ĉ − t| ≤ |v_a − v_b| + 2(E_a + E_b): ĉ may come from one branch and t from the other.
    """
    if isinstance(a, Condition) or isinstance(b, Condition):
        return (_condition(condition) & a) | (~_condition(condition) & b)
    if not is_ours(condition) and _plain(a, b):
        return np.where(condition, a, b)
    if isinstance(a, Choice) or isinstance(b, Choice):
        C, (x, y) = _condition(condition), (_choice(o) for o in (a, b))
        return Choice(np.where(C.value, x.value, y.value), C.undecided | np.where(C.value, x.undecided, y.undecided))
    C, A, B = _condition(condition), as_array(a), as_array(b)
    value = np.where(C.value, A.value, B.value)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        x, y = errors
        still = isinstance(x, float) and isinstance(y, float)
        chosen = 0.0 if still else np.where(C.value, x, y)
        open_question = C.undecided if unit.worst else C.doubtful
        if not open_question.any():
            return chosen
        return np.where(open_question, np.abs(A.value - B.value) + times(2.0, plus(x, y)), chosen)

    decided = not C.undecided.any()
    return bounded(
        [A, B],
        value,
        rule,
        integral=A.integral and B.integral and bool_(decided),
        nonnegative=_both(A, B),
        differ=not bool_(decided),
    )


# Reductions


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Any:
    """|ŝ − s| ≤ ΣE_i + γ_n Σ|x_i|, in any order."""
    if not is_ours(x):
        return np.sum(x, axis=axis, keepdims=keepdims)
    A = as_array(x)
    return accumulated(
        A,
        np.sum(A.value, axis=axis, keepdims=keepdims),
        lambda p: np.sum(p, axis=axis, keepdims=keepdims),
        count_reduced(A.shape, axis),
    )


def mean(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Any:
    """The sum over the number of elements."""
    A = as_array(x)
    return divide(sum(A, axis=axis, keepdims=keepdims), _rounded(count_reduced(A.shape, axis)))


def _rounded(count: float) -> Array:
    # A count above the integers of the format is rounded; frameworks may multiply by its reciprocal.
    return as_array(np.float64(count))


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Any:
    """The mean squared deviation from the mean.

    The error of the mean enters to first order, which covers one-pass and updating algorithms as well (Chan, Golub &
    LeVeque 1983, Table 1: a relative error of nκu, κ² = 1 + mean²/variance).
    """
    A = as_array(x)
    deviation = A - mean(A, axis=axis, keepdims=True)
    total = sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return divide(total, _rounded(count_reduced(A.shape, axis) - correction))


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Any:
    """The root of the variance."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Any:
    """∏|x̂_i|·(1 + γ_n) − ∏|x_i|, grouped so that it does not cancel; in any order (Higham 2002, Lemma 3.1)."""
    if not is_ours(x):
        return np.prod(x, axis=axis, keepdims=keepdims)
    A, count = as_array(x), count_reduced(x.shape, axis)

    def multiplied(p: Any) -> Any:
        return np.prod(p, axis=axis, keepdims=keepdims)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        r = np.broadcast_to(errors[0], A.shape)
        size = np.abs(A.value) + r
        growth = np.sum(np.where(r > 0, np.log1p(r / size), 0.0), axis=axis, keepdims=keepdims)
        reach = multiplied(np.maximum(size + r, 1.0))
        error = multiplied(size) * np.expm1(growth + unit.steps(count)) + reach * count * current().underflow
        return within(reach, up(error, 2 * count))

    value, whole = multiplied(A.value), multiplied(np.maximum(np.abs(A.value), 1.0))
    if A.integral and np.max(whole, initial=0.0) <= current().exact_below():
        return bounded([A], value, lambda errors, unit: 0.0, integral=True, nonnegative=A.nonnegative)
    return bounded([A], value, rule, rounds=True, nonnegative=A.nonnegative, differ=count > 1)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False
) -> Any:
    """Each element is a sum in any order."""
    if not is_ours(x):
        return np.cumulative_sum(x, axis=axis, include_initial=include_initial)
    A = as_array(x)
    chosen = 0 if axis is None else axis
    lengths = np.arange(1, A.shape[chosen] + 1).reshape([-1 if i == chosen % A.ndim else 1 for i in range(A.ndim)])
    result = accumulated(A, np.cumsum(A.value, axis=chosen), lambda p: np.cumsum(p, axis=chosen), lengths)
    if not include_initial:
        return result
    first = list(A.shape)
    first[chosen] = 1
    return concat([zeros(tuple(first)), result], axis=chosen)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False
) -> Any:
    """Each element is a product, one axis at a time."""
    A, chosen = as_array(x), 0 if axis is None else axis
    heads = [prod(take(A, np.arange(i + 1), axis=chosen), axis=chosen, keepdims=True) for i in range(A.shape[chosen])]
    start = [ones(heads[0].shape)] if include_initial else []
    return concat([*start, *heads], axis=chosen)


def _reduced_extremum(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    def extremum(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Any:
        if not is_ours(x):
            return function(x, axis=axis, keepdims=keepdims)
        A = as_array(x)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            if isinstance(errors[0], float):
                return 0.0
            high, low = turn * A.value + 2.0 * errors[0], turn * A.value - 2.0 * errors[0]
            rivals = high >= np.max(low, axis=axis, keepdims=True)
            return np.max(np.where(rivals, errors[0], 0.0), axis=axis, keepdims=keepdims)

        value = function(A.value, axis=axis, keepdims=keepdims)
        return bounded([A], value, rule, integral=A.integral, nonnegative=A.nonnegative)

    extremum.__doc__ = f"As NumPy's ``{function.__name__}``; the error is the largest among those that may be chosen."
    return extremum


max, min = _reduced_extremum(np.max, 1.0), _reduced_extremum(np.min, -1.0)


def _chooser(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    def choose(x: Any, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Any:
        if not is_ours(x):
            return function(x, axis=axis, keepdims=keepdims)
        A = as_array(x)
        high, low = turn * A.value + 2.0 * A.worst, turn * A.value - 2.0 * A.worst
        rivals = (high >= np.max(low, axis=axis, keepdims=True)) & np.ones(A.shape, dtype=np.bool_)
        several = np.sum(rivals, axis=axis, keepdims=keepdims) > 1
        unsure = np.max(np.where(rivals, A.worst, 0.0), axis=axis, keepdims=keepdims) > 0
        return Choice(np.asarray(function(A.value, axis=axis, keepdims=keepdims)), np.asarray(several & unsure))

    choose.__doc__ = f"As NumPy's ``{function.__name__}``; undecided where the errors overlap."
    return choose


argmax, argmin = _chooser(np.argmax, 1.0), _chooser(np.argmin, -1.0)


def any(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Any:
    """Decided where one is decidedly true, or all are decidedly false."""
    if not isinstance(x, Condition):
        return np.any(x, axis=axis, keepdims=keepdims)
    value = np.any(x.value, axis=axis, keepdims=keepdims)

    def unsettled(u: Any) -> Any:
        return np.any(u, axis=axis, keepdims=keepdims) & ~np.any(x.value & ~u, axis=axis, keepdims=keepdims)

    return Condition(np.asarray(value), np.asarray(unsettled(x.undecided)), np.asarray(unsettled(x.doubtful)))


def all(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Any:
    """Decided where one is decidedly false, or all are decidedly true."""
    if not isinstance(x, Condition):
        return np.all(x, axis=axis, keepdims=keepdims)
    return ~any(~x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Any:
    """The number of true elements, with the undecided ones as its error."""
    return sum(not_equal(x, 0) if isinstance(x, Array) else x, axis=axis, keepdims=keepdims)


def sort(x: Any, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Any:
    """Sorted values move no further than the largest error along the axis."""
    if not is_ours(x):
        return np.flip(np.sort(x, axis=axis), axis=axis) if descending else np.sort(x, axis=axis)
    A = as_array(x)
    value = np.sort(A.value, axis=axis)
    if descending:
        value = np.flip(value, axis=axis)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        return 0.0 if isinstance(errors[0], float) else np.max(errors[0], axis=axis, keepdims=True)

    return bounded([A], value, rule, integral=A.integral, nonnegative=A.nonnegative)


def argsort(x: Any, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Any:
    """Undecided at every position whose interval overlaps a neighbour's."""
    turn = -1.0 if descending else 1.0
    if not is_ours(x):
        return np.argsort(turn * np.asarray(x), axis=axis, stable=True)
    if isinstance(x, Choice):
        order = np.argsort(x.value, axis=axis, stable=True)
        return Choice(order, np.broadcast_to(np.any(x.undecided, axis=axis, keepdims=True), order.shape))
    A = as_array(x)
    order = np.argsort(turn * A.value, axis=axis, stable=True)
    centre, radius = (
        np.take_along_axis(np.moveaxis(p, axis, -1), np.moveaxis(order, axis, -1), -1)
        for p in (turn * A.value, A.worst)
    )
    high = np.maximum.accumulate(centre + 2.0 * radius, axis=-1)
    low = np.flip(np.minimum.accumulate(np.flip(centre - 2.0 * radius, -1), axis=-1), -1)
    touching = (high[..., :-1] >= low[..., 1:]) & ((radius[..., :-1] > 0) | (radius[..., 1:] > 0))
    undecided = np.zeros(centre.shape, dtype=np.bool_)
    undecided[..., :-1] |= touching
    undecided[..., 1:] |= touching
    return Choice(order, np.moveaxis(undecided, -1, axis))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """How many of the sorted numbers come before each; undecided where one of the comparisons is."""
    x1 = x1 if sorter is None else take(x1, sorter, axis=0)
    before = count_nonzero((less if side == "left" else less_equal)(x1, expand_dims(x2, axis=-1)), axis=-1)
    return Choice(before.value.astype(np.int64), before.worst >= 0.5) if is_ours(before) else before


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours."""
    pieces = [p for p in (prepend, x, append) if p is not None]
    x = concat(pieces, axis=axis) if len(pieces) > 1 else x
    for _ in range(n):
        length = x.shape[axis]
        x = take(x, np.arange(1, length), axis=axis) - take(x, np.arange(length - 1), axis=axis)
    return x


# Moving elements about


def _move(x: Any, function: Callable[[Any], Any]) -> Any:
    return x.map(function) if isinstance(x, Parts) else function(np.asarray(x))


def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Any:
    """The same elements in another shape."""
    return _move(x, lambda p: np.reshape(p, shape))


def permute_dims(x: Any, /, axes: tuple[int, ...]) -> Any:
    """Axes in another order."""
    return _move(x, lambda p: np.transpose(p, axes))


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    return _move(x, lambda p: np.swapaxes(p, -1, -2))


def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """Axes moved."""
    return _move(x, lambda p: np.moveaxis(p, source, destination))


def expand_dims(x: Any, /, *, axis: int = 0) -> Any:
    """One more axis of length 1."""
    return _move(x, lambda p: np.expand_dims(p, axis))


def squeeze(x: Any, /, axis: Any) -> Any:
    """Without these axes of length 1."""
    return _move(x, lambda p: np.squeeze(p, axis))


def broadcast_to(x: Any, /, shape: tuple[int, ...]) -> Any:
    """Repeated, without copying."""
    return _move(x, lambda p: np.broadcast_to(p, shape))


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All in one shape."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return [broadcast_to(a, shape) for a in arrays]


def flip(x: Any, /, *, axis: Any = None) -> Any:
    """Reversed."""
    return _move(x, lambda p: np.flip(p, axis))


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Shifted around."""
    return _move(x, lambda p: np.roll(p, shift, axis))


def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Laid side by side."""
    return _move(x, lambda p: np.tile(p, repetitions))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element several times."""
    return _move(x, lambda p: np.repeat(p, repeats, axis))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    return tuple(take(x, i, axis=axis) for i in range(x.shape[axis]))


def _join(arrays: Sequence[Any], function: Callable[[Sequence[Any]], Any]) -> Any:
    if not builtins.any(is_ours(a) for a in arrays):
        return function([np.asarray(a) for a in arrays])
    if builtins.any(builtins.all(isinstance(a, kind) for a in arrays) for kind in (Condition, Choice)):
        ours: list[Any] = list(arrays)
    else:
        ours = [as_array(a) for a in arrays]
    columns = list(zip(*(a.parts() for a in ours), strict=True))
    if isinstance(ours[0], Array) and builtins.all(a.worst is a.probable for a in ours):
        value, worst = function(columns[0]), function(columns[1])
        return ours[0].rebuilt([value, worst, worst], ours[1:])
    return ours[0].rebuilt([function(c) for c in columns], ours[1:])


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Joined along an axis."""
    return _join(arrays, lambda parts: np.concatenate(parts, axis=axis))


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Any:
    """Joined along a new axis."""
    return _join(arrays, lambda parts: np.stack(parts, axis=axis))


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Elements by index along an axis; an undecided index may give any of them."""
    if isinstance(indices, Choice):
        taken = take(x, indices.value, axis=axis)
        chosen = (0 if axis is None else axis) % x.ndim
        after = x.ndim - chosen - 1
        loose = indices.undecided.reshape(indices.shape + (1,) * after)
        return _hull(taken, loose, x, chosen, indices.ndim)
    return _move(x, lambda p: np.take(p, indices, axis))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Elements by an index of their own along an axis; an undecided index may give any of them."""
    if isinstance(indices, Choice):
        return _hull(take_along_axis(x, indices.value, axis=axis), indices.undecided, x, axis % x.ndim, 1)
    return _move(x, lambda p: np.take_along_axis(p, np.asarray(indices), axis))


def _hull(taken: Array, loose: Any, x: Any, axis: int, inserted: int) -> Array:
    # Wherever the index is undecided, both ĉ and t may be any element along the axis.
    if not loose.any():
        return taken
    A = as_array(x)

    def rule(errors: Sequence[Error], unit: Any) -> Any:
        r = A.worst if unit.worst else A.probable
        wide = np.max(A.value + 2.0 * r, axis=axis) - np.min(A.value - 2.0 * r, axis=axis)
        wide = np.expand_dims(wide, tuple(range(axis, axis + inserted)))
        return np.where(loose, wide, errors[0])

    return bounded([taken], taken.value, rule)


def scatter_add(x: Any, numbers: Any, count: int, /) -> Array:
    """Sums of rows by number, each in any order; a row whose number is undecided may be part of any sum."""
    A = as_array(x)
    if isinstance(numbers, Choice):
        loose = numbers.undecided[:, None]
        sums = scatter_add(A, numbers.value, count)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            return plus(errors[0], np.sum(np.where(loose, np.abs(A.value) + times(2.0, errors[1]), 0.0), axis=0))

        return bounded([sums, A], sums.value, rule) if loose.any() else sums

    def add_up(p: Floats) -> Any:
        sums = np.zeros((count, *p.shape[1:]))
        np.add.at(sums, numbers, p)
        return sums

    terms = np.bincount(numbers, minlength=count).reshape(count, *(1,) * (A.ndim - 1))
    return accumulated(A, add_up(A.value), add_up, terms)


# Products


def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    """Inner products along an axis."""
    return sum(multiply(a, b), axis=axis)


def tensordot(a: Any, b: Any, /, *, axes: Any = 2) -> Any:
    """Sums of products over chosen axes, as one matrix product."""
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([axes[i]] if isinstance(axes[i], int) else list(axes[i]) for i in (0, 1))
    left, right = [i % a.ndim for i in left], [i % b.ndim for i in right]
    rows, columns = [i for i in range(a.ndim) if i not in left], [i for i in range(b.ndim) if i not in right]
    inner = math.prod(a.shape[i] for i in left)
    outer = tuple(a.shape[i] for i in rows) + tuple(b.shape[i] for i in columns)
    A = reshape(permute_dims(a, tuple(rows + left)), (math.prod(a.shape[i] for i in rows), inner))
    B = reshape(permute_dims(b, tuple(right + columns)), (inner, math.prod(b.shape[i] for i in columns)))
    return reshape(matmul(A, B), outer)


# What is written once in terms of the rest.

_this = sys.modules[__name__]
copysign, einsum = (functools.partial(getattr(textbook, f), _this) for f in ("copysign", "einsum"))
globals().update({name: functools.partial(written, _this) for name, written in textbook.SPECIAL.items()})


guard(globals(), "xp", Parts.knower, besides=("analyse",))

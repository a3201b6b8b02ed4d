"""An array namespace over Arb balls: the true value, with a certified error radius.

This module is the namespace: ``op(exact, *inputs)`` evaluates an operation in it. An :class:`ExactArray` holds a NumPy
object array of balls (``flint.arb``). Every float that enters is the rational number that it is, with radius 0; the
working precision is a context, ``with exact.precision(bits):``, and :func:`evaluate` doubles it until a result is
narrow. Integers and booleans (labels, indices, conditions) stay NumPy arrays.

A comparison that the balls leave undecided raises :class:`Undecided`. Two balls of radius 0 are compared exactly, and a
ball is equal to itself.

Each array also carries a bound on the degree of its entries as rational functions of the inputs, for as long as
nothing but +, −, ×, ÷ made them. ``with exact.rationals():`` computes with fractions in place of balls, and raises
:class:`NotRational` at the first step that is none.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66 (2017).
"""

from __future__ import annotations

import functools
import itertools
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from flint import acb_mat, arb, arb_mat, fmpq, fmpq_mat

from ..shared import linear_algebra, structure, textbook
from ..shared.numpy_protocols import numpys_own
from ..shared.operators import COMPARISONS, Linalg, Operators, namespace_info, plain_key
from ..shared.unsupported import STANDARD_NAMES, Guards, Unsupported

Array = Any
"""An :class:`ExactArray`, an integer or boolean NumPy array, or a Python number."""

Degree = tuple[int, int] | None
"""Bounds (p, q): every entry is a quotient of polynomials of degree ≤ p and ≤ q in the inputs. None: not rational."""

CONSTANT: Degree = (0, 0)


class Undecided(ArithmeticError):
    """The balls leave a comparison or a result open: more precision may decide it, an input on a kink never will."""


class Kink(Undecided):
    """There is no derivative here: two values that are compared are equal. No precision changes that."""


class NotRational(ArithmeticError):
    """A step that is not +, −, ×, ÷: there is no fraction to compute, or no one polynomial to speak of."""


CONSTANT_ULPS = 16
"""How far a constant may be from the real number that it stands for, in units in the last place.

Half a unit is its rounding. Three operations that made it and the digit that one of them may cancel add the rest. A
constant that is wrong in its 14th digit is further off.
"""

SHORT_BITS = 30
"""A float of so few significant bits is an exact fraction: an integer, a half, what a person writes in binary."""


@dataclass
class _State:
    rational: bool = False
    branches: int = 0
    sample: int | None = None
    moved: int = 0


_state = _State()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with that many bits."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


@contextmanager
def rationals() -> Iterator[None]:
    """Compute with fractions in place of balls.

    Raises:
        NotRational: from within, at the first step that is not rational.
        ZeroDivisionError: from within, at a division by zero.
    """
    before = _state.rational
    _state.rational = True
    try:
        yield
    finally:
        _state.rational = before


@contextmanager
def moved_constants(sample: int) -> Iterator[None]:
    """Compute with every float that is no input moved in its last digits: it stands for a number that has more.

    Equal floats move alike, integers and short fractions not at all; see :func:`moved_count`. A constant that an input
    is compared with stays where it is.

    Args:
        sample: chooses the moves, each between half of :data:`CONSTANT_ULPS` and the whole, to either side.
    """
    with _sampled(sample):
        yield


@contextmanager
def _sampled(sample: int | None) -> Iterator[None]:
    before = _state.sample
    _state.sample = sample
    try:
        yield
    finally:
        _state.sample = before


def moved_count() -> int:
    """Return how many constants have been moved so far."""
    return _state.moved


def branch_count() -> int:
    """Return how many times a condition on the inputs has been decided so far."""
    return _state.branches


# ── Degrees ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _joined(*degrees: Degree) -> Degree:
    """The degree of arrays laid side by side."""
    known = [d for d in degrees if d is not None]
    if len(known) < len(degrees):
        return None
    return max((d[0] for d in known), default=0), max((d[1] for d in known), default=0)


def _added(a: Degree, b: Degree) -> Degree:
    return None if a is None or b is None else (max(a[0] + b[1], b[0] + a[1]), a[1] + b[1])


def _multiplied(a: Degree, b: Degree) -> Degree:
    return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])


def _divided(a: Degree, b: Degree) -> Degree:
    return None if a is None or b is None else (a[0] + b[1], a[1] + b[0])


def _repeated(a: Degree, count: int) -> Degree:
    """The degree of a sum of that many."""
    return None if a is None else (a[0] + max(count - 1, 0) * a[1], max(count, 1) * a[1])


def _branch(*degrees: Degree) -> None:
    if all(d == CONSTANT for d in degrees):
        return
    if _state.rational:
        raise NotRational("a condition on the inputs chooses a branch")
    _state.branches += 1


# ── Arrays ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Integers(np.ndarray[Any, Any]):
    """Integers and booleans. Where NumPy would round (a division, a float factor), the result is an exact array."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(i, Operators) for i in inputs):
            return NotImplemented
        plain = [i.view(np.ndarray) if isinstance(i, Integers) else i for i in inputs]
        options = {k: tuple(o.view(np.ndarray) for o in v) if k == "out" else v for k, v in options.items()}
        result = getattr(ufunc, method)(*plain, **options)
        if isinstance(result, np.ndarray | np.generic) and result.dtype.kind == "f":
            return __getattr__(STANDARD_NAMES.get(ufunc.__name__, ufunc.__name__))(*(lift(p) for p in plain))
        return whole(result)


def whole(x: Any) -> Any:
    """Return integers or booleans as :class:`Integers`."""
    return np.asarray(x).view(Integers)


class ExactArray(Operators):
    """An array of balls (or of fractions, within :func:`rationals`)."""

    __slots__ = ("degree", "elements")
    elements: np.ndarray
    """The balls, a NumPy array of dtype object."""
    degree: Degree
    """A bound on the degree of the entries as rational functions of the inputs."""

    def __init__(self, elements: np.ndarray, degree: Degree = CONSTANT) -> None:
        self.elements = elements
        self.degree = degree

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The size of each axis."""
        return self.elements.shape

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return sys.modules[__name__]

    def __setitem__(self, key: Any, value: Any) -> None:
        # Rebound, never overwritten: an array that shares these elements does not see it.
        value = lift(value)
        self.elements = self.elements.copy()
        self.elements[plain_key(key)] = value.elements if value.ndim else value.elements[()]
        self.degree = _joined(self.degree, value.degree)

    def __repr__(self) -> str:
        shown = np.vectorize(str, otypes=[object])(self.elements) if self.size else self.elements
        return f"ExactArray({shown.tolist()})"


def _array(elements: Any, degree: Degree) -> ExactArray:
    if type(elements) is not np.ndarray:
        elements = np.asarray(elements, dtype=object)
    return ExactArray(elements, degree)


def _number(value: Any) -> Any:
    """A ball of radius 0 (or a fraction) from any real number."""
    if isinstance(value, arb | fmpq):
        return value
    if isinstance(value, int | np.integer | np.bool_):
        return fmpq(int(value)) if _state.rational else arb(int(value))
    if isinstance(value, Fraction):
        ratio = fmpq(value.numerator, value.denominator)
        return ratio if _state.rational else arb(ratio)
    value = float(value)
    if _state.sample is not None:
        return _moved(value, _state.sample)
    if not _state.rational:
        return arb(value)
    if not math.isfinite(value):
        raise NotRational(f"{value} is no fraction")
    return fmpq(*value.as_integer_ratio())


def _moved(value: float, sample: int) -> arb:
    if not math.isfinite(value) or _is_short(value):
        return arb(value)
    _state.moved += 1
    drawn = zlib.crc32(struct.pack("<dq", abs(value), sample))
    size = 0.5 + 0.5 * (drawn >> 1) / 2**31
    return arb(value) * (1 + arb(size if drawn & 1 else -size) * CONSTANT_ULPS * 2**-52)


def _is_short(value: float) -> bool:
    numerator = abs(value.as_integer_ratio()[0])
    return bool(numerator // (numerator & -numerator or 1) < 2**SHORT_BITS)


_numbers = np.frompyfunc(_number, 1, 1)


def lift(x: Any) -> ExactArray:
    """Return anything real as an exact array; what is not one yet is a constant.

    Raises:
        Unsupported: it is not real.
        TypeError: it belongs to another namespace.
    """
    if isinstance(x, ExactArray):
        return x
    if isinstance(x, Operators):
        raise TypeError(f"exact cannot take a {type(x).__name__}")
    elements = np.asarray(x)
    if elements.dtype.kind == "c":
        raise Unsupported("a complex number", "write real and imaginary part as two arrays")
    return _array(_numbers(elements.view(np.ndarray)), CONSTANT)


def _is_whole(x: Any) -> bool:
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype.kind in "biu"
    return isinstance(x, bool | int)


def variable(x: Any) -> Array:
    """Return an input: a float array as an exact one whose entries are variables (degree 1); integers as they are."""
    if not isinstance(x, ExactArray) and _is_whole(x):
        return whole(x)
    return ExactArray(_unmoved(x).elements, (1, 0))


def _unmoved(x: Any) -> ExactArray:
    with _sampled(None):
        return lift(x)


# ── The table of functions ───────────────────────────────────────────────────────────────────────────────────────────

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The namespace: every function of the standard that stands here, by name."""

LINALG: dict[str, Callable[..., Any]] = {}
"""The same for ``linalg``."""


def _public(function: Callable[..., Any]) -> Callable[..., Any]:
    # A trailing underscore keeps the standard's max, abs, all … from hiding Python's own.
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


def _integral(function: Callable[..., Any]) -> Callable[..., Any]:
    """Leave the work to NumPy where every array is one of integers or booleans."""
    name = function.__name__.rstrip("_")

    @functools.wraps(function)
    def chosen(*args: Any, **options: Any) -> Any:
        if all(_is_whole(a) for a in args if not isinstance(a, tuple | type(None))):
            return whole(getattr(np, name)(*args, **{k: v for k, v in options.items() if k != "dtype"}))
        return function(*args, **options)

    FUNCTIONS[name] = chosen
    return chosen


def _function(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__name__ = name
        return _integral(function)

    return register


# Arithmetic: the object array's own ufunc calls the balls' operators.

_ANYTHING = arb(0, "inf")
"""Some number, of which nothing is known."""


def _hull(*ends: arb) -> arb:
    """The smallest ball around exact numbers."""
    return functools.reduce(arb.union, ends) if all(e.is_finite() for e in ends) else _ANYTHING


def _quotient(a: Any, b: Any) -> Any:
    """A / b. By a ball that holds zero and other numbers it is anything; by zero itself it has no value."""
    ratio = a / b
    if isinstance(ratio, arb) and ratio.is_nan() and not (a.is_nan() or b.is_nan() or b.is_exact()):
        return _ANYTHING
    return ratio


_DEGREES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "add": (np.add, _added),
    "subtract": (np.subtract, _added),
    "multiply": (np.multiply, _multiplied),
    "divide": (np.frompyfunc(_quotient, 2, 1), _divided),
}


def _arithmetic(name: str) -> Callable[[Any, Any], ExactArray]:
    ufunc, combined = _DEGREES[name]

    def operate(x1: Any, x2: Any, /) -> ExactArray:
        a, b = lift(x1), lift(x2)
        return _array(ufunc(a.elements, b.elements), combined(a.degree, b.degree))

    return operate


for _name in ("add", "subtract", "multiply"):
    _function(_name)(_arithmetic(_name))
FUNCTIONS["divide"] = FUNCTIONS["true_divide"] = _arithmetic("divide")


@_integral
def negative(x: Any, /) -> ExactArray:
    """−x."""
    x = lift(x)
    return _array(np.negative(x.elements), x.degree)


@_integral
def positive(x: Any, /) -> ExactArray:
    """+x."""
    return lift(x)


FUNCTIONS["conj"] = FUNCTIONS["real"] = FUNCTIONS["positive"]


@_integral
def square(x: Any, /) -> ExactArray:
    """x²."""
    x = lift(x)
    return _array(np.multiply(x.elements, x.elements), _multiplied(x.degree, x.degree))


@_public
def reciprocal(x: Any, /) -> Any:
    """1 / x."""
    return FUNCTIONS["divide"](1, x)


def _transcendental(name: str) -> None:
    raise NotRational(f"{name} is not a rational function")


def _monotone(
    function: Callable[[arb], arb], low: float = -math.inf, high: float = math.inf, **ends: float
) -> Callable[[arb], arb]:
    """Extend a monotone function of balls to those that reach over the edge of its domain.

    Arb has NaN for them. Where the number itself lies beyond the edge, more precision shows it; until then it is one of
    those inside.

    Args:
        function: the function of Arb.
        low: where its domain begins.
        high: where it ends.
        ends: its values there, ``at_low`` and ``at_high``, where they are infinite.
    """

    def at(x: arb) -> arb:
        if x == low and "at_low" in ends:
            return arb(ends["at_low"])
        return arb(ends["at_high"]) if x == high and "at_high" in ends else function(x)

    def apply(x: arb) -> arb:
        result = function(x)
        if not result.is_nan() or x.is_nan():
            return at(x) if x.is_exact() else result
        first, last = max(x.lower(), arb(low)), min(x.upper(), arb(high))
        if first > last:
            return result
        return at(x) if x.is_exact() else _hull(at(first), at(last))

    return apply


def _with_poles(function: Callable[[arb], arb]) -> Callable[[arb], arb]:
    """Extend a function of balls to those that may hold a pole, where Arb has NaN."""

    def apply(x: arb) -> arb:
        result = function(x)
        return _ANYTHING if result.is_nan() and x.is_finite() and not x.is_exact() else result

    return apply


def _lgamma(x: arb) -> arb:
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


_log = _monotone(arb.log, 0, at_low=-math.inf)

ELEMENTARY: dict[str, Callable[[arb], arb]] = {
    "exp": arb.exp,
    "expm1": arb.expm1,
    "log": _log,
    "log1p": _monotone(arb.log1p, -1, at_low=-math.inf),
    "log2": lambda x: _log(x) / arb.const_log2(),
    "log10": lambda x: _log(x) / arb.const_log10(),
    "sqrt": _monotone(arb.sqrt, 0),
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": _with_poles(arb.tan),
    "asin": _monotone(arb.asin, -1, 1),
    "acos": _monotone(arb.acos, -1, 1),
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": _monotone(arb.asinh),
    "acosh": _monotone(arb.acosh, 1),
    "atanh": _monotone(arb.atanh, -1, 1, at_low=-math.inf, at_high=math.inf),
    # The standard lacks these; torch and SciPy have them.
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erfinv": _monotone(arb.erfinv, -1, 1, at_low=-math.inf, at_high=math.inf),
    "gamma": _with_poles(arb.gamma),
    "lgamma": _with_poles(_lgamma),
    "digamma": _with_poles(arb.digamma),
    "trigamma": _with_poles(lambda x: arb(2).zeta(x)),
}
"""Functions of one ball."""


def _elementary(name: str) -> None:
    function = np.frompyfunc(ELEMENTARY[name], 1, 1)

    def apply(x: Any, /) -> ExactArray:
        if _state.rational:
            _transcendental(name)
        return _array(function(lift(x).elements), None)

    FUNCTIONS[name] = apply


for _name in ELEMENTARY:
    _elementary(_name)


@_public
def atan2(x1: Any, x2: Any, /) -> ExactArray:
    """The angle of the point (x₂, x₁)."""
    if _state.rational:
        _transcendental("atan2")
    return _array(np.frompyfunc(arb.atan2, 2, 1)(lift(x1).elements, lift(x2).elements), None)


@_integral
def pow_(x1: Any, x2: Any, /) -> Any:
    """x₁ to the power x₂; an integer exponent takes any base."""
    base = lift(x1)
    if isinstance(x2, float) and x2.is_integer():
        x2 = int(x2)
    if isinstance(x2, int | np.integer):
        n, inverted = abs(int(x2)), x2 < 0
        degree: Degree = None if base.degree is None else (base.degree[0] * n, base.degree[1] * n)
        power = _array(np.frompyfunc(lambda b: _whole_power(b, n), 1, 1)(base.elements), degree)
        return reciprocal(power) if inverted else power
    if _state.rational:
        _transcendental("pow")
    return _array(np.frompyfunc(_power, 2, 1)(base.elements, lift(x2).elements), None)


def _whole_power(base: Any, n: int) -> Any:
    """A power with an exponent n ≥ 0; Arb has NaN for one of a ball around zero."""
    power = base**n
    if isinstance(power, fmpq) or not power.is_nan() or base.is_nan():
        return power
    low, high = base.lower(), base.upper()
    return _hull(low**n, high**n) if n % 2 else _hull(arb(0), max(-low, high) ** n)


def _power(base: arb, exponent: arb) -> Any:
    n = exponent.unique_fmpz() if exponent.is_integer() else None
    if n is not None and abs(n) <= _MOST_FACTORS:
        power = _whole_power(base, abs(int(n)))
        return _quotient(arb(1), power) if n < 0 else power
    power = base**exponent
    if not power.is_nan() or base.is_nan() or exponent.is_nan() or (base.is_exact() and exponent.is_exact()):
        return power
    if exponent > 0 and base.upper() >= 0:
        return _hull(arb(0), base.upper() ** exponent.lower(), base.upper() ** exponent.upper())
    return power if base < 0 and exponent.is_exact() else _ANYTHING


_MOST_FACTORS = 1000
"""A whole exponent that a ball may have and still be taken for a number of factors."""


@_integral
def abs_(x: Any, /) -> ExactArray:
    """|x|: a ball around 0 needs no decision, since |x| is continuous."""
    x = lift(x)
    _branch(x.degree)
    return _array(np.absolute(x.elements), x.degree)


def _compared(name: str) -> Callable[[Any, Any], Any]:
    _, true, false = COMPARISONS[name]
    of_itself = name in ("less_equal", "greater_equal", "equal")

    def compare(x1: Any, x2: Any, /) -> Any:
        first, second = _unmoved(x1), _unmoved(x2)
        _branch(first.degree, second.degree)
        a, b = np.broadcast_arrays(first.elements, second.elements)
        yes, no = np.asarray(true(a, b), dtype=bool), np.asarray(false(a, b), dtype=bool)
        open_ = ~(yes | no)
        if open_.any():
            same = np.asarray(np.frompyfunc(lambda x, y: x is y and not x.is_nan(), 2, 1)(a, b), dtype=bool)
            if (open_ & ~same).any():
                raise Undecided(f"{name} is undecided for {int((open_ & ~same).sum())} of {open_.size} entries")
            yes = np.where(open_, of_itself, yes)
        return whole(yes)

    return compare


for _name in COMPARISONS:
    _function(_name)(_compared(_name))


@_integral
def maximum(x1: Any, x2: Any, /) -> Any:
    """The larger of two."""
    x1, x2 = lift(x1), lift(x2)
    return where(FUNCTIONS["greater_equal"](x1, x2), x1, x2)


@_integral
def minimum(x1: Any, x2: Any, /) -> Any:
    """The smaller of two."""
    x1, x2 = lift(x1), lift(x2)
    return where(FUNCTIONS["less_equal"](x1, x2), x1, x2)


@_integral
def sign(x: Any, /) -> ExactArray:
    """−1, 0 or 1."""
    x = lift(x)
    above, below = FUNCTIONS["greater"](x, 0), FUNCTIONS["less"](x, 0)
    return lift(np.asarray(above, dtype=int) - np.asarray(below, dtype=int))


def _rounded(name: str, function: Callable[[Any], Any]) -> None:
    def one(x: Any) -> Any:
        if x.is_nan() or (x.is_exact() and not x.is_finite()):
            return x
        result = function(x).unique_fmpz()
        if result is None:
            raise Undecided(f"{name} is undecided")
        return arb(result)

    def apply(x: Any, /) -> ExactArray:
        x = lift(x)
        if _state.rational:
            _transcendental(name)
        _branch(x.degree)
        return _array(np.frompyfunc(one, 1, 1)(x.elements), CONSTANT)

    apply.__name__ = name
    _integral(apply)


def _half_to_even(x: arb) -> arb:
    low = x.floor()
    half = low + arb(0.5)
    if x < half:
        return low
    if x > half or (x == half and not (low / 2).is_integer()):
        return low + 1
    return low if x == half else arb(0, 1)


_rounded("floor", arb.floor)
_rounded("ceil", arb.ceil)
_rounded("trunc", lambda x: x.floor() if x >= 0 else x.ceil() if x <= 0 else arb(0, 1))
_rounded("round", _half_to_even)


def _asked(name: str, question: Callable[[Any], bool]) -> None:
    def of_one(x: Any) -> bool:
        if name != "isnan" and isinstance(x, arb) and not (x.is_finite() or x.is_nan() or x.is_exact()):
            raise Undecided(f"{name} is undecided")
        return question(x)

    def ask(x: Any, /) -> Any:
        if _is_whole(x):
            return whole(getattr(np, name)(x))
        return whole(np.asarray(np.frompyfunc(of_one, 1, 1)(lift(x).elements), dtype=bool))

    FUNCTIONS[name] = ask


_asked("isnan", lambda x: isinstance(x, arb) and x.is_nan())
_asked("isfinite", lambda x: isinstance(x, fmpq) or x.is_finite())
_asked("isinf", lambda x: isinstance(x, arb) and not x.is_finite() and not x.is_nan())


# Moving entries about: a NumPy function that makes no arithmetic. `dual` moves its tangents by the same functions.


def rearranged(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a NumPy function that only moves entries; it returns one array or a list of them."""
    if all(_is_whole(a) for a in arrays):
        moved = function(*(np.asarray(a) for a in arrays))
        return [whole(m) for m in moved] if isinstance(moved, list | tuple) else whole(moved)
    lifted = [lift(a) for a in arrays]
    degree = _joined(*(a.degree for a in lifted))
    moved = function(*(a.elements for a in lifted))
    return [_array(m, degree) for m in moved] if isinstance(moved, list | tuple) else _array(moved, degree)


for _name, _rule in structure.FUNCTIONS.items():
    FUNCTIONS[_name] = functools.partial(_rule, rearranged)

where = FUNCTIONS["where"]


# Sums and products.


@_integral
def sum_(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> ExactArray:
    """Σx over the axes."""
    x = lift(x)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    count = math.prod(x.shape[a] for a in axes)
    total: Any = x.elements
    if axes:
        total = np.sum(total, axis=axes, keepdims=keepdims, initial=_number(0))
    return _array(total, _repeated(x.degree, count))


@_integral
def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> ExactArray:
    """The sums of the first 1, 2, … entries along an axis."""
    x = lift(x)
    axis = 0 if axis is None else axis
    sums = np.add.accumulate(x.elements, axis=axis)
    if include_initial:
        sums = np.concatenate(
            [np.full_like(np.take(sums, [0] if sums.shape[axis] else [], axis), _number(0)), sums], axis
        )
    return _array(sums, _repeated(x.degree, x.shape[axis]))


def _matrix(elements: np.ndarray) -> Any:
    rows, columns = elements.shape
    return (fmpq_mat if _state.rational else arb_mat)(rows, columns, elements.ravel().tolist())


def _elements(matrix: Any) -> np.ndarray:
    result = np.empty(matrix.nrows() * matrix.ncols(), dtype=object)
    result[:] = matrix.entries()
    return result.reshape(matrix.nrows(), matrix.ncols())


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A batched product of matrices; a batch axis that only one side has becomes more rows, or more columns."""
    depth = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (depth - x.ndim) + x.shape) for x in (a, b))
    batch = range(depth - 2)
    rows = [i for i in batch if b.shape[i] == 1 != a.shape[i]]
    columns = [i for i in batch if a.shape[i] == 1 != b.shape[i]]
    both = [i for i in batch if i not in rows and i not in columns]
    (m, k), n = a.shape[-2:], b.shape[-1]
    outer, over, under = ([max(a.shape[i], b.shape[i]) for i in axes] for axes in (both, rows, columns))
    left = a.transpose([*both, *rows, *columns, -2, -1]).reshape(*outer, math.prod(over) * m, k)
    right = b.transpose([*both, *rows, -2, *columns, -1]).reshape(*outer, k, math.prod(under) * n)
    product = np.empty((*outer, left.shape[-2], right.shape[-1]), dtype=object)
    for index in itertools.product(*map(range, outer)):
        product[index] = _elements(_matrix(left[index]) * _matrix(right[index]))
    # The axes are now those of both, the rows', m, the columns', n.
    now = [*both, *rows, depth - 2, *columns, depth - 1]
    return product.reshape(*outer, *over, m, *under, n).transpose([now.index(i) for i in range(depth)])


@_integral
def matmul(x1: Any, x2: Any, /) -> ExactArray:
    """The matrix product, batched over leading axes."""
    first, second = lift(x1), lift(x2)
    a = first.elements if first.ndim > 1 else first.elements[None, :]
    b = second.elements if second.ndim > 1 else second.elements[:, None]
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul of shapes {first.shape} and {second.shape}: {a.shape[-1]} is not {b.shape[-2]}")
    c = _product(a, b)
    c = c[..., 0, :] if first.ndim == 1 else c
    c = c[..., 0] if second.ndim == 1 else c
    return _array(c, _repeated(_multiplied(first.degree, second.degree), a.shape[-1]))


# Order.


def _first_best(x: ExactArray, axis: int, better: str) -> np.ndarray:
    lanes = np.moveaxis(x.elements, axis, 0)
    best, index = lanes[0], np.zeros(lanes.shape[1:], dtype=np.int64)
    for i in range(1, lanes.shape[0]):
        improved = np.asarray(FUNCTIONS[better](_array(lanes[i], x.degree), _array(best, x.degree)))
        best, index = np.where(improved, lanes[i], best), np.where(improved, i, index)
    return index


def _extremum(name: str, better: str) -> None:
    def argument(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        x = lift(x)
        if axis is None:
            index = _first_best(_array(x.elements.ravel(), x.degree), 0, better)
            return whole(index.reshape((1,) * x.ndim) if keepdims else index)
        index = _first_best(x, axis, better)
        return whole(np.expand_dims(index, axis) if keepdims else index)

    def value(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return structure.extremum(sys.modules[__name__], f"arg{name}", x, axis, keepdims)

    argument.__name__, value.__name__ = f"arg{name}", name
    _integral(argument)
    _integral(value)


_extremum("max", "greater")
_extremum("min", "less")


@_public
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort an axis; equal entries keep their order."""
    x = lift(x)
    less = FUNCTIONS["less"]

    def order(i: Any, j: Any, lane: np.ndarray) -> int:
        a, b = _array(lane[i], x.degree), _array(lane[j], x.degree)
        a, b = (b, a) if descending else (a, b)
        return -1 if less(a, b) else int(bool(less(b, a)))

    def sort_one(lane: np.ndarray) -> np.ndarray:
        return np.asarray(
            sorted(range(len(lane)), key=functools.cmp_to_key(functools.partial(order, lane=lane))), dtype=np.int64
        )

    lanes = np.moveaxis(x.elements, axis, -1)
    result = np.empty(lanes.shape, dtype=np.int64)
    for index in np.ndindex(lanes.shape[:-1]):
        result[index] = sort_one(lanes[index])
    return whole(np.moveaxis(result, -1, axis))


@_public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The entries of an axis in order."""
    if _is_whole(x):
        ascending = np.sort(x, axis=axis)
        return whole(np.flip(ascending, axis) if descending else ascending)
    return FUNCTIONS["take_along_axis"](lift(x), argsort(x, axis=axis, descending=descending), axis=axis)


def _condition(x: Any) -> np.ndarray:
    return np.asarray(FUNCTIONS["not_equal"](x, 0) if isinstance(x, Operators) else x)


@_public
def all_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every entry is true."""
    return whole(np.all(_condition(x), axis=axis, keepdims=keepdims))


@_public
def any_(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some entry is true."""
    return whole(np.any(_condition(x), axis=axis, keepdims=keepdims))


@_public
def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many entries are not zero."""
    return whole(np.count_nonzero(_condition(x), axis=axis, keepdims=keepdims))


def _logical(name: str) -> None:
    FUNCTIONS[name] = lambda *xs: whole(getattr(np, name)(*(_condition(x) for x in xs)))


for _name in ("logical_and", "logical_or", "logical_xor", "logical_not"):
    _logical(_name)


def _whole_only(name: str) -> None:
    function = getattr(np, name)

    def apply(*xs: Any, **options: Any) -> Any:
        if any(isinstance(x, Operators) for x in xs):
            raise Unsupported(f"xp.{name}", "it takes integers and conditions alone")
        result = function(*xs, **options)
        return type(result)(*map(whole, result)) if hasattr(result, "_fields") else whole(result)

    FUNCTIONS[name] = apply


for _name in ("and", "or", "xor", "invert", "left_shift", "right_shift"):
    _whole_only(f"bitwise_{_name}")
for _name in ("isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"):
    _whole_only(_name)


@_public
def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The indices of the entries that are not zero, one array for each axis."""
    return tuple(whole(i) for i in np.nonzero(_condition(x)))


# Creation. A real dtype makes an exact array, any other a NumPy one.

float64 = np.dtype("float64")

DTYPES = (
    *("float64", "float32", "float16", "bool"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
)

CONSTANTS: dict[str, Any] = {
    **{name: np.dtype(name) for name in DTYPES},
    "pi": math.pi,
    "e": math.e,
    "inf": math.inf,
    "nan": math.nan,
    "newaxis": None,
}
"""The namespace's dtypes and constants; pi and e are the float64 numbers, as in every other namespace."""


def _typed(x: Any, dtype: Any) -> Any:
    if dtype is None or np.dtype(dtype).kind == "f":
        return lift(x)
    return whole(np.asarray(x, dtype=dtype))


@_public
def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Take in numbers, lists and NumPy arrays: floats exactly, integers and booleans as they are."""
    if isinstance(x, ExactArray):
        return astype(x, dtype or float64)
    if textbook.holds_arrays(x):
        return textbook.stacked(sys.modules[__name__], x)
    x = np.asarray(x)
    if dtype is None and x.dtype.kind in "biu":
        return whole(x.copy())
    return _typed(x, dtype)


@_public
def astype(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Any:
    """Change the kind of number: reals to booleans by ≠ 0, reals to integers by cutting off; nothing is rounded."""
    kind = np.dtype(dtype).kind
    if not isinstance(x, ExactArray):
        return _typed(x, dtype)
    if kind == "f":
        return ExactArray(x.elements, x.degree)
    if kind == "b":
        return FUNCTIONS["not_equal"](x, 0)
    return whole(np.vectorize(lambda v: int(v.unique_fmpz()), otypes=[dtype])(FUNCTIONS["trunc"](x).elements))


@_public
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value."""
    if dtype is None and _is_whole(fill_value):
        dtype = np.asarray(fill_value).dtype
    return FUNCTIONS["broadcast_to"](_typed(fill_value, dtype), shape if isinstance(shape, Sequence) else (shape,))


def _constant(name: str, value: int) -> None:
    def make(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return full(shape, value, dtype=dtype or float64)

    def make_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
        return full(x.shape, value, dtype=dtype or x.dtype)

    FUNCTIONS[name], FUNCTIONS[f"{name}_like"] = make, make_like


for _name, _value in (("zeros", 0), ("ones", 1), ("empty", 0)):
    _constant(_name, _value)


@_public
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, of another's shape."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype)


@_public
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Ones on a diagonal."""
    return _typed(np.eye(n_rows, n_cols, k, dtype=np.int64), dtype)


@_public
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Start, start + step, … before stop: integers unless a float or a real dtype is given."""
    start, stop = (0, start) if stop is None else (start, stop)
    if all(_is_whole(v) for v in (start, stop, step)):
        result = np.arange(start, stop, step)
        return whole(result) if dtype is None else _typed(result, dtype)
    count = max(0, math.ceil((Fraction(stop) - Fraction(start)) / Fraction(step)))
    first, width = _number(start), _number(step)
    return _array(_objects([first + i * width for i in range(count)]), CONSTANT)


@_public
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: Any = True
) -> ExactArray:
    """Evenly spaced rationals from start to stop."""
    first, last = _number(start), _number(stop)
    gaps = max(1, num - 1 if endpoint else num)
    return _array(_objects([first + (last - first) * i / gaps for i in range(num)]), CONSTANT)


@_public
def result_type(*items: Any) -> Any:
    """NumPy's promotion; an exact array counts as float64."""
    return np.result_type(*(i.dtype if isinstance(i, Operators) else i for i in items))


@_public
def can_cast(from_: Any, to: Any, /) -> Any:
    """What NumPy says of the dtypes."""
    return np.can_cast(getattr(from_, "dtype", from_), to)


@_public
def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together."""
    return np.broadcast_shapes(*shapes)


@_public
def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether a dtype is of a kind."""
    return np.isdtype(dtype, kind)


@_public
def finfo(x: Any, /) -> Any:
    """What NumPy says of the dtype (float64 for an exact array)."""
    return np.finfo(getattr(x, "dtype", x))


@_public
def iinfo(x: Any, /) -> Any:
    """What NumPy says of the integer dtype."""
    return np.iinfo(getattr(x, "dtype", x))


# What only our own namespaces offer, for the textbook's algorithms.


def hurwitz_zeta(s: int, x: Any) -> ExactArray:
    """Σ (x + k)⁻ˢ over k ≥ 0: the derivatives of the digamma function."""
    return _array(np.frompyfunc(lambda v: arb(s).zeta(v), 1, 1)(lift(x).elements), None)


def midpoints(x: Any) -> np.ndarray:
    """Return the nearest float64 of every entry: for people, and to choose a pivot by."""
    return np.asarray(np.frompyfunc(_nearest, 1, 1)(lift(x).elements), dtype=np.float64)


def _nearest(x: Any) -> float:
    return float((x if isinstance(x, arb) else arb(x)).mid())


def is_certainly_nonzero(x: Any) -> np.ndarray:
    """Tell where an entry cannot be zero. This is no branch: the result does not depend on it."""
    return np.asarray(np.not_equal(lift(x).elements, _number(0)), dtype=np.bool_)


def is_certainly_positive(x: Any) -> np.ndarray:
    """Tell where an entry must be positive."""
    return np.asarray(np.greater(lift(x).elements, _number(0)), dtype=np.bool_)


# Linear algebra: the textbook's, but where Arb has its own.


def _flint(name: str, degree: Callable[[int, Degree], Degree]) -> Callable[[Any], ExactArray]:
    def apply(x: Any, /) -> ExactArray:
        A = lift(x)
        n = A.shape[-1]

        def of_one(M: ExactArray) -> ExactArray:
            if n == 0:
                return FUNCTIONS["ones"](()) if name == "det" else M
            try:
                result = getattr(_matrix(M.elements), name)()
            except ZeroDivisionError as error:
                raise Undecided(f"{name} of a matrix that may be singular") from error
            return _array(result if name == "det" else _elements(result), degree(n, A.degree))

        result: ExactArray = linear_algebra.batched(sys.modules[__name__], of_one, A)
        return result

    return apply


def _determinant_degree(n: int, d: Degree) -> Degree:
    # Over the common denominator of all n² entries.
    return None if d is None else (n * d[0] + n * n * d[1], n * n * d[1])


def _inverse_degree(n: int, d: Degree) -> Degree:
    return None if d is None else _divided(_determinant_degree(n - 1, d), _determinant_degree(n, d))


def eigh(x: Any, /) -> linear_algebra.Eigh:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix, from its lower triangle.

    Arb's certified routine. Each eigenvector has length 1, and its largest entry is positive.

    Raises:
        Undecided: the eigenvalues are not isolated; repeated ones never are.
    """

    def of_one(M: ExactArray) -> tuple[ExactArray, ExactArray]:
        try:
            values, right = acb_mat(_matrix(_symmetric(M))).eig(right=True)
        except ValueError as error:
            raise Undecided("two eigenvalues may be equal") from error
        # The real part of a multiple of a real vector is one too; dividing by its length certifies that it is not 0.
        vectors = np.vectorize(lambda z: z.real, otypes=[object])(_elements(right))
        order = sorted(range(len(values)), key=lambda i: values[i].real.mid())
        largest = np.argmax(np.abs(midpoints(_array(vectors, None))), axis=0)
        signs = [1 if vectors[i, j].mid() > 0 else -1 for j, i in enumerate(largest)]
        lengths = [s * arb.sqrt(np.add.reduce(v * v)) for s, v in zip(signs, vectors.T, strict=True)]
        ordered = [values[i].real for i in order]
        return _array(_objects(ordered), None), _array((vectors / _objects(lengths))[:, order], None)

    return linear_algebra.Eigh(*_eigen(x, of_one))


def eigvalsh(x: Any, /) -> ExactArray:
    """Eigenvalues of a symmetric matrix, ascending, from its lower triangle; they may be repeated."""

    def of_one(M: ExactArray) -> ExactArray:
        values = acb_mat(_matrix(_symmetric(M))).eig(multiple=True)
        return _array(_objects(sorted((v.real for v in values), key=arb.mid)), None)

    result: ExactArray = _eigen(x, of_one)
    return result


def _eigen(x: Any, of_one: Callable[[ExactArray], Any]) -> Any:
    if _state.rational:
        _transcendental("eigh")
    return linear_algebra.batched(sys.modules[__name__], of_one, lift(x))


def _symmetric(M: ExactArray) -> np.ndarray:
    return np.where(np.tri(M.shape[0], dtype=np.bool_), M.elements, M.elements.T)


def _objects(items: Sequence[Any]) -> np.ndarray:
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result


for _name, _written in (textbook.FUNCTIONS | textbook.SPECIAL).items():
    FUNCTIONS[_name] = functools.partial(_written, sys.modules[__name__])
for _name, _written in linear_algebra.LINALG.items():
    LINALG[_name] = functools.partial(_written, sys.modules[__name__])
LINALG["det"] = _flint("det", _determinant_degree)
LINALG["inv"] = _flint("inv", _inverse_degree)
LINALG["eigh"], LINALG["eigvalsh"] = eigh, eigvalsh
LINALG["matmul"], LINALG["matrix_transpose"] = FUNCTIONS["matmul"], FUNCTIONS["matrix_transpose"]


linalg = Linalg(sys.modules[__name__], LINALG)


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(float64, np.dtype("int64"))


_guarded = Guards(FUNCTIONS, Operators.knower)


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return _guarded[name]
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name.startswith("__"):  # what the import system asks of every module
        raise AttributeError(name)
    return numpys_own(sys.modules[__name__], name, Operators.knower)


# ── Results ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_ABSOLUTE_FLOOR_BITS = 1200
_RELATIVE_FLOOR_BITS = 100


def relative_widths(x: Any) -> np.ndarray:
    """Return every entry's radius relative to its size, as float64.

    The size of an entry is |x|, but at least 2⁻¹⁰⁰ times the largest of the array: an entry that is zero in truth,
    yet was computed as a difference, has no digits of its own and would never be narrow. An array that is zero
    throughout is held against 2⁻¹²⁰⁰, below everything that a float64 can hold. A ball of radius 0 has width 0, NaN
    has width ∞.
    """
    elements = lift(x).elements
    floor = floor_of(elements)
    return np.asarray(np.frompyfunc(lambda v: _width(v, floor), 1, 1)(elements), dtype=np.float64)


def floor_of(elements: np.ndarray) -> Any:
    """Return the size below which an entry of an array counts as zero."""
    absolute = arb(2) ** -_ABSOLUTE_FLOOR_BITS
    sizes = [abs(v.mid()) for v in elements.flat if isinstance(v, arb) and v.is_finite()]
    largest = max(sizes, default=arb(0))
    return max(largest * arb(2) ** -_RELATIVE_FLOOR_BITS, absolute)


def _width(value: Any, floor: Any) -> float:
    if isinstance(value, fmpq):
        return 0.0
    if value.is_nan():
        return math.inf
    if value.is_exact():
        return 0.0
    if not value.is_finite():
        return math.inf
    return float(value.rad() / max(abs(value.mid()), floor))


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found."""

    outputs: tuple[Any, ...]
    """What the function returned: exact arrays, or whatever else stood among them."""
    bits: int
    """The precision that was enough."""
    width: float
    """The largest relative radius among the exact arrays (see :func:`relative_widths`)."""


def evaluate(
    function: Callable[..., Any], *arrays: Any, width: float = 1e-40, bits: int = 200, most_bits: int = 3200
) -> Evaluation:
    """Call a function of exact arrays, doubling the precision until every output is narrow.

    Args:
        function: takes one exact array for each of the arrays, returns one or a tuple of them.
        arrays: NumPy arrays; floats are taken exactly, integers as they are.
        width: the largest relative radius that an entry may have.
        bits: the precision to begin with.
        most_bits: the precision to end with.

    Raises:
        Undecided: a comparison or a result was still open at the last precision: an input lies on a kink.
        Kink: it certainly does (from `dual` alone).
    """
    while True:
        try:
            with precision(bits):
                found = function(*(variable(a) for a in arrays))
                outputs = tuple(found) if isinstance(found, tuple | list) else (found,)
                reached = max(
                    (w for o in outputs if isinstance(o, ExactArray) for w in relative_widths(o).flat), default=0.0
                )
            if reached <= width:
                return Evaluation(outputs, bits, float(reached))
            reason = f"an output is known only to a relative {reached:.1g}"
        except Kink:
            raise
        except Undecided as error:
            reason = str(error)
        if 2 * bits > most_bits:
            raise Undecided(
                f"{reason}, and so it remained at {bits} bits: an input lies on a kink or outside the domain"
            )
        bits *= 2

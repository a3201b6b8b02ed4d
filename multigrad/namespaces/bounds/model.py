"""What running error analysis is made of: the floating-point model, and arrays that carry an error with every element.

The model is the standard one (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. 2002, eq. 2.4 and 2.8):
fl(a ∘ b) = (a ∘ b)(1 + δ) + η with |δ| ≤ u, |η| ≤ the underflow unit. Three numbers belong to every element: the exact
result t, the result ĉ of any honest evaluation in the format, and the float64 value v. Every rule keeps

    |ĉ − t| ≤ worst    and    |v − t| ≤ worst

so that t lies in v ± worst and ĉ in v ± 2·worst. The second inequality holds because v is itself an honest evaluation,
with a unit roundoff that is no larger. This is why rules take magnitudes as |v| + 2·worst.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...verdict.formats import FORMATS, Format
from ..shared.operators import PythonOperators
from ..shared.unsupported import NO_INDEX, Unsupported

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Error = Any
"""A float64 array of errors, or the Python float 0.0 where there is none, so that no pass is spent on it."""


DEFAULT_ULPS: Mapping[str, float] = {
    "float64": 4.0,
    "float32": 4.0,
    # Computed in float32 and rounded once: half an ulp and a little.
    "bfloat16": 1.0,
    "float16": 1.0,
}
"""The error in ulps of an elementary function that no table names."""

ELEMENTARY_ULPS: Mapping[str, float] = {
    # XLA turns a division by a constant into a product with its reciprocal; GPUs may use an approximate division.
    "divide": 2.0,
    "sqrt": 1.0,
    # exp(y·log x) loses the bits of the integer part of y·log x.
    "pow": 16.0,
    "tan": 8.0,
}
"""Functions of float32 and float64 whose error in ulps is not the default."""

FLOAT64_ULPS: Mapping[str, float] = {
    # XLA's on a CPU, near −0.4141, where its polynomial ends: 130 measured (JAX 0.10.2); float32 has less than 4.
    "log1p": 160.0,
}
"""The same, of float64 alone."""

CONFIDENCE = 4.0
"""λ of the probabilistic bound: each sum exceeds it with probability below 2·exp(−λ²/2) (Higham & Mary 2019, Thm 2.4).

That theorem allows any bounded errors of mean zero; real rounding errors are spread over the whole of [−u, u], and stay
far inside.
"""


def gamma(k: float, u: float) -> float:
    """Return the coefficient of a sum of k terms, or an inner product of length k, in any order of evaluation.

    γ_k = ku/(1 − ku) (Higham 2002, eq. 3.4 and 3.13), or (k + 1)u where that is smaller: k·u holds without any
    condition on k (Jeannerod & Rump 2013, Thm 3.1 and 4.2), and the one more is a last rounding to the stored format.
    """
    linear = (k + 1) * u
    return min(linear, k * u / (1 - k * u)) if k * u < 1 else linear


def probable_gamma(k: float, u: float, confidence: float) -> float:
    """Return γ̃_k(λ) = exp(λ√k·u + ku²/(1 − u)) − 1 (Higham & Mary 2019, Thm 2.4), where it is below the worst case."""
    return min(gamma(k, u), math.expm1(confidence * math.sqrt(k) * u + k * u * u / (1 - u)))


@dataclass(frozen=True)
class Context:
    """The floating-point arithmetic under test."""

    dtype: str
    """One of ``float64``, ``float32``, ``bfloat16``, ``float16``."""
    u: float
    """Unit roundoff of elementwise operations and sums."""
    product_u: float
    """Unit roundoff of matrix products. Above ``u``: operands are rounded to it (TF32). Below: sums are kept in it."""
    underflow: float
    """Absolute error that every rounding adds."""
    overflow: float
    """Largest finite number of the format."""
    confidence: float = CONFIDENCE
    """λ of the probabilistic bound."""
    elementary_ulps: Mapping[str, float] = field(default_factory=dict)
    """Function name to error in ulps."""
    default_ulps: float = 4.0
    """Error in ulps of the functions that ``elementary_ulps`` does not name."""

    @classmethod
    def of(
        cls,
        dtype: str,
        *,
        u: float | None = None,
        product_u: float | None = None,
        underflow: float | None = None,
        overflow: float | None = None,
        confidence: float = CONFIDENCE,
        elementary_ulps: Mapping[str, float] | None = None,
    ) -> Context:
        """Return the arithmetic of a dtype, with whatever is known better than the defaults.

        Raises:
            ValueError: the dtype is none of the four.
        """
        if dtype not in FORMATS:
            raise ValueError(f"no floating-point format {dtype!r}; there are {', '.join(FORMATS)}")
        form = FORMATS[dtype]
        chosen = form.unit_roundoff if u is None else u
        known = ELEMENTARY_ULPS if form.significand_bits >= 24 else {}
        known = {**known, **FLOAT64_ULPS} if form.significand_bits == 53 else known
        return cls(
            dtype=dtype,
            u=chosen,
            product_u=chosen if product_u is None else product_u,
            underflow=form.underflow if underflow is None else underflow,
            overflow=form.overflow if overflow is None else overflow,
            confidence=confidence,
            elementary_ulps={**known, **(elementary_ulps or {})},
            default_ulps=DEFAULT_ULPS[dtype],
        )

    @property
    def format(self) -> Format:
        """The format of the dtype."""
        return FORMATS[self.dtype]

    def ulps(self, name: str) -> float:
        """Return the error in ulps of an elementary function."""
        return self.elementary_ulps.get(name, self.default_ulps)

    def exact_below(self, u: float | None = None) -> float:
        """Return the magnitude up to which every integer is exact."""
        return min(1.0 / max(self.u, u or 0.0), self.overflow)

    def representable(self, value: Floats) -> Booleans:
        """Tell which elements are numbers of the format, infinities included."""
        form = self.format
        if self.dtype in _NATIVE:
            return np.asarray(value.astype(_NATIVE[self.dtype]) == value)
        mantissa, exponent = np.frexp(value)
        # Subnormal numbers have fewer bits: as many as lie above the smallest one.
        bits = np.minimum(form.significand_bits, exponent - form.smallest_exponent + form.significand_bits - 1)
        scaled = np.ldexp(mantissa, np.maximum(bits, 0))
        inside = (np.rint(scaled) == scaled) & (np.abs(value) <= form.overflow)
        return np.asarray(inside | np.isinf(value) | (value == 0))


_NATIVE = {"float64": np.float64, "float32": np.float32, "float16": np.float16}

_CONTEXT: ContextVar[Context] = ContextVar("bounds_context")


def current() -> Context:
    """Return the arithmetic in force.

    Raises:
        RuntimeError: no ``with context(...)`` is open.
    """
    found = _CONTEXT.get(None)
    if found is None:
        raise RuntimeError("no arithmetic is in force; wrap the computation in `with bounds.context(dtype=...):`")
    return found


@contextlib.contextmanager
def context(dtype: str | Context = "float32", **settings: Any) -> Iterator[Context]:
    """Put an arithmetic in force: a :class:`Context`, or a dtype with the keywords of :meth:`Context.of`.

    NumPy's floating-point warnings are off inside: what they would say stands in the bounds.
    """
    chosen = dtype if isinstance(dtype, Context) else Context.of(dtype, **settings)
    token = _CONTEXT.set(chosen)
    try:
        with np.errstate(all="ignore"):
            yield chosen
    finally:
        _CONTEXT.reset(token)


@dataclass(frozen=True)
class FloatType:
    """The dtype of a bounded array: its name only."""

    name: str

    def __str__(self) -> str:
        return self.name


def nothing(shape: tuple[int, ...]) -> Floats:
    """Return an error array that is zero everywhere and takes no memory."""
    return np.broadcast_to(np.float64(0.0), shape)


def error_or_zero(error: Floats) -> Error:
    """Return the array, or the float 0.0 if it is known at a glance to be zero."""
    glance = not any(error.strides) and error.size > 0 and error[(0,) * error.ndim] == 0
    return 0.0 if glance else error


def plus(*terms: Error) -> Error:
    """Add errors, spending no pass on the float 0.0."""
    total: Error = 0.0
    for term in terms:
        if not (isinstance(term, float) and term == 0.0):
            total = term if isinstance(total, float) and total == 0.0 else total + term
    return total


def times(factor: Any, error: Error) -> Error:
    """Multiply an error by a factor, spending no pass on the float 0.0."""
    return 0.0 if isinstance(error, float) and error == 0.0 else factor * error


def up(error: Error, terms: int = 0) -> Error:
    """Raise a computed error bound above its own float64 rounding, for rules that add up so many terms.

    Every term is nonnegative, so the evaluation of the bound is off by a relative (terms + 20)·2⁻⁵³ at most.
    """
    return times(1.0 + (terms + 24) * 2.0**-52, error)


Self = TypeVar("Self", bound="Parts")


class Parts(PythonOperators):
    """Several NumPy arrays of one shape that are moved about together."""

    __slots__ = ("value",)
    knower = "the error bounds"
    value: Any

    def parts(self) -> tuple[Any, ...]:
        """The arrays, the value first."""
        raise NotImplementedError

    def rebuilt(self: Self, parts: Sequence[Any], others: Sequence[Self] = ()) -> Self:
        """Put arrays back together, keeping the facts that this array and the others share."""
        raise NotImplementedError

    def map(self: Self, function: Callable[[Any], Any]) -> Self:
        """Apply a function that only moves elements about to every part."""
        done: dict[int, Any] = {}
        return self.rebuilt([_once(done, p, function) for p in self.parts()])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return tuple(self.value.shape)

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
    def T(self: Self) -> Self:
        """The transpose of a matrix."""
        return self.map(np.transpose)

    @property
    def mT(self: Self) -> Self:
        """The transpose of the last two axes."""
        return self.map(lambda p: np.swapaxes(p, -1, -2))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self: Self, key: Any) -> Self:
        items = key if isinstance(key, tuple) else (key,)
        loose = [k for k in items if isinstance(k, Choice) and k.undecided.any()]
        if loose and isinstance(self, Array):
            whole: Self = namespace().take(self, loose[0], axis=0) if len(items) == 1 else _refuse("index, …")
            return whole
        plain = tuple(_settled(k) for k in items)
        return self.map(lambda p: p[plain])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise Unsupported("x[…] = …", "write `xp.where`", self.knower)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return namespace()


def _once(done: dict[int, Any], part: Any, function: Callable[[Any], Any]) -> Any:
    # Two parts that are one array stay one array.
    if id(part) not in done:
        done[id(part)] = function(part)
    return done[id(part)]


def _settled(key: Any) -> Any:
    if isinstance(key, Array):
        raise Unsupported("x[real numbers]", NO_INDEX, Parts.knower)
    if isinstance(key, Condition):
        return key.value if not key.undecided.any() else _refuse("mask")
    return key.value if isinstance(key, Choice) else key


def _decided(key: Any) -> Any:
    return _refuse("index") if isinstance(key, Choice) and key.undecided.any() else _settled(key)


def _refuse(what: str) -> Any:
    raise Unsupported(
        f"x[{what}]", "the rounding error leaves open what it selects; write `xp.where` or `xp.take`", Parts.knower
    )


def namespace() -> Any:
    """Return the namespace module, :mod:`multigrad.namespaces.bounds`."""
    from .. import bounds

    return bounds


class Array(Parts):
    """Real numbers with a bound on how far an honest evaluation may be from the exact result.

    All three parts are float64 and of one shape.
    """

    __slots__ = ("integral", "nonnegative", "probable", "terms", "worst")

    def __init__(
        self, value: Floats, worst: Floats, probable: Floats, *, integral: bool = False, nonnegative: bool = False
    ) -> None:
        self.value: Floats = value
        self.worst = worst
        """The worst case: beyond it, it is not rounding. Infinite where nothing can be said."""
        self.probable = probable
        """Where rounding usually stays: at most ``worst``."""
        self.integral = integral
        """Every element is an exact integer that every evaluation gets exactly; the errors are zero."""
        self.nonnegative = nonnegative
        """No honest evaluation gives a negative element, however large its error."""
        self.terms = 0
        """How many products an element is the sum of: what is added to it next may have been where the sum began."""

    @property
    def dtype(self) -> FloatType:
        """The dtype under test."""
        return FloatType(current().dtype)

    @property
    def unbounded(self) -> Booleans:
        """Where nothing can be said: it may overflow, divide by zero, leave the domain."""
        return np.isinf(self.worst)

    def parts(self) -> tuple[Any, ...]:  # noqa: D102 - the base class says it
        return self.value, self.worst, self.probable

    def map(self, function: Callable[[Any], Any]) -> Array:
        """Apply a function that only moves elements about; errors known to be zero are not moved."""
        value = function(self.value)
        shape = np.shape(value)
        still = {id(e): nothing(shape) for e in (self.worst, self.probable) if isinstance(error_or_zero(e), float)}
        worst = still.get(id(self.worst))
        worst = function(self.worst) if worst is None else worst
        probable = worst if self.probable is self.worst else still.get(id(self.probable))
        moved = self.rebuilt((value, worst, function(self.probable) if probable is None else probable))
        moved.terms = self.terms
        return moved

    def rebuilt(self, parts: Sequence[Any], others: Sequence[Array] = ()) -> Array:  # noqa: D102
        value, worst, probable = (np.asarray(p) for p in parts)
        if parts[1] is parts[2]:
            probable = worst
        every = (self, *others)
        return Array(
            value,
            worst,
            probable,
            integral=all(a.integral for a in every),
            nonnegative=all(a.nonnegative for a in every),
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        # Rebound, never overwritten: an array that shares these elements does not see it.
        xp = namespace()
        new = xp.as_array(value)
        if isinstance(key, Condition) and key.undecided.any() and new.ndim == 0:
            self._become(xp.where(xp.reshape(key, key.shape + (1,) * (self.ndim - key.ndim)), new, self))
            return
        place = tuple(_decided(k) for k in (key if isinstance(key, tuple) else (key,)))

        def written(old: Any, part: Any) -> Any:
            changed = np.array(old)
            changed[place] = part
            return changed

        worst = written(self.worst, new.worst)
        same = self.worst is self.probable and new.worst is new.probable
        probable = worst if same else written(self.probable, new.probable)
        kept = {name: getattr(self, name) and getattr(new, name) for name in ("integral", "nonnegative")}
        self._become(Array(written(self.value, new.value), worst, probable, **kept))

    def _become(self, other: Array) -> None:
        for name in ("value", *Array.__slots__):
            setattr(self, name, getattr(other, name))

    def __repr__(self) -> str:
        return f"Array(value={self.value!r}, worst={self.worst!r}, probable={self.probable!r})"


class Condition(Parts):
    """Truth values that the error may leave undecided. As a number it is 0 or 1, with error 1 where undecided."""

    __slots__ = ("doubtful", "undecided")

    def __init__(self, value: Booleans, undecided: Booleans, doubtful: Booleans) -> None:
        self.value: Booleans = value
        """What the float64 evaluation says."""
        self.undecided = undecided
        """Where the worst-case errors allow both answers."""
        self.doubtful = doubtful
        """Where the probable errors allow both answers: part of ``undecided``."""

    @property
    def dtype(self) -> np.dtype[np.bool_]:
        """NumPy's bool."""
        return np.dtype(np.bool_)

    def parts(self) -> tuple[Any, ...]:  # noqa: D102 - the base class says it
        return self.value, self.undecided, self.doubtful

    def rebuilt(self, parts: Sequence[Any], others: Sequence[Condition] = ()) -> Condition:  # noqa: D102
        return Condition(*(np.asarray(p) for p in parts))

    def __repr__(self) -> str:
        return f"Condition(value={self.value!r}, undecided={self.undecided!r})"


class Choice(Parts):
    """Indices that depend on data, such as those of ``argmax``; some may be left undecided by the error."""

    __slots__ = ("undecided",)

    def __init__(self, value: npt.NDArray[np.int64], undecided: Booleans) -> None:
        self.value: npt.NDArray[np.int64] = value
        """The indices of the float64 evaluation."""
        self.undecided = undecided
        """Where an honest evaluation may choose another index."""

    @property
    def dtype(self) -> np.dtype[np.int64]:
        """NumPy's int64."""
        return np.dtype(np.int64)

    def parts(self) -> tuple[Any, ...]:  # noqa: D102 - the base class says it
        return self.value, self.undecided

    def rebuilt(self, parts: Sequence[Any], others: Sequence[Choice] = ()) -> Choice:  # noqa: D102
        return Choice(*(np.asarray(p) for p in parts))

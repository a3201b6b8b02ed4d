"""Arrays that carry an error with every element, conditions and indices that the error may leave undecided.

Three numbers belong to every element: the exact result t, the result ĉ of any honest evaluation in the format, and the
float64 value v. Every rule keeps

    |ĉ − t| ≤ worst    and    |v − t| ≤ worst

so that t lies in v ± worst and ĉ in v ± 2·worst. The second inequality holds because v is itself an honest evaluation,
with a unit roundoff that is no larger. This is why rules take magnitudes as |v| + 2·worst.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ..shared.operators import Operators
from ..shared.unsupported import NO_INDEX, Unsupported
from .model import Booleans, Floats, FloatType, current

Error = Any
"""A float64 array of errors, or the Python float 0.0 where there is none, so that no pass is spent on it."""


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


class Parts(Operators):
    """Several NumPy arrays of one shape that are moved about together."""

    __slots__ = ("value",)
    knower = "the error bounds"
    names: ClassVar[tuple[str, ...]]
    """The names of the arrays, the value first; the constructor takes them in that order."""
    value: Any

    def parts(self) -> tuple[Any, ...]:
        """The arrays, the value first."""
        return tuple(getattr(self, name) for name in self.names)

    def rebuilt(self: Self, parts: Sequence[Any], others: Sequence[Self] = ()) -> Self:
        """Put arrays back together, keeping the facts that this array and the others share."""
        return type(self)(*map(np.asarray, parts))

    def map(self: Self, function: Callable[[Any], Any]) -> Self:
        """Apply a function that only moves elements about to every part."""
        done: dict[int, Any] = {}
        return self.rebuilt([_once(done, p, function) for p in self.parts()])

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape."""
        return tuple(self.value.shape)

    def __getitem__(self: Self, key: Any) -> Self:
        items = key if isinstance(key, tuple) else (key,)
        loose = [k for k in items if isinstance(k, Choice) and k.undecided.any()]
        if loose and isinstance(self, Array):
            return self.namespace.take(self, loose[0], axis=0) if len(items) == 1 else _refuse("index, …")  # type: ignore[no-any-return]
        plain = tuple(_settled(k) for k in items)
        return self.map(lambda p: p[plain])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise Unsupported("x[…] = …", "write `xp.where`", self.knower)


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


class Array(Parts):
    """Real numbers with a bound on how far an honest evaluation may be from the exact result.

    All three parts are float64 and of one shape.
    """

    __slots__ = ("integral", "kept", "nonnegative", "probable", "terms", "worst")
    names = ("value", "worst", "probable")

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
        self.kept: float | None = None
        """The unit roundoff in which that sum is kept; None is the format's."""

    @property
    def dtype(self) -> FloatType:
        """The dtype under test."""
        return FloatType(current().dtype)

    @property
    def unbounded(self) -> Booleans:
        """Where nothing can be said: it may overflow, divide by zero, leave the domain."""
        return np.isinf(self.worst)

    def map(self, function: Callable[[Any], Any]) -> Array:
        """Apply a function that only moves elements about; errors known to be zero are not moved."""
        value = function(self.value)
        shape = np.shape(value)
        still = {id(e): nothing(shape) for e in (self.worst, self.probable) if isinstance(error_or_zero(e), float)}
        worst = still.get(id(self.worst))
        worst = function(self.worst) if worst is None else worst
        probable = worst if self.probable is self.worst else still.get(id(self.probable))
        moved = self.rebuilt((value, worst, function(self.probable) if probable is None else probable))
        moved.terms, moved.kept = self.terms, self.kept
        return moved

    def rebuilt(self, parts: Sequence[Any], others: Sequence[Array] = ()) -> Array:  # noqa: D102 - the base class says it
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
        xp, new = self.namespace, as_array(value)
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
    names = ("value", "undecided", "doubtful")
    dtype = np.dtype(np.bool_)

    def __init__(self, value: Booleans, undecided: Booleans, doubtful: Booleans) -> None:
        self.value: Booleans = value
        """What the float64 evaluation says."""
        self.undecided = undecided
        """Where the worst-case errors allow both answers."""
        self.doubtful = doubtful
        """Where the probable errors allow both answers: part of ``undecided``."""

    def __repr__(self) -> str:
        return f"Condition(value={self.value!r}, undecided={self.undecided!r})"


class Choice(Parts):
    """Indices that depend on data, such as those of ``argmax``; some may be left undecided by the error."""

    __slots__ = ("undecided",)
    names = ("value", "undecided")
    dtype = np.dtype(np.int64)

    def __init__(self, value: npt.NDArray[np.int64], undecided: Booleans) -> None:
        self.value: npt.NDArray[np.int64] = value
        """The indices of the float64 evaluation."""
        self.undecided = undecided
        """Where an honest evaluation may choose another index."""


def is_ours(x: Any) -> bool:
    """Whether x is one of this namespace's arrays."""
    return isinstance(x, Parts)


def as_array(x: Any) -> Array:
    """Return x as a bounded array; numbers that the format does not have enter with one rounding."""
    if isinstance(x, Array):
        return x
    if isinstance(x, Condition):
        worst = x.undecided.astype(np.float64) if x.undecided.any() else nothing(x.shape)
        probable = x.doubtful.astype(np.float64) if x.undecided.any() else worst
        decided = not x.undecided.any()
        return Array(x.value.astype(np.float64), worst, probable, integral=decided, nonnegative=True)
    if isinstance(x, Choice):
        loose = np.where(x.undecided, np.inf, 0.0)
        return Array(x.value.astype(np.float64), loose, loose, integral=not x.undecided.any(), nonnegative=True)
    return _enter(np.asarray(x, dtype=np.float64))


def _enter(value: Floats) -> Array:
    arithmetic = current()
    size = np.abs(value)
    peak = np.max(size, initial=0.0)
    nonnegative = bool((value >= 0).all())
    if peak <= arithmetic.exact_below() and bool((np.rint(value) == value).all()):
        return Array(value, *(nothing(value.shape),) * 2, integral=True, nonnegative=nonnegative)
    wrong = ~arithmetic.representable(value)
    form = arithmetic.format
    # A framework may read a subnormal number as zero.
    tiny = (size < math.ldexp(1.0, form.smallest_exponent)) & (size > 0) & form.flushes
    if not wrong.any() and not tiny.any():
        return Array(value, *(nothing(value.shape),) * 2, nonnegative=nonnegative)
    rounded = np.where(
        np.isnan(value) | (size > arithmetic.overflow), np.inf, arithmetic.u * size + arithmetic.underflow
    )
    # As an array also where it is one number: a float would be taken for no error.
    worst = np.asarray(np.where(wrong, rounded, 0.0) + np.where(tiny, size, 0.0))
    return Array(value, worst, worst, nonnegative=nonnegative)

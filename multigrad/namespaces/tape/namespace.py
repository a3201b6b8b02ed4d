"""The tape over another namespace: its functions, each recorded with what pulls a cotangent back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ...extra.hooks import ATTRIBUTE, Hooks
from ...extra.scatter import scatter_add as scattered_rows
from ..shared import linear_algebra, numpy_protocols, textbook
from ..shared.namespace import ABOUT_DTYPES
from ..shared.operators import COMPARISONS, LOGICAL, WHOLE_ONLY
from ..shared.unsupported import Unsupported, guarded
from . import shapes
from .arrays import Node, TapeArray, holds, recorded, traced, value_of
from .linear import LINALG
from .reductions import REDUCTIONS
from .rules import BINARY, STEPS, UNARY
from .shapes import summed_to

ORDERS = ("argmax", "argmin", "argsort", "searchsorted", "count_nonzero", "nonzero", "all", "any")
ASKED = ("isnan", "isinf", "isfinite", "signbit")
CREATED = ("zeros", "ones", "empty", "eye", "arange", "linspace", "zeros_like", "ones_like", "empty_like")
CONSTANT = (*COMPARISONS, *LOGICAL, *WHOLE_ONLY, *ABOUT_DTYPES, *ORDERS, *ASKED, *CREATED, *STEPS)
"""Functions whose result does not move with their arguments."""


def _unary(name: str) -> Callable[..., Any]:
    def apply(tape: Any, x: Any, /) -> TapeArray:
        xp, X = tape.base, x.value
        value = getattr(xp, name)(X)
        return recorded(tape, value, [x], [lambda g: UNARY[name](xp, g, X, value)])

    return apply


def _binary(name: str) -> Callable[..., Any]:
    def apply(tape: Any, x1: Any, x2: Any, /) -> TapeArray:
        xp, a, b = tape.base, value_of(x1), value_of(x2)
        value = getattr(xp, name)(a, b)
        first, second = BINARY[name]
        return recorded(
            tape,
            value,
            [x1, x2],
            [
                lambda g: summed_to(xp, first(xp, g, a, b, value), a.shape),
                lambda g: summed_to(xp, second(xp, g, a, b, value), b.shape),
            ],
        )

    return apply


def power(tape: Any, x1: Any, x2: Any, /) -> Any:
    """x₁ to the power x₂; x⁰ is constant, also at 0."""
    if isinstance(x2, float) and x2.is_integer():
        x2 = int(x2)
    if isinstance(x2, int) and x2 == 0:
        return TapeArray(tape, tape.base.pow(x1.value, 0))
    return _power(tape, x1, x2)


_power = _binary("pow")


def astype(tape: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Reals stay traced."""
    xp, X = tape.base, x.value
    value = xp.astype(X, dtype)
    return recorded(tape, value, [x], [lambda g: xp.astype(g, X.dtype)]) if tape.is_real(value) else value


def asarray(tape: Any, x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """The array itself, or one of a list of arrays."""
    if isinstance(x, list | tuple):
        return textbook.stacked(tape, x)
    return TapeArray(tape, x.value, x.node) if dtype is None else tape.astype(x, dtype)


def full_like(tape: Any, x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, which may be traced."""
    if isinstance(fill_value, TapeArray):
        return tape.broadcast_to(fill_value, x.shape)
    return tape.wrapped(tape.base.full_like(value_of(x), fill_value, dtype=dtype))


def full(tape: Any, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, which is traced."""
    return tape.broadcast_to(fill_value, (shape,) if isinstance(shape, int) else shape)


def hurwitz_zeta(tape: Any, s: int, x: Any, /) -> TapeArray:
    """Σ (x + k)⁻ˢ over k ≥ 0."""
    xp, X = tape.base, x.value
    return recorded(tape, xp.hurwitz_zeta(s, X), [x], [lambda g: -s * g * xp.hurwitz_zeta(s + 1, X)])


def scatter_add(tape: Any, x: Any, numbers: Any, count: int, /) -> TapeArray:
    """Sums of rows by number: each row gets the cotangent of its sum."""
    xp, numbers = tape.base, value_of(numbers)
    value = scattered_rows(xp, value_of(x), numbers, count)
    return recorded(tape, value, [x], [lambda g: xp.take(g, numbers, axis=0)])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _unary(name) for name in UNARY},
    **{name: _binary(name) for name in BINARY},
    **{name: shapes.moved(name) for name in shapes.MOVES},
    **{name: getattr(shapes, name) for name in ("concat", "stack", "unstack", "where", "broadcast_arrays")},
    **{name: getattr(shapes, name) for name in ("meshgrid", "repeat", "tile")},
    **REDUCTIONS,
    "pow": power,
    "true_divide": _binary("divide"),
    "astype": astype,
    "asarray": asarray,
    "full": full,
    "full_like": full_like,
    "hurwitz_zeta": hurwitz_zeta,
}
"""The functions that have a rule, and those that are written in terms of them; the tape comes first."""

HOOKS: dict[str, Callable[..., Any]] = {
    "scatter_add": scatter_add,
    "stop_gradient": lambda tape, x: tape.wrapped(value_of(x)),
}
"""The hooks that have a rule. The tape has no others: it follows the steps that those are written in."""


class _Functions:
    """Looks functions up: those with a rule where an array of the tape is among the arguments, else those below."""

    prefix = "xp"

    def __init__(self, tape: Tape, base: Any, rules: Mapping[str, Any], written: Mapping[str, Any]) -> None:
        self.tape, self.base, self.rules, self.written = tape, base, rules, written

    def names(self) -> tuple[str, ...]:
        """The functions that have a rule, or are written in terms of those that have one."""
        return (*self.rules, *self.written)

    def find(self, name: str) -> Any:
        """Return a function, a dtype or a constant by its name.

        Raises:
            AttributeError: the namespace below does not have it either.
        """
        rule = self.rules.get(name) or self.written.get(name)
        if rule is None:
            own = getattr(self.base, name)
            if isinstance(own, type) or not callable(own):
                return own
            return self._passed(name, own)
        call = guarded(functools.partial(rule, self.tape), f"{self.prefix}.{name}", TapeArray.knower)

        @functools.wraps(call)
        def chosen(*args: Any, **options: Any) -> Any:
            if holds((*args, *options.values())):
                return call(*args, **options)
            own = getattr(self.base, name, None)
            return call(*args, **options) if own is None else self.tape.wrapped(own(*args, **options))

        return chosen

    def _passed(self, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        def passed(*args: Any, **options: Any) -> Any:
            if name not in CONSTANT and traced((*args, *options.values())):
                raise Unsupported(f"{self.prefix}.{name}", "it has no rule; write it with others", TapeArray.knower)
            given = {k: value_of(v) for k, v in options.items()}
            return self.tape.wrapped(own(*map(value_of, args), **given))

        return passed


class _Linalg(_Functions):
    prefix = "xp.linalg"

    def __init__(self, *tables: Any) -> None:
        super().__init__(*tables)
        vars(self).update({name: self.find(name) for name in self.names()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in numpy_protocols.LINALG:
            return numpy_protocols.numpys_own(self.tape, name, TapeArray.knower, self.prefix)
        function = self.__dict__[name] = self.find(name)
        return function


class Tape:
    """An array namespace over another: ``Tape(xp)`` has the functions of ``xp``, and remembers what is computed.

    It holds no state: what is remembered hangs on the arrays.
    """

    def __init__(self, base: Any) -> None:
        self.base = base
        self.__name__ = getattr(base, "__name__", "")  # by which some tell where they are
        self.linalg = _Linalg(self, base.linalg, LINALG, linear_algebra.LINALG)
        self._functions = _Functions(self, base, FUNCTIONS, textbook.FUNCTIONS | textbook.SPECIAL)
        own = {name: guarded(functools.partial(rule, self), name, TapeArray.knower) for name, rule in HOOKS.items()}
        setattr(self, ATTRIBUTE, Hooks(**own))
        # Now, and not where a compiler follows the calls.
        vars(self).update({name: self._functions.find(name) for name in self._functions.names()})

    def __getattr__(self, name: str) -> Any:
        if name == "__array_namespace_info__":
            return self.base.__array_namespace_info__
        if name.startswith("_"):
            raise AttributeError(name)
        if name in numpy_protocols.FUNCTIONS and name not in CONSTANT:
            return numpy_protocols.numpys_own(self, name, TapeArray.knower)
        function = self.__dict__[name] = self._functions.find(name)
        return function

    def is_real(self, x: Any) -> bool:
        """Whether x is an array of real numbers in floating point."""
        return hasattr(x, "shape") and bool(self.base.isdtype(x.dtype, "real floating"))

    def wrapped(self, x: Any) -> Any:
        """Return an array of real numbers as a constant of the tape; anything else as it is."""
        if isinstance(x, list | tuple):
            parts = map(self.wrapped, x)
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        return TapeArray(self, x) if self.is_real(x) else x

    def variable(self, x: Any) -> TapeArray:
        """Return an input: an array that gets a cotangent."""
        return TapeArray(self, x, Node())

    def item(self, x: TapeArray, key: Any) -> TapeArray:
        """Return ``x[key]``."""
        return shapes.item(self, x, key)

    def assigned(self, x: TapeArray, key: Any, value: Any) -> TapeArray:
        """Return x with ``x[key] = value``."""
        return shapes.assigned(self, x, key, value)


@functools.lru_cache(maxsize=32)
def over(xp: Any) -> Tape:
    """Return the tape over a namespace."""
    return Tape(xp)

"""Comparisons, logic and bits, and the choice between two arrays by a condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..shared.unsupported import Unsupported
from .arrays import Array, Choice, Condition, Error, Parts, as_array, error_or_zero, is_ours, plus, times
from .model import Floats
from .rules import both_nonnegative, bounded, of_whole_numbers, only_whole_numbers


def _compare(function: Callable[..., Any]) -> Callable[..., Any]:
    def compare(a: Any, b: Any, /) -> Any:
        if only_whole_numbers(a, b):
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
    @of_whole_numbers(function)
    def bitwise(*operands: Any) -> Any:
        if any(isinstance(o, Array) for o in operands):
            raise Unsupported(f"xp.{function.__name__}", "it takes integers and conditions alone", Parts.knower)
        return of_conditions(*operands)

    bitwise.__doc__ = f"As NumPy's ``{function.__name__}``, of integers and conditions."
    return bitwise


bitwise_and, bitwise_or = _bitwise(np.bitwise_and, logical_and), _bitwise(np.bitwise_or, logical_or)
bitwise_xor, bitwise_invert = _bitwise(np.bitwise_xor, logical_xor), _bitwise(np.bitwise_invert, logical_not)


def _whole_only(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*operands: Any, **options: Any) -> Any:
        settled = [o.value if isinstance(o, Condition) and not o.undecided.any() else o for o in operands]
        if any(is_ours(o) for o in settled):
            raise Unsupported(f"xp.{function.__name__}", "it takes integers and decided conditions alone", Parts.knower)
        return function(*settled, **options)

    apply.__doc__ = f"As NumPy's ``{function.__name__}``, of integers and decided conditions."
    return apply


bitwise_left_shift, bitwise_right_shift = _whole_only(np.bitwise_left_shift), _whole_only(np.bitwise_right_shift)
isin, nonzero, unique_all, unique_counts, unique_inverse, unique_values = (
    _whole_only(f) for f in (np.isin, np.nonzero, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values)
)


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
    if not is_ours(condition) and only_whole_numbers(a, b):
        return np.where(condition, a, b)
    if isinstance(a, Choice) or isinstance(b, Choice):
        C, (x, y) = _condition(condition), (_choice(o) for o in (a, b))
        return Choice(np.where(C.value, x.value, y.value), C.undecided | np.where(C.value, x.undecided, y.undecided))
    C = _condition(condition)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and only_whole_numbers(a, b):
        return Choice(np.where(C.value, a, b), C.undecided & (a != b))
    A, B = as_array(a), as_array(b)
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
        integral=A.integral and B.integral and decided,
        nonnegative=both_nonnegative(A, B),
        differ=not decided,
    )

# ruff: noqa: A001  the names are the standard's
"""Sums, products, quotients, steps and extrema of two arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Array, Error, as_array, plus, times
from .model import Floats, current
from .rules import added, both_nonnegative, bounded, elementwise, exactly_infinite, of_whole_numbers


@of_whole_numbers(np.add)
def add(a: Any, b: Any, /) -> Any:
    """Errors add up."""
    A, B = as_array(a), as_array(b)
    return added(A, B, A.value + B.value, infinite=exactly_infinite(A, B), signed=not both_nonnegative(A, B))


@of_whole_numbers(np.subtract)
def subtract(a: Any, b: Any, /) -> Any:
    """Errors add up."""
    A, B = as_array(a), as_array(b)
    return added(A, B, A.value - B.value, infinite=exactly_infinite(A, B))


@of_whole_numbers(np.multiply)
def multiply(a: Any, b: Any, /) -> Any:
    """|âb̂ − ab| ≤ E_a|b| + |a|E_b + E_a E_b, with |a| ≤ |v_a| + E_a."""
    A, B = as_array(a), as_array(b)

    def moved(x: Error, y: Error) -> Error:
        return plus(times(np.abs(B.value), x), times(np.abs(A.value), y), times(3.0, times(x, y)))

    square = a is b
    value = A.value * B.value
    return elementwise(
        [A, B],
        value,
        moved,
        ulps=0.5,
        exact=True,
        infinite=exactly_infinite(A, B, nonzero=True),
        signed=not (square or both_nonnegative(A, B)),
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

    return elementwise([A, B], value, moved, ulps=current().ulps("divide"), signed=not both_nonnegative(A, B))


@of_whole_numbers(np.negative)
def negative(x: Any, /) -> Any:
    """−x, exactly."""
    x = as_array(x)
    return Array(-x.value, x.worst, x.probable, integral=x.integral)


def positive(x: Any, /) -> Any:
    """X itself."""
    return x


conj = real = positive


@of_whole_numbers(np.abs)
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


def _step(function: Callable[[Floats], Floats]) -> Callable[..., Any]:
    @of_whole_numbers(function)
    def step(x: Any, /) -> Any:
        A = as_array(x)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            return function(A.value + 2.0 * errors[0]) - function(A.value - 2.0 * errors[0])

        result = bounded([A], function(A.value), rule, integral=A.integral)
        result.integral = not result.worst.any()  # within the bounds of x there is no jump
        return result

    step.__doc__ = f"As NumPy's ``{function.__name__}``; where the error spans a jump, the jump is the error."
    return step


floor, ceil, trunc, round, sign = _step(np.floor), _step(np.ceil), _step(np.trunc), _step(np.rint), _step(np.sign)


def _extremum(function: Callable[..., Any], turn: float) -> Callable[..., Any]:
    @of_whole_numbers(function)
    def extremum(a: Any, b: Any, /) -> Any:
        A, B = as_array(a), as_array(b)

        def rule(errors: Sequence[Error], unit: Any) -> Any:
            x, y = errors
            if isinstance(x, float) and isinstance(y, float):
                return 0.0
            lead, margin = turn * (A.value - B.value), times(2.0000001, plus(x, y))
            return np.where(lead > margin, x, np.where(-lead > margin, y, np.maximum(x, y)))

        upward = A.nonnegative or B.nonnegative if turn > 0 else both_nonnegative(A, B)
        return bounded([A, B], function(A.value, B.value), rule, integral=A.integral and B.integral, nonnegative=upward)

    extremum.__doc__ = f"As NumPy's ``{function.__name__}``; its error is no larger than that of either argument."
    return extremum


maximum, minimum = _extremum(np.maximum, 1.0), _extremum(np.minimum, -1.0)


@of_whole_numbers(np.floor_divide)
def floor_divide(a: Any, b: Any, /) -> Any:
    """⌊a / b⌋."""
    return floor(divide(a, b))


@of_whole_numbers(np.remainder)
def remainder(a: Any, b: Any, /) -> Any:
    """What is left, a − ⌊a / b⌋b, which has the sign of b."""
    return subtract(a, multiply(floor_divide(a, b), b))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """The nearest number in [min, max]."""
    raised = x if min is None else maximum(x, min)
    return raised if max is None else minimum(raised, max)

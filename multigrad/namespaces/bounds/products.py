"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import Array, Error, as_array, nothing, plus, times, up
from .model import current
from .rules import Unit, bounded, only_whole_numbers, whole, within


def matmul(a: Any, b: Any, /) -> Any:
    """|Ĉ − C| ≤ E_A|B| + |A|E_B + E_A E_B + γ_k|Â||B̂| (Higham 2002, eq. 3.13), in any order and blocking."""
    if only_whole_numbers(a, b):
        return np.matmul(a, b)
    A, B = as_array(a), as_array(b)
    value = np.asarray(A.value @ B.value)
    k = A.shape[-1]
    left, right = np.abs(A.value), np.abs(B.value)
    sizes = np.asarray(left @ right)
    nonnegative = A.nonnegative and B.nonnegative
    kept = current().kept_in(current().product_u, max(left.size, right.size))
    operands = max(np.max(left, initial=0.0), np.max(right, initial=0.0))
    if A.integral and B.integral and operands <= 1.0 / current().product_u and whole(value, sizes, kept):
        return Array(value, *(nothing(value.shape),) * 2, integral=True, nonnegative=nonnegative)

    def rule(errors: Sequence[Error], unit: Unit) -> Any:
        x, y = errors
        moved = plus(
            0.0 if isinstance(x, float) else x @ plus(right, times(2.0, y)),
            0.0 if isinstance(y, float) else plus(left, x) @ y,
        )
        reach = plus(sizes, times(3.0, moved))
        error = plus(unit.products(k, reach, value, moved, kept), moved, k * current().underflow)
        return within(reach, up(error, 2 * k), kept)

    product = bounded([A, B], value, rule, rounds=True, differ=k > 1, nonnegative=nonnegative)
    product.terms, product.kept = k, kept
    return product

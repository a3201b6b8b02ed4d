"""Matrices with the property that an operation asks for, in every regime: regular, positive definite, separated.

Each is what the regime draws, plus a diagonal that outweighs it: by Gershgorin's theorem nothing is left to chance.
Where the drawn numbers are whole, so is twice the result; elsewhere those with values that lie
apart are turned out of their axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ..ops.draw import Draw

PRECISE = ("float64", "float32")
"""The dtypes of factorisations: LAPACK has no half precision, and an inverse would keep no digit of it."""


def regular(draw: Draw, b: int, m: int, n: int, *, near_one: bool = False) -> np.ndarray:
    """Draw matrices of full rank and either sign: singular values between w/2 and 5w/2, w as :func:`_weight` has it.

    Args:
        draw: the generator.
        b: how many.
        m: rows.
        n: columns.
        near_one: whether w is brought near 1, so that products of many singular values stay numbers.
    """
    Z = draw(b, m, n)
    signs = 2.0 * draw.rng.integers(0, 2, (b, min(m, n))) - 1.0
    return _outweighed(draw, Z, 1.5 * signs, near_one)


def dominant(draw: Draw, b: int, n: int, *, near_one: bool = False) -> np.ndarray:
    """Draw square matrices whose symmetric part is positive definite."""
    import numpy as np

    return _outweighed(draw, draw(b, n, n), np.full((b, n), 1.5), near_one)


def positive_definite(draw: Draw, b: int, n: int) -> np.ndarray:
    """Draw symmetric positive definite matrices."""
    import numpy as np

    Z = draw(b, n, n)
    return _outweighed(draw, Z + np.swapaxes(Z, -1, -2), np.full((b, n), 1.5))


def separated(draw: Draw, b: int, m: int, n: int) -> np.ndarray:
    """Draw matrices of full rank whose singular values lie apart, by w at least."""
    import numpy as np

    X = _outweighed(draw, draw(b, m, n), 3.0 * (1.0 + _orders(draw, b, min(m, n))))
    normals = draw.rng.standard_normal((b, m, 1)), draw.rng.standard_normal((b, n, 1))
    return np.swapaxes(_reflected(draw, np.swapaxes(_reflected(draw, X, normals[0]), 1, 2), normals[1]), 1, 2)


def separated_symmetric(draw: Draw, b: int, n: int, *, near_one: bool = False) -> np.ndarray:
    """Draw symmetric matrices whose eigenvalues lie apart, by w at least, on both sides of zero."""
    import numpy as np

    Z = draw(b, n, n)
    A = _outweighed(draw, Z + np.swapaxes(Z, 1, 2), 3.0 * _orders(draw, b, n) - 1.5 * (n - 1), near_one)
    normal = draw.rng.standard_normal((b, n, 1))
    A = _reflected(draw, np.swapaxes(_reflected(draw, A, normal), 1, 2), normal)
    return np.asarray(0.5 * (A + np.swapaxes(A, 1, 2)))


def _reflected(draw: Draw, X: Any, normal: Any) -> Any:
    """Reflect the columns, unless they are to stay whole: near a diagonal matrix every eigensolver has little to do."""
    import numpy as np

    if draw.regime in ("integers", "kink"):
        return X
    length = np.sum(normal * normal, axis=1, keepdims=True)
    return X - 2.0 * normal / length * (np.swapaxes(normal, 1, 2) @ X)


def _orders(draw: Draw, b: int, n: int) -> Any:
    """0, 1, … n − 1 in an order of chance, for each item."""
    import numpy as np

    return draw.rng.permuted(np.broadcast_to(np.arange(float(n)), (b, n)), axis=1)


def _weight(Z: np.ndarray) -> Any:
    """The largest sum of magnitudes in a row or a column, which no singular value exceeds; 1 where all is zero."""
    import numpy as np

    sums = [np.max(np.sum(np.abs(Z), axis=a), axis=-1, initial=0.0) for a in (-1, -2)]
    weight = np.maximum(*sums)
    return np.where(weight == 0, 1.0, weight)[:, None, None]


def _outweighed(draw: Draw, Z: np.ndarray, diagonal: Any, near_one: bool = False) -> np.ndarray:
    import numpy as np

    weight = _weight(Z)
    i = np.arange(min(Z.shape[-2:]))
    result = np.array(Z)
    result[:, i, i] += weight[:, :, 0] * diagonal
    if near_one and draw.regime not in ("huge", "tiny"):
        # By a power of two: what was whole stays short.
        result = np.ldexp(result, -np.frexp(weight)[1])
    return result

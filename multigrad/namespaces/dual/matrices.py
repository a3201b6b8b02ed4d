"""The matrix product, which is bilinear, and eigenvalues, by first-order perturbation."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import exact
from ..shared import factorisations, linear_algebra
from .arrays import DualArray, aligned, lift
from .table import VALUED, valued


@valued
def matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product, d(AB) = dA·B + A·dB, batched over leading axes."""
    a, b = lift(x1), lift(x2)
    first, second = a.ndim == 1, b.ndim == 1
    a, b = (a[None, :] if first else a), (b[:, None] if second else b)
    value = VALUED["matmul"](a.value, b.value)
    left = None if a.tangent is None else VALUED["matmul"](aligned(a.tangent, value.ndim), b.value)
    right = None if b.tangent is None else VALUED["matmul"](a.value, aligned(b.tangent, value.ndim))
    result = DualArray(value, left if right is None else right if left is None else left + right)
    result = result[..., 0, :] if first else result
    return result[..., 0] if second else result


def eigh(x: Any, /) -> factorisations.Eigh:
    """Eigenvalues and eigenvectors of a symmetric matrix, from its lower triangle, by first-order perturbation.

    Raises:
        Undecided: two eigenvalues may be equal.
    """
    A = lift(x)
    values, V = exact.LINALG["eigh"](A.value)
    if A.tangent is None:
        return factorisations.Eigh(DualArray(values), DualArray(V))
    n = A.shape[-1]
    lower = np.tri(n, dtype=bool)
    dA = VALUED["where"](lower, A.tangent, VALUED["matrix_transpose"](A.tangent))
    inner = VALUED["matmul"](VALUED["matmul"](VALUED["matrix_transpose"](V), dA), V)
    diagonal = np.eye(n, dtype=bool)
    gaps = VALUED["where"](diagonal, 1, values[..., None, :] - values[..., :, None])
    rotation = VALUED["where"](diagonal, 0, inner / gaps)
    slopes = linear_algebra.diagonal(exact, inner)
    return factorisations.Eigh(DualArray(values, slopes), DualArray(V, VALUED["matmul"](V, rotation)))

"""A derivative that needs no derivation: f(x + ih) with so small an h that its square is nothing.

Source: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions",
SIAM Rev. 40 (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

H = 1e-40


def jacobian(f: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return ∂f/∂x for one of the arrays, (shape of f, shape of x); f must take complex numbers and be analytic."""
    x = np.asarray(arrays[number])
    columns = []
    for place in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[place] += 1j * H
        columns.append(np.imag(f(*arrays[:number], moved, *arrays[number + 1 :])) / H)
    shape = np.shape(columns[0])
    return np.moveaxis(np.array(columns), 0, -1).reshape(*shape, *x.shape)


def gradient(
    f: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], number: int, cotangent: np.ndarray
) -> np.ndarray:
    """Return the gradient of ⟨f, cotangent⟩ by one of the arrays."""
    return np.tensordot(cotangent, jacobian(f, arrays, number), axes=np.ndim(cotangent))

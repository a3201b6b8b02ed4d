"""The determinant, with a gradient also where it is zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..extra.elimination import eliminated
from ..ops.draw import Draw
from ..ops.operation import operation
from .drawn_matrices import PRECISE, regular
from .gradbench_problems import SPECIAL

if TYPE_CHECKING:
    import numpy as np


def _matrices(draw: Draw, b: int, n: int) -> list[np.ndarray]:
    if draw.regime in SPECIAL:
        return [regular(draw, b, n, n, near_one=True)]
    return [draw.rng.random((b, n, n))]


@operation(
    "(b,n,n)->(b)",
    inputs=_matrices,
    sizes={
        "tiny": {"b": 2, "n": 3},
        "l5": {"b": 1, "n": 5},
        "small": {"b": 1, "n": 10},
        "l10": {"b": 1, "n": 10},
        "l11": {"b": 1, "n": 11},
        "medium": {"b": 1000, "n": 10},
        "large": {"b": 10000, "n": 10},
    },
    dtypes=PRECISE,
)
def det(xp: Any, A: Any) -> Any:
    """Determinants of matrices.

    f = det A.  With the adjugate adj(A), which is f A⁻¹ where A is regular and a polynomial of its entries everywhere:

        Ā = f̄ adj(A)ᵀ

    Where a pivot of the elimination is exactly zero, a few units of rounding of the size of A are taken for it: the
    small pivot in the determinant cancels that in the inverse, and what is found is the adjugate of a matrix that
    differs from A by as much as rounding does. So a matrix of rank n − 1 has the adjugate of rank one that it should
    have, and one of a lower rank has a gradient of zero, to rounding. A is (b, n, n), b matrices.

    Inputs are those of GradBench's generator: uniform in [0, 1).

    Source: Petersen & Pedersen, The Matrix Cookbook (2012), eq. 49; Horn & Johnson, Matrix Analysis (2013), 0.8.10 for
    Jacobi's formula with the adjugate. Polynomial: there is no kink.
    """
    system = eliminated(xp, A)

    def pullback(f_bar: Any) -> Any:
        return xp.matrix_transpose(f_bar[:, None, None] * system.adjugate())

    return system.det(), pullback

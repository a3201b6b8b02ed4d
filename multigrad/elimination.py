"""Elimination: a matrix is factorised once, and everything that is asked of it comes from the factors."""

from __future__ import annotations

from typing import Any, Protocol


class Eliminated(Protocol):
    """What is known of square matrices A (…, n, n) once they are factorised."""

    def solve(self, B: Any, *, transposed: bool = False, regular: Any = None) -> Any:
        """Return X (…, n, m) with AX = B, or with AᵀX = B.

        Args:
            B: the right-hand sides, (…, n, m).
            transposed: whether it is Aᵀ.
            regular: a condition (…): where it is false A may be singular, and what stands in X is not to be used.
        """

    def log_abs_det(self) -> Any:
        """Return log |det A|, −∞ where a pivot is zero."""


def eliminated(xp: Any, A: Any) -> Eliminated:
    """Factorise square matrices.

    The standard has no factors of an elimination, and a system in Aᵀ is factorised anew there. A namespace that has an
    ``eliminated`` of its own (those of PyTorch and JAX: the factors L and U) keeps them.

    Args:
        xp: the array namespace.
        A: the matrices, (…, n, n).
    """
    own = getattr(xp, "eliminated", None)
    found: Eliminated = _ByTheStandard(xp, A) if own is None else own(A)
    return found


def identity(xp: Any, A: Any) -> Any:
    """Return the identity matrix that goes with square matrices A: of their size, dtype and device."""
    # While JAX traces, an array is nowhere yet, and has no device to tell.
    return xp.eye(A.shape[-1], dtype=A.dtype, device=getattr(A, "device", None))


class _ByTheStandard:
    def __init__(self, xp: Any, A: Any) -> None:
        self.xp = xp
        self.A = A

    def solve(self, B: Any, *, transposed: bool = False, regular: Any = None) -> Any:
        xp, A = self.xp, self.A
        if regular is not None:
            # NumPy raises at a singular matrix, and so the other items of the batch would be lost.
            A = xp.where(regular[..., None, None], A, identity(xp, A))
        return xp.linalg.solve(xp.matrix_transpose(A) if transposed else A, B)

    def log_abs_det(self) -> Any:
        return self.xp.linalg.slogdet(self.A)[1]

"""Systems of linear equations: a matrix is factorised once, and everything that is asked of it comes from the factors.

The standard has neither the factors of an elimination nor a triangular solve. A namespace that has them brings
the hooks ``eliminated`` and ``triangular``; elsewhere they are written with what the standard has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .hooks import hooks_of

Span = tuple[int, int]
"""First row, and the one after the last."""


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

    def det(self) -> Any:
        """Return det A."""

    def adjugate(self) -> Any:
        """Return det(A) A⁻¹, which is a polynomial: where a pivot is zero, that of a matrix as near as rounding."""


class Triangular(Protocol):
    """The lower triangles L of square matrices (b, n, n); what stands above the diagonal is not read."""

    def solve(self, B: Any, *, transposed: bool = False) -> Any:
        """Return X (b, n, m) with LX = B, or with LᵀX = B."""

    def inverse(self) -> Any:
        """Return L⁻¹."""


def eliminated(xp: Any, A: Any) -> Eliminated:
    """Factorise square matrices; by the standard alone a system in Aᵀ is factorised anew.

    Args:
        xp: the array namespace.
        A: the matrices, (…, n, n).
    """
    own = hooks_of(xp).eliminated
    found: Eliminated = Standard(xp, A) if own is None else own(A)
    return found


def triangular(xp: Any, L: Any, *, block: int = 64) -> Triangular:
    """Take the lower triangle of square matrices.

    By the standard alone its diagonal is inverted in eight blocks, or in fewer of at least ``block`` rows, and all else
    is products: in halves, X₁ = L₁₁⁻¹B₁ and X₂ = L₂₂⁻¹(B₂ − L₂₁X₁) (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 8.4).

    Args:
        xp: the array namespace.
        L: the matrices, (b, n, n).
        block: the least number of rows of a block.
    """
    own = hooks_of(xp).triangular
    found: Triangular = _Triangular(xp, L, block) if own is None else own(L)
    return found


def identity(xp: Any, A: Any) -> Any:
    """Return the identity matrix that goes with square matrices A: of their size, dtype and device."""
    # While JAX traces, an array is nowhere yet, and has no device to tell.
    return xp.eye(A.shape[-1], dtype=A.dtype, device=getattr(A, "device", None))


def row_spans(n: int, block: int) -> list[Span]:
    """Cut n rows into eight parts, or into fewer of at least ``block`` rows; no rows are one part."""
    step = max(block, -(-n // 8))
    return [(i, min(i + step, n)) for i in range(0, max(n, 1), step)]


class Standard:
    """The :class:`Eliminated` of any namespace: nothing is kept of an elimination but its determinant."""

    def __init__(self, xp: Any, A: Any) -> None:
        self.xp = xp
        self.A = A
        self._det: Any = None

    def solve(self, B: Any, *, transposed: bool = False, regular: Any = None) -> Any:
        """Solve with A or its transpose, eliminated anew."""
        xp, A = self.xp, self.A
        if regular is not None:
            # NumPy raises at a singular matrix, and so the other items of the batch would be lost; CuPy does not.
            A = xp.where(regular[..., None, None], A, identity(xp, A))
        return xp.linalg.solve(xp.matrix_transpose(A) if transposed else A, B)

    def log_abs_det(self) -> Any:
        """Return what slogdet finds."""
        return self.xp.linalg.slogdet(self.A)[1]

    def det(self) -> Any:
        """Return the determinant, found once."""
        if self._det is None:
            self._det = self.xp.linalg.det(self.A)
        return self._det

    def adjugate(self) -> Any:
        """Invert A, moved along its diagonal where it is singular."""
        xp, A = self.xp, self.A
        n = A.shape[-1]
        size = xp.sum(xp.abs(A), axis=(-2, -1)) / n
        # A matrix of zeros has no size of its own.
        size = size + xp.astype(size == 0, A.dtype)
        moved = 4 * n * float(xp.finfo(A.dtype).eps) * xp.astype(self.det() == 0, A.dtype) * size
        M = A + moved[..., None, None] * identity(xp, A)
        return xp.linalg.det(M)[..., None, None] * xp.linalg.inv(M)


class _Triangular:
    def __init__(self, xp: Any, L: Any, block: int) -> None:
        self.xp, self.L, self.block = xp, L, block
        self._inverses: list[Any] = []

    def solve(self, B: Any, *, transposed: bool = False) -> Any:
        spans = row_spans(self.L.shape[-1], self.block)
        if not self._inverses:
            self._inverses = [self._inverted(self.L[:, i:j, i:j]) for i, j in spans]
        return (self._backward if transposed else self._forward)(spans, self._inverses, B)

    def inverse(self) -> Any:
        return self._inverted(self.L)

    def _inverted(self, L: Any) -> Any:
        xp = self.xp
        # Elimination exchanges rows of a lower triangle; of an upper one it has nothing left to do.
        return xp.matrix_transpose(xp.linalg.inv(xp.triu(xp.matrix_transpose(L))))

    def _forward(self, spans: Sequence[Span], inverses: Sequence[Any], B: Any) -> Any:
        """Solve with the rows of some blocks, whose diagonal blocks have these inverses."""
        if len(spans) == 1:
            return inverses[0] @ B
        half = len(spans) // 2
        start, middle, end = spans[0][0], spans[half][0], spans[-1][1]
        upper = self._forward(spans[:half], inverses[:half], B[:, : middle - start, :])
        lower = B[:, middle - start :, :] - self.L[:, middle:end, start:middle] @ upper
        return self.xp.concat([upper, self._forward(spans[half:], inverses[half:], lower)], axis=1)

    def _backward(self, spans: Sequence[Span], inverses: Sequence[Any], B: Any) -> Any:
        """Solve with the transpose likewise."""
        T = self.xp.matrix_transpose
        if len(spans) == 1:
            return T(inverses[0]) @ B
        half = len(spans) // 2
        start, middle, end = spans[0][0], spans[half][0], spans[-1][1]
        lower = self._backward(spans[half:], inverses[half:], B[:, middle - start :, :])
        upper = B[:, : middle - start, :] - T(self.L[:, middle:end, start:middle]) @ lower
        return self.xp.concat([self._backward(spans[:half], inverses[:half], upper), lower], axis=1)

"""What precision does a backend really compute in? It belongs to backend, operation and setting, not to the dtype.

A product with the identity matrix has one term that is not zero, so its result is the operand, rounded to whatever the
backend rounds operands or results to. The significand bits that survive are counted.

Of halves it is asked as well what they are accumulated in; see :mod:`.accumulation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..verdict.formats import FORMATS
from .accumulation import Accumulation, accumulation

if TYPE_CHECKING:
    from .session import Session

ORDER = 64
"""Rows of the matrices: enough for the units that round operands to be used at all."""

NAMES = {11: "TF32 or float16", 8: "bfloat16", 24: "float32"}
"""Formats by their significand bits."""


@dataclass(frozen=True)
class Roundoff:
    """The significand bits that survive in one dtype."""

    dtype: str
    product: int
    """Of a matrix product."""
    elementwise: int
    """Of a product of two numbers."""
    accumulation: Accumulation = field(default_factory=Accumulation)
    """What is kept in float32 where the dtype is a half."""

    @property
    def nominal(self) -> int:
        """The bits that the dtype has."""
        return FORMATS[self.dtype].significand_bits

    @property
    def degraded(self) -> bool:
        """Whether something has fewer bits than the dtype."""
        return min(self.product, self.elementwise) < self.nominal

    def __str__(self) -> str:
        """Say what is computed in what."""
        which = "matrix products" if self.product < self.nominal else "products of numbers"
        bits = min(self.product, self.elementwise)
        like = f" ({NAMES[bits]}?)" if bits in NAMES else ""
        return f"computes {self.dtype} {which} with {bits} significand bits: lower precision{like}"


def probe(session: Session, dtypes: Iterable[str] | None = None) -> Mapping[str, Roundoff]:
    """Count the significand bits of products on a backend, and ask what it accumulates halves in.

    Args:
        session: the backend, opened with the settings in question.
        dtypes: which; None is all that it has.

    Returns:
        What was found, by dtype.
    """
    return {d: _probe(session, d) for d in (session.dtypes if dtypes is None else dtypes) if d in session.dtypes}


def _probe(session: Session, dtype: str) -> Roundoff:
    bits = FORMATS[dtype].significand_bits
    # Row after row 1 + 2⁻ᵏ, which needs k + 1 bits; the columns differ by powers of two.
    k = 1 + np.arange(ORDER) % (bits - 1)
    host = np.ldexp((1.0 + np.ldexp(1.0, -k))[:, None], np.arange(ORDER)[None, :] % 8)
    A = session.to_device(host, dtype)
    identity = session.to_device(np.eye(ORDER), dtype)
    one = session.to_device(np.ones((ORDER, ORDER)), dtype)
    matmul = session.xp.matmul
    products = (A @ identity, identity @ A, matmul(A, identity), matmul(identity, A))
    return Roundoff(
        dtype,
        product=min(_surviving(session, p, host, k) for p in products),
        elementwise=min(_surviving(session, p, host, k) for p in (A * one, one * A)),
        accumulation=accumulation(session, dtype),
    )


def _surviving(session: Session, product: Any, host: np.ndarray, k: np.ndarray) -> int:
    """1 + the largest k below which every 1 + 2⁻ᵏ came through."""
    session.wait([product])
    lost = k[np.any(session.to_numpy(product).astype(np.float64) != host, axis=1)]
    return int(min(lost, default=int(np.max(k)) + 1))

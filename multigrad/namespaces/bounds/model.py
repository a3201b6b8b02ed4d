"""The floating-point model: a format's roundings, how they add up, and the arithmetic in force.

The model is the standard one (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed. 2002, eq. 2.4 and 2.8):
fl(a ∘ b) = (a ∘ b)(1 + δ) + η with |δ| ≤ u, |η| ≤ the underflow unit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...verdict.formats import FORMATS, Format
from .ulps import DEFAULT_ULPS, ELEMENTARY_ULPS

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

CONFIDENCE = 4.0
"""λ of the probabilistic bound: each sum exceeds it with probability below 2·exp(−λ²/2) (Higham & Mary 2019, Thm 2.4).

That theorem allows any bounded errors of mean zero; real rounding errors are spread over the whole of [−u, u], and stay
far inside.
"""


def gamma(k: float, u: float) -> float:
    """Return the coefficient of a sum of k terms, or an inner product of length k, in any order of evaluation.

    γ_k = ku/(1 − ku) (Higham 2002, eq. 3.4 and 3.13), or (k + 1)u where that is smaller: k·u holds without any
    condition on k (Jeannerod & Rump 2013, Thm 3.1 and 4.2), and the one more is a last rounding to the stored format.
    """
    linear = (k + 1) * u
    return min(linear, k * u / (1 - k * u)) if k * u < 1 else linear


def probable_gamma(k: float, u: float, confidence: float) -> float:
    """Return γ̃_k(λ) = exp(λ√k·u + ku²/(1 − u)) − 1 (Higham & Mary 2019, Thm 2.4), where it is below the worst case."""
    return min(gamma(k, u), math.expm1(confidence * math.sqrt(k) * u + k * u * u / (1 - u)))


@dataclass(frozen=True)
class Context:
    """The floating-point arithmetic under test."""

    dtype: str
    """One of ``float64``, ``float32``, ``bfloat16``, ``float16``."""
    u: float
    """Unit roundoff of elementwise operations, and of every array that is stored."""
    product_u: float
    """Unit roundoff of matrix products. Above ``u``: operands are rounded to it (TF32). Below: sums are kept in it."""
    sum_u: float
    """Unit roundoff in which sums and means are kept before they are stored: ``u``, or that of a wider format."""
    kept_entries: float
    """Entries of the largest array of whose sums it is known that a unit below ``u`` holds."""
    underflow: float
    """Absolute error that every rounding adds."""
    overflow: float
    """Largest finite number of the format."""
    confidence: float = CONFIDENCE
    """λ of the probabilistic bound."""
    elementary_ulps: Mapping[str, float] = field(default_factory=dict)
    """Function name to error in ulps."""
    default_ulps: float = 4.0
    """Error in ulps of the functions that ``elementary_ulps`` does not name."""

    @classmethod
    def of(
        cls,
        dtype: str,
        *,
        u: float | None = None,
        product_u: float | None = None,
        sum_u: float | None = None,
        kept_entries: float = math.inf,
        underflow: float | None = None,
        overflow: float | None = None,
        confidence: float = CONFIDENCE,
        elementary_ulps: Mapping[str, float] | None = None,
    ) -> Context:
        """Return the arithmetic of a dtype, with whatever is known better than the defaults.

        Raises:
            ValueError: the dtype is none of the four.
        """
        if dtype not in FORMATS:
            raise ValueError(f"no floating-point format {dtype!r}; there are {', '.join(FORMATS)}")
        form = FORMATS[dtype]
        chosen = form.unit_roundoff if u is None else u
        return cls(
            dtype=dtype,
            u=chosen,
            product_u=chosen if product_u is None else product_u,
            sum_u=chosen if sum_u is None else sum_u,
            kept_entries=kept_entries,
            underflow=form.underflow if underflow is None else underflow,
            overflow=form.overflow if overflow is None else overflow,
            confidence=confidence,
            elementary_ulps={**ELEMENTARY_ULPS[dtype], **(elementary_ulps or {})},
            default_ulps=DEFAULT_ULPS[dtype],
        )

    @property
    def format(self) -> Format:
        """The format of the dtype."""
        return FORMATS[self.dtype]

    def ulps(self, name: str) -> float:
        """Return the error in ulps of an elementary function."""
        return self.elementary_ulps.get(name, self.default_ulps)

    def kept_in(self, u: float, entries: int) -> float:
        """Return the unit roundoff in which the sums of an array of so many entries are kept, where ``u`` is said."""
        return u if u < self.u and entries <= self.kept_entries else self.u

    def kept_below(self, u: float) -> float:
        """Return the magnitude up to which a sum that is kept in a unit roundoff may grow before it is stored."""
        # A unit finer than the format's is that of float32, which has the range as well.
        return max(self.overflow, FORMATS["float32"].overflow) if u < self.u else self.overflow

    def exact_below(self, u: float | None = None) -> float:
        """Return the magnitude up to which every integer is exact."""
        return min(1.0 / max(self.u, u or 0.0), self.overflow)

    def representable(self, value: Floats) -> Booleans:
        """Tell which elements are numbers of the format, infinities included."""
        form = self.format
        if self.dtype in _NATIVE:
            return np.asarray(value.astype(_NATIVE[self.dtype]) == value)
        mantissa, exponent = np.frexp(value)
        # Subnormal numbers have fewer bits: as many as lie above the smallest one.
        bits = np.minimum(form.significand_bits, exponent - form.smallest_exponent + form.significand_bits - 1)
        scaled = np.ldexp(mantissa, np.maximum(bits, 0))
        inside = (np.rint(scaled) == scaled) & (np.abs(value) <= form.overflow)
        return np.asarray(inside | np.isinf(value) | (value == 0))


_NATIVE = {"float64": np.float64, "float32": np.float32, "float16": np.float16}

_CONTEXT: ContextVar[Context] = ContextVar("bounds_context")


def current() -> Context:
    """Return the arithmetic in force.

    Raises:
        RuntimeError: no ``with context(...)`` is open.
    """
    arithmetic = _CONTEXT.get(None)
    if arithmetic is None:
        raise RuntimeError("no arithmetic is in force; wrap the computation in `with bounds.context(dtype=...):`")
    return arithmetic


@contextlib.contextmanager
def context(dtype: str | Context = "float32", **settings: Any) -> Iterator[Context]:
    """Put an arithmetic in force: a :class:`Context`, or a dtype with the keywords of :meth:`Context.of`.

    NumPy's floating-point warnings are off inside: what they would say stands in the bounds.
    """
    chosen = dtype if isinstance(dtype, Context) else Context.of(dtype, **settings)
    token = _CONTEXT.set(chosen)
    try:
        with np.errstate(all="ignore"):
            yield chosen
    finally:
        _CONTEXT.reset(token)


@dataclass(frozen=True)
class FloatType:
    """The dtype of a bounded array: its name only."""

    name: str

    def __str__(self) -> str:
        return self.name

"""What an evaluation computes in: the dtype it stores, and the wider one in which it may keep what lies between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..namespaces import bounds
from ..ops.implementation import HALVES
from ..verdict.formats import FORMATS

WIDER = "float32"
"""What hardware accumulates halves in."""

TF32_UNIT = 2.0**-11
"""Unit roundoff to which TensorFloat-32 rounds the operands of a product."""


@dataclass(frozen=True)
class Arithmetic:
    """The floating-point arithmetic of an evaluation. Its bounds are the tolerance that a result is held against."""

    dtype: str
    """What inputs and outputs are stored in, and every array between them unless ``accumulate`` is given."""
    precision: str = "strict"
    """``tf32`` lets products of float32 lose bits."""
    products: str | None = None
    """What sums in matrix products are kept in; None: the dtype."""
    sums: str | None = None
    """What sums and means are kept in; None: the dtype."""
    accumulate: str | None = None
    """What everything is computed in, inputs and outputs apart: each output is rounded once, where it is stored. None:
    the dtype."""

    @classmethod
    def of(cls, arithmetic: str | Arithmetic) -> Arithmetic:
        """Return an arithmetic; the name of a dtype stands for one that keeps nothing wider."""
        return cls(arithmetic) if isinstance(arithmetic, str) else arithmetic

    @property
    def computed(self) -> str:
        """The dtype that arrays between inputs and outputs have."""
        return self.accumulate or self.dtype

    @property
    def unit_roundoff(self) -> float:
        """The unit roundoff of what is computed in."""
        return FORMATS[self.computed].unit_roundoff

    def context(self, **settings: Any) -> bounds.Context:
        """Return what stands between inputs and outputs as :mod:`multigrad.namespaces.bounds` takes it."""
        kept = {"product_u": self.products, "sum_u": self.sums}
        units = {name: FORMATS[dtype].unit_roundoff for name, dtype in kept.items() if dtype is not None}
        if self.precision == "tf32" and self.computed == "float32" and self.accumulate is None:
            units["product_u"] = TF32_UNIT
        return bounds.Context.of(self.computed, **{**units, **settings})

    def analyse(
        self, function: Callable[..., tuple[Any, ...]], arrays: Sequence[Any], *, endless: bool = False
    ) -> tuple[bounds.Array, ...]:
        """Run a function with the error bounds of this arithmetic.

        Args:
            function: ``f(*arrays)`` that returns a tuple.
            arrays: NumPy arrays, or arrays of :mod:`multigrad.namespaces.bounds`.
            endless: whether to take the formats for such that neither overflow nor underflow.
        """
        settings = {"overflow": np.inf, "underflow": 0.0} if endless else {}
        with bounds.context(self.context(**settings)):
            outputs = function(*(bounds.asarray(a) for a in arrays))
            return tuple(self._stored(bounds.asarray(one), endless) for one in outputs)

    def _stored(self, output: Any, endless: bool) -> Any:
        entered = bounds.as_array(output)
        return entered if self.accumulate is None else bounds.stored(entered, FORMATS[self.dtype], endless=endless)


def kept_wider(dtype: str) -> Mapping[str, Arithmetic]:
    """Return the arithmetics, by name, that an evaluation in a dtype may have besides its own; the narrowest last.

    Frameworks and kernels keep sums of halves in float32. Only for halves is there one.
    """
    if dtype not in HALVES:
        return {}
    return {
        "products": Arithmetic(dtype, products=WIDER),
        "sums": Arithmetic(dtype, products=WIDER, sums=WIDER),
        "accumulate": Arithmetic(dtype, accumulate=WIDER),
    }

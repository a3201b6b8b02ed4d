"""What an evaluation computes in: the dtype it stores, and the wider one in which it may keep what lies between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend.accumulation import FUNCTIONS, LARGEST, ONCE_ULPS, Accumulation
from ..namespaces import bounds
from ..ops.implementation import HALVES
from ..ops.operation import Operation
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
    """What sums in matrix products of up to :data:`LARGEST` numbers are kept in; None: the dtype."""
    sums: str | None = None
    """What sums and means of up to :data:`LARGEST` numbers are kept in; None: the dtype."""
    functions: tuple[str, ...] = ()
    """Elementwise functions, by name, whose result is rounded once, and not off by an ulp."""
    accumulate: str | None = None
    """What everything is computed in, inputs and outputs apart: each output is rounded once, where it is stored. None:
    the dtype."""
    perturbed: bool = False
    """Whether the inputs may be off by one rounding each, as they are where they were rounded to the dtype."""

    @classmethod
    def established(cls, dtype: str, found: Accumulation) -> Arithmetic:
        """Return the arithmetic of a backend in a half, as far as it is known from asking."""
        products, sums = (WIDER if kept else None for kept in (found.products, found.sums))
        return cls(dtype, products=products, sums=sums, functions=found.functions)

    @classmethod
    def of(cls, arithmetic: str | Arithmetic) -> Arithmetic:
        """Return an arithmetic; the name of a dtype stands for one that keeps nothing wider."""
        return cls(arithmetic) if isinstance(arithmetic, str) else arithmetic

    def __str__(self) -> str:
        """Say what it is, as in ``within the bound of …``."""
        if self.perturbed:
            return "inputs that are off by one rounding each"
        if self.accumulate:
            return f"an evaluation in {self.accumulate} that is rounded once"
        kept = [what for what, dtype in (("products", self.products), ("sums", self.sums)) if dtype]
        return f"an evaluation in {self.dtype}" + (f" with {' and '.join(kept)} kept in {WIDER}" if kept else "")

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
        kept = {"product_u": self.accumulate or self.products, "sum_u": self.accumulate or self.sums}
        units = {name: FORMATS[dtype].unit_roundoff for name, dtype in kept.items() if dtype is not None}
        if "product_u" in units:
            units["product_u"] *= 2  # tensor cores may truncate where they add
        if self.precision == "tf32" and self.computed == "float32" and self.accumulate is None:
            units["product_u"] = TF32_UNIT
        ulps = dict.fromkeys(self.functions, ONCE_ULPS)
        return bounds.Context.of(self.computed, elementary_ulps=ulps, **{"kept_entries": LARGEST, **units, **settings})

    def analyse(
        self, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[Any], *, endless: bool = False
    ) -> tuple[bounds.Array, ...]:
        """Evaluate values and gradients with the error bounds of this arithmetic.

        Where something is accumulated, a pullback may read the values as they were stored, and not as they were
        computed: a kernel keeps its softmax for the backward pass.

        Args:
            op: the operation.
            parameters: values of its parameters.
            arrays: inputs, then cotangents; NumPy arrays, or arrays of :mod:`multigrad.namespaces.bounds`.
            endless: whether to take the formats for such that neither overflow nor underflow.
        """
        settings = {"overflow": np.inf, "underflow": 0.0} if endless else {}
        count = len(op.inputs)
        with bounds.context(self.context(**settings)):
            entered = [self._entered(a) for a in arrays]
            value, pullback = op(bounds, *entered[:count], **parameters)
            values = [bounds.as_array(v) for v in op.values(value)]
            for each in values if self.accumulate else ():
                # In its place, so that the pullback finds it rounded.
                each[...] = self._stored(each, endless)
            gradients = op.gradients_of(pullback(*entered[count:]))
            return (*values, *(self._stored(bounds.as_array(g), endless) for g in gradients))

    def _entered(self, array: Any) -> Any:
        if not self.perturbed or not isinstance(array, np.ndarray):
            return bounds.asarray(array)
        return off_by(array, FORMATS[self.dtype].unit_roundoff * np.abs(array))

    def _stored(self, output: bounds.Array, endless: bool) -> bounds.Array:
        return output if self.accumulate is None else bounds.stored(output, FORMATS[self.dtype], endless=endless)


def narrower(dtype: str) -> Sequence[Arithmetic]:
    """Return arithmetics with narrower bounds than that of a half throughout; the narrowest first.

    None is claimed of a backend. A number within the bound of one is seen to be right, whatever it was computed in:
    that it is as near as if everything but the output had been float32, as if sums had been, or as that of inputs
    which are off by one rounding each.
    """
    if dtype not in HALVES:
        return ()
    return (
        Arithmetic(dtype, accumulate=WIDER),
        Arithmetic(dtype, products=WIDER, sums=WIDER, functions=tuple(FUNCTIONS)),
        Arithmetic(dtype, accumulate=WIDER, perturbed=True),
    )


def off_by(array: np.ndarray, error: np.ndarray) -> Any:
    """Return an array with an error in every finite entry, as `bounds` takes it; indices have none."""
    if array.dtype.kind != "f":
        return bounds.asarray(array)
    error = np.where(np.isfinite(array), error, 0.0)  # an infinity that is given is exactly that
    return bounds.Array(np.asarray(array, dtype=np.float64), error, error)

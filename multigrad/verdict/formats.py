"""The floating-point formats, by the figures that bounds and verdicts need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format."""

    name: str
    significand_bits: int
    """The bits of the significand, the implicit one included; the unit roundoff is 2 to the minus that."""
    smallest_exponent: int
    """The smallest normal number is 2 to this power."""
    largest_exponent: int
    """The largest finite number is just below 2 to this power plus one."""
    flushes: bool
    """Whether some framework flushes subnormal numbers of this format to zero."""

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next larger number."""
        return math.ldexp(1.0, -self.significand_bits)

    @property
    def underflow(self) -> float:
        """The largest absolute error of a rounding near zero."""
        # Flushing loses up to the smallest normal number; gradual underflow half the spacing of the subnormals.
        return math.ldexp(1.0, self.smallest_exponent - (0 if self.flushes else self.significand_bits))

    @property
    def overflow(self) -> float:
        """The largest finite number."""
        return math.ldexp(2.0 - 2.0 * self.unit_roundoff, self.largest_exponent)

    def finfo(self, dtype: Any) -> SimpleNamespace:
        """Return what ``finfo`` of the array API standard says of a dtype of this format."""
        return SimpleNamespace(
            eps=2 * self.unit_roundoff,
            max=self.overflow,
            min=-self.overflow,
            smallest_normal=math.ldexp(1.0, self.smallest_exponent),
            bits={53: 64, 24: 32}.get(self.significand_bits, 16),
            dtype=dtype,
        )

    def spacing(self, x: npt.ArrayLike) -> Floats:
        """Return one ulp at each value: the distance between neighbouring numbers of the format there."""
        import numpy as np

        _, exponent = np.frexp(np.maximum(np.abs(x), math.ldexp(1.0, self.smallest_exponent)))
        return np.asarray(np.ldexp(1.0, exponent - self.significand_bits), dtype=np.float64)

    def round(self, x: npt.ArrayLike) -> Floats:
        """Round float64 values to the nearest numbers of the format, ties to even; beyond the largest to infinity."""
        import numpy as np

        values = np.asarray(x, dtype=np.float64)
        if self.name == "float64":
            return values.copy()
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if self.name in ("float32", "float16"):
                return values.astype(self.name).astype(np.float64)
            unit = self.spacing(values)
            rounded = np.where(np.isfinite(values), np.rint(values / unit) * unit, values)
            return np.asarray(np.where(np.abs(rounded) > self.overflow, np.copysign(np.inf, rounded), rounded))


FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        Format("float64", 53, -1022, 1023, flushes=True),
        Format("float32", 24, -126, 127, flushes=True),
        Format("bfloat16", 8, -126, 127, flushes=True),
        # CPUs compute float16 in float32, and GPUs keep its subnormals.
        Format("float16", 11, -14, 15, flushes=False),
    )
}
"""By name, the widest first."""

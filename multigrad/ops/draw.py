"""How the inputs of an operation are drawn: regimes, domains, and one seeded generator of NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..verdict.formats import FORMATS

if TYPE_CHECKING:
    import numpy as np

Regime = str

REGIMES: Mapping[str, str] = {
    "gaussian": "standard normal numbers",
    "integers": "small integers, on which every backend must agree bit for bit",
    "wide": "normal numbers times powers of two from 2⁻⁸ to 2⁸",
    "cancellation": "numbers near +1 and −1 in turn, whose sums nearly vanish",
    "kink": "−1, 0 and 1: many ties and zeros",
    "empty": "one dimension after the other is 0",
    "length-1": "every dimension is 1",
    "strided": "transposed and strided views, where the backend has them",
    "huge": "so large that a product of four overflows, and one of three does not",
    "tiny": "so small that a product of four underflows, and one of three does not",
    "nonfinite": "NaN or infinity in one entry: what does not depend on it must not change",
}
"""Every regime with its meaning; the size or the layout is what some of them change."""

AIMED: Mapping[str, str] = {
    "first": "every label and every random integer is the lowest",
    "last": "every label and every random integer is the highest",
    "below": "no number is positive",
    "above": "no number is negative",
}
"""How inputs are drawn so that a generator's masks and indices are all alike; the formula alone is judged there."""


class Draw:
    """Draws the inputs of an operation: one seeded NumPy generator and one regime.

    A generator of inputs asks it for arrays; the regime decides what "a number" is, so that one generator serves them
    all. Every array is float64 (or int64 from :meth:`labels`).
    """

    def __init__(self, seed: int, regime: Regime = "gaussian") -> None:
        """Begin with a seed and one of :data:`REGIMES` or :data:`AIMED`.

        ``huge:float32`` is huge as that dtype sees it.

        Raises:
            BadInput: no regime of that name.
        """
        import numpy as np

        self.seed = seed
        self.regime, _, dtype = regime.partition(":")
        if self.regime not in REGIMES and self.regime not in AIMED:
            raise BadInput(f"no regime named {regime!r}; there are {', '.join(REGIMES)}")
        self.dtype = dtype or "float64"
        self.rng: np.random.Generator = np.random.default_rng(seed)
        if self.regime in ("first", "last"):
            self.rng = _ends(self.rng, last=self.regime == "last")

    def __call__(self, *shape: int) -> np.ndarray:
        """Return an array of that shape, each element drawn as the regime says."""
        import numpy as np

        if self.regime == "integers":
            return self.rng.integers(-3, 4, shape).astype(np.float64)
        if self.regime == "kink":
            return self.rng.integers(-1, 2, shape).astype(np.float64)
        normal: np.ndarray = np.asarray(self.rng.standard_normal(shape))
        if self.regime == "wide":
            return np.asarray(np.ldexp(normal, self.rng.integers(-8, 9, shape)))
        if self.regime == "cancellation":
            signs = np.where(np.arange(normal.size) % 2 == 0, 1.0, -1.0).reshape(shape)
            return signs * (1.0 + normal / 64)
        if self.regime in ("huge", "tiny"):
            return np.asarray(np.ldexp(normal, self._exponent()))
        if self.regime in ("below", "above"):
            return np.asarray(np.abs(normal) if self.regime == "above" else -np.abs(normal))
        return normal

    def _exponent(self) -> int:
        form = FORMATS[self.dtype]
        return int(0.3 * (form.largest_exponent if self.regime == "huge" else form.smallest_exponent))

    def labels(self, count: int, *shape: int) -> np.ndarray:
        """Return integer class labels in ``0 … count - 1``."""
        return self.rng.integers(0, count, shape)


LINE = "the whole line"

DOMAIN_DRAWS = 8
"""How many drawings of inputs show where a value is a number; one of three numbers may lie in (−1, 1) by chance."""

DOMAINS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    LINE: lambda x: x,
    "positive numbers": lambda x: abs(x) + 0.125,
    "numbers between −1 and 1": lambda x: x / (abs(x) + 1),
    "numbers between 0 and 1": lambda x: (abs(x) + 0.125) / (abs(x) + 1),
    "numbers above 1": lambda x: abs(x) + 1.125,
}
"""What inputs may be drawn from, and what makes such numbers of any."""


def _ends(rng: np.random.Generator, *, last: bool) -> np.random.Generator:
    """Return a generator whose integers are all the lowest, or all the highest."""
    import numpy as np

    class Ends(np.random.Generator):
        def integers(
            self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: Any = False
        ) -> Any:
            lowest, above = (0, low) if high is None else (low, high)
            lowest, highest = np.broadcast_arrays(lowest, above if endpoint else np.asarray(above) - 1)
            chosen = highest if last else lowest
            return np.array(np.broadcast_to(chosen, chosen.shape if size is None else size), dtype=dtype)[()]

    return Ends(rng.bit_generator)

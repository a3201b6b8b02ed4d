"""Special functions, which the standard lacks: the namespace's own, and SciPy's for NumPy."""

from __future__ import annotations

from typing import Any

SCIPY = {
    "digamma": "digamma",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "lgamma": "gammaln",
}
"""The functions by their names in the namespaces that have them, and their names in SciPy."""


def special(xp: Any, name: str, x: Any) -> Any:
    """Compute a special function of each element.

    Args:
        xp: the array namespace.
        name: a key of :data:`SCIPY`.
        x: real numbers, of any shape.

    Raises:
        AttributeError: the namespace is not NumPy's, and has no such function.
    """
    import numpy as np

    if isinstance(x, np.ndarray | np.generic):
        import scipy.special

        return getattr(scipy.special, SCIPY[name])(x)
    return getattr(xp, name)(x)

"""Special functions, which the standard lacks: the namespace's own, or SciPy's on the host."""

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
        xp: the array namespace; one that lacks the function computes it in NumPy.
        name: a key of :data:`SCIPY`.
        x: real numbers, of any shape.
    """
    own = getattr(xp, name, None)
    if own is not None:
        return own(x)
    import numpy as np
    import scipy.special

    host = getattr(scipy.special, SCIPY[name])(np.asarray(x))
    return host if isinstance(x, np.ndarray | np.generic) else xp.asarray(host)

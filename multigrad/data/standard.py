"""The array API standard on NumPy: array-api-compat's namespace, imported in half the time, and special functions."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

LAZY = ("f2py", "testing")
"""Modules that NumPy imports when they are asked for, which takes longer than NumPy itself."""


SPECIAL: Mapping[str, str] = {
    "digamma": "digamma",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "gamma": "gamma",
    "i0e": "i0e",
    "i1e": "i1e",
    "lgamma": "gammaln",
}
"""Functions of one argument that the standard lacks and our namespaces have, each with its name in SciPy."""


def special_functions(scipy: Any) -> dict[str, Callable[..., Any]]:
    """Return :data:`SPECIAL`, ``trigamma(x)`` and ``hurwitz_zeta(s, x)``, as far as a module has them.

    Args:
        scipy: a module with the names of ``scipy.special``.
    """
    own: dict[str, Callable[..., Any]] = {
        name: getattr(scipy, theirs) for name, theirs in SPECIAL.items() if hasattr(scipy, theirs)
    }
    own["hurwitz_zeta"] = lambda s, x, /: scipy.zeta(float(s), x)
    # torch's polygamma of order 1 has 9 digits in float64.
    own["trigamma"] = lambda x, /: scipy.zeta(2.0, x)
    return own


@functools.cache
def _of_scipy() -> Mapping[str, Callable[..., Any]]:
    return special_functions(importlib.import_module("scipy.special"))


def _late(name: str) -> Callable[..., Any]:
    return lambda *arguments: _of_scipy()[name](*arguments)


@functools.cache
def numpy_standard() -> Any:
    """Return ``array_api_compat.numpy``, with the special functions of SciPy.

    Its import asks NumPy for every name that there is. Nobody wants those of :data:`LAZY` from it, and every worker
    would pay for them: empty modules stand in for them meanwhile.
    """
    import numpy as np

    absent = [name for name in LAZY if name not in vars(np)]
    for name in absent:
        setattr(np, name, ModuleType(f"numpy.{name}"))
    try:
        import array_api_compat.numpy as xp
    finally:
        for name in absent:
            delattr(np, name)
    # A copy of its own, under its name, by which array-api-compat and array-api-extra recognise it.
    standard = ModuleType(xp.__name__, xp.__doc__)
    vars(standard).update(vars(xp))
    vars(standard).update({name: _late(name) for name in (*SPECIAL, "trigamma", "hurwitz_zeta")})
    return standard

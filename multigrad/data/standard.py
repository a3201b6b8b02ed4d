"""The array API standard on NumPy: array-api-compat's namespace, imported in half the time, and special functions."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

LAZY = ("f2py", "testing")
"""Modules that NumPy imports when they are asked for, which takes longer than NumPy itself."""


SPECIAL: Mapping[str, Callable[[Any, Any], Any]] = {
    "digamma": lambda scipy, x: scipy.digamma(x),
    "erf": lambda scipy, x: scipy.erf(x),
    "erfc": lambda scipy, x: scipy.erfc(x),
    "erfinv": lambda scipy, x: scipy.erfinv(x),
    "gamma": lambda scipy, x: scipy.gamma(x),
    "i0e": lambda scipy, x: scipy.i0e(x),
    "i1e": lambda scipy, x: scipy.i1e(x),
    "lgamma": lambda scipy, x: scipy.gammaln(x),
    "trigamma": lambda scipy, x: scipy.polygamma(1, x),
}
"""Functions that the standard lacks and our namespaces have, given a module with SciPy's names."""


def _of_scipy(name: str, x: Any, /) -> Any:
    return SPECIAL[name](importlib.import_module("scipy.special"), x)


@functools.cache
def numpy_standard() -> Any:
    """Return ``array_api_compat.numpy``, and :data:`SPECIAL` by SciPy.

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
    vars(standard).update({name: functools.partial(_of_scipy, name) for name in SPECIAL})
    vars(standard)["hurwitz_zeta"] = lambda s, x: importlib.import_module("scipy.special").zeta(float(s), x)
    return standard

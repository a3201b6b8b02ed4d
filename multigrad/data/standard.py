"""The array API standard on NumPy: array-api-compat's namespace, imported in half the time."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

LAZY = ("f2py", "testing")
"""Modules that NumPy imports when they are asked for, which takes longer than NumPy itself."""


@functools.cache
def numpy_standard() -> Any:
    """Return ``array_api_compat.numpy``.

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
    return xp

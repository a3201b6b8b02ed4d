"""The table of the namespace's functions, and how a function comes into it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import is_whole, whole

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The namespace: every function of the standard that stands here, by name."""

LINALG: dict[str, Callable[..., Any]] = {}
"""The same for ``linalg``."""


def public(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function by its name; a trailing underscore keeps the standard's max, abs, all … from hiding Python's."""
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


def integral(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Enter a function that leaves the work to NumPy where every array is one of integers or booleans."""
    name = name or function.__name__.rstrip("_")

    @functools.wraps(function)
    def chosen(*args: Any, **options: Any) -> Any:
        if all(is_whole(a) for a in args if not isinstance(a, tuple | type(None))):
            return whole(getattr(np, name)(*args, **{k: v for k, v in options.items() if k != "dtype"}))
        return function(*args, **options)

    FUNCTIONS[name] = chosen
    return chosen

"""The table of the namespace's functions, and how a function comes into it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import exact
from .arrays import DualArray

VALUED = exact.FUNCTIONS
"""The functions of `exact`: what happens to the values."""

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The namespace: every function of the standard that stands here, by name."""


def valued(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Enter a function that takes dual arrays; what has no tangent is left to `exact`."""
    name = name or function.__name__.rstrip("_")  # the underscore keeps Python's own names in sight
    of_values = VALUED[name]

    @functools.wraps(function)
    def chosen(*args: Any, **options: Any) -> Any:
        if any(isinstance(a, DualArray) for a in args):
            return function(*args, **options)
        return of_values(*args, **options)

    FUNCTIONS[name] = chosen
    return chosen

"""How a size, a derivative and what a function returned are written, in every table and message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def sizes_text(size: Mapping[str, Any]) -> str:
    """Write a size in one line, as it stands in every table: ``m=5 k=4 padding=(1,2)``."""

    def one(value: Any) -> str:
        return f"({','.join(map(str, value))})" if isinstance(value, tuple | list) else str(value)

    return " ".join(f"{k}={one(v)}" for k, v in size.items())


def derivative_name(output: str) -> str:
    """Write an output as mathematics does: ``W_bar`` is ∂f/∂W.

    The cotangent of a value's own cotangent is its tangent: ``value_bar_bar`` is J·v.
    """
    if tangent := re.fullmatch(r"value(\d*)_bar_bar", output):
        return f"J{tangent[1].translate(_SUBSCRIPTS)}·v"
    return f"∂f/∂{output.removesuffix('_bar')}" if output.endswith("_bar") else output


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def described(thing: Any) -> str:
    """Say in a few words what something is."""
    if thing is None or isinstance(thing, bool | int | float):
        return str(thing)
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    return f"the {'text' if isinstance(thing, str) else type(thing).__name__} {thing!r:.60}"

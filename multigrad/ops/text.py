"""How a size, a derivative and what a function returned are written, in every table and message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DERIVATIVES = {"_bar_bar": "∂²f/∂{0}²·v", "_bar": "∂f/∂{}"}
"""How the name of an output that is a derivative ends, and how it is written."""


def sizes_text(size: Mapping[str, Any]) -> str:
    """Write a size in one line, as it stands in every table: ``m=5 k=4 padding=(1,2)``."""

    def one(value: Any) -> str:
        return f"({','.join(map(str, value))})" if isinstance(value, tuple | list) else str(value)

    return " ".join(f"{k}={one(v)}" for k, v in size.items())


def derivative_name(output: str) -> str:
    """Write an output as mathematics does: ``W_bar`` is ∂f/∂W, ``W_bar_bar`` is ∂²f/∂W²·v, ``value_dot`` is J·v."""
    if tangent := re.fullmatch(r"value(\d*)_dot", output):
        return f"J{tangent[1].translate(_SUBSCRIPTS)}·v"
    for suffix, written in DERIVATIVES.items():
        if output.endswith(suffix):
            return written.format(output.removesuffix(suffix))
    return output


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def described(thing: Any) -> str:
    """Say in a few words what something is."""
    if thing is None or isinstance(thing, bool | int | float):
        return str(thing)
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    return f"the {'text' if isinstance(thing, str) else type(thing).__name__} {thing!r:.60}"

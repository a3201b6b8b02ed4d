"""What a person says of a function of a framework that is to be an operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from ..ops.operation import Inputs
from ..ops.signature import Size


class Description(TypedDict, total=False):
    """The keyword arguments of :func:`multigrad.from_jax` and :func:`multigrad.from_torch`, each with its meaning."""

    example: Any
    """The arguments as a tuple: arrays, and pytrees of them. A list of such tuples tells sizes apart that are equal by
    chance: a letter is one size in each of them. A Python float is an input; other numbers, conditions and text are
    constants. Integers and conditions (labels, masks) are not differentiated, and are drawn as they stand here."""
    name: str | None
    """Of the operation; left out, the variable's that it is assigned to in a file, else the function's."""
    nondifferentiable: Iterable[str]
    """Names of inputs of integers, where no example shows it."""
    sizes: Mapping[str, Size] | None
    """Named sizes, smallest first; left out, that of the example, and others where the function takes them."""
    inputs: Inputs | None
    """Draws the inputs where they must be special, see :func:`multigrad.operation`."""
    dtypes: tuple[str, ...]
    """The dtypes the operation is meant for; left out, all."""

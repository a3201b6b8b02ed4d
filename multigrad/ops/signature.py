"""The signature of an operation: the shapes of its inputs and outputs in NumPy's gufunc notation."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.errors import BadInput

Size = Mapping[str, Any]
"""Values for the dimensions of a signature and for the parameters of an operation."""

_AN_EXAMPLE = "'(m,k),(k,n)->(m,n)'"


@dataclass(frozen=True)
class Signature:
    """The shapes of an operation in NumPy's gufunc notation, such as ``(m,k),(k,n)->(m,n)``."""

    text: str
    inputs: tuple[tuple[str, ...], ...]
    """One tuple of dimension names (or literal sizes) per input."""
    outputs: tuple[tuple[str, ...], ...]
    """One tuple of dimension names per output. A name that no input has is left free."""

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read gufunc notation.

        Raises:
            BadInput: the text is not of the form ``(a,b),(c)->(d)``.
        """
        if not isinstance(text, str):
            raise BadInput(f"the signature is {type(text).__name__}; wanted @operation with text, as in {_AN_EXAMPLE}")
        squeezed = re.sub(r"\s", "", text)
        shape = r"\((?:\w+(?:,\w+)*)?\)"
        if not re.fullmatch(rf"{shape}(?:,{shape})*->{shape}(?:,{shape})*", squeezed):
            raise BadInput(f"signature {text!r:.200} is not gufunc notation; wanted something like {_AN_EXAMPLE}")
        left, right = squeezed.split("->")

        def shapes(side: str) -> tuple[tuple[str, ...], ...]:
            return tuple(tuple(filter(None, dims.split(","))) for dims in re.findall(r"\(([^)]*)\)", side))

        parsed = cls(squeezed, shapes(left), shapes(right))
        for name in itertools.chain.from_iterable((*parsed.inputs, *parsed.outputs)):
            # What Unicode calls a digit may be no number for Python, or another one than it looks like.
            if not name.isidentifier() and not re.fullmatch("[1-9][0-9]{0,12}", name):
                raise BadInput(
                    f"signature {text!r:.60} has the dimension {name!r:.60}; wanted a name, or a number from 1"
                )
        return parsed

    @property
    def symbols(self) -> tuple[str, ...]:
        """The dimension names of the inputs, in order of appearance, literals left out."""
        return tuple(dict.fromkeys(s for shape in self.inputs for s in shape if not s.isdigit()))

    def entries(self, size: Size) -> int:
        """Return how many numbers the inputs of a size hold; a dimension that it lacks counts as 1."""
        return sum(math.prod(int(size.get(s, s if s.isdigit() else 1)) for s in shape) for shape in self.inputs)

    def bind(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
        """Find the size of every dimension from the shapes of the inputs.

        Raises:
            BadInput: a rank or a size does not fit; the message names the input.
        """
        sizes: dict[str, int] = {}
        owner: dict[str, str] = {}
        for name, wanted, shape in zip(names, self.inputs, shapes, strict=True):
            text = f"({','.join(wanted)})"
            if len(wanted) != len(shape):
                raise BadInput(f"{name} has shape {shape}; wanted {text}, which has {len(wanted)} dimensions")
            for symbol, size in zip(wanted, shape, strict=True):
                first = int(symbol) if symbol.isdigit() else sizes.setdefault(symbol, size)
                if first != size:
                    source = "the signature" if symbol.isdigit() else owner[symbol]
                    raise BadInput(f"{name} has shape {shape}; wanted {text} with {symbol} = {first} from {source}")
                owner.setdefault(symbol, name)
        return sizes


def default_sizes(signature: Signature) -> dict[str, dict[str, int]]:
    """Return sizes for an operation that names none: every dimension another number."""
    # Distinct sizes for distinct names, so that a transposed result never has the right shape by accident.
    return {
        name: {symbol: scale * (3 + i) for i, symbol in enumerate(reversed(signature.symbols))}
        for name, scale in (("tiny", 1), ("small", 16), ("medium", 64))
    }

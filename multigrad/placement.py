"""Which dimension of an operation's arrays is split among several devices or into chunks: found in its signature.

One rule for every backend that splits arrays. A product over the split dimension is a sum of the parts' products.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .operation import Operation

Shape = tuple[int, ...]


def split_symbol(op: Operation, shapes: Sequence[Shape]) -> str | None:
    """Return the dimension to split: the batch, or else the one that divides most of the data.

    It comes first in an input. One that comes first in an output too is not summed over by the forward part and goes
    before all others; then the one whose inputs have the most elements together, and of equals the first.

    Args:
        op: the operation.
        shapes: of its inputs, in order.

    Returns:
        The symbol, or None where no input has a dimension.

    Raises:
        BadInput: the shapes do not fit the signature.
    """
    sizes = op.signature.bind(op.inputs, list(shapes))
    leaders = dict.fromkeys(shape[0] for shape in op.signature.inputs if shape and shape[0] in sizes)
    kept = {shape[0] for shape in op.signature.outputs if shape}

    def rank(symbol: str) -> tuple[bool, int]:
        led = [found for shape, found in zip(op.signature.inputs, shapes, strict=True) if shape[:1] == (symbol,)]
        return symbol in kept, sum(map(prod, led))

    return max(leaders, key=rank, default=None)


def split_axes(op: Operation, shapes: Sequence[Shape], symbol: str | None = None) -> tuple[int | None, ...]:
    """Return the axis along which each array is split, or None for one that every place has whole.

    Args:
        op: the operation.
        shapes: of its inputs, and after them, if there are more, of as many of its cotangents.
        symbol: the dimension; left out, that of :func:`split_symbol`.

    Raises:
        BadInput: the shapes do not fit the signature.
    """
    count = len(op.inputs)
    symbol = symbol if symbol is not None else split_symbol(op, shapes[:count])
    dimensions = [*op.signature.inputs, *op.signature.outputs][: len(shapes)]
    return tuple(names.index(symbol) if symbol in names else None for names in dimensions)

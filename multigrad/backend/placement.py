"""Which dimension of an operation's arrays is split among several devices or into chunks: found in its signature.

One rule for every backend that splits arrays. A product over the split dimension is a sum of the parts' products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm, prod
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput

if TYPE_CHECKING:
    from ..ops.operation import Operation

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
    return next(iter(split_symbols(op, shapes)), None)


def split_symbols(op: Operation, shapes: Sequence[Shape], count: int = 1) -> tuple[str, ...]:
    """Return the dimensions to split along as many axes of a mesh: that of :func:`split_symbol`, and the next best.

    Where no other comes first in an input, the next best is the one whose inputs have the most elements.

    Args:
        op: the operation.
        shapes: of its inputs, in order.
        count: how many are wanted; there may be fewer.

    Raises:
        BadInput: the shapes do not fit the signature.
    """
    sizes = op.signature.bind(op.inputs, list(shapes))
    inputs = op.signature.inputs
    leaders = {shape[0] for shape in inputs if shape and shape[0] in sizes}
    kept = {shape[0] for shape in op.signature.outputs if shape}

    def rank(symbol: str) -> tuple[bool, bool, int]:
        leads = symbol in leaders
        parts = [names[:1] if leads else names for names in inputs]
        return leads, symbol in kept, sum(prod(s) for names, s in zip(parts, shapes, strict=True) if symbol in names)

    return tuple(sorted(op.signature.symbols, key=rank, reverse=True)[:count]) if leaders else ()


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


def undivided(op: Operation, shapes: Sequence[Shape], mesh: Sequence[int]) -> str:
    """Return, in words, which dimension cannot be split evenly among the devices of a mesh; empty if all can.

    Args:
        op: the operation.
        shapes: of its inputs, in order.
        mesh: how many devices lie along each of its axes.

    Raises:
        BadInput: the shapes do not fit the signature.
    """
    sizes = op.signature.bind(op.inputs, list(shapes))
    pairs = zip(split_symbols(op, shapes, len(mesh)), mesh, strict=False)
    wrong = [f"{symbol} = {sizes[symbol]} is no multiple of {n}" for symbol, n in pairs if sizes[symbol] % n]
    return f"{' and '.join(wrong)}, the devices it is split among" if wrong else ""


def rounded(op: Operation, size: Mapping[str, Any], meshes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return a size whose split dimensions are rounded up, so that every one of some meshes divides them.

    A size that the operation's own generator refuses when it is rounded is returned as it is.

    Args:
        op: the operation.
        size: values for the signature's dimensions and for parameters.
        meshes: how many devices lie along each axis of each of them.
    """
    multiple, axes = lcm(*(n for mesh in meshes for n in mesh)), max(map(len, meshes), default=0)
    divisible = dict(size)
    try:
        while any(undivided(op, shapes := input_shapes(op, divisible), mesh) for mesh in meshes):
            for symbol in split_symbols(op, shapes, axes):
                divisible[symbol] = -(-divisible[symbol] // multiple) * multiple
        if divisible != size:
            op.make_inputs(divisible, 0)
    except BadInput:
        return dict(size)
    return divisible


def input_shapes(op: Operation, size: Mapping[str, Any]) -> list[Shape]:
    """Return the shapes of the inputs of a size, found without drawing them.

    Raises:
        BadInput: the size lacks a dimension of the signature.
    """
    for symbol in op.signature.symbols:
        if symbol not in size:
            raise BadInput(f"the size of {op.name} lacks {symbol!r}; it has {', '.join(size)}")
    return [tuple(int(size.get(s, s)) for s in shape) for shape in op.signature.inputs]

"""What one call of an operation costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...data.errors import BadInput
from ...ops.operation import Operation
from ...ops.signature import Size
from .arrays import FLOATS, ITEM_BYTES, Array, bytes_of, dtype_of, shape_of
from .counters import counting


@dataclass(frozen=True)
class Cost:
    """What one call of an operation costs."""

    flops: float
    """Floating-point operations, those of matrix products and elementary functions included."""
    bytes: float
    """Compulsory traffic in bytes: every input read once, every output written once."""
    streamed_bytes: float
    """Traffic in bytes if every function were a pass over memory of its own, as in eager mode."""
    product_flops: float
    """The part of ``flops`` that is in matrix products."""
    transcendentals: float
    """The part of ``flops`` that is calls of elementary functions, roots among them."""

    @property
    def intensity(self) -> float:
        """Floating-point operations per compulsory byte."""
        return self.flops / self.bytes if self.bytes else math.inf


def cost(op: Operation, size: Size, dtype: str = "float32", variant: str = "analytic") -> Cost:
    """Count what one call of an operation costs, without running it.

    Args:
        op: any operation.
        size: values for its dimensions and parameters.
        dtype: the floating-point dtype of its inputs.
        variant: ``forward`` reads the inputs and writes the values; every other variant reads inputs and cotangents
            and writes values and gradients. Autodiff and native forms are charged with the hand-derived work.

    Raises:
        BadInput: the dtype is unknown, or the size gives no value for a dimension.
        Unsupported: the operation uses a function that is not here; the message names it.
    """
    if dtype not in FLOATS:
        raise BadInput(f"no floating-point dtype {dtype!r}; there are {', '.join(FLOATS)}")
    inputs = _inputs(op, size, dtype)
    _, parameters = op.split(size)
    with counting(dtype):
        cotangents = [] if variant == "forward" else list(op.forward(Array.namespace, parameters)(*inputs))
    function = (op.forward if variant == "forward" else op.analytic)(Array.namespace, parameters)
    with counting(dtype) as counters:
        outputs = function(*inputs, *cotangents)
    moved = sum(bytes_of(a) for a in (*inputs, *cotangents))
    # A gradient that is a broadcast view still has to be written out.
    moved += sum(math.prod(shape_of(a)) * ITEM_BYTES[dtype_of(a)] for a in outputs)
    return Cost(counters.flops, float(moved), counters.streamed_bytes, counters.product_flops, counters.transcendentals)


def _inputs(op: Operation, size: Size, dtype: str) -> list[Array]:
    dimensions, _ = op.split(size)
    if op.draw is not None:
        drawn = op.make_inputs(size, 0)
        return [Array(a.shape, dtype if a.dtype.kind == "f" else str(a.dtype)) for a in drawn]
    missing = [s for s in op.signature.symbols if s not in dimensions]
    if missing:
        raise BadInput(f"{op.name} needs a size for {missing[0]}; found {', '.join(map(str, size)) or 'none'}")
    return [Array([int(dimensions.get(s, s)) for s in shape], dtype) for shape in op.signature.inputs]

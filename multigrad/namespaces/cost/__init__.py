"""What an operation costs, from shapes alone: an array namespace without data, and :func:`cost`, which runs it.

Counted are floating-point operations: 1 for an addition, a multiplication, a division, a comparison, a maximum or the
call of an elementary function; 2mnk for a matrix product; the textbook's count for a factorisation
(:data:`FACTORISATIONS`). Moving, choosing by a condition, and integers count nothing. Elementary functions are
counted a second time by themselves, because hardware takes several instructions for each.

Bytes are counted twice: once as what must be moved whatever the implementation does (each input read once, each output
written once), and once as an eager framework moves them, one pass per function (``streamed_bytes``). Views are free.

Shapes that depend on data are not supported: an operation that asks for a value raises.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ...extra.hooks import Hooks
from ..shared.namespace import Linalg, attributes, functions_of, guarded_table, namespace_info
from . import creation, elementwise, matrices, products, reductions, shapes
from .arrays import FLOATS, Array, DType
from .counters import counting, current
from .estimate import Cost, cost
from .matrices import FACTORISATIONS

__all__ = ["FACTORISATIONS", "Array", "Cost", "cost", "counting", "linalg"]

__array_api_version__ = "2024.12"

HOOKS = ("scan", "scatter_add")
"""Those of :class:`multigrad.extra.hooks.Hooks` that are counted as a whole."""

float64, float32, bfloat16, float16 = (DType(n) for n in FLOATS)
int64, int32, int16, int8, uint8 = (DType(n) for n in ("int64", "int32", "int16", "int8", "uint8"))
bool = DType("bool")  # noqa: A001 - the name is the standard's
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None
broadcast_shapes, iinfo = np.broadcast_shapes, np.iinfo


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(DType(current().dtype), int64)


_this = Array.namespace = sys.modules[__name__]
_functions = functions_of(creation, elementwise, products, reductions, shapes)
__multigrad__ = Hooks(**guarded_table({name: _functions.pop(name) for name in HOOKS}, "xp", Array.knower))
globals().update(guarded_table(_functions, "xp", Array.knower))
_shared = {name: _functions[name] for name in ("matmul", "matrix_transpose", "tensordot", "vecdot")}
linalg = Linalg(_this, functions_of(matrices) | _shared, Array.knower)
__getattr__ = attributes(_this, {}, {}, Array.knower)

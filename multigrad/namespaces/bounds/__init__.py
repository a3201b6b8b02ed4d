"""How far an honest floating-point evaluation may be from the exact result, element by element: an array namespace.

Run any operation in it::

    with bounds.context("float32"):
        outputs = operation.analytic(bounds, parameters)(*(bounds.asarray(a) for a in arrays))
    outputs[0].value, outputs[0].worst, outputs[0].probable

or in one call, ``bounds.analyse(function, *arrays, context="float32")``. The floating-point model stands in
:mod:`multigrad.namespaces.bounds.model`, the invariant in :mod:`multigrad.namespaces.bounds.arrays`. The bounds hold
for every order of summation, every blocking of a matrix product, with fused multiply-adds or without, with intermediate
results rounded to the format or kept wider. Products by Strassen's or Winograd's method and convolutions by transforms
are not covered: they satisfy norm-wise bounds only.

What it cannot see is that two errors are the same: ``x - x`` is bounded by twice the error of x. Where an operation
subtracts nearly equal quantities that were both computed with error, the bound is wider than the truth.

Conditions that the error leaves undecided take the hull of both branches. Integers and booleans are plain NumPy arrays
and are left alone; indices that depend on data (``argmax``) know where they are undecided. Small integers that every
evaluation gets exactly have no error at all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ...extra.hooks import Hooks
from ...verdict.formats import FORMATS
from ..shared import textbook
from ..shared.namespace import Linalg, attributes, bound, functions_of, guarded_table, namespace_info
from . import (
    arithmetic,
    conditions,
    creation,
    elementary,
    matrices,
    model,
    ordering,
    products,
    reductions,
    shapes,
    unprobed,
)
from .arrays import Array, Choice, Condition, Parts, as_array
from .model import Context, FloatType, context, current
from .rules import stored

__all__ = ["FORMATS", "Array", "Choice", "Condition", "Context", "analyse", "as_array", "context", "linalg", "stored"]

__array_api_version__ = "2024.12"

HOOKS = ("in_blocks", "scatter_add")
"""Those of :class:`multigrad.extra.hooks.Hooks` that have a bound of their own."""

float64, float32, bfloat16, float16 = (FloatType(name) for name in FORMATS)
int64, int32, int16, int8, uint8 = (np.dtype(n) for n in ("int64", "int32", "int16", "int8", "uint8"))
bool = np.dtype("bool")  # noqa: A001 - the name is the standard's
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None
broadcast_shapes, iinfo = np.broadcast_shapes, np.iinfo


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(FloatType(current().dtype), int64)


def analyse(function: Callable[..., Any], *arrays: Any, context: str | Context = "float32", **settings: Any) -> Any:
    """Run a function of arrays in this namespace and return its outputs as bounded arrays.

    Args:
        function: ``f(*arrays)``, such as ``operation.analytic(bounds, parameters)``.
        arrays: NumPy arrays. Floating-point ones are taken to be exact where they are numbers of the format.
        context: the arithmetic, or the name of a dtype.
        settings: the keywords of :meth:`Context.of`.

    Returns:
        A tuple of :class:`Array` if the function returns a tuple, else one :class:`Array`.
    """
    with model.context(context, **settings):
        outputs = function(*(creation.asarray(a) for a in arrays))
        return tuple(as_array(o) for o in outputs) if isinstance(outputs, tuple | list) else as_array(outputs)


_this = Parts.namespace = sys.modules[__name__]
_textbook = {name: textbook.FUNCTIONS[name] for name in ("copysign", "tensordot", "vecdot")}
_own = functions_of(arithmetic, conditions, creation, elementary, ordering, products, reductions, shapes, unprobed)
__multigrad__ = Hooks(**guarded_table({name: _own.pop(name) for name in HOOKS}, "xp", Parts.knower))
_functions = _own | bound(_textbook | textbook.SPECIAL, _this)
globals().update(guarded_table(_functions, "xp", Parts.knower))
_shared = {name: _functions[name] for name in ("matmul", "matrix_transpose", "tensordot", "vecdot")}
linalg = Linalg(_this, functions_of(matrices) | _shared, Parts.knower)
__getattr__ = attributes(_this, {}, {}, Parts.knower)

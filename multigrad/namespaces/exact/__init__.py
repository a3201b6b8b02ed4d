"""An array namespace over Arb balls: the true value, with a certified error radius.

This package is the namespace: ``op(exact, *inputs)`` evaluates an operation in it. An :class:`ExactArray` holds a NumPy
object array of balls (``flint.arb``). Every float that enters is the rational number that it is, with radius 0; the
working precision is a context, ``with exact.precision(bits):``, and :func:`evaluate` doubles it until a result is
narrow. Integers and booleans (labels, indices, conditions) stay NumPy arrays.

A comparison that the balls leave undecided raises :class:`Undecided`. Two balls of radius 0 are compared exactly, and a
ball is equal to itself.

Each array also carries a bound on the degree of its entries as rational functions of the inputs, for as long as
nothing but +, −, ×, ÷ made them. ``with exact.rationals():`` computes with fractions in place of balls, and raises
:class:`NotRational` at the first step that is none.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66 (2017).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..shared import linear_algebra, textbook
from ..shared.namespace import Linalg, attributes, bound, namespace_info
from . import axes, creation, elementwise, matrices  # noqa: F401 - they fill the table
from .arrays import (
    ExactArray,
    is_certainly_nonzero,
    is_certainly_positive,
    lift,
    midpoints,
    variable,
    whole,
)
from .axes import rearranged
from .balls import ELEMENTARY
from .context import (
    Kink,
    NotRational,
    Undecided,
    branch_count,
    moved_constants,
    moved_count,
    precision,
    rationals,
)
from .creation import CONSTANTS, float64
from .degrees import Degree
from .elementwise import hurwitz_zeta, i2e
from .evaluation import Evaluation, evaluate, floor_of, relative_widths
from .table import FUNCTIONS, LINALG

__all__ = [
    "CONSTANTS",
    "ELEMENTARY",
    "FUNCTIONS",
    "LINALG",
    "Degree",
    "Evaluation",
    "ExactArray",
    "Kink",
    "NotRational",
    "Undecided",
    "branch_count",
    "evaluate",
    "float64",
    "floor_of",
    "hurwitz_zeta",
    "i2e",
    "is_certainly_nonzero",
    "is_certainly_positive",
    "lift",
    "linalg",
    "midpoints",
    "moved_constants",
    "moved_count",
    "precision",
    "rationals",
    "rearranged",
    "relative_widths",
    "variable",
    "whole",
]

_this = ExactArray.namespace = sys.modules[__name__]
FUNCTIONS |= bound(textbook.FUNCTIONS | textbook.SPECIAL, _this)
LINALG |= bound(linear_algebra.LINALG, _this) | LINALG
linalg = Linalg(_this, LINALG, ExactArray.knower)
__getattr__ = attributes(_this, FUNCTIONS, CONSTANTS, ExactArray.knower)


def __array_namespace_info__() -> Any:  # noqa: N807 - the name is the standard's
    """What array-api-extra asks for: devices and default dtypes."""
    return namespace_info(float64, np.dtype("int64"))

"""An array namespace of values and tangents, over `exact`: the derivative of a forward part, knowing nothing else.

This package is the namespace: ``forward(dual, *inputs)``. A :class:`DualArray` is an exact value of shape s with a
tangent of shape (T, *s): its derivative in T directions at once, or None where it is constant. Conditions act on
values.

Three things are known of derivatives here: the rules of the elementary functions (:data:`UNARY`, :data:`BINARY`),
that a matrix product is bilinear, and that what moves entries moves their tangents. The rest follows, from the same
lines that `exact` runs (:mod:`multigrad.namespaces.shared.textbook`). One exception: eigenvalues and eigenvectors
of a symmetric matrix use first-order perturbation, dλᵢ = vᵢᵀ dA vᵢ and dvᵢ = Σⱼ vⱼ (vⱼᵀ dA vᵢ)/(λᵢ − λⱼ), which is
the forward-mode statement and not any pullback of the catalogue.

On a kink there is no derivative. A comparison of equal values that move raises :class:`Kink` at once; |x| at 0, √0 and
a tied maximum give a tangent of NaN, which a later `where` may still leave behind, and :class:`Kink` follows if it does
not. A tie between values that move alike (the zeros of a padding) is no kink of a maximum.

Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3 (forward mode, vector form).
"""

from __future__ import annotations

import sys

from ...extra.hooks import Hooks
from .. import exact
from ..exact import CONSTANTS, Kink, Undecided
from ..shared import linear_algebra, textbook
from ..shared.namespace import Linalg, attributes, bound
from . import creation, elementwise, matrices  # noqa: F401 - they fill the table
from .arrays import DualArray, Tangent, is_certainly_nonzero, is_certainly_positive, midpoints
from .axes import rearranged
from .derivatives import Derivative, as_variables, choose_directions, differentiate, directional_derivatives
from .rules import BINARY, UNARY
from .table import FUNCTIONS

__all__ = [
    "BINARY",
    "FUNCTIONS",
    "LINALG",
    "UNARY",
    "Derivative",
    "DualArray",
    "Kink",
    "Tangent",
    "Undecided",
    "as_variables",
    "choose_directions",
    "differentiate",
    "directional_derivatives",
    "is_certainly_nonzero",
    "is_certainly_positive",
    "linalg",
    "midpoints",
    "rearranged",
]

_this = DualArray.namespace = sys.modules[__name__]
FUNCTIONS |= bound(textbook.FUNCTIONS | textbook.SPECIAL, _this)
LINALG = bound(linear_algebra.LINALG, _this) | {"eigh": matrices.eigh}
"""The same for ``linalg``."""
linalg = Linalg(_this, LINALG, DualArray.knower)
__multigrad__ = Hooks(stop_gradient=creation.stop_gradient)
__array_namespace_info__ = exact.__array_namespace_info__
__getattr__ = attributes(_this, FUNCTIONS, CONSTANTS, DualArray.knower)

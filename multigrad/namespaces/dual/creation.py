"""Making arrays, and changing what kind of number they hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import exact
from ..exact import ExactArray
from ..shared import textbook
from ..shared.namespace import ABOUT_DTYPES
from ..shared.operators import LOGICAL, WHOLE_ONLY
from .arrays import DualArray
from .table import FUNCTIONS, VALUED, valued


@valued
def asarray_(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """The array itself."""
    return FUNCTIONS["astype"](x, dtype or exact.float64)


@valued
def astype_(x: Any, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Any:
    """Reals to booleans by ≠ 0; reals stay reals."""
    kind = np.dtype(dtype).kind
    if kind == "f":
        return DualArray(x.value, x.tangent)
    return FUNCTIONS["not_equal"](x, 0) if kind == "b" else VALUED["astype"](x.value, dtype)


@valued
def full_(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value."""
    return FUNCTIONS["broadcast_to"](fill_value, shape if isinstance(shape, Sequence) else (shape,))


@valued
def full_like_(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one value, of another's shape."""
    return FUNCTIONS["full"](x.shape, fill_value, dtype=dtype or x.dtype)


def stop_gradient(x: Any, /) -> Any:
    """The values as a constant, which does not move."""
    return DualArray(x.value) if isinstance(x, DualArray) else x


def _created(name: str) -> Callable[..., Any]:
    make = FUNCTIONS.get(name, VALUED[name])

    @functools.wraps(make)
    def create(*args: Any, **options: Any) -> Any:
        if name == "asarray" and textbook.holds_arrays(args[0]):
            return textbook.stacked(DualArray.namespace, args[0])
        # As an array of this namespace, so that entries with a tangent can be written into it.
        result = make(*args, **options)
        return DualArray(result) if isinstance(result, ExactArray) else result

    return create


CREATED = (
    *("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"),
    *("eye", "arange", "linspace", "asarray", "astype"),
)
"""What makes an array."""

FUNCTIONS |= {name: _created(name) for name in CREATED}
FUNCTIONS |= {name: VALUED[name] for name in (*ABOUT_DTYPES, *LOGICAL, *WHOLE_ONLY)}  # these never need a tangent
